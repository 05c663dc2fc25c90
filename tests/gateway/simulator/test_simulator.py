"""Simulated devices against a platform of string operations and sockets."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.simulator import DeviceEvent, Quirk, Simulator, SimulatorOptions
from tests.support.certificates import make_certificate
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


@asynccontextmanager
async def running(
    platform: RawPlatform,
    *quirks: Quirk,
    events: list[DeviceEvent] | None = None,
    **changes: object,
) -> AsyncIterator[Simulator]:
    """A simulator that starts to register; logging out is answered for it at the end."""
    values: dict[str, object] = {
        "server_port": platform.port,
        "server_id": SERVER_ID,
        "password": PASSWORD,
        "transport": platform.transport,
        "local_host": "127.0.0.1",
        "width": 320,
        "height": 180,
        "bitrate": 256_000,
        "quirks": frozenset(quirks),
    }
    options = SimulatorOptions(**(values | changes))  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as group:
        async with Simulator(options, None if events is None else events.append) as simulator:
            yield simulator
            farewell = group.create_task(grant_everything(platform))
        farewell.cancel()


async def grant_everything(platform: RawPlatform) -> None:
    while True:
        platform.reply(await platform.receive("REGISTER"), "200 OK")


def offer(port: int, transport: str = "udp") -> str:
    proto = "RTP/AVP" if transport == "udp" else "TCP/RTP/AVP"
    setup = {
        "udp": "",
        "tcp_passive": "a=setup:passive\r\na=connection:new\r\n",
        "tcp_active": "a=setup:active\r\na=connection:new\r\n",
    }[transport]
    return (
        f"v=0\r\no={SERVER_ID} 0 0 IN IP4 127.0.0.1\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video {port} {proto} 96 98 97\r\na=rtpmap:96 PS/90000\r\na=rtpmap:98 H264/90000\r\n"
        f"a=rtpmap:97 MPEG4/90000\r\na=recvonly\r\n{setup}y=0200000017\r\n"
    )


def sdp_lines(answer: RawMessage) -> list[str]:
    return answer.body.decode().split("\r\n")


async def datagram(sock: socket.socket) -> bytes:
    async with asyncio.timeout(15):
        return await asyncio.get_running_loop().sock_recv(sock, 2000)


async def datagrams(sock: socket.socket, count: int) -> list[bytes]:
    return [await datagram(sock) for _ in range(count)]


async def registered(platform: RawPlatform, simulator: Simulator) -> None:
    await platform.register()
    async with asyncio.timeout(15):
        await simulator.wait_registered()


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_device_registers_with_digest_and_lives(transport: str) -> None:
    events: list[DeviceEvent] = []
    async with (
        raw_platform(transport) as platform,
        running(platform, events=events, keepalive_interval=0.1) as simulator,
    ):
        register = await platform.register()
        async with asyncio.timeout(15):
            await simulator.wait_registered()
        keepalive = await platform.receive("MESSAGE")

        assert register.start == f"REGISTER sip:{SERVER_ID}@3402000000 SIP/2.0"
        assert register.get("Expires") == "86400"
        assert register.get("X-GB-Ver") == "2.0"
        assert f"<sip:{DEVICE}@127.0.0.1:" in (register.get("Contact") or "")
        assert f"<sip:{DEVICE}@3402000000>" in (register.get("From") or "")
        assert f"SIP/2.0/{transport} 127.0.0.1:" in (register.get("Via") or "")
        assert keepalive.get("Content-Type") == "Application/MANSCDP+xml"
        assert b"<CmdType>Keepalive</CmdType>" in keepalive.body
        assert b"<Status>OK</Status>" in keepalive.body
    assert [event.what for event in events] == ["registered", "logged_out"]


async def test_signalling_may_be_encrypted(tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*make_certificate(tmp_path, "127.0.0.1"))
    async with raw_platform("TLS", tls) as platform, running(platform) as simulator:
        await registered(platform, simulator)
        platform.query("DeviceInfo", DEVICE)
        assert b"<CmdType>DeviceInfo</CmdType>" in (await platform.receive("MESSAGE")).body


async def test_a_certificate_may_be_checked(tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*make_certificate(tmp_path, "127.0.0.1"))
    events: list[DeviceEvent] = []
    async with (
        raw_platform("TLS", tls) as platform,
        running(platform, events=events, tls_verify=True),
    ):
        async with asyncio.timeout(15):
            while not events:
                await asyncio.sleep(0.01)
    assert events[0].what == "register_failed"
    assert "certificate" in events[0].detail.lower()


async def test_leaving_logs_out_with_expires_0() -> None:
    async with raw_platform() as platform:
        async with asyncio.TaskGroup() as group:
            simulator = Simulator(
                SimulatorOptions(server_port=platform.port, server_id=SERVER_ID, password=PASSWORD)
            )
            async with simulator:
                await registered(platform, simulator)
                farewell = group.create_task(platform.register())
        assert farewell.result().get("Expires") == "0"


async def test_queries_are_answered_by_messages_of_their_own() -> None:
    async with raw_platform() as platform, running(platform, channels=5) as simulator:
        await registered(platform, simulator)
        platform.query("Catalog", DEVICE, sn=71)
        assert (await platform.receive("200 MESSAGE")).body == b""
        parts = [(await platform.receive("MESSAGE")).body.decode("gb18030") for _ in range(3)]

        assert all("<SN>71</SN>" in part and "<SumNum>5</SumNum>" in part for part in parts)
        assert sum(part.count("<Item>") for part in parts) == 5
        assert "北门摄像机1" in parts[0]
        platform.query("DeviceInfo", DEVICE)
        assert b"<Channel>5</Channel>" in (await platform.receive("MESSAGE")).body


async def test_media_over_udp_is_rtp_of_a_program_stream_from_the_answered_port() -> None:
    media = bound_socket()
    async with raw_platform() as platform, running(platform) as simulator:
        await registered(platform, simulator)
        platform.invite(CHANNEL, offer(media.getsockname()[1]))
        await platform.receive("100 INVITE")
        answer = await platform.receive("200 INVITE")
        platform.acknowledge(answer, CHANNEL)
        lines = sdp_lines(answer)
        packets = await datagrams(media, 30)

        assert lines[1] == f"o={CHANNEL} 0 0 IN IP4 127.0.0.1"
        assert {"s=Play", "a=sendonly", "a=rtpmap:96 PS/90000", "y=0200000017"} <= set(lines)
        assert packets[0][:2] in (b"\x80\x60", b"\x80\xe0")
        assert packets[0][12:16] == b"\x00\x00\x01\xba"
        assert {packet[8:12] for packet in packets} == {(200_000_017).to_bytes(4)}
        first = int.from_bytes(packets[0][2:4])
        assert [int.from_bytes(p[2:4]) for p in packets] == [
            (first + n) & 0xFFFF for n in range(30)
        ]
        assert all(len(packet) <= 1400 for packet in packets)
        assert simulator.session_count == 1

        platform.hang_up(answer, CHANNEL)
        await platform.receive("200 BYE")
        async with asyncio.timeout(10):
            while simulator.session_count:
                await asyncio.sleep(0.01)
        assert simulator.devices[0].sent_packets >= 30
    media.close()


async def test_a_second_invite_for_a_busy_channel_is_refused_with_486() -> None:
    media = bound_socket()
    async with raw_platform() as platform, running(platform, channels=2) as simulator:
        await registered(platform, simulator)
        platform.invite(CHANNEL, offer(media.getsockname()[1]))
        platform.acknowledge(await platform.receive("200 INVITE"), CHANNEL)
        platform.invite(CHANNEL, offer(media.getsockname()[1]))
        await platform.receive("486 INVITE")
        platform.invite(CHANNEL[:-1] + "2", offer(media.getsockname()[1]))
        await platform.receive("200 INVITE")
        assert simulator.encoders_running == 1
        assert simulator.devices[0].invites_received == 3
    media.close()


async def rtp_over_tcp(reader: asyncio.StreamReader, count: int) -> list[bytes]:
    async with asyncio.timeout(15):
        return [
            await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
            for _ in range(count)
        ]


async def test_media_over_tcp_to_a_listening_platform() -> None:
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue(1)
    server = await asyncio.start_server(lambda r, w: accepted.put_nowait((r, w)), "127.0.0.1", 0)
    async with raw_platform("TCP") as platform, running(platform) as simulator:
        await registered(platform, simulator)
        platform.invite(CHANNEL, offer(server.sockets[0].getsockname()[1], "tcp_passive"))
        answer = await platform.receive("200 INVITE")
        platform.acknowledge(answer, CHANNEL)
        async with asyncio.timeout(15):
            reader, writer = await accepted.get()
        packets = await rtp_over_tcp(reader, 20)

        assert {"a=setup:active", "a=connection:new", "a=sendonly"} <= set(sdp_lines(answer))
        port = writer.get_extra_info("peername")[1]
        assert f"m=video {port} TCP/RTP/AVP 96" in sdp_lines(answer)
        assert packets[0][12:16] == b"\x00\x00\x01\xba"
        writer.close()
        assert (await platform.receive("BYE")).get("Call-ID") == answer.get("Call-ID")
    server.close()


async def test_media_over_tcp_to_a_platform_that_connects() -> None:
    async with raw_platform() as platform, running(platform) as simulator:
        await registered(platform, simulator)
        platform.invite(CHANNEL, offer(30000, "tcp_active"))
        answer = await platform.receive("200 INVITE")
        platform.acknowledge(answer, CHANNEL)
        assert "a=setup:passive" in sdp_lines(answer)
        (media,) = (line for line in sdp_lines(answer) if line.startswith("m="))
        reader, writer = await asyncio.open_connection("127.0.0.1", int(media.split()[1]))
        packets = await rtp_over_tcp(reader, 20)

        assert {packet[8:12] for packet in packets} == {(200_000_017).to_bytes(4)}
        writer.close()
        await platform.receive("BYE")


@pytest.mark.parametrize(
    ("sdp", "status"),
    [
        ("", "488"),
        ("nonsense", "400"),
        (offer(0), "488"),
        (offer(30000).replace("s=Play", "s=Playback"), "488"),
    ],
)
async def test_an_offer_that_cannot_be_met_is_refused(sdp: str, status: str) -> None:
    async with raw_platform() as platform, running(platform) as simulator:
        await registered(platform, simulator)
        platform.invite(CHANNEL, sdp)
        refusal = await platform.receive(f"{status} INVITE")
        platform.acknowledge(refusal, CHANNEL)
        assert simulator.session_count == 0


async def test_an_unknown_channel_is_not_found() -> None:
    async with raw_platform() as platform, running(platform) as simulator:
        await registered(platform, simulator)
        platform.invite("34020000001320999999", offer(30000))
        await platform.receive("404 INVITE")
        assert not simulator.devices[0].sessions


async def test_many_devices_register_at_the_rate_asked_for() -> None:
    async with raw_platform() as platform, asyncio.TaskGroup() as group:
        challenges = group.create_task(challenge_everybody(platform))
        async with running(platform, devices=50, register_rate=200.0) as simulator:
            async with asyncio.timeout(15):
                await simulator.wait_registered()
            assert simulator.registered_count == 50
            assert len({device.local_address for device in simulator.devices}) == 50
        challenges.cancel()


async def challenge_everybody(platform: RawPlatform) -> None:
    while True:
        request = await platform.receive("REGISTER")
        if request.get("Authorization") is None:
            platform.reply(
                request, "401 Unauthorized", 'WWW-Authenticate: Digest realm="r", nonce="n"\r\n'
            )
        else:
            platform.reply(request, "200 OK")


async def test_a_platform_that_is_not_there_is_reported_and_tried_again() -> None:
    events: list[DeviceEvent] = []
    nobody = bound_socket(socket.SOCK_STREAM)
    options = SimulatorOptions(
        server_port=nobody.getsockname()[1], transport="TCP", retry_delay=0.05
    )
    async with Simulator(options, events.append):
        async with asyncio.timeout(15):
            while len(events) < 3:
                await asyncio.sleep(0.01)
    nobody.close()

    assert {event.what for event in events[:3]} == {"register_failed"}
    assert "no connection to 127.0.0.1" in events[0].detail


async def test_a_dropped_connection_comes_back_with_a_registration() -> None:
    async with (
        raw_platform("TCP") as platform,
        running(platform, retry_delay=0.05) as simulator,
    ):
        await registered(platform, simulator)
        device = simulator.devices[0]
        device.drop_connection()
        async with asyncio.timeout(15):
            while device.registered:
                await asyncio.sleep(0.01)
        await registered(platform, simulator)
        assert device.registrations == 2
        assert len(platform.connections) == 2
