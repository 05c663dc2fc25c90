"""Denials beyond a number a minute are counted, and told in one record."""

import itertools

import pytest

from gateway.domain.audit import AuditEntry, AuditKind
from gateway.domain.errors import Forbidden
from gateway.sharing import denials
from gateway.sharing.denials import MAX_PARTIES, PER_MINUTE, WINDOW, DenialGate
from tests.support.policy import CITY, MONDAY, URBAN
from tests.support.registry import ManualClock
from tests.support.sharing import Office


class Bench:
    """A gate and what came through it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.entries: list[AuditEntry] = []
        numbers = itertools.count(1)
        self.gate = DenialGate(
            self.entries.append,
            wall=self.clock.utc_now,
            new_id=lambda: f"s{next(numbers)}",
            now=self.clock.monotonic,
        )

    def deny(self, party: str = "p", source: str = "h", reason: str = "not_shared") -> None:
        entry = AuditEntry(
            at=MONDAY,
            kind=AuditKind.ACCESS,
            entry_id="e",
            subject={"platform": party},
            object_id="x",
            result="deny",
            reason=reason,
            source=source,
        )
        self.gate.record(party, entry)


def test_what_is_beyond_the_number_is_told_in_one_record_after_a_minute() -> None:
    bench = Bench()
    for _ in range(PER_MINUTE + 400):
        bench.deny()
    bench.deny(reason="secrecy")
    assert len(bench.entries) == PER_MINUTE
    bench.clock.advance(WINDOW)
    bench.gate.flush()
    bench.gate.flush()
    assert len(bench.entries) == PER_MINUTE + 1
    told = bench.entries[-1]
    assert (told.result, told.reason, told.object_id) == ("deny", "several", "")
    assert "400 more of reason not_shared, 1 more of reason secrecy" in told.detail
    assert (told.subject, told.source) == ({"platform": "p"}, "h")
    bench.deny()
    assert bench.entries[-1].entry_id == "e"


def test_one_party_takes_nothing_from_another_nor_an_address_from_another() -> None:
    bench = Bench()
    for _ in range(PER_MINUTE + 1):
        bench.deny()
    bench.deny("q")
    bench.deny("p", "elsewhere")
    assert len(bench.entries) == PER_MINUTE + 2


def test_addresses_made_up_share_one_number() -> None:
    bench = Bench()
    for number in range(MAX_PARTIES + PER_MINUTE + 50):
        bench.deny("p", f"10.0.0.{number}")
    assert len(bench.entries) == MAX_PARTIES + PER_MINUTE
    bench.gate.flush(everything=True)
    assert len(bench.entries) == MAX_PARTIES + PER_MINUTE + 1
    assert (bench.entries[-1].subject, bench.entries[-1].source) == ({}, "")


async def test_whoever_asks_and_asks_does_not_fill_the_audit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(denials, "PER_MINUTE", 3)
    office = await Office().load()
    for _ in range(10):
        with pytest.raises(Forbidden):
            office.access.check(office.request())
        office.access.refuse(office.request(CITY), "not_shared", "never given")
    with pytest.raises(Forbidden):
        office.access.check(office.request(URBAN))
    assert len(office.accesses) == 4
    office.clock.advance(WINDOW)
    office.access.tick()
    assert len(office.accesses) == 5
    assert {usage.party: usage.denied for usage in office.access.usage()}[CITY.label] == 20
    for _ in range(5):
        office.access.refuse(office.request(CITY), "not_shared", "never given")
    office.access.close()
    assert office.accesses[-1].detail.endswith("2 more of reason not_shared")
