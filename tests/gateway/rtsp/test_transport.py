"""The Transport header: which alternatives are served, and on which channels."""

import pytest

from gateway.rtsp.message import RtspParseError
from gateway.rtsp.transport import TrackWays, TransportChoice, read_transport

TCP = "RTP/AVP/TCP;unicast;interleaved="


@pytest.mark.parametrize(
    ("header", "tcp", "pair"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=0-1", True, (0, 1)),
        ("RTP/AVP/TCP;interleaved=254-255;unicast", True, (254, 255)),
        ("RTP/AVP/TCP;unicast;interleaved=7-2", True, (7, 2)),
        ("rtp/avp/tcp; interleaved=4", True, (4, 5)),
        ("RTP/AVP/TCP;unicast", True, None),
        ("RTP/AVP;unicast;client_port=5000-5001", False, (5000, 5001)),
        ("RTP/AVP/UDP;unicast;client_port=5000-5001;mode=play", False, (5000, 5001)),
        ('RTP/AVP;unicast;client_port=5000-5001;mode="PLAY"', False, (5000, 5001)),
        ("RTP/AVP;client_port=5000", False, (5000, 5001)),
        ("RTP/AVP;multicast;client_port=5000-5001,RTP/AVP/TCP;interleaved=0-1", True, (0, 1)),
        ("RTP/SAVP;client_port=5000-5001, RTP/AVP/TCP;interleaved=2-3", True, (2, 3)),
    ],
)
def test_the_first_alternative_that_can_be_served_is_taken(
    header: str, tcp: bool, pair: tuple[int, int] | None
) -> None:
    assert read_transport(header)[0] == TransportChoice(tcp=tcp, pair=pair)


@pytest.mark.parametrize(
    "header",
    [
        "RTP/AVP;multicast;port=5000-5001",
        "RTP/AVP;unicast",
        "RTP/AVP;unicast;client_port=22-23",
        "RTP/SAVP;unicast;client_port=5000-5001",
        "RTP/AVP/TCP;unicast;interleaved=0-1;mode=RECORD",
        "MP2T/H2221/UDP;unicast;client_port=5000-5001",
    ],
)
def test_what_is_not_served_is_no_choice(header: str) -> None:
    assert read_transport(header) == []


def test_udp_is_no_choice_where_it_is_not_offered() -> None:
    assert TrackWays().choose("RTP/AVP;client_port=5000-5001", udp=False) is None
    both = f"RTP/AVP;client_port=5000-5001,{TCP}6-7"
    assert TrackWays().choose(both, udp=False) == TransportChoice(tcp=True, pair=(6, 7))


@pytest.mark.parametrize(
    "header",
    [
        "",
        ";;;",
        TCP + "x-1",
        TCP + "0-256",
        TCP + "3-3",
        TCP + "-1-0",
        "RTP/AVP;client_port=70000-70001",
        "RTP/AVP;client_port=65535",
        ",".join(["RTP/SAVP"] * 17),
    ],
)
def test_a_malformed_header_is_an_error(header: str) -> None:
    with pytest.raises(RtspParseError):
        read_transport(header)


def test_tracks_take_any_free_channels_in_any_order_but_not_the_same_twice() -> None:
    ways = TrackWays()
    first = ways.choose(TCP + "9-4", udp=True)
    assert first == TransportChoice(tcp=True, pair=(9, 4))
    ways.add(1, first)
    assert ways.choose(TCP + "4-5", udp=True) is None
    assert ways.choose(TCP + "8-9", udp=True) is None
    assert ways.choose(f"{TCP}4-5,{TCP}6-7", udp=True) == TransportChoice(tcp=True, pair=(6, 7))
    assert ways.choose("RTP/AVP/TCP", udp=True) == TransportChoice(tcp=True, pair=(0, 1))
    assert (ways.track_of(4), ways.track_of(9), ways.track_of(0)) == (1, -1, -1)
    assert 1 in ways
    assert 0 not in ways


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (TCP + "0-1", "RTP/AVP;client_port=5000-5001"),
        ("RTP/AVP;client_port=5000-5001", TCP + "0-1"),
    ],
)
def test_all_tracks_go_the_way_of_the_first(first: str, second: str) -> None:
    ways = TrackWays()
    choice = ways.choose(first, udp=True)
    assert choice is not None
    ways.add(0, choice)
    assert ways.choose(second, udp=True) is None
    both = f"{second},{first.replace('0-1', '2-3')}"
    assert ways.choose(both, udp=True) is not None
