"""How relays end: receivers that vanish, stop reading or never come; sources that go; no ports left."""

import asyncio
import resource
import socket
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.domain.device import MediaTransport
from gateway.domain.errors import Conflict, NotFound, Unavailable
from gateway.domain.media import SenderSpec
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.relay import RelayBatch
from gb28181.rtp.rtcp import (
    ReceiverReport,
    ReportBlock,
    SenderReport,
    parse_rtcp,
    serialize_rtcp,
)
from tests.support.media import video_units
from tests.support.ports import MANY, own_ports
from tests.support.relay import (
    SSRC,
    STREAM,
    UPPER_SSRC,
    RecordingSenderEvents,
    TcpUpper,
    UdpUpper,
    joined,
    plane,
    receive,
    relay,
)
from tests.support.rtp_camera import UdpCamera, rtp_packets

pytestmark = pytest.mark.net

UDP, PASSIVE, ACTIVE = MediaTransport.UDP, MediaTransport.TCP_PASSIVE, MediaTransport.TCP_ACTIVE
FRAMES = rtp_packets(video_units(count=52), ssrc=SSRC)


def frames(count: int, size: int, *, gop: int = 10) -> list[list[bytes]]:
    """PS frames of some size; every tenth has a map."""
    result = []
    sequence = 0
    for number in range(count):
        head = b"\x00\x00\x01\xba" + bytes(9) + b"\xf8"
        head += b"\x00\x00\x01\xbc" if number % gop == 0 else b"\x00\x00\x01\xe0"
        data = head + number.to_bytes(4) + bytes(size - 22)
        packets = []
        for at in range(0, size, 1388):
            last = at + 1388 >= size
            packet = RtpPacket(
                96, last, sequence & 0xFFFF, number * 3600, SSRC, data[at : at + 1388]
            )
            packets.append(packet.serialize())
            sequence += 1
        result.append(packets)
    return result


def report(ssrc: int = UPPER_SSRC) -> bytes:
    block = ReportBlock(
        ssrc=ssrc,
        fraction_lost=0,
        packets_lost=0,
        highest_sequence=1,
        jitter=0,
        last_sr=0,
        delay_since_sr=0,
    )
    return serialize_rtcp(ReceiverReport(ssrc=7, reports=(block,)))


async def until(condition: Any) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_receiver_whose_port_is_closed_is_unreachable_after_a_while() -> None:
    async with plane(relay_unreachable=0.6) as media:
        receiver, events = await receive(media)
        upper = UdpUpper()
        sender, told = await relay(media, remote=upper.address)
        sender.start()
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES[:10])
        await upper.until(10)
        upper.close()
        await camera.send(FRAMES[10:], pause=0.04)
        code, detail = await told.until("lost")
        assert code == "unreachable"
        assert "has refused packets for" in detail
        assert [value for name, value in events.log if name == "viewers"] == [1, 0]
        assert media.senders()[0].packets < 52, "nothing is sent to who is gone"
        camera.close()
    assert told.names() == ["first_packet", "lost"]


async def test_a_receiver_that_opens_its_port_a_little_late_is_served() -> None:
    async with plane(relay_unreachable=1.0) as media:
        receiver, _ = await receive(media)
        upper = UdpUpper()
        address = upper.address
        upper.close()
        sender, told = await relay(media, remote=address)
        sender.start()
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES[:10], pause=0.03)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
            late.bind(address)
            late.settimeout(0)
            await camera.send(FRAMES[10:], pause=0.03)
            assert len(late.recv(2048)) > 12
        assert told.names() == ["first_packet"]
        camera.close()


@pytest.mark.parametrize(
    ("transport", "remote", "code"),
    [
        (UDP, None, "connect_failed"),
        (UDP, ("camera.example", 9000), "unreachable"),
        (UDP, ("0.0.0.0", 9000), "unreachable"),
        (UDP, ("224.0.0.1", 9000), "unreachable"),
        (UDP, ("127.0.0.1", 0), "unreachable"),
        (UDP, ("::1", 9000), "unreachable"),
        (ACTIVE, None, "connect_failed"),
        (ACTIVE, ("upper.example", 9000), "connect_failed"),
        (ACTIVE, ("127.0.0.1", 70_000), "connect_failed"),
    ],
)
async def test_an_address_that_cannot_be_sent_to_is_said_to_be_so(
    transport: MediaTransport, remote: tuple[str, int] | None, code: str
) -> None:
    async with plane() as media:
        await receive(media)
        sender, told = await relay(media, transport, remote=remote)
        sender.start()
        assert (await told.until("lost"))[0] == code
        sender.start(("127.0.0.1", 9000))
    assert told.names() == ["lost"]


