"""What the parts hold, as metrics that are read when somebody asks."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway import __version__
from gateway.domain.media import StreamInfo
from gateway.domain.session import SessionRecord
from gateway.domain.store import StoreHealth
from gateway.observe.metrics import Metrics
from gb28181.aio.driver import SipStats

__all__ = ["Held", "SessionMetrics", "describe_metrics"]


class Held(Protocol):
    """The running gateway, as far as figures go."""

    def device_counts(self) -> tuple[int, int, int]:
        """Devices known, devices online, channels."""

    def streams(self) -> list[StreamInfo]:
        """Open streams."""

    def ports(self) -> tuple[int, int, int]:
        """Port pairs leased, draining and in all."""

    def sip(self) -> SipStats:
        """Counters of the SIP stack."""

    def counts(self) -> dict[str, int]:
        """Sessions, bridges, platforms, ... by name."""

    def store_health(self) -> StoreHealth:
        """How the store is."""


def describe_metrics(metrics: Metrics, held: Held) -> None:
    """Register every gauge and counter that is read from the parts."""
    gauge, counter = metrics.gauge, metrics.counter
    metrics.build.labels(__version__).set(1)

    def count(name: str) -> Callable[[], float]:
        return lambda: held.counts().get(name, 0)

    gauge("devices", "Devices by state", lambda: _devices(held), labels=["state"])
    gauge("channels", "Catalogued channels", lambda: held.device_counts()[2])
    gauge("sessions", "Sessions running", count("sessions"))
    gauge("bridges", "Streams given to upper platforms", count("bridges"))
    gauge("platforms_online", "Upper platforms registered with", count("platforms_online"))
    gauge("accesses", "Accesses open now", count("accesses"))
    gauge("hls_streams", "Streams being cut into HLS segments", count("hls_streams"))
    gauge("hls_viewings", "Viewings of HLS", count("hls_viewings"))
    gauge("streams", "Streams open", lambda: len(held.streams()))
    gauge("viewers", "Viewers by format", lambda: _viewers(held), labels=["format"])
    gauge("rtp_port_pairs", "RTP port pairs by state", lambda: _ports(held), labels=["state"])
    gauge("sip_transactions", "SIP transactions", lambda: held.sip().transactions)
    gauge("sip_dialogs", "SIP dialogs", lambda: held.sip().dialogs)
    gauge("sip_connections", "SIP connections", lambda: held.sip().connections)
    gauge("ssrcs", "SSRCs in use", count("ssrcs"))
    gauge("tasks", "Tasks alive, HTTP connections aside", _tasks)
    gauge("store_pending", "Writes waiting", lambda: held.store_health().pending)
    counter("sip_received", "SIP messages received", lambda: held.sip().received)
    counter("sip_malformed", "Unreadable messages", lambda: held.sip().malformed)
    counter("sip_retransmissions", "Messages sent again", lambda: held.sip().retransmitted)
    counter("sip_dropped", "Messages not sent", lambda: held.sip().dropped)


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


def _devices(held: Held) -> dict[tuple[str, ...], float]:
    known, online, _ = held.device_counts()
    return {("online",): online, ("offline",): known - online}


def _viewers(held: Held) -> dict[tuple[str, ...], float]:
    counts: dict[tuple[str, ...], float] = {}
    for stream in held.streams():
        for output, count in stream.viewers.items():
            counts[(output,)] = counts.get((output,), 0) + count
    return counts


def _ports(held: Held) -> dict[tuple[str, ...], float]:
    leased, draining, total = held.ports()
    free = total - leased - draining
    return {("leased",): leased, ("draining",): draining, ("free",): free}


def _tasks() -> float:
    # All of ours have a name; aiohttp's, one per connection, do not.
    return sum(not task.get_name().startswith("Task-") for task in asyncio.all_tasks())
