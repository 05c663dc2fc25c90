"""Relays over TCP below the sender: whole frames whatever the reader does, one connection at a time."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from gateway.media import tcp_link
from gateway.media.link import LinkOwner
from gateway.media.options import MediaOptions
from gateway.media.tcp_link import PassiveLink
from gb28181.aio import media_tcp
from gb28181.aio.ports import PortPool
from gb28181.rtp.framing import StreamFramer
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.relay import RelayBatch, RelayPacker, RelayStamp
from tests.support.relay import FIRST_PORT

pytestmark = pytest.mark.net
HOST = "127.0.0.1"


class Owner:
    """Records what a link tells."""

    def __init__(self, *, has_keyframes: bool = True) -> None:
        self.log: list[Any] = []
        self.owner = LinkOwner(
            name="test",
            ready=lambda: self.log.append("ready"),
            lost=lambda code, detail: self.log.append((code, detail)),
            report=self.log.append,
            has_keyframes=lambda: has_keyframes,
        )


@pytest.fixture
async def pool() -> AsyncIterator[PortPool]:
    pool = PortPool(HOST, FIRST_PORT, FIRST_PORT + 39, drain=0)
    yield pool
    pool.close()


async def until(condition: Any) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.002)


async def connected(link: PassiveLink, port: int, owner: Owner) -> socket.socket:
    link.start(None)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    sock.connect((HOST, port))
    sock.setblocking(False)
    await until(lambda: owner.log)
    return sock


def frame(packer: RelayPacker, number: int, size: int, *, key: bool) -> list[RelayBatch]:
    """A frame that says who it is in each of its bytes but the first."""
    head = b"\x00\x00\x01\xba" + bytes(10) + (b"\x00\x00\x01\xbb" if key else b"")
    return packer.pack_frame(head + bytes([number % 256]) * size, timestamp=number, keyframe=key)


class MoodyReader:
    """Reads for some time, then not for some time."""

    def __init__(self, sock: socket.socket) -> None:
        self.random = random.Random(7)
        self.packets: list[RtpPacket] = []
        self._sock = sock
        self._framer = StreamFramer(9)
        self._reading = True

    async def read(self) -> None:
        """Read what is there, if in the mood."""
        await asyncio.sleep(0)
        if self.random.random() < 0.02:
            self._reading = not self._reading
        if not self._reading:
            return
        try:
            while data := self._sock.recv(1 << 20):
                self.packets += map(RtpPacket.parse, self._framer.feed(data))
        except BlockingIOError:
            await asyncio.sleep(0.001)

    async def read_all(self) -> None:
        """Read until nothing comes."""
        self.random = random.Random(1)
        for _ in range(100):
            self._reading = True
            await self.read()
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("has_keyframes", [True, False])
async def test_whatever_the_reader_does_it_gets_whole_frames_and_resumes_where_it_can_decode(
    pool: PortPool, has_keyframes: bool
) -> None:
    owner = Owner(has_keyframes=has_keyframes)
    lease = pool.lease(tcp=True)
    link = PassiveLink(lease, owner.owner, MediaOptions(relay_buffer=60_000), set())
    sock = await connected(link, lease.port, owner)
    reader = MoodyReader(sock)
    packer, stamp = RelayPacker(), RelayStamp(ssrc=9, payload_type=96, offset=0)
    sizes: dict[int, int] = {}
    packets = 0
    for number in range(1500):
        size = reader.random.randrange(100, 12_000 if number % 12 else 150_000)
        for batch in frame(packer, number, size, key=number % 12 == 0):
            sizes[number] = sizes.get(number, 0) + batch.octets
            packets += batch.packets
            link.send(batch, stamp, 0)
        await reader.read()
    await reader.read_all()
    received: dict[int, int] = {}
    for packet in reader.packets:
        received[packet.timestamp] = received.get(packet.timestamp, 0) + len(packet.payload)
    assert link.dropped > 0
    assert link.packets + link.dropped == packets
    assert len(reader.packets) == link.packets
    assert sum(received.values()) == link.octets
    assert received == {number: sizes[number] for number in received}
    after_gaps = {b for a, b in pairwise(received) if b != a + 1}
    assert after_gaps
    assert all(number % 12 == 0 for number in after_gaps) is has_keyframes
    link.close()
    sock.close()


async def test_another_connection_replaces_one_that_is_stuck_but_not_one_that_is_well(
    pool: PortPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp_link, "RECONNECT", 0.05)
    monkeypatch.setattr(media_tcp, "_IDLE", 0.0)
    owner = Owner()
    lease = pool.lease(tcp=True)
    link = PassiveLink(lease, owner.owner, MediaOptions(), {HOST})
    first = await connected(link, lease.port, owner)
    remote = link.remote
    second = socket.create_connection((HOST, lease.port))
    second.settimeout(5)
    assert await asyncio.to_thread(second.recv, 10) == b"", "refused"
    packer, stamp = RelayPacker(), RelayStamp(ssrc=9, payload_type=96, offset=0)
    for number in range(400):
        for batch in frame(packer, number, 9000, key=number % 10 == 0):
            link.send(batch, stamp, 0)
    await asyncio.sleep(0.1)
    third = socket.create_connection((HOST, lease.port))
    await until(lambda: link.remote != remote)
    assert owner.log == ["ready", "ready"]
    for batch in frame(packer, 1, 500, key=False):
        link.send(batch, stamp, 0)
    third.settimeout(5)
    data = await asyncio.to_thread(third.recv, 1000)
    assert int.from_bytes(data[:2]) == len(data) - 2
    link.close()
    for sock in (first, second, third):
        sock.close()


async def test_a_flood_of_connections_before_the_start_leaves_room_for_the_expected_host(
    pool: PortPool,
) -> None:
    owner = Owner()
    lease = pool.lease(tcp=True)
    link = PassiveLink(lease, owner.owner, MediaOptions(), {"127.0.0.5"})
    strangers = [socket.create_connection((HOST, lease.port)) for _ in range(20)]
    expected = socket.create_connection((HOST, lease.port), source_address=("127.0.0.5", 0))
    late = [socket.create_connection((HOST, lease.port)) for _ in range(20)]
    await asyncio.sleep(0.05)
    link.start(("127.0.0.6", 9))
    assert owner.log == ["ready"]
    assert link.remote.startswith("127.0.0.5:")
    link.close()
    for sock in (*strangers, *late, expected):
        sock.close()


async def test_garbage_from_the_receiver_ends_its_connection_only_when_no_packet_can_be_found(
    pool: PortPool,
) -> None:
    owner = Owner()
    lease = pool.lease(tcp=True)
    link = PassiveLink(lease, owner.owner, MediaOptions(), set())
    sock = await connected(link, lease.port, owner)
    report = bytes.fromhex("80c9000100000007")
    sock.send(len(report).to_bytes(2) + report)
    await until(lambda: report in owner.log)
    sock.setblocking(True)
    await asyncio.to_thread(sock.sendall, b"\x00\x20" + b"\x17" * 100_000)
    await until(lambda: owner.log[-1][0] == "connection_closed")
    link.close()
    sock.close()