async def test_a_receiver_that_does_not_connect_is_given_up() -> None:
    async with plane(relay_connect_wait=0.3) as media:
        await receive(media)
        sender, told = await relay(media, PASSIVE, remote=("127.0.0.1", 9))
        sender.start()
        assert await told.until("lost") == (
            "connect_failed",
            "The receiver did not connect within 0.3 s",
        )


async def test_a_slow_receiver_on_tcp_loses_whole_frames_and_goes_on_with_a_key_frame() -> None:
    async with plane(relay_buffer=100_000) as media:
        receiver, _ = await receive(media)
        slow, told = await relay(media, PASSIVE, name="slow")
        slow.start()
        stuck = socket.create_connection(("127.0.0.1", slow.port))
        stuck.setblocking(False)
        await told.until("connected")
        quick = UdpUpper()
        other, _ = await relay(media, remote=quick.address)
        other.start()
        camera = UdpCamera(receiver.port)
        sent = frames(800, 20_000)
        await camera.send(sent)
        await quick.until(sum(map(len, sent)))
        (info, _) = media.senders()
        assert info.dropped > 0
        upper = TcpUpper(*await asyncio.open_connection(sock=stuck))
        upper.read()
        await upper.until(info.packets)
        before = len(upper.packets)
        more = frames(30, 20_000)
        await camera.send([[_moved(data, 12_000) for data in frame] for frame in more], pause=0.01)
        await upper.until(before + 100)
        got: dict[int, int] = {}
        for packet in upper.packets:
            got[packet.timestamp] = got.get(packet.timestamp, 0) + len(packet.payload)
        assert set(got.values()) == {20_000}, "only whole frames"
        (step,) = {step for step in upper.steps if step != 1}
        assert step > 1
        after = upper.packets[upper.steps.index(step) + 1]
        assert bytes(after.payload[14:18]) == b"\x00\x00\x01\xbc"
        assert quick.steps.count(1) == len(quick.steps)
        await upper.close()
        quick.close()
        camera.close()


def _moved(data: bytes, by: int) -> bytes:
    sequence = (int.from_bytes(data[2:4]) + by) & 0xFFFF
    stamp = (int.from_bytes(data[4:8]) + 800 * 3600) & 0xFFFF_FFFF
    return data[:2] + sequence.to_bytes(2) + stamp.to_bytes(4) + data[8:]


async def test_a_receiver_that_takes_nothing_for_long_is_gone() -> None:
    async with plane(relay_buffer=50_000, relay_stall=0.5) as media:
        receiver, _ = await receive(media)
        sender, told = await relay(media, PASSIVE)
        sender.start()
        with socket.create_connection(("127.0.0.1", sender.port)):
            await told.until("connected")
            camera = UdpCamera(receiver.port)
            await camera.send(frames(800, 20_000))
            code, detail = await told.until("lost")
        assert code == "unreachable"
        assert detail.endswith("took nothing for 0.5 s")
        camera.close()


async def test_sender_reports_tell_what_was_sent_and_go_to_the_next_port() -> None:
    async with plane(rtcp_interval=0.1) as media:
        receiver, _ = await receive(media)
        upper = UdpUpper()
        sender, _ = await relay(media, remote=upper.address, rtcp=True)
        sender.start()
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES)
        await upper.until(52, reports=2)
        assert upper.source == ("127.0.0.1", sender.port + 1)
        first, second = (parse_rtcp(data)[0] for data in upper.reports[:2])
        assert isinstance(first, SenderReport)
        assert isinstance(second, SenderReport)
        assert second.ssrc == UPPER_SSRC
        assert second.packet_count == len(upper.packets)
        assert second.octet_count == len(upper.payload)
        elapsed = (second.ntp_time - first.ntp_time) / (1 << 32)
        assert second.rtp_time - first.rtp_time == pytest.approx(elapsed * 90_000, abs=9_000)
        upper.close()
        camera.close()


async def test_without_the_option_no_reports_are_sent() -> None:
    async with plane(rtcp_interval=0.0) as media:
        receiver, _ = await receive(media)
        upper = UdpUpper()
        sender, _ = await relay(media, remote=upper.address)
        sender.start()
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES)
        await asyncio.sleep(0.7)
        assert upper.reports == []
        upper.close()
        camera.close()


