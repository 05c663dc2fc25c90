"""Writes what already holds, again and again until it is kept."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from gateway.domain.document import DocumentStore

__all__ = ["MAX_TRIES", "RETRY", "Rewriter"]

RETRY = timedelta(seconds=5)
"""From a write that failed to the next."""
MAX_TRIES = 100
"""Writes begun by one call, so that many grants ending at once do not hold up the loop."""

log = structlog.get_logger()


class Rewriter:
    """Keeps documents of one collection whose change worked before it was written.

    Args:
        store: Keeps them.
        collection: Which.
        wall: Wall clock, timezone-aware.
        current: Returns a document as it is now, None if it is no more.
    """

    def __init__(
        self,
        store: DocumentStore,
        collection: str,
        wall: Callable[[], datetime],
        current: Callable[[str], Mapping[str, Any] | None],
    ) -> None:
        self._store = store
        self._collection = collection
        self._wall = wall
        self._current = current
        self._unsaved: dict[str, datetime | None] = {}
        """When each is written again; None while it is being written."""

    def __contains__(self, key: object) -> bool:
        """Whether a document as it is now may not be kept yet."""
        return key in self._unsaved

    async def write(self, key: str) -> None:
        """Write a document as it is now; if that fails, :meth:`retry` does it again.

        Raises:
            Unavailable: it is not kept yet.
        """
        written = self.begin(key)
        if written is not None:
            await written

    def begin(self, key: str) -> asyncio.Future[None] | None:
        """As :meth:`write`, for those who do not wait; None if there is no such document any more."""
        body = self._current(key)
        if body is None:
            self._unsaved.pop(key, None)
            return None
        self._unsaved[key] = None
        written = self._store.save_document(self._collection, key, body)
        written.add_done_callback(partial(self._written, key, body))
        return written

    def retry(self) -> None:
        """Write again what is due; call it at least once a second."""
        if not self._unsaved:
            return
        now = self._wall()
        tries = 0
        for key, at in list(self._unsaved.items()):
            # A clock set back must not put it off.
            if at is None or now < at <= now + RETRY:
                continue
            self.begin(key)
            tries += 1
            if tries >= MAX_TRIES:
                return

    def _written(self, key: str, body: Mapping[str, Any], future: asyncio.Future[None]) -> None:
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or error is not None:
            self._unsaved[key] = self._wall() + RETRY
            log.warning(
                "sharing_write_failed", name=f"{self._collection}/{key}", error=str(error or "cut")
            )
        elif self._current(key) == body:
            self._unsaved.pop(key, None)
        elif key in self._unsaved:
            # Another state was written meanwhile, perhaps before this one.
            self._unsaved[key] = self._wall()
