"""Whether a platform's request may be met: was it given that, does the policy allow it, is it too much at once."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from gateway.cascade.desk_gate import RateGate
from gateway.cascade.desk_ports import PlatformView
from gateway.cascade.ports import UpperLink, UpperRequester
from gateway.cascade.queries import context_of
from gateway.domain.device import Channel
from gateway.domain.errors import Forbidden
from gateway.domain.platform import PlatformEvent
from gateway.domain.policy import AccessControl, AccessRequest, Action, Decision

__all__ = ["Admission"]

MAX_OBJECT: Final = 64
"""Characters of what was asked for that are put on record."""


class Admission:
    """One platform's requests, looked at and put on record.

    Args:
        link: The platform.
        view: Its catalogue.
        own_id: Our code there.
        access: The sharing policy.
        gate: How many queries it may make.
        wall: Wall clock, timezone-aware.
    """

    def __init__(
        self,
        link: UpperLink,
        view: PlatformView,
        *,
        own_id: str,
        access: AccessControl,
        gate: RateGate,
        wall: Callable[[], datetime],
    ) -> None:
        self._link = link
        self._view = view
        self._own_id = own_id
        self._access = access
        self._gate = gate
        self._wall = wall

    def passes(self, what: str, now: float, weight: float) -> bool:
        """Whether the platform has not asked too much lately; noted if it has."""
        if self._gate.passes(now, weight):
            return True
        self._link.note(
            PlatformEvent.REFUSED,
            f"{what} left alone: {self._gate.per_minute:g} a minute are answered",
        )
        return False

    def is_own(self, target: str) -> bool:
        """Whether a code is ourselves or a node of the tree."""
        return target == self._own_id or self._view.is_mine(target)

    def knows(self, target: str) -> bool:
        """Whether a code means something to this platform now: ourselves, a node, or a channel it is shown."""
        if self.is_own(target):
            return True
        channel = self._view.resolve(target)
        return (
            channel is not None
            and self._view.shared_id(channel.device_id, channel.channel_id) == target
        )

    def check(
        self,
        target: str,
        action: Action,
        requester: UpperRequester,
        *,
        channel: Channel | None,
        detail: str,
    ) -> Decision | None:
        """Ask the policy and put it on record; None if it says no."""
        request = self._request(target, action, requester, channel, detail)
        try:
            return self._access.check(request)
        except Forbidden as exc:
            words = f"{detail} {target[:MAX_OBJECT]}: {exc.code}: {exc.detail}"
            self._link.note(PlatformEvent.REFUSED, words)
            return None

    def admit(self, target: str, action: Action, requester: UpperRequester, detail: str) -> int:
        """Return the SIP status for a request about a whole or a channel: 200, 403 or 404; put on record."""
        if not self.knows(target):
            return self.unknown(target, action, requester)
        channel = None if self.is_own(target) else self._view.resolve(target)
        if self.check(target, action, requester, channel=channel, detail=detail) is not None:
            return 200
        # A channel that it may no longer see is as if it had never been there.
        hidden = channel is not None and action is Action.CATALOG
        return 404 if hidden else 403

    def unknown(self, target: str, action: Action, requester: UpperRequester) -> int:
        """Refuse what the platform was never given: the same answer whether it exists or not."""
        request = self._request(target, action, requester, None, "")
        self._access.refuse(request, *self._view.why_unknown(target))
        self._link.note(PlatformEvent.REFUSED, f"{target[:MAX_OBJECT]}: not shared")
        return 404

    def _request(
        self,
        target: str,
        action: Action,
        requester: UpperRequester,
        channel: Channel | None,
        detail: str,
    ) -> AccessRequest:
        return AccessRequest(
            subject=requester.subject,
            action=action,
            channel=channel,
            object_id=target[:MAX_OBJECT],
            context=context_of(self._link, requester, self._wall()),
            via="sip",
            detail=detail,
        )
