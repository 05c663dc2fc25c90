"""What a registering device is given, and what it tells its owner (GB/T 28181-2016 9.1.1, 9.6.1)."""

import enum
import math
from dataclasses import dataclass

__all__ = [
    "Event",
    "Offline",
    "Online",
    "RegisterClientConfig",
    "RegisterClientState",
    "RegistrationFailed",
    "SendKeepalive",
    "SendRegister",
    "Stopped",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterClientConfig:
    """Who registers where, and the times of GB 9.1.1 and 9.6.1; seconds."""

    device_id: str
    server_id: str
    domain: str
    password: str
    server_uri: str = ""
    """Request-URI of REGISTER; empty for `sip:server_id@domain`."""
    expires: int | None = 86_400
    """None leaves the Expires header out, which the standard does not allow."""
    gb_version: str = "2.0"
    """X-GB-Ver; empty for none."""
    retry_delay: float = 60.0
    """Least wait after a failure (9.1.1: normally at least 60)."""
    keepalive_interval: float | None = 60.0
    """None sends no keepalive."""
    keepalive_misses: int = 3
    """Unanswered keepalives in a row after which the server counts as off-line."""
    refresh_share: float = 0.8
    """Part of the granted time after which a registration is refreshed."""
    answer_refresh_challenge: bool = True
    """Whether the 401 of a refresh is answered; some firmware never does."""
    username: str = ""
    """Digest user; empty for `device_id`."""
    min_granted: float = 0.0
    """A server that grants less is taken at this instead."""
    max_granted: float = math.inf
    """A server that grants more is taken at this instead."""
    retries: bool = True
    """False: after a failure the owner calls `start` again, when and where it likes."""


class RegisterClientState(enum.Enum):
    """Where a registration stands."""

    IDLE = enum.auto()
    REGISTERING = enum.auto()
    """REGISTER without credentials is out."""
    AUTHORIZING = enum.auto()
    """REGISTER with credentials is out."""
    REGISTERED = enum.auto()
    REFRESHING = enum.auto()
    """As REGISTERING, while the old registration still stands."""
    REAUTHORIZING = enum.auto()
    """As AUTHORIZING, while the old registration still stands."""
    WAITING = enum.auto()
    """After a failure, until the next try."""
    LEAVING = enum.auto()
    """REGISTER with Expires 0 is out, without or with credentials."""
    STOPPED = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRegister:
    """A REGISTER to send, with these identities and headers."""

    uri: str
    call_id: str
    from_tag: str
    cseq: int
    address: str
    """From and To without tag."""
    headers: tuple[tuple[str, str], ...]
    expires: int | None


@dataclass(frozen=True, slots=True)
class SendKeepalive:
    """A Keepalive notification to send by MESSAGE."""

    sn: int


@dataclass(frozen=True, slots=True)
class Online:
    """Registered; told once per change from off-line."""

    expires: float


@dataclass(frozen=True, slots=True)
class Offline:
    """The server does not answer or the connection is gone; another registration follows."""

    detail: str


@dataclass(frozen=True, slots=True)
class RegistrationFailed:
    """One try failed; the next follows after `retry_in` seconds."""

    status: int | None
    detail: str
    retry_in: float
    """Without `retries` what the server asked for with Retry-After, else 0."""
    authorized: bool = False
    """Whether it was the answer to credentials."""
    contacts: tuple[str, ...] = ()
    """Contact values of a redirection (3xx), as sent."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Logged out, or left without an answer."""

    confirmed: bool


Event = SendRegister | SendKeepalive | Online | Offline | RegistrationFailed | Stopped
