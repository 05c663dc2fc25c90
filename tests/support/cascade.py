"""Doubles of the ports around the cascade: calls and links of an upper platform, a policy that obeys the test."""

import itertools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from gateway.domain.device import Channel, DeviceAddress
from gateway.domain.errors import Conflict, Forbidden, Unavailable
from gateway.domain.platform import PlatformConfig
from gateway.domain.policy import (
    Access,
    AccessContext,
    AccessRequest,
    Action,
    Decision,
    Obligations,
    Subject,
)
from gb28181.manscdp.message import Content
from gb28181.sip.header.reason import Reason

__all__ = ["UPPER", "FakeAccess", "FakeCall", "FakeLeg", "FakeLink", "OpenPolicy"]

UPPER = "37130000002000000001"


class FakeLeg:
    """An upper's established dialog."""

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.on_ack: Callable[[bytes], None] | None = None
        self.on_bye: Callable[[str], None] | None = None
        self.on_reinvite: Callable[[bytes], tuple[int, bytes]] | None = None
        self.on_answer: Callable[[bytes], None] | None = None
        self.peer_reason = ""
        self.byes = 0
        self.reasons: list[Reason | None] = []
        """What each BYE said."""
        self.ended_by_peer = False

    async def bye(self, reason: Reason | None = None) -> None:
        if not self.ended_by_peer:
            self.byes += 1
            self.reasons.append(reason)

    def ack(self, body: bytes = b"") -> None:
        assert self.on_ack is not None
        self.on_ack(body)

    def peer_ends(self, why: str = "bye") -> None:
        self.ended_by_peer = True
        assert self.on_bye is not None
        self.on_bye(why)


class FakeCall:
    """An upper's INVITE."""

    def __init__(self, target: str, sdp: bytes, *, max_forwards: int = 70, path: str = "") -> None:
        self.target = target
        self.sdp = sdp
        self.subject = ""
        self.identity: str | None = None
        self.route_path = path
        self.max_forwards = max_forwards
        self.source = "127.0.0.1"
        self.cancelled = False
        self.cancel_reason = ""
        self.peer_lost = False
        self.on_cancel: Callable[[], None] | None = None
        self.status: int | None = None
        self.answer = b""
        self.headers: list[tuple[str, str]] = []
        self.leg: FakeLeg | None = None

    def cancel(self) -> None:
        self.cancelled = True
        if self.on_cancel is not None:
            self.on_cancel()

    def refuse(
        self, status: int, reason: str | None = None, *, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        if self.status is None and not self.cancelled:
            self.status, self.headers = status, list(headers)

    def accept(self, sdp: bytes, *, headers: Iterable[tuple[str, str]] = ()) -> FakeLeg:
        if self.cancelled:
            raise Conflict("cancelled", "The INVITE was cancelled")
        assert self.status is None
        self.status, self.answer, self.headers = 200, sdp, list(headers)
        self.leg = FakeLeg("upper-call")
        return self.leg


class FakeLink:
    """A platform's link that is simply there."""

    def __init__(self, config: PlatformConfig | None = None, *, online: bool = True) -> None:
        self.config = config or PlatformConfig(platform_id=UPPER)
        self.online = online
        self.route: DeviceAddress | None = DeviceAddress(
            transport="UDP", host="127.0.0.1", port=5060, local_host="127.0.0.1", local_port=5061
        )
        self.notes: list[tuple[str, str]] = []
        self.sent: list[Content] = []

    async def send(self, content: Content) -> None:
        if not self.online:
            raise Unavailable("platform_offline", "The platform is offline")
        self.sent.append(content)

    def note(self, event: str, detail: str) -> None:
        self.notes.append((event, detail))


class FakeAccess:
    """An open access that remembers its end."""

    def __init__(self, owner: "OpenPolicy", access_id: str, request: AccessRequest) -> None:
        self.access_id = access_id
        self.request = request
        self.decision = Decision(allowed=True, rule="test", obligations=owner.obligations)
        self.ends: list[tuple[str, str]] = []

    def end(self, result: str, detail: str = "") -> None:
        self.ends.append((result, detail))


class OpenPolicy:
    """Allows everything but what the test denies; keeps every record."""

    def __init__(self) -> None:
        self.on_changed: list[Callable[[], None]] = []
        self.denied: set[Action] = set()
        self.obligations = Obligations()
        self.opened: list[FakeAccess] = []
        self.stops: dict[str, Callable[[str, str], None]] = {}
        self.refused: list[tuple[AccessRequest, str]] = []
        self.checked: list[AccessRequest] = []
        self._ids = itertools.count(1)

    def decide(
        self, subject: Subject, action: Action, channel: Channel, context: AccessContext
    ) -> Decision:
        allowed = action not in self.denied
        return Decision(allowed=allowed, rule="test", obligations=self.obligations)

    def check(self, request: AccessRequest) -> Decision:
        self.checked.append(request)
        if request.action in self.denied:
            raise Forbidden("denied", "The test says no", rule="test")
        return Decision(allowed=True, rule="test", obligations=self.obligations)

    def open(self, request: AccessRequest, stop: Callable[[str, str], None]) -> FakeAccess:
        if request.action in self.denied:
            self.refused.append((request, "denied"))
            raise Forbidden("denied", "The test says no", rule="test")
        access = FakeAccess(self, f"a{next(self._ids)}", request)
        self.opened.append(access)
        self.stops[access.access_id] = stop
        return access

    def refuse(self, request: AccessRequest, reason: str, detail: str, *, rule: str = "") -> None:
        self.refused.append((request, reason))

    def accesses(self) -> Iterable[Access]:
        return [access for access in self.opened if not access.ends]


def fixed_now() -> datetime:
    """A wall clock that stands."""
    return datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
