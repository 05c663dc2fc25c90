"""Subscriptions of ours (RFC 6665 4.1), between two endpoints on a virtual clock."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError
from gb28181.sip.build import build_request
from gb28181.sip.dialog.request import RequestFailed, ResponseReceived
from gb28181.sip.dialog.subscriber import (
    Subscriber,
    SubscriberEnded,
    SubscriberInput,
    SubscriberState,
)
from gb28181.sip.dialog.subscription import SubscriptionEnd
from gb28181.sip.endpoint import Flow, RequestReceived
from gb28181.sip.message import Response
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize
from tests.support.net import Faults
from tests.support.subscriptions import QUERY, SubscriptionPair

TO_US = Flow(transport="UDP", remote=("10.0.0.2", 5060), local=("10.0.0.1", 5060))
_branches = itertools.count()


def notify_bytes(
    subscriber: Subscriber,
    *,
    from_tag: str = "dtag",
    to_tag: str | None = "ours",
    call_id: str | None = None,
    state: str = "active",
    contact: str = "sip:d@192.168.1.64:5060",
) -> bytes:
    """Build a NOTIFY as some device would; `to_tag` "ours" is the subscriber's own."""
    dialog = subscriber.dialog
    tag = dialog.local_tag if to_tag == "ours" else to_tag
    to = dialog.local.partition(";tag=")[0]
    request = build_request(
        "NOTIFY",
        "sip:p@10.0.0.1",
        via=f"SIP/2.0/UDP 10.0.0.2:5060;rport;branch=z9hG4bKn{next(_branches)}",
        from_=f"<sip:34020000001110000001@3402000000>;tag={from_tag}",
        to=to if tag is None else f"{to};tag={tag}",
        call_id=call_id or dialog.call_id,
        cseq=1,
        headers=[
            ("Event", "presence"),
            ("Subscription-State", state),
            ("Contact", f"<{contact}>"),
        ],
        body=b"<Notify/>",
        content_type="Application/MANSCDP+xml",
    )
    return serialize(request)


def deliver(pair: SubscriptionPair, data: bytes, flow: Flow = TO_US) -> int:
    """Give the platform a datagram and return the status of its answer."""
    before = len(pair.platform.sent)
    pair.platform.endpoint.receive_message(data, flow, pair.network.now)
    pair.platform.pump()
    answers = [parse(sent) for _, sent in pair.platform.sent[before:]]
    (answer,) = [answer for answer in answers if isinstance(answer, Response)]
    return answer.status


def test_a_subscription_is_made_notified_refreshed_and_cancelled() -> None:
    pair = SubscriptionPair()
    subscriber, notifier = pair.established()
    assert subscriber.state is SubscriberState.ACTIVE
    pair.notify()
    pair.network.run(2.0)
    assert [notice.subscription for notice in pair.notices] == [subscriber]
    subscriber.subscribe_again(2.0, expires=300)
    pair.network.run(3.0)
    assert pair.asked[1].subscription is notifier
    subscriber.subscribe_again(3.0, expires=0)
    pair.network.run(4.0)
    assert subscriber.ended
    outcomes = pair.platform.of(ResponseReceived)
    assert [event.response.status for event in outcomes] == [200, 200, 200]  # type: ignore[union-attr]
    assert pair.platform.of(SubscriberEnded) == []


def test_refresh_and_cancellation_repeat_the_first_subscribe_inside_the_dialog() -> None:
    pair = SubscriptionPair()
    subscriber, _ = pair.established(headers=[("Monitor-User-Identity", "a-b")])
    subscriber.subscribe_again(1.0, expires=600)
    subscriber.subscribe_again(1.0, expires=0, body=b"<Other/>")
    pair.network.run(2.0)
    first, again, last = pair.requests_of(pair.platform, "SUBSCRIBE")
    assert first.to.tag is None
    assert again.to.tag == last.to.tag == subscriber.dialog.remote_tag
    assert {first.call_id} == {again.call_id, last.call_id}
    assert first.from_.tag == again.from_.tag == last.from_.tag
    assert [request.cseq.number for request in (first, again, last)] == [1, 2, 3]
    for name in ("Event", "Contact", "Content-Type", "Monitor-User-Identity", "User-Agent"):
        assert first.headers.get_all(name) == again.headers.get_all(name)
        assert first.headers.get_all(name) == last.headers.get_all(name)
    assert (first.body, again.body, last.body) == (QUERY, QUERY, b"<Other/>")
    assert [request.expires for request in (first, again, last)] == [600, 600, 0]
    assert again.uri == "sip:34020000001110000001@10.0.0.2:5060"


