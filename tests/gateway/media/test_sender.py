"""Relays on real sockets: what comes out is what went in, under other numbers."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.domain.device import MediaTransport
from gateway.domain.media import Receiver, ReceiverSpec, Sender, SenderSpec
from gateway.media.options import MediaOptions
from gateway.media.plane import EmbeddedMedia
from gb28181.rtp.packet import RtpPacket
from tests.support.media import RecordingEvents, g711_units, interleave, video_units
from tests.support.relay import RecordingSenderEvents, TcpUpper, UdpUpper
from tests.support.rtp_camera import TcpCamera, UdpCamera, rtp_packets

pytestmark = pytest.mark.net

SSRC, UPPER_SSRC = 100_000_001, 200_000_002
STREAM = "34020000001180000001/34020000001320000001"
UDP, PASSIVE, ACTIVE = MediaTransport.UDP, MediaTransport.TCP_PASSIVE, MediaTransport.TCP_ACTIVE
LOCAL = ("127.0.0.1", 9)
FIRST_PORT = 12_000 + os.getpid() % 400 * 40


@asynccontextmanager
async def plane(
    count: int = 40, *, host: str = "127.0.0.1", **options: Any
) -> AsyncIterator[EmbeddedMedia]:
    threads = threading.active_count()
    async with EmbeddedMedia(
        host=host,
        ports=(FIRST_PORT, FIRST_PORT + count - 1),
        drain=0.0,
        options=MediaOptions(**options),
    ) as media:
        yield media
    assert media.ports_in_use()[:2] == (0, 0)
    assert media.senders() == []
    async with asyncio.timeout(1):
        while threading.active_count() > threads:
            await asyncio.sleep(0.001)


async def receive(
    media: EmbeddedMedia, transport: MediaTransport = UDP, *, payloads: dict[int, str] | None = None
) -> tuple[Receiver, RecordingEvents]:
    events = RecordingEvents()
    receiver = await media.open_receiver(
        ReceiverSpec(stream_id=STREAM, session_id="s1", transport=transport, ssrc=SSRC), events
    )
    receiver.answered(ssrc=SSRC, remote=LOCAL, payloads=payloads or {96: "PS"})
    return receiver, events


async def relay(
    media: EmbeddedMedia,
    transport: MediaTransport = UDP,
    *,
    name: str = "relay",
    **fields: Any,
) -> tuple[Sender, RecordingSenderEvents]:
    events = RecordingSenderEvents()
    spec = SenderSpec(
        sender_id=name, stream_id=STREAM, transport=transport, ssrc=UPPER_SSRC, **fields
    )
    return await media.open_sender(spec, events), events


def joined(frames: Iterable[list[bytes]]) -> bytes:
    """The program stream that packets carry."""
    return b"".join(RtpPacket.parse(data).payload for frame in frames for data in frame)


FRAMES = rtp_packets(interleave(video_units(count=52), g711_units(52)), ssrc=SSRC)
COUNT = sum(map(len, FRAMES))


async def test_ps_from_udp_to_udp_comes_byte_for_byte_under_the_answered_numbers() -> None:
    async with plane() as media:
        receiver, events = await receive(media)
        upper = UdpUpper()
        sender, told = await relay(media, remote=upper.address, payload_type=101)
        sender.start()
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES)
        await upper.until(COUNT)
        assert upper.payload == joined(FRAMES)
        assert {packet.ssrc for packet in upper.packets} == {UPPER_SSRC}
        assert {packet.payload_type for packet in upper.packets} == {101}
        assert set(upper.steps) == {1}
        sent = [RtpPacket.parse(data) for frame in FRAMES for data in frame]
        assert [(p.timestamp, p.marker) for p in upper.packets] == [
            (p.timestamp, p.marker) for p in sent
        ]
        assert upper.source == ("127.0.0.1", sender.port)
        (info,) = media.senders()
        assert (info.packets, info.dropped, info.remuxed) == (COUNT, 0, False)
        assert info.bytes == sum(len(data) for frame in FRAMES for data in frame)
        stream = media.stream(STREAM)
        assert stream is not None
        assert stream.viewers == {"relay": 1}
        await sender.close()
        await sender.close()
        assert media.ports_in_use()[0] == 1
        upper.close()
        camera.close()
    assert told.names() == ["first_packet"]
    assert events.names() == ["viewers", "first_packet", "decodable", "first_output", "viewers"]
    assert [value for name, value in events.log if name == "viewers"] == [1, 0]
