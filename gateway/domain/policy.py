"""Who asks for what, and what the sharing policy says to it (GB/T 28181-2022 8.5, attribute-based)."""

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.domain.device import Channel
from gateway.domain.errors import Forbidden

__all__ = [
    "Access",
    "AccessContext",
    "AccessControl",
    "AccessRequest",
    "Action",
    "Decision",
    "Forbidden",
    "Obligations",
    "Role",
    "Subject",
]


class Action(enum.StrEnum):
    """What can be granted."""

    CATALOG = "catalog"
    """See that the channel exists, its status and attributes."""
    LIVE = "live"
    PLAYBACK = "playback"
    DOWNLOAD = "download"
    PTZ = "ptz"
    ALARM = "alarm"
    POSITION = "position"
    TALK = "talk"
    CONFIG = "config"
    """Change or restart a device: DeviceConfig, TeleBoot, record, guard, home position."""


class Role(enum.StrEnum):
    """Roles of people inside this gateway's own domain."""

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who asks; rules may name any of these, empty ones match nothing but `any`."""

    platform: str = ""
    """20-digit code of the upper or neighbouring platform; empty for people and programs on HTTP."""
    department: str = ""
    key: str = ""
    """Identifier of an API key, never its secret."""
    user: str = ""
    role: str = ""
    """A `Role` for the gateway's own people, empty for everybody outside."""
    identity: str = ""
    """User part of Monitor-User-Identity, as the origin domain wrote it."""
    gateways: tuple[str, ...] = ()
    """Gateways (type 211, 200) the identity came through, nearest first."""

    @property
    def is_local(self) -> bool:
        """Whether what is shown to it stays inside our own domain."""
        return bool(self.role) and not self.platform and not self.department and not self.key

    @property
    def label(self) -> str:
        """One word for logs and lists: `platform:3713...`, `department:urban`, `key:k1`, `role:admin`."""
        for name in ("platform", "key", "user", "department", "role"):
            if value := getattr(self, name):
                return f"{name}:{value}"
        return "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessContext:
    """The circumstances of an access."""

    at: datetime
    """Timezone-aware."""
    zone: str = ""
    """Network zone the request came in on, as configured for the platform or the key."""
    purpose: str = ""
    ticket: str = ""
    source: str = ""
    """Host the request came from."""
    streams: int = 0
    """Streams this subject has open already; filled in by `AccessControl`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligations:
    """What an allowed access must obey; those of all matching rules together, the strictest of each."""

    sub_stream: bool = False
    """Live, recorded and taken away only as sub stream 1."""
    mask_name: str | None = None
    """Shown instead of the name; None leaves it."""
    mask_position: bool = False
    """Longitude, latitude and address are left out."""
    notify_owner: bool = False
    max_streams: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to one question, with what decided it."""

    allowed: bool
    rule: str = ""
    """Identifier of the deciding rule, `grant:ID`, `stop:ID`, or `builtin:...`; empty: nothing matched."""
    reason: str = ""
    """Stable word: `allowed`, `no_rule`, `denied`, `secrecy`, `not_yet_valid`, `expired`, `outside_window`, `zone`,
    `identity_required`, `purpose_required`, `ticket_required`, `too_many_streams`, `stopped`, `audit_unavailable`;
    of an access that must end also `revoked` and `sub_stream_only`."""
    detail: str = ""
    """A sentence for people."""
    obligations: Obligations = field(default_factory=Obligations)
    until: datetime | None = None
    """When it must be asked again at the latest: end of the window, validity or grant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest:
    """One access, as it will stand in the audit."""

    subject: Subject
    action: Action
    channel: Channel | None
    """None if what was asked for is nothing this subject was ever given, or a whole catalogue."""
    object_id: str
    """What was asked for, in the asker's own terms (the shared code), capped by the caller."""
    context: AccessContext
    via: str
    """The face: `sip`, `http`, `rtsp`."""
    detail: str = ""
    """E.g. number of items of a catalogue, PTZ frame."""


class Access(Protocol):
    """An allowed access that lasts."""

    @property
    def access_id(self) -> str:
        """Identifier, also of its audit record."""

    @property
    def request(self) -> AccessRequest:
        """What was asked."""

    @property
    def decision(self) -> Decision:
        """Why it was allowed, and the obligations."""

    def end(self, result: str, detail: str = "") -> None:
        """It is over; writes result and duration. Idempotent."""


class AccessControl(Protocol):
    """The one authorisation function, for SIP and HTTP alike; implemented in `gateway.sharing`.

    Synchronous and cheap (a decision costs microseconds); nothing here waits.
    """

    on_changed: list[Callable[[], None]]
    """Called after anything that may change decisions: policy, grants, stop orders, a window's edge."""

    def decide(
        self, subject: Subject, action: Action, channel: Channel, context: AccessContext
    ) -> Decision:
        """Return the decision; nothing is recorded."""

    def check(self, request: AccessRequest) -> Decision:
        """Decide on an access of a moment (query, PTZ step, key frame) and record it; it is no stream of any limit.

        Raises:
            Forbidden: denied; recorded.
        """

    def open(self, request: AccessRequest, stop: Callable[[str, str], None]) -> Access:
        """Decide on an access that lasts and record it; it counts as an open stream until its end.

        Args:
            request: The access.
            stop: Called once with (code, detail) when the access must end now: forced stop, revoked or expired
                grant, changed policy, end of the window. Must not block; the callee calls `Access.end`.

        Raises:
            Forbidden: denied; recorded.
        """

    def refuse(self, request: AccessRequest, reason: str, detail: str, *, rule: str = "") -> None:
        """Record a denial decided elsewhere: an object this subject was never given, a bad identity."""

    def accesses(self) -> Iterable[Access]:
        """Return what is open now: who watches what."""