def test_a_notify_before_the_2xx_makes_the_dialog() -> None:
    pair = SubscriptionPair(answer=None)
    subscriber = pair.subscribe()
    assert deliver(pair, notify_bytes(subscriber)) == 200
    states = [subscriber.state]
    assert pair.notices[0].subscription is subscriber
    assert subscriber.dialog.remote_tag == "dtag"
    pair.network.run(0.1)
    pair.device.endpoint.accept_subscribe(pair.asked[0], expires=600, now=0.1)
    pair.device.pump()
    pair.network.run(1.0)
    states.append(subscriber.state)
    assert states == [SubscriberState.EARLY, SubscriberState.ACTIVE]


def test_a_last_notify_before_the_2xx_ends_it_after_it_was_delivered() -> None:
    pair = SubscriptionPair(answer=None)
    subscriber = pair.subscribe()
    assert deliver(pair, notify_bytes(subscriber, state="Terminated;reason=rejected")) == 200
    kinds = [type(event) for event in pair.platform.events]
    assert kinds == [RequestReceived, SubscriberEnded]
    assert pair.platform.events[1] == SubscriberEnded(subscriber, SubscriptionEnd.TERMINATED)
    assert deliver(pair, notify_bytes(subscriber)) == 481


def test_the_notifiers_end_is_told_after_its_last_notify() -> None:
    pair = SubscriptionPair()
    subscriber, _ = pair.established()
    pair.notify("terminated;reason=noresource", b"")
    pair.network.run(2.0)
    told = [e for e in pair.platform.events if isinstance(e, (RequestReceived, SubscriberEnded))]
    assert told == [pair.notices[0], SubscriberEnded(subscriber, SubscriptionEnd.TERMINATED)]
    assert pair.statuses_of(pair.platform) == [200]
    with pytest.raises(LocalProtocolError):
        subscriber.subscribe_again(2.0, expires=600)


@pytest.mark.parametrize("to_tag", ["foreign", "ours"])
def test_a_notify_with_a_to_tag_of_no_dialog_is_answered_481(to_tag: str) -> None:
    pair = SubscriptionPair()
    subscriber, _ = pair.established()
    data = notify_bytes(subscriber, to_tag=to_tag, call_id="another@10.0.0.2")
    assert deliver(pair, data) == 481
    assert pair.notices == []


def test_a_notify_outside_any_dialog_goes_to_the_user() -> None:
    pair = SubscriptionPair()
    subscriber, _ = pair.established()
    assert deliver(pair, notify_bytes(subscriber, to_tag=None, call_id="new@10.0.0.2")) == 200
    assert pair.notices[0].subscription is None


@pytest.mark.parametrize(
    "tags",
    [
        {"from_tag": "other"},
        {"to_tag": None},
        {"to_tag": "garbled"},
    ],
)
def test_wrong_tags_are_forgiven_from_the_notifiers_own_address_only(
    tags: dict[str, str | None],
) -> None:
    pair = SubscriptionPair()
    subscriber, _ = pair.established()
    data = notify_bytes(subscriber, **tags)  # type: ignore[arg-type]
    stranger = Flow(transport="UDP", remote=("192.0.2.9", 5060), local=("10.0.0.1", 5060))
    pair.notified = None
    pair.platform.endpoint.receive_message(data, stranger, 1.0)
    pair.platform.pump()
    assert all(notice.subscription is None for notice in pair.notices)
    pair.notices.clear()
    pair.notified = 200
    data = notify_bytes(subscriber, **tags)  # type: ignore[arg-type]
    assert deliver(pair, data) == 200
    assert pair.notices[0].subscription is subscriber


def test_where_the_notifier_is_now_is_learnt_from_its_notify() -> None:
    pair = SubscriptionPair()
    subscriber, _ = pair.established()
    moved = Flow(transport="UDP", remote=("10.0.0.2", 61_000), local=("10.0.0.1", 5060))
    tag = subscriber.dialog.remote_tag or ""
    deliver(pair, notify_bytes(subscriber, from_tag=tag, contact="sip:moved@10.9.9.9"), moved)
    subscriber.subscribe_again(1.0, expires=600)
    ((data, flow, _),) = pair.platform.endpoint.messages_to_send(1.0)
    assert flow == moved
    assert data.startswith(b"SUBSCRIBE sip:moved@10.9.9.9 ")


