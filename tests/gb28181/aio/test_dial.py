"""Connections we open to an upper platform, and the requests of both sides inside them."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from gb28181.aio.errors import SipTransportError
from gb28181.aio.tcp import ConnectionLimits
from gb28181.aio.tls import client_context, server_context
from tests.support.certificates import make_certificate
from tests.support.sip_drivers import Peer, message, peers

pytestmark = pytest.mark.net


async def listen(upper: Peer, transport: str, folder: Path) -> tuple[tuple[str, int], Path]:
    certificate, key = make_certificate(folder, "127.0.0.1")
    driver = upper.driver
    if transport == "TCP":
        return await driver.listen_tcp("127.0.0.1", 0), certificate
    context = server_context(certificate, key)
    return await driver.listen_tls("127.0.0.1", 0, context), certificate


@pytest.mark.parametrize("transport", ["TCP", "TLS"])
async def test_requests_of_both_sides_go_down_the_connection_we_opened(
    transport: str, tmp_path: Path
) -> None:
    async with peers() as (lower, upper):
        address, ca = await listen(upper, transport, tmp_path)
        if transport == "TCP":
            flow = await lower.driver.connect_tcp(*address)
        else:
            flow = await lower.driver.connect_tls(*address, client_context(ca=ca))
        assert flow.transport == transport
        assert flow.remote == address
        assert flow.connection is not None
        assert (await message(lower, flow, method="REGISTER")).status == 200
        contact = upper.incoming[0].request.contact
        assert contact is not None
        assert contact.uri.endswith(f"127.0.0.1:{flow.local[1]};transport={transport.lower()}")
        back = upper.incoming[0].flow
        for method in ("MESSAGE", "SUBSCRIBE"):
            assert (await message(upper, back, method=method)).status == 200
        assert [request.flow for request in lower.incoming] == [flow, flow]
        assert lower.driver.stats.connections == upper.driver.stats.connections == 1


async def test_the_name_in_the_certificate_is_the_one_asked_for(tmp_path: Path) -> None:
    async with peers() as (lower, upper):
        address, ca = await listen(upper, "TLS", tmp_path)
        context = client_context(ca=ca)
        flow = await lower.driver.connect_tls(*address, context, server_hostname="127.0.0.1")
        assert flow.transport == "TLS"
        with pytest.raises(SipTransportError, match="localhost") as caught:
            await lower.driver.connect_tls(*address, context, server_hostname="localhost")
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        with pytest.raises(SipTransportError):
            await lower.driver.connect_tcp("localhost", address[1], ssl=context)


async def test_we_show_a_certificate_to_an_upper_that_asks_for_one(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    async with peers() as (lower, upper):
        asking = server_context(certificate, key, client_ca=certificate)
        address = await upper.driver.listen_tls("127.0.0.1", 0, asking)
        ours = client_context(ca=certificate, certificate=certificate, key=key)
        flow = await lower.driver.connect_tls(*address, ours)
        assert (await message(lower, flow)).status == 200


async def test_a_plain_port_is_no_tls_port(tmp_path: Path) -> None:
    async with peers() as (lower, upper):
        address, ca = await listen(upper, "TCP", tmp_path)
        with pytest.raises(SipTransportError):
            await lower.driver.connect_tls(*address, client_context(ca=ca), timeout=0.3)
        assert lower.driver.stats.connections == 0


async def test_a_peer_that_never_shakes_hands_is_given_up_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with peers(1) as (lower,), asyncio.timeout(10):
            host, port = silent.getsockname()
            with pytest.raises(SipTransportError, match=r"nobody answered in 0\.1 s"):
                await lower.driver.connect_tls(
                    host, port, client_context(verify=False), timeout=0.1
                )


async def test_a_peer_that_accepts_nobody_is_given_up_in_time() -> None:
    limits = ConnectionLimits(handshake=0.1)
    with socket.socket() as full, socket.socket() as one, socket.socket() as two:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (one, two):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        async with peers(1, limits=limits) as (lower,), asyncio.timeout(10):
            with pytest.raises(SipTransportError, match=r"nobody answered in 0\.1 s"):
                await lower.driver.connect_tcp(*full.getsockname())


async def test_a_name_nobody_knows_is_an_error_of_ours() -> None:
    async with peers(1) as (lower,):
        with pytest.raises(SipTransportError, match=r"no connection to no-such-host\.invalid:5060"):
            await lower.driver.connect_tcp("no-such-host.invalid", 5060, timeout=5.0)


async def test_one_too_many_is_said_so() -> None:
    async with peers(limits=ConnectionLimits(total=1)) as (lower, upper):
        address = await upper.driver.listen_tcp("127.0.0.1", 0)
        await lower.driver.connect_tcp(*address)
        with pytest.raises(SipTransportError, match="too many connections"):
            await lower.driver.connect_tcp(*address)


async def test_the_kernel_watches_over_the_connection() -> None:
    async with peers() as (lower, upper):
        flow = await lower.driver.connect_tcp(*await upper.driver.listen_tcp("127.0.0.1", 0))
        assert flow.connection is not None
        transport = lower.driver._streams._connections[flow.connection]._transport
        assert transport is not None
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60


async def test_when_the_upper_hangs_up_requests_fail_and_the_next_connection_is_another() -> None:
    async with peers() as (lower, upper):
        address = await upper.driver.listen_tcp("127.0.0.1", 0)
        first = await lower.driver.connect_tcp(*address)
        upper.handler = lambda incoming: upper.driver.drop_connection(incoming.flow.connection or 0)
        async with asyncio.timeout(4):
            with pytest.raises(SipTransportError):
                await message(lower, first, timeout=5.0)
        assert lower.lost == [(first.connection, "closed by the peer")]
        upper.handler = lambda incoming: incoming.respond(200)
        second = await lower.driver.connect_tcp(*address)
        assert second.connection != first.connection
        assert (await message(lower, second)).status == 200
        with pytest.raises(SipTransportError):
            await message(lower, first)


async def test_closing_while_dialling_leaves_no_connection() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with peers(1) as (lower,), asyncio.timeout(10):

            async def dial() -> None:
                host, port = silent.getsockname()
                with pytest.raises(SipTransportError):
                    await lower.driver.connect_tls(
                        host, port, client_context(verify=False), timeout=0.1
                    )

            async with asyncio.TaskGroup() as group:
                group.create_task(dial(), name="dial")
                await asyncio.sleep(0.02)
                await lower.driver.close()
            with pytest.raises(SipTransportError, match="closed"):
                await lower.driver.connect_tcp(*silent.getsockname())
        silent.settimeout(1)
        accepted, _ = silent.accept()
        with accepted:
            accepted.settimeout(1)
            while accepted.recv(65_536):
                pass
