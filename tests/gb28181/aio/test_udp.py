"""The UDP socket: batches, sources, and what happens when the kernel's buffer is full."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from gb28181.aio import udp
from gb28181.aio.udp import UdpListener, is_wildcard, local_host_towards
from gb28181.sip.endpoint import Flow

pytestmark = pytest.mark.net


class FullSocket:
    """A socket whose send buffer is full until told otherwise."""

    def __init__(self, real: socket.socket) -> None:
        self.real = real
        self.full = True
        self.broken = False

    def fileno(self) -> int:
        return self.real.fileno()

    def close(self) -> None:
        self.real.close()

    def sendto(self, data: bytes, remote: tuple[str, int]) -> int:
        if self.full:
            raise BlockingIOError
        if self.broken:
            raise PermissionError
        return self.real.sendto(data, remote)


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(0.0)
        yield peer


def listen(host: str = "127.0.0.1") -> tuple[UdpListener, list[tuple[bytes, Flow]], list[int]]:
    received: list[tuple[bytes, Flow]] = []
    batches: list[int] = []
    listener = UdpListener(
        host,
        0,
        receive=lambda data, flow: received.append((data, flow)),
        end_batch=lambda: batches.append(len(received)),
    )
    return listener, received, batches


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_datagrams_are_read_in_batches(host: str, receiver: socket.socket) -> None:
    listener, received, batches = listen(host)
    for number in range(udp.BATCH + 6):
        receiver.sendto(b"%d" % number, ("127.0.0.1", listener.address[1]))
    async with asyncio.timeout(10):
        while len(received) < udp.BATCH + 6:
            await asyncio.sleep(0)
    listener.close()
    assert batches[0] == udp.BATCH
    assert [data for data, _ in received] == [b"%d" % number for number in range(udp.BATCH + 6)]
    flows = {id(flow) for _, flow in received}
    assert len(flows) == 1
    assert received[0][1].remote == receiver.getsockname()
    assert received[0][1].local == ("127.0.0.1", listener.address[1])


async def test_what_the_kernel_does_not_take_now_goes_out_later_in_order(
    receiver: socket.socket,
) -> None:
    listener, _, _ = listen()
    full = FullSocket(listener._socket)
    listener._socket = full  # type: ignore[assignment]
    remote = receiver.getsockname()
    for number in range(3):
        assert listener.send(b"%d" % number, remote, "127.0.0.1")
    full.full = False
    assert listener.send(b"3", remote, "127.0.0.1")
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        assert [await loop.sock_recv(receiver, 10) for _ in range(4)] == [b"0", b"1", b"2", b"3"]
    assert listener.dropped == 0
    listener.close()


async def test_the_backlog_is_bounded(
    receiver: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "MAX_UDP_BACKLOG", 2)
    listener, _, _ = listen()
    full = FullSocket(listener._socket)
    listener._socket = full  # type: ignore[assignment]
    for _ in range(5):
        assert listener.send(b"x", receiver.getsockname(), "127.0.0.1")
    assert listener.dropped == 3
    full.full, full.broken = False, True
    async with asyncio.timeout(10):
        while listener.dropped < 5:
            await asyncio.sleep(0)
    listener.close()


async def test_an_error_of_the_machine_is_told_at_once(receiver: socket.socket) -> None:
    listener, _, _ = listen()
    full = FullSocket(listener._socket)
    full.full, full.broken = False, True
    listener._socket = full  # type: ignore[assignment]
    assert not listener.send(b"x", receiver.getsockname(), "127.0.0.1")
    listener.close()
    listener.close()


async def test_a_port_in_use_leaves_no_socket_behind() -> None:
    listener, _, _ = listen()
    with pytest.raises(OSError, match="in use"):
        UdpListener(*listener.address, receive=lambda *_: None, end_batch=lambda: None)
    listener.close()


async def test_flows_and_sources_are_kept_in_bounded_numbers(
    receiver: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "_MAX_FLOWS", 2)
    monkeypatch.setattr(udp, "_MAX_SOURCES", 2)
    listener, _, _ = listen("0.0.0.0")
    for number in range(5):
        listener._flow(("192.0.2.1", number), b"\x7f\0\0\x01")
        listener._source(f"192.0.2.{number}")
    assert len(listener._flows) <= 2
    assert len(listener._sources) <= 2
    listener.close()


@pytest.mark.parametrize(
    ("remote", "local"), [(("127.0.0.1", 9), "127.0.0.1"), (("::1", 9), "::1")]
)
def test_the_local_address_towards_a_peer(remote: tuple[str, int], local: str) -> None:
    assert local_host_towards(remote) == local


def test_wildcards() -> None:
    assert [is_wildcard(host) for host in ("0.0.0.0", "::", "", "127.0.0.1")] == [
        True,
        True,
        True,
        False,
    ]