@pytest.mark.parametrize("answer", [403, 405, 423, 481, 489, 501, 503])
def test_a_refused_subscription_is_its_outcome_and_leaves_nothing(answer: int) -> None:
    pair = SubscriptionPair(answer=answer)
    subscriber = pair.subscribe()
    pair.network.run(1.0)
    (outcome,) = pair.platform.of(ResponseReceived)
    assert isinstance(outcome, ResponseReceived)
    assert outcome.transaction is subscriber.transaction
    assert outcome.response.status == answer
    assert pair.platform.of(SubscriberEnded) == []
    assert pair.platform.endpoint.dialogs.held == 0


def test_a_subscription_nobody_answers_fails_after_timer_f() -> None:
    pair = SubscriptionPair(answer=None)
    pair.subscribe()
    pair.network.run(33.0)
    assert len(pair.platform.of(RequestFailed)) == 1
    assert pair.platform.endpoint.dialogs.held == 0


@pytest.mark.parametrize(
    ("answer", "ends"),
    [(481, True), (404, True), (489, True), (408, True), (500, False), (503, False), (400, False)],
)
def test_a_refused_refresh_ends_it_only_if_the_status_says_so(answer: int, ends: bool) -> None:
    pair = SubscriptionPair()
    subscriber, _ = pair.established()
    pair.answer = answer
    subscriber.subscribe_again(1.0, expires=600)
    pair.network.run(2.0)
    gone = [SubscriberEnded(subscriber, SubscriptionEnd.GONE)] if ends else []
    assert pair.platform.of(SubscriberEnded) == gone
    assert subscriber.ended is ends


def test_a_refresh_nobody_answers_ends_it() -> None:
    pair = SubscriptionPair()
    subscriber, _ = pair.established()
    pair.answer = None
    subscriber.subscribe_again(1.0, expires=600)
    pair.network.run(34.0)
    ended = SubscriberEnded(subscriber, SubscriptionEnd.TIMEOUT)
    assert pair.platform.of(SubscriberEnded) == [ended]


def test_what_comes_after_the_cancellation_is_acknowledged_and_thrown_away() -> None:
    pair = SubscriptionPair()
    subscriber, _ = pair.established()
    subscriber.subscribe_again(1.0, expires=0)
    pair.network.run(2.0)
    subscriber.close(2.0)
    pair.notify("terminated;reason=timeout", b"")
    pair.network.run(3.0)
    assert pair.notices == []
    assert pair.statuses_of(pair.platform) == [200]
    pair.network.run(100.0)
    assert pair.platform.endpoint.dialogs.held == 0
    assert pair.platform.endpoint.next_timer() is None


def test_a_closed_subscription_is_ended_over_there_by_481() -> None:
    pair = SubscriptionPair()
    subscriber, notifier = pair.established()
    subscriber.close(1.0)
    subscriber.close(1.0)
    assert pair.platform.endpoint.dialogs.held == 0
    pair.notify()
    pair.network.run(2.0)
    assert pair.statuses_of(pair.platform) == [481]
    assert notifier.ended


def test_closing_before_the_answer_stops_the_subscribe() -> None:
    pair = SubscriptionPair(answer=None)
    subscriber = pair.subscribe()
    subscriber.close(0.0)
    pair.network.run(5.0)
    assert len(pair.platform.sent) == 1
    assert len(pair.platform.endpoint.transactions) == 0
    with pytest.raises(LocalProtocolError):
        subscriber.subscribe_again(5.0, expires=600)


def test_a_lost_connection_ends_the_subscription_and_its_refresh_at_once() -> None:
    pair = SubscriptionPair()
    flow = Flow(transport="TCP", remote=("10.0.0.2", 5060), local=("10.0.0.1", 9), connection=7)
    subscriber = pair.subscribe(flow=flow)
    ok = notify_ok(pair.platform.sent[0][1])
    pair.platform.endpoint.receive_message(ok, flow, 0.1)
    pair.platform.pump()
    assert subscriber.state is SubscriberState.ACTIVE
    subscriber.subscribe_again(1.0, expires=600)
    pair.platform.endpoint.connection_lost(7, 1.0)
    pair.platform.pump()
    lost = SubscriberEnded(subscriber, SubscriptionEnd.CONNECTION_LOST)
    assert pair.platform.of(SubscriberEnded) == [lost]
    assert len(pair.platform.of(RequestFailed)) == 1
    assert pair.platform.endpoint.dialogs.held == 0


