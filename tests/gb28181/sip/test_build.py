import pytest

from gb28181.errors import SipParseError
from gb28181.sip.build import (
    bad_request_response,
    build_request,
    build_response,
    stamp_via,
    stateless_tag,
)
from gb28181.sip.message import Request, Response
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize

SOURCE = ("203.0.113.9", 40_001)


def request(**changes: str) -> Request:
    parts = {
        "via": "SIP/2.0/UDP 10.9.20.31:5060;rport;branch=z9hG4bK6a2b",
        "from_": "<sip:a@3713260000>;tag=8e21",
        "to": "<sip:b@3713260000>",
        "call_id": "5d0c2a9e@10.9.20.31",
    } | changes
    return build_request("MESSAGE", "sip:b@3713260000", **parts, cseq=20)  # type: ignore[arg-type]


def salvage(data: bytes) -> Response | None:
    with pytest.raises(SipParseError) as caught:
        parse(data)
    answer = bad_request_response(data, caught.value, SOURCE)
    if answer is None:
        return None
    response = parse(answer, complete=False)
    assert isinstance(response, Response)
    return response


def parse_loose(data: bytes) -> bytes:
    with pytest.raises(SipParseError) as caught:
        parse(data)
    answer = bad_request_response(data, caught.value, SOURCE)
    assert answer is not None
    return answer


def test_built_request_is_complete() -> None:
    message = build_request(
        "INVITE",
        "sip:b@h",
        via="SIP/2.0/UDP h;branch=z9hG4bK1",
        from_="<sip:a@h>;tag=1",
        to="<sip:b@h>",
        call_id="c",
        cseq=1,
        headers=[("Contact", "<sip:a@h>")],
        body=b"v=0\r\n",
        content_type="application/sdp",
    )
    parsed = parse(serialize(message))
    parsed.check()
    assert parsed.cseq == (1, "INVITE")
    assert (parsed.max_forwards, parsed.content_type, parsed.body) == (
        70,
        "application/sdp",
        b"v=0\r\n",
    )
    assert parsed.contact is not None


def test_response_copies_what_identifies_the_request() -> None:
    asked = request()
    asked.headers.add("Via", "SIP/2.0/UDP second;branch=b")
    response = build_response(asked, 200, to_tag="t1", headers=[("Expires", "60")])
    assert response.reason == "OK"
    assert response.headers.items() == [
        ("Via", "SIP/2.0/UDP 10.9.20.31:5060;rport;branch=z9hG4bK6a2b"),
        ("Via", "SIP/2.0/UDP second;branch=b"),
        ("From", "<sip:a@3713260000>;tag=8e21"),
        ("To", "<sip:b@3713260000>;tag=t1"),
        ("Call-ID", "5d0c2a9e@10.9.20.31"),
        ("CSeq", "20 MESSAGE"),
        ("Expires", "60"),
    ]


def test_to_tag_of_a_dialog_is_kept() -> None:
    response = build_response(request(to="<sip:b@3713260000>;tag=old"), 200, to_tag="new")
    assert response.to.tag == "old"


def test_trying_gets_no_tag() -> None:
    assert build_response(request(), 100, to_tag="t").to.tag is None


def test_tag_goes_behind_an_address_without_brackets() -> None:
    assert build_response(request(to="sip:b@3713260000"), 200, to_tag="t").to.tag == "t"


def test_record_route_is_copied_into_answers_that_make_a_dialog() -> None:
    asked = request()
    asked.headers.add("Record-Route", "<sip:p;lr>")
    assert "Record-Route" in build_response(asked, 200).headers
    assert "Record-Route" not in build_response(asked, 404).headers


@pytest.mark.parametrize(
    ("via", "stamped"),
    [
        ("SIP/2.0/UDP h;rport;branch=a", "SIP/2.0/UDP h;rport=40001;received=203.0.113.9;branch=a"),
        ("SIP/2.0/UDP h;branch=a;rport", "SIP/2.0/UDP h;branch=a;rport=40001;received=203.0.113.9"),
        (
            "SIP/2.0/UDP h;received=6.6.6.6;rport;branch=a",
            "SIP/2.0/UDP h;received=203.0.113.9;rport=40001;branch=a",
        ),
        ("SIP/2.0/UDP h;branch=a", "SIP/2.0/UDP h;branch=a;received=203.0.113.9"),
        (
            "SIP/2.0/UDP h;branch=a;rport , SIP/2.0/UDP g;rport;x",
            "SIP/2.0/UDP h;branch=a;rport=40001;received=203.0.113.9, SIP/2.0/UDP g;rport;x",
        ),
    ],
)
def test_source_is_stamped_into_the_topmost_via_only(via: str, stamped: str) -> None:
    message = request(via=via)
    message.headers.add("Via", "SIP/2.0/UDP lower;rport;branch=l")
    stamp_via(message, SOURCE)
    assert message.headers.get_all("Via") == [stamped, "SIP/2.0/UDP lower;rport;branch=l"]
    assert message.via.params["received"] == "203.0.113.9"


def test_stateless_tag_is_the_same_for_a_retransmission_and_differs_otherwise() -> None:
    first = stateless_tag(request(), b"k" * 32)
    assert stateless_tag(request(), b"k" * 32) == first
    assert stateless_tag(request(call_id="other"), b"k" * 32) != first
    assert stateless_tag(request(), b"l" * 32) != first


def test_malformed_request_is_answered_from_what_can_be_read() -> None:
    data = serialize(request()).replace(b"CSeq: 20", b"CSeq: 99999999999")
    response = parse_loose(data)
    assert b"SIP/2.0 400 Bad Request (CSeq)\r\n" in response
    assert b"Via: SIP/2.0/UDP 10.9.20.31:5060;rport=40001;received=203.0.113.9;" in response
    assert b"To: <sip:b@3713260000>;tag=" in response
    assert b"CSeq: 99999999999 MESSAGE\r\n" in response


def test_missing_headers_are_missing_in_the_answer() -> None:
    data = b"INVITE sip:u@h SIP/2.0\r\nCSeq: 1 INVITE\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKk\r\n\r\n"
    response = salvage(data)
    assert response is not None
    assert (response.status, response.reason) == (400, "Bad Request (From)")
    assert response.via.params["received"] == "203.0.113.9"


def test_answer_carries_the_status_of_the_error() -> None:
    data = serialize(request()).replace(b"SIP/2.0\r\n", b"SIP/3.0\r\n", 1)
    response = salvage(data)
    assert response is not None
    assert response.status == 505


@pytest.mark.parametrize(
    "data",
    [
        b"SIP/2.0 9999 OK\r\nVia: SIP/2.0/UDP h\r\n\r\n",
        b"ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nVia: ;;\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nFrom: <sip:a@b>\r\n\r\n",
        b"garbage",
        b"",
        b"\r\n\r\n\r\n",
    ],
)
def test_what_must_not_or_cannot_be_answered_is_not(data: bytes) -> None:
    assert salvage(data) is None


def test_answer_cannot_be_made_to_carry_foreign_headers() -> None:
    data = b"BAD sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>\rX: y\r\n\r\n"
    answer = parse_loose(data)
    assert b"From: <sip:a@b> X: y\r\n" in answer
    assert b"\rX" not in answer
