"""Running a gateway until a signal ends it."""

import asyncio
import gc
import resource
import signal

from gateway.app.gateway import Gateway
from gateway.config.model import Settings

__all__ = ["raise_file_limit", "serve"]

GC_THRESHOLDS = (50_000, 20, 20)
"""Objects, collections and collections between collections of the three generations."""


def _tame_collector() -> None:
    """Make cyclic collections rare: what lives long here is not made of cycles.

    With the defaults a full load of registrations spends a sixth of its time looking through the
    answers kept for retransmissions.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def raise_file_limit() -> None:
    """Take all the file descriptors the system grants: each stream and viewer needs some, 1,024 are soon gone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def serve(settings: Settings) -> None:
    """Run a gateway until SIGINT or SIGTERM."""
    raise_file_limit()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        async with Gateway(settings):
            _tame_collector()
            await stopped.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