@pytest.mark.parametrize("early", [True, False])
def test_a_200_without_a_to_tag_leaves_the_tag_to_the_notify(early: bool) -> None:
    pair = SubscriptionPair(answer=None)
    subscriber = pair.subscribe()
    ok = notify_ok(pair.platform.sent[0][1]).replace(b";tag=d", b"")
    if early:
        assert deliver(pair, notify_bytes(subscriber)) == 200
    pair.platform.endpoint.receive_message(ok, TO_US, 0.1)
    pair.platform.pump()
    if not early:
        assert deliver(pair, notify_bytes(subscriber)) == 200
    subscriber.subscribe_again(1.0, expires=60)
    pair.platform.pump()
    assert pair.requests_of(pair.platform, "SUBSCRIBE")[-1].to.tag == "dtag"


def notify_ok(subscribe: bytes) -> bytes:
    """Answer a SUBSCRIBE by hand."""
    request = parse(subscribe)
    lines = [f"{n}: {request.headers.get(n)}" for n in ("Via", "From", "Call-ID", "CSeq")]
    head = ["SIP/2.0 200 OK", *lines, f"To: {request.headers.get('To')};tag=d", "Expires: 600"]
    return "\r\n".join([*head, "Content-Length: 0", "", ""]).encode()


def test_nothing_is_left_after_many_subscriptions_over_a_bad_network() -> None:
    pair = SubscriptionPair(Faults(loss=0.3, duplication=0.3, delay=(0.01, 0.4), seed=4))
    made = []
    for _ in range(20):
        made.append(pair.subscribe())
        pair.network.run(pair.network.now + 2.0)
        if pair.notifier is not None and not pair.notifier.ended:
            pair.notify()
    pair.network.run(pair.network.now + 40.0)
    alive = [subscriber for subscriber in made if not subscriber.ended]
    assert len(alive) > 10
    for subscriber in alive:
        subscriber.subscribe_again(pair.network.now, expires=0)
    pair.platform.pump()
    pair.network.run(pair.network.now + 200.0)
    assert pair.platform.endpoint.dialogs.held == 0
    assert len(pair.platform.endpoint.transactions) == 0
    assert pair.platform.endpoint.next_timer() is None


PAIRS = [(state, given) for state in SubscriberState for given in SubscriberInput]


def in_state(state: SubscriberState) -> tuple[SubscriptionPair, Subscriber]:
    pair = SubscriptionPair(answer=None)
    subscriber = pair.subscribe()
    subscriber.state = state
    return pair, subscriber


@pytest.mark.parametrize(("state", "given"), PAIRS)
def test_each_pair_of_state_and_input_is_in_the_table_or_absorbed(
    state: SubscriberState, given: SubscriberInput
) -> None:
    pair, subscriber = in_state(state)
    expected, _ = Subscriber._TABLE.get((state, given), (state, None))
    subscriber._step(given, 1.0)
    pair.platform.pump()
    assert subscriber.state is expected
    by_us = given in (SubscriberInput.CLOSE, SubscriberInput.LINGERED)
    unborn = state in (SubscriberState.SUBSCRIBING, SubscriberState.EARLY)
    ended = state is not expected is SubscriberState.ENDED
    told = ended and not by_us and state is not SubscriberState.LEAVING
    told &= not unborn or given is SubscriberInput.LAST_NOTIFIED
    assert len(pair.platform.of(SubscriberEnded)) == told


@given(st.lists(st.sampled_from(SubscriberInput), max_size=12))
def test_any_history_ends_at_most_once_and_then_nothing_moves(
    history: list[SubscriberInput],
) -> None:
    pair, subscriber = in_state(SubscriberState.SUBSCRIBING)
    over = False
    for given_input in history:
        subscriber._step(given_input, 1.0)
        assert not over or subscriber.state is SubscriberState.ENDED
        over = subscriber.state is SubscriberState.ENDED
    subscriber.close(1.0)
    subscriber._step(SubscriberInput.LINGERED, 40.0)
    pair.platform.pump()
    assert len(pair.platform.of(SubscriberEnded)) <= 1
    assert pair.platform.endpoint.dialogs.held == 0
