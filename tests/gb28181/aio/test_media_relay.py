"""Batches over a connected UDP socket: cut by the kernel or one by one, refused, unreachable."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from gb28181.aio import media_relay
from gb28181.aio.media_relay import NoSuchReceiver, UdpRelay, check_receiver
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.relay import RelayBatch, RelayPacker

pytestmark = pytest.mark.net
HOST = "127.0.0.1"


def batch(*sizes: int) -> RelayBatch:
    packets = [
        RtpPacket(96, False, number, 0, 1, bytes([number]) * size)
        for number, size in enumerate(sizes)
    ]
    (made,) = RelayPacker().pack(packets)
    return made


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.settimeout(0)
        yield sock


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.settimeout(0)
        yield sock


def received(sock: socket.socket) -> list[bytes]:
    packets = []
    while True:
        try:
            packets.append(sock.recv(2048))
        except BlockingIOError:
            return packets


class Refusing:
    """A socket that has trouble, in front of a real one."""

    def __init__(self, sock: socket.socket, error: int, *, where: str = "send") -> None:
        self.sock = sock
        self.error: int | None = error
        self.where = where
        self.sends = 0

    def connect(self, remote: Any) -> None:
        self.sock.connect(remote)

    def setsockopt(self, level: int, name: int, value: int) -> None:
        if self.where == "setsockopt" and name == 103 and value:
            raise OSError(self.error, "refused")
        self.sock.setsockopt(level, name, value)

    def send(self, data: memoryview) -> int:
        self.sends += 1
        if self.where == "send" and self.error is not None and len(data) > 1400:
            raise OSError(self.error, "refused")
        return self.sock.send(data)


@pytest.mark.parametrize("segmentation", [True, False])
def test_runs_of_all_sizes_arrive_as_their_packets(
    receiver: socket.socket, sock: socket.socket, segmentation: bool
) -> None:
    relay = UdpRelay(sock, segmentation=segmentation)
    relay.connect(receiver.getsockname())
    sizes = [1388] * 14 + [500, 600, 600, 600, 20, 1388, 1388, 7]
    for _ in range(2):
        one = batch(*sizes)
        relay.send(one.datagrams)
        packets = received(receiver)
        assert [len(data) - 12 for data in packets] == sizes
        assert b"".join(packets) == bytes(one.datagrams.data)
    assert (relay.packets, relay.octets, relay.dropped) == (2 * len(sizes), 2 * sum(sizes), 0)
    assert relay.segmentation is segmentation


def test_sending_may_begin_at_a_later_run(receiver: socket.socket, sock: socket.socket) -> None:
    relay = UdpRelay(sock)
    relay.connect(receiver.getsockname())
    relay.send(batch(100, 50, 200, 200).datagrams, 1)
    assert [len(data) - 12 for data in received(receiver)] == [200, 200]


@pytest.mark.parametrize("where", ["send", "setsockopt"])
@pytest.mark.parametrize("error", [errno.EMSGSIZE, errno.EIO, errno.EINVAL, errno.ENOPROTOOPT])
def test_a_socket_that_cannot_segment_sends_one_by_one_from_then_on(
    receiver: socket.socket, sock: socket.socket, error: int, where: str
) -> None:
    refusing: Any = Refusing(sock, error, where=where)
    relay = UdpRelay(refusing)
    relay.connect(receiver.getsockname())
    for _ in range(2):
        relay.send(batch(*[1388] * 5, 100).datagrams)
        assert [len(data) - 12 for data in received(receiver)] == [*[1388] * 5, 100]
    assert not relay.segmentation
    assert relay.dropped == 0
    assert refusing.sends == (13 if where == "send" else 12)


def test_what_the_system_has_no_room_for_is_dropped_and_counted(
    receiver: socket.socket, sock: socket.socket
) -> None:
    refusing: Any = Refusing(sock, errno.EAGAIN)
    relay = UdpRelay(refusing)
    relay.connect(receiver.getsockname())
    relay.send(batch(*[1388] * 5, 100).datagrams)
    assert (relay.packets, relay.dropped) == (0, 6)
    assert relay.segmentation
    refusing.error = None
    relay.send(batch(*[1388] * 5, 100).datagrams)
    assert (relay.packets, relay.dropped) == (6, 6)


@pytest.mark.parametrize("segmentation", [True, False])
async def test_a_closed_port_counts_as_refusing_until_it_is_open_again(
    monkeypatch: pytest.MonkeyPatch,
    receiver: socket.socket,
    sock: socket.socket,
    segmentation: bool,
) -> None:
    now = 100.0
    monkeypatch.setattr(media_relay, "monotonic", lambda: now)
    relay = UdpRelay(sock, segmentation=segmentation)
    address = receiver.getsockname()
    relay.connect(address)
    receiver.close()
    for _ in range(5):
        relay.send(batch(1388, 1388).datagrams)
        now += 0.5
        await asyncio.sleep(0.001)
    assert 1.5 <= relay.refused_for(now) <= 2.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(address)
        relay.send(batch(1388, 1388).datagrams)
        now += 4
        relay.send(batch(1388, 1388).datagrams)
        assert relay.refused_for(now) == 0
    relay.connect(address)
    assert relay.refused_for(now) == 0


def test_a_socket_without_a_receiver_drops() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        relay = UdpRelay(sock)
        relay.send(batch(10).datagrams)
        assert (relay.packets, relay.dropped) == (0, 1)


@pytest.mark.parametrize(
    "remote",
    [
        ("example.org", 1),
        ("", 1),
        ("0.0.0.0", 1),
        ("::", 1),
        ("239.1.1.1", 1),
        ("ff02::1", 1),
        ("10.0.0.1", 0),
        ("10.0.0.1", 65_536),
        ("10.0.0.1", -1),
    ],
)
def test_no_media_is_sent_to_what_is_no_receiver(remote: tuple[str, int]) -> None:
    with pytest.raises(NoSuchReceiver):
        check_receiver(remote)


@pytest.mark.parametrize("remote", [("10.0.0.1", 9000), ("2001:db8::1", 65_535)])
def test_hosts_and_ports_are_receivers(remote: tuple[str, int]) -> None:
    check_receiver(remote)
