"""The poller that reads many media sockets with few wake-ups."""

import asyncio
import socket
from collections.abc import Callable, Iterator

import pytest

from gb28181.aio.reader import Poller, SocketReader

pytestmark = pytest.mark.net


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Connected pairs: one end to write to, one to watch."""
    made = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(6)]
    for near, far in made:
        near.settimeout(0)
        far.settimeout(0)
    yield made
    for near, far in made:
        near.close()
        far.close()


def drain(sock: socket.socket, into: list[bytes]) -> Callable[[], None]:
    def read() -> None:
        while True:
            try:
                into.append(sock.recv(100))
            except BlockingIOError:
                return

    return read


Pairs = list[tuple[socket.socket, socket.socket]]


async def test_below_the_threshold_a_socket_is_read_when_it_becomes_readable(pairs: Pairs) -> None:
    poller, seen = Poller(interval=60, many=2), list[bytes]()
    poller.add(pairs[0][1], drain(pairs[0][1], seen))
    for _ in range(3):
        pairs[0][0].send(b"x")
        await asyncio.sleep(0.005)
    assert len(seen) == 3
    poller.remove(pairs[0][1])


async def test_above_it_packets_gather_between_two_looks(pairs: Pairs) -> None:
    poller, looks = Poller(interval=0.05, many=2), list[list[bytes]]()

    def look(sock: socket.socket) -> Callable[[], None]:
        def read() -> None:
            looks.append([])
            drain(sock, looks[-1])()

        return read

    for _, far in pairs:
        poller.add(far, look(far))
    for _ in range(8):
        pairs[0][0].send(b"x")
        await asyncio.sleep(0.004)
    async with asyncio.timeout(15):
        while sum(map(len, looks)) < 8:
            await asyncio.sleep(0.01)
    assert len(looks) <= 4
    for _, far in pairs:
        poller.remove(far)


async def test_after_a_pause_the_first_packet_is_read_at_once(pairs: Pairs) -> None:
    poller, seen = Poller(interval=0.02, many=1), list[bytes]()
    poller.add(pairs[0][1], drain(pairs[0][1], seen))
    pairs[0][0].send(b"x")
    await asyncio.sleep(0.1)
    assert len(seen) == 1
    poller._interval = 60
    pairs[0][0].send(b"y")
    await asyncio.sleep(0.01)
    assert seen == [b"x", b"y"]
    poller.remove(pairs[0][1])


async def test_a_socket_may_be_removed_while_others_are_read(pairs: Pairs) -> None:
    poller, seen = Poller(many=1), list[bytes]()

    def remove_all() -> None:
        for _, far in pairs:
            poller.remove(far)
            poller.remove(far)
        seen.append(b"once")

    for _, far in pairs:
        poller.add(far, remove_all)
    for near, _ in pairs:
        near.send(b"x")
    await asyncio.sleep(0.02)
    assert seen == [b"once"]
    assert len(poller) == 0


async def test_an_emptied_poller_can_be_used_again(pairs: Pairs) -> None:
    poller = Poller(many=1)
    for _ in range(3):
        seen: list[bytes] = []
        poller.add(pairs[0][1], drain(pairs[0][1], seen))
        pairs[0][0].send(b"x")
        await asyncio.sleep(0.01)
        assert seen == [b"x"]
        poller.remove(pairs[0][1])


async def test_a_reader_stops_once_and_may_do_so_while_reading(pairs: Pairs) -> None:
    near, far = pairs[0]
    seen: list[bytes] = []

    def read() -> None:
        seen.append(far.recv(100))
        reader.stop()

    reader = SocketReader(far, read)
    near.send(b"x")
    near.send(b"y")
    await asyncio.sleep(0.01)
    reader.stop()
    assert seen == [b"x"]


@pytest.mark.parametrize("many", [1, 60])
async def test_a_reader_that_fails_is_given_up_and_the_others_go_on(
    pairs: Pairs, many: int
) -> None:
    poller, seen, told = Poller(many=many), list[bytes](), list[Exception]()
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: told.append(context["exception"])
    )

    def fail() -> None:
        raise ValueError("a bug in one stream")

    poller.add(pairs[0][1], fail)
    for _, far in pairs[1:]:
        poller.add(far, drain(far, seen))
    for _ in range(3):
        for near, _ in pairs:
            near.send(b"x")
        await asyncio.sleep(0.02)
    assert len(seen) == 15
    assert [str(exc) for exc in told] == ["a bug in one stream"]
    assert len(poller) == 5
    for _, far in pairs:
        poller.remove(far)
    assert len(poller) == 0
