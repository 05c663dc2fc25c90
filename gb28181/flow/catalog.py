"""Catalogue answers put together (GB/T 28181-2022 9.5 and Annex M).

One query is answered by many messages, in any order, with a `SumNum` that may be missing, changing,
too small or too large. A catalogue therefore ends when all announced items are there and a short
grace has passed, or when the device falls silent; the result says which, and whether it is whole.
"""

import enum
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from gb28181.errors import LocalProtocolError
from gb28181.flow.deadline import Deadlines
from gb28181.limits import MAX_CATALOG_COLLECTIONS, MAX_CATALOG_ITEMS
from gb28181.manscdp.item import CatalogItem
from gb28181.manscdp.response import CatalogResponse

__all__ = [
    "CatalogCollector",
    "CatalogEnd",
    "CatalogProgress",
    "CatalogResult",
    "CatalogTimes",
    "Fed",
]

_OLD_NUMBERS: Final = 8


class CatalogEnd(enum.StrEnum):
    """Why a collection ended."""

    ALL_RECEIVED = "all_received"
    EMPTY = "empty"
    """The device said SumNum 0 and sent nothing."""
    SILENCE = "silence"
    """The device fell silent; without a usable SumNum that is the only end there is."""
    SHORT = "short"
    """The device fell silent before it had sent what it announced."""
    NO_ANSWER = "no_answer"
    TOO_MANY = "too_many"
    """More items than one device may have were sent; the rest was dropped."""
    TOO_SLOW = "too_slow"
    """Items kept trickling in beyond all patience."""
    SUPERSEDED = "superseded"
    """A newer query took its place."""
    CANCELLED = "cancelled"


class Fed(enum.Enum):
    """What became of a message."""

    COLLECTED = enum.auto()
    LATE = enum.auto()
    """It answers an older query of this device."""
    UNSOLICITED = enum.auto()
    """Nobody asked; devices of 2011 notify with this root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogTimes:
    """How long to wait, in seconds."""

    first_packet: float = 120.0
    """For the first message after the query."""
    silence: float = 5.0
    """After a message, while more is expected."""
    grace: float = 1.0
    """After the last announced item: `SumNum` may have counted one message only."""
    total: float = 1800.0
    """From the query to the end, whatever comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogProgress:
    """How far a collection has come."""

    sn: int
    received: int
    """Different identifiers so far."""
    expected: int | None
    """As announced; None while unknown."""
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogResult:
    """A finished catalogue, whole or not."""

    device_id: str
    sn: int
    items: tuple[CatalogItem, ...]
    """One per identifier; the last sent wins, in order of first appearance."""
    expected: int | None
    """As announced; None when nothing usable was."""
    received: int
    """Items that count towards `expected`: those of `items`, identifiers sent twice with different
    content, and items without one."""
    complete: bool
    reason: CatalogEnd
    detail: str
    """A sentence for people."""
    messages: int
    duplicates: int
    """Items that repeated an identifier."""
    nameless: int
    """Items without DeviceID, left out."""


class CatalogCollector:
    """Collects the catalogues of many devices, one at a time for each, keyed by (device, SN).

    Results come from :meth:`handle_timer`, :meth:`start` and :meth:`cancel` only.
    """

    def __init__(self, times: CatalogTimes | None = None) -> None:
        self._times = times or CatalogTimes()
        self._running: dict[str, _Collection] = {}
        self._old: dict[str, deque[int]] = {}
        self._deadlines: Deadlines[str] = Deadlines()
        self.late = 0
        """Messages ignored because a newer query had been sent."""
        self.unsolicited = 0
        """Messages ignored because nobody had asked."""

    def start(self, device_id: str, sn: int, now: float) -> CatalogResult | None:
        """Await the answer to a query just sent; return the older collection it ends, if any.

        Raises:
            LocalProtocolError: Too many devices are being asked at once.
        """
        superseded = self._finish(device_id, CatalogEnd.SUPERSEDED)
        if len(self._running) >= MAX_CATALOG_COLLECTIONS:
            raise LocalProtocolError(
                f"{MAX_CATALOG_COLLECTIONS} catalogues are being collected already"
            )
        self._running[device_id] = _Collection(device_id=device_id, sn=sn, started=now)
        self._deadlines.set(device_id, now + self._times.first_packet)
        return superseded

    def feed(self, response: CatalogResponse, now: float, *, device_id: str | None = None) -> Fed:
        """Take one message.

        Args:
            response: The message.
            now: Monotonic time.
            device_id: The device it came from; the message's own DeviceID if not given.
        """
        key = response.device_id if device_id is None else device_id
        running = self._running.get(key)
        if running is not None and response.sn in {running.sn, 0}:
            running.add(response, now)
            self._deadlines.set(key, running.deadline(now, self._times))
            return Fed.COLLECTED
        if response.sn in self._old.get(key, ()):
            self.late += 1
            return Fed.LATE
        self.unsolicited += 1
        return Fed.UNSOLICITED

    def cancel(self, device_id: str) -> CatalogResult | None:
        """End a collection because its device went away; return what there is of it."""
        return self._finish(device_id, CatalogEnd.CANCELLED)

    def forget(self, device_id: str) -> None:
        """Drop all memory of a device that was removed."""
        self._finish(device_id, CatalogEnd.CANCELLED)
        self._old.pop(device_id, None)

    def progress(self, device_id: str) -> CatalogProgress | None:
        """Return how far a device's collection has come; None when none runs."""
        running = self._running.get(device_id)
        if running is None:
            return None
        return CatalogProgress(
            sn=running.sn,
            received=len(running.items),
            expected=running.expected,
            messages=running.messages,
        )

    def next_timer(self) -> float | None:
        """Return when to call :meth:`handle_timer` next."""
        return self._deadlines.earliest()

    def handle_timer(self, now: float) -> list[CatalogResult]:
        """Return the collections that have ended by now."""
        results = []
        while (device_id := self._deadlines.pop_due(now)) is not None:
            result = self._finish(device_id, self._running[device_id].end(now, self._times))
            if result is not None:
                results.append(result)
        return results

    def _finish(self, device_id: str, reason: CatalogEnd) -> CatalogResult | None:
        running = self._running.pop(device_id, None)
        if running is None:
            return None
        self._deadlines.remove(device_id)
        self._old.setdefault(device_id, deque(maxlen=_OLD_NUMBERS)).append(running.sn)
        return running.result(reason)


