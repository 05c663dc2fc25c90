"""Queries (GB/T 28181-2022 A.2.4)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from gb28181.manscdp.schema import Leaf

__all__ = ["CatalogQuery", "DeviceInfoQuery", "DeviceStatusQuery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatusQuery:
    """Ask a device how it is."""

    sn: Annotated[int, Leaf("SN", required=True)] = 0
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogQuery:
    """Ask for the catalogue below a device, division, system, group or organisation."""

    sn: Annotated[int, Leaf("SN", required=True)] = 0
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    start_time: Annotated[datetime | None, Leaf("StartTime")] = None
    """Only what was added since; None is unlimited."""
    end_time: Annotated[datetime | None, Leaf("EndTime")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfoQuery:
    """Ask a device what it is."""

    sn: Annotated[int, Leaf("SN", required=True)] = 0
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
