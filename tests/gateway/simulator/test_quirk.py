"""Each switch shows on the wire what it promises."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.simulator import Quirk, Simulator, SimulatorOptions
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.demuxer import PsDemuxer
from gb28181.rtp.depacketizer import Depacketizer
from gb28181.rtp.packet import RtpPacket
from tests.support.raw_platform import (
    PASSWORD,
    SERVER_ID,
    RawMessage,
    RawPlatform,
    bound_socket,
    raw_platform,
)

pytestmark = pytest.mark.net

DEVICE = "34020000001180000001"
CHANNEL = "34020000001320000001"
OFFERED = 200_000_017


class Scene:
    """A platform, a device with quirks, and a socket for its media."""

    def __init__(self, platform: RawPlatform, simulator: Simulator, media: socket.socket) -> None:
        self.platform = platform
        self.simulator = simulator
        self.device = simulator.devices[0]
        self.media = media

    async def register(self) -> RawMessage:
        message = await self.platform.register()
        async with asyncio.timeout(15):
            await self.simulator.wait_registered()
        return message

    def invite(self, port: int | None = None, transport: str = "udp") -> None:
        self.platform.invite(CHANNEL, offer(port or self.media.getsockname()[1], transport))

    async def play(self) -> RawMessage:
        await self.register()
        self.invite()
        answer = await self.platform.receive("200 INVITE")
        self.platform.acknowledge(answer, CHANNEL)
        return answer

    async def packet(self) -> bytes:
        async with asyncio.timeout(15):
            return await asyncio.get_running_loop().sock_recv(self.media, 2000)

    async def packets(self, count: int) -> list[bytes]:
        return [await self.packet() for _ in range(count)]

    async def until(self, what: str, condition: object) -> None:
        assert callable(condition)
        try:
            async with asyncio.timeout(15):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"never came true: {what}")


@asynccontextmanager
async def scene(*quirks: Quirk, transport: str = "UDP", **changes: object) -> AsyncIterator[Scene]:
    media = bound_socket()
    async with raw_platform(transport) as platform:
        values: dict[str, object] = {
            "server_port": platform.port,
            "server_id": SERVER_ID,
            "password": PASSWORD,
            "transport": transport,
            "local_host": "127.0.0.1",
            "width": 320,
            "height": 180,
            "bitrate": 256_000,
            "retry_delay": 0.05,
            "quirks": frozenset(quirks),
        }
        options = SimulatorOptions(**(values | changes))  # type: ignore[arg-type]
        async with asyncio.TaskGroup() as group:
            async with Simulator(options) as simulator:
                yield Scene(platform, simulator, media)
                farewell = group.create_task(grant_everything(platform))
            farewell.cancel()
    media.close()


async def grant_everything(platform: RawPlatform) -> None:
    while True:
        platform.reply(await platform.receive("REGISTER"), "200 OK")


def offer(port: int, transport: str) -> str:
    proto = "RTP/AVP" if transport == "udp" else "TCP/RTP/AVP"
    setup = "" if transport == "udp" else "a=setup:passive\r\na=connection:new\r\n"
    return (
        f"v=0\r\no={SERVER_ID} 0 0 IN IP4 127.0.0.1\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video {port} {proto} 96 98 100\r\na=rtpmap:96 PS/90000\r\na=rtpmap:98 H264/90000\r\n"
        f"a=rtpmap:100 H265/90000\r\na=recvonly\r\n{setup}y={OFFERED:010d}\r\n"
    )


def ssrc_of(packet: bytes) -> int:
    return int.from_bytes(packet[8:12])


def answered_ssrc(answer: RawMessage) -> int | None:
    found = re.search(rb"^y=(\d{10})\r$", answer.body, re.MULTILINE)
    return int(found[1]) if found else None


# Registration and keepalive


async def test_no_expires_leaves_the_header_out() -> None:
    async with scene(Quirk.NO_EXPIRES) as it:
        register = await it.register()
        assert register.get("Expires") is None
        assert "expires" not in (register.get("Contact") or "")


async def test_contact_private_names_an_address_that_leads_nowhere() -> None:
    async with scene(Quirk.CONTACT_PRIVATE) as it:
        register = await it.register()
        assert "@192.168.254.254:5060>" in (register.get("Contact") or "")
        assert "192.168.254.254:5060" in (register.get("Via") or "")
        it.invite()
        answer = await it.platform.receive("200 INVITE")
        assert "192.168.254.254" in (answer.get("Contact") or "")
        it.platform.acknowledge(answer, CHANNEL)


async def test_re_register_without_auth_never_answers_the_challenge_of_a_refresh() -> None:
    async with scene(Quirk.RE_REGISTER_WITHOUT_AUTH) as it:
        first = await it.register()
        it.device.refresh()
        refresh = await it.platform.receive("REGISTER")
        assert refresh.get("Call-ID") == first.get("Call-ID")
        assert refresh.get("Authorization") is None
        it.platform.reply(
            refresh, "401 Unauthorized", 'WWW-Authenticate: Digest realm="r", nonce="n"\r\n'
        )
        it.device.send_keepalive()
        await it.platform.receive("MESSAGE")
        assert it.platform.pending("REGISTER") == 0
        assert it.device.registered


async def test_wrong_password_is_refused_and_tried_again() -> None:
    async with scene(Quirk.WRONG_PASSWORD) as it:
        for _ in range(2):
            assert not it.platform.digest_is_right(await it.platform.register())
        assert it.simulator.registered_count == 0


async def test_keepalive_port_change_sends_from_another_port_each_time() -> None:
    async with scene(Quirk.KEEPALIVE_PORT_CHANGE) as it:
        sources = [(await it.register()).source]
        for _ in range(3):
            it.device.send_keepalive()
            sources.append((await it.platform.receive("MESSAGE")).source)
        assert len(set(sources)) == 4
        it.platform.device = sources[-1]
        it.platform.query("DeviceInfo", DEVICE)
        assert (await it.platform.receive("MESSAGE")).source == sources[-1]


async def test_no_keepalive_sends_none() -> None:
    async with scene(Quirk.NO_KEEPALIVE, keepalive_interval=0.02) as it:
        await it.register()
        await asyncio.sleep(0.1)
        assert it.platform.pending("MESSAGE") == 0


async def test_drop_tcp_drops_and_comes_back() -> None:
    async with scene(Quirk.DROP_TCP, transport="TCP", drop_after=0.05) as it:
        await it.register()
        await it.platform.register()
        await it.until("registered twice", lambda: it.device.registrations == 2)


# INVITE


@pytest.mark.parametrize(
    ("quirk", "status"), [(Quirk.ANSWER_4XX, "403"), (Quirk.ANSWER_5XX, "500")]
)
async def test_refusals_come_after_100_with_their_status(quirk: Quirk, status: str) -> None:
    async with scene(quirk, refuse_status=403) as it:
        await it.register()
        it.invite()
        await it.platform.receive("100 INVITE")
        await it.platform.receive(f"{status} INVITE")
        assert it.simulator.session_count == 0


async def test_never_answer_invite_stays_at_100() -> None:
    async with scene(Quirk.NEVER_ANSWER_INVITE) as it:
        await it.register()
        it.invite()
        await it.platform.receive("100 INVITE")
        await asyncio.sleep(0.1)
        assert it.platform.pending("200 INVITE") == 0


async def test_answer_port_zero_says_so_in_the_answer() -> None:
    async with scene(Quirk.ANSWER_PORT_ZERO) as it:
        assert b"m=video 0 RTP/AVP 96\r\n" in (await it.play()).body


async def test_answer_without_sdp_has_no_body() -> None:
    async with scene(Quirk.ANSWER_WITHOUT_SDP) as it:
        answer = await it.play()
        assert (answer.body, answer.get("Content-Type")) == (b"", None)


async def test_slow_answer_can_be_cancelled_before_it_comes() -> None:
    async with scene(Quirk.SLOW_ANSWER, answer_delay=60.0) as it:
        await it.register()
        it.invite()
        await it.platform.receive("100 INVITE")
        it.platform.cancel_last(CHANNEL)
        await it.platform.receive("487 INVITE")
        await it.until("channel free", lambda: it.simulator.session_count == 0)


async def test_slow_answer_takes_its_time() -> None:
    async with scene(Quirk.SLOW_ANSWER, answer_delay=0.2) as it:
        await it.register()
        loop = asyncio.get_running_loop()
        asked = loop.time()
        it.invite()
        answer = await it.platform.receive("200 INVITE")
        it.platform.acknowledge(answer, CHANNEL)
        assert loop.time() - asked >= 0.2


async def test_double_200_sends_the_same_answer_twice() -> None:
    async with scene(Quirk.DOUBLE_200) as it:
        await it.register()
        it.invite()
        one = await it.platform.receive("200 INVITE")
        other = await it.platform.receive("200 INVITE")
        assert (one.get("To"), one.body) == (other.get("To"), other.body)
        it.platform.acknowledge(one, CHANNEL)
        assert len(await it.packets(3)) == 3


async def test_own_ssrc_is_answered_and_sent() -> None:
    async with scene(Quirk.OWN_SSRC) as it:
        answer = await it.play()
        assert answered_ssrc(answer) not in {None, OFFERED}
        assert {ssrc_of(p) for p in await it.packets(5)} == {answered_ssrc(answer)}


async def test_no_y_leaves_the_line_out_and_keeps_the_offered_ssrc() -> None:
    async with scene(Quirk.NO_Y) as it:
        answer = await it.play()
        assert answered_ssrc(answer) is None
        assert ssrc_of(await it.packet()) == OFFERED


async def test_other_ssrc_in_rtp_is_not_the_answered_one() -> None:
    async with scene(Quirk.OTHER_SSRC_IN_RTP) as it:
        answer = await it.play()
        assert answered_ssrc(answer) == OFFERED
        assert ssrc_of(await it.packet()) != OFFERED


async def test_bye_midstream_comes_from_the_device() -> None:
    async with scene(Quirk.BYE_MIDSTREAM, bye_after=0.2) as it:
        answer = await it.play()
        bye = await it.platform.receive("BYE")
        it.platform.reply(bye, "200 OK")
        assert bye.get("Call-ID") == answer.get("Call-ID")
        assert it.simulator.session_count == 0


async def test_lost_bye_keeps_sending_and_the_channel_busy() -> None:
    async with scene(Quirk.LOST_BYE) as it:
        answer = await it.play()
        await it.packets(3)
        it.platform.hang_up(answer, CHANNEL)
        await it.platform.receive("200 BYE")
        assert len(await it.packets(10)) == 10
        it.invite()
        await it.platform.receive("486 INVITE")


# Media


async def test_send_nothing_sends_nothing() -> None:
    async with scene(Quirk.SEND_NOTHING) as it:
        await it.play()
        await asyncio.sleep(0.2)
        with pytest.raises(BlockingIOError):
            it.media.recv(2000)
        assert it.simulator.session_count == 1


async def test_send_garbage_is_rtp_of_nothing() -> None:
    async with scene(Quirk.SEND_GARBAGE) as it:
        await it.play()
        packets = await it.packets(20)
        assert {p[0] for p in packets} == {0x80}
        assert not any(p[12:16] == b"\x00\x00\x01\xba" for p in packets)


async def test_drop_media_over_udp_stops_without_bye() -> None:
    async with scene(Quirk.DROP_MEDIA, drop_after=0.2) as it:
        await it.play()
        await it.packet()
        (session,) = it.device.sessions.values()
        await it.until("silence", lambda: not session.media.running)
        assert it.simulator.session_count == 1
        assert it.platform.pending("BYE") == 0


async def program_stream(it: Scene, packets: int) -> bytes:
    return b"".join([(await it.packet())[12:] for _ in range(packets)])


async def test_no_psm_has_neither_system_header_nor_map() -> None:
    async with scene(Quirk.NO_PSM) as it:
        await it.play()
        stream = await program_stream(it, 30)
        assert stream.startswith(b"\x00\x00\x01\xba")
        assert b"\x00\x00\x01\xbb" not in stream
        assert b"\x00\x00\x01\xbc" not in stream


def crc32_mpeg2(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


@pytest.mark.parametrize(("quirks", "good"), [((), True), ((Quirk.BAD_PSM_CRC,), False)])
async def test_bad_psm_crc_is_the_maps_only_fault(quirks: tuple[Quirk, ...], good: bool) -> None:
    async with scene(*quirks) as it:
        await it.play()
        stream = await program_stream(it, 5)
        start = stream.index(b"\x00\x00\x01\xbc")
        length = int.from_bytes(stream[start + 4 : start + 6])
        psm = stream[start : start + 6 + length]
        assert b"\x1b\xe0" in psm
        assert (crc32_mpeg2(psm) == 0) is good


async def test_pes_length_zero_is_zero_for_video_and_still_reads() -> None:
    async with scene(Quirk.PES_LENGTH_ZERO) as it:
        await it.play()
        packets = await it.packets(60)
        stream = b"".join(packet[12:] for packet in packets)
        lengths = {stream[m.end() : m.end() + 2] for m in re.finditer(b"\x00\x00\x01\xe0", stream)}
        assert lengths == {b"\x00\x00"}
        demuxer = PsDemuxer()
        found = [
            unit
            for packet in packets
            for unit in demuxer.feed(
                packet[12:],
                timestamp=int.from_bytes(packet[4:8]),
                marker=bool(packet[1] & 0x80),
            )
        ]
        assert {unit.codec for unit in found} == {Codec.H264, Codec.PCM_ALAW}


async def test_private_streams_come_with_the_key_frame() -> None:
    async with scene(Quirk.PRIVATE_STREAMS) as it:
        await it.play()
        assert b"\x00\x00\x01\xbd" in await program_stream(it, 10)


@pytest.mark.parametrize(
    ("video", "payload_type", "name"), [(Codec.H264, 98, "H264"), (Codec.HEVC, 100, "H265")]
)
async def test_raw_h264_sends_the_elementary_stream(
    video: Codec, payload_type: int, name: str
) -> None:
    async with scene(Quirk.RAW_H264, video=video) as it:
        answer = await it.play()
        assert f"m=video {media_port(answer)} RTP/AVP {payload_type}\r\n".encode() in answer.body
        assert f"a=rtpmap:{payload_type} {name}/90000".encode() in answer.body
        depacketizer = Depacketizer({payload_type: name})
        found: list[MediaUnit] = []
        while len(found) < 3:
            packet = await it.packet()
            assert packet[1] & 0x7F == payload_type
            found += depacketizer.feed(RtpPacket.parse(packet))
        assert {unit.codec for unit in found} == {video}
        assert found[0].keyframe


def media_port(answer: RawMessage) -> int:
    return int(re.search(rb"m=video (\d+)", answer.body)[1])  # type: ignore[index]


async def test_codec_change_midstream_goes_on_with_the_other_codec() -> None:
    async with scene(Quirk.CODEC_CHANGE_MIDSTREAM, codec_change_after=0.3) as it:
        await it.play()
        demuxer, codecs = PsDemuxer(), []
        async with asyncio.timeout(15):
            while Codec.HEVC not in codecs:
                packet = await it.packet()
                for unit in demuxer.feed(
                    packet[12:],
                    timestamp=int.from_bytes(packet[4:8]),
                    marker=bool(packet[1] & 0x80),
                ):
                    codecs += [unit.codec] if unit.is_video else []
        assert codecs[0] is Codec.H264
        assert list(dict.fromkeys(codecs)) == [Codec.H264, Codec.HEVC]


async def tcp_bytes(*quirks: Quirk, count: int) -> bytes:
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue(1)
    server = await asyncio.start_server(lambda r, w: accepted.put_nowait((r, w)), "127.0.0.1", 0)
    async with scene(*quirks) as it:
        await it.register()
        it.invite(server.sockets[0].getsockname()[1], "tcp_passive")
        it.platform.acknowledge(await it.platform.receive("200 INVITE"), CHANNEL)
        async with asyncio.timeout(15):
            reader, writer = await accepted.get()
            data = await reader.readexactly(count)
        writer.close()
    server.close()
    return data


async def test_tcp_preamble_256_precedes_the_first_packet() -> None:
    data = await tcp_bytes(Quirk.TCP_PREAMBLE_256, count=300)

    assert data[:2] == b"\x01\x00"
    assert data[258:260] in {b"\x80\x60", b"\x80\xe0"}
    assert data[270:274] == b"\x00\x00\x01\xba"


async def test_tcp_dollar_framing_is_that_of_rtsp() -> None:
    data = await tcp_bytes(Quirk.TCP_DOLLAR_FRAMING, count=4000)

    second = 4 + int.from_bytes(data[2:4])
    assert data[:2] == data[second : second + 2] == b"$\x00"
    assert data[4] == data[second + 4] == 0x80


async def test_drop_media_over_tcp_breaks_the_connection_without_bye() -> None:
    ended: asyncio.Queue[bytes] = asyncio.Queue(1)

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b""
        try:
            while part := await reader.read(4096):
                data += part
        except ConnectionError:
            pass
        writer.close()
        ended.put_nowait(data)

    server = await asyncio.start_server(read, "127.0.0.1", 0)
    async with scene(Quirk.DROP_MEDIA, drop_after=0.2) as it:
        await it.register()
        it.invite(server.sockets[0].getsockname()[1], "tcp_passive")
        it.platform.acknowledge(await it.platform.receive("200 INVITE"), CHANNEL)
        async with asyncio.timeout(15):
            assert len(await ended.get()) > 1000
        assert it.platform.pending("BYE") == 0
        assert it.simulator.session_count == 1
    server.close()
