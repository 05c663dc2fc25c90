"""What a platform was last told, and the events that lead from there to what is published now (protocol 7.3).

Kept is only the difference: for each code whose item is another than the platform was told, what it was told.
However slow the platform is, there is one entry per code at most, and the events are always those between the two
states, never a history.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from gateway.cascade.catalog.item import Placed, Rank, differs, render
from gateway.cascade.catalog.tree import Change
from gateway.domain.device import Channel, ChannelKind
from gateway.domain.platform import Edition
from gb28181.ids import DeviceId, IdKind
from gb28181.manscdp import CatalogItem
from gb28181.manscdp.notify import CatalogEvent

__all__ = ["Event", "Plan", "Told"]

Find = Callable[[str], Placed | None]


class Told:
    """What a platform was told of one code's catalogue.

    Args:
        find: Returns what is published under a code now.
    """

    def __init__(self, find: Find) -> None:
        self.find = find
        self.pending: dict[str, Placed | None] = {}
        """What was told under each code that is (or was for a while) another now; None: nothing."""
        self.unsure: dict[str, CatalogEvent] = {}
        """Of those, the ones the platform may know or not: they must be told in full, by which event."""
        self.members: set[str] | None = None
        """Codes that belong to a part of the catalogue; None for the whole."""

    def changed(self, changes: Iterable[Change]) -> None:
        """Note what was published; what was told before counts."""
        pending, members = self.pending, self.members
        for code, before, _ in changes:
            if members is None or code in members:
                pending.setdefault(code, before)

    def now(self, code: str) -> Placed | None:
        """Return what the platform should know under a code."""
        if self.members is not None and code not in self.members:
            return None
        return self.find(code)

    def narrow(self, codes: set[str]) -> None:
        """Take over which codes belong to the part now."""
        members = self.members
        assert members is not None
        for code in codes - members:
            self.pending.setdefault(code, None)
        for code in members - codes:
            # Still published, but not in this part any more.
            self.pending.setdefault(code, self.find(code))
        self.members = codes

    def assume_online(self, items: Iterable[Placed]) -> None:
        """Note that a new subscriber takes everything for on-line (7.3): what is not becomes an event.

        Others keep what they knew, so what was told to be off-line and no longer is stays an event as well.
        """
        for placed in items:
            known = self.members is None or placed.code in self.members
            told = self.pending.get(placed.code, placed if known else None)
            if told is not None and placed.online is False:
                self.pending[placed.code] = replace(told, online=True)

    def recall(self, code: str) -> None:
        """Note that a platform may have been told of a code in former times; if nothing stands there it must go."""
        if self.find(code) is None:
            self.pending.setdefault(code, _ghost(code))

    def restore(self, events: Iterable["Event"]) -> None:
        """Take back events that may have arrived or not."""
        for event in events:
            self.pending[event.code] = event.before or event.after
            changed = event.before is not None and event.after is not None
            self.unsure[event.code] = CatalogEvent.UPDATE if changed else CatalogEvent.ADD

    def overtaken(self, later: "Told") -> None:
        """Note that a catalogue was sent meanwhile, and what changed while it was.

        A page that is out of date may have arrived after the news, or between two; and a platform may take what
        the answer lacks for gone. So what the changed items are is told in full, whatever was told before.
        """
        for code, before in later.pending.items():
            if self.members is not None and code not in self.members:
                continue
            now, told = self.find(code), self.pending.get(code)
            if now is None and before is None:
                continue
            known = now is not None and (before is not None or told is not None)
            known = known and self.pending.get(code, before) is not None
            self.unsure[code] = CatalogEvent.UPDATE if known else CatalogEvent.ADD
            self.pending[code] = told or before or now


class Event(NamedTuple):
    """One item of a notification."""

    kind: CatalogEvent
    code: str
    before: Placed | None
    after: Placed | None

    def item(self, *, rename: bool, edition: Edition) -> CatalogItem:
        """Write it; ON, OFF and DEL need no more than the code, except for 2011, which has no events."""
        full = self.kind.has_fields or edition is Edition.V2011
        if full and self.after is not None:
            return replace(render(self.after, rename=rename), event=self.kind.value)
        return CatalogItem(device_id=self.code, event=self.kind.value)


class Plan:
    """The events between what was told and what is published, in an order any platform can follow.

    Items that go come first, then those that come, parents before children; then changes; what others hung below
    goes last. Nothing is ever announced below an item that is not there yet, or removed above one that still is.

    Args:
        told: Where the platform stands; entries are taken out as their events are made.
        rename: Whether texts are freed of lower-level codes.
        edition: Whose fields count as a change.
        hold: Asked about each change of status alone; True leaves it for later.
    """

    def __init__(
        self, told: Told, *, rename: bool, edition: Edition, hold: Callable[[str], bool]
    ) -> None:
        self._told = told
        self._rename = rename
        self._edition = edition
        self._hold = hold
        self._held: set[str] = set()
        self._children: dict[str, list[str]] = {}
        self._order: Iterator[str] = iter(())

    def prepare(self) -> Iterator[None]:
        """Look at everything that differs, in steps; if anything was published meanwhile, begin anew."""
        steps: dict[tuple[int, int, int], list[str]] = {}
        pending = self._told.pending
        for number, code in enumerate(tuple(pending)):
            if number % _STEP == 0:
                yield
            if code not in pending:
                continue
            before, after = pending[code], self._told.now(code)
            key = _step_of(before, after)
            if key is None:
                # It came and went before it was told.
                del pending[code]
                self._told.unsure.pop(code, None)
                continue
            steps.setdefault(key, []).append(code)
            if after is None:
                self._children.setdefault(code, [])
        for number, code in enumerate(tuple(pending) if self._children else ()):
            if number % _STEP == 0:
                yield
            for parent in _parents(pending.get(code)):
                if parent in self._children:
                    self._children[parent].append(code)
        self._order = iter([code for key in sorted(steps) for code in steps[key]])

    def events(self) -> Iterator[Event]:
        """Yield the events; the caller must stop once something else was published, and make a new plan."""
        for code in self._order:
            yield from self._emit(code)

    def _emit(self, code: str) -> Iterator[Event]:
        """Yield the event of a code, after those it must not come before."""
        pending = self._told.pending
        # Each code enters once, so that even odd trees cannot send this round in a circle.
        waiting: list[tuple[str, Iterator[str]]] = [(code, iter(self._first(code)))]
        entered = {code}
        while waiting:
            current, first = waiting[-1]
            needed = next((each for each in first if each in pending and each not in entered), None)
            if needed is not None:
                entered.add(needed)
                waiting.append((needed, iter(self._first(needed))))
                continue
            waiting.pop()
            event = self._event(current)
            if event is not None:
                yield event

    def _first(self, code: str) -> Sequence[str]:
        """Return the codes whose events must be told before."""
        after = self._told.now(code)
        if after is None:
            return self._children.get(code, ())
        return [each for each in _parents(after) if self._told.pending.get(each, after) is None]

    def _event(self, code: str) -> Event | None:
        pending = self._told.pending
        if code not in pending or code in self._held:
            return None
        before, after = pending[code], self._told.now(code)
        kind = self._kind(before, after)
        if after is not None and before is not None:
            kind = self._told.unsure.get(code, kind)
        if kind in {CatalogEvent.ON, CatalogEvent.OFF} and self._hold(code):
            self._held.add(code)
            return None
        del pending[code]
        self._told.unsure.pop(code, None)
        return None if kind is None else Event(kind, code, before, after)

    def _kind(self, before: Placed | None, after: Placed | None) -> CatalogEvent | None:
        if after is None:
            return None if before is None else CatalogEvent.DEL
        if before is None:
            return CatalogEvent.ADD
        if before is after:
            return None
        if differs(before, after, rename=self._rename, edition=self._edition.value):
            return CatalogEvent.UPDATE
        if before.online is after.online:
            return None
        return CatalogEvent.ON if after.online else CatalogEvent.OFF


def _ghost(code: str) -> Placed:
    """Return the little that is known of an item somebody was told of before."""
    rank = _FORMER_RANKS.get(DeviceId(code).kind, Rank.CHANNEL)
    # Not of our own: whoever compares must find it to be another.
    channel = Channel(device_id="former", channel_id=code, kind=ChannelKind.OTHER)
    return Placed(channel=channel, code=code, rank=rank)


_FORMER_RANKS: Final = {
    IdKind.PLATFORM: Rank.PLATFORM,
    IdKind.BUSINESS_GROUP: Rank.GROUP,
    IdKind.ORGANISATION: Rank.ORGANISATION,
    IdKind.MAIN_DEVICE: Rank.DEVICE,
    IdKind.REGION: Rank.DIVISION,
}
_STEP: Final = 128
_GONE, _NEW, _CHANGED, _REMOVED = range(4)


def _step_of(before: Placed | None, after: Placed | None) -> tuple[int, int, int] | None:
    if after is not None:
        return (_NEW if before is None else _CHANGED, after.rank, after.depth)
    if before is None:
        return None
    leaf = before.rank is Rank.CHANNEL
    return (_GONE if leaf else _REMOVED, -before.rank, -before.depth)


def _parents(placed: Placed | None) -> tuple[str, ...]:
    if placed is None:
        return ()
    return (*placed.parents, placed.group) if placed.group else placed.parents
