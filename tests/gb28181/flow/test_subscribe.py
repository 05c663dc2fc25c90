"""A subscription of ours over time (GB/T 28181-2022 annex N, RFC 6665 4.1)."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.flow.subscribe import (
    MAX_RETRY,
    MIN_GRANTED,
    STEADY,
    Event,
    NotOffered,
    SendSubscribe,
    Stopped,
    SubscribeClient,
    SubscribeClientConfig,
    SubscribeClientState,
    Subscribed,
    SubscribeFailed,
    Unsubscribed,
    clamp_granted,
)
from gb28181.sip.message import Headers, Response

State = SubscribeClientState


def client(*, fraction: float = 0.0, **changes: object) -> SubscribeClient:
    return SubscribeClient(
        SubscribeClientConfig(**changes),  # type: ignore[arg-type]
        new_fraction=lambda: fraction,
    )


def events(subscriber: SubscribeClient) -> list[Event]:
    return list(iter(subscriber.next_event, None))


def answer(status: int = 200, *headers: tuple[str, str]) -> Response:
    return Response(status, "Reason", Headers(headers), b"")


def sent(subscriber: SubscribeClient) -> SendSubscribe:
    """Return the one SUBSCRIBE among the next events, which is the last."""
    *news, send = events(subscriber)
    assert isinstance(send, SendSubscribe)
    assert not any(isinstance(event, SendSubscribe) for event in news)
    return send


def subscribed(
    now: float = 0.0, granted: str = "600", **changes: object
) -> tuple[SubscribeClient, int]:
    """Return a client whose subscription stands, and the number of its SUBSCRIBE."""
    subscriber = client(**changes)  # type: ignore[arg-type]
    subscriber.start(now)
    send = sent(subscriber)
    subscriber.receive_response(send.number, answer(200, ("Expires", granted)), now)
    assert [type(event) for event in events(subscriber)] == [Subscribed]
    return subscriber, send.number


def test_it_subscribes_refreshes_in_time_and_cancels() -> None:
    subscriber, _ = subscribed()
    assert subscriber.next_timer() == 480.0
    subscriber.handle_timer(479.9)
    assert events(subscriber) == []
    subscriber.handle_timer(480.0)
    refresh = sent(subscriber)
    assert (refresh.expires, refresh.inside) == (600, True)
    subscriber.receive_response(refresh.number, answer(200), 480.5)
    assert events(subscriber) == []
    assert subscriber.next_timer() == 960.5
    subscriber.stop(500.0)
    cancel = sent(subscriber)
    assert (cancel.expires, cancel.inside) == (0, True)
    assert subscriber.next_timer() is None
    subscriber.receive_response(cancel.number, answer(200), 501.0)
    assert events(subscriber) == [Stopped(confirmed=True)]
    assert subscriber.state is State.STOPPED
    assert not subscriber.is_active


def test_refreshes_are_spread_but_never_late() -> None:
    for fraction in (0.0, 0.5, 0.999):
        subscriber, _ = subscribed(fraction=fraction)
        assert 0.7 * 600 < (subscriber.next_timer() or 0.0) <= 0.8 * 600


@pytest.mark.parametrize(
    ("granted", "refresh_at"),
    [
        ("1", 0.8 * MIN_GRANTED),
        ("0", 480.0),
        ("90", 72.0),
        ("4294967295", 0.8 * 86_400),
        ("junk", 480.0),
    ],
)
def test_an_absurd_grant_makes_a_usable_refresh(granted: str, refresh_at: float) -> None:
    subscriber, _ = subscribed(granted=granted)
    assert subscriber.next_timer() == pytest.approx(refresh_at)


@given(st.none() | st.integers(-(2**40), 2**40), st.integers(1, 86_400))
def test_any_grant_is_clamped(granted: int | None, asked: int) -> None:
    assert MIN_GRANTED <= clamp_granted(granted, asked) <= 86_400


@pytest.mark.parametrize("status", [405, 489, 501])
def test_a_peer_without_such_subscriptions_is_left_alone(status: int) -> None:
    subscriber = client()
    subscriber.start(0.0)
    subscriber.receive_response(sent(subscriber).number, answer(status), 1.0)
    assert events(subscriber) == [NotOffered(status, f"SUBSCRIBE answered {status} Reason")]
    assert subscriber.state is State.NOT_OFFERED
    assert subscriber.next_timer() is None
    subscriber.start(2.0)
    assert sent(subscriber).inside is False


def test_failures_are_retried_with_growing_delays() -> None:
    subscriber = client(fraction=0.25, retry_delay=60.0)
    subscriber.start(0.0)
    now, delays = 0.0, []
    for _ in range(12):
        subscriber.subscribe_failed(sent(subscriber).number, now, "no answer")
        (failed,) = events(subscriber)
        assert isinstance(failed, SubscribeFailed)
        delays.append(failed.retry_in)
        now = subscriber.next_timer() or math.inf
        subscriber.handle_timer(now)
    assert delays[:3] == [75.0, 150.0, 300.0]
    assert max(delays) == delays[-1] == MAX_RETRY * 1.25
    subscriber.receive_response(sent(subscriber).number, answer(), now)
    assert subscriber.is_active


@pytest.mark.parametrize(
    ("value", "delay"),
    [
        ("5", 5.0),
        ("5 (later);duration=9", 5.0),
        ("99999999", MAX_RETRY),
        ("soon", 60.0),
        ("0", 60.0),
    ],
)
def test_retry_after_is_obeyed_within_reason(value: str, delay: float) -> None:
    subscriber = client()
    subscriber.start(0.0)
    subscriber.receive_response(sent(subscriber).number, answer(503, ("Retry-After", value)), 0.0)
    assert subscriber.next_timer() == delay


def test_423_raises_what_is_asked_for_once() -> None:
    subscriber = client()
    subscriber.start(0.0)
    subscriber.receive_response(sent(subscriber).number, answer(423, ("Min-Expires", "3600")), 0.0)
    again = sent(subscriber)
    assert (again.expires, again.inside) == (3600, False)
    subscriber.receive_response(again.number, answer(423, ("Min-Expires", "7200")), 0.0)
    assert subscriber.state is State.WAITING


@pytest.mark.parametrize("value", ["", "60", "-1", "86401", "9" * 30, "\u0661\u0662\u0663\u0664"])
def test_423_without_a_usable_min_expires_is_a_refusal(value: str) -> None:
    subscriber = client()
    subscriber.start(0.0)
    subscriber.receive_response(sent(subscriber).number, answer(423, ("Min-Expires", value)), 0.0)
    assert subscriber.state is State.WAITING


@pytest.mark.parametrize("status", [400, 403, 481, 500])
def test_a_refused_refresh_makes_a_new_dialog_without_a_gap(status: int) -> None:
    subscriber, _ = subscribed()
    subscriber.handle_timer(480.0)
    subscriber.receive_response(sent(subscriber).number, answer(status), 480.1)
    (again,) = events(subscriber)
    assert again == SendSubscribe(number=3, expires=600, inside=False)
    subscriber.receive_response(3, answer(200), 480.2)
    assert events(subscriber) == []
    assert subscriber.is_active


def test_a_refresh_refused_twice_is_a_loss() -> None:
    subscriber, _ = subscribed()
    subscriber.handle_timer(480.0)
    subscriber.receive_response(sent(subscriber).number, answer(500), 480.1)
    subscriber.receive_response(sent(subscriber).number, answer(500), 480.2)
    lost, failed = events(subscriber)
    assert isinstance(lost, Unsubscribed)
    assert isinstance(failed, SubscribeFailed)
    assert failed.retry_in == 60.0


def test_an_unanswered_refresh_is_a_loss_and_is_tried_anew() -> None:
    subscriber, _ = subscribed()
    subscriber.handle_timer(480.0)
    subscriber.subscribe_failed(sent(subscriber).number, 512.0, "no answer")
    assert [type(event) for event in events(subscriber)] == [Unsubscribed, SubscribeFailed]
    subscriber.handle_timer(572.0)
    assert sent(subscriber) == SendSubscribe(number=3, expires=600, inside=False)


def test_a_dialog_that_ends_while_it_is_refreshed_is_replaced_and_its_answer_absorbed() -> None:
    subscriber, _ = subscribed()
    subscriber.handle_timer(480.0)
    refresh = sent(subscriber)
    subscriber.ended(480.1, "gone")
    again = sent(subscriber)
    assert again.inside is False
    subscriber.receive_response(refresh.number, answer(481), 480.1)
    subscriber.subscribe_failed(refresh.number, 480.1, "late")
    assert events(subscriber) == []
    subscriber.receive_response(again.number, answer(200), 480.2)
    assert subscriber.state is State.ACTIVE


def test_a_dialog_that_ends_after_a_while_is_made_anew_at_once() -> None:
    subscriber, _ = subscribed()
    subscriber.ended(STEADY, "gone")
    lost, send = events(subscriber)
    assert lost == Unsubscribed("the dialog ended: gone")
    assert send == SendSubscribe(number=2, expires=600, inside=False)


def test_a_dialog_that_ends_again_and_again_is_made_anew_ever_more_slowly() -> None:
    subscriber, _ = subscribed()
    now, waits = 0.0, []
    for _ in range(4):
        subscriber.ended(now + 1.0, "gone")
        due = subscriber.next_timer()
        assert due is not None
        waits.append(due - now - 1.0)
        now = due
        subscriber.handle_timer(now)
        subscriber.receive_response(sent(subscriber).number, answer(200), now)
        events(subscriber)
    assert waits == [60.0, 120.0, 240.0, 480.0]


@pytest.mark.parametrize(
    ("state", "expected", "due"),
    [
        ("terminated;reason=deactivated", State.SUBSCRIBING, None),
        ("terminated;reason=timeout", State.SUBSCRIBING, None),
        ("Terminated", State.SUBSCRIBING, None),
        ("terminated;reason=odd;x=y", State.SUBSCRIBING, None),
        ("terminated;reason=probation", State.WAITING, 160.0),
        ("terminated;reason=giveup", State.WAITING, 160.0),
        ("terminated;reason=giveup;retry-after=10", State.WAITING, 110.0),
        ("terminated;retry-after=10", State.WAITING, 110.0),
        ("terminated;retry-after=0", State.SUBSCRIBING, None),
        ("terminated;reason=noresource", State.WAITING, 100.0 + MAX_RETRY),
        ("terminated;reason=rejected", State.NOT_OFFERED, None),
        ("terminated;reason=invariant", State.NOT_OFFERED, None),
        ("terminated;retry-after=junk", State.ACTIVE, 480.0),
        ("", State.ACTIVE, 480.0),
        ("active", State.ACTIVE, 480.0),
        ("active;expires=90;retry-after=0", State.ACTIVE, 172.0),
        ("active;expires=1", State.ACTIVE, 480.0),
        ("active;expires=9999", State.ACTIVE, 480.0),
    ],
)
def test_what_a_notify_says_of_the_subscription_is_obeyed(
    state: str, expected: State, due: float | None
) -> None:
    subscriber, _ = subscribed()
    subscriber.notified(state, 100.0)
    assert subscriber.state is expected
    assert subscriber.next_timer() == due
    assert subscriber.is_active == (expected is State.ACTIVE)


def test_a_number_that_is_the_same_in_each_notify_does_not_put_the_refresh_off() -> None:
    subscriber, _ = subscribed()
    for now in range(10, 100, 10):
        subscriber.notified("active;expires=90", float(now))
    assert subscriber.next_timer() == 10.0 + 0.8 * 90


def test_a_notify_without_a_state_says_nothing() -> None:
    subscriber, _ = subscribed()
    subscriber.notified(None, 1.0)
    assert subscriber.state is State.ACTIVE


def test_what_ends_before_its_200_is_a_failure_when_the_200_comes() -> None:
    subscriber = client()
    subscriber.start(0.0)
    send = sent(subscriber)
    subscriber.notified("terminated;reason=noresource", 0.1)
    subscriber.ended(0.1, "terminated")
    assert events(subscriber) == []
    subscriber.receive_response(send.number, answer(200), 0.2)
    assert events(subscriber) == [
        SubscribeFailed(200, "the notifier ended it at once: noresource", 60.0)
    ]


def test_stopping_while_nothing_stands_sends_nothing() -> None:
    subscriber = client()
    subscriber.stop(0.0)
    assert events(subscriber) == [Stopped(confirmed=False)]
    subscriber.stop(0.0)
    assert events(subscriber) == []
    subscriber.start(1.0)
    late = sent(subscriber)
    subscriber.stop(1.1)
    assert events(subscriber) == [Stopped(confirmed=False)]
    subscriber.receive_response(late.number, answer(200), 1.2)
    assert events(subscriber) == []
    assert subscriber.next_timer() is None


@pytest.mark.parametrize("how", ["failed", "ended", "refused"])
def test_a_cancellation_ends_whatever_comes_of_it(how: str) -> None:
    subscriber, _ = subscribed()
    subscriber.stop(1.0)
    number = sent(subscriber).number
    {
        "failed": lambda: subscriber.subscribe_failed(number, 2.0, "no answer"),
        "ended": lambda: subscriber.ended(2.0, "connection_lost"),
        "refused": lambda: subscriber.receive_response(number, answer(481), 2.0),
    }[how]()
    assert events(subscriber) == [Stopped(confirmed=False)]


def test_starting_again_replaces_what_stands() -> None:
    subscriber, number = subscribed()
    subscriber.start(5.0)
    lost, send = events(subscriber)
    assert isinstance(lost, Unsubscribed)
    assert isinstance(send, SendSubscribe)
    subscriber.receive_response(number, answer(200), 5.0)
    assert subscriber.state is State.SUBSCRIBING


def test_a_refresh_may_be_asked_for() -> None:
    subscriber, _ = subscribed()
    subscriber.refresh(5.0)
    assert sent(subscriber).inside is True
    subscriber.refresh(5.0)
    assert events(subscriber) == []


ANSWERS = {
    "ok": answer(200),
    "404": answer(404),
    "405": answer(405),
    "423": answer(423, ("Min-Expires", "3600")),
    "481": answer(481),
}
Call = Callable[[SubscribeClient, float], None]


def answering(response: Response) -> Call:
    def call(subscriber: SubscribeClient, now: float) -> None:
        subscriber.receive_response(subscriber._number, response, now)

    return call


CALLS: dict[str, Call] = {
    "start": SubscribeClient.start,
    "refresh": SubscribeClient.refresh,
    "stop": SubscribeClient.stop,
    "tick": SubscribeClient.handle_timer,
    "fail": lambda subscriber, now: subscriber.subscribe_failed(subscriber._number, now, "x"),
    "end": lambda subscriber, now: subscriber.ended(now, "x"),
    "bye": lambda subscriber, now: subscriber.notified("terminated", now),
    **{name: answering(response) for name, response in ANSWERS.items()},
}


@given(st.lists(st.tuples(st.sampled_from(sorted(CALLS)), st.floats(0, 1000)), max_size=40))
def test_any_history_keeps_its_promises(history: list[tuple[str, float]]) -> None:
    subscriber, now, number, told = client(), 0.0, 0, False
    for step, passed in history:
        now += passed
        CALLS[step](subscriber, now)
        for event in events(subscriber):
            if isinstance(event, SendSubscribe):
                assert event.number > number
                number = event.number
            if isinstance(event, Subscribed):
                assert not told
                told = True
            if isinstance(event, (Unsubscribed, Stopped)):
                told = False
        assert told == subscriber.is_active
        # It always waits for somebody: an answer, a timer, or to be started.
        waits = subscriber.state in {State.ACTIVE, State.WAITING}
        assert (subscriber.next_timer() is not None) == waits
