"""Lines and columns of everything in a TOML document, which `tomllib` does not tell.

The text has been read by `tomllib` before, so it is well-formed; this only walks through it again.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping

__all__ = ["Path", "Place", "locate"]

Path = tuple[str | int, ...]
"""Keys, and positions in arrays, from the top."""
Place = tuple[int, int]
"""Line and column, counted from 1."""

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_BASIC = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL = re.compile(r"'[^']*'")
_BASIC_LONG = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}', re.DOTALL)
_LITERAL_LONG = re.compile(r"'''(?:[^']|'(?!''))*'{3,5}", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]*")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_PLAIN_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def locate(text: str) -> Mapping[Path, Place]:
    """Return where each table, key and array element stands."""
    return _Walker(text).walk()


class _Walker:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines = [-1, *(found.start() for found in re.finditer("\n", text))]
        self._places: dict[Path, Place] = {}
        self._arrays: dict[Path, int] = {}
        """Number of tables in each array of tables."""

    def walk(self) -> dict[Path, Place]:
        table: Path = ()
        text = self._text
        self._skip()
        while self._at < len(text):
            if text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
            self._skip()
        return self._places

    def _header(self) -> Path:
        start = self._at
        array = self._text.startswith("[[", start)
        self._at += 2 if array else 1
        keys = self._keys()
        self._at += 2 if array else 1
        path: Path = ()
        for index, (key, _) in enumerate(keys):
            path = (*path, key)
            self._note(path, start)
            if array and index == len(keys) - 1:
                self._arrays[path] = self._arrays.get(path, 0) + 1
            if path in self._arrays:
                path = (*path, self._arrays[path] - 1)
                self._note(path, start)
        return path

    def _pair(self, table: Path) -> None:
        path = table
        for key, start in self._keys():
            path = (*path, key)
            self._note(path, start)
        self._skip()
        self._at += 1  # =
        self._skip()
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._text.startswith("[", self._at):
            self._array(path)
        elif self._text.startswith("{", self._at):
            self._inline_table(path)
        elif (string := self._string()) is not None:
            self._at = string.end()
        else:
            scalar = _SCALAR.match(self._text, self._at)
            assert scalar is not None, "matches the empty text"
            self._at = scalar.end()

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while not self._closed("]"):
            self._note((*path, index), self._at)
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while not self._closed("}"):
            self._pair(path)

    def _closed(self, bracket: str) -> bool:
        self._skip()
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip()
        # The end of the text can only come if this reads TOML otherwise than tomllib: stop then.
        if self._at >= len(self._text):
            return True
        closed = self._text.startswith(bracket, self._at)
        self._at += closed
        return closed

    def _keys(self) -> list[tuple[str, int]]:
        keys: list[tuple[str, int]] = []
        while True:
            self._skip()
            start = self._at
            if (string := self._string()) is not None:
                keys.append((_unquoted(string.group()), start))
                self._at = string.end()
            elif (bare := _BARE.match(self._text, self._at)) is not None:
                keys.append((bare.group(), start))
                self._at = bare.end()
            dot = _DOT.match(self._text, self._at)
            if dot is None:
                self._skip()
                return keys
            self._at = dot.end()

    def _string(self) -> re.Match[str] | None:
        for opening, pattern in (
            ('"""', _BASIC_LONG),
            ("'''", _LITERAL_LONG),
            ('"', _BASIC),
            ("'", _LITERAL),
        ):
            if self._text.startswith(opening, self._at):
                return pattern.match(self._text, self._at)
        return None

    def _skip(self) -> None:
        space = _SPACE.match(self._text, self._at)
        assert space is not None, "matches the empty text"
        self._at = space.end()

    def _note(self, path: Path, offset: int) -> None:
        if path not in self._places:
            line = bisect_right(self._lines, offset - 1)
            self._places[path] = (line, offset - self._lines[line - 1])


def _unquoted(string: str) -> str:
    if string.startswith("'"):
        return string[1:-1]
    return _ESCAPE.sub(_character, string[1:-1])


def _character(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    return chr(int(code, 16)) if code else _PLAIN_ESCAPES.get(escape[3], escape[3])
