"""Devices, their channels and what happened to them."""

import enum
from dataclasses import dataclass, field
from datetime import datetime

__all__ = [
    "CatalogDiff",
    "Channel",
    "ChannelKind",
    "Device",
    "DeviceAddress",
    "DeviceSettings",
    "Identity",
    "MediaTransport",
    "OfflineReason",
    "Registration",
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
    SUBSCRIPTION = "subscription"
    """A subscription of ours with the device began, failed or ended."""
    MESSAGE_REJECTED = "message_rejected"
    SETTINGS_CHANGED = "settings_changed"
    SOURCE_CHANGED = "source_changed"
    """A foreign source became usable or failed, a publisher came, went or was refused."""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened to a device."""

    at: datetime
    """When; the latest time if it happened several times in a row."""
    kind: enum.StrEnum
    """A `TimelineKind`, or a `PlatformEvent` of a platform's timeline."""
    detail: str
    count: int = 1
    """How many times in a row; repetitions are merged so that a flood cannot push the rest out."""
    first_at: datetime | None = None
    """The first of these times; None if there was only one."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """An authenticated REGISTER, ready to be taken over."""

    device_id: str
    address: DeviceAddress
    """Where the REGISTER came from."""
    expires: int
    """Granted lifetime in seconds, above 0."""
    contact: str = ""
    call_id: str = ""
    gb_version: str = ""
    user_agent: str = ""


class Identity(enum.Enum):
    """Whose request outside REGISTER this is, judged by where it came from."""

    KNOWN = "known"
    """From the registered address or connection."""
    PORT_UPDATED = "port_updated"
    """From the registered IP address with a new port, which was taken over."""
    MOVED = "moved"
    """From a new IP address, taken over because the settings allow it."""
    RECONNECTED = "reconnected"
    """A TCP or TLS device is back on a new connection from its registered IP address."""
    ADDRESS_REFUSED = "address_refused"
    """From elsewhere: answer 403, nothing was changed."""
    UNREGISTERED = "unregistered"
    """No valid registration: answer 403 so that the device registers."""

    @property
    def accepted(self) -> bool:
        """Whether the request may be processed."""
        return self not in {Identity.ADDRESS_REFUSED, Identity.UNREGISTERED}


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
    local: bool = False
    """A part of this gateway that holds foreign sources as channels: there while the gateway runs, without a SIP
    address, never asked anything."""
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

    @property
    def is_2022(self) -> bool:
        """Whether it says that it follows the 2022 edition."""
        return self.gb_version.startswith("3")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogDiff:
    """What a catalogue answer changed; channel ids."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    """Known before, missing in a complete answer: no longer listed."""
    changed: tuple[str, ...] = ()
    kept_missing: tuple[str, ...] = ()
    """Known before, missing in an answer that was cut short: still listed."""
    total: int = 0
    """Channels listed now."""
