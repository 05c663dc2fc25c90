"""Upper and neighbouring platforms: what is configured for each, and how its link is."""

import enum
from dataclasses import dataclass, field
from datetime import datetime

from gateway.domain.device import TimelineEntry
from gateway.domain.selector import ChannelSelector

__all__ = [
    "Edition",
    "IdMode",
    "LinkState",
    "PlatformAddress",
    "PlatformConfig",
    "PlatformEvent",
    "PlatformStatus",
    "TreeMode",
    "TreeNode",
]


class Edition(enum.StrEnum):
    """Edition of GB/T 28181 spoken to a platform."""

    V2011 = "2011"
    V2016 = "2016"
    V2022 = "2022"

    @property
    def gb_version(self) -> str:
        """X-GB-Ver of the edition; 2011 and 2016 platforms are sent none."""
        return {"2011": "1.0", "2016": "2.0", "2022": "3.0"}[self.value]

    @property
    def charset(self) -> str:
        """Charset the edition asks for (6.10)."""
        return "GB18030" if self is Edition.V2022 else "GB2312"


class IdMode(enum.StrEnum):
    """Which codes a platform sees."""

    KEEP = "keep"
    """The items' own codes where they are unique, new ones where two items carry the same."""
    RENAME = "rename"
    """New codes of our own domain for everything from below: no lower-level code gets out."""


class TreeMode(enum.StrEnum):
    """How the catalogue sent up is arranged."""

    KEPT = "kept"
    """As the lower levels arranged it: their platforms, divisions, groups and organisations."""
    DIVISION = "division"
    """Under division nodes made from CivilCode."""
    CUSTOM = "custom"
    """Under the nodes given, which select their channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """One node of a custom tree: a division (2-8 digits), a business group (215) or an organisation (216)."""

    node_id: str
    name: str
    parent_id: str = ""
    """Node above; empty: directly below the platform (215, division)."""
    select: ChannelSelector | None = None
    """Channels placed here; None places none."""


@dataclass(frozen=True, slots=True)
class PlatformAddress:
    """Where a platform listens; several are tried in order."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformConfig:
    """What an operator configures for one upper platform; the password is kept apart, encrypted."""

    platform_id: str
    """Its 20-digit code."""
    name: str = ""
    enabled: bool = True
    addresses: tuple[PlatformAddress, ...] = ()
    transport: str = "UDP"
    """`UDP`, `TCP` or `TLS`."""
    tls_verify: bool = True
    tls_ca: str = ""
    """PEM file of its authority; empty: the system's."""
    domain: str = ""
    """SIP domain of the platform; empty: the first ten digits of its code."""
    local_id: str = ""
    """Code under which we register; empty: `[sip] id`."""
    username: str = ""
    """Digest user; empty: `local_id`."""
    edition: Edition = Edition.V2016
    charset: str = ""
    """Empty: the edition's."""
    expires: int = 86_400
    keepalive_interval: float = 60.0
    keepalive_misses: int = 3
    retry_delay: float = 60.0
    """Least seconds between a failed registration and the next; doubled up to an hour, with chance added."""
    rtcp: bool = False
    """Send sender reports, and end a stream whose receiver reports cease."""
    echo_ssrc: bool = True
    """Use the y= of the upper's offer where it is free, as small platforms expect (protocol 8.6)."""
    zone: str = ""
    """Network zone of the link, for the policy."""
    require_identity: bool = False
    """Refuse requests without Monitor-User-Identity."""
    trusted_gateways: tuple[str, ...] = ()
    """Gateways whose identities are believed; empty: any whose last hop is the platform itself."""
    id_mode: IdMode = IdMode.KEEP
    tree: TreeMode = TreeMode.KEPT
    nodes: tuple[TreeNode, ...] = ()
    catalog_batch: int = 0
    """Items per MESSAGE; 0: as many as fit the transport."""
    catalog_push: bool = False
    """Send changes by NOTIFY-bodied MESSAGE even without a subscription; some platforms never subscribe."""
    max_sessions: int = 500
    has_password: bool = False

    @property
    def sip_domain(self) -> str:
        """Domain of its URIs."""
        return self.domain or self.platform_id[:10]

    @property
    def body_charset(self) -> str:
        """Charset of the bodies sent to it."""
        return self.charset or self.edition.charset


class LinkState(enum.StrEnum):
    """How the link to a platform is."""

    DISABLED = "disabled"
    CONNECTING = "connecting"
    REGISTERING = "registering"
    ONLINE = "online"
    WAITING = "waiting"
    """Not registered; `reason` says why, `next_try_at` when it is tried again."""


class PlatformEvent(enum.StrEnum):
    """Kinds of entry in a platform's timeline (TimelineEntry.kind)."""

    REGISTERED = "registered"
    REGISTER_FAILED = "register_failed"
    OFFLINE = "offline"
    KEEPALIVE_MISSED = "keepalive_missed"
    FAILED_OVER = "failed_over"
    QUERIED = "queried"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    SESSION_ENDED = "session_ended"
    REFUSED = "refused"
    """A request of the platform was refused."""
    MESSAGE_FAILED = "message_failed"
    CHANGED = "changed"
    REMARK = "remark"
    """Something odd that was tolerated: its clock, what it grants."""


@dataclass(slots=True, kw_only=True)
class PlatformStatus:
    """How a platform's link is now; owned by the cascade."""

    state: LinkState = LinkState.DISABLED
    reason: str = ""
    """Stable word: `refused_403`, `no_answer`, `unreachable`, `keepalive_missed`, `wrong_password`, ..."""
    detail: str = ""
    since: datetime | None = None
    address: str = ""
    """`host:port` in use."""
    registered_at: datetime | None = None
    expires_at: datetime | None = None
    last_keepalive_at: datetime | None = None
    misses: int = 0
    next_try_at: datetime | None = None
    clock_offset: float | None = None
    """Seconds by which its clock (Date of its answer to REGISTER) is ahead of ours; None if it sends none."""
    catalog_items: int | None = None
    """Items the platform would get now."""
    subscriptions: dict[str, datetime] = field(default_factory=dict)
    """Expiry of each running subscription by kind (`Catalog`, `Alarm`)."""
    sessions: int = 0
    timeline: list[TimelineEntry] = field(default_factory=list)
