"""Media over UDP on loopback."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from gb28181.aio.media_udp import UdpMedia, UdpMediaSender, enlarge_buffer
from gb28181.aio.ports import PortPool
from gb28181.aio.reader import Poller

pytestmark = pytest.mark.net
HOST = "127.0.0.1"


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.002)


class Receiver:
    """Records what UdpMedia delivers."""

    def __init__(self, pool: PortPool) -> None:
        self.batches: list[tuple[list[bytes], tuple[str, int]]] = []
        self.reports: list[tuple[bytes, tuple[str, int]]] = []
        self.lease = pool.lease()
        self.media = UdpMedia(
            self.lease,
            lambda packets, source: self.batches.append((packets, source)),
            on_rtcp=lambda data, source: self.reports.append((data, source)),
        )
        self.target = (HOST, self.lease.port)

    @property
    def packets(self) -> Any:
        return [packet for packets, _ in self.batches for packet in packets]

    def close(self) -> None:
        self.media.close()
        self.lease.release()


@pytest.fixture
async def pool() -> AsyncIterator[Any]:
    """Ports, with the poller gathering from the first socket on."""
    pool = PortPool(HOST, 43_000, 43_999, drain=0, poller=Poller(many=1))
    yield pool
    pool.close()


@pytest.fixture
async def receiver(pool: PortPool) -> AsyncIterator[Any]:
    receiver = Receiver(pool)
    yield receiver
    receiver.close()


@pytest.fixture
def sender() -> Iterator[Any]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.settimeout(0)
        yield sock


async def test_packets_come_in_order_with_their_source(
    receiver: Receiver, sender: socket.socket
) -> None:
    sent = [bytes([number]) * 100 for number in range(200)]
    for packet in sent:
        sender.sendto(packet, receiver.target)
    await until(lambda: len(receiver.packets) == 200)
    assert receiver.packets == sent
    assert {source for _, source in receiver.batches} == {sender.getsockname()}
    assert max(len(packets) for packets, _ in receiver.batches) <= 64
    assert receiver.media.peer == sender.getsockname()


async def test_packets_of_several_sources_are_not_mixed_in_a_batch(
    receiver: Receiver, sender: socket.socket
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, 0))
        for number in range(30):
            (sender if number % 3 else other).sendto(bytes([number]), receiver.target)
        await until(lambda: len(receiver.packets) == 30)
        sources: dict[tuple[str, int], set[int]] = {
            sender.getsockname(): set(),
            other.getsockname(): set(),
        }
        for packets, source in receiver.batches:
            sources[source].update(packet[0] for packet in packets)
        assert sources[other.getsockname()] == set(range(0, 30, 3))
        assert receiver.packets == [bytes([number]) for number in range(30)]


async def test_reports_go_to_the_port_after_the_peers_until_it_sends_its_own(
    receiver: Receiver, sender: socket.socket
) -> None:
    assert not receiver.media.send_rtcp(b"report"), "there is nobody yet"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtcp:
        rtcp.bind((HOST, 0))
        rtcp.settimeout(5)
        receiver.media.follow((HOST, rtcp.getsockname()[1] - 1))
        assert receiver.media.send_rtcp(b"first")
        data, source = await asyncio.to_thread(rtcp.recvfrom, 100)
        assert (data, source) == (b"first", (HOST, receiver.lease.port + 1))
    sender.sendto(b"sender report", (HOST, receiver.lease.port + 1))
    await until(lambda: receiver.reports)
    assert receiver.reports == [(b"sender report", sender.getsockname())]
    assert receiver.media.rtcp_peer == sender.getsockname()
    assert receiver.media.send_rtcp(b"second")
    await until(lambda: sender.recv(100) == b"second")


async def test_a_datagram_over_2_kb_costs_only_itself(
    receiver: Receiver, sender: socket.socket
) -> None:
    sender.sendto(b"x" * 5000, receiver.target)
    await until(lambda: receiver.media.truncated)
    sender.sendto(b"y" * 5000, receiver.target)
    await until(lambda: receiver.packets)
    assert receiver.packets == [b"y" * 5000]
    assert receiver.media.truncated == 1


async def test_an_answer_that_nobody_listens_does_not_disturb_receiving(
    receiver: Receiver, sender: socket.socket
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind((HOST, 0))
        address = gone.getsockname()
    assert receiver.media.send_rtp(b"pinhole", address)
    await asyncio.sleep(0.01)
    sender.sendto(b"media", receiver.target)
    await until(lambda: receiver.packets)
    assert receiver.packets == [b"media"]


async def test_after_close_nothing_is_delivered_and_the_port_is_free(
    pool: PortPool, sender: socket.socket
) -> None:
    receiver = Receiver(pool)
    receiver.media.close()
    receiver.media.close()
    sender.sendto(b"late", receiver.target)
    await asyncio.sleep(0.02)
    assert receiver.batches == []
    receiver.lease.release()
    assert len(pool.poller) == 0


async def test_a_receiver_may_close_itself_in_its_callback(
    pool: PortPool, sender: socket.socket
) -> None:
    seen = []
    lease = pool.lease()

    def receive(packets: list[bytes], source: tuple[str, int]) -> None:
        seen.append(packets)
        media.close()

    media = UdpMedia(lease, receive)
    for number in range(100):
        sender.sendto(bytes([number]), (HOST, lease.port))
    await until(lambda: seen)
    await asyncio.sleep(0.02)
    assert len(seen) == 1
    lease.release()


async def test_many_receivers_share_a_poller_and_gather_packets(
    pool: PortPool, sender: socket.socket
) -> None:
    receivers = [Receiver(pool) for _ in range(20)]
    for number in range(50):
        for receiver in receivers:
            sender.sendto(number.to_bytes(2), receiver.target)
        if number % 10 == 0:
            await asyncio.sleep(0.001)
    await until(lambda: all(len(receiver.packets) == 50 for receiver in receivers))
    for receiver in receivers:
        assert receiver.packets == [number.to_bytes(2) for number in range(50)]
        receiver.close()
    assert len(pool.poller) == 0


async def test_a_failing_receiver_does_not_stop_the_others(
    pool: PortPool, sender: socket.socket
) -> None:
    problems = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: problems.append(context["exception"]))

    def fail(packets: list[bytes], source: Any) -> None:
        raise ValueError("a bug")

    lease = pool.lease()
    broken = UdpMedia(lease, fail)
    receiver = Receiver(pool)
    for number in range(5):
        sender.sendto(b"x", (HOST, lease.port))
        sender.sendto(bytes([number]), receiver.target)
        await asyncio.sleep(0.01)
    await until(lambda: len(receiver.packets) == 5)
    assert {str(problem) for problem in problems} == {"a bug"}
    broken.close()
    lease.release()
    receiver.close()


@pytest.mark.parametrize("segmentation", [True, False])
async def test_sent_packets_arrive_as_they_are(
    receiver: Receiver, sender: socket.socket, segmentation: bool
) -> None:
    sizes = [1400] * 100 + [300] + [1400] * 3 + [200, 900, 900, 1, 1, 1, 1400, 1400]
    sent = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    media = UdpMediaSender(sender, receiver.target, segmentation=segmentation)
    assert media.send(sent) == len(sent)
    await until(lambda: len(receiver.packets) == len(sent))
    assert receiver.packets == sent
    assert (media.sent, media.dropped, media.segmentation) == (len(sent), 0, segmentation)


class RefusingSocket(socket.socket):
    """A socket whose device cannot cut up datagrams."""

    error = 0

    def sendmsg(self, *args: Any) -> int:
        raise OSError(self.error, "refused")


@pytest.fixture
def refusing() -> Iterator[RefusingSocket]:
    with RefusingSocket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0)
        yield sock


@pytest.mark.parametrize("error", [errno.EMSGSIZE, errno.EIO, errno.EINVAL])
async def test_where_segmentation_is_refused_packets_go_one_by_one(
    receiver: Receiver, refusing: RefusingSocket, error: int
) -> None:
    refusing.error = error
    media = UdpMediaSender(refusing, receiver.target)
    sent = [bytes([number]) * 500 for number in range(10)]
    assert media.send(sent) == 10
    assert not media.segmentation
    await until(lambda: receiver.packets == sent)


async def test_a_full_system_drops_the_run_and_counts_it(
    receiver: Receiver, refusing: RefusingSocket
) -> None:
    refusing.error = errno.EAGAIN
    media = UdpMediaSender(refusing, receiver.target)
    assert media.send([b"x" * 500] * 10) == 0
    assert (media.dropped, media.segmentation) == (10, True)


def test_runs_keep_to_44_packets_and_64_000_bytes() -> None:
    run_end = UdpMediaSender._run_end
    assert run_end([b"x" * 1400] * 100, 0) == 44
    assert run_end([b"x" * 8000] * 100, 0) == 8
    assert run_end([b"x" * 1400] * 3 + [b"x" * 5], 0) == 4
    assert run_end([b"x" * 1400] * 3 + [b"x" * 1401], 0) == 3
    assert run_end([b"x" * 10, b""], 0) == 1


def test_the_receive_buffer_becomes_as_large_as_the_system_lets(sender: socket.socket) -> None:
    assert enlarge_buffer(sender, 300_000) >= 200_000
