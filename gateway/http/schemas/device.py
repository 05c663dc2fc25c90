"""Bodies about devices."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from gateway.domain.device import Device, DeviceSettings, MediaTransport
from gateway.http.schemas.base import MAX_LIMIT, InModel, OutModel, PageQuery, Text

__all__ = [
    "MIN_SECRET",
    "AddressOut",
    "DeviceList",
    "DeviceOut",
    "DeviceQuery",
    "DeviceSettingsOut",
    "DeviceStatusOut",
    "DiffOut",
    "SecretIn",
    "SettingsIn",
    "SyncOut",
    "TimelineList",
    "TimelineOut",
    "TimelineQuery",
]

MIN_SECRET = 8


class AddressOut(OutModel):
    """Where a device's authenticated packets came from."""

    transport: Text
    """`UDP`, `TCP` or `TLS`."""
    host: Text
    port: int
    local_host: Text
    local_port: int


class DeviceSettingsOut(OutModel):
    """What an operator set for a device; null is the gateway's default."""

    media_transport: MediaTransport | None
    charset: Text | None
    follow_address: bool
    keepalive_interval: float | None
    """Seconds."""
    keepalive_misses: int | None
    has_secret: bool


class DeviceOut(OutModel):
    """A device or lower platform."""

    device_id: Text
    local: bool
    """Part of this gateway: holds foreign sources, and is never asked anything."""
    name: Text
    online: bool
    offline_reason: Text | None
    """Why it is offline: `registration_expired`, `keepalive_missed`, ...; null while online."""
    status_since: datetime | None
    """Since when it is online or offline."""
    address: AddressOut | None
    contact: Text
    registered_at: datetime | None
    expires_at: datetime | None
    last_keepalive_at: datetime | None
    gb_version: Text
    user_agent: Text
    manufacturer: Text
    model: Text
    firmware: Text
    channel_count: int
    catalog_at: datetime | None
    settings: DeviceSettingsOut

    @classmethod
    def outside(cls, device: Device, channel_count: int) -> Self:
        """Return what people outside may know: that it is there and how many of its channels are theirs to see."""
        known = Device(
            device_id=device.device_id,
            name=device.name,
            online=device.online,
            offline_reason=device.offline_reason,
            status_since=device.status_since,
            channel_count=channel_count,
        )
        return cls.model_validate(known)


class DeviceList(OutModel):
    """A page of devices."""

    items: list[DeviceOut]
    total: int


class SettingsIn(InModel):
    """Settings to change; absent keys stay, null goes back to the gateway's default."""

    media_transport: MediaTransport | None = None
    charset: Literal["GB2312", "GB18030", "UTF-8"] | None = None
    follow_address: bool = False
    keepalive_interval: float | None = Field(default=None, ge=5, le=3600)
    """Seconds."""
    keepalive_misses: int | None = Field(default=None, ge=1, le=100)

    def merged(self, settings: DeviceSettings) -> DeviceSettings:
        """Return `settings` with what was given changed."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        kept = {name: getattr(settings, name) for name in type(self).model_fields}
        return DeviceSettings(**{**kept, **given}, has_secret=settings.has_secret)


class SecretIn(InModel):
    """A device's own password; kept only as hashes, never shown again."""

    password: str = Field(
        min_length=MIN_SECRET, max_length=128, repr=False, pattern=r"^[\x20-\x7e]+$"
    )


class TimelineOut(OutModel):
    """One thing that happened to a device."""

    at: datetime
    """The latest time, if it happened several times in a row."""
    kind: Text
    detail: Text
    count: int
    first_at: datetime | None


class TimelineList(OutModel):
    """What happened to a device, newest first."""

    items: list[TimelineOut]
    total: int


class DiffOut(OutModel):
    """What a catalogue answer changed; channel ids."""

    added: list[Text]
    removed: list[Text]
    changed: list[Text]
    kept_missing: list[Text]
    """Missing in an answer that was cut short: still listed."""
    total: int


class SyncOut(OutModel):
    """The latest catalogue synchronisation of a device."""

    device_id: Text
    state: Text
    """`queued`, `asking`, `receiving`, `done` or `failed`."""
    started_at: datetime
    finished_at: datetime | None
    received: int
    expected: int | None
    detail: Text
    diff: DiffOut | None


class DeviceStatusOut(OutModel):
    """A device's answer to DeviceStatus, by the standard's field names."""

    device_id: Text
    fields: dict[Text, Text]


class DeviceQuery(PageQuery):
    """Which devices."""

    q: str = Field(default="", max_length=200)
    """Part of the id, name, manufacturer, model or address."""
    online: bool | None = None


class TimelineQuery(InModel):
    """How much of a timeline."""

    limit: int = Field(default=200, ge=1, le=MAX_LIMIT)
