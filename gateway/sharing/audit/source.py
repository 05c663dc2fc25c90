"""Where the lines of an audit are read from: a directory or an exported archive."""

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Protocol

from gateway.domain.audit import SegmentInfo
from gateway.sharing.audit.line import MAX_LINE

__all__ = ["DirectorySource", "Source", "ZipSource", "file_name", "open_source", "read_lines"]

MAX_BESIDE = 1_000_000
"""Bytes read of a small file beside the segments; a checkpoint has under 1,000."""

_NAME = re.compile(r"([0-9]{8})\.(log|stub)")


class Source(Protocol):
    """The files of one audit, read only; everything blocks."""

    def segments(self) -> Sequence[SegmentInfo]:
        """List the files, oldest first."""

    def open(self, number: int, *, stub: bool) -> BinaryIO:
        """Open one for reading; `FileNotFoundError` if retention put a stub in its place meanwhile."""

    def read_beside(self, name: str) -> bytes | None:
        """Read a small file beside them; None if there is none."""


class DirectorySource:
    """The files in a directory, of a gateway or of nobody any more."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def segments(self) -> Sequence[SegmentInfo]:
        """List the files, oldest first."""
        listed = self._list()
        if any(info.number + 1 != after.number for info, after in pairwise(listed)):
            # A running gateway may have put a stub in a log's place while the names were read.
            listed = self._list()
        return listed

    def open(self, number: int, *, stub: bool) -> BinaryIO:
        """Open one for reading; `FileNotFoundError` if retention put a stub in its place meanwhile."""
        return (self._directory / file_name(number, stub=stub)).open("rb")

    def read_beside(self, name: str) -> bytes | None:
        """Read a small file beside them; None if there is none."""
        try:
            with (self._directory / name).open("rb") as file:
                return file.read(MAX_BESIDE)
        except FileNotFoundError:
            return None

    def _list(self) -> list[SegmentInfo]:
        found: list[tuple[str, int]] = []
        for path in self._directory.iterdir():
            if _NAME.fullmatch(path.name) is not None:
                with suppress(FileNotFoundError):
                    found.append((path.name, path.stat().st_size))
        return _listed(found)


class ZipSource:
    """The files in an exported archive."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = set(archive.namelist())

    def segments(self) -> Sequence[SegmentInfo]:
        """List the files, oldest first."""
        return _listed((info.filename, info.file_size) for info in self._archive.infolist())

    def open(self, number: int, *, stub: bool) -> BinaryIO:
        """Open one for reading."""
        return self._open(file_name(number, stub=stub))

    def read_beside(self, name: str) -> bytes | None:
        """Read a small file beside them; None if there is none."""
        if name not in self._names:
            return None
        with self._open(name) as file:
            return file.read(MAX_BESIDE)

    def _open(self, name: str) -> BinaryIO:
        # ZipExtFile reads as every binary file does; its type is IO[bytes].
        return self._archive.open(name)  # type: ignore[return-value]


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open the source that a path names: a directory or a zip archive.

    Raises:
        OSError: it can not be read.
        zipfile.BadZipFile: a file that is no archive.
    """
    if path.is_dir():
        yield DirectorySource(path)
        return
    with zipfile.ZipFile(path) as archive:
        yield ZipSource(archive)


def file_name(number: int, *, stub: bool) -> str:
    """Return the name of a file of the audit."""
    return f"{number:08d}.{'stub' if stub else 'log'}"


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines with their newline; the last one without it if it was cut. Longer ones than allowed are cut."""
    while raw := file.readline(MAX_LINE + 1):
        if len(raw) <= MAX_LINE or raw.endswith(b"\n"):
            yield raw
            continue
        rest = raw
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE)
        # No line any more, however it ended.
        yield raw[:MAX_LINE] + (b"\n" if rest else b"")


def _listed(names: Iterable[tuple[str, int]]) -> list[SegmentInfo]:
    found: dict[int, tuple[bool, int]] = {}
    for name, size in names:
        match = _NAME.fullmatch(name)
        if match is not None and (match[2] == "stub" or int(match[1]) not in found):
            found[int(match[1])] = match[2] == "stub", size
    newest = max(found, default=0)
    return [
        SegmentInfo(number=number, size=size, sealed=stub or number < newest, stub=stub)
        for number, (stub, size) in sorted(found.items())
    ]
