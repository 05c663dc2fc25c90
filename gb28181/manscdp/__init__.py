"""MANSCDP+xml: the commands, queries, notifications and answers of GB/T 28181 Annex A."""

from gb28181.manscdp.item import CatalogItem
from gb28181.manscdp.message import (
    Content,
    ManscdpMessage,
    Unknown,
    parse_message,
    serialize_message,
)
from gb28181.manscdp.notify import Keepalive
from gb28181.manscdp.query import CatalogQuery, DeviceInfoQuery, DeviceStatusQuery
from gb28181.manscdp.response import (
    AlarmStatus,
    CatalogResponse,
    DeviceInfoResponse,
    DeviceStatusResponse,
    Response,
)

__all__ = [
    "AlarmStatus",
    "CatalogItem",
    "CatalogQuery",
    "CatalogResponse",
    "Content",
    "DeviceInfoQuery",
    "DeviceInfoResponse",
    "DeviceStatusQuery",
    "DeviceStatusResponse",
    "Keepalive",
    "ManscdpMessage",
    "Response",
    "Unknown",
    "parse_message",
    "serialize_message",
]
