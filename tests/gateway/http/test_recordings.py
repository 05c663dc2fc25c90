"""Recordings over HTTP: what may be asked, ranges of bytes, players that take nothing, orders to stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway.domain.recording import ClipPart
from gateway.http.problem import ApiError
from gateway.http.recordings_play import parse_range
from tests.support.gateway import RunningGateway, eventually, running_gateway

pytestmark = pytest.mark.net

BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CHANNEL = "34020000001180000001/34020000001320000001"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-0", (0, 0)),
        ("bytes=10-", (10, 99)),
        ("bytes=90-500", (90, 99)),
        ("bytes=-5", (95, 99)),
        ("bytes=-500", (0, 99)),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_a_range_is_read_as_rfc_9110_says(value: str, expected: tuple[int, int] | None) -> None:
    assert parse_range(value, 100) == expected


@pytest.mark.parametrize("value", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_that_cannot_be_had_is_416(value: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_range(value, 100)
    assert caught.value.status == 416
    assert caught.value.headers == {"Content-Range": "bytes */100"}


ASKED: list[tuple[str, str, Any, int]] = [
    ("GET", "?device_id=a", None, 400),
    ("GET", "?device_id=%00&channel_id=%00", None, 404),
    ("GET", "?device_id=a&channel_id=b&from=0001-01-01T00:00:00Z", None, 400),
    ("GET", "?device_id=a&channel_id=b&from=2026-01-01T00:00:00", None, 400),
    ("GET", "?device_id=a&channel_id=b&from=2026-01-01T00:00:00%2B08:00", None, 200),
    ("GET", "?device_id=a&channel_id=b&from=2026-01-01T00:00:00+08:00", None, 200),
    ("GET", f"/{CHANNEL}/ranges?from=2026-01-01T00:00:00Z&to=2026-12-01T00:00:00Z", None, 422),
    ("GET", f"/{CHANNEL}/ranges?to=2200-01-01T00:00:00Z", None, 200),
    ("GET", f"/{CHANNEL}/days?from=2026-01-01&to=2026-01-31&zone=Mars", None, 422),
    ("GET", f"/{CHANNEL}/days?from=2026-02-01&to=2026-01-31", None, 422),
    ("GET", f"/{CHANNEL}/days?from=0001-01-01&to=9999-12-31", None, 400),
    ("GET", f"/{CHANNEL}/play.mp4", None, 400),
    ("GET", f"/{CHANNEL}/play.mp4?start=2026-01-01T00:00:00Z", None, 404),
    ("GET", f"/{CHANNEL}/play?start=2026-01-01T00:00:00Z&end=2025-01-01T00:00:00Z", None, 422),
    ("GET", f"/{CHANNEL}/download.mp4?start=2026-01-01T00:00:00Z&end=2026-01-03T00:00:00Z", None, 422),
    ("GET", "/files/ffff", None, 404),
    ("GET", "/files/%00", None, 404),
    ("GET", "/files/%FF.mp4", None, 404),
    ("DELETE", "/files/ffff", None, 404),
    ("POST", "/files/ffff/lock", None, 404),
    ("POST", f"/{CHANNEL}/lock", {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, 422),
    ("POST", f"/{CHANNEL}/start", {"seconds": 0}, 422),
    ("POST", f"/{CHANNEL}/start", {}, 404),
    ("POST", f"/{CHANNEL}/stop", None, 404),
    ("PUT", f"/plans/{CHANNEL}", {"mode": "always"}, 404),
    ("PUT", f"/plans/{CHANNEL}", {"mode": "sometimes"}, 422),
    ("DELETE", f"/plans/{CHANNEL}", None, 404),
    ("GET", "/status", None, 200),
    ("GET", "/channels", None, 200),
]  # fmt: skip


async def test_what_makes_no_sense_gets_its_status_and_a_reason(bench: RunningGateway) -> None:
    told = []
    for method, path, body, _ in ASKED:
        status, answer = await bench.api.call(method, f"recordings{path}", json=body)
        told.append((method, path, body, status))
        assert status < 400 or answer["code"]
    assert told == ASKED


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with running_gateway(tmp_path) as running:
        yield running


class EndlessClip:
    """A gigabyte of nothing."""

    parts = (ClipPart(begin=BEGIN, end=BEGIN + timedelta(hours=1), at=0.0),)
    size = 10**9
    mime = "avc1.64001f"
    etag = "abc"
    next = None
    complete = True
    closed = False

    async def read(self, first: int, last: int) -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(1024 * 1024)
        finally:
            self.closed = True


async def test_an_order_to_stop_ends_a_player_that_takes_nothing_and_is_on_record(
    bench: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = EndlessClip()

    async def endless(*_: object, **__: object) -> EndlessClip:
        return clip

    monkeypatch.setattr(bench.gateway.recording.library, "clip", endless)
    host, port = bench.gateway.http_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=4096)
    path = f"/api/v1/recordings/{CHANNEL}/download.mp4?start={quote(BEGIN.isoformat())}"
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {bench.gateway.cli_token}\r\n\r\n".encode()
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")

        async def opened() -> list[str]:
            found = (await bench.api.get("accesses"))["items"]
            return [item["access_id"] for item in found if item["action"] == "download"]

        (access_id,) = await eventually(opened, 10.0, "the access")
        status, _ = await bench.api.call("DELETE", f"accesses/{access_id}")
        assert status == 200
        with suppress(ConnectionError):
            async with asyncio.timeout(20):
                while await reader.read(1 << 20):
                    pass
    finally:
        writer.close()

    async def over() -> bool:
        found = (await bench.api.get("audit?action=download&limit=20"))["items"]
        return clip.closed and [item["ended"] for item in found] == ["ended"]

    await eventually(over, 10.0, "the record of its end")
