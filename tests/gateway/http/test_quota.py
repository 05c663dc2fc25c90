"""Quotas, limits of failures and ledgers of tokens, without a server."""

import pytest

from gateway.domain.errors import Unavailable
from gateway.http import tokens
from gateway.http.problem import ApiError
from gateway.http.quota import MAX_SOURCES, FailureLimit, RateQuota
from gateway.http.signed import ReplayGuard
from gateway.http.tokens import StreamGrant, StreamSigner, TokenLedger, TokenState


def test_a_bucket_refills_evenly_and_never_overflows() -> None:
    quota = RateQuota()
    assert [quota.take("k", 60, 0.0) for _ in range(60)] == [0.0] * 60
    assert quota.take("k", 60, 0.0) == pytest.approx(1.0)
    assert quota.take("k", 60, 0.5) == pytest.approx(0.5)
    assert quota.take("k", 60, 1.0) == 0.0
    assert [quota.take("k", 60, 10_000.0) == 0.0 for _ in range(61)] == [True] * 60 + [False]


def test_a_lower_quota_holds_at_once_and_a_clock_that_jumps_back_gives_nothing() -> None:
    quota = RateQuota()
    quota.take("k", 6000, 100.0)
    assert [quota.take("k", 2, 100.0) == 0.0 for _ in range(3)] == [True, True, False]
    assert quota.take("k", 2, 50.0) > 0


def test_failures_are_counted_by_address_and_ipv6_network() -> None:
    limit = FailureLimit(2)
    assert [limit.note("192.0.2.1", 0.0) == 0 for _ in range(3)] == [True, True, False]
    assert limit.note("192.0.2.2", 0.0) == 0
    same = ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::"]
    assert [limit.note(host, 0.0) == 0 for host in same] == [True, True, False]
    assert limit.note("2001:db8:1:3::1", 0.0) == 0
    assert limit.note("not an address", 0.0) == 0
    assert limit.note("192.0.2.1", 30.0) == 0


def test_a_flood_of_addresses_is_forgotten_oldest_first() -> None:
    limit = FailureLimit(1)
    limit.note("192.0.2.1", 0.0)
    for number in range(MAX_SOURCES):
        limit.note(f"host{number}", 0.0)
    assert len(limit._levels) == MAX_SOURCES
    assert limit.note("192.0.2.1", 0.0) == 0


def test_a_token_of_the_ledger_is_used_once_and_forgotten_after_its_time() -> None:
    ledger = TokenLedger(iter(["a", "b", "c"]).__next__)
    assert [ledger.issue("k", 60.0, 0.0), ledger.issue("other", 60.0, 0.0)] == ["a", "b"]
    assert (ledger.pending("k", 0.0), ledger.pending("k", 60.0)) == (1, 0)
    assert [ledger.use("a", 1.0), ledger.use("a", 1.0), ledger.use("never", 1.0)] == [
        True,
        False,
        None,
    ]
    assert ledger.pending("k", 1.0) == 0
    ledger.issue("k", 200.0, 100.0)
    assert (ledger.use("a", 100.0), ledger.use("b", 100.0), ledger.known("c")) == (None, None, True)


def test_there_is_an_end_to_unused_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_OPEN_TOKENS", 3)
    ledger = TokenLedger(iter("abcdef").__next__)
    for _ in range(3):
        ledger.issue("k", 60.0, 0.0)
    with pytest.raises(Unavailable):
        ledger.issue("k", 60.0, 0.0)
    assert ledger.issue("k", 120.0, 61.0) == "d"


def test_a_grant_comes_back_as_it_was_signed() -> None:
    signer = StreamSigner(b"k" * 32)
    grant = StreamGrant(
        expires=100,
        stream_id="d/c:1",
        stream=1,
        key_id="gbk1",
        purpose='查 "7"',
        ticket="T/1",
        token_id="i1",
    )
    assert signer.read(signer.sign_grant(grant), 99.9) == grant
    assert signer.read(signer.sign_grant(grant), 100.0).state is TokenState.EXPIRED
    assert StreamSigner(b"x" * 32).read(signer.sign_grant(grant), 0.0).state is TokenState.INVALID


def test_nonces_leave_in_the_order_of_their_time_not_of_their_coming() -> None:
    guard = ReplayGuard()
    assert guard.accept("k", "late", 300.0, 0.0, 2)
    assert guard.accept("k", "early", 10.0, 0.0, 2)
    with pytest.raises(ApiError) as caught:
        guard.accept("k", "third", 50.0, 5.0, 2)
    assert (caught.value.code, caught.value.headers["Retry-After"]) == ("too_many_nonces", "6")
    assert guard.accept("k", "third", 50.0, 10.5, 2)
    assert not guard.accept("k", "late", 300.0, 300.0, 2)
    assert guard.accept("k", "late", 700.0, 301.0, 2)
    # The clock is set back, and what was forgotten would be in time again.
    assert not guard.accept("k", "early", 10.0, 5.0, 2)
    assert not guard.accept("k", "never seen, as old", 300.0, 5.0, 2)
    guard.forget("k")
    assert guard.accept("k", "late", 700.0, 301.0, 2)
