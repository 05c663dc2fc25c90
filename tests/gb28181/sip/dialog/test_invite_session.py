"""Established sessions (RFC 3261 13.3.1.4, 14, 15), between two endpoints on a virtual clock."""

import pytest

from gb28181.errors import LocalProtocolError
from gb28181.sip.build import build_request
from gb28181.sip.dialog.invite_call import InviteAccepted
from gb28181.sip.dialog.invite_session import EndCause, InviteSession, SessionEnded
from gb28181.sip.dialog.request import ResponseReceived
from gb28181.sip.endpoint import Flow, RequestReceived
from gb28181.sip.message import Response
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize
from tests.support.calls import ANSWER, OFFER, Pair


def established() -> tuple[Pair, InviteSession, InviteSession]:
    """Return a call, the platform's session and the device's."""
    pair = Pair()
    call = pair.call()
    pair.network.run(1.0)
    assert call.session is not None
    assert pair.accepted is not None
    return pair, call.session, pair.accepted


def from_device(pair: Pair, session: InviteSession, method: str, **changes: str) -> bytes:
    """Build a request of the device inside the dialog; `changes` spoil one of its parts."""
    dialog = session.dialog
    parts = {
        "via": "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK" + method + "".join(changes),
        "from_": dialog.local,
        "to": dialog.remote,
        "call_id": dialog.call_id,
    } | changes
    body = OFFER if method == "INVITE" else b""
    request = build_request(
        method,
        dialog.target,
        cseq=2,
        body=body,
        content_type="application/sdp" if body else None,
        **parts,  # type: ignore[arg-type]
    )
    return serialize(request)


def deliver(pair: Pair, data: bytes, *, source: str = "10.0.0.2") -> Response:
    """Give the platform a datagram and return its one answer."""
    flow = Flow(transport="UDP", remote=(source, 5060), local=pair.platform.address)
    pair.platform.endpoint.receive_message(data, flow, pair.network.now)
    ((answer, _, _),) = pair.platform.endpoint.messages_to_send(pair.network.now)
    while (event := pair.platform.endpoint.next_event()) is not None:
        pair.platform.events.append(event)
    response = parse(answer)
    assert isinstance(response, Response)
    return response


def test_the_2xx_is_repeated_until_the_ack_comes_and_then_the_session_is_ended() -> None:
    pair = Pair()
    pair.call()
    invite = pair.platform.sent[0][1]
    pair.network.hosts.pop(pair.platform.address)
    pair.device.endpoint.receive_message(invite, pair.device.flow_to(pair.platform), 0.0)
    pair.network.run(33.0)
    instants = [at for at, data in pair.device.sent if data.startswith(b"SIP/2.0 200")]
    assert instants == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert [(at, data[:3]) for at, data in pair.device.sent[11:12]] == [(32.0, b"BYE")]
    (ended,) = pair.device.of(SessionEnded)
    assert isinstance(ended, SessionEnded)
    assert ended.cause is EndCause.NOT_ACKNOWLEDGED


def test_bye_of_either_side_ends_both() -> None:
    pair, ours, theirs = established()
    ours.bye(1.0)
    pair.network.run(2.0)
    assert theirs.ended
    assert pair.device.of(SessionEnded) == [SessionEnded(theirs, EndCause.BYE)]
    (answered,) = pair.platform.of(ResponseReceived)
    assert isinstance(answered, ResponseReceived)
    assert answered.response.status == 200


def test_bye_of_the_device_ends_ours_once_however_often_it_comes() -> None:
    pair, ours, theirs = established()
    theirs.bye(1.0)
    pair.network.run(2.0)
    assert ours.ended
    assert deliver(pair, from_device(pair, theirs, "BYE")).status == 200
    assert pair.platform.of(SessionEnded) == [SessionEnded(ours, EndCause.BYE)]
    assert ours.bye(2.0) is None


def test_crossing_byes_are_both_answered_200() -> None:
    pair, ours, theirs = established()
    ours.bye(1.0)
    theirs.bye(1.0)
    pair.network.run(2.0)
    for host in (pair.platform, pair.device):
        (answered,) = host.of(ResponseReceived)
        assert isinstance(answered, ResponseReceived)
        assert answered.response.status == 200


@pytest.mark.parametrize("method", ["INFO", "MESSAGE"])
def test_requests_inside_the_dialog_go_both_ways(method: str) -> None:
    pair, ours, theirs = established()
    ours.request(method, 1.0, body=b"PAUSE RTSP/1.0\r\n", content_type="Application/MANSRTSP")
    pair.network.run(2.0)
    assert pair.incoming[-1].session is theirs
    assert pair.incoming[-1].request.cseq.number == 2
    theirs.request(method, 2.0, body=b"<Notify/>", content_type="Application/MANSCDP+xml")
    pair.network.run(3.0)
    received = pair.platform.of(RequestReceived)[-1]
    assert isinstance(received, RequestReceived)
    assert received.session is ours


def test_a_cseq_that_falls_is_accepted() -> None:
    pair, ours, theirs = established()
    low = from_device(pair, theirs, "BYE").replace(b"CSeq: 2 BYE", b"CSeq: 0 BYE")
    assert deliver(pair, low).status == 200
    assert ours.ended


