"""Notifications (GB/T 28181-2022 A.2.5)."""

import re
from dataclasses import dataclass
from typing import Annotated

from gb28181.manscdp.schema import Leaf

__all__ = ["Keepalive", "read_plain_keepalive"]

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


def read_plain_keepalive(body: bytes) -> Keepalive | None:
    """Read a keepalive in its usual form without an XML parser; None for everything else.

    Most of what devices ever send is this: a tenth of the work of `parse_message`, with the same result.
    """
    match = _PLAIN_KEEPALIVE.fullmatch(body)
    if match is None:
        return None
    sn, device_id, status = match.groups()
    return Keepalive(sn=int(sn), device_id=device_id.decode(), status=status.decode())
