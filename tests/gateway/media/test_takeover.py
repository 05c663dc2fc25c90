"""Strangers on a media port do not keep the device out, on real sockets; one bad stream spares the rest."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.domain.device import MediaTransport
from gateway.domain.media import OutputFormat, Receiver, ReceiverSpec, StreamInfo
from gateway.media import gate, plane, stream, worker
from gateway.media.options import MediaOptions
from gateway.media.plane import EmbeddedMedia
from gb28181.es.unit import Codec
from tests.support.media import RecordingEvents, RecordingSink, read_back, video_units
from tests.support.ports import MANY, own_ports
from tests.support.rtp_camera import TcpCamera, UdpCamera, rtp_packets

pytestmark = pytest.mark.net

SSRC, OWN, FOREIGN = 100_000_001, 700_000_007, 900_000_009
UDP, PASSIVE = MediaTransport.UDP, MediaTransport.TCP_PASSIVE
STRANGER, ANSWERED, REGISTERED, ELSEWHERE = "127.0.0.1", "127.0.0.5", "127.0.0.6", "127.0.0.7"
PORTS = own_ports(MANY, 1_000)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged, instead of printing it."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "NAT_WAIT", 0.1)
    monkeypatch.setattr(plane, "TICK", 0.02)


@asynccontextmanager
async def media(**options: Any) -> AsyncIterator[EmbeddedMedia]:
    async with EmbeddedMedia(
        host="0.0.0.0", ports=PORTS, drain=0.0, options=MediaOptions(**options)
    ) as it:
        yield it
    assert it.ports_in_use()[:2] == (0, 0)


async def receive(
    it: EmbeddedMedia, transport: MediaTransport = UDP, name: str = "s"
) -> tuple[Receiver, RecordingEvents, RecordingSink]:
    events, sink = RecordingEvents(), RecordingSink()
    spec = ReceiverSpec(
        stream_id=name, session_id=name, transport=transport, ssrc=SSRC, device_host=REGISTERED
    )
    receiver = await it.open_receiver(spec, events)
    receiver.answered(ssrc=None, remote=(ANSWERED, 9), payloads={96: "PS"})
    it.attach(name, OutputFormat.FLV, sink)
    return receiver, events, sink


def info(it: EmbeddedMedia, name: str = "s") -> StreamInfo:
    found = it.stream(name)
    assert found is not None
    return found


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.005)


async def udp(port: int, host: str) -> UdpCamera:
    return UdpCamera(port, host=host)


async def tcp(port: int, host: str) -> TcpCamera:
    return await TcpCamera.connect(port, host=host)


async def shut(*cameras: UdpCamera | TcpCamera) -> None:
    for camera in cameras:
        if isinstance(camera, TcpCamera):
            await camera.close()
        else:
            camera.close()


Dial = Callable[[int, str], Awaitable[UdpCamera | TcpCamera]]
both = pytest.mark.parametrize(
    ("transport", "dial"), [(UDP, udp), (PASSIVE, tcp)], ids=["udp", "tcp"]
)


@both
@pytest.mark.parametrize(
    ("host", "ssrc"),
    [(ELSEWHERE, SSRC), (ANSWERED, OWN), (REGISTERED, 0)],
    ids=["offered SSRC", "answered host", "registered host"],
)
async def test_a_stranger_who_was_taken_first_makes_room_for_the_device(
    transport: MediaTransport, dial: Dial, host: str, ssrc: int
) -> None:
    async with media(audio_wait=0.0) as it:
        receiver, events, _ = await receive(it, transport)
        stranger = await dial(receiver.port, STRANGER)
        foreign = rtp_packets(video_units(count=100), ssrc=FOREIGN)
        await stranger.send(foreign[:10])
        assert await events.until("first_packet") == (FOREIGN, stranger.source)
        assert stranger.source in info(it).remark
        camera = await dial(receiver.port, host)
        for mine, theirs in zip(
            rtp_packets(video_units(width=320, height=240), ssrc=ssrc), foreign[10:], strict=False
        ):
            await camera.send([mine])
            if transport is UDP:
                await stranger.send([theirs])
        assert await events.until("first_packet", 2) == (ssrc, camera.source)
        await until(lambda: info(it).source == camera.source)
        # The stranger's picture was never shown in full; a viewer from now on sees the device's.
        viewer = RecordingSink()
        it.attach("s", OutputFormat.FLV, viewer)
        await viewer.until(lambda s: len(s.writes) >= 20)
        assert read_back(viewer.data)[1] >= 19
        video = info(it).video
        assert video is not None
        assert video.width == 320
        assert "lost" not in events.names()
        if isinstance(stranger, TcpCamera):
            await stranger.reader.read()  # up to its end
        await shut(stranger, camera)


@both
async def test_an_odd_camera_from_elsewhere_plays_after_a_wait_and_is_remarked_on(
    transport: MediaTransport, dial: Dial
) -> None:
    async with media(audio_wait=0.0, source_timeout=0.3) as it:
        receiver, events, sink = await receive(it, transport)
        camera = await dial(receiver.port, ELSEWHERE)
        await camera.send(rtp_packets(video_units(), ssrc=0))
        await sink.until(lambda s: len(s.writes) >= 49)
        assert await events.until("first_packet") == (0, camera.source)
        detail = await events.until("lost")
        assert f"The media came from {camera.source}, which is neither" in detail
        await shut(camera)


async def test_connections_that_stay_silent_neither_win_nor_end_the_session() -> None:
    async with media(audio_wait=0.0) as it:
        receiver, events, sink = await receive(it, PASSIVE)
        idle = [await tcp(receiver.port, STRANGER) for _ in range(12)]
        await events.until("connected")
        camera = await tcp(receiver.port, ELSEWHERE)
        await shut(*idle[-3:])
        await camera.send(rtp_packets(video_units(), ssrc=SSRC))
        await sink.until(lambda s: len(s.writes) >= 49)
        assert events.names().count("lost") == 0
        for one in idle[:-3]:
            assert await one.reader.read() == b""
        late = await tcp(receiver.port, STRANGER)
        assert await late.reader.read() == b""
        await shut(camera, late, *idle)
        assert "closed by the peer" in await events.until("lost")


async def test_the_devices_own_connection_that_closes_without_rtp_ends_the_session() -> None:
    async with media() as it:
        receiver, events, _ = await receive(it, PASSIVE)
        camera = await tcp(receiver.port, REGISTERED)
        await events.until("connected")
        await shut(camera)
        assert await events.until("lost") == "The media connection was closed: closed by the peer"


@pytest.mark.parametrize("where", ["tick", "packets", "events"])
async def test_a_fault_in_one_stream_ends_that_stream_alone(
    where: str, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    async with media(audio_wait=0.0, source_timeout=0.5) as it:
        bad, bad_events, _ = await receive(it, UDP, "bad")
        good, good_events, sink = await receive(it, UDP, "good")

        def fail(*_: object) -> None:
            raise RuntimeError("a bug")

        broken: Any = it._receivers["bad"]
        if where == "tick":
            monkeypatch.setattr(broken._reorderer, "handle_timer", fail)
        elif where == "packets":
            monkeypatch.setattr(broken.stream, "feed", fail)
        else:
            monkeypatch.setattr(bad_events, "media_first_packet", fail)
        first, second = await udp(bad.port, ANSWERED), await udp(good.port, ANSWERED)
        frames = rtp_packets(video_units(), ssrc=SSRC)
        for packets in frames:
            await first.send([packets])
            await second.send([packets])
        detail = await bad_events.until("lost")
        assert detail == "The gateway failed on this stream (RuntimeError); its log says more"
        await sink.until(lambda s: len(s.writes) >= 49)
        # The watchdog still lives.
        assert "No RTP packet" in await good_events.until("lost")
        assert bad_events.names().count("lost") == 1
        (failure,) = (entry for entry in logged if entry["log_level"] == "error")
        assert failure["stream"] == "bad"
        assert str(failure["exc_info"]) == "a bug"
        await shut(first, second)


async def test_a_stuck_thread_does_not_keep_the_plane_from_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "CLOSE_WAIT", 0.05)
    monkeypatch.setattr(worker, "CLOSE_WAIT", 0.05)
    release, entered = threading.Event(), threading.Event()

    def stuck(*_: object) -> None:
        entered.set()
        release.wait(10)
        raise ValueError("too late")

    monkeypatch.setattr("gateway.media.output.open_muxers", stuck)
    try:
        async with asyncio.timeout(3), media(audio_wait=0.0) as it:
            receiver, _, sink = await receive(it)
            camera = await udp(receiver.port, ANSWERED)
            await camera.send(rtp_packets(video_units(Codec.H264), ssrc=SSRC))
            await until(entered.is_set)
            await receiver.close("no_readers", "Nobody watched")
            assert sink.closed == ("no_readers", "Nobody watched")
            await shut(camera)
    finally:
        release.set()


async def test_a_receiver_that_cannot_be_closed_does_not_keep_others_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with media() as it:
        await receive(it, UDP, "bad")
        _, _, sink = await receive(it, UDP, "good")

        async def fail(*_: object) -> None:
            raise RuntimeError("a bug")

        broken: Any = it._receivers["bad"]
        monkeypatch.setattr(broken.stream, "close", fail)
    assert sink.closed is not None