@pytest.mark.parametrize(
    "changes",
    [
        {"to": "<sip:34020000002000000001@3402000000>"},
        {"from_": "<sip:34020000001320000001@3402000000>;tag=wrong"},
    ],
)
def test_bye_with_wrong_tags_counts_from_the_peers_own_address_only(
    changes: dict[str, str],
) -> None:
    pair, ours, theirs = established()
    data = from_device(pair, theirs, "BYE", **changes)
    assert deliver(pair, data, source="192.0.2.9").status == 200
    assert not ours.ended
    assert deliver(pair, data).status == 200
    assert ours.ended


def test_two_devices_may_use_one_call_id() -> None:
    pair, ours, theirs = established()
    twin = from_device(pair, theirs, "BYE", to="<sip:x@y>;tag=other", from_="<sip:z@y>;tag=z")
    assert deliver(pair, twin, source="10.0.0.77").status == 200
    assert not ours.ended


def test_the_session_follows_the_peer_to_a_new_port() -> None:
    pair, ours, theirs = established()
    moved = Flow(transport="UDP", remote=("10.0.0.2", 61_000), local=pair.platform.address)
    data = from_device(pair, theirs, "MESSAGE")
    pair.platform.endpoint.receive_message(data, moved, 1.0)
    ours.bye(1.0)
    ((_, flow, _),) = pair.platform.endpoint.messages_to_send(1.0)
    assert flow.remote == ("10.0.0.2", 61_000)


def test_a_reinvite_that_changes_nothing_gets_our_description_again() -> None:
    pair, ours, theirs = established()
    refresh = from_device(pair, theirs, "INVITE").replace(OFFER, ANSWER)
    refresh = refresh.replace(b"Length: %d" % len(OFFER), b"Length: %d" % len(ANSWER))
    response = deliver(pair, refresh)
    assert (response.status, response.body) == (200, OFFER)
    assert not ours.ended


def test_a_reinvite_that_changes_the_media_is_refused_and_the_session_goes_on() -> None:
    pair, ours, theirs = established()
    data = from_device(pair, theirs, "INVITE").replace(b"s=Play", b"s=Talk")
    assert deliver(pair, data).status == 488
    assert not ours.ended


def test_an_unacknowledged_answer_delays_the_next_reinvite() -> None:
    pair = Pair(answer=None)
    pair.call()
    pair.network.run(0.1)
    invite = parse(pair.platform.sent[0][1])
    pair.accept()
    ok = parse(pair.device.sent[-1][1])
    again = build_request(
        "INVITE",
        "sip:x@10.0.0.2",
        via="SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKagain",
        from_=invite.headers.get("From") or "",
        to=ok.headers.get("To") or "",
        call_id=invite.call_id,
        cseq=2,
    )
    flow = pair.device.flow_to(pair.platform)
    pair.device.endpoint.receive_message(serialize(again), flow, 0.1)
    ((data, _, _),) = pair.device.endpoint.messages_to_send(0.1)
    assert data.startswith(b"SIP/2.0 500")


def test_nothing_can_be_sent_in_a_session_that_has_ended() -> None:
    _, ours, _ = established()
    ours.bye(1.0)
    with pytest.raises(LocalProtocolError):
        ours.request("INFO", 1.0)


def test_nothing_is_left_after_a_session() -> None:
    pair, ours, _ = established()
    ours.bye(1.0)
    pair.network.run(2.0)
    assert pair.platform.endpoint.dialogs.active == 0
    pair.network.run(300.0)
    for host in (pair.platform, pair.device):
        assert len(host.endpoint.transactions) == 0
        assert host.endpoint.dialogs.held == 0
        assert host.endpoint.next_timer() is None


def test_routes_of_a_proxy_are_followed() -> None:
    pair = Pair(answer=None)
    call = pair.call()
    pair.network.run(0.1)
    pair.accept()
    ok = pair.device.sent[-1][1]
    routed = ok.replace(
        b"\r\nFrom:",
        b"\r\nRecord-Route: <sip:p2.example;lr>\r\nRecord-Route: <sip:p1.example;lr>\r\nFrom:",
    )
    flow = pair.platform.flow_to(pair.device)
    pair.platform.endpoint.receive_message(routed, flow, 0.1)
    ((ack, _, _),) = pair.platform.endpoint.messages_to_send(0.1)
    assert parse(ack).headers.get_all("Route") == ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]
    assert call.session is not None
    assert isinstance(pair.platform.endpoint.next_event(), InviteAccepted)


@pytest.mark.parametrize(("method", "status"), [("INFO", 481), ("INVITE", 481), ("BYE", 200)])
def test_after_the_end_only_bye_is_answered_well(method: str, status: int) -> None:
    pair, ours, theirs = established()
    ours.bye(1.0)
    pair.network.run(2.0)
    assert deliver(pair, from_device(pair, theirs, method)).status == status


def test_a_message_after_the_end_is_delivered_outside_the_dialog() -> None:
    pair, ours, theirs = established()
    ours.bye(1.0)
    pair.network.run(2.0)
    data = from_device(pair, theirs, "MESSAGE")
    pair.platform.endpoint.receive_message(data, pair.platform.flow_to(pair.device), 2.0)
    event = pair.platform.endpoint.next_event()
    assert isinstance(event, RequestReceived)
    assert event.session is None