async def test_a_receiver_whose_reports_cease_is_gone_but_not_one_that_never_sent_any() -> None:
    async with plane(rtcp_interval=0.1, relay_report_timeout=0.6) as media:
        receiver, _ = await receive(media)
        talks, silent = UdpUpper(), UdpUpper()
        one, told = await relay(media, remote=talks.address, rtcp=True, name="talks")
        two, untold = await relay(media, remote=silent.address, rtcp=True, name="silent")
        one.start()
        two.start()
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES[:5])
        for data in (b"garbage", report(ssrc=1), report()):
            talks.rtcp.sendto(data, ("127.0.0.1", one.port + 1))
        await camera.send(FRAMES[5:], pause=0.04)
        code, _ = await told.until("lost")
        assert code == "no_receiver_reports"
        assert untold.names() == ["first_packet"]
        for part in (talks, silent, camera):
            part.close()


async def test_reports_go_both_ways_on_the_connection() -> None:
    async with plane(rtcp_interval=0.1, relay_report_timeout=1.0) as media:
        receiver, _ = await receive(media)
        sender, told = await relay(media, PASSIVE, rtcp=True)
        sender.start()
        upper = await TcpUpper.connect(sender.port)
        await told.until("connected")
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES)
        await upper.until(52, reports=2)
        assert upper.payload == joined(FRAMES)
        (sent, _) = parse_rtcp(upper.reports[-1])
        assert isinstance(sent, SenderReport)
        assert (sent.packet_count, sent.octet_count) == (52, len(upper.payload))
        await upper.send(report())
        assert (await told.until("lost"))[0] == "no_receiver_reports"
        await upper.close()
        camera.close()


async def test_the_end_of_the_source_is_told_to_every_relay_and_the_port_stays_until_it_is_closed() -> (
    None
):
    async with plane() as media:
        receiver, events = await receive(media)
        upper = UdpUpper()
        started, told = await relay(media, remote=upper.address, name="a")
        waiting, also_told = await relay(media, PASSIVE, name="b")
        started.start()
        await receiver.close("source_lost", "The camera went away")
        assert told.names() == also_told.names() == ["lost"]
        assert await told.until("lost") == ("source_ended", "The camera went away")
        assert media.ports_in_use()[0] == 2
        assert [value for name, value in events.log if name == "viewers"] == [1, 0]
        with pytest.raises(NotFound):
            await relay(media, name="c")
        await started.close()
        await waiting.close()
        assert media.ports_in_use()[0] == 0
        upper.close()


async def test_a_re_invite_moves_a_relay_to_another_address() -> None:
    async with plane() as media:
        receiver, _ = await receive(media)
        before, after = UdpUpper(), UdpUpper()
        sender, _ = await relay(media, remote=before.address)
        sender.start()
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES[:20])
        await before.until(20)
        sender.start()
        sender.start(after.address)
        await camera.send(FRAMES[20:])
        await after.until(32)
        assert len(before.packets) == 20
        assert after.packets[0].sequence == (before.packets[-1].sequence + 1) & 0xFFFF
        assert after.payload == joined(FRAMES[20:])
        for part in (before, after, camera):
            part.close()


async def test_a_fault_in_one_relay_spares_the_others_and_the_stream() -> None:
    class Broken:
        failed: Exception | None = None

        def take(self, batch: RelayBatch) -> None:
            raise RuntimeError("broken")

        def fail(self, exc: Exception) -> None:
            self.failed = exc

    with capture_logs() as logs:
        await _fail_two_relays(Broken())
    assert [line["event"] for line in logs] == ["relay_failed"]


async def _fail_two_relays(broken: Any) -> None:
    async with plane() as media:
        receiver, _ = await receive(media)
        upper = UdpUpper()
        fan = media._receivers[STREAM].fan
        fan.add(broken)
        sender, told = await relay(media, remote=upper.address)
        sender.start()
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES)
        await upper.until(52)
        assert isinstance(broken.failed, RuntimeError)
        fan.remove(broken)
        # And an owner whose handler fails ends its own relay only.
        other = UdpUpper()

        class Raising(RecordingSenderEvents):
            def sender_first_packet(self) -> None:
                raise RuntimeError("owner")

        angry = Raising()
        spec = SenderSpec(
            sender_id="angry", stream_id=STREAM, transport=UDP, ssrc=1, remote=other.address
        )
        (await media.open_sender(spec, angry)).start()
        await camera.send([[_moved(data, 52) for data in frame] for frame in FRAMES])
        await upper.until(104)
        assert (await angry.until("lost"))[0] == "relay_failed"
        assert told.names() == ["first_packet"]
        assert media.stream(STREAM) is not None
        for part in (upper, other, camera):
            part.close()


