"""Media ports: leased, drained, never leaked."""

import asyncio
import errno
import socket
from typing import Any

import pytest

from gb28181.aio.ports import PortPool, PortsExhausted

pytestmark = pytest.mark.net
HOST = "127.0.0.1"


def free_range(pairs: int) -> Any:
    """First and last of a run of ports that are free right now."""
    for start in range(42_000, 60_000, 2 * pairs):
        socks: list[socket.socket] = []
        try:
            for port in range(start, start + 2 * pairs):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    sock = socket.socket(socket.AF_INET, kind)
                    socks.append(sock)
                    sock.bind((HOST, port))
        except OSError:
            continue
        else:
            return start, start + 2 * pairs - 1
        finally:
            for sock in socks:
                sock.close()
    raise AssertionError("no free ports")


def is_bound(port: int, kind: int = socket.SOCK_DGRAM) -> Any:
    with socket.socket(socket.AF_INET, kind) as sock:
        try:
            sock.bind((HOST, port))
        except OSError as exc:
            return exc.errno == errno.EADDRINUSE
        return False


async def test_a_lease_is_an_even_port_with_the_next_one_bound() -> None:
    start, stop = free_range(2)
    pool = PortPool(HOST, start - 1, stop, drain=0)
    with pool.lease() as lease:
        assert lease.port == start
        assert lease.rtp.getsockname() == (HOST, start)
        assert lease.rtcp.getsockname() == (HOST, start + 1)
        assert lease.tcp is None
        assert pool.in_use() == (1, 0, 2)
    assert pool.in_use() == (0, 0, 2)
    assert not is_bound(start)


async def test_tcp_listens_on_the_same_number() -> None:
    start, stop = free_range(1)
    pool = PortPool(HOST, start, stop, drain=0)
    lease = pool.lease(tcp=True)
    with socket.create_connection((HOST, lease.port)):
        pass
    lease.release()
    assert not is_bound(start, socket.SOCK_STREAM)


async def test_leases_differ_until_none_is_left() -> None:
    start, stop = free_range(3)
    pool = PortPool(HOST, start, stop, drain=0)
    leases = [pool.lease() for _ in range(3)]
    assert {lease.port for lease in leases} == {start, start + 2, start + 4}
    with pytest.raises(PortsExhausted, match="none of 3 port pairs is free: 3 leased, 0 draining"):
        pool.lease()
    leases[1].release()
    assert pool.lease().port == start + 2
    pool.close()


async def test_a_port_taken_by_another_process_is_skipped() -> None:
    start, stop = free_range(3)
    pool = PortPool(HOST, start, stop, drain=0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, start + 1))
        with pool.lease() as lease:
            assert lease.port == start + 2
    assert pool.skipped == 1
    assert not is_bound(start), "nothing of the skipped pair stays bound"


async def test_a_taken_tcp_port_is_skipped_for_tcp_only() -> None:
    start, stop = free_range(2)
    pool = PortPool(HOST, start, stop, drain=0)
    with socket.create_server((HOST, start)):
        with pool.lease(tcp=True) as lease:
            assert lease.port == start + 2
        with pool.lease() as lease:
            assert lease.port == start


async def test_a_released_port_is_drained_before_it_is_leased_again() -> None:
    start, stop = free_range(1)
    pool = PortPool(HOST, start, stop, drain=0.05)
    lease = pool.lease()
    lease.release()
    lease.release()
    assert pool.in_use() == (0, 1, 1)
    assert is_bound(start)
    with pytest.raises(PortsExhausted, match="1 draining"):
        pool.lease()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
        late.sendto(b"late", (HOST, start))
        late.sendto(b"later", (HOST, start))
    async with asyncio.timeout(15):
        while pool.in_use()[1]:
            await asyncio.sleep(0.01)
    assert pool.late_packets == 2
    with pool.lease() as again:
        assert again.port == start
        with pytest.raises(BlockingIOError):
            again.rtp.recv(10)
    pool.close()


async def test_the_port_that_rested_longest_comes_first() -> None:
    start, stop = free_range(3)
    pool = PortPool(HOST, start, stop, drain=0)
    ports = []
    for _ in range(4):
        with pool.lease() as lease:
            ports.append(lease.port)
    assert ports == [start, start + 2, start + 4, start]


async def test_closing_closes_leased_and_draining_sockets() -> None:
    start, stop = free_range(2)
    pool = PortPool(HOST, start, stop, drain=60)
    pool.lease().release()
    lease = pool.lease(tcp=True)
    pool.close()
    pool.close()
    assert lease.rtp.fileno() == -1
    assert not any(is_bound(port) for port in range(start, stop + 1))


async def test_an_address_that_is_not_ours_is_an_os_error_at_once() -> None:
    pool = PortPool("192.0.2.1", 42_000, 42_009)
    with pytest.raises(OSError, match="assign"):
        pool.lease()
    assert pool.in_use() == (0, 0, 5)
