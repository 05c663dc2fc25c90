"""Relays on real sockets: what comes out is what went in, under other numbers."""

import asyncio
import os

import pytest

from gateway.domain.device import MediaTransport
from gb28181.rtp.packet import RtpPacket
from tests.support.media import g711_units, interleave, video_units
from tests.support.relay import (
    SSRC,
    STREAM,
    UPPER_SSRC,
    TcpUpper,
    UdpUpper,
    joined,
    plane,
    receive,
    relay,
)
from tests.support.rtp_camera import TcpCamera, UdpCamera, rtp_packets

pytestmark = pytest.mark.net

UDP, PASSIVE, ACTIVE = MediaTransport.UDP, MediaTransport.TCP_PASSIVE, MediaTransport.TCP_ACTIVE
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


async def test_what_the_source_lost_is_missing_by_the_same_number_for_the_receiver() -> None:
    async with plane(reorder_delay=0.02) as media:
        receiver, _ = await receive(media)
        upper = UdpUpper()
        sender, _ = await relay(media, remote=upper.address)
        sender.start()
        camera = UdpCamera(receiver.port)
        packets = [data for frame in FRAMES for data in frame]
        kept = [data for number, data in enumerate(packets) if number not in {20, 21, 22, 60}]
        await camera.send([[data] for data in kept])
        await upper.until(len(kept))
        assert [step for step in upper.steps if step != 1] == [4, 2]
        assert upper.payload == joined([kept])
        info = media.stream(STREAM)
        assert info is not None
        assert info.lost == 4
        upper.close()
        camera.close()


async def test_packets_out_of_order_go_out_in_order() -> None:
    async with plane() as media:
        receiver, _ = await receive(media)
        upper = UdpUpper()
        sender, _ = await relay(media, remote=upper.address)
        sender.start()
        camera = UdpCamera(receiver.port)
        packets = [data for frame in FRAMES for data in frame]
        for at in range(10, len(packets) - 1, 10):
            packets[at], packets[at + 1] = packets[at + 1], packets[at]
        await camera.send([[data] for data in packets], pause=0.0)
        await upper.until(COUNT)
        assert set(upper.steps) == {1}
        assert upper.payload == joined(FRAMES)
        upper.close()
        camera.close()


async def test_a_source_that_starts_again_shows_as_one_missing_packet() -> None:
    async with plane() as media:
        receiver, _ = await receive(media)
        upper = UdpUpper()
        sender, _ = await relay(media, remote=upper.address)
        sender.start()
        camera = UdpCamera(receiver.port)
        half = len(FRAMES) // 2
        moved = [
            [
                data[:2] + (int.from_bytes(data[2:4]) + 30_000 & 0xFFFF).to_bytes(2) + data[4:]
                for data in frame
            ]
            for frame in FRAMES[half:]
        ]
        await camera.send(FRAMES[:half] + moved)
        # Two packets in a row prove the jump, so the first of them is lost indeed.
        await upper.until(COUNT - 1)
        assert [step for step in upper.steps if step != 1] == [2]
        upper.close()
        camera.close()


async def test_a_relay_begins_with_the_next_frame_and_not_in_the_middle_of_one() -> None:
    big = rtp_packets(video_units(count=6, width=1280, height=720, gop=1), ssrc=SSRC)
    assert min(map(len, big)) >= 2
    async with plane() as media:
        receiver, _ = await receive(media)
        upper = UdpUpper()
        sender, _ = await relay(media, remote=upper.address)
        camera = UdpCamera(receiver.port)
        await camera.send([*big[:2], big[2][:1]])
        sender.start()
        await camera.send([big[2][1:], *big[3:]])
        await upper.until(sum(map(len, big[3:])))
        assert upper.payload == joined(big[3:])
        upper.close()
        camera.close()


async def test_a_source_without_pack_headers_at_packet_starts_is_relayed_after_a_moment() -> None:
    data = b"\xff" + 4 * joined(FRAMES)
    odd = [
        RtpPacket(96, False, number & 0xFFFF, 3600, SSRC, data[at : at + 1000]).serialize()
        for number, at in enumerate(range(0, len(data), 1000))
    ]
    async with plane() as media:
        receiver, _ = await receive(media)
        upper = UdpUpper()
        camera = UdpCamera(receiver.port)
        sender, _ = await relay(media, remote=upper.address)
        sender.start()
        await camera.send([[one] for one in odd], pause=1.5 / len(odd))
        await upper.until(1)
        upper.close()
        camera.close()


async def test_udp_is_relayed_over_the_connection_a_receiver_makes() -> None:
    async with plane() as media:
        receiver, events = await receive(media)
        sender, told = await relay(media, PASSIVE, remote=("127.0.0.1", 9))
        sender.start()
        upper = await TcpUpper.connect(sender.port)
        await told.until("connected")
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES)
        await upper.until(COUNT)
        assert upper.payload == joined(FRAMES)
        assert {(p.ssrc, p.payload_type) for p in upper.packets} == {(UPPER_SSRC, 96)}
        assert set(upper.steps) == {1}
        assert media.senders()[0].remote.startswith("127.0.0.1:")
        await upper.close()
        assert (await told.until("lost"))[0] == "connection_closed"
        assert [value for name, value in events.log if name == "viewers"] == [1, 0]
        await sender.close()
        camera.close()
    assert told.names() == ["connected", "first_packet", "lost"]


