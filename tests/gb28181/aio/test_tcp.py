"""SIP connections on loopback: reuse, keepalives, bounds and deadlines."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gb28181.aio.errors import SipTransportError
from gb28181.aio.incoming import IncomingRequest
from gb28181.aio.tcp import ConnectionLimits
from gb28181.aio.tls import client_context, server_context
from gb28181.limits import MAX_SIP_RESYNC
from gb28181.sip import framer
from gb28181.sip.endpoint import Flow
from tests.support.certificates import make_certificate
from tests.support.sip_drivers import Peer, message, peers

pytestmark = pytest.mark.net

OPTIONS = (
    b"OPTIONS sip:34020000002000000001@3402000000 SIP/2.0\r\n"
    b"Via: SIP/2.0/TCP 192.168.1.64:5060;branch=z9hG4bK%d\r\n"
    b"From: <sip:34020000001320000001@3402000000>;tag=1\r\n"
    b"To: <sip:34020000002000000001@3402000000>\r\n"
    b"Call-ID: %d@192.168.1.64\r\nCSeq: 20 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


@asynccontextmanager
async def raw(
    address: tuple[str, int],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection that speaks whatever the test writes."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.readuntil(b"\r\n\r\n")


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Read until the peer closes."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def eventually(peer: Peer, connections: int) -> None:
    async with asyncio.timeout(10):
        while peer.driver.stats.connections != connections:
            await asyncio.sleep(0.005)


async def test_a_devices_own_connection_is_the_way_back_to_it() -> None:
    async with peers() as (platform, device):
        address = await platform.driver.listen_tcp("127.0.0.1", 0)
        flow = await device.driver.connect_tcp(*address)
        await message(device, flow)
        back = platform.incoming[0].flow
        assert back.connection is not None
        assert back.remote == flow.local
        assert (await message(platform, back)).status == 200
        assert device.incoming[0].flow.connection == flow.connection
        assert platform.driver.stats.connections == device.driver.stats.connections == 1


async def test_messages_are_cut_out_of_the_stream_however_it_arrives() -> None:
    async with (
        peers(1) as (platform,),
        raw(await platform.driver.listen_tcp("127.0.0.1", 0)) as (reader, writer),
    ):
        data = OPTIONS % (1, 1) + b"\r\n\r\n" + OPTIONS % (2, 2)
        for start in range(0, len(data), 100):
            writer.write(data[start : start + 100])
            await asyncio.sleep(0)
        for _ in range(2):
            # The blank lines between the two may count as a ping and get an answer of their own.
            assert (await answer(reader)).lstrip(b"\r\n").startswith(b"SIP/2.0 200")


async def test_a_double_line_end_is_answered_with_a_single_one() -> None:
    async with (
        peers(1) as (platform,),
        raw(await platform.driver.listen_tcp("127.0.0.1", 0)) as (reader, writer),
    ):
        writer.write(b"\r\n\r\n")
        async with asyncio.timeout(10):
            assert await reader.readexactly(2) == b"\r\n"


async def test_a_peer_that_speaks_no_sip_is_closed_in_time() -> None:
    limits = ConnectionLimits(first_message=0.05, check_interval=0.01)
    async with peers(1, limits=limits) as (platform,):
        async with raw(await platform.driver.listen_tcp("127.0.0.1", 0)) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: camera\r\n\r\n")
            assert await ended(reader) == b""
        await eventually(platform, 0)
        assert len(platform.lost) == 1


async def test_a_flood_of_garbage_is_closed_at_once_and_told() -> None:
    async with peers(1) as (platform,):
        async with raw(await platform.driver.listen_tcp("127.0.0.1", 0)) as (reader, writer):
            writer.write(b"junk\r\n" * (MAX_SIP_RESYNC // 2))
            await ended(reader)
        await eventually(platform, 0)
        assert platform.driver.stats.malformed == 1
        assert len(platform.refused) == 1


async def test_a_request_without_content_length_is_answered_400_and_the_connection_closed() -> None:
    async with (
        peers(1) as (platform,),
        raw(await platform.driver.listen_tcp("127.0.0.1", 0)) as (reader, writer),
    ):
        writer.write((OPTIONS % (1, 1)).replace(b"Content-Length: 0\r\n", b""))
        assert (await ended(reader)).startswith(b"SIP/2.0 400")


async def test_a_connection_without_a_message_is_closed_in_time() -> None:
    limits = ConnectionLimits(first_message=0.05, check_interval=0.01)
    async with peers(1, limits=limits) as (platform,):
        async with raw(await platform.driver.listen_tcp("127.0.0.1", 0)) as (reader, writer):
            writer.write(b"OPTIONS sip:x")
            assert await ended(reader) == b""
        await eventually(platform, 0)
        assert platform.lost[0][1] == "no SIP message within 0.05 s"


async def test_an_idle_connection_is_closed_in_time() -> None:
    async with peers(1, limits=ConnectionLimits(idle=0.05, check_interval=0.01)) as (platform,):
        async with raw(await platform.driver.listen_tcp("127.0.0.1", 0)) as (reader, writer):
            writer.write(OPTIONS % (1, 1))
            assert (await answer(reader)).startswith(b"SIP/2.0 200")
            assert await ended(reader) == b""
        await eventually(platform, 0)
        assert platform.lost[0][1] == "nothing received for 0.05 s"


@pytest.mark.parametrize("limits", [ConnectionLimits(total=1), ConnectionLimits(per_host=1)])
async def test_connections_beyond_the_bound_are_closed_at_once(limits: ConnectionLimits) -> None:
    async with peers(1, limits=limits) as (platform,):
        address = await platform.driver.listen_tcp("127.0.0.1", 0)
        async with raw(address) as (reader, writer), raw(address) as (refused, _):
            assert await ended(refused) == b""
            writer.write(OPTIONS % (1, 1))
            assert (await answer(reader)).startswith(b"SIP/2.0 200")
        assert platform.driver.stats.connections_refused == 1
        await eventually(platform, 0)
        async with raw(address) as (reader, writer):
            writer.write(OPTIONS % (2, 2))
            assert (await answer(reader)).startswith(b"SIP/2.0 200")


async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bytes:
    writer.write(OPTIONS % (number, number))
    return await answer(reader)


def trust_latest(platform: Peer) -> None:
    """Do what the gateway does when a device has registered."""
    connection = platform.incoming[-1].flow.connection
    assert connection is not None
    platform.driver.trust(connection)
    platform.driver.trust(connection)


def trust_all(platform: Peer) -> None:
    def serve(incoming: IncomingRequest) -> None:
        trust_latest(platform)
        incoming.respond(200)

    platform.handler = serve


def registering(number: int) -> bytes:
    return (OPTIONS % (number, number)).replace(b"OPTIONS", b"REGISTER")


async def test_a_connection_on_which_nobody_registers_is_closed_in_time() -> None:
    limits = ConnectionLimits(untrusted=0.3, check_interval=0.01)
    async with peers(1, limits=limits) as (platform,):
        address = await platform.driver.listen_tcp("127.0.0.1", 0)
        trust_all(platform)
        async with raw(address) as (device, to_device), raw(address) as (stranger, to_stranger):
            to_device.write(registering(1))
            assert (await answer(device)).startswith(b"SIP/2.0 200")
            assert (await speak(stranger, to_stranger, 2)).startswith(b"SIP/2.0 200")
            assert await ended(stranger) == b""
            assert platform.lost[0][1] == "no registration within 0.3 s"
            assert (await speak(device, to_device, 3)).startswith(b"SIP/2.0 200")
            assert platform.driver.stats.connections == 1


async def test_connections_without_a_registration_are_few_per_host() -> None:
    limits = ConnectionLimits(untrusted_per_host=1)
    async with peers(1, limits=limits) as (platform,):
        address = await platform.driver.listen_tcp("127.0.0.1", 0)
        trust_all(platform)
        async with raw(address) as (reader, writer), raw(address) as (refused, _):
            assert await ended(refused) == b""
            writer.write(registering(1))
            assert (await answer(reader)).startswith(b"SIP/2.0 200")
            # One that is trusted makes room, and so does one that is gone.
            for number in range(2, 5):
                async with raw(address) as (other, to_other):
                    assert (await speak(other, to_other, number)).startswith(b"SIP/2.0 200")
                await eventually(platform, 1)


async def test_our_own_connections_need_no_trust() -> None:
    limits = ConnectionLimits(untrusted=0.02, untrusted_per_host=1, check_interval=0.01)
    async with peers(1) as (platform,), peers(1, limits=limits) as (device,):
        address = await platform.driver.listen_tcp("127.0.0.1", 0)
        flows = [await device.driver.connect_tcp(*address) for _ in range(3)]
        await asyncio.sleep(0.05)
        for flow in flows:
            assert (await message(device, flow)).status == 200


@pytest.mark.parametrize("registered", [True, False])
async def test_a_long_message_is_collected_only_after_a_registration(registered: bool) -> None:
    limits = ConnectionLimits(untrusted_buffer=10_000)
    long = (OPTIONS % (2, 2)).replace(b"OPTIONS", b"MESSAGE")
    long = long.replace(b"Content-Length: 0", b"Content-Length: 600000") + b"x" * 600_000
    async with peers(1, limits=limits) as (platform,):
        address = await platform.driver.listen_tcp("127.0.0.1", 0)
        if registered:
            trust_all(platform)
        async with raw(address) as (reader, writer):
            writer.write(registering(1))
            assert (await answer(reader)).startswith(b"SIP/2.0 200")
            writer.write(long)
            if registered:
                assert (await answer(reader)).startswith(b"SIP/2.0 200")
            else:
                assert await ended(reader) == b""
                await eventually(platform, 0)
                assert platform.lost[0][1] == "too long a message before a registration"


async def test_a_peer_that_does_not_read_is_cut_off() -> None:
    async with peers(1, limits=ConnectionLimits(write_buffer=10_000)) as (platform,):
        platform.handler = lambda incoming: None
        async with raw(await platform.driver.listen_tcp("127.0.0.1", 0)) as (_, writer):
            writer.write((OPTIONS % (1, 1)).replace(b"OPTIONS", b"MESSAGE"))
            async with asyncio.timeout(10):
                while not platform.incoming:
                    await asyncio.sleep(0.005)
            flow = platform.incoming[0].flow
            with pytest.raises(SipTransportError):
                await send_much(platform, flow)
            await eventually(platform, 0)
        assert platform.lost[0][1] == "the peer does not read"


async def send_much(platform: Peer, flow: Flow) -> None:
    await platform.driver.client.request(
        "MESSAGE",
        "sip:x@y",
        flow=flow,
        from_="<sip:p@y>",
        to="<sip:x@y>",
        body=b"x" * 8_000_000,
        content_type="a/b",
        timeout=2.0,
    )


async def test_a_lost_connection_is_told_after_its_requests_failed() -> None:
    async with peers() as (platform, device):
        flow = await device.driver.connect_tcp(*await platform.driver.listen_tcp("127.0.0.1", 0))
        await message(device, flow)
        back = platform.incoming[0].flow
        assert flow.connection is not None
        device.driver.drop_connection(flow.connection)
        await eventually(platform, 0)
        assert platform.lost == [(back.connection, "closed by the peer")]
        with pytest.raises(SipTransportError):
            await message(platform, back)


async def test_numbers_of_connections_are_not_used_again() -> None:
    async with peers() as (platform, device):
        address = await platform.driver.listen_tcp("127.0.0.1", 0)
        first = await device.driver.connect_tcp(*address)
        assert first.connection is not None
        device.driver.drop_connection(first.connection)
        second = await device.driver.connect_tcp(*address)
        assert second.connection != first.connection


async def test_a_refused_connection_is_an_error_of_ours() -> None:
    async with peers(1) as (device,):
        with pytest.raises(SipTransportError, match=r"127\.0\.0\.1:1"):
            await device.driver.connect_tcp("127.0.0.1", 1)


async def test_tls_works_in_both_directions(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    async with peers() as (platform, device):
        address = await platform.driver.listen_tls("127.0.0.1", 0, server_context(certificate, key))
        flow = await device.driver.connect_tcp(*address, ssl=client_context(ca=certificate))
        assert (await message(device, flow)).status == 200
        back = platform.incoming[0].flow
        assert back.transport == "TLS"
        assert platform.incoming[0].request.via.transport == "TLS"
        assert (await message(platform, back)).status == 200


async def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    async with peers() as (platform, device):
        address = await platform.driver.listen_tls("127.0.0.1", 0, server_context(certificate, key))
        with pytest.raises(SipTransportError):
            await device.driver.connect_tcp(*address, ssl=client_context())
        flow = await device.driver.connect_tcp(*address, ssl=client_context(verify=False))
        assert (await message(device, flow)).status == 200


async def test_a_device_without_a_certificate_is_refused_where_one_is_asked_for(
    tmp_path: Path,
) -> None:
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    async with peers() as (platform, device):
        context = server_context(certificate, key, client_ca=certificate)
        assert context.verify_mode is ssl.CERT_REQUIRED
        address = await platform.driver.listen_tls("127.0.0.1", 0, context)
        with pytest.raises(SipTransportError):
            await register(device, address)


async def register(device: Peer, address: tuple[str, int]) -> None:
    """Connect without a certificate: refused at once or, with TLS 1.3, at the first message."""
    flow = await device.driver.connect_tcp(*address, ssl=client_context(verify=False))
    await message(device, flow)


async def test_a_client_that_never_shakes_hands_is_dropped(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    async with peers(1, limits=ConnectionLimits(handshake=0.05)) as (platform,):
        address = await platform.driver.listen_tls("127.0.0.1", 0, server_context(certificate, key))
        async with raw(address) as (reader, _):
            assert await ended(reader) == b""
        assert platform.driver.stats.connections == 0


async def test_a_body_without_length_ends_with_its_root_or_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(framer, "SIP_ROOT_WAIT", 0.05)
    unmeasured = (OPTIONS % (1, 1)).replace(b"OPTIONS", b"MESSAGE")
    unmeasured = unmeasured.replace(b"Content-Length: 0", b"Content-Type: Application/MANSCDP+xml")
    async with (
        peers(1) as (platform,),
        raw(await platform.driver.listen_tcp("127.0.0.1", 0)) as (reader, writer),
    ):
        writer.write(unmeasured + b"<Notify><SN>1</SN></Notify>")
        assert (await answer(reader)).startswith(b"SIP/2.0 200")
        assert platform.incoming[0].request.body == b"<Notify><SN>1</SN></Notify>"
        writer.write(unmeasured.replace(b"K1", b"K2") + b"<Notify><SN>1</SN>")
        assert (await ended(reader)).startswith(b"SIP/2.0 400")
