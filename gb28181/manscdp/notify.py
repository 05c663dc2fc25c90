"""Notifications (GB/T 28181-2022 A.2.5)."""

from dataclasses import dataclass
from typing import Annotated

from gb28181.manscdp.schema import Leaf

__all__ = ["Keepalive"]


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
