"""The callee's side of an INVITE (RFC 3261 9.2, 13.3), between two endpoints on a virtual clock."""

import pytest

from gb28181.errors import LocalProtocolError
from gb28181.limits import MAX_INVITE_PENDING
from gb28181.sip.build import build_request
from gb28181.sip.dialog.incoming_invite import InviteCancelled
from gb28181.sip.dialog.invite_call import InviteRefused
from gb28181.sip.dialog.invite_session import SessionConfirmed
from gb28181.sip.endpoint import Flow, RequestReceived
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize
from tests.support.calls import ANSWER, Pair


def test_trying_is_sent_when_the_user_takes_its_time() -> None:
    pair = Pair(answer=None)
    pair.call()
    pair.network.run(1.0)
    assert [(round(at, 2), data[:11]) for at, data in pair.device.sent] == [(0.21, b"SIP/2.0 100")]


def test_all_responses_but_trying_carry_one_to_tag() -> None:
    pair = Pair(answer=None, provisional=183)
    pair.call()
    pair.network.run(0.1)
    pair.accept()
    progress, ok = (parse(data) for _, data in pair.device.sent)
    assert progress.to.tag == ok.to.tag is not None
    assert ok.contact is not None
    assert ok.contact.uri == "sip:34020000001320000001@10.0.0.2:5060"


@pytest.mark.parametrize("answered", [False, True])
def test_the_same_invite_under_another_branch_is_refused_and_the_first_one_lives(
    answered: bool,
) -> None:
    pair = Pair(answer=200 if answered else None)
    pair.call()
    pair.network.run(1.0 if answered else 0.1)
    again = pair.platform.sent[0][1].replace(b"branch=z9hG4bK", b"branch=z9hG4bKother")
    before = len(pair.incoming)
    endpoint, now = pair.device.endpoint, pair.network.now
    endpoint.receive_message(again, pair.device.flow_to(pair.platform), now)
    assert [data[:11] for data, _, _ in endpoint.messages_to_send(now)] == [b"SIP/2.0 482"]
    assert len(pair.incoming) == before
    assert not [
        event for event in iter(endpoint.next_event, None) if isinstance(event, RequestReceived)
    ]
    if answered:
        assert pair.accepted is not None
        assert not pair.accepted.ended
    else:
        assert pair.accept() is not None


def test_a_stream_that_is_over_may_be_asked_for_again_with_the_same_call_id_and_number() -> None:
    pair = Pair()
    pair.call()
    pair.network.run(1.0)
    assert pair.accepted is not None
    pair.accepted.bye(1.0)
    pair.network.run(2.0)
    again = pair.platform.sent[0][1].replace(b"branch=z9hG4bK", b"branch=z9hG4bKother")
    endpoint, now = pair.device.endpoint, pair.network.now
    endpoint.receive_message(again, pair.device.flow_to(pair.platform), now)
    events = list(iter(endpoint.next_event, None))
    assert [type(event) for event in events] == [RequestReceived]


@pytest.mark.parametrize("behind_one_nat", [False, True])
def test_two_devices_may_use_the_same_call_id_and_tag(behind_one_nat: bool) -> None:
    pair = Pair(answer=None)
    pair.call()
    pair.network.run(0.1)
    host = pair.platform.address[0] if behind_one_nat else "10.0.0.77"
    other = Flow(transport="UDP", remote=(host, 5080), local=pair.device.address)
    again = pair.platform.sent[0][1].replace(b"branch=z9hG4bK", b"branch=z9hG4bKother")
    if behind_one_nat:
        again = again.replace(b"From: <sip:3", b"From: <sip:4")
        assert b"From: <sip:4" in again
    pair.device.endpoint.receive_message(again, other, 0.1)
    events = list(iter(pair.device.endpoint.next_event, None))
    assert [type(event) for event in events] == [RequestReceived]


def test_cancel_is_answered_200_and_the_invite_487() -> None:
    pair = Pair(answer=None, provisional=180)
    call = pair.call()
    pair.network.run(0.1)
    call.cancel(0.1)
    pair.network.run(1.0)
    assert len(pair.device.of(InviteCancelled)) == 1
    assert pair.methods(pair.device)[-2:] == ["200", "487"]
    assert pair.accept() is None


@pytest.mark.parametrize("method", ["CANCEL", "BYE"])
def test_the_reason_of_a_withdrawn_invite_is_told(method: str) -> None:
    pair = Pair(answer=None, provisional=180)
    pair.call()
    pair.network.run(0.1)
    invite = parse(pair.platform.sent[0][1])
    answer = parse(pair.device.sent[-1][1])
    via = invite.headers.get("Via") or ""
    withdraw = build_request(
        method,
        "sip:x@10.0.0.2",
        via=via if method == "CANCEL" else f"{via}bye",
        from_=invite.headers.get("From") or "",
        to=(invite if method == "CANCEL" else answer).headers.get("To") or "",
        call_id=invite.call_id,
        cseq=1 if method == "CANCEL" else 2,
        headers=[("Reason", 'SIP;cause=200;text="elsewhere"')],
    )
    flow = pair.device.flow_to(pair.platform)
    pair.device.endpoint.receive_message(serialize(withdraw), flow, 0.1)
    events = list(iter(pair.device.endpoint.next_event, None))
    (cancelled,) = [event for event in events if isinstance(event, InviteCancelled)]
    assert cancelled.reason == 'SIP 200 "elsewhere"'


