"""The SSRC pool."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError
from gb28181.sdp.ssrc import SsrcExhausted, SsrcPool

DOMAIN = "37132600002000000001"


def test_an_ssrc_is_made_of_kind_domain_digits_and_number() -> None:
    pool = SsrcPool(DOMAIN, start=17)
    assert f"{pool.lease(0.0):010d}" == "0326000017"
    assert f"{pool.lease(0.0, history=True):010d}" == "1326000017"
    assert pool.in_use == 2


def test_a_ten_digit_domain_gives_the_same_digits() -> None:
    assert SsrcPool("1301000000").lease(0.0) // 10_000 == 10_000


@pytest.mark.parametrize("domain", ["", "1301", "example.com", "\u0663" * 10])
def test_a_domain_without_digits_is_refused(domain: str) -> None:
    with pytest.raises(LocalProtocolError):
        SsrcPool(domain)


def test_ten_thousand_of_each_kind_are_given_and_then_refused_with_a_sentence() -> None:
    pool = SsrcPool(DOMAIN, start=9_990)
    live = {pool.lease(0.0) for _ in range(10_000)}
    assert len(live) == 10_000
    assert all(f"{ssrc:010d}".startswith("032600") for ssrc in live)
    with pytest.raises(SsrcExhausted, match="all 10000 live SSRCs"):
        pool.lease(0.0)
    assert pool.lease(0.0, history=True) == 1_326_009_990


def test_a_returned_ssrc_rests_until_its_quarantine_is_over() -> None:
    pool = SsrcPool(DOMAIN, quarantine=20.0)
    leased = [pool.lease(0.0) for _ in range(10_000)]
    assert pool.release(leased[5], 100.0)
    with pytest.raises(SsrcExhausted):
        pool.lease(119.9)
    assert pool.lease(120.0) == leased[5]


def test_fresh_numbers_are_given_before_rested_ones() -> None:
    pool = SsrcPool(DOMAIN, quarantine=1.0)
    first = pool.lease(0.0)
    pool.release(first, 0.0)
    assert pool.lease(10.0) == first + 1


@pytest.mark.parametrize("ssrc", [0, 326_000_001, 999, 1_326_000_000, 4_000_000_000, -5])
def test_what_was_not_leased_is_not_taken_back(ssrc: int) -> None:
    pool = SsrcPool(DOMAIN)
    leased = pool.lease(0.0)
    assert not pool.release(ssrc, 0.0)
    assert pool.in_use == 1
    assert pool.release(leased, 0.0)
    assert not pool.release(leased, 0.0)
    assert pool.in_use == 0


def test_ssrc_zero_is_never_given() -> None:
    pool = SsrcPool("00000000002000000001")
    assert pool.lease(0.0) == 1


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 50)), max_size=200))
def test_no_ssrc_is_held_twice_and_none_leaks(steps: list[tuple[bool, bool, int]]) -> None:
    pool = SsrcPool(DOMAIN, quarantine=5.0, start=123)
    held: dict[int, None] = {}
    returned: dict[int, float] = {}
    now = 0.0
    for take, history, index in steps:
        now += 1.0
        if take or not held:
            ssrc = pool.lease(now, history=history)
            assert ssrc not in held
            assert now - returned.get(ssrc, -100.0) >= 5.0
            held[ssrc] = None
        else:
            ssrc = list(held)[index % len(held)]
            del held[ssrc]
            returned[ssrc] = now
            assert pool.release(ssrc, now)
        assert pool.in_use == len(held)


def test_a_number_a_peer_chose_is_claimed_once_and_never_given_out_meanwhile() -> None:
    pool = SsrcPool("37132600002000000001", quarantine=20)
    own = 326000001
    assert pool.claim(own, 0.0)
    assert not pool.claim(own, 0.0)
    assert own not in {pool.lease(0.0) for _ in range(20)}
    assert pool.release(own, 1.0)
    assert not pool.claim(own, 2.0), "it rests first"
    assert pool.claim(own, 21.5)


def test_a_number_of_another_domain_is_claimed_and_released_without_rest() -> None:
    pool = SsrcPool("37132600002000000001")
    foreign = 100000001
    assert pool.claim(foreign, 0.0)
    assert not pool.claim(foreign, 0.0)
    assert pool.in_use == 1
    assert pool.release(foreign, 0.0)
    assert not pool.release(foreign, 0.0)
    assert pool.in_use == 0


def test_no_ssrc_at_all_cannot_be_claimed() -> None:
    pool = SsrcPool("37132600002000000001")
    assert not pool.claim(0, 0.0)
    assert not pool.claim(2_000_000_000, 0.0)
