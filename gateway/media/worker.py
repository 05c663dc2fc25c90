"""Threads for what PyAV does slowly: open, close, decode, encode."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import structlog

__all__ = ["MediaWorker"]

log = structlog.get_logger()

CLOSE_WAIT = 2.0
"""Seconds for the work under way; a thread cannot be interrupted."""

P = ParamSpec("P")
T = TypeVar("T")


class MediaWorker:
    """A few named threads that end with their owner."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="media-worker")
        self._running: set[Future[Any]] = set()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work in a thread and return its result; a cancelled caller does not stop it."""
        return await asyncio.wrap_future(self._submit(work, *args, **kwargs))

    def dispose(self, work: Callable[[], None]) -> None:
        """Free something in a thread; `close` waits for it."""
        self._submit(work)

    async def close(self) -> None:
        """Wait a moment for the work under way, then end the threads."""
        pending = [asyncio.wrap_future(future) for future in tuple(self._running)]
        try:
            if pending:
                _, stuck = await asyncio.wait(pending, timeout=CLOSE_WAIT)
                if stuck:
                    log.warning("media_workers_stuck", jobs=len(stuck))
        finally:
            # Idle threads leave at once, a stuck one as soon as it can.
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future = self._executor.submit(work, *args, **kwargs)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future