async def test_tcp_is_relayed_over_udp_with_large_packets_cut_to_fit() -> None:
    async with plane() as media:
        receiver, _ = await receive(media, PASSIVE)
        upper = UdpUpper()
        sender, _ = await relay(media, remote=upper.address)
        sender.start()
        camera = await TcpCamera.connect(receiver.port)
        units = video_units(count=10, width=1280, height=720, gop=5)
        stream = [joined([frame]) for frame in rtp_packets(units, ssrc=SSRC)]
        large = [
            [RtpPacket(96, True, number, number * 3600, SSRC, data).serialize()]
            for number, data in enumerate(stream)
        ]
        await camera.send(large)
        expected = sum(-(-len(data) // 1388) for data in stream if len(data) > 1460)
        expected += sum(1 for data in stream if len(data) <= 1460)
        await upper.until(expected)
        assert upper.payload == b"".join(stream)
        assert max(len(p.payload) for p in upper.packets) <= 1460
        assert sum(p.marker for p in upper.packets) == 10
        assert set(upper.steps) == {1}
        upper.close()
        await camera.close()


async def test_a_burst_of_a_megabyte_is_paced_and_loses_nothing() -> None:
    async with plane() as media:
        receiver, _ = await receive(media, PASSIVE)
        upper = UdpUpper()
        sender, _ = await relay(media, remote=upper.address)
        sender.start()
        camera = await TcpCamera.connect(receiver.port)
        data = b"\x00\x00\x01\xba" + bytes(10) + os.urandom(1_000_000)
        burst = [
            RtpPacket(96, False, number, 3600, SSRC, data[at : at + 1400]).serialize()
            for number, at in enumerate(range(0, len(data), 1400))
        ]
        began = asyncio.get_running_loop().time()
        await camera.send([burst])
        await upper.until(len(burst))
        assert upper.payload == data
        assert asyncio.get_running_loop().time() - began > 0.02
        upper.close()
        await camera.close()


@pytest.mark.parametrize("late", [False, True], ids=["listening", "listening late"])
async def test_an_active_relay_dials_and_tries_again(late: bool) -> None:
    uppers: asyncio.Queue[TcpUpper] = asyncio.Queue(1)
    async with plane() as media:
        receiver, _ = await receive(media)

        async def listen(port: int) -> asyncio.Server:
            return await asyncio.start_server(
                lambda reader, writer: uppers.put_nowait(TcpUpper(reader, writer)),
                "127.0.0.1",
                port,
            )

        server = await listen(0)
        remote = server.sockets[0].getsockname()[:2]
        if late:
            server.close()
            await server.wait_closed()
        sender, told = await relay(media, ACTIVE)
        sender.start(remote, payload_type=98)
        if late:
            await asyncio.sleep(0.3)
            assert told.names() == []
            server = await listen(remote[1])
        async with asyncio.timeout(10):
            upper = await uppers.get()
        upper.read()
        await told.until("connected")
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES)
        await upper.until(COUNT)
        assert upper.payload == joined(FRAMES)
        assert {p.payload_type for p in upper.packets} == {98}
        await sender.close()
        async with asyncio.timeout(10):
            await upper.closed.wait()
        await upper.close()
        server.close()
        camera.close()


async def test_a_relay_that_is_closed_while_dialling_leaves_nothing() -> None:
    async with plane() as media:
        await receive(media)
        sender, told = await relay(media, ACTIVE, remote=("127.0.0.1", 1))
        sender.start()
        await asyncio.sleep(0.01)
        await sender.close()
        sender.start()
    assert told.names() == []


async def test_media_goes_to_no_connection_from_a_host_that_is_not_expected() -> None:
    async with plane() as media:
        receiver, _ = await receive(media)
        sender, told = await relay(
            media, PASSIVE, remote=("127.0.0.2", 9), hosts=frozenset({"127.0.0.3"})
        )
        early = await TcpUpper.connect(sender.port)
        sender.start()
        stranger = await TcpUpper.connect(sender.port)
        async with asyncio.timeout(10):
            await early.closed.wait()
            await stranger.closed.wait()
        upper = await TcpUpper.connect(sender.port, local="127.0.0.3")
        await told.until("connected")
        second = await TcpUpper.connect(sender.port, local="127.0.0.3")
        async with asyncio.timeout(10):
            await second.closed.wait()
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES[:10])
        await upper.until(10)
        assert early.packets == stranger.packets == second.packets == []
        for one in (early, stranger, upper, second):
            await one.close()
        camera.close()


async def test_with_nobody_named_the_first_who_connects_is_served_also_before_the_ack() -> None:
    async with plane() as media:
        receiver, _ = await receive(media)
        sender, told = await relay(media, PASSIVE)
        upper = await TcpUpper.connect(sender.port)
        await asyncio.sleep(0.05)
        assert told.names() == []
        sender.start()
        await told.until("connected")
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES[:10])
        await upper.until(10)
        await upper.close()
        camera.close()