async def test_a_thousand_relays_at_once_and_one_more_is_refused() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    try:
        async with plane(2_000, first_port=own_ports(MANY, 2_000)[0]) as media:
            receiver, events = await receive(media)
            upper = UdpUpper()
            senders = []
            for number in range(999):
                sender, _ = await relay(media, name=f"{number}", remote=upper.address)
                sender.start()
                senders.append(sender)
            assert media.ports_in_use() == (1000, 0, 1000)
            with pytest.raises(Unavailable) as caught:
                await relay(media, name="more")
            assert caught.value.code == "rtp_ports_exhausted"
            with pytest.raises(Conflict):
                await relay(media, name="7")
            camera = UdpCamera(receiver.port)
            await camera.send(FRAMES[:2], pause=0.1)
            await upper.until(2 * 999)
            assert {info.packets for info in media.senders()} == {2}
            for sender in senders:
                await sender.close()
            assert media.ports_in_use() == (1, 0, 1000)
            assert events.log[-1] == ("viewers", 0)
            upper.close()
            camera.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("transport", [UDP, PASSIVE])
async def test_relays_speak_ipv6(transport: MediaTransport) -> None:
    async with plane(host="::1") as media:
        receiver, _ = await receive(media)
        upper: Any = UdpUpper("::1")
        sender, told = await relay(media, transport, remote=upper.address)
        sender.start()
        if transport is PASSIVE:
            upper.close()
            upper = await TcpUpper.connect(sender.port, host="::1")
            await told.until("connected")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as camera:
            for frame in FRAMES:
                for data in frame:
                    camera.sendto(data, ("::1", receiver.port))
            await upper.until(52)
        assert media.senders()[0].remote.startswith("[::1]:")
        closing = upper.close()
        if closing is not None:
            await closing


async def test_a_receiver_that_cannot_be_dialled_is_tried_four_times_a_second_apart() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with plane() as media:
            await receive(media)
            sender, told = await relay(media, ACTIVE, remote=closed.getsockname())
            began = asyncio.get_running_loop().time()
            sender.start()
            code, detail = await told.until("lost")
            assert code == "connect_failed"
            assert detail.endswith("after 4 tries: Connection refused")
            assert asyncio.get_running_loop().time() - began >= 3.0


async def test_a_re_invite_while_dialling_dials_the_new_address_only() -> None:
    uppers: asyncio.Queue[TcpUpper] = asyncio.Queue(2)
    server = await asyncio.start_server(
        lambda reader, writer: uppers.put_nowait(TcpUpper(reader, writer)), "127.0.0.1", 0
    )
    async with server, plane() as media:
        receiver, _ = await receive(media)
        sender, told = await relay(media, ACTIVE, remote=("127.0.0.1", 1))
        sender.start()
        await asyncio.sleep(0.05)
        sender.start(server.sockets[0].getsockname()[:2])
        upper = await uppers.get()
        upper.read()
        await told.until("connected")
        camera = UdpCamera(receiver.port)
        await camera.send(FRAMES)
        await upper.until(52)
        # Another address again: the first connection is hung up.
        second = await asyncio.start_server(
            lambda reader, writer: uppers.put_nowait(TcpUpper(reader, writer)), "127.0.0.1", 0
        )
        async with second:
            sender.start(second.sockets[0].getsockname()[:2])
            other = await uppers.get()
            other.read()
            async with asyncio.timeout(10):
                await upper.closed.wait()
            await until(lambda: media.senders()[0].remote.endswith(f":{second.sockets[0].getsockname()[1]}"))  # fmt: skip
            await camera.send([[_moved(data, 52) for data in frame] for frame in FRAMES])
            await other.until(52)
            assert other.packets[0].sequence == (upper.packets[-1].sequence + 1) & 0xFFFF
            await other.close()
        await upper.close()
        camera.close()
    assert told.names()[:2] == ["connected", "first_packet"]
