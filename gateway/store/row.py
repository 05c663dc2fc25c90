"""Domain objects to rows and back."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping

from gateway.domain.device import (
    Channel,
    ChannelKind,
    Device,
    DeviceAddress,
    DeviceSettings,
    MediaTransport,
    OfflineReason,
    TimelineEntry,
    TimelineKind,
)
from gateway.domain.document import SharedId
from gateway.domain.store import TIMELINE_KEPT, DeviceSecret

__all__ = [
    "Row",
    "channel_from",
    "channel_row",
    "device_from",
    "device_row",
    "document_from",
    "document_row",
    "entry_from",
    "entry_row",
    "secret_rows",
    "shared_id_from",
    "shared_id_row",
]

Row = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT32 = 2**31 - 1


def device_row(device: Device) -> Row:
    """Return a device as a row."""
    address, settings = device.address, device.settings
    transport = settings.media_transport
    reason = device.offline_reason
    return {
        "device_id": _clean(device.device_id),
        "transport": address and address.transport,
        "host": address and address.host,
        "port": address and address.port,
        "local_host": address and address.local_host,
        "local_port": address and address.local_port,
        "contact": _clean(device.contact),
        "offline_reason": reason and reason.value,
        "status_since": _ticks(device.status_since),
        "registered_at": _ticks(device.registered_at),
        "expires_at": _ticks(device.expires_at),
        "last_keepalive_at": _ticks(device.last_keepalive_at),
        "call_id": _clean(device.call_id),
        "gb_version": _clean(device.gb_version),
        "user_agent": _clean(device.user_agent),
        "name": _clean(device.name),
        "manufacturer": _clean(device.manufacturer),
        "model": _clean(device.model),
        "firmware": _clean(device.firmware),
        "catalog_at": _ticks(device.catalog_at),
        "media_transport": transport and transport.value,
        "charset": settings.charset,
        "follow_address": settings.follow_address,
        "keepalive_interval": settings.keepalive_interval,
        "keepalive_misses": settings.keepalive_misses,
    }


def device_from(row: RowMapping) -> Device:
    """Return a device as it was written; `online` is for the registry to decide."""
    address = None
    if row["transport"] is not None:
        address = DeviceAddress(
            transport=row["transport"],
            host=row["host"],
            port=row["port"],
            local_host=row["local_host"],
            local_port=row["local_port"],
        )
    reason, transport = row["offline_reason"], row["media_transport"]
    return Device(
        device_id=row["device_id"],
        address=address,
        contact=row["contact"],
        offline_reason=None if reason is None else OfflineReason(reason),
        status_since=_time(row["status_since"]),
        registered_at=_time(row["registered_at"]),
        expires_at=_time(row["expires_at"]),
        last_keepalive_at=_time(row["last_keepalive_at"]),
        call_id=row["call_id"],
        gb_version=row["gb_version"],
        user_agent=row["user_agent"],
        name=row["name"],
        manufacturer=row["manufacturer"],
        model=row["model"],
        firmware=row["firmware"],
        catalog_at=_time(row["catalog_at"]),
        settings=DeviceSettings(
            media_transport=None if transport is None else MediaTransport(transport),
            charset=row["charset"],
            follow_address=row["follow_address"],
            keepalive_interval=row["keepalive_interval"],
            keepalive_misses=row["keepalive_misses"],
        ),
    )


def secret_rows(device_id: str, secret: DeviceSecret) -> list[Row]:
    """Return a secret as rows, one per algorithm."""
    return [
        {"device_id": device_id, "algorithm": algorithm, "realm": secret.realm, "ha1": ha1}
        for algorithm, ha1 in secret.ha1.items()
    ]


def channel_row(position: int, channel: Channel) -> Row:
    """Return a channel as a row."""
    return {
        "device_id": channel.device_id,
        "channel_id": _clean(channel.channel_id),
        "position": position,
        "kind": channel.kind.value,
        "name": _clean(channel.name),
        "manufacturer": _clean(channel.manufacturer),
        "model": _clean(channel.model),
        "civil_code": _clean(channel.civil_code),
        "address": _clean(channel.address),
        "parent_ids": _clean("/".join(channel.parent_ids)),
        "business_group_id": _clean(channel.business_group_id),
        "online": channel.online,
        "status_text": _clean(channel.status_text),
        "longitude": channel.longitude,
        "latitude": channel.latitude,
        "secrecy": _small(channel.secrecy),
        "ptz_type": None if channel.ptz_type is None else _small(channel.ptz_type),
        # ASCII escapes carry NUL and lone surrogates too.
        "extra": json.dumps(channel.extra) if channel.extra else "",
    }


def channel_from(row: RowMapping) -> Channel:
    """Return a channel as it was written."""
    parents = row["parent_ids"]
    return Channel(
        device_id=row["device_id"],
        channel_id=row["channel_id"],
        kind=ChannelKind(row["kind"]),
        name=row["name"],
        manufacturer=row["manufacturer"],
        model=row["model"],
        civil_code=row["civil_code"],
        address=row["address"],
        parent_ids=tuple(parents.split("/")) if parents else (),
        business_group_id=row["business_group_id"],
        online=row["online"],
        status_text=row["status_text"],
        longitude=row["longitude"],
        latitude=row["latitude"],
        secrecy=row["secrecy"],
        ptz_type=row["ptz_type"],
        extra=json.loads(row["extra"]) if row["extra"] else {},
    )


def entry_row(device_id: str, sequence: int, entry: TimelineEntry) -> Row:
    """Return a timeline entry as a row."""
    return {
        "device_id": device_id,
        "slot": sequence % TIMELINE_KEPT,
        "sequence": sequence,
        "at": _ticks(entry.at),
        "kind": entry.kind.value,
        "detail": _clean(entry.detail),
        "count": _small(entry.count),
        "first_at": _ticks(entry.first_at),
    }


def entry_from(row: RowMapping) -> TimelineEntry:
    """Return a timeline entry as it was written."""
    at = _time(row["at"]) or _EPOCH
    return TimelineEntry(
        at, TimelineKind(row["kind"]), row["detail"], row["count"], _time(row["first_at"])
    )


def document_row(collection: str, key: str, body: Mapping[str, Any]) -> Row:
    """Return a document as a row, as it is now.

    Raises:
        TypeError: something in it is not JSON.
        ValueError: it holds a NaN or an infinity.
    """
    # ASCII escapes carry NUL and lone surrogates too.
    text = json.dumps(dict(body), separators=(",", ":"), allow_nan=False)
    return {"collection": collection, "key": _clean(key), "body": text}


def document_from(row: RowMapping) -> tuple[str, dict[str, Any]]:
    """Return key and body of a document."""
    return row["key"], json.loads(row["body"])


def shared_id_row(shared: SharedId) -> Row:
    """Return a code given out as a row."""
    return {
        "platform_id": shared.platform_id,
        "shared_id": shared.shared_id,
        "device_id": shared.device_id,
        "channel_id": _clean(shared.channel_id),
    }


def shared_id_from(row: RowMapping) -> SharedId:
    """Return a code as it was given out."""
    return SharedId(
        platform_id=row["platform_id"],
        shared_id=row["shared_id"],
        device_id=row["device_id"],
        channel_id=row["channel_id"],
    )


def _clean(text: str) -> str:
    """Return a text that every database takes: no NUL (PostgreSQL), no bytes kept by surrogateescape."""
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _small(number: int) -> int:
    return max(-_INT32, min(number, _INT32))


def _ticks(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def _time(ticks: int | None) -> datetime | None:
    return None if ticks is None else _EPOCH + timedelta(microseconds=ticks)
