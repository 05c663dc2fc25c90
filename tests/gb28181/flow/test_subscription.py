"""Lengths of peers' subscriptions (GB/T 28181-2022 annex N, RFC 6665 4.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.flow.subscription import (
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


@given(st.integers(1, 2**32 - 1), st.sampled_from(["timeout", "noresource", "deactivated"]))
def test_the_states_read_back(remaining: int, reason: str) -> None:
    active = parse_subscription_state(active_state(remaining))
    assert (active.value, active.params.get("expires")) == ("active", str(remaining))
    last = parse_subscription_state(terminated_state(reason))
    assert (last.value, last.params.get("reason")) == ("terminated", reason)
