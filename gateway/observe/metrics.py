"""Metrics in Prometheus form; one object owns the registry and is passed around.

Facts that somebody counts anyway (a driver's counters, the registry's sizes) are read when scraped: register a
callable with `gauge` or `counter`. Only what nobody else keeps is a metric object here.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "Metrics", "Reading"]

CONTENT_TYPE: str = CONTENT_TYPE_LATEST

Reading = Callable[[], float | Mapping[tuple[str, ...], float]]
"""A number, or numbers by label values."""

_log = structlog.get_logger()

_LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_STAGES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0)


class Metrics:
    """All metrics of one gateway."""

    def __init__(self, *, process: bool = True) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        if process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
            GCCollector(registry=self.registry)
        self._callbacks = _Callbacks()
        self.registry.register(self._callbacks)

        def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
            return Counter(name, text, labels, namespace="gateway", registry=self.registry)

        def gauge(name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
            return Gauge(name, text, labels, namespace="gateway", registry=self.registry)

        def histogram(
            name: str, text: str, labels: Sequence[str] = (), *, buckets: Sequence[float]
        ) -> Histogram:
            return Histogram(
                name, text, labels, namespace="gateway", registry=self.registry, buckets=buckets
            )

        self.sip_requests = counter(
            "sip_requests", "SIP requests handled, by method and final status", ["method", "status"]
        )
        self.registrations = counter(
            "registrations",
            "REGISTERs by result: accepted, logout, challenged, refused, ignored",
            ["result"],
        )
        self.auth_failures = counter("auth_failures", "Failed digests by reason", ["reason"])
        self.keepalives = counter("keepalives", "Keepalives by result", ["result"])
        self.messages_refused = counter(
            "messages_refused", "MESSAGEs not acted upon, by reason", ["reason"]
        )
        self.transitions = counter(
            "device_transitions", "Devices that went online or offline", ["to", "reason"]
        )
        self.catalog_syncs = counter("catalog_syncs", "Catalogue queries by result", ["result"])
        self.sessions_started = counter("sessions_started", "Sessions started", ["transport"])
        self.sessions_ended = counter("sessions_ended", "Sessions ended, by reason", ["reason"])
        self.stage_seconds = histogram(
            "session_stage_seconds",
            "Seconds from the request to each stage",
            ["stage"],
            buckets=_STAGES,
        )
        self.viewers_refused = counter(
            "viewers_refused", "Viewers not admitted, by reason", ["reason"]
        )
        self.http_requests = counter("http_requests", "HTTP requests by status", ["status"])
        self.store_commits = counter(
            "store_commits", "Commits by kind (durable, batch) and result", ["kind", "result"]
        )
        self.store_rows = counter("store_rows", "Rows written", ["table"])
        self.store_dropped = counter(
            "store_dropped", "Writes given up because the store is too slow or down", ["kind"]
        )
        self.store_commit_seconds = histogram(
            "store_commit_seconds", "Seconds a commit took", ["kind"], buckets=_LATENCY
        )
        self.loop_lag_seconds = histogram(
            "event_loop_lag_seconds", "Seconds by which the event loop was late", buckets=_LATENCY
        )
        self.task_crashes = counter(
            "task_crashes", "Tasks that ended by an unexpected exception", ["task"]
        )
        self.build = gauge("build_info", "Version of the gateway", ["version"])

    def gauge(self, name: str, text: str, read: Reading, *, labels: Sequence[str] = ()) -> None:
        """Add a gauge that is read when scraped.

        The usual ones: devices{state}, channels, sessions{state}, viewers{format}, streams, rtp_port_pairs{state},
        sip_transactions, sip_dialogs, sip_connections, store_pending{kind}.
        """
        self._callbacks.add(f"gateway_{name}", text, read, tuple(labels), counter=False)

    def counter(self, name: str, text: str, read: Reading, *, labels: Sequence[str] = ()) -> None:
        """Add a counter that somebody else keeps and that is read when scraped (name without `_total`).

        The usual ones: sip_messages{direction,transport}, sip_malformed, sip_retransmissions,
        media_packets, media_bytes, media_lost, media_discarded.
        """
        self._callbacks.add(f"gateway_{name}", text, read, tuple(labels), counter=True)

    def exposition(self) -> bytes:
        """Return the text for `/metrics`."""
        return generate_latest(self.registry)


class _Callbacks(Collector):
    def __init__(self) -> None:
        self._readings: dict[str, tuple[str, Reading, tuple[str, ...], bool]] = {}

    def add(
        self, name: str, text: str, read: Reading, labels: tuple[str, ...], *, counter: bool
    ) -> None:
        if name in self._readings:
            raise ValueError(f"metric {name} exists already")
        self._readings[name] = (text, read, labels, counter)

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        for name, (text, read, labels, counter) in self._readings.items():
            family = (CounterMetricFamily if counter else GaugeMetricFamily)(
                name, text, labels=labels
            )
            try:
                values = read()
            except Exception as exc:  # noqa: BLE001 - one broken reading must not take /metrics down
                _log.error("metric_not_read", name=name, error=repr(exc))
                continue
            if isinstance(values, Mapping):
                for key, value in values.items():
                    family.add_metric(list(key), value)
            elif not math.isnan(values):
                family.add_metric([], values)
            yield family
