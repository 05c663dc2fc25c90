"""MANSCDP messages: envelope and content (GB/T 28181-2022 Annex A).

Four roots: `Control`, `Query`, `Notify`, `Response`; first children `CmdType`, `SN`, `DeviceID`.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from lxml import etree

from gb28181.errors import LocalProtocolError
from gb28181.manscdp import fields
from gb28181.manscdp.alarm import AlarmNotify, AlarmQuery, join_methods, split_methods
from gb28181.manscdp.control import DeviceControl
from gb28181.manscdp.notify import CatalogEvent, CatalogNotify, Keepalive
from gb28181.manscdp.query import CatalogQuery, DeviceInfoQuery, DeviceStatusQuery
from gb28181.manscdp.registry import ROOTS, Registry, core_registry
from gb28181.manscdp.response import (
    CatalogResponse,
    DeviceInfoResponse,
    DeviceStatusResponse,
    Response,
)
from gb28181.manscdp.schema import flatten
from gb28181.manscdp.spec import edition_year
from gb28181.manscdp.tree import Branch, leaf_line
from gb28181.manscdp.xmlcodec import decode, encode, encode_text, local_name

__all__ = ["Content", "ManscdpMessage", "Unknown", "parse_message", "serialize_message"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A message for which there is no dataclass; its tree can be read and passed on."""

    root: str
    cmd_type: str
    sn: int | None
    device_id: str
    element: etree._Element = field(compare=False, repr=False)


Content = (
    AlarmNotify
    | AlarmQuery
    | CatalogNotify
    | CatalogQuery
    | CatalogResponse
    | DeviceControl
    | DeviceInfoQuery
    | DeviceInfoResponse
    | DeviceStatusQuery
    | DeviceStatusResponse
    | Keepalive
    | Response
    | Unknown
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManscdpMessage:
    """A body as received: the envelope, what it says, and how well it was written."""

    root: str
    """Spelled as the standard spells it where it is one of the four roots."""
    cmd_type: str
    """Spelled as the standard spells it where the message is known; "" when absent."""
    sn: int | None
    device_id: str
    """Target of a request, its echo in an answer; "" when absent (Broadcast has none)."""
    content: Content
    element: etree._Element = field(compare=False, repr=False)
    """The whole tree."""
    charset: str
    """`UTF-8`, `GB18030`, or `ASCII` when nothing tells them apart."""
    declared: str
    recovered: int
    """Repairs it took to read it; 0 for sound XML."""
    missing: tuple[str, ...]
    """Standard names of mandatory values that are absent."""


_REGISTRY: Final = core_registry()
_ENVELOPE: Final = frozenset({"cmdtype", "sn", "deviceid", "result", "reason"})


def parse_message(body: bytes, *, registry: Registry = _REGISTRY) -> ManscdpMessage:
    """Read a MANSCDP body.

    Raises:
        XmlError: The bytes are no usable XML.
    """
    decoded = decode(body)
    element = decoded.root
    flat = {name.lower(): text for name, text in reversed(flatten(element).items())}
    root = local_name(element)
    root = next((name for name in ROOTS if name.lower() == root.lower()), root)
    cmd_type = flat.get("cmdtype", "")
    sn = fields.parse_int(flat.get("sn", ""))
    device_id = flat.get("deviceid", "")
    entry = registry.find(root, cmd_type)
    if entry is None and root == "Response" and "result" in flat and _is_bare(element):
        entry = registry.generic
    content: Any = None
    if entry is not None:
        cmd_type = entry.cmd_type or cmd_type
        content = entry.plan.read(element)
    else:
        content = Unknown(root=root, cmd_type=cmd_type, sn=sn, device_id=device_id, element=element)
    return ManscdpMessage(
        root=root,
        cmd_type=cmd_type,
        sn=sn,
        device_id=device_id,
        content=content,
        element=element,
        charset=decoded.charset,
        declared=decoded.declared,
        recovered=decoded.recovered,
        missing=entry.plan.missing(content) if entry is not None else (),
    )


def serialize_message(
    content: Content,
    charset: str = "GB2312",
    *,
    edition: str = "2016",
    registry: Registry = _REGISTRY,
) -> bytes:
    """Write a MANSCDP body in the peer's charset, as its edition has it (protocol 4.9.1, 9.1).

    Args:
        content: One of the message dataclasses; `Unknown` is passed on as it came.
        charset: `GB2312` for peers up to 2016, `GB18030` for 2022, `UTF-8` on request.
        edition: `2011`, `2014`, `2016` or `2022` (or an X-GB-Ver): fields the edition does not
            have are left out, those it spells or places otherwise follow it.
        registry: The messages known.

    Raises:
        LocalProtocolError: A mandatory value is absent, or no such message, charset or edition is
            known.
    """
    year = edition_year(edition)
    if isinstance(content, Unknown):
        return encode(content.element, charset)
    content = _adapted(content, year)
    entry = registry.of(type(content))
    if entry is None:
        raise LocalProtocolError(f"{type(content).__name__} is no message of the registry")
    root = Branch(entry.root)
    if entry.cmd_type:
        root.add(leaf_line("CmdType", entry.cmd_type))
    entry.plan.write(content, root, edition=year)
    return encode_text("\n".join(root.lines()), charset)


def _adapted(content: Content, year: int) -> Content:
    """Put into the terms of an edition what is not only a matter of single fields."""
    match content:
        case CatalogNotify() if year <= _NO_EVENTS:
            return _without_events(content)
        case AlarmQuery() | DeviceControl() if len(content.alarm_method) > 1:
            # Only what is a list of methods; anything else stays as somebody wrote it.
            if content.alarm_method.replace("/", "").isdigit():
                joined = join_methods(split_methods(content.alarm_method), year)
                return replace(content, alarm_method=joined)
    return content


_NO_EVENTS: Final = 2011


def _without_events(notify: CatalogNotify) -> CatalogResponse:
    """Return what 2011 has for a notification: a Response with full items, their state in Status."""
    items = []
    for item in notify.items:
        event = CatalogEvent.of(item)
        status = item.status
        if event is not None and not event.has_fields:
            status = "ON" if event is CatalogEvent.ON else "OFF"
        items.append(replace(item, event="", status=status))
    return CatalogResponse(
        sn=notify.sn, device_id=notify.device_id, sum_num=notify.sum_num, items=tuple(items)
    )


def _is_bare(element: etree._Element) -> bool:
    """Whether there is nothing besides the envelope and a result."""
    return all(local_name(child).lower() in _ENVELOPE for child in element)
