"""Rebuild a well-formed document from XML that devices get wrong.

Used only after a strict parse has failed. libxml2's own recovery closes the wrong element on a
stray end tag, and everything after it is lost; here the document's own tags decide:

* an end tag that nothing opened is dropped (quirk 44, a second ``</Item>``);
* an element left open is closed with the one around it, so a truncated body keeps what came;
* ``<`` that starts no tag, or a tag that is closed nowhere, is text (quirk 43);
* ``&`` that starts no reference is text (quirk 42), and numeric references survive;
* attributes may lack quotes (``Num=2``, printed in the standard itself).
"""

import re
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from gb28181.errors import XmlError
from gb28181.limits import MAX_XML_DEPTH

__all__ = ["repair"]

# Every expression here is linear in the text: a body of 1 MiB of nothing but trouble is a cheap
# attack otherwise.
_TOKEN: Final = re.compile(
    r"<\?[^<>]*>"
    r"|<(?P<end>/?)(?:[A-Za-z_][\w.\-]*+:)?(?P<name>[A-Za-z_][\w.\-]*+)(?P<rest>(?:\s[^<>]*)?)(?P<empty>/?)>",
    re.ASCII,
)
_ATTRIBUTE: Final = re.compile(
    r"(?<![\w.:\-])(?:[A-Za-z_][\w.\-]*+:)?([A-Za-z_][\w.\-]*+)\s*+=\s*+"
    r"(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>/]++))",
    re.ASCII,
)
_END_TAG: Final = re.compile(r"</(?:[A-Za-z_][\w.\-]*:)?([A-Za-z_][\w.\-]*)\s*>", re.ASCII)
_RAW_AMPERSAND: Final = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_REFERENCE: Final = re.compile(r"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_TRUNCATED_TAG: Final = re.compile(r"<[^<>]{0,512}\Z")
# Elements that are real even if a truncated body never closes them.
_STRUCTURE: Final = frozenset(
    {
        "control",
        "query",
        "notify",
        "response",
        "devicelist",
        "recordlist",
        "item",
        "info",
        "extrainfo",
    }
)


def repair(text: str) -> tuple[str, int]:
    """Return a well-formed document and how many repairs it took.

    Args:
        text: The document without its XML declaration.

    Raises:
        XmlError: There is no element in it, or elements nest too deep.
    """
    return _Repair(_without_sections(text)).run()


def _without_sections(text: str) -> str:
    """Drop comments and turn CDATA sections into escaped text; unclosed ones stay as they are."""
    parts = []
    position = at = 0
    while (at := text.find("<!", at)) >= 0:
        cdata = text.startswith("<![CDATA[", at)
        if not cdata and not text.startswith("<!--", at):
            at += 2
            continue
        end = text.find("]]>" if cdata else "-->", at + 4)
        if end < 0:
            break
        parts.append(text[position:at])
        if cdata:
            parts.append(escape(text[at + 9 : end]))
        position = at = end + 3
    return "".join([*parts, text[position:]])


class _Repair:
    def __init__(self, text: str) -> None:
        self._text = text
        self._closed = {match.group(1).lower() for match in _END_TAG.finditer(text)}
        self._open: list[str] = []
        self._out: list[str] = []
        self._count = 0
        self._done = False

    def run(self) -> tuple[str, int]:
        position = 0
        for token in _TOKEN.finditer(self._text):
            self._add_text(self._text[position : token.start()])
            self._add_token(token)
            position = token.end()
            if self._done:
                break
        else:
            self._add_text(_TRUNCATED_TAG.sub("", self._text[position:]))
        if not self._out:
            raise XmlError("expected an XML element, found none")
        self._count += len(self._open)
        while self._open:
            self._close_innermost()
        return "".join(self._out), self._count

    def _add_text(self, text: str) -> None:
        if not self._open:
            return
        text, ampersands = _RAW_AMPERSAND.subn("&amp;", text)
        self._count += ampersands + text.count("<")
        text = _REFERENCE.sub(_checked_reference, text)
        self._out.append(text.replace("<", "&lt;").replace(">", "&gt;"))

    def _add_token(self, token: re.Match[str]) -> None:
        name = token["name"]
        if name is None:
            return
        if token["end"]:
            self._add_end(name)
        elif not token["empty"] and not token["rest"].endswith("/") and not self._is_element(name):
            self._add_text(token.group())
        else:
            self._add_start(token)

    def _is_element(self, name: str) -> bool:
        lower = name.lower()
        return not self._open or lower in self._closed or lower in _STRUCTURE

    def _add_start(self, token: re.Match[str]) -> None:
        if len(self._open) >= MAX_XML_DEPTH:
            raise XmlError(
                f"XML nests deeper than {MAX_XML_DEPTH} elements", position=token.start()
            )
        rest = token["rest"]
        empty = bool(token["empty"]) or rest.endswith("/")
        attributes: dict[str, str] = {}
        for name, double, single, bare in _ATTRIBUTE.findall(rest):
            attributes.setdefault(name, double or single or bare)
            self._count += bool(bare)
        self._out.append(f"<{token['name']}")
        for name, value in attributes.items():
            checked = _REFERENCE.sub(_checked_reference, _RAW_AMPERSAND.sub("&amp;", value))
            quoted = (
                quoteattr(checked).replace("&amp;", "&") if "&" in checked else quoteattr(checked)
            )
            self._out.append(f" {name}={quoted}")
        self._out.append("/>" if empty else ">")
        if not empty:
            self._open.append(token["name"])
        elif not self._open:
            self._done = True

    def _add_end(self, name: str) -> None:
        lower = name.lower()
        if lower not in (opened.lower() for opened in self._open):
            self._count += 1
            return
        while self._open[-1].lower() != lower:
            self._close_innermost()
            self._count += 1
        self._count += self._open[-1] != name
        self._close_innermost()
        self._done = not self._open

    def _close_innermost(self) -> None:
        self._out.append(f"</{self._open.pop()}>")


def _checked_reference(match: re.Match[str]) -> str:
    """Keep a numeric reference only if the character may stand in XML."""
    code = int(match[1], 16) if match[1] else int(match[2])
    legal = code in {9, 10, 13} or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD
    return match.group() if legal or 0x10000 <= code <= 0x10FFFF else ""
