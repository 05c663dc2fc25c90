"""Clocks of peers' subscriptions (GB/T 28181-2022 annex N, RFC 6665 4.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.flow.subscription import (
    GRACE,
    SubscriptionTimers,
    active_state,
    clamp_expires,
    terminated_state,
)
from gb28181.sip.header.value import parse_subscription_state


@pytest.mark.parametrize(
    ("asked", "granted"),
    [(None, 600), (-5, 600), (0, 0), (1, 60), (90, 90), (600, 600), (2**32 - 1, 86_400)],
)
def test_no_wish_is_refused_but_absurd_ones_are_clamped(asked: int | None, granted: int) -> None:
    assert clamp_expires(asked) == granted


def test_a_subscription_expires_unless_it_is_refreshed() -> None:
    timers: SubscriptionTimers[str] = SubscriptionTimers()
    assert timers.subscribe("a", 600, 0.0) == 600
    assert timers.subscribe("b", 90, 0.0) == 90
    assert timers.next_timer() == 90 + GRACE
    assert timers.handle_timer(90.0) == []
    assert timers.subscribe("b", 90, 93.0) == 90
    assert timers.handle_timer(100.0) == []
    assert timers.handle_timer(183.0 + GRACE) == ["b"]
    assert timers.handle_timer(10_000.0) == ["a"]
    assert timers.next_timer() is None
    assert len(timers) == 0


def test_what_is_left_is_told_in_each_notify() -> None:
    timers: SubscriptionTimers[str] = SubscriptionTimers()
    timers.subscribe("a", 600, 0.0)
    assert timers.state("a", 10.4) == "active;expires=590"
    assert timers.state("a", 602.0) == "active;expires=1"
    assert timers.subscribe("a", 0, 603.0) == 0
    assert timers.state("a", 603.0) == "terminated;reason=timeout"
    assert timers.remaining("a", 603.0) == 0
    timers.forget("a")
    assert timers.next_timer() is None


@given(st.integers(1, 2**32 - 1), st.sampled_from(["timeout", "noresource", "deactivated"]))
def test_the_states_read_back(remaining: int, reason: str) -> None:
    active = parse_subscription_state(active_state(remaining))
    assert (active.value, active.params.get("expires")) == ("active", str(remaining))
    last = parse_subscription_state(terminated_state(reason))
    assert (last.value, last.params.get("reason")) == ("terminated", reason)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.none() | st.integers(-1, 100_000), st.floats(0, 500)),
        max_size=60,
    )
)
def test_each_subscription_expires_once_and_in_time(
    history: list[tuple[int, int | None, float]],
) -> None:
    timers: SubscriptionTimers[int] = SubscriptionTimers()
    ends: dict[int, float] = {}
    now = 0.0
    for key, asked, passed in history:
        now += passed
        due = {k for k, end in ends.items() if end + GRACE <= now}
        assert set(timers.handle_timer(now)) == due
        ends = {k: end for k, end in ends.items() if k not in due}
        granted = timers.subscribe(key, asked, now)
        ends.pop(key, None)
        if granted:
            ends[key] = now + granted
        assert len(timers) == len(ends)
    assert set(timers.handle_timer(now + 100_000)) == set(ends)
