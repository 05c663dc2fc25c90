"""Metrics: what Prometheus reads."""

import asyncio

import pytest

from gateway.observe.loop import LoopWatch
from gateway.observe.metrics import Metrics


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_counters_appear_in_the_exposition_with_their_labels() -> None:
    metrics = Metrics(process=False)
    metrics.auth_failures.labels(reason="wrong_response").inc()
    metrics.sessions_ended.labels(reason="no_packet").inc(2)
    assert sample(metrics, "gateway_auth_failures_total", reason="wrong_response") == 1
    assert b'gateway_sessions_ended_total{reason="no_packet"} 2.0' in metrics.exposition()


def test_two_gateways_in_one_process_do_not_share_metrics() -> None:
    one, two = Metrics(process=False), Metrics(process=False)
    one.registrations.labels(result="accepted").inc()
    assert sample(two, "gateway_registrations_total", result="accepted") is None


def test_readings_are_taken_when_scraped() -> None:
    metrics = Metrics(process=False)
    online = 0
    metrics.gauge(
        "devices", "Devices", lambda: {("online",): online, ("known",): 5}, labels=["state"]
    )
    metrics.counter("media_packets", "Packets", lambda: 7)
    online = 3
    assert sample(metrics, "gateway_devices", state="online") == 3
    assert sample(metrics, "gateway_devices", state="known") == 5
    assert sample(metrics, "gateway_media_packets_total") == 7


def test_a_reading_that_fails_does_not_hide_the_others() -> None:
    metrics = Metrics(process=False)
    metrics.gauge("broken", "Broken", lambda: 1 / 0)
    metrics.gauge("channels", "Channels", lambda: 9)
    assert sample(metrics, "gateway_channels") == 9
    assert sample(metrics, "gateway_broken") is None


def test_a_reading_is_registered_once() -> None:
    metrics = Metrics(process=False)
    metrics.gauge("channels", "Channels", lambda: 9)
    with pytest.raises(ValueError, match="gateway_channels"):
        metrics.gauge("channels", "Channels", lambda: 9)


def test_process_metrics_are_part_of_it() -> None:
    assert b"process_resident_memory_bytes" in Metrics().exposition()


def test_lateness_of_the_loop_is_kept() -> None:
    metrics = Metrics(process=False)
    watch = LoopWatch(metrics)
    watch.record(0.02)
    watch.record(0.001)
    assert (watch.worst, watch.last) == (0.02, 0.001)
    assert sample(metrics, "gateway_event_loop_lag_seconds_count") == 2


async def test_the_watch_measures_until_cancelled() -> None:
    metrics = Metrics(process=False)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(LoopWatch(metrics, interval=0.01).run())
        async with asyncio.timeout(15):
            while not sample(metrics, "gateway_event_loop_lag_seconds_count"):
                await asyncio.sleep(0.01)
        watching.cancel()
    assert watching.cancelled()
