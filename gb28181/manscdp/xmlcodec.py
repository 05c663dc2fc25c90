"""MANSCDP bodies to XML trees and back: charset, recovery and caps (GB/T 28181-2022 6.10, Annex A).

The declared charset is often wrong, so it decides almost nothing: a BOM, then valid UTF-8 with at
least one character beyond ASCII, then GB 18030, which reads GB 2312 and GBK too. Documents with a DTD
or entity declarations are refused; nothing is ever fetched.
"""

import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from gb28181.errors import LocalProtocolError, XmlError
from gb28181.limits import MAX_XML_BYTES, MAX_XML_DEPTH, MAX_XML_ELEMENTS
from gb28181.manscdp.repair import repair

__all__ = ["DecodedXml", "clean_text", "decode", "encode", "encode_text", "local_name"]

_DECLARATION: Final = re.compile(r"<\?xml[^<>]{0,256}>", re.IGNORECASE)
_DECLARED: Final = re.compile(
    rb"<\?xml[^<>]{0,200}?encoding\s*=\s*[\"']?\s*([A-Za-z0-9._:\-]{1,40})", re.IGNORECASE
)
# Charsets in which "<" is not the byte 3C, or not only that.
_REFUSED: Final = re.compile(rb"utf-?(?:16|32|7)|ucs|ebcdic|iso-?2022|hz|cp0?37", re.IGNORECASE)
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00<", b"<\x00", b"\x00\x00\xfe\xff")
_DTD: Final = re.compile(r"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ILLEGAL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_TOO_DEEP: Final = etree.XPath("boolean(" + "/*" * (MAX_XML_DEPTH + 1) + ")")
_ENCODINGS: Final = {
    # GB 2312 and GBK are subsets of GB 18030 byte for byte, and devices that declare GB2312 decode
    # with GBK. A character outside GB 2312 goes out in GB 18030 under the declared name.
    "GB2312": "gb18030",
    "GBK": "gb18030",
    "GB18030": "gb18030",
    "UTF-8": "utf-8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedXml:
    """A tree and what it took to read it."""

    root: etree._Element
    charset: str
    """What the bytes were: `UTF-8`, `GB18030`, or `ASCII` when nothing tells them apart."""
    declared: str
    """The encoding named by the declaration, upper case; "" when absent."""
    recovered: int
    """Repairs made: illegal characters dropped, raw ``&`` and ``<``, stray and missing tags."""


def decode(body: bytes) -> DecodedXml:
    """Read a body, repairing what devices get wrong.

    Raises:
        XmlError: It is empty, too large, too deep, in a charset that is not allowed, has a DTD, or
            is no XML even after repair.
    """
    if len(body) > MAX_XML_BYTES:
        raise XmlError(f"XML of {len(body)} bytes exceeds {MAX_XML_BYTES}", status=413)
    text, charset, declared = _to_text(body)
    text, illegal = _ILLEGAL.subn("", text)
    text = text.lstrip("\ufeff \t\r\n")
    forbidden = _DTD.search(text)
    if forbidden is not None:
        raise XmlError(f"XML with {forbidden.group()} is not accepted", position=forbidden.start())
    text = _DECLARATION.sub("", text, count=1).strip()
    if not text:
        raise XmlError("expected an XML body, got an empty one")
    if text.count("<") - text.count("</") > MAX_XML_ELEMENTS:
        raise XmlError(f"XML has more than {MAX_XML_ELEMENTS} elements", status=413)
    root, recovered = _to_tree(text)
    if _TOO_DEEP(root):
        raise XmlError(f"XML nests deeper than {MAX_XML_DEPTH} elements")
    return DecodedXml(
        root=root, charset=charset, declared=declared, recovered=recovered + bool(illegal)
    )


def encode(root: etree._Element, charset: str = "GB2312") -> bytes:
    """Write a tree with its declaration, in lines as the standard prints them.

    Args:
        root: The tree; it is indented in place.
        charset: What to declare: `GB2312` (peers up to 2016), `GB18030` (2022), `GBK`, `UTF-8`.

    Raises:
        LocalProtocolError: The charset is none of these.
    """
    etree.indent(root, "  ")
    return encode_text(etree.tostring(root, encoding="unicode"), charset)


def encode_text(text: str, charset: str = "GB2312") -> bytes:
    """Put the declaration before the text of an element, and both into a charset.

    Raises:
        LocalProtocolError: The charset is not known.
    """
    name = charset.upper()
    encoding = _ENCODINGS.get("UTF-8" if name == "UTF8" else name)
    if encoding is None:
        raise LocalProtocolError(f"expected one of {', '.join(_ENCODINGS)}, got {charset!r}")
    document = f'<?xml version="1.0" encoding="{name}"?>\n{text}\n'
    return document.replace("\r\n", "\n").replace("\n", "\r\n").encode(encoding)


def clean_text(text: str) -> str:
    """Drop the characters that XML cannot carry, so that any text can be sent."""
    # Nearly all text is printable, and printable text has none of them.
    return text if text.isprintable() else _ILLEGAL.sub("", text).replace("\r", "")


def local_name(element: etree._Element) -> str:
    """Return an element's name without a namespace."""
    return str(element.tag).rpartition("}")[2]


def _to_text(body: bytes) -> tuple[str, str, str]:
    if body.startswith(_WIDE):
        raise XmlError("expected GB 2312, GB 18030 or UTF-8, got a 16- or 32-bit charset")
    match = _DECLARED.search(body[:512])
    declared = match.group(1) if match else b""
    if _REFUSED.search(declared):
        raise XmlError(f"expected GB 2312, GB 18030 or UTF-8, got {declared.decode('ascii')}")
    name = declared.decode("ascii").upper()
    if body.startswith(b"\xef\xbb\xbf"):
        return body[3:].decode("utf-8", "replace"), "UTF-8", name
    if body.isascii():
        return body.decode("ascii"), "ASCII", name
    says_utf8 = name in {"UTF-8", "UTF8"}
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        # Some GB 2312 texts are valid UTF-8 by chance (枪 is C7 B9), but then made of two-byte
        # sequences only, where real Chinese in UTF-8 has three-byte ones.
        if says_utf8 or any(char >= "\u0800" for char in text) or not _is_gb18030(body):
            return text, "UTF-8", name
    if says_utf8:
        # A name cut in the middle of a character spoils valid UTF-8 but leaves the rest of it.
        text = body.decode("utf-8", "replace")
        broken = text.count("\ufffd")
        if sum(not char.isascii() for char in text) - broken > 4 * broken:
            return text, "UTF-8", name
    return body.decode("gb18030", "replace"), "GB18030", name


def _is_gb18030(body: bytes) -> bool:
    try:
        body.decode("gb18030")
    except UnicodeDecodeError:
        return False
    return True


def _to_tree(text: str) -> tuple[etree._Element, int]:
    try:
        return etree.fromstring(text.encode("utf-8"), _parser(recover=False)), 0
    except etree.XMLSyntaxError:
        pass
    repaired, count = repair(text)
    try:
        root = etree.fromstring(repaired.encode("utf-8"), _parser(recover=True))
    except etree.XMLSyntaxError as exc:
        raise XmlError(f"body is no XML: {str(exc)[:200]}") from exc
    if root is None:
        raise XmlError("body is no XML: no element could be read")
    return root, max(count, 1)


def _parser(*, recover: bool) -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        recover=recover,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
