"""What the parts hold, as metrics that are read when somebody asks."""

import asyncio
from collections.abc import Callable

from gateway import __version__
from gateway.domain.media import MediaPlane
from gateway.domain.session import SessionRecord
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry
from gateway.store.sql import SqlStore
from gb28181.aio.driver import SipDriver

__all__ = ["SessionMetrics", "describe_metrics"]


def describe_metrics(
    metrics: Metrics,
    registry: DeviceRegistry,
    media: MediaPlane,
    driver: SipDriver,
    store: SqlStore,
    counts: Callable[[], dict[str, int]],
) -> None:
    """Register every gauge and counter that is read from the parts.

    Args:
        metrics: Where.
        registry: Devices and channels.
        media: Streams and ports.
        driver: The SIP stack.
        store: What waits to be written.
        counts: Sessions, bridges, platforms, ... by name.
    """
    gauge, counter = metrics.gauge, metrics.counter
    metrics.build.labels(__version__).set(1)

    def count(name: str) -> Callable[[], float]:
        return lambda: counts().get(name, 0)

    gauge("devices", "Devices by state", lambda: _devices(registry), labels=["state"])
    gauge("channels", "Catalogued channels", lambda: registry.counts()[2])
    gauge("sessions", "Sessions running", count("sessions"))
    gauge("bridges", "Streams given to upper platforms", count("bridges"))
    gauge("platforms_online", "Upper platforms registered with", count("platforms_online"))
    gauge("accesses", "Accesses open now", count("accesses"))
    gauge("hls_streams", "Streams being cut into HLS segments", count("hls_streams"))
    gauge("hls_viewings", "Viewings of HLS", count("hls_viewings"))
    gauge("streams", "Streams open", lambda: len(media.streams()))
    gauge("viewers", "Viewers by format", lambda: _viewers(media), labels=["format"])
    gauge("rtp_port_pairs", "RTP port pairs by state", lambda: _ports(media), labels=["state"])
    gauge("sip_transactions", "SIP transactions", lambda: driver.stats.transactions)
    gauge("sip_dialogs", "SIP dialogs", lambda: driver.stats.dialogs)
    gauge("sip_connections", "SIP connections", lambda: driver.stats.connections)
    gauge("ssrcs", "SSRCs in use", count("ssrcs"))
    gauge("tasks", "Tasks alive, HTTP connections aside", _tasks)
    gauge("store_pending", "Writes waiting", lambda: store.health().pending)
    counter("sip_received", "SIP messages received", lambda: driver.stats.received)
    counter("sip_malformed", "Unreadable messages", lambda: driver.stats.malformed)
    counter("sip_retransmissions", "Messages sent again", lambda: driver.stats.retransmitted)
    counter("sip_dropped", "Messages not sent", lambda: driver.stats.dropped)


class SessionMetrics:
    """Counts sessions and how fast their stages came."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def session_started(self, record: SessionRecord) -> None:
        """Count a start."""
        self._metrics.sessions_started.labels(record.transport).inc()

    def session_ended(self, record: SessionRecord) -> None:
        """Count an end, by its reason."""
        if record.ended is not None:
            self._metrics.sessions_ended.labels(record.ended.reason.value).inc()
        for stage, seconds in record.stages.items():
            self._metrics.stage_seconds.labels(stage.value).observe(seconds)


def _devices(registry: DeviceRegistry) -> dict[tuple[str, ...], float]:
    known, online, _ = registry.counts()
    return {("online",): online, ("offline",): known - online}


def _viewers(media: MediaPlane) -> dict[tuple[str, ...], float]:
    counts: dict[tuple[str, ...], float] = {}
    for stream in media.streams():
        for output, count in stream.viewers.items():
            counts[(output,)] = counts.get((output,), 0) + count
    return counts


def _ports(media: MediaPlane) -> dict[tuple[str, ...], float]:
    leased, draining, total = media.ports_in_use()
    free = total - leased - draining
    return {("leased",): leased, ("draining",): draining, ("free",): free}


def _tasks() -> float:
    # All of ours have a name; aiohttp's, one per connection, do not.
    return sum(not task.get_name().startswith("Task-") for task in asyncio.all_tasks())
