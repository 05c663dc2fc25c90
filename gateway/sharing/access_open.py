"""Allowed accesses that last, and what a channel's owner is told of them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.policy import AccessRequest, Decision
from gateway.sharing.policy.rule import STREAMING

__all__ = ["AccessTable", "OpenAccess", "OwnerNotice"]


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


class AccessTable:
    """All open accesses in the order in which they began, found by channel too."""

    def __init__(self) -> None:
        self._all: dict[str, OpenAccess] = {}
        self._by_device: dict[str, dict[str, OpenAccess]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, access: OpenAccess) -> None:
        """Take up an access that begins."""
        self._all[access.access_id] = access
        if (channel := access.request.channel) is not None:
            self._by_device.setdefault(channel.device_id, {})[access.access_id] = access

    def remove(self, access: OpenAccess) -> None:
        """Drop one that ended."""
        del self._all[access.access_id]
        if (channel := access.request.channel) is not None:
            of_device = self._by_device[channel.device_id]
            del of_device[access.access_id]
            if not of_device:
                del self._by_device[channel.device_id]

    def all(self) -> list[OpenAccess]:
        """Return all, the oldest first."""
        return list(self._all.values())

    def of(self, device_id: str, channel_ids: Collection[str] | None) -> list[OpenAccess]:
        """Return those to a device's channels, or to some of them."""
        return [
            access
            for access in self._by_device.get(device_id, {}).values()
            if channel_ids is None
            or (access.request.channel and access.request.channel.channel_id in channel_ids)
        ]

    def rank(self, access: OpenAccess) -> int:
        """Return how many streams of the same party began before and were not told to end."""
        rank = 0
        for other in self._all.values():
            if other is access:
                break
            if other.party == access.party and other.request.action in STREAMING:
                rank += other.stopped_by is None
        return rank
