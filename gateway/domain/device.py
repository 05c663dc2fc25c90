"""Devices, their channels and what happened to them."""

import enum
from dataclasses import dataclass, field
from datetime import datetime

__all__ = [
    "Channel",
    "ChannelKind",
    "Device",
    "DeviceAddress",
    "DeviceSettings",
    "MediaTransport",
    "OfflineReason",
    "TimelineEntry",
    "TimelineKind",
]


class MediaTransport(enum.StrEnum):
    """How media reaches us, seen from the gateway (its own role in the offer)."""

    UDP = "udp"
    TCP_PASSIVE = "tcp_passive"
    TCP_ACTIVE = "tcp_active"


class OfflineReason(enum.StrEnum):
    """Why a device counts as offline."""

    NEVER_REGISTERED = "never_registered"
    EXPIRED = "registration_expired"
    KEEPALIVE_MISSED = "keepalive_missed"
    LOGGED_OUT = "logged_out"
    CONNECTION_LOST = "connection_lost"
    NOT_CONNECTED = "not_connected"
    """Known from before a restart, but its TCP or TLS connection is not back yet."""


class TimelineKind(enum.StrEnum):
    """Kinds of entry in a device's timeline."""

    REGISTERED = "registered"
    REFRESHED = "refreshed"
    REBOOTED = "rebooted"
    ADDRESS_CHANGED = "address_changed"
    ADDRESS_REFUSED = "address_refused"
    KEEPALIVE_MISSED = "keepalive_missed"
    KEEPALIVE_FAULT = "keepalive_fault"
    OFFLINE = "offline"
    AUTH_FAILED = "auth_failed"
    CATALOG_SYNCED = "catalog_synced"
    CATALOG_SHRUNK = "catalog_shrunk"
    CATALOG_FAILED = "catalog_failed"
    SESSION_ENDED = "session_ended"
    MESSAGE_REJECTED = "message_rejected"
    SETTINGS_CHANGED = "settings_changed"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened to a device."""

    at: datetime
    kind: TimelineKind
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAddress:
    """Where a device's authenticated packets came from, and at which local address."""

    transport: str
    """`UDP`, `TCP` or `TLS`."""
    host: str
    port: int
    local_host: str
    local_port: int
    connection: int | None = None
    """Number of the live TCP/TLS connection in this process; never stored."""


@dataclass(slots=True, kw_only=True)
class DeviceSettings:
    """What an operator may set for one device; None means the gateway's default."""

    media_transport: MediaTransport | None = None
    charset: str | None = None
    """Charset to send in (`GB2312`, `GB18030`, `UTF-8`)."""
    follow_address: bool = False
    """Accept a MESSAGE from a new IP address as a move of the device."""
    keepalive_interval: float | None = None
    """Seconds."""
    keepalive_misses: int | None = None
    has_secret: bool = False
    """Whether the device has a secret of its own instead of the common password."""


@dataclass(slots=True, kw_only=True)
class Device:
    """A registered (or once registered) device or lower platform; owned by the registry."""

    device_id: str
    address: DeviceAddress | None = None
    contact: str = ""
    """Contact URI as the device wrote it; often a private address."""
    online: bool = False
    offline_reason: OfflineReason | None = OfflineReason.NEVER_REGISTERED
    status_since: datetime | None = None
    registered_at: datetime | None = None
    expires_at: datetime | None = None
    last_keepalive_at: datetime | None = None
    call_id: str = ""
    """Call-ID of the current registration; a new one means that the device rebooted."""
    gb_version: str = ""
    """X-GB-Ver as sent (`2.0`, `3.0`); empty when the header was absent."""
    user_agent: str = ""
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    channel_count: int = 0
    catalog_at: datetime | None = None
    settings: DeviceSettings = field(default_factory=DeviceSettings)


class ChannelKind(enum.StrEnum):
    """What a catalogue item is (protocol: type code, digits 11-13)."""

    CAMERA = "camera"
    AUDIO = "audio"
    ALARM = "alarm"
    DEVICE = "device"
    """A recorder or other main device listed below its platform."""
    PLATFORM = "platform"
    REGION = "region"
    GROUP = "group"
    ORGANISATION = "organisation"
    OTHER = "other"


@dataclass(slots=True, kw_only=True)
class Channel:
    """One catalogue item of a device, keyed by (device_id, channel_id)."""

    device_id: str
    channel_id: str
    kind: ChannelKind
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    civil_code: str = ""
    address: str = ""
    parent_ids: tuple[str, ...] = ()
    """Parents as sent (split at `/`), without the device's own id repeated onto itself."""
    business_group_id: str = ""
    online: bool = True
    """Status as the device claims it; a claim only: a channel is played whatever it says."""
    status_text: str = ""
    """Status as sent."""
    longitude: float | None = None
    latitude: float | None = None
    secrecy: int = 0
    ptz_type: int | None = None
    extra: dict[str, str] = field(default_factory=dict)
    """Every other field as sent, by its standard name (Info fields as `Info.NAME`); Password is never kept."""