@dataclass(slots=True, kw_only=True)
class _Collection:
    device_id: str
    sn: int
    started: float
    items: dict[str, CatalogItem] = field(default_factory=dict)
    announced: int | None = None
    steady: bool = True
    """Whether every message announced the same number."""
    messages: int = 0
    duplicates: int = 0
    conflicts: int = 0
    nameless: int = 0
    dropped: int = 0
    last: float = 0.0

    @property
    def expected(self) -> int | None:
        return self.announced

    @property
    def received(self) -> int:
        return len(self.items) + self.conflicts + self.nameless

    def add(self, response: CatalogResponse, now: float) -> None:
        self.messages += 1
        self.last = now
        announced = response.sum_num
        if announced is not None and announced >= 0 and not (announced == 0 and response.items):
            self.steady = self.steady and self.announced in {None, announced}
            self.announced = max(self.announced or 0, announced)
        for item in response.items:
            self._add_item(item)

    def _add_item(self, item: CatalogItem) -> None:
        if not item.device_id:
            self.nameless += 1
            return
        known = self.items.get(item.device_id)
        if known is None and len(self.items) >= MAX_CATALOG_ITEMS:
            self.dropped += 1
            return
        if known is not None:
            # A repeated message repeats its items; the same identifier with other content is an
            # item of its own to a device that counts.
            self.duplicates += 1
            self.conflicts += known != item
        self.items[item.device_id] = item

    def deadline(self, now: float, times: CatalogTimes) -> float:
        """Return when to give up waiting for the next message."""
        if self.dropped:
            return now
        all_there = self.announced is not None and self.received >= self.announced
        # A number that changes or has been exceeded counts something else: only silence tells.
        trusted = self.steady and self.received == self.announced
        wait = times.grace if all_there and trusted else times.silence
        return min(now + wait, self.started + times.total)

    def end(self, now: float, times: CatalogTimes) -> CatalogEnd:
        """Return why the deadline that has just passed ends the collection."""
        if not self.messages:
            return CatalogEnd.NO_ANSWER
        if self.dropped:
            return CatalogEnd.TOO_MANY
        if self.announced is not None and self.received >= self.announced:
            return CatalogEnd.ALL_RECEIVED if self.received else CatalogEnd.EMPTY
        if now - self.started >= times.total and now - self.last < times.silence:
            return CatalogEnd.TOO_SLOW
        return CatalogEnd.SILENCE if self.announced is None else CatalogEnd.SHORT

    def result(self, reason: CatalogEnd) -> CatalogResult:
        complete = reason in {CatalogEnd.ALL_RECEIVED, CatalogEnd.EMPTY, CatalogEnd.SILENCE}
        return CatalogResult(
            device_id=self.device_id,
            sn=self.sn,
            items=tuple(self.items.values()),
            expected=self.announced,
            received=self.received,
            complete=complete,
            reason=reason,
            detail=_DETAILS[reason].format(
                received=self.received,
                expected="an unknown number of" if self.announced is None else self.announced,
                messages=self.messages,
                limit=MAX_CATALOG_ITEMS,
            ),
            messages=self.messages,
            duplicates=self.duplicates,
            nameless=self.nameless,
        )


_DETAILS: Final = {
    CatalogEnd.ALL_RECEIVED: "received {received} items in {messages} messages, {expected} announced",
    CatalogEnd.EMPTY: "the device says that its catalogue is empty",
    CatalogEnd.SILENCE: "received {received} items in {messages} messages, none announced",
    CatalogEnd.SHORT: "received only {received} of {expected} items, then the device fell silent",
    CatalogEnd.NO_ANSWER: "the device acknowledged the query but sent no catalogue",
    CatalogEnd.TOO_MANY: "the device sent more than {limit} items; the rest was dropped",
    CatalogEnd.TOO_SLOW: "received {received} of {expected} items, too slowly to wait for the rest",
    CatalogEnd.SUPERSEDED: "a newer query took its place after {received} items",
    CatalogEnd.CANCELLED: "ended after {received} items because the device went away",
}
