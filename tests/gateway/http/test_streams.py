"""Viewers over real connections: bytes, ends, refusals and sudden departures."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import aiohttp
import pytest
import uvloop

from gateway.domain.errors import Unavailable
from gateway.domain.media import OutputFormat
from gateway.domain.session import EndReason
from gateway.http.sink import HttpSink
from gateway.media.viewer import ws_frame
from tests.support.http import (
    CHANNEL,
    DEVICE,
    OTHER_DEVICE,
    SHARED_CHANNEL,
    HttpBench,
    Watcher,
    http_bench,
    session_failed,
)

pytestmark = pytest.mark.net

PATH = f"/live/{DEVICE}/{CHANNEL}"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with asyncio.timeout(10), http_bench(tmp_path) as running:
        yield running


class RawViewer:
    """A viewer that sees every byte of the response."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, bench: HttpBench, path: str) -> "RawViewer":
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.server.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return cls(reader, writer)

    async def head(self) -> str:
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


def url(bench: HttpBench, extension: str = "flv") -> str:
    return f"{PATH}.{extension}?token={bench.stream_token()}"


async def watched(bench: HttpBench, extension: str = "flv") -> tuple[RawViewer, Watcher]:
    viewer = await RawViewer.open(bench, url(bench, extension))
    return viewer, await bench.sessions.watchers.get()


async def test_a_viewer_gets_exactly_the_bytes_that_the_sink_was_given(bench: HttpBench) -> None:
    viewer, watcher = await watched(bench)
    assert (watcher.stream_id, watcher.output) == (f"{DEVICE}/{CHANNEL}", OutputFormat.FLV)
    assert watcher.sink.framing == "raw"
    watcher.sink.write(b"FLV-header")
    watcher.sink.write(b"frame")
    head = await viewer.head()
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "Content-Type: video/x-flv" in head
    assert "Connection: close" in head
    assert "Transfer-Encoding" not in head
    assert "Content-Length" not in head
    assert await viewer.reader.readexactly(15) == b"FLV-headerframe"
    await viewer.close()


async def test_leaving_detaches_at_once_though_nothing_is_being_sent(bench: HttpBench) -> None:
    viewer, watcher = await watched(bench, "mp4")
    await viewer.close()
    await watcher.detached.wait()
    await _idle(bench)


async def test_leaving_while_the_device_is_being_asked_gives_up_waiting(bench: HttpBench) -> None:
    bench.sessions.hold = asyncio.Event()
    viewer = await RawViewer.open(bench, url(bench))
    while not bench.server.viewers:
        await asyncio.sleep(0.01)
    await viewer.close()
    await bench.sessions.abandoned.wait()
    await _idle(bench)


async def test_a_reset_connection_detaches(bench: HttpBench) -> None:
    viewer, watcher = await watched(bench)
    watcher.sink.write(b"data")
    await viewer.head()
    viewer.writer.transport.abort()
    await watcher.detached.wait()
    await _idle(bench)
    assert bench.server.viewers == 0


