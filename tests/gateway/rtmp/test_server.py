"""The RTMP server on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.domain.errors import Conflict, Unavailable
from gateway.domain.source import PublishStop, TagKind
from gateway.rtmp.server import MAX_UNDECIDED, PUBLISH_WAIT, SILENCE, RtmpServer
from tests.support.rtmp_client import RtmpClient

pytestmark = pytest.mark.net

CODE = "34020000001320900001"


class Entered:
    """A publication that keeps what it gets."""

    def __init__(self, stop: PublishStop) -> None:
        self.source_id = CODE
        self.stop = stop
        self.tags: list[tuple[TagKind, int, bytes]] = []
        self.ends: list[tuple[str, str]] = []

    def tag(self, kind: TagKind, timestamp: int, body: bytes) -> None:
        if body == b"bomb":
            raise RuntimeError("a fault of our own")
        self.tags.append((kind, timestamp, body))

    def end(self, code: str, detail: str) -> None:
        self.ends.append((code, detail))


class ScriptedDoor:
    """A `PublishDoor` with one key."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.entered: list[Entered] = []

    def admit(
        self, source_id: str, key: str, source: str, *, encoder: str, stop: PublishStop
    ) -> Entered:
        self.asked.append((source_id, key))
        if key != "good":
            raise Conflict("publish_taken", "Somebody publishes there already")
        self.entered.append(Entered(stop))
        return self.entered[-1]


class Peer:
    """A client on a socket."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.client = RtmpClient()

    async def open(self) -> "Peer":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def until(self, what: Callable[[], object]) -> None:
        """Read until something holds, or the server closes."""
        async with asyncio.timeout(10):
            while not what():
                data = await self.reader.read(65536)
                if not data:
                    raise ConnectionResetError
                self.client.take(data)

    async def closed(self) -> None:
        """Read until the server closes."""
        async with asyncio.timeout(10):
            while True:
                try:
                    data = await self.reader.read(65536)
                except ConnectionError:
                    return
                if not data:
                    return
                self.client.take(data)

    async def close(self) -> None:
        self.writer.transport.abort()


class Bench:
    def __init__(self, server: RtmpServer, door: ScriptedDoor, clock: list[float]) -> None:
        self.server, self.door, self.clock = server, door, clock
        self.peers: list[Peer] = []

    async def peer(self, name: str | None = None) -> Peer:
        peer = await Peer(self.server.port).open()
        self.peers.append(peer)
        if name is not None:
            peer.send(peer.client.opening(name))
        return peer

    async def let_in(self) -> Peer:
        peer = await self.peer(f"{CODE}?key=good")
        await peer.until(lambda: "NetStream.Publish.Start" in peer.client.statuses())
        return peer


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def bench(**options: int) -> AsyncIterator[Bench]:
    door, clock = ScriptedDoor(), [0.0]
    async with RtmpServer(
        door, host="127.0.0.1", port=0, clock=lambda: clock[0], **options
    ) as server:
        found = Bench(server, door, clock)
        yield found
        for peer in found.peers:
            await peer.close()
    assert server.connections == 0


async def test_a_publisher_enters_and_what_it_sends_arrives() -> None:
    async with bench() as it:
        peer = await it.let_in()
        assert it.door.asked == [(CODE, "good")]
        peer.send(peer.client.tag(9, 40, b"picture"))
        (entered,) = it.door.entered
        await until(lambda: entered.tags)
        assert entered.tags == [(TagKind.VIDEO, 40, b"picture")]
        peer.send(peer.client.command("FCUnpublish", None, "x"))
        await peer.closed()
        assert [code for code, _ in entered.ends] == ["publisher_left"]


async def test_who_vanishes_without_a_word_may_come_back() -> None:
    async with bench() as it:
        peer = await it.let_in()
        await peer.close()
        (entered,) = it.door.entered
        await until(lambda: entered.ends)
        assert entered.ends[0][0] == ""


async def test_who_is_refused_is_told_and_closed() -> None:
    async with bench() as it:
        peer = await it.peer(f"{CODE}?key=bad")
        await peer.closed()
        assert peer.client.statuses()[-1] == "NetStream.Publish.BadName"


async def test_one_that_is_stopped_is_told_and_ends_no_more() -> None:
    async with bench() as it:
        peer = await it.let_in()
        (entered,) = it.door.entered
        entered.stop("publish_taken", "Another publisher has taken this channel over")
        peer.send(peer.client.tag(9, 40, b"late"))
        await peer.closed()
        assert peer.client.statuses()[-1] == "NetStream.Publish.BadName"
        assert (entered.tags, entered.ends) == ([], [])


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"\x06" * 4000])
async def test_who_speaks_something_else_is_closed_and_others_are_not(data: bytes) -> None:
    async with bench() as it:
        good = await it.let_in()
        bad = await it.peer()
        bad.send(data)
        await bad.closed()
        good.send(good.client.tag(9, 1, b"x"))
        await until(lambda: it.door.entered[0].tags)


async def test_a_fault_of_our_own_ends_one_publisher_alone() -> None:
    async with bench() as it:
        first, second = await it.let_in(), await it.let_in()
        first.send(first.client.tag(9, 1, b"bomb"))
        await first.closed()
        second.send(second.client.tag(9, 1, b"x"))
        await until(lambda: it.door.entered[1].tags)


async def test_who_does_not_publish_in_time_is_closed() -> None:
    async with bench() as it:
        slow = await it.peer()
        slow.send(slow.client.handshake()[:100])
        entered = await it.let_in()
        it.clock[0] = PUBLISH_WAIT
        await slow.closed()
        entered.send(entered.client.tag(9, 1, b"x"))
        await until(lambda: it.door.entered[0].tags)


async def test_a_publisher_that_falls_silent_is_closed() -> None:
    async with bench() as it:
        peer = await it.let_in()
        it.clock[0] = SILENCE
        await peer.closed()
        assert it.door.entered[0].ends[0][0] == ""


async def test_connections_are_bounded_in_all_and_undecided_ones_by_host() -> None:
    async with bench(max_connections=3) as it:
        for _ in range(3):
            await it.let_in()
        more = await it.peer(f"{CODE}?key=good")
        await more.closed()
        assert len(it.door.entered) == 3
    async with bench() as it:
        for _ in range(MAX_UNDECIDED):
            await it.peer()
        await until(lambda: it.server.connections == MAX_UNDECIDED)
        more = await it.peer(f"{CODE}?key=good")
        await more.closed()
        assert it.door.entered == []


async def test_an_end_of_the_server_ends_its_publishers() -> None:
    async with bench() as it:
        await it.let_in()
    assert it.door.entered[0].ends == [("publisher_left", "The gateway is stopping")]


async def test_a_port_that_is_taken_is_named() -> None:
    async with bench() as it:
        with pytest.raises(Unavailable, match=f"{it.server.port}"):
            async with RtmpServer(it.door, host="127.0.0.1", port=it.server.port):
                pass
