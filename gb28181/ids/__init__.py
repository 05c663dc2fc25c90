"""Identifiers of GB/T 28181 (2022 Annex E): 20-digit codes, type codes, division codes."""

from gb28181.ids.device_id import DeviceId, IdShape, is_device_id, is_region_code, parse_device_id
from gb28181.ids.kind import IdKind, kind_of

__all__ = [
    "DeviceId",
    "IdKind",
    "IdShape",
    "is_device_id",
    "is_region_code",
    "kind_of",
    "parse_device_id",
]