def test_what_comes_for_a_connection_that_is_closing_is_dropped() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[asyncio.Transport] = loop.create_future()

        lost = asyncio.Event()

        class Server(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                accepted.set_result(cast("asyncio.Transport", transport))

            def connection_lost(self, exc: Exception | None) -> None:
                lost.set()

        server = await loop.create_server(Server, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        transport = await accepted
        try:
            sink = HttpSink(transport, lambda: b"head")
            sink.write(b"data")
            transport.close()
            sink.write(b"more")
            await lost.wait()
            # The viewer is let go a moment later; until then media goes on coming. uvloop raises on such a write.
            sink.write(b"more")
            assert sink.buffered() == 0
            assert sink.sent == len(b"headdata")
        finally:
            writer.close()
            server.close()

    uvloop.run(run())


async def test_the_end_of_a_stream_closes_the_connection(bench: HttpBench) -> None:
    viewer, watcher = await watched(bench)
    watcher.sink.write(b"data")
    watcher.sink.close("source_lost", "The device went away")
    await viewer.head()
    assert await viewer.reader.read() == b"data"
    assert watcher.detached.is_set()
    await viewer.close()


@pytest.mark.parametrize(
    ("reason", "status"), [("no_packet", 502), ("device_offline", 503), ("codec_unsupported", 502)]
)
async def test_an_end_before_the_first_byte_is_a_problem_with_its_reason(
    bench: HttpBench, reason: str, status: int
) -> None:
    async with asyncio.TaskGroup() as group:
        call = group.create_task(bench.call("GET", f"{PATH}.flv"))
        watcher = await bench.sessions.watchers.get()
        watcher.sink.close(reason, "What happened")
    got, body, answer = call.result()
    assert (got, body["code"], body["detail"]) == (status, reason, "What happened")
    assert answer.content_type == "application/problem+json"


async def test_the_connection_serves_further_requests_after_a_refused_stream(
    bench: HttpBench,
) -> None:
    bench.sessions.refuse = session_failed(EndReason.INVITE_REFUSED, "486 Busy Here", 486)
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as client:
        for _ in range(3):
            async with client.get(bench.url + url(bench)) as answer:
                assert (answer.status, (await answer.json(content_type=None))["sip_status"]) == (
                    502,
                    486,
                )


async def test_a_stream_that_never_gives_output_is_given_up(tmp_path: Path) -> None:
    async with http_bench(tmp_path, output_timeout=0.05) as bench:
        status, body, _ = await bench.call("GET", f"{PATH}.flv")
        watcher = await bench.sessions.watchers.get()
    assert (status, body["code"]) == (504, "no_output")
    assert watcher.detached.is_set()


async def test_head_tells_the_type_and_starts_nothing(bench: HttpBench) -> None:
    status, _, answer = await bench.call("HEAD", f"{PATH}.mp4")
    assert (status, answer.content_type) == (200, "video/mp4")
    assert bench.sessions.watchers.empty()
    bench.registry.unregistered(DEVICE)
    assert (await bench.call("HEAD", f"{PATH}.mp4"))[0] == 503
    assert (await bench.call("HEAD", f"/live/{DEVICE}/1.mp4"))[0] == 404


async def test_a_unique_channel_id_is_enough(bench: HttpBench) -> None:
    async with asyncio.TaskGroup() as group:
        call = group.create_task(bench.call("GET", f"/live/{CHANNEL}.flv"))
        watcher = await bench.sessions.watchers.get()
        watcher.sink.write(b"x")
        watcher.sink.close("stopped", "")
    assert watcher.stream_id == f"{DEVICE}/{CHANNEL}"
    assert call.result()[1] == b"x"


async def test_an_ambiguous_channel_id_lists_the_candidates(bench: HttpBench) -> None:
    status, body, _ = await bench.call("GET", f"/live/{SHARED_CHANNEL}.flv")
    assert (status, body["code"]) == (409, "channel_ambiguous")
    assert body["candidates"] == [f"{OTHER_DEVICE}/{SHARED_CHANNEL}", f"{DEVICE}/{SHARED_CHANNEL}"]
    assert (await bench.call("GET", "/live/nothing.flv"))[0] == 404


async def test_a_token_decides_which_of_two_equal_channel_ids_is_meant(bench: HttpBench) -> None:
    token = bench.stream_token(f"{OTHER_DEVICE}/{SHARED_CHANNEL}")
    viewer = await RawViewer.open(bench, f"/live/{SHARED_CHANNEL}.flv?token={token}")
    watcher = await bench.sessions.watchers.get()
    assert watcher.stream_id == f"{OTHER_DEVICE}/{SHARED_CHANNEL}"
    await viewer.close()
    await watcher.detached.wait()


async def test_viewers_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    async with http_bench(tmp_path, max_viewers_per_stream=1) as bench:
        viewer, watcher = await watched(bench)
        status, body, _ = await bench.call("GET", f"{PATH}.flv")
        assert (status, body["code"]) == (503, "too_many_viewers")
        await viewer.close()
        await watcher.detached.wait()


async def test_a_viewer_that_stops_reading_is_cut_off_when_it_is_closed(bench: HttpBench) -> None:
    viewer, watcher = await watched(bench)
    viewer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(64):
        watcher.sink.write(bytes(1 << 20))
    assert watcher.sink.buffered() > 1 << 20
    watcher.sink.close("too_slow", "")
    await watcher.detached.wait()
    viewer.writer.transport.abort()
    await _idle(bench)


async def test_stopping_the_server_ends_its_viewers(tmp_path: Path) -> None:
    async with http_bench(tmp_path) as bench:
        viewer, watcher = await watched(bench)
        watcher.sink.write(b"data")
        socket = await bench.client.ws_connect(bench.url + url(bench, "mp4"))
        await bench.sessions.watchers.get()
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(bench.server.stop())
            message = await socket.receive()
        assert stopping.done()
    assert (message.data, message.extra) == (1001, "shutdown: The gateway is stopping")
    assert (await viewer.reader.read()).endswith(b"\r\n\r\ndata")
    await viewer.close()


# WebSocket


async def test_a_websocket_viewer_gets_the_codecs_and_then_the_frames(bench: HttpBench) -> None:
    async with bench.client.ws_connect(bench.url + url(bench, "mp4")) as socket:
        watcher = await bench.sessions.watchers.get()
        assert watcher.sink.framing == "ws"
        for size in (10, 200, 70_000):
            watcher.sink.write(ws_frame(bytes(size)))
        info = json.loads(await socket.receive_str())
        assert info == {
            "type": "info",
            "video": "avc1.64001f",
            "audio": "mp4a.40.2",
            "mime": 'video/mp4; codecs="avc1.64001f,mp4a.40.2"',
        }
        assert [len(await socket.receive_bytes()) for _ in range(3)] == [10, 200, 70_000]
    await watcher.detached.wait()
    await _idle(bench)


async def test_flv_over_websocket_is_binary_only(bench: HttpBench) -> None:
    async with bench.client.ws_connect(bench.url + url(bench, "flv")) as socket:
        (await bench.sessions.watchers.get()).sink.write(ws_frame(b"FLV"))
        assert await socket.receive_bytes() == b"FLV"


@pytest.mark.parametrize(
    ("code", "detail", "close_code", "reason"),
    [
        ("source_lost", "设备断开" * 20, 4000, "source_lost: " + "设备断开" * 9),
        ("codec_changed", "h264 to hevc", 4000, "codec_changed: h264 to hevc"),
        ("too_slow", "behind", 1013, "too_slow: behind"),
    ],
)
async def test_the_end_of_a_stream_is_told_in_the_close_frame(
    bench: HttpBench, code: str, detail: str, close_code: int, reason: str
) -> None:
    async with bench.client.ws_connect(bench.url + url(bench)) as socket:
        watcher = await bench.sessions.watchers.get()
        watcher.sink.write(ws_frame(b"FLV"))
        watcher.sink.close(code, detail)
        await socket.receive_bytes()
        message = await socket.receive()
    assert message.data == close_code
    assert str(message.extra).startswith(reason)
    assert watcher.detached.is_set()


async def test_a_refused_stream_is_told_in_the_close_frame(bench: HttpBench) -> None:
    bench.sessions.refuse = Unavailable("device_offline", "Device is offline")
    async with bench.client.ws_connect(bench.url + url(bench)) as socket:
        message = await socket.receive()
    assert (message.data, message.extra) == (4000, "device_offline: Device is offline")


async def test_closing_the_page_while_the_device_is_asked_gives_up_waiting(
    bench: HttpBench,
) -> None:
    bench.sessions.hold = asyncio.Event()
    async with bench.client.ws_connect(bench.url + url(bench)):
        pass
    await bench.sessions.abandoned.wait()
    await _idle(bench)


async def test_a_websocket_of_a_foreign_page_is_refused(bench: HttpBench) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await bench.client.ws_connect(bench.url + url(bench), origin="https://evil.example")
    assert caught.value.status == 403
    async with bench.client.ws_connect(bench.url + url(bench), origin=bench.url):
        watcher = await bench.sessions.watchers.get()
    await watcher.detached.wait()


async def test_a_page_of_a_configured_origin_may_open_a_websocket(tmp_path: Path) -> None:
    async with http_bench(tmp_path, cors_origins=("https://ops.example",)) as bench:
        async with bench.client.ws_connect(bench.url + url(bench), origin="https://ops.example"):
            watcher = await bench.sessions.watchers.get()
            assert watcher.stream_id == f"{DEVICE}/{CHANNEL}"
        await watcher.detached.wait()


async def test_no_token_reaches_the_log(
    bench: HttpBench, capsys: pytest.CaptureFixture[str]
) -> None:
    path = url(bench)
    viewer = await RawViewer.open(bench, path)
    watcher = await bench.sessions.watchers.get()
    await viewer.close()
    await watcher.detached.wait()
    await _idle(bench)
    logged = "".join(capsys.readouterr())
    assert "http_request_handled" in logged
    assert path.partition("token=")[2] not in logged


async def _idle(bench: HttpBench) -> None:
    """Wait until no viewer is left."""
    while bench.server.viewers:
        await asyncio.sleep(0.01)
