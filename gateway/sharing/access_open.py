"""One allowed access that lasts, and what the owner of accesses is told of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.policy import AccessRequest, Decision

__all__ = ["OpenAccess", "OwnerNotice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerNotice:
    """An access of which the channel's owner is to be told (obligation `notify_owner`)."""

    access_id: str
    request: AccessRequest
    decision: Decision
    owners: tuple[str, ...]
    """Departments, as the policy's `[[owner]]` tables say."""
    at: datetime


class OpenAccess:
    """An access that lasts; implements `gateway.domain.policy.Access`."""

    __slots__ = (
        "_on_end",
        "_stop",
        "access_id",
        "decision",
        "ended",
        "party",
        "request",
        "started",
        "stopped_by",
    )

    def __init__(
        self,
        *,
        access_id: str,
        request: AccessRequest,
        decision: Decision,
        party: str,
        started: float,
        stop: Callable[[str, str], None],
        on_end: Callable[["OpenAccess", str, str], None],
    ) -> None:
        self.access_id = access_id
        self.request = request
        self.decision = decision
        """The newest one; the first is on record."""
        self.party = party
        self.started = started
        """Monotonic seconds."""
        self.stopped_by: Decision | None = None
        """What it was told to end for."""
        self.ended = False
        self._stop = stop
        self._on_end = on_end

    def stop(self, decision: Decision) -> None:
        """Tell its face to end it; only the first call does anything."""
        if self.stopped_by is None and not self.ended:
            self.stopped_by = decision
            self._stop(decision.reason, decision.detail)

    def end(self, result: str, detail: str = "") -> None:
        """It is over; writes result and duration. Idempotent."""
        if not self.ended:
            self.ended = True
            self._on_end(self, result, detail)
