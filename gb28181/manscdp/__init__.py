"""MANSCDP+xml: the commands, queries, notifications and answers of GB/T 28181 Annex A."""

from gb28181.manscdp.alarm import AlarmNotify, AlarmQuery, AlarmTypeParam
from gb28181.manscdp.control import (
    DeviceControl,
    DeviceUpgrade,
    DragZoom,
    HomePosition,
    PtzCommandParams,
    PtzPrecise,
    SubCommand,
)
from gb28181.manscdp.item import CatalogItem, item_from_texts, sent_fields
from gb28181.manscdp.message import (
    Content,
    ManscdpMessage,
    Unknown,
    parse_message,
    serialize_message,
)
from gb28181.manscdp.notify import CatalogEvent, CatalogNotify, Keepalive
from gb28181.manscdp.query import CatalogQuery, DeviceInfoQuery, DeviceStatusQuery
from gb28181.manscdp.response import (
    AlarmStatus,
    CatalogResponse,
    DeviceInfoResponse,
    DeviceStatusResponse,
    Response,
)

__all__ = [
    "AlarmNotify",
    "AlarmQuery",
    "AlarmStatus",
    "AlarmTypeParam",
    "CatalogEvent",
    "CatalogItem",
    "CatalogNotify",
    "CatalogQuery",
    "CatalogResponse",
    "Content",
    "DeviceControl",
    "DeviceInfoQuery",
    "DeviceInfoResponse",
    "DeviceStatusQuery",
    "DeviceStatusResponse",
    "DeviceUpgrade",
    "DragZoom",
    "HomePosition",
    "Keepalive",
    "ManscdpMessage",
    "PtzCommandParams",
    "PtzPrecise",
    "Response",
    "SubCommand",
    "Unknown",
    "item_from_texts",
    "parse_message",
    "sent_fields",
    "serialize_message",
]