def test_cancel_without_invite_is_answered_481() -> None:
    pair = Pair(answer=None)
    pair.call()
    invite = parse(pair.platform.sent[0][1])
    cancel = build_request(
        "CANCEL",
        "sip:x@10.0.0.2",
        via=invite.headers.get("Via") or "",
        from_=invite.headers.get("From") or "",
        to=invite.headers.get("To") or "",
        call_id=invite.call_id,
        cseq=1,
    )
    flow = pair.device.flow_to(pair.platform)
    pair.device.endpoint.receive_message(serialize(cancel), flow, 0.0)
    ((data, _, _),) = pair.device.endpoint.messages_to_send(0.0)
    assert data.startswith(b"SIP/2.0 481")


def test_a_cancel_after_the_answer_changes_nothing() -> None:
    pair = Pair(answer=None, provisional=180)
    call = pair.call()
    pair.network.run(0.1)
    call.cancel(0.1)
    pair.platform.pump()
    session = pair.accept()
    pair.network.run(0.125)
    assert pair.device.of(InviteCancelled) == []
    assert session is not None


def test_bye_in_the_early_dialog_counts_as_cancel() -> None:
    pair = Pair(answer=None, provisional=180)
    pair.call()
    pair.network.run(0.1)
    ringing = parse(pair.device.sent[0][1])
    bye = build_request(
        "BYE",
        "sip:34020000001320000001@10.0.0.2",
        via="SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKbye",
        from_=ringing.headers.get("From") or "",
        to=ringing.headers.get("To") or "",
        call_id=ringing.call_id,
        cseq=2,
    )
    pair.device.endpoint.receive_message(serialize(bye), pair.device.flow_to(pair.platform), 0.1)
    pair.network.run(1.0)
    assert pair.methods(pair.device) == ["180", "200", "487"]
    assert len(pair.platform.of(InviteRefused)) == 1


def test_an_invite_nobody_decides_on_is_refused_in_the_end() -> None:
    pair = Pair(answer=None)
    pair.call()
    pair.network.run(MAX_INVITE_PENDING + 1)
    (refused,) = pair.platform.of(InviteRefused)
    assert isinstance(refused, InviteRefused)
    assert refused.response.status == 480
    assert len(pair.device.of(InviteCancelled)) == 1


def test_an_invite_cannot_be_accepted_by_respond() -> None:
    pair = Pair(answer=None)
    pair.call()
    pair.network.run(0.1)
    (incoming,) = pair.device.of(RequestReceived)
    assert isinstance(incoming, RequestReceived)
    with pytest.raises(LocalProtocolError):
        pair.device.endpoint.respond(incoming, 200, now=0.1, body=ANSWER)


def test_a_second_answer_is_not_sent() -> None:
    pair = Pair(answer=486)
    pair.call()
    pair.network.run(0.05)
    pair.device.endpoint.respond(pair.incoming[0], 404, now=0.05)
    assert pair.accept() is None
    assert pair.methods(pair.device) == ["486"]


def inside(pair: Pair, method: str, branch: str) -> bytes:
    """Build a request of the platform in the early dialog."""
    ringing = parse(pair.device.sent[0][1])
    request = build_request(
        method,
        "sip:34020000001320000001@10.0.0.2",
        via=f"SIP/2.0/UDP 10.0.0.1:5060;branch={branch}",
        from_=ringing.headers.get("From") or "",
        to=ringing.headers.get("To") or "",
        call_id=ringing.call_id,
        cseq=1 if method == "ACK" else 2,
    )
    return serialize(request)


@pytest.mark.parametrize(("method", "status"), [("INVITE", b"500"), ("INFO", b"481")])
def test_other_requests_in_the_early_dialog_are_refused(method: str, status: bytes) -> None:
    pair = Pair(answer=None, provisional=180)
    pair.call()
    pair.network.run(0.1)
    data = inside(pair, method, "z9hG4bKearly")
    pair.device.endpoint.receive_message(data, pair.device.flow_to(pair.platform), 0.1)
    ((answer, _, _),) = pair.device.endpoint.messages_to_send(0.1)
    assert answer.startswith(b"SIP/2.0 " + status)


def test_an_ack_of_the_2xx_with_the_branch_of_the_invite_counts() -> None:
    pair = Pair(answer=None, provisional=180)
    pair.call()
    pair.network.run(0.1)
    branch = parse(pair.platform.sent[0][1]).via.branch
    pair.network.hosts.pop(pair.platform.address)
    pair.accept()
    ack = inside(pair, "ACK", branch).replace(b"10.0.0.1:5060;", b"10.0.0.1:5060;rport;")
    pair.device.endpoint.receive_message(ack, pair.device.flow_to(pair.platform), 0.2)
    pair.network.run(20.0)
    assert len(pair.device.of(SessionConfirmed)) == 1
    assert pair.methods(pair.device) == ["180", "200"]


def test_a_peer_that_cannot_be_reached_any_more_has_withdrawn() -> None:
    pair = Pair(answer=None)
    pair.call()
    pair.network.run(0.1)
    pair.device.endpoint.respond(pair.incoming[0], 180, now=0.1)
    ((_, _, transaction),) = pair.device.endpoint.messages_to_send(0.1)
    pair.device.endpoint.send_failed(transaction, 0.1)
    pair.device.pump()
    assert len(pair.device.of(InviteCancelled)) == 1
    assert pair.accept() is None
