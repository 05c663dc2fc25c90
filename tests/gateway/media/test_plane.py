"""The media plane on real sockets: UDP and TCP, wrong senders, loss, garbage, clean ends."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.domain.device import MediaTransport
from gateway.domain.errors import Conflict, NotFound, Unavailable
from gateway.domain.media import OutputFormat, Receiver, ReceiverSpec
from gateway.media.options import MediaOptions
from gateway.media.plane import EmbeddedMedia
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.muxer import PsMuxer, PsQuirks
from gb28181.rtp.packetizer import packetize
from gb28181.rtp.rtcp import ReceiverReport, parse_rtcp
from tests.support.media import (
    RecordingEvents,
    RecordingSink,
    aac_units,
    g711_units,
    interleave,
    read_back,
    video_units,
)
from tests.support.ports import PLANES, own_ports
from tests.support.rtp_camera import TcpCamera, UdpCamera, rtp_packets

pytestmark = pytest.mark.net

SSRC = 100_000_001
OWN = 700_000_007
STREAM = "34020000001180000001/34020000001320000001"
UDP, PASSIVE, ACTIVE = MediaTransport.UDP, MediaTransport.TCP_PASSIVE, MediaTransport.TCP_ACTIVE
LOCAL = ("127.0.0.1", 9)
FIRST_PORT = own_ports(PLANES, 300)[0]


@asynccontextmanager
async def plane(count: int = 20, **options: Any) -> AsyncIterator[EmbeddedMedia]:
    threads = threading.active_count()
    async with EmbeddedMedia(
        host="127.0.0.1",
        ports=(FIRST_PORT, FIRST_PORT + count - 1),
        drain=0.0,
        options=MediaOptions(**options),
    ) as media:
        yield media
    assert media.ports_in_use()[:2] == (0, 0)
    assert media.streams() == []
    async with asyncio.timeout(10):
        while threading.active_count() > threads:
            await asyncio.sleep(0.001)


@dataclass
class Session:
    media: EmbeddedMedia
    receiver: Receiver
    events: RecordingEvents

    def watch(self, output: OutputFormat = OutputFormat.FLV) -> RecordingSink:
        sink = RecordingSink()
        self.media.attach(STREAM, output, sink)
        return sink


async def open_session(
    media: EmbeddedMedia, transport: MediaTransport = UDP, *, answered: bool = True
) -> Session:
    events = RecordingEvents()
    receiver = await media.open_receiver(
        ReceiverSpec(stream_id=STREAM, session_id="s1", transport=transport, ssrc=SSRC), events
    )
    if answered and transport is not ACTIVE:
        receiver.answered(ssrc=SSRC, remote=LOCAL, payloads={96: "PS"})
    return Session(media, receiver, events)


async def until(condition: Any) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("output", list(OutputFormat))
@pytest.mark.parametrize(
    "units",
    [
        interleave(video_units(Codec.H264, 52), g711_units(52)),
        interleave(video_units(Codec.HEVC, 52), aac_units(33)),
    ],
    ids=["h264-g711", "hevc-aac"],
)
async def test_a_camera_over_udp_can_be_watched(
    output: OutputFormat, units: Sequence[MediaUnit]
) -> None:
    async with plane() as media:
        session = await open_session(media)
        sink = session.watch(output)
        camera = UdpCamera(session.receiver.port)
        await camera.send(rtp_packets(units, ssrc=SSRC))
        await sink.until(lambda s: len(s.writes) >= 50)
        stamps, decoded = read_back(sink.data)
        assert decoded >= 49
        assert len(stamps["audio"]) >= 8
        info = media.stream(STREAM)
        assert info is not None
        assert (info.payload, info.source, info.ssrc) == ("ps", camera.source, f"{SSRC:010d}")
        assert (info.lost, info.discarded) == (0, 0)
        assert info.packets == sum(map(len, rtp_packets(units, ssrc=SSRC)))
        assert info.video is not None
        assert (info.video.width, info.video.height) == (160, 128)
        assert info.viewers == {output.value: 1}
        camera.close()
        await session.receiver.close()
        assert sink.closed is not None
        assert sink.closed[0] == "stopped"
    names = session.events.names()
    assert names == ["viewers", "first_packet", "decodable", "first_output", "viewers"]
    assert session.events.log[1][1] == (SSRC, camera.source)


async def test_tcp_passive_takes_the_devices_connection() -> None:
    async with plane() as media:
        session = await open_session(media, PASSIVE)
        sink = session.watch()
        camera = await TcpCamera.connect(session.receiver.port)
        await camera.send(rtp_packets(video_units(), ssrc=SSRC))
        await sink.until(lambda s: len(s.writes) >= 50)
        assert session.events.names()[:3] == ["viewers", "connected", "first_packet"]
        await camera.close()
        detail = await session.events.until("lost")
        assert detail == "The media connection was closed: closed by the peer"
        await session.receiver.close()
        assert sink.closed == ("source_lost", detail)


async def test_tcp_active_dials_the_answered_address() -> None:
    cameras: asyncio.Queue[TcpCamera] = asyncio.Queue(1)
    server = await asyncio.start_server(
        lambda reader, writer: cameras.put_nowait(TcpCamera(reader, writer)), "127.0.0.1", 0
    )
    async with server, plane(rtcp_interval=0.0) as media:
        session = await open_session(media, ACTIVE)
        sink = session.watch()
        remote = server.sockets[0].getsockname()
        session.receiver.answered(ssrc=SSRC, remote=remote, payloads={96: "PS"})
        camera = await cameras.get()
        await camera.send(rtp_packets(video_units(), ssrc=SSRC))
        await sink.until(lambda s: len(s.writes) >= 50)
        length = int.from_bytes(await camera.reader.readexactly(2))
        (report, _) = parse_rtcp(await camera.reader.readexactly(length))
        assert isinstance(report, ReceiverReport)
        assert report.reports[0].ssrc == SSRC
        await camera.close()


async def test_closing_while_dialling_leaves_nothing() -> None:
    async with plane() as media:
        session = await open_session(media, ACTIVE)
        session.receiver.answered(ssrc=SSRC, remote=("127.0.0.1", 1), payloads={96: "PS"})
        await asyncio.sleep(0.01)
        await session.receiver.close()
        await session.receiver.close()
    assert session.events.names() == []


async def test_reports_go_to_the_port_after_the_sources_and_to_a_learned_one() -> None:
    async with plane(rtcp_interval=0.0) as media:
        session = await open_session(media)
        camera = UdpCamera(session.receiver.port)
        reports = UdpCamera(session.receiver.port + 1)
        await camera.send(rtp_packets(video_units(count=5), ssrc=SSRC))
        # Any RTCP from the source's host teaches the address; an empty RR will do.
        reports.rtp.sendto(bytes.fromhex("80c90001") + OWN.to_bytes(4), reports.target)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            data = await loop.sock_recv(reports.rtp, 2048)
        (report, _) = parse_rtcp(data)
        assert isinstance(report, ReceiverReport)
        assert report.reports[0].ssrc == SSRC
        camera.close()
        reports.close()


async def test_a_device_that_uses_its_own_ssrc_is_learned_with_its_first_key_frame() -> None:
    async with plane() as media:
        session = await open_session(media, answered=False)
        sink = session.watch()
        camera = UdpCamera(session.receiver.port)
        frames = rtp_packets(video_units(), ssrc=OWN)
        await camera.send(frames[:10])
        assert session.events.names() == ["viewers"]
        session.receiver.answered(ssrc=SSRC, remote=LOCAL, payloads={96: "PS"})
        await camera.send(frames[10:])
        await sink.until(lambda s: len(s.writes) >= 50)
        assert read_back(sink.data)[1] >= 49
        assert await session.events.until("first_packet") == (OWN, camera.source)
        camera.close()


async def test_another_sender_on_the_same_port_is_discarded_and_counted() -> None:
    async with plane() as media:
        session = await open_session(media)
        sink = session.watch()
        camera, intruder = UdpCamera(session.receiver.port), UdpCamera(session.receiver.port)
        frames = rtp_packets(video_units(), ssrc=SSRC)
        foreign = rtp_packets(video_units(Codec.HEVC), ssrc=OWN)
        for good, bad in zip(frames, foreign, strict=True):
            await camera.send([good])
            await intruder.send([bad])
        await sink.until(lambda s: len(s.writes) >= 50)
        assert read_back(sink.data)[1] >= 49
        info = media.stream(STREAM)
        assert info is not None
        assert info.discarded == sum(map(len, foreign))
        assert info.source == camera.source
        camera.close()
        intruder.close()


async def test_garbage_does_not_disturb_the_stream() -> None:
    async with plane() as media:
        session = await open_session(media)
        sink = session.watch()
        camera = UdpCamera(session.receiver.port)
        for number, packets in enumerate(rtp_packets(video_units(), ssrc=SSRC)):
            await camera.send([[b"", bytes([number]) * number, b"\x80\x60"], packets])
        await sink.until(lambda s: len(s.writes) >= 50)
        assert read_back(sink.data)[1] >= 49
        info = media.stream(STREAM)
        assert info is not None
        assert info.discarded > 50
        camera.close()


async def test_lost_packets_cost_frames_but_not_the_stream() -> None:
    async with plane(audio_wait=0.0, reorder_delay=0.02) as media:
        session = await open_session(media)
        sink = session.watch()
        camera = UdpCamera(session.receiver.port)
        frames = rtp_packets(video_units(count=100, width=640, height=480), ssrc=SSRC)
        for number in (30, 60, 77):
            frames[number] = frames[number][:-1]
        await camera.send(frames)
        await sink.until(lambda s: len(s.writes) >= 90)
        info = media.stream(STREAM)
        assert info is not None
        assert info.lost == 3
        stamps, decoded = read_back(sink.data)
        assert decoded >= 90
        assert stamps["video"] == sorted(stamps["video"])
        camera.close()


async def test_h264_without_ps_is_taken_as_the_answer_says() -> None:
    async with plane(audio_wait=0.0) as media:
        session = await open_session(media, answered=False)
        session.receiver.answered(ssrc=SSRC, remote=LOCAL, payloads={98: "H264"})
        sink = session.watch()
        camera = UdpCamera(session.receiver.port)
        frames = rtp_packets(video_units(), ssrc=SSRC, ps=False, payload_type=98)
        await camera.send(frames)
        await sink.until(lambda s: len(s.writes) >= 48)
        info = media.stream(STREAM)
        assert info is not None
        assert info.payload == "h264"
        camera.close()


async def test_a_codec_nobody_can_play_is_reported() -> None:
    async with plane() as media:
        session = await open_session(media)
        muxer = PsMuxer(Codec.H264, quirks=PsQuirks(video_type=0x80))
        camera = UdpCamera(session.receiver.port)
        junk = [
            MediaUnit(Codec.H264, i * 3600, i * 3600, True, b"\x00\x00\x01\x00" + bytes([i]) * 99)
            for i in range(1, 25)
        ]
        sequence = 0
        for unit in junk:
            packets = packetize(
                muxer.mux(unit), payload_type=96, ssrc=SSRC, sequence=sequence, timestamp=unit.pts
            )
            sequence += len(packets)
            await camera.send([packets])
        assert "SVAC" in await session.events.until("unsupported")
        camera.close()


async def test_a_silent_source_is_lost_after_the_configured_time() -> None:
    async with plane(source_timeout=0.3) as media:
        session = await open_session(media)
        camera = UdpCamera(session.receiver.port)
        await camera.send(rtp_packets(video_units(count=3), ssrc=SSRC))
        assert await session.events.until("lost") == "No RTP packet for 0.3 s"
        await asyncio.sleep(0.6)
        assert session.events.names().count("lost") == 1
        camera.close()


async def test_a_picture_change_in_the_middle_spares_other_streams() -> None:
    async with plane(audio_wait=0.0) as media:
        session = await open_session(media)
        other_events = RecordingEvents()
        other = await media.open_receiver(
            ReceiverSpec(stream_id="other", session_id="s2", transport=UDP, ssrc=OWN), other_events
        )
        changed, steady = session.watch(), RecordingSink()
        media.attach("other", OutputFormat.FLV, steady)
        camera, second = UdpCamera(session.receiver.port), UdpCamera(other.port)
        units = video_units(count=25) + video_units(count=25, width=320, height=240, start=90_000)
        both = zip(rtp_packets(units, ssrc=SSRC), rtp_packets(video_units(), ssrc=OWN), strict=True)
        for one, two in both:
            await camera.send([one])
            await second.send([two])
        await changed.until(lambda s: s.closed is not None)
        await steady.until(lambda s: len(s.writes) >= 49)
        assert changed.closed is not None
        assert changed.closed[0] == "codec_changed"
        assert steady.closed is None
        again = session.watch()
        await again.until(lambda s: len(s.writes) >= 20)
        camera.close()
        second.close()


async def test_no_free_port_is_an_error_a_person_can_act_on() -> None:
    async with plane(count=2) as media:
        session = await open_session(media)
        with pytest.raises(Unavailable) as caught:
            await media.open_receiver(
                ReceiverSpec(stream_id="b", session_id="s2", transport=UDP, ssrc=2), session.events
            )
        assert caught.value.code == "rtp_ports_exhausted"
        assert media.ports_in_use() == (1, 0, 1)
        await session.receiver.close()
        assert media.ports_in_use() == (0, 0, 1)


async def test_one_stream_is_received_once_and_an_unknown_one_cannot_be_watched() -> None:
    async with plane() as media:
        session = await open_session(media)
        with pytest.raises(Conflict):
            await media.open_receiver(
                ReceiverSpec(stream_id=STREAM, session_id="x", transport=UDP, ssrc=2),
                session.events,
            )
        with pytest.raises(NotFound):
            media.attach("nobody", OutputFormat.FLV, RecordingSink())


async def test_viewers_over_the_limit_are_refused() -> None:
    async with plane(max_viewers=2, max_viewers_per_stream=1) as media:
        session = await open_session(media)
        session.watch()
        with pytest.raises(Unavailable, match="This stream has 1 viewers already"):
            session.watch()
