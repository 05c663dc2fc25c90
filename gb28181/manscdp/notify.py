"""Notifications (GB/T 28181-2022 A.2.5)."""

import enum
import re
from dataclasses import dataclass
from typing import Annotated, Final

from gb28181.manscdp.item import CatalogItem, changed_item_view
from gb28181.manscdp.schema import Leaf, ListOf

__all__ = ["CatalogEvent", "CatalogNotify", "Keepalive", "read_plain_keepalive"]

# As nearly every device writes it, perhaps padded with NUL.
_PLAIN_KEEPALIVE = re.compile(
    rb"""\s*(?:<\?xml\s+version=["']1\.0["'](?:\s+encoding=["'](?i:GB2312|GB18030|GBK|UTF-8)["'])?\s*\?>\s*)?"""
    rb"<Notify>\s*<CmdType>Keepalive</CmdType>\s*<SN>([0-9]{1,9})</SN>\s*"
    rb"<DeviceID>([0-9]{1,20})</DeviceID>\s*<Status>(OK|ERROR)</Status>\s*"
    rb"(?:<Info>\s*</Info>\s*|<Info ?/>\s*)?</Notify>[\s\x00]*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive:
    """A device's sign of life (状态信息报送)."""

    sn: Annotated[int, Leaf("SN", required=True)] = 0
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    status: Annotated[str, Leaf("Status", required=True)] = ""
    """`OK` or `ERROR`, as sent."""
    faults: Annotated[tuple[str, ...], Leaf("DeviceID", within="Info")] = ()
    """Identifiers of faulty sub-devices."""

    @property
    def is_ok(self) -> bool:
        """Whether the device works normally; an absent status counts as OK."""
        return self.status.upper() in {"", "OK", "ON", "ONLINE"}


class CatalogEvent(enum.StrEnum):
    """What happened to a catalogue item (7.3)."""

    ON = "ON"
    OFF = "OFF"
    VLOST = "VLOST"
    """Video lost."""
    DEFECT = "DEFECT"
    ADD = "ADD"
    DEL = "DEL"
    UPDATE = "UPDATE"

    @classmethod
    def of(cls, item: CatalogItem) -> "CatalogEvent | None":
        """Return the event of an item, in any case; None if it has none or another."""
        text = item.event.strip().upper()
        return _EVENTS.get(text)

    @property
    def has_fields(self) -> bool:
        """Whether the item carries its fields, and not its identifier only."""
        return self in {CatalogEvent.ADD, CatalogEvent.UPDATE}


_EVENTS: Final = {
    **{str(event): event for event in CatalogEvent},
    "ONLINE": CatalogEvent.ON,
    "OFFLINE": CatalogEvent.OFF,
    "DELETE": CatalogEvent.DEL,
    "MOD": CatalogEvent.UPDATE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogNotify:
    """Changes of a catalogue (目录变更通知); for a 2011 peer it becomes a Response with full items."""

    sn: Annotated[int, Leaf("SN", required=True)] = 0
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    """The identifier subscribed to."""
    status: Annotated[str, Leaf("Status")] = ""
    """`OK` in the samples of 2014 and 2016."""
    sum_num: Annotated[int | None, Leaf("SumNum", required=True)] = None
    """Items in all messages together, as claimed; often wrong."""
    items: Annotated[tuple[CatalogItem, ...], ListOf("DeviceList", view=changed_item_view)] = ()
    """Each with its `event` (`CatalogEvent.of`)."""


def read_plain_keepalive(body: bytes) -> Keepalive | None:
    """Read a keepalive in its usual form without an XML parser; None for everything else.

    Most of what devices ever send is this: a tenth of the work of `parse_message`, with the same result.
    """
    match = _PLAIN_KEEPALIVE.fullmatch(body)
    if match is None:
        return None
    sn, device_id, status = match.groups()
    return Keepalive(sn=int(sn), device_id=device_id.decode(), status=status.decode())
