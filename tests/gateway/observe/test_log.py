"""Logs: one line per event, without secrets, and floods cut short."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gateway.observe.log import KEYS, RateLimitedCounter, configure_logging


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_is_one_object_a_line_with_time_and_level() -> None:
    stream = io.StringIO()
    configure_logging("auto", "info", stream=stream)
    structlog.get_logger().info("device_online", device_id="3402", name="大门")
    (line,) = written(stream)
    assert line["event"] == "device_online"
    assert line["level"] == "info"
    assert line["name"] == "大门"
    assert line["timestamp"].endswith("Z")


def test_console_is_text_for_people() -> None:
    stream = io.StringIO()
    configure_logging("console", "info", stream=stream)
    structlog.get_logger().info("device_online", device_id="3402")
    assert "device_online" in stream.getvalue()
    assert "device_id=3402" in stream.getvalue()
    assert stream.getvalue().endswith("\n")


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    configure_logging("json", "warning", stream=stream)
    structlog.get_logger().info("quiet")
    logging.getLogger("some.library").info("quiet")
    assert stream.getvalue() == ""


def test_records_of_the_standard_library_take_the_same_way_and_are_cleaned() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream=stream)
    logging.getLogger("aiohttp.server").warning("GET /live/a.flv?token=%s failed", "abc123")
    (line,) = written(stream)
    assert line["event"] == "GET /live/a.flv?token=[redacted] failed"
    assert line["logger"] == "aiohttp.server"


def test_loggers_made_before_the_configuration_follow_it() -> None:
    early = structlog.get_logger()
    stream = io.StringIO()
    configure_logging("json", "info", stream=stream)
    early.info("late")
    assert written(stream)[0]["event"] == "late"


def test_a_secret_in_an_exception_is_removed() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream=stream)
    try:
        int("postgresql://gateway:hunter2@db/x")
    except ValueError:
        structlog.get_logger().exception("store_failed")
    assert "hunter2" not in stream.getvalue()
    assert "[redacted]@db" in stream.getvalue()


def test_undecodable_header_bytes_do_not_break_the_log() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream=stream)
    structlog.get_logger().info(
        "request_refused", user_agent=b"\xc4\xe3".decode("utf-8", "surrogateescape")
    )
    assert written(stream)[0]["event"] == "request_refused"


def test_keys_are_snake_case_and_none_is_a_secret() -> None:
    assert all(key == key.lower() and key.isidentifier() for key in KEYS)
    assert not KEYS & {"password", "token", "secret", "nonce"}


class Recorder:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def __call__(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))


def test_a_flood_becomes_one_line_a_second_with_the_count() -> None:
    now = 100.0
    recorder = Recorder()
    counter = RateLimitedCounter(recorder, "frames_dropped", clock=lambda: now)
    for _ in range(10):
        counter.add(3, stream_id="a")
    now += 1.0
    counter.add(1, stream_id="b")
    assert recorder.lines == [
        ("frames_dropped", {"count": 3, "total": 3, "stream_id": "a"}),
        ("frames_dropped", {"count": 28, "total": 31, "stream_id": "b"}),
    ]


def test_what_is_left_of_a_flood_is_written_by_flush_and_close() -> None:
    now = 0.0
    recorder = Recorder()
    counter = RateLimitedCounter(recorder, "x", clock=lambda: now)
    counter.add()
    counter.add()
    counter.flush()
    assert len(recorder.lines) == 1
    now = 1.5
    counter.flush()
    counter.flush()
    assert recorder.lines[1:] == [("x", {"count": 1, "total": 2})]
    counter.add()
    counter.close()
    counter.close()
    assert len(recorder.lines) == 3
