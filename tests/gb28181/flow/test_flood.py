"""The brake on registrations: what fills it, what empties it, and that it stays small."""

from hypothesis import given
from hypothesis import strategies as st

from gb28181.flow.flood import FloodControl, FloodLimits, FloodVerdict

LIMITS = FloodLimits(
    pair_slow=2,
    pair_ignore=4,
    pair_leak=0.1,
    host_slow=10,
    host_ignore=20,
    host_leak=1,
    ignore_for=60,
    proven_for=100,
)
PASS, SLOW, IGNORE = FloodVerdict.PASS, FloodVerdict.SLOW, FloodVerdict.IGNORE


def test_wrong_answers_of_an_id_slow_it_then_silence_it_and_leak_away() -> None:
    flood = FloodControl(LIMITS)
    assert [flood.failed("h", "a", 0.0) for _ in range(5)] == [PASS, PASS, SLOW, SLOW, IGNORE]
    assert flood.ignores("h", "a", 59.9)
    assert not flood.ignores("h", "a", 60.1)
    assert flood.failed("h", "a", 100.0) is PASS


def test_an_id_answers_for_itself_only_and_per_address() -> None:
    flood = FloodControl(LIMITS)
    for _ in range(5):
        flood.failed("h", "a", 0.0)
    assert not flood.ignores("h", "b", 0.0)
    assert not flood.ignores("g", "a", 0.0)
    assert flood.came("h", "b", 0.0) is PASS


def test_requests_count_for_the_address_and_not_for_the_id() -> None:
    flood = FloodControl(LIMITS)
    assert [flood.came("h", "a", 0.0) for _ in range(21)] == [PASS] * 10 + [SLOW] * 10 + [IGNORE]
    assert not flood.ignores("h", "a", 0.0)
    assert flood.came("g", "a", 0.0) is PASS


def test_success_takes_back_its_two_requests_and_exempts_for_a_time() -> None:
    flood = FloodControl(LIMITS)
    for number in range(1_000):
        for _ in range(2):
            assert flood.came("h", str(number), 0.0) is PASS
        flood.succeeded("h", str(number), 0.0)
    for _ in range(40):
        flood.came("h", "scan", 0.0)
    assert flood.came("h", "7", 50.0) is PASS
    assert flood.came("h", "new", 50.0) is IGNORE
    for _ in range(40):
        flood.came("h", "scan", 100.5)
    assert flood.came("h", "7", 100.5) is IGNORE


def test_success_forgives_wrong_answers() -> None:
    flood = FloodControl(LIMITS)
    for _ in range(5):
        flood.failed("h", "a", 0.0)
    flood.succeeded("h", "a", 0.0)
    assert not flood.ignores("h", "a", 0.0)
    assert flood.failed("h", "a", 0.0) is PASS


@given(st.lists(st.tuples(st.sampled_from("cfs"), st.integers(0, 30), st.integers(0, 30))))
def test_the_tables_are_bounded(calls: list[tuple[str, int, int]]) -> None:
    flood = FloodControl(LIMITS, capacity=4)
    for what, host, device in calls:
        verb = {"c": flood.came, "f": flood.failed, "s": flood.succeeded}[what]
        verb(str(host), str(device), 0.0)
        assert max(flood.sizes()) <= 4
