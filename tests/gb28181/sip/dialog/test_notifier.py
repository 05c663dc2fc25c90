"""Subscriptions of a peer (RFC 6665 4.2), between two endpoints on a virtual clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError
from gb28181.sip.build import build_request
from gb28181.sip.dialog.notifier import Notifier, NotifierEnded, NotifierInput, NotifierState
from gb28181.sip.dialog.request import ResponseReceived
from gb28181.sip.dialog.subscription import SubscriptionEnd
from gb28181.sip.endpoint import Flow, receiver
from gb28181.sip.message import Response
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize
from tests.support.subscriptions import SubscriptionPair

FROM_US = Flow(transport="UDP", remote=("10.0.0.1", 5060), local=("10.0.0.2", 5060))


def subscribe_bytes(notifier: Notifier, number: int = 2, /, **changes: str) -> bytes:
    """Build a SUBSCRIBE inside the dialog; `changes` spoil one of its parts."""
    dialog = notifier.dialog
    parts = {
        "via": f"SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKs{number}" + "".join(changes),
        "from_": dialog.remote,
        "to": dialog.local,
        "call_id": dialog.call_id,
    } | changes
    request = build_request(
        "SUBSCRIBE",
        dialog.target,
        cseq=number,
        headers=[("Event", "Catalog;id=1894"), ("Expires", "60"), ("Contact", "<sip:x@10.8.8.8>")],
        body=b"<Query/>",
        content_type="Application/MANSCDP+xml",
        **parts,  # type: ignore[arg-type]
    )
    return serialize(request)


def deliver(pair: SubscriptionPair, data: bytes, flow: Flow = FROM_US) -> Response:
    """Give the device a datagram and return its answer."""
    before = len(pair.device.sent)
    pair.device.endpoint.receive_message(data, flow, pair.network.now)
    pair.device.pump()
    answers = [parse(sent) for _, sent in pair.device.sent[before:]]
    (answer,) = [answer for answer in answers if isinstance(answer, Response)]
    return answer


def test_the_200_carries_expires_contact_and_the_tag_of_the_dialog() -> None:
    pair = SubscriptionPair()
    _, notifier = pair.established()
    (ok,) = [message for message in pair.sent_by(pair.device) if isinstance(message, Response)]
    assert (ok.status, ok.expires, ok.body) == (200, 600, b"")
    assert ok.to.tag == notifier.dialog.local_tag
    assert ok.contact is not None
    assert ok.contact.uri == "sip:34020000001110000001@10.0.0.2:5060"


def test_a_notify_goes_into_the_dialog_with_the_subscribers_event() -> None:
    pair = SubscriptionPair()
    subscriber, notifier = pair.established()
    pair.notify("active;expires=590")
    (notify,) = pair.requests_of(pair.device, "NOTIFY")
    assert notify.headers.get("Event") == "Catalog;id=1894"
    assert notify.headers.get("Subscription-State") == "active;expires=590"
    assert notify.contact is not None
    assert notify.content_type == "application/manscdp+xml"
    assert notify.call_id == subscriber.dialog.call_id
    assert notify.from_.tag == notifier.dialog.local_tag
    assert notify.to.tag == subscriber.dialog.local_tag
    assert notify.uri == "sip:34020000002000000001@10.0.0.1:5060"


def test_a_contact_of_the_users_own_is_the_only_one() -> None:
    pair = SubscriptionPair()
    _, notifier = pair.established()
    own = ("Contact", "<sip:own@198.51.100.1:5060>")
    notifier.notify(1.0, state="active", headers=[own])
    pair.device.pump()
    (notify,) = pair.requests_of(pair.device, "NOTIFY")
    assert notify.headers.get_all("Contact") == [own[1]]


def test_an_empty_notify_has_no_content_type_and_the_last_one_ends_the_dialog() -> None:
    pair = SubscriptionPair()
    _, notifier = pair.established()
    pair.notify("terminated;reason=timeout", b"")
    assert notifier.ended
    pair.network.run(2.0)
    (notify,) = pair.requests_of(pair.device, "NOTIFY")
    assert "Content-Type" not in notify.headers
    assert pair.device.of(NotifierEnded) == []
    assert len(pair.device.of(ResponseReceived)) == 1
    with pytest.raises(LocalProtocolError):
        notifier.notify(2.0, state="active")
    assert deliver(pair, subscribe_bytes(notifier)).status == 481


def test_without_event_the_notify_says_presence() -> None:
    pair = SubscriptionPair(answer=None)
    pair.subscribe()
    pair.network.run(0.1)
    pair.asked[0].request.headers.remove("Event")
    notifier = pair.device.endpoint.accept_subscribe(pair.asked[0], expires=60, now=0.1)
    assert notifier is not None
    assert notifier.event == "presence"


def test_a_subscribe_inside_the_dialog_is_the_users_and_gets_a_contact() -> None:
    pair = SubscriptionPair()
    _, notifier = pair.established()
    moved = Flow(transport="UDP", remote=("10.0.0.1", 61_000), local=("10.0.0.2", 5060))
    answer = deliver(pair, subscribe_bytes(notifier), moved)
    assert (answer.status, answer.expires) == (200, 60)
    assert answer.contact is not None
    assert answer.to.tag == notifier.dialog.local_tag
    assert pair.asked[-1].subscription is notifier
    notifier.notify(1.0, state="active")
    ((data, flow, _),) = pair.device.endpoint.messages_to_send(1.0)
    assert flow == moved
    assert data.startswith(b"NOTIFY sip:x@10.8.8.8 ")


@pytest.mark.parametrize(
    "changes",
    [
        {"to": "<sip:34020000001110000001@3402000000>;tag=wrong"},
        {"from_": "<sip:34020000002000000001@3402000000>;tag=wrong"},
        {"call_id": "wrong@10.0.0.1"},
    ],
)
def test_a_subscribe_in_an_unknown_dialog_is_answered_481(changes: dict[str, str]) -> None:
    pair = SubscriptionPair()
    _, notifier = pair.established()
    assert deliver(pair, subscribe_bytes(notifier, **changes)).status == 481
    assert len(pair.asked) == 1
    assert not notifier.ended


def test_a_new_subscribe_with_the_old_call_id_opens_a_second_dialog() -> None:
    pair = SubscriptionPair()
    _, former = pair.established()
    data = subscribe_bytes(former, to="<sip:34020000001110000001@3402000000>")
    answer = deliver(pair, data)
    assert answer.status == 200
    assert pair.notifier is not None
    assert pair.notifier is not former
    assert answer.to.tag == pair.notifier.dialog.local_tag != former.dialog.local_tag
    assert pair.device.endpoint.dialogs.subscriptions == 2


def test_a_repeated_subscribe_is_answered_alike_and_opens_one_dialog() -> None:
    pair = SubscriptionPair()
    pair.established()
    first = pair.platform.sent[0][1]
    before = pair.device.sent[0][1]
    pair.device.endpoint.receive_message(first, FROM_US, 1.0)
    pair.device.pump()
    assert pair.device.sent[-1][1] == before
    assert pair.device.endpoint.dialogs.subscriptions == 1


@pytest.mark.parametrize(
    ("answer", "ends"),
    [(481, True), (404, True), (489, True), (408, True), (500, False), (503, False), (400, False)],
)
def test_a_refused_notify_ends_it_only_if_the_status_says_so(answer: int, ends: bool) -> None:
    pair = SubscriptionPair(notified=answer)
    _, notifier = pair.established()
    pair.notify()
    pair.network.run(2.0)
    gone = [NotifierEnded(notifier, SubscriptionEnd.GONE)] if ends else []
    assert pair.device.of(NotifierEnded) == gone
    assert notifier.ended is ends
    (outcome,) = pair.device.of(ResponseReceived)
    assert isinstance(outcome, ResponseReceived)
    assert outcome.response.status == answer


def test_a_notify_nobody_answers_ends_it_after_timer_f() -> None:
    pair = SubscriptionPair(notified=None)
    _, notifier = pair.established()
    pair.notify()
    pair.network.run(32.9)
    assert not notifier.ended
    pair.network.run(33.1)
    ended = NotifierEnded(notifier, SubscriptionEnd.TIMEOUT)
    assert pair.device.of(NotifierEnded) == [ended]
    assert pair.device.endpoint.dialogs.held == 0


def test_a_notify_that_cannot_be_sent_ends_it() -> None:
    pair = SubscriptionPair()
    _, notifier = pair.established()
    notifier.notify(1.0, state="active")
    ((_, _, transaction),) = pair.device.endpoint.messages_to_send(1.0)
    pair.device.endpoint.send_failed(transaction, 1.0)
    pair.device.pump()
    ended = NotifierEnded(notifier, SubscriptionEnd.UNREACHABLE)
    assert pair.device.of(NotifierEnded) == [ended]


def test_only_subscriptions_of_a_lost_connection_end() -> None:
    pair = SubscriptionPair()
    subscriber = pair.subscribe()
    data = pair.platform.sent[0][1]
    made = []
    for number in (1, 2):
        flow = Flow(
            transport="TCP",
            remote=("10.0.0.1", number),
            local=("10.0.0.2", 5060),
            connection=number,
        )
        pair.device.endpoint.receive_message(data, flow, 0.0)
        pair.device.pump()
        assert pair.notifier is not None
        made.append(pair.notifier)
    one, two = made
    two.retarget(one.dialog.flow)
    one.retarget(FROM_US)
    pair.device.endpoint.connection_lost(2, 1.0)
    assert not one.ended
    assert not two.ended
    pair.device.endpoint.connection_lost(1, 1.0)
    pair.device.pump()
    lost = NotifierEnded(two, SubscriptionEnd.CONNECTION_LOST)
    assert pair.device.of(NotifierEnded) == [lost]
    one.close(1.0)
    assert pair.device.endpoint.dialogs.held == 0
    assert subscriber.dialog.call_id == one.dialog.call_id


def test_what_is_no_new_subscribe_opens_no_subscription() -> None:
    pair = SubscriptionPair(answer=None)
    pair.subscribe()
    pair.network.run(0.1)
    endpoint = pair.device.endpoint
    assert endpoint.accept_subscribe(pair.asked[0], expires=60, now=0.1) is not None
    assert endpoint.accept_subscribe(pair.asked[0], expires=60, now=0.1) is None
    assert endpoint.dialogs.subscriptions == 1
    pair.platform.endpoint.request(
        "MESSAGE", "sip:x@y", flow=pair.platform.flow_to(pair.device), from_="<sip:x@y>",
        to="<sip:x@y>", now=0.1,
    )  # fmt: skip
    pair.network.run(0.2)
    with pytest.raises(LocalProtocolError):
        endpoint.accept_subscribe(pair.asked[-1], expires=60, now=0.2)


def test_beyond_the_bound_a_new_subscription_is_refused_and_a_refresh_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiver, "MAX_SUBSCRIPTIONS", 1)
    pair = SubscriptionPair()
    _, notifier = pair.established()
    pair.subscribe()
    pair.network.run(2.0)
    assert pair.statuses_of(pair.device) == [200, 503]
    assert deliver(pair, subscribe_bytes(notifier)).status == 200


def test_a_bye_or_an_ack_inside_a_subscription_harms_nothing() -> None:
    pair = SubscriptionPair()
    _, notifier = pair.established()
    for method in (b"BYE", b"ACK"):
        data = subscribe_bytes(notifier, 7).replace(b"SUBSCRIBE", method)
        pair.device.endpoint.receive_message(
            data.replace(b"z9hG4bKs7", b"z9" + method), FROM_US, 1.0
        )
    pair.device.pump()
    assert not notifier.ended
    assert pair.statuses_of(pair.device) == [200, 200]


def test_an_invite_inside_a_subscription_is_answered_481() -> None:
    pair = SubscriptionPair()
    _, notifier = pair.established()
    data = subscribe_bytes(notifier, 7).replace(b"SUBSCRIBE", b"INVITE")
    data = data.replace(b"Application/MANSCDP+xml", b"application/sdp")
    assert deliver(pair, data).status == 481


PAIRS = [(state, given) for state in NotifierState for given in NotifierInput]


@pytest.mark.parametrize(("state", "given"), PAIRS)
def test_every_input_ends_an_active_notifier_and_none_an_ended_one(
    state: NotifierState, given: NotifierInput
) -> None:
    pair = SubscriptionPair()
    _, notifier = pair.established()
    notifier.state = state
    notifier._step(given, 1.0)
    pair.device.pump()
    assert notifier.ended
    by_us = given in (NotifierInput.CLOSE, NotifierInput.TERMINATE)
    told = state is NotifierState.ACTIVE and not by_us
    assert len(pair.device.of(NotifierEnded)) == told


@given(st.lists(st.sampled_from(NotifierInput), min_size=1, max_size=6))
def test_any_history_ends_once(history: list[NotifierInput]) -> None:
    pair = SubscriptionPair()
    _, notifier = pair.established()
    for given_input in history:
        notifier._step(given_input, 1.0)
    pair.device.pump()
    assert len(pair.device.of(NotifierEnded)) <= 1
    assert notifier.ended
    assert pair.device.endpoint.dialogs.held == 0
