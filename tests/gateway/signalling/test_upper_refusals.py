"""Gates for refusals of strangers."""

from gateway.signalling.upper_refusals import (
    MAX_SOURCES,
    PER_MINUTE,
    PER_MINUTE_ALL,
    RefusalGates,
)


def test_one_address_has_its_number_and_the_rest_is_counted_by_reason() -> None:
    gates = RefusalGates()
    passed = [gates.passes("a", "other_address", 0.0) for _ in range(PER_MINUTE + 5)]
    assert sum(passed) == PER_MINUTE
    assert gates.passes("b", "other_id", 0.0)
    assert gates.take_counted() == "5 more of reason other_address"
    assert gates.take_counted() == ""
    assert gates.passes("a", "other_address", 1.0)


def test_addresses_made_up_share_a_number_and_take_bounded_memory() -> None:
    gates = RefusalGates()
    sources = [f"10.0.{n // 250}.{n % 250}" for n in range(PER_MINUTE_ALL + 300)]
    assert sum(gates.passes(source, "other_id", 0.0) for source in sources) == PER_MINUTE_ALL
    assert len(gates._gates) == MAX_SOURCES
    assert gates.take_counted() == "300 more of reason other_id"
