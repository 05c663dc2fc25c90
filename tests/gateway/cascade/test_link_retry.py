"""Which address is tried next and when: no clock, no sockets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cascade.link_retry import FAILOVER_PAUSE, MAX_DELAY, RetryPlan, redirection
from gateway.domain.platform import PlatformAddress
from tests.support.platform_book import platform

FIRST, SECOND, THIRD = (PlatformAddress(f"192.0.2.{number}", 5060) for number in (1, 2, 3))


def plan(*addresses: PlatformAddress, fraction: float = 0.0, least: float = 60.0) -> RetryPlan:
    config = platform(addresses=addresses or (FIRST,), retry_delay=least)
    return RetryPlan(config, lambda: fraction)


def seconds(of: RetryPlan, now: float = 0.0, retry_after: float = 0.0, reason: str = "") -> float:
    return of.failed(now, retry_after, reason=reason).total_seconds()


def test_rounds_wait_longer_each_time_up_to_an_hour() -> None:
    one = plan()
    assert [seconds(one) for _ in range(8)] == [60, 120, 240, 480, 960, 1920, 2880, 2880]
    late = plan(fraction=0.999)
    waits = [seconds(late) for _ in range(8)]
    assert waits[0] == pytest.approx(75, abs=0.1)
    assert max(waits) <= MAX_DELAY


def test_the_addresses_of_a_round_follow_each_other_soon_and_the_first_comes_again() -> None:
    one = plan(FIRST, SECOND, THIRD)
    tried = []
    waits = []
    for _ in range(6):
        tried.append(one.target[0])
        waits.append(seconds(one))
    assert tried == [FIRST, SECOND, THIRD] * 2
    assert waits == [FAILOVER_PAUSE, FAILOVER_PAUSE, 60, FAILOVER_PAUSE, FAILOVER_PAUSE, 120]


def test_success_begins_afresh() -> None:
    one = plan()
    for _ in range(5):
        seconds(one)
    one.succeeded(1000.0)
    assert seconds(one, 1001.0) == 60


def test_the_platforms_wish_to_be_left_alone_is_met_at_the_end_of_the_round() -> None:
    one = plan(FIRST, SECOND)
    assert seconds(one, retry_after=1800) == FAILOVER_PAUSE
    assert seconds(one) == 1800
    assert seconds(one) == FAILOVER_PAUSE
    assert seconds(one) == 120


@pytest.mark.parametrize(
    ("reason", "lasted", "addresses", "wait", "next_address"),
    [
        ("keepalive_refused", 61.0, (FIRST, SECOND), FAILOVER_PAUSE, FIRST),
        ("keepalive_refused", 59.0, (FIRST,), 60, FIRST),
        ("connection_lost", 61.0, (FIRST,), FAILOVER_PAUSE, FIRST),
        ("connection_lost", 61.0, (FIRST, SECOND), FAILOVER_PAUSE, SECOND),
        ("connection_lost", 59.0, (FIRST,), 60, FIRST),
        ("keepalive_missed", 9999.0, (FIRST,), 60, FIRST),
        ("refused_403", 9999.0, (FIRST,), 60, FIRST),
    ],
)
def test_what_stood_for_a_while_and_was_only_forgotten_is_tried_soon(
    reason: str,
    lasted: float,
    addresses: tuple[PlatformAddress, ...],
    wait: float,
    next_address: PlatformAddress,
) -> None:
    one = plan(*addresses)
    one.succeeded(100.0)
    assert seconds(one, 100.0 + lasted, reason=reason) == wait
    assert one.target[0] == next_address


def test_a_flapping_connection_does_not_become_a_loop() -> None:
    one = plan()
    now = 0.0
    tries = 0
    while now < 3600:
        one.succeeded(now)
        now += 0.5 + seconds(one, now + 0.5, reason="connection_lost")
        tries += 1
    assert tries <= 61


def test_a_redirection_is_followed_twice_and_forgotten_when_it_fails() -> None:
    one = plan(FIRST, SECOND)
    assert one.redirect(THIRD, "37130000002000000009")
    assert one.target == (THIRD, "37130000002000000009")
    assert one.redirect(SECOND, "")
    assert not one.redirect(THIRD, "")
    seconds(one)
    assert one.target == (SECOND, "")
    one.again_now(5.0)
    assert (one.target, one.at) == ((FIRST, ""), 5.0)


def test_a_try_is_due_once() -> None:
    one = plan()
    assert not one.due(0.0)
    seconds(one, 10.0)
    assert not one.due(69.9)
    assert one.due(70.0)
    assert not one.due(70.0)


@pytest.mark.parametrize(
    ("contacts", "transport", "found"),
    [
        (
            ["<sip:37130000002000000009@192.0.2.9:5070>"],
            "UDP",
            ("192.0.2.9", 5070, "37130000002000000009"),
        ),
        (["sip:gate@upper.example"], "TLS", ("upper.example", 5061, "")),
        (["<sip:[2001:db8::1]:5060>;expires=60"], "TCP", ("2001:db8::1", 5060, "")),
        (["*", "garbage", "<sip:192.0.2.9>"], "UDP", ("192.0.2.9", 5060, "")),
        (["<tel:+86>"], "UDP", None),
        (["<sip:192.0.2.9:0>"], "UDP", ("192.0.2.9", 5060, "")),
        ([], "UDP", None),
    ],
)
def test_a_redirection_names_a_usable_place_or_none(
    contacts: list[str], transport: str, found: tuple[str, int, str] | None
) -> None:
    result = redirection(contacts, platform(transport=transport))
    assert (None if result is None else (*_parts(result[0]), result[1])) == found


def _parts(address: PlatformAddress) -> tuple[str, int]:
    return address.host, address.port


@given(st.lists(st.text(max_size=40), max_size=4))
def test_no_redirection_of_a_peer_breaks_anything(contacts: list[str]) -> None:
    result = redirection(contacts, platform())
    assert result is None or 0 < result[0].port <= 65_535


@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(["fail", "success", "redirect", "again"]),
            st.floats(0, 5000),
            st.floats(0, 3600),
        ),
        max_size=60,
    ),
    fraction=st.floats(0, 1, exclude_max=True),
)
def test_whatever_happens_the_next_try_is_neither_at_once_nor_later_than_an_hour(
    events: list[tuple[str, float, float]], fraction: float
) -> None:
    one = plan(FIRST, SECOND, fraction=fraction)
    now = 0.0
    for kind, passed, retry_after in events:
        now += passed
        match kind:
            case "fail":
                wait = seconds(one, now, retry_after)
                assert FAILOVER_PAUSE <= wait <= MAX_DELAY
                assert one.at == pytest.approx(now + wait)
            case "success":
                one.succeeded(now)
            case "redirect":
                one.redirect(THIRD, "")
            case _:
                one.again_now(now)
