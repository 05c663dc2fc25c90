"""Where media goes: ports, connections, and receivers that are slow or absent."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from gateway.simulator.quirk import Quirk
from gateway.simulator.sink import TcpDialer, TcpListener, TcpSink, UdpSink
from tests.support.raw_platform import bound_socket

pytestmark = pytest.mark.net


class Watcher:
    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.closed: list[str] = []

    def sink(self, *quirks: Quirk) -> TcpSink:
        return TcpSink(
            quirks=frozenset(quirks),
            on_connected=self.connected.set,
            on_closed=self.closed.append,
        )


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("segmentation", [True, False])
async def test_udp_sends_in_order_from_an_even_port_and_rtcp_from_the_next(
    segmentation: bool,
) -> None:
    rtp = bound_socket()
    host, port = rtp.getsockname()
    sink = UdpSink((host, port), "127.0.0.1", segmentation=segmentation)
    own = sink.bind()
    packets = [bytes([n]) * 1000 for n in range(5)] + [b"short"]

    assert sink.send(packets)
    async with asyncio.timeout(15):
        got = [await asyncio.get_running_loop().sock_recvfrom(rtp, 2000) for _ in packets]
    assert [data for data, _ in got] == packets
    assert {source for _, source in got} == {("127.0.0.1", own)}
    assert own % 2 == 0
    sink.send_rtcp(b"report")
    await sink.close()
    await sink.close()
    assert not sink.send(packets)
    rtp.close()


async def test_rtcp_goes_to_the_port_after_that_of_rtp() -> None:
    rtcp = bound_socket()
    host, port = rtcp.getsockname()
    sink = UdpSink((host, port - 1), "127.0.0.1")
    own = sink.bind()
    sink.send_rtcp(b"report")
    async with asyncio.timeout(15):
        data, source = await asyncio.get_running_loop().sock_recvfrom(rtcp, 2000)

    assert (data, source) == (b"report", ("127.0.0.1", own + 1))
    await sink.close()
    rtcp.close()


async def test_nobody_listening_for_udp_is_no_error() -> None:
    gone = bound_socket()
    address = gone.getsockname()
    gone.close()
    sink = UdpSink(address, "127.0.0.1")
    sink.bind()

    for _ in range(3):
        assert sink.send([b"x" * 100])
        sink.send_rtcp(b"report")
        await asyncio.sleep(0.01)
    await sink.close()


async def test_a_receiver_that_does_not_read_loses_frames_and_nobody_waits() -> None:
    watcher = Watcher()
    server = bound_socket(socket.SOCK_STREAM)
    server.listen()
    sink = watcher.sink()
    dialer = TcpDialer(sink, server.getsockname(), "127.0.0.1")
    port = dialer.bind()
    await dialer.connect()
    accepted, peer = await asyncio.get_running_loop().sock_accept(server)

    assert peer == ("127.0.0.1", port)
    frame = [bytes(1400)] * 100
    taken = [sink.send(frame) for _ in range(100)]
    assert taken[0]
    assert not taken[-1]
    sink.abandon()
    await sink.close()
    accepted.close()
    server.close()
    await asyncio.sleep(0)
    assert not watcher.closed


async def test_three_tries_are_made_before_giving_up() -> None:
    nobody = bound_socket(socket.SOCK_STREAM)
    dialer = TcpDialer(Watcher().sink(), nobody.getsockname(), "127.0.0.1", interval=0.05)
    dialer.bind()
    loop = asyncio.get_running_loop()
    began = loop.time()

    with pytest.raises(ConnectionRefusedError):
        await dialer.connect()
    assert 0.1 <= loop.time() - began < 10.0
    dialer.close()
    nobody.close()


async def test_a_receiver_that_comes_late_is_still_reached() -> None:
    server = bound_socket(socket.SOCK_STREAM)
    watcher = Watcher()
    sink = watcher.sink()
    dialer = TcpDialer(sink, server.getsockname(), "127.0.0.1", interval=0.05)
    async with asyncio.TaskGroup() as group:
        group.create_task(dialer.connect())
        await asyncio.sleep(0.02)
        server.listen()
    accepted, _ = await asyncio.get_running_loop().sock_accept(server)

    assert watcher.connected.is_set()
    accepted.close()
    await eventually(lambda: watcher.closed)
    assert watcher.closed == ["closed by the receiver"]
    server.close()


async def test_a_listener_takes_one_connection_and_refuses_others() -> None:
    watcher = Watcher()
    sink = watcher.sink(Quirk.TCP_PREAMBLE_256)
    listener = TcpListener(sink, "127.0.0.1")
    port = await listener.listen()
    first_reader, first = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(15):
        await watcher.connected.wait()
        second_reader, second = await asyncio.open_connection("127.0.0.1", port)
        assert await second_reader.read() == b""

    assert sink.send([b"packet"])
    async with asyncio.timeout(15):
        data = await first_reader.readexactly(264)
    assert data[256:] == b"\x00\x06packet"
    assert not watcher.closed
    listener.close()
    await sink.close()
    for writer in (first, second):
        writer.close()


async def test_without_a_connection_nothing_is_taken() -> None:
    sink = Watcher().sink()

    assert not sink.send([b"packet"])
    sink.send_rtcp(b"report")
    await sink.close()
