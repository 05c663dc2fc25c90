"""What the endpoint answers by itself, and how it keeps its bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError
from gb28181.sip.dialog.request import RequestFailed, ResponseReceived
from gb28181.sip.endpoint import Flow, MessageRefused, RequestReceived, SipEndpoint, receiver
from gb28181.sip.message import Response
from gb28181.sip.parser import parse
from gb28181.sip.transaction import brief, layer
from gb28181.sip.transaction.events import Failure
from tests.support.net import token_maker

UDP = Flow(transport="UDP", remote=("10.0.0.2", 5060), local=("10.0.0.1", 5060))
TCP = Flow(transport="TCP", remote=("10.0.0.2", 40_000), local=("10.0.0.1", 5060), connection=7)


def new_endpoint(**options: object) -> SipEndpoint:
    return SipEndpoint(user_agent="test", new_token=token_maker("t"), **options)  # type: ignore[arg-type]


def request(
    method: str = "MESSAGE",
    *,
    uri: str = "sip:34020000002000000001@3402000000",
    to_tag: str = "",
    branch: str = "z9hG4bK1",
    extra: str = "",
    body: str = "",
) -> bytes:
    return (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.168.1.64:5060;rport;branch={branch}\r\n"
        "From: <sip:34020000001320000001@3402000000>;tag=1\r\n"
        f"To: <sip:34020000002000000001@3402000000>{to_tag}\r\n"
        f"Call-ID: call@192.168.1.64\r\nCSeq: 20 {method}\r\n{extra}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def answers(endpoint: SipEndpoint, now: float = 0.0) -> list[Response]:
    responses = []
    for data, _, _ in endpoint.messages_to_send(now):
        message = parse(data)
        assert isinstance(message, Response)
        responses.append(message)
    return responses


def ask(data: bytes, flow: Flow = UDP, endpoint: SipEndpoint | None = None) -> list[Response]:
    endpoint = endpoint or new_endpoint()
    endpoint.receive_message(data, flow, 0.0)
    return answers(endpoint)


def test_options_is_answered_with_allow() -> None:
    (response,) = ask(request("OPTIONS"))
    assert response.status == 200
    allow = response.headers.get("Allow") or ""
    # GB clause on Allow: these at least.
    assert {"INVITE", "ACK", "INFO", "CANCEL", "BYE", "OPTIONS", "MESSAGE"} <= set(
        allow.split(", ")
    )
    assert response.to.tag is not None


@pytest.mark.parametrize(
    ("data", "status", "header"),
    [
        (request("DANCE"), 501, "Allow"),
        (request("PRACK"), 405, "Allow"),
        (request(uri="tel:+861012345678"), 416, None),
        (request(extra="Require: 100rel, gb\r\n"), 420, "Unsupported"),
        (request("INVITE", extra="Max-Forwards: 0\r\n"), 483, None),
        (request("INVITE", extra="Content-Type: text/plain\r\n", body="hello"), 415, "Accept"),
        (request("INFO", to_tag=";tag=gone"), 481, None),
        (request("INVITE", to_tag=";tag=gone"), 481, None),
        (request("CANCEL"), 481, None),
        (request("BYE", to_tag=";tag=gone"), 200, None),
        (request("BYE"), 200, None),
    ],
)
def test_what_needs_nobodys_decision_is_answered(
    data: bytes, status: int, header: str | None
) -> None:
    endpoint = new_endpoint()
    (response,) = ask(data, endpoint=endpoint)
    assert response.status == status
    assert header is None or header in response.headers
    events = [endpoint.next_event(), endpoint.next_event()]
    assert not any(isinstance(event, RequestReceived) for event in events)


def test_unsupported_names_the_extensions() -> None:
    (response,) = ask(request(extra="Require: 100rel\r\nRequire: gb\r\n"))
    assert response.headers.get("Unsupported") == "100rel, gb"


def test_a_method_the_user_does_not_serve_is_refused() -> None:
    (response,) = ask(request("SUBSCRIBE"), endpoint=new_endpoint(methods=["MESSAGE"]))
    assert response.status == 405
    assert response.headers.get("Allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE"


def test_a_message_with_a_to_tag_of_no_dialog_is_delivered() -> None:
    endpoint = new_endpoint()
    assert ask(request(to_tag=";tag=2011"), endpoint=endpoint) == []
    assert isinstance(endpoint.next_event(), RequestReceived)


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_a_stray_ack_is_swallowed(flow: Flow) -> None:
    endpoint = new_endpoint()
    assert ask(request("ACK", to_tag=";tag=x"), flow, endpoint) == []
    assert endpoint.stats.stray == 1
    assert endpoint.next_event() is None


def test_a_response_to_nothing_is_dropped() -> None:
    endpoint = new_endpoint()
    (ok,) = ask(request("OPTIONS"))
    assert ok.status == 200
    other = new_endpoint()
    other.receive_message(request("OPTIONS"), UDP, 0.0)
    ((data, _, _),) = other.messages_to_send(0.0)
    assert ask(data, endpoint=endpoint) == []
    assert endpoint.stats.stray == 1


def test_malformed_requests_are_answered_400_and_told() -> None:
    endpoint = new_endpoint()
    data = request().replace(b"CSeq: 20 MESSAGE", b"CSeq: 20 INVITE")
    (response,) = ask(data, endpoint=endpoint)
    assert response.status == 400
    event = endpoint.next_event()
    assert isinstance(event, MessageRefused)
    assert (event.status, endpoint.stats.malformed) == (400, 1)


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0\0\0\0", b" \r\n"])
def test_blank_datagrams_are_keepalives(data: bytes) -> None:
    endpoint = new_endpoint()
    assert ask(data, endpoint=endpoint) == []
    assert endpoint.stats.keepalives == 1


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    endpoint = new_endpoint()
    endpoint.receive_message(data, UDP, 0.0)
    endpoint.receive_message(request()[: len(data)] + data, UDP, 0.0)
    endpoint.messages_to_send(0.0)


def test_the_answer_is_stamped_with_the_packet_source() -> None:
    (response,) = ask(request("OPTIONS"))
    assert response.via.params["received"] == "10.0.0.2"
    assert response.via.params["rport"] == "5060"


def test_on_tcp_an_answered_request_is_forgotten_at_once() -> None:
    endpoint = new_endpoint()
    ask(request("OPTIONS"), TCP, endpoint)
    assert len(endpoint.transactions) == 0


def test_on_udp_it_is_forgotten_after_timer_j() -> None:
    endpoint = new_endpoint()
    ask(request("OPTIONS"), UDP, endpoint)
    endpoint.handle_timer(31.9)
    assert len(endpoint.transactions) == 1
    timer = endpoint.next_timer()
    assert timer is not None
    assert 32.0 <= timer <= 33.0
    endpoint.handle_timer(timer)
    assert len(endpoint.transactions) == 0
    assert endpoint.next_timer() is None


def test_a_request_nobody_answers_is_forgotten_when_the_peer_has_given_up() -> None:
    endpoint = new_endpoint()
    ask(request(), UDP, endpoint)
    ask(request(branch="z9hG4bK2"), TCP, endpoint)
    endpoint.handle_timer(31.9)
    assert len(endpoint.transactions) == 2
    endpoint.handle_timer(32.0)
    assert len(endpoint.transactions) == 0


def test_an_ignored_request_is_forgotten_at_once() -> None:
    endpoint = new_endpoint()
    ask(request(), UDP, endpoint)
    event = endpoint.next_event()
    assert isinstance(event, RequestReceived)
    endpoint.ignore(event)
    assert len(endpoint.transactions) == 0
    endpoint.respond(event, 200, now=0.0)
    assert endpoint.messages_to_send(0.0) == []


def test_a_stateless_answer_leaves_nothing_behind() -> None:
    endpoint = new_endpoint()
    endpoint.receive_message(request("REGISTER"), UDP, 0.0)
    event = endpoint.next_event()
    assert isinstance(event, RequestReceived)
    endpoint.respond(event, 401, now=0.0, stateless=True, headers=[("WWW-Authenticate", "Digest")])
    (response,) = answers(endpoint)
    assert response.status == 401
    assert len(endpoint.transactions) == 0
    assert endpoint.next_timer() is None


def challenge(endpoint: SipEndpoint, now: float) -> None:
    event = endpoint.next_event()
    assert isinstance(event, RequestReceived)
    nonce = ("WWW-Authenticate", f'Digest nonce="{now}"')
    endpoint.respond(event, 401, now=now, stateless=True, headers=[nonce])


def test_a_retransmission_gets_the_same_stateless_answer_for_seconds() -> None:
    endpoint = new_endpoint()
    endpoint.receive_message(request("REGISTER"), UDP, 0.0)
    challenge(endpoint, 0.0)
    first = endpoint.messages_to_send(0.0)
    endpoint.receive_message(request("REGISTER"), UDP, 3.5)
    assert endpoint.messages_to_send(3.5) == first
    assert endpoint.next_event() is None
    endpoint.receive_message(request("REGISTER"), UDP, 60.0)
    assert isinstance(endpoint.next_event(), RequestReceived)


def test_a_device_that_never_changes_its_branch_is_heard_after_its_challenge() -> None:
    endpoint = new_endpoint()
    endpoint.receive_message(request("REGISTER"), UDP, 0.0)
    challenge(endpoint, 0.0)
    signed = request("REGISTER", extra="Authorization: Digest a=b\r\n")
    endpoint.receive_message(signed, UDP, 0.1)
    assert isinstance(endpoint.next_event(), RequestReceived)


def test_stateless_answers_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brief, "MAX_BRIEF_ANSWERS", 2)
    endpoint = new_endpoint()
    for number in range(3):
        endpoint.receive_message(request("REGISTER", branch=f"z9hG4bK{number}"), UDP, 0.0)
        challenge(endpoint, 0.0)
    endpoint.receive_message(request("REGISTER", branch="z9hG4bK2"), UDP, 0.1)
    assert endpoint.next_event() is None
    endpoint.receive_message(request("REGISTER", branch="z9hG4bK0"), UDP, 0.1)
    assert isinstance(endpoint.next_event(), RequestReceived)


def refuse_invite(endpoint: SipEndpoint, number: int, *, stateless: bool) -> None:
    endpoint.receive_message(request("INVITE", branch=f"z9hG4bK{number}"), UDP, 0.0)
    event = endpoint.next_event()
    assert isinstance(event, RequestReceived)
    endpoint.respond(event, 403, now=0.0, stateless=stateless)


def test_an_invite_refused_statelessly_is_one_packet_and_its_ack_is_swallowed() -> None:
    endpoint = new_endpoint()
    refuse_invite(endpoint, 1, stateless=True)
    (response,) = answers(endpoint)
    assert response.status == 403
    assert len(endpoint.transactions) == 0
    assert endpoint.dialogs.held == 0
    endpoint.handle_timer(40.0)
    endpoint.receive_message(request("ACK", to_tag=f";tag={response.to.tag}"), UDP, 40.0)
    endpoint.handle_timer(200.0)
    assert endpoint.messages_to_send(200.0) == []
    assert endpoint.next_event() is None


def test_an_invite_the_stack_refuses_by_itself_is_one_packet_too() -> None:
    endpoint = new_endpoint()
    endpoint.receive_message(request("INVITE", extra="Require: 100rel\r\n"), UDP, 0.0)
    (response,) = answers(endpoint)
    assert response.status == 420
    endpoint.handle_timer(40.0)
    assert endpoint.messages_to_send(40.0) == []


def test_refused_invites_without_ack_never_keep_devices_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layer, "MAX_TRANSACTIONS", 4)
    monkeypatch.setattr(layer, "MAX_REFUSED_INVITES", 3)
    endpoint = new_endpoint()
    for number in range(20):
        refuse_invite(endpoint, number, stateless=False)
    assert [response.status for response in answers(endpoint)] == [403] * 20
    assert len(endpoint.transactions) == 3
    assert endpoint.transactions.pending == 0
    endpoint.receive_message(request("MESSAGE", branch="z9hG4bKm"), UDP, 0.0)
    assert isinstance(endpoint.next_event(), RequestReceived)
    # Only the three that are remembered are repeated, and all are forgotten in the end.
    endpoint.handle_timer(0.5)
    assert len(endpoint.messages_to_send(0.5)) == 3
    endpoint.handle_timer(33.0)
    assert len(endpoint.transactions) == 0


def test_an_ack_makes_room_for_the_next_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "MAX_REFUSED_INVITES", 1)
    endpoint = new_endpoint()
    refuse_invite(endpoint, 1, stateless=False)
    endpoint.receive_message(request("ACK", branch="z9hG4bK1"), UDP, 0.1)
    endpoint.handle_timer(10.0)
    refuse_invite(endpoint, 2, stateless=False)
    assert len(endpoint.transactions) == 1


def test_too_many_open_requests_are_refused_with_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "MAX_TRANSACTIONS", 2)
    endpoint = new_endpoint()
    for number in range(3):
        endpoint.receive_message(request(branch=f"z9hG4bK{number}"), UDP, 0.0)
    (response,) = answers(endpoint)
    assert response.status == 503
    assert response.headers.get("Retry-After") == "5"
    assert endpoint.stats.overloaded == 1
    assert len(endpoint.transactions) == 2


def test_too_many_dialogs_are_refused_with_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "MAX_DIALOGS", 1)
    endpoint = new_endpoint()
    for number in range(2):
        endpoint.receive_message(request("INVITE", branch=f"z9hG4bK{number}"), UDP, 0.0)
    (response,) = answers(endpoint)
    assert response.status == 503


def test_answered_requests_beyond_the_bound_are_forgotten_oldest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layer, "MAX_ANSWERED_TRANSACTIONS", 2)
    endpoint = new_endpoint()
    for number in range(4):
        ask(request("OPTIONS", branch=f"z9hG4bK{number}"), UDP, endpoint)
    assert len(endpoint.transactions) == 2
    assert endpoint.transactions.evicted == 2
    ask(request("OPTIONS", branch="z9hG4bK3"), UDP, endpoint)
    assert endpoint.transactions.absorbed == 1


def send(endpoint: SipEndpoint, flow: Flow = UDP) -> object:
    return endpoint.request(
        "MESSAGE",
        "sip:34020000001320000001@10.0.0.2",
        flow=flow,
        from_="<sip:34020000002000000001@3402000000>",
        to="<sip:34020000001320000001@3402000000>",
        now=0.0,
    )


def test_a_request_outside_a_dialog_has_no_to_tag() -> None:
    endpoint = new_endpoint()
    send(endpoint)
    ((data, flow, _),) = endpoint.messages_to_send(0.0)
    message = parse(data)
    assert message.to.tag is None
    assert message.from_.tag is not None
    assert message.via.host == "10.0.0.1"
    assert "rport" in message.via.params
    assert flow is UDP


def test_via_and_contact_may_be_advertised_ones() -> None:
    endpoint = new_endpoint(advertise=("203.0.113.9", 15_060))
    endpoint.request("SUBSCRIBE", "sip:d@y", flow=UDP, from_="<sip:p@y>", to="<sip:d@y>", now=0.0)
    ((data, _, _),) = endpoint.messages_to_send(0.0)
    message = parse(data)
    assert (message.via.host, message.via.port) == ("203.0.113.9", 15_060)
    assert message.contact is not None
    assert message.contact.uri == "sip:p@203.0.113.9:15060"


def test_a_lost_connection_fails_what_waits_on_it_and_nothing_else() -> None:
    endpoint = new_endpoint()
    lost, kept = send(endpoint, TCP), send(endpoint, UDP)
    endpoint.receive_message(request(), TCP, 0.0)
    endpoint.connection_lost(7, 1.0)
    events = []
    while (event := endpoint.next_event()) is not None:
        events.append(event)
    assert RequestFailed(lost, Failure.TRANSPORT) in events  # type: ignore[arg-type]
    assert RequestFailed(kept, Failure.TRANSPORT) not in events  # type: ignore[arg-type]
    assert len(endpoint.transactions) == 1


def test_an_abandoned_request_has_no_outcome() -> None:
    endpoint = new_endpoint()
    transaction = endpoint.request(
        "MESSAGE", "sip:d@y", flow=UDP, from_="<sip:p@y>", to="<sip:d@y>", now=0.0
    )
    ((data, _, _),) = endpoint.messages_to_send(0.0)
    endpoint.abandon(transaction)
    device = new_endpoint()
    device.receive_message(data, UDP, 0.0)
    event = device.next_event()
    assert isinstance(event, RequestReceived)
    device.respond(event, 200, now=0.0)
    ((answer, _, _),) = device.messages_to_send(0.0)
    endpoint.receive_message(answer, UDP, 0.1)
    assert endpoint.next_event() is None
    assert endpoint.stats.stray == 1


def test_only_the_final_response_is_told() -> None:
    endpoint, device = new_endpoint(), new_endpoint()
    send(endpoint)
    ((data, _, _),) = endpoint.messages_to_send(0.0)
    device.receive_message(data, UDP, 0.0)
    event = device.next_event()
    assert isinstance(event, RequestReceived)
    for status in (100, 200):
        device.respond(event, status, now=0.0)
    for answer, _, _ in device.messages_to_send(0.0):
        endpoint.receive_message(answer, UDP, 0.1)
    received = endpoint.next_event()
    assert isinstance(received, ResponseReceived)
    assert received.response.status == 200
    assert endpoint.next_event() is None


@pytest.mark.parametrize("method", ["INVITE", "ACK", "CANCEL"])
def test_invite_and_its_kin_are_no_plain_requests(method: str) -> None:
    with pytest.raises(LocalProtocolError):
        new_endpoint().request(
            method, "sip:d@y", flow=UDP, from_="<sip:p@y>", to="<sip:d@y>", now=0
        )


def test_an_rfc_2543_request_without_a_branch_is_matched_by_its_other_parts() -> None:
    endpoint = new_endpoint()
    old = request("OPTIONS").replace(b";branch=z9hG4bK1", b"")
    ask(old, UDP, endpoint)
    ask(old, UDP, endpoint)
    assert endpoint.transactions.absorbed == 1
