"""Catalogue items as channels: what devices claim, put into the gateway's terms."""

from collections.abc import Iterable
from typing import Final

from gateway.domain.device import Channel, ChannelKind
from gb28181.errors import RemoteProtocolError
from gb28181.ids import DeviceId, IdKind, is_region_code, parse_device_id
from gb28181.limits import MAX_CHANNEL_EXTRA, MAX_CHANNEL_PARENTS
from gb28181.manscdp import CatalogItem

__all__ = ["channel_from_item", "channel_kind", "channels_from_items", "is_online"]

_ONLINE: Final = frozenset({"ON", "OK", "ONLINE", "1", "TRUE"})
# What Channel holds as text of its own, and what is never kept.
_MAPPED: Final = frozenset(
    {
        "deviceid",
        "name",
        "manufacturer",
        "model",
        "address",
        "parentid",
        "businessgroupid",
        "info.businessgroupid",
        "status",
        # What happened to the item in a notification, nothing about the item itself.
        "event",
        "password",
        "info.password",
    }
)
_KINDS: Final = {
    IdKind.CAMERA: ChannelKind.CAMERA,
    # Odd vendors number their cameras 139, 144-199 or anyhow; a camera that nobody can see in the
    # list is worse than a wrong word beside it.
    IdKind.PERIPHERAL: ChannelKind.CAMERA,
    IdKind.UNKNOWN: ChannelKind.CAMERA,
    IdKind.VOICE_INPUT: ChannelKind.AUDIO,
    IdKind.VOICE_OUTPUT: ChannelKind.AUDIO,
    # The standard's "mobile transmission device" is in practice the target of a broadcast.
    IdKind.MOBILE: ChannelKind.AUDIO,
    IdKind.ALARM_INPUT: ChannelKind.ALARM,
    IdKind.ALARM_OUTPUT: ChannelKind.ALARM,
    IdKind.MAIN_DEVICE: ChannelKind.DEVICE,
    IdKind.PLATFORM: ChannelKind.PLATFORM,
    IdKind.REGION: ChannelKind.REGION,
    IdKind.BUSINESS_GROUP: ChannelKind.GROUP,
    IdKind.ORGANISATION: ChannelKind.ORGANISATION,
    IdKind.DISPLAY: ChannelKind.OTHER,
    IdKind.ACCESS_CONTROL: ChannelKind.OTHER,
    IdKind.USER: ChannelKind.OTHER,
    IdKind.EXTERNAL_SERVER: ChannelKind.OTHER,
}


def channel_kind(channel_id: str) -> ChannelKind:
    """Return what an identifier says an item is; identifiers without a type are cameras."""
    return _KINDS[DeviceId(channel_id).kind]


def is_online(status: str) -> bool:
    """Whether a status text means ON: `ON`, `OK`, `ONLINE`, `1` in any case, or none at all."""
    return not status or status.strip().upper() in _ONLINE


def channel_from_item(device_id: str, item: CatalogItem, *, platform_id: str) -> Channel | None:
    """Return the channel an item describes.

    None for an item that is none: without a usable identifier, or the device itself. A recorder or
    lower platform that lists itself is not its own channel; a camera that registers itself is.

    Args:
        device_id: The device whose catalogue it is.
        item: The item as received.
        platform_id: Our own identifier, which some devices give as the parent of everything.
    """
    try:
        channel_id = parse_device_id(item.device_id).value
    except RemoteProtocolError:
        return None
    if channel_id == device_id and DeviceId(channel_id).kind in _NEVER_OWN_CHANNEL:
        return None
    usable = {
        "civilcode": item.civil_code if is_region_code(item.civil_code) else None,
        "longitude": _within(item.longitude, 180.0),
        "latitude": _within(item.latitude, 90.0),
        "secrecy": item.secrecy,
        "ptztype": item.ptz_type,
        "info.ptztype": item.ptz_type,
    }
    # What could not be read stays visible as it was sent.
    mapped = _MAPPED.union(name for name, value in usable.items() if value is not None)
    extra = {name: text for name, text in item.raw.items() if name.lower() not in mapped}
    return Channel(
        device_id=device_id,
        channel_id=channel_id,
        kind=channel_kind(channel_id),
        name=item.name,
        manufacturer=item.manufacturer,
        model=item.model,
        civil_code=item.civil_code if is_region_code(item.civil_code) else "",
        address=item.address,
        parent_ids=_parents(item.parent_id, without={channel_id, platform_id}),
        business_group_id=item.business_group_id,
        online=is_online(item.status),
        status_text=item.status,
        longitude=_within(item.longitude, 180.0),
        latitude=_within(item.latitude, 90.0),
        secrecy=_secrecy(item),
        ptz_type=item.ptz_type,
        extra=dict(list(extra.items())[:MAX_CHANNEL_EXTRA]),
    )


def channels_from_items(
    device_id: str, items: Iterable[CatalogItem], *, platform_id: str
) -> list[Channel]:
    """Return the channels of a catalogue, one per identifier; the last item of one wins."""
    channels: dict[str, Channel] = {}
    for item in items:
        channel = channel_from_item(device_id, item, platform_id=platform_id)
        if channel is not None:
            channels[channel.channel_id] = channel
    return list(channels.values())


_NEVER_OWN_CHANNEL: Final = frozenset(
    {IdKind.MAIN_DEVICE, IdKind.PLATFORM, IdKind.DISPLAY, IdKind.ACCESS_CONTROL, IdKind.REGION}
)


def _secrecy(item: CatalogItem) -> int:
    """Return 0 only for what is plainly not secret: absent or 0; whatever else was meant, it is safer kept in."""
    if item.secrecy is not None:
        return item.secrecy
    text = next((text for name, text in item.raw.items() if name.lower() == "secrecy"), "")
    return 0 if text.strip() in {"", "0"} else 1


def _parents(text: str, *, without: set[str]) -> tuple[str, ...]:
    parents = dict.fromkeys(part.strip() for part in text.split("/"))
    kept = [parent for parent in parents if parent and parent not in without]
    return tuple(kept[:MAX_CHANNEL_PARENTS])


def _within(value: float | None, limit: float) -> float | None:
    return value if value is not None and abs(value) <= limit else None
