"""Ports of viewers: within the range, in turn, and a reason when there is none."""

import socket

import pytest

from gateway.domain.errors import Unavailable
from gateway.media.webrtc.ports import UdpPorts, local_addresses
from tests.support.webrtc import free_range

pytestmark = pytest.mark.net


def test_ports_of_the_range_are_leased_in_turn_and_given_back() -> None:
    first, last = free_range(3)
    ports = UdpPorts("127.0.0.1", (first, last))
    leases = [ports.lease() for _ in range(3)]
    assert [lease.port for lease in leases] == [first, first + 1, last]
    assert [lease.sock.getsockname() for lease in leases] == [
        ("127.0.0.1", lease.port) for lease in leases
    ]
    with pytest.raises(Unavailable, match="3 of 3 are in use") as caught:
        ports.lease()
    assert caught.value.code == "webrtc_ports_exhausted"
    for lease in leases:
        lease.release()
        lease.release()
    assert ports.leased == 0
    again = ports.lease()
    assert again.port == first, "the one that rested longest"
    again.release()


def test_a_port_that_somebody_else_has_is_skipped() -> None:
    first, last = free_range(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", first))
        ports = UdpPorts("127.0.0.1", (first, last))
        lease = ports.lease()
        assert lease.port == last
        with pytest.raises(Unavailable, match="Address already in use"):
            ports.lease()
        lease.release()


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(Unavailable, match=r"192\.0\.2\.1"):
        UdpPorts("192.0.2.1", (41_000, 41_001)).lease()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_all_addresses_means_ipv4(host: str) -> None:
    ports = UdpPorts(host, free_range(1))
    assert ports.any_address
    lease = ports.lease()
    assert lease.sock.family == socket.AF_INET
    lease.release()


def test_viewers_are_told_what_is_advertised_or_what_is_bound() -> None:
    assert local_addresses("127.0.0.1", ()) == ("127.0.0.1",)
    assert local_addresses("2001:db8::1", ()) == ("2001:db8::1",)
    assert local_addresses("0.0.0.0", ("192.0.2.7",)) == ("192.0.2.7",)
    found = local_addresses("0.0.0.0", ())
    assert found
    assert "0.0.0.0" not in found
