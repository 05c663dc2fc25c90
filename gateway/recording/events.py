"""The events being recorded now, kept in the store: a restart goes on with them."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from gateway.domain.document import DocumentStore
from gateway.domain.errors import Conflict, Unavailable

__all__ = ["MAX_EVENT", "MAX_EVENTS", "EventBook"]

log = structlog.get_logger()

MAX_EVENT = 24 * 3600.0
"""Seconds one command may record."""
MAX_EVENTS = 10_000
"""Channels with an event at once."""
SLACK = 5.0
"""Seconds by which an event may become longer without being written again: an alarm may come every second."""
MAX_CAUSE = 200
"""Characters of a cause that was kept."""
_COLLECTION = "record_events"

_Key = tuple[str, str]


class EventBook:
    """Until when each channel is recorded for an event, and why; `keep` makes what changed durable.

    Args:
        store: Where they are kept.
        now: Monotonic seconds.
        wall: Wall clock, timezone-aware.
    """

    def __init__(
        self, store: DocumentStore, *, now: Callable[[], float], wall: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._now = now
        self._wall = wall
        self._events: dict[_Key, tuple[float, str]] = {}
        """Until when (monotonic), and why."""
        self._kept: dict[_Key, float] = {}
        """Until when as the store knows it."""
        self._changed: set[_Key] = set()

    async def load(self) -> None:
        """Go on with what was not over at the last end."""
        for name, body in (await self._store.load_documents(_COLLECTION)).items():
            key = _key(name)
            try:
                left = (datetime.fromisoformat(str(body["until"])) - self._wall()).total_seconds()
                cause = str(body["cause"])[:MAX_CAUSE]
            except (KeyError, TypeError, ValueError) as exc:
                log.error("record_event_unreadable", name=name, error=repr(exc))  # noqa: TRY400 - no trace needed
                left, cause = 0.0, ""
            self._kept[key] = self._now() + left
            # A clock that was set back must not make an event longer than any may be.
            if 0 < left <= MAX_EVENT and cause and len(self._events) < MAX_EVENTS:
                self._events[key] = (self._now() + left, cause)
            else:
                self._changed.add(key)

    def keys(self) -> set[_Key]:
        """Return the channels with an event; events that are over are forgotten."""
        now = self._now()
        for key in [key for key, (until, _) in self._events.items() if now >= until]:
            self.end(key)
        return set(self._events)

    def left(self, key: _Key) -> float | None:
        """Return the seconds an event is still recorded; None without one."""
        event = self._events.get(key)
        return None if event is None else event[0] - self._now()

    def cause(self, key: _Key) -> str | None:
        """Return why a channel is recorded now; None without an event."""
        event = self._events.get(key)
        return None if event is None else event[1]

    def begin(self, key: _Key, seconds: float, cause: str) -> None:
        """Begin an event or make it longer, never shorter; it keeps its first cause.

        Raises:
            Conflict: `too_many_events`.
        """
        before = self._events.get(key)
        if before is None and len(self._events) >= MAX_EVENTS:
            raise Conflict("too_many_events", f"{MAX_EVENTS} channels record an event already")
        until = self._now() + seconds
        if before is not None:
            until, cause = max(until, before[0]), before[1]
        self._events[key] = (until, cause)
        kept = self._kept.get(key)
        if kept is None or until - kept > SLACK:
            self._changed.add(key)

    def end(self, key: _Key) -> bool:
        """End an event; False if there is none."""
        if self._events.pop(key, None) is None:
            return False
        self._changed.add(key)
        return True

    async def keep(self) -> None:
        """Write what changed; durable once this returns.

        Raises:
            Unavailable: the store cannot keep it; it is written with the next call.
        """
        changed, self._changed = self._changed, set()
        writes = [(key, self._events.get(key), self._write(key)) for key in changed]
        failure: Unavailable | None = None
        for key, event, written in writes:
            try:
                await written
            except Unavailable as exc:
                self._changed.add(key)
                failure = exc
            else:
                self._note(key, event)
        if failure is not None:
            raise failure

    def _write(self, key: _Key) -> asyncio.Future[None]:
        event = self._events.get(key)
        if event is None:
            return self._store.delete_document(_COLLECTION, _name(key))
        until = self._wall() + timedelta(seconds=event[0] - self._now())
        body: Mapping[str, Any] = {"until": until.isoformat(), "cause": event[1]}
        return self._store.save_document(_COLLECTION, _name(key), body)

    def _note(self, key: _Key, event: tuple[float, str] | None) -> None:
        if event is None:
            self._kept.pop(key, None)
        else:
            self._kept[key] = event[0]


def _name(key: _Key) -> str:
    return f"{key[0]}/{key[1]}"


def _key(name: str) -> _Key:
    device_id, _, channel_id = name.partition("/")
    return device_id, channel_id
