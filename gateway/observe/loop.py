"""How late the event loop is: the first sign of overload."""

import asyncio

import structlog

from gateway.observe.log import RateLimitedCounter
from gateway.observe.metrics import Metrics
from gb28181.aio.clock import monotonic

__all__ = ["LoopWatch"]

_log = structlog.get_logger()


class LoopWatch:
    """Measures by how much a short sleep overruns.

    Args:
        metrics: Receives every measurement.
        interval: Seconds between measurements.
        slow: Seconds of lateness worth a log line.
    """

    def __init__(self, metrics: Metrics, *, interval: float = 0.5, slow: float = 0.25) -> None:
        self._metrics = metrics
        self._interval = interval
        self._slow = slow
        self._late = RateLimitedCounter(_log.warning, "event_loop_was_late")
        self.worst = 0.0
        """Greatest lateness since the start, in seconds."""
        self.last = 0.0
        """Latest lateness, in seconds."""

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            start = monotonic()
            await asyncio.sleep(self._interval)
            self.record(max(0.0, monotonic() - start - self._interval))

    def record(self, late: float) -> None:
        """Take one measurement, in seconds."""
        self.last = late
        self.worst = max(self.worst, late)
        self._metrics.loop_lag_seconds.observe(late)
        if late >= self._slow:
            self._late.add(duration_ms=round(late * 1000))
