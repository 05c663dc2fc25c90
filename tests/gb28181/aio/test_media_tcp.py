"""Media over TCP on loopback."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gb28181.aio import media_tcp
from gb28181.aio.media_tcp import MediaConnectFailed, TcpMediaConnector, TcpMediaListener
from gb28181.aio.ports import PortPool
from gb28181.limits import MAX_MEDIA_CONNECTIONS
from gb28181.rtp.packet import RtpPacket

pytestmark = pytest.mark.net
HOST = "127.0.0.1"
SSRC = 326_000_017


def packet(number: int, ssrc: int = SSRC, size: int = 100) -> Any:
    return RtpPacket(96, False, number, 0, ssrc, bytes([number % 256]) * size).serialize()


def frame(*packets: bytes) -> Any:
    return b"".join(len(packet).to_bytes(2) + packet for packet in packets)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.002)


class Events:
    """Records what a listener or connector tells."""

    def __init__(self) -> None:
        self.connected: list[tuple[str, int]] = []
        self.packets: list[bytes] = []
        self.closed: list[str] = []

    def callbacks(self) -> Any:
        return {
            "on_packets": lambda packets, source: self.packets.extend(packets),
            "on_closed": self.closed.append,
        }


@pytest.fixture
async def pool() -> AsyncIterator[Any]:
    pool = PortPool(HOST, 44_000, 44_999, drain=0)
    yield pool
    pool.close()


@pytest.fixture
async def open_listener(pool: PortPool) -> AsyncIterator[Any]:
    opened = []

    def listen(**options: Any) -> Any:
        events, lease = Events(), pool.lease(tcp=True)
        listener = TcpMediaListener(
            lease,
            on_connected=events.connected.append,
            on_packets=lambda packets, source: events.packets.extend(packets),
            on_closed=lambda reason, source: events.closed.append(reason),
            **options,
        )
        opened.append((listener, lease))
        return listener, events, (HOST, lease.port)

    yield listen
    for listener, lease in opened:
        listener.close()
        listener.close()
        lease.release()
    assert len(pool.poller) == 0


def dial(address: tuple[str, int]) -> Any:
    sock = socket.create_connection(address, timeout=5)
    sock.settimeout(5)
    return sock


async def test_a_device_connects_and_its_packets_come(open_listener: Any) -> None:
    _, events, address = open_listener(ssrc=SSRC)
    sent = [packet(number) for number in range(500)]
    with dial(address) as device:
        await asyncio.to_thread(device.sendall, frame(*sent))
        await until(lambda: len(events.packets) == 500)
        assert events.connected == [device.getsockname()]
    await until(lambda: events.closed)
    assert events.packets == sent
    assert events.closed == ["closed by the peer"]


async def test_all_connections_are_read_until_one_is_chosen_for_good(open_listener: Any) -> None:
    listener, events, address = open_listener(ssrc=SSRC)
    with dial(address) as silent, dial(address) as wrong, dial(address) as right:
        wrong.sendall(frame(packet(1, ssrc=5)))
        right.sendall(frame(packet(2)))
        await until(lambda: len(events.packets) == 2)
        listener.choose(wrong.getsockname(), final=False)
        assert listener.connection.remote == wrong.getsockname()
        assert len(listener.sources) == 3
        listener.choose(right.getsockname(), final=True)
        assert await asyncio.to_thread(silent.recv, 1) == b""
        assert await asyncio.to_thread(wrong.recv, 1) == b""
        right.sendall(frame(packet(3)))
        await until(lambda: events.packets[2:] == [packet(3)])
    assert listener.refused == 2
    await until(lambda: events.closed)
    assert listener.connection is None


async def test_after_a_final_choice_others_are_refused_and_counted(open_listener: Any) -> None:
    listener, events, address = open_listener()
    with dial(address) as first:
        await until(lambda: events.connected)
        listener.choose(first.getsockname(), final=True)
        with dial(address) as second:
            assert await asyncio.to_thread(second.recv, 1) == b""
        first.sendall(frame(packet(1)))
        await until(lambda: events.packets)
    assert (listener.refused, len(events.connected)) == (1, 1)


async def test_a_new_connection_of_the_same_host_may_replace_a_silent_one(
    open_listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, events, address = open_listener()
    monkeypatch.setattr(media_tcp, "_IDLE", 0.0)
    with dial(address) as first:
        await until(lambda: events.connected)
        listener.choose(first.getsockname(), final=True)
        with dial(address) as second:
            second.sendall(frame(packet(1)))
            await until(lambda: events.packets)
            listener.choose(second.getsockname(), final=True)
            assert await asyncio.to_thread(first.recv, 1) == b""
    await until(lambda: events.closed)
    assert len(events.closed) == 1, "the first was replaced, not lost"


async def test_strangers_cannot_fill_the_port_before_the_device_connects(
    open_listener: Any,
) -> None:
    known: set[tuple[str, int]] = set()
    listener, _, address = open_listener(is_known=lambda source: source in known)
    with contextlib.ExitStack() as stack:
        strangers = [stack.enter_context(dial(address)) for _ in range(MAX_MEDIA_CONNECTIONS + 3)]
        await until(lambda: listener.refused == 3)
        assert listener.sources == [sock.getsockname() for sock in strangers[3:]]
        device = stack.enter_context(socket.socket())
        device.bind((HOST, 0))
        known.add(device.getsockname())
        device.settimeout(5)
        device.connect(address)
        await until(lambda: device.getsockname() in listener.sources)
        known.update(sock.getsockname() for sock in strangers)
        known.discard(strangers[5].getsockname())
        last = stack.enter_context(dial(address))
        await until(lambda: last.getsockname() in listener.sources)
        assert strangers[5].getsockname() not in listener.sources
        assert device.getsockname() in listener.sources
    assert listener.refused == 5


async def test_a_reset_and_lost_framing_are_told_apart(open_listener: Any) -> None:
    _, events, address = open_listener(ssrc=SSRC)
    with dial(address) as device:
        await until(lambda: events.connected)
        device.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    await until(lambda: events.closed)
    assert events.closed == ["reset by the peer"]
    with dial(address) as device:
        await asyncio.to_thread(device.sendall, b"\x01\x02\x03\x04" * 20_000)
        await until(lambda: len(events.closed) == 2)
    assert events.closed[1] == "no RTP packet in 65536 bytes of the TCP stream"


async def test_reports_are_framed_as_the_device_frames(open_listener: Any) -> None:
    listener, events, address = open_listener()
    with dial(address) as device:
        device.sendall(b"$\x00" + frame(packet(1)))
        await until(lambda: events.packets)
        listener.choose(device.getsockname(), final=True)
        listener.connection.send([b"report"])
        assert await asyncio.to_thread(device.recv, 100) == b"$\x00\x00\x06report"


async def test_a_device_is_connected_to_and_sends_back(pool: PortPool) -> None:
    events = Events()
    with socket.create_server((HOST, 0)) as server:
        connector = TcpMediaConnector(server.getsockname(), ssrc=SSRC, poller=pool.poller, **events.callbacks())  # fmt: skip
        connection = await connector.connect()
        device, _ = server.accept()
        with device:
            device.sendall(frame(packet(1), packet(2)))
            await until(lambda: len(events.packets) == 2)
            connection.send([packet(3)])
            device.settimeout(5)
            assert await asyncio.to_thread(device.recv, 1000) == frame(packet(3))
        await until(lambda: events.closed)
    assert connection.closed
    connector.close()
    assert len(pool.poller) == 0


async def test_a_refused_connection_is_tried_three_times() -> None:
    with socket.socket() as unused:
        unused.bind((HOST, 0))
        address = unused.getsockname()
    connector = TcpMediaConnector(address, interval=0.01, **Events().callbacks())
    with pytest.raises(MediaConnectFailed, match="after 3 tries: Connection refused"):
        await connector.connect()


async def test_a_device_that_begins_to_listen_late_is_reached() -> None:
    with socket.socket() as server:
        server.bind((HOST, 0))
        address = server.getsockname()
        connector = TcpMediaConnector(address, interval=0.05, **Events().callbacks())
        asyncio.get_running_loop().call_later(0.02, server.listen)
        connection = await connector.connect()
        assert connection.remote == address
        connector.close()


async def test_packets_to_a_reader_that_stopped_are_kept_to_a_limit_and_then_dropped() -> None:
    with socket.create_server((HOST, 0)) as server:
        connector = TcpMediaConnector(server.getsockname(), **Events().callbacks())
        connection = await connector.connect()
        device, _ = server.accept()
        with device:
            sent = [packet(number, size=60_000) for number in range(400)]
            for one in sent:
                connection.send([one])
            assert connection.dropped > 0
            assert 0 < connection.buffered() <= 4_194_304
            kept = len(sent) - connection.dropped
            device.settimeout(5)
            data = b""
            while len(data) < kept * len(frame(sent[0])):
                data += await asyncio.to_thread(device.recv, 1 << 20)
            assert data[: len(frame(sent[0]))] == frame(sent[0])
            await until(lambda: connection.buffered() == 0)
        connector.close()
