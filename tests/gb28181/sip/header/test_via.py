import pytest

from gb28181.errors import SipParseError
from gb28181.sip.header.via import parse_via, parse_via_line


@pytest.mark.parametrize(
    ("value", "transport", "host", "port", "branch"),
    [
        (
            "SIP/2.0/UDP 10.9.20.31:5060;rport;branch=z9hG4bK6a2b",
            "UDP",
            "10.9.20.31",
            5060,
            "z9hG4bK6a2b",
        ),
        ("SIP/2.0/tcp h", "TCP", "h", None, ""),
        ("SIP / 2.0 / TLS   h : 5061 ; branch = x", "TLS", "h", 5061, "x"),
        ("sip/2.0/UDP h;branch=z9hG4bK", "UDP", "h", None, ""),
        ("SIP/2.0/UDP [2001:db8::1]:5060;branch=a;;", "UDP", "[2001:db8::1]", 5060, "a"),
        ("SIP/2.0/UDP h;branch=a, SIP/2.0/TCP g;branch=b", "UDP", "h", None, "a"),
    ],
)
def test_via_is_parsed(
    value: str, transport: str, host: str, port: int | None, branch: str
) -> None:
    via = parse_via(value)
    assert (via.transport, via.host, via.port, via.branch) == (transport, host, port, branch)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP h:70000",
        "SIP/1.0/UDP h",
        "SIP/2.0/UDP h;a, ",
        "SIP/2.0/UDP h, x",
        'SIP/2.0/UDP h;a="b',
        "SIP/2.0/UDP h h",
    ],
)
def test_malformed_via_is_refused(value: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_via(value)
    assert caught.value.field == "Via"


def test_all_hops_of_a_line_are_found() -> None:
    hops = parse_via_line('SIP/2.0/UDP a;x="1,2", SIP/2.0/UDP b')
    assert [hop.host for hop in hops] == ["a", "b"]
    assert hops[0].params == {"x": "1,2"}


@pytest.mark.parametrize(
    ("value", "stamped"),
    [
        (
            "SIP/2.0/UDP h:5060;rport;branch=a",
            "SIP/2.0/UDP h:5060;rport=7;branch=a;received=1.2.3.4",
        ),
        ("SIP/2.0/UDP h;branch=a;rport=5060", "SIP/2.0/UDP h;branch=a;rport=7;received=1.2.3.4"),
        ("SIP/2.0/UDP h;received=9.9.9.9;rport;b", "SIP/2.0/UDP h;received=1.2.3.4;rport=7;b"),
        ("SIP/2.0/UDP h;branch=a", "SIP/2.0/UDP h;branch=a;received=1.2.3.4"),
        ("SIP/2.0/UDP 1.2.3.4;branch=a", "SIP/2.0/UDP 1.2.3.4;branch=a"),
        (
            "SIP/2.0/UDP 1.2.3.4;xrport=1;RPORT",
            "SIP/2.0/UDP 1.2.3.4;xrport=1;rport=7;received=1.2.3.4",
        ),
    ],
)
def test_source_is_written_where_rfc_3581_wants_it(value: str, stamped: str) -> None:
    assert str(parse_via(value).with_source("1.2.3.4", 7)) == stamped
