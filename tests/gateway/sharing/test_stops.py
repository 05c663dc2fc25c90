"""Forced stops: in force at once, until lifted."""

import asyncio

import pytest

from gateway.domain.audit import AuditKind
from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.domain.policy import Action, Subject
from gateway.domain.selector import ChannelSelector
from gateway.sharing import stops as stops_module
from gateway.sharing.policy.clause import parse_subjects
from tests.support.policy import ADMIN, CITY, URBAN, camera, rule
from tests.support.sharing import Office

CAMERA = ChannelSelector(channels=frozenset({camera().channel_id}))
EVERYBODY = rule(subjects="{ any = true }")


def _reason(office: Office, subject: Subject, number: int = 1, action: Action = Action.LIVE) -> str:
    request = office.request(subject, action, camera(number))
    assert request.channel is not None
    return office.access.decide(subject, action, request.channel, request.context).reason


async def test_a_stop_of_a_camera_denies_everything_about_it_to_everybody_outside() -> None:
    office = Office()
    await office.apply(EVERYBODY)
    order = await office.stops.order(reason="raid", by=ADMIN, objects=CAMERA, source="10.0.0.1")
    for subject in (CITY, URBAN):
        assert _reason(office, subject) == "stopped"
        assert _reason(office, subject, action=Action.CATALOG) == "stopped"
        assert _reason(office, subject, number=2) == "allowed"
    assert _reason(office, ADMIN) == "allowed"
    [entry] = office.records(AuditKind.STOP)
    assert (entry.action, entry.object_id, entry.reason) == ("order", order.rule_id, "raid")
    assert camera().channel_id in entry.detail
    assert entry.source == "10.0.0.1"


async def test_a_stop_of_somebody_denies_them_every_channel() -> None:
    office = Office()
    await office.apply(EVERYBODY)
    [clause] = parse_subjects({"departments": ["urban"]})
    await office.stops.order(reason="leak", by=ADMIN, subject=clause)
    assert _reason(office, URBAN, number=9) == "stopped"
    assert _reason(office, CITY) == "allowed"


async def test_our_own_people_are_stopped_only_if_they_are_named() -> None:
    office = Office()
    [clause] = parse_subjects({"roles": ["viewer"]})
    await office.stops.order(reason="x", by=ADMIN, subject=clause, objects=CAMERA)
    assert _reason(office, Subject(role="viewer")) == "stopped"
    assert _reason(office, Subject(role="operator")) == "allowed"


async def test_a_lifted_stop_denies_nothing_more() -> None:
    office = Office()
    await office.apply(EVERYBODY)
    order = await office.stops.order(reason="raid", by=ADMIN, objects=CAMERA)
    lifted = await office.stops.lift(order.stop_id, ADMIN, reason="over")
    assert not lifted.in_force
    assert _reason(office, CITY) == "allowed"
    assert [entry.action for entry in office.records(AuditKind.STOP)] == ["order", "lift"]
    with pytest.raises(Conflict, match="was lifted before"):
        await office.stops.lift(order.stop_id, ADMIN)
    with pytest.raises(NotFound):
        await office.stops.lift("nothing", ADMIN)
    assert office.stops.list(lifted=False) == []
    assert office.stops.list() == [lifted]


async def test_a_stop_that_cannot_be_kept_is_in_force_all_the_same_and_says_so() -> None:
    office = Office()
    await office.apply(EVERYBODY)
    office.documents.broken = True
    with pytest.raises(Unavailable):
        await office.stops.order(reason="raid", by=ADMIN, objects=CAMERA)
    assert _reason(office, CITY) == "stopped"
    [order] = office.stops.list()
    with pytest.raises(Unavailable):
        await office.stops.lift(order.stop_id, ADMIN)
    assert _reason(office, CITY) == "stopped"


async def test_a_stop_that_could_not_be_kept_is_written_again_by_itself() -> None:
    office = Office()
    office.documents.broken = True
    with pytest.raises(Unavailable):
        await office.stops.order(reason="raid", by=ADMIN, objects=CAMERA)
    await asyncio.sleep(0)
    office.documents.broken = False
    office.clock.advance(6)
    office.access.tick()
    again = await Office(office.documents).load()
    assert [order.reason for order in again.stops.list(lifted=False)] == ["raid"]


async def test_stopping_everything_must_be_said() -> None:
    office = Office()
    await office.apply(EVERYBODY)
    with pytest.raises(Invalid, match="say whom or what to stop"):
        await office.stops.order(reason="x", by=ADMIN)
    await office.stops.order(reason="x", by=ADMIN, everything=True)
    assert _reason(office, CITY, number=77) == "stopped"


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
async def test_a_stop_has_a_reason(reason: str) -> None:
    with pytest.raises(Invalid, match="expected a reason"):
        await Office().stops.order(reason=reason, by=ADMIN, objects=CAMERA)


async def test_orders_survive_a_restart() -> None:
    office = Office()
    [clause] = parse_subjects({"platforms": ["3713*"]})
    await office.stops.order(reason="one", by=ADMIN, subject=clause, objects=CAMERA)
    gone = await office.stops.order(reason="two", by=ADMIN, objects=CAMERA)
    await office.stops.lift(gone.stop_id, ADMIN)
    again = await Office(office.documents).load()
    assert again.stops.list() == office.stops.list()
    assert _reason(again, CITY) == "stopped"


async def test_an_order_that_cannot_be_read_stops_everything_outside() -> None:
    office = Office()
    order = await office.stops.order(reason="one", by=ADMIN, objects=CAMERA)
    office.documents.collections["stops"][order.stop_id]["objects"] = {"channel": ["x"]}
    again = await Office(office.documents).load()
    await again.apply(EVERYBODY)
    assert _reason(again, CITY, number=5) == "stopped"
    await again.stops.lift(order.stop_id, ADMIN)
    assert _reason(again, CITY, number=5) == "allowed"


async def test_orders_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops_module, "MAX_STOPS", 2)
    monkeypatch.setattr(stops_module, "MAX_LIFTED", 1)
    office = Office()
    orders = [await office.stops.order(reason="x", by=ADMIN, objects=CAMERA) for _ in range(2)]
    with pytest.raises(Conflict, match="2 stop orders are in force"):
        await office.stops.order(reason="x", by=ADMIN, objects=CAMERA)
    for order in orders:
        office.clock.advance(1)
        await office.stops.lift(order.stop_id, ADMIN)
    assert [order.stop_id for order in office.stops.list()] == [orders[1].stop_id]
    assert set(office.documents.collections["stops"]) == {orders[1].stop_id}
