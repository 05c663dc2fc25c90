"""Grants: applied for, answered, given in an emergency, over."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.audit import AuditKind
from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.domain.policy import Action, Obligations
from gateway.domain.selector import ChannelSelector
from gateway.sharing.grants import Grant, GrantLimits, GrantState
from gateway.sharing.policy.error import PolicyError
from tests.support.policy import ADMIN, CITY, MONDAY, URBAN, camera, rule
from tests.support.sharing import Office, application

LIVE_PTZ = frozenset({Action.LIVE, Action.PTZ})


def _allowed(office: Office, action: Action = Action.LIVE) -> str:
    request = office.request(action=action)
    assert request.channel is not None
    decision = office.access.decide(CITY, action, request.channel, request.context)
    return decision.rule if decision.allowed else ""


async def test_a_purpose_may_hold_the_wide_space_of_chinese_text() -> None:
    grant = await Office().grants.apply(application(purpose="案件\u3000七"), CITY)
    assert grant.application.purpose == "案件\u3000七"


async def test_an_application_allows_nothing_until_it_is_approved() -> None:
    office = Office()
    grant = await office.grants.apply(application(), CITY, source="10.0.0.9")
    assert grant.state is GrantState.APPLIED
    assert (grant.applicant, grant.answer_by) == (CITY.label, MONDAY + timedelta(days=14))
    assert not _allowed(office)
    approved = await office.grants.approve(grant.grant_id, ADMIN, remark="fine")
    assert (approved.state, approved.decided_by) == (GrantState.ACTIVE, "role:admin")
    assert _allowed(office) == f"grant:{grant.grant_id}"
    assert not _allowed(office, Action.PTZ)
    told = [(e.action, e.object_id, e.purpose, e.ticket) for e in office.records(AuditKind.GRANT)]
    assert told == [
        ("apply", grant.rule_id, "case 7", "T-7"),
        ("approve", grant.rule_id, "case 7", "T-7"),
    ]
    first = office.records(AuditKind.GRANT)[0]
    assert first.source == "10.0.0.9"
    assert first.subject == {"platform": CITY.platform}
    assert "37130000002000000001" in first.detail


async def test_less_than_was_asked_for_may_be_approved_but_not_more_actions() -> None:
    office = Office()
    grant = await office.grants.apply(application(actions=LIVE_PTZ), CITY)
    with pytest.raises(Invalid, match="more actions"):
        await office.grants.approve(grant.grant_id, ADMIN, actions=frozenset({Action.TALK}))
    approved = await office.grants.approve(
        grant.grant_id,
        ADMIN,
        actions=frozenset({Action.LIVE}),
        until=MONDAY + timedelta(hours=1),
        objects=ChannelSelector(channels=frozenset({camera().channel_id})),
        obligations=Obligations(sub_stream=True),
    )
    assert not _allowed(office, Action.PTZ)
    request = office.request()
    decision = office.access.check(request)
    assert decision.obligations.sub_stream
    assert decision.until == approved.application.until == MONDAY + timedelta(hours=1)
    other = office.request(channel=camera(2))
    assert other.channel is not None
    assert not office.access.decide(CITY, Action.LIVE, other.channel, other.context).allowed


async def test_an_application_that_nobody_answers_is_listed_as_overdue() -> None:
    office = Office(limits=GrantLimits(answer_within=timedelta(days=3)))
    old = await office.grants.apply(application(MONDAY + timedelta(days=30)), CITY)
    office.clock.advance(2 * 86_400)
    await office.grants.apply(application(MONDAY + timedelta(days=30)), URBAN)
    assert office.grants.list(overdue=True) == []
    office.clock.advance(86_401)
    assert [grant.grant_id for grant in office.grants.list(overdue=True)] == [old.grant_id]
    await office.grants.refuse(old.grant_id, ADMIN, remark="too late")
    assert office.grants.list(overdue=True) == []


async def test_a_refused_or_withdrawn_application_is_over() -> None:
    office = Office()
    one = await office.grants.apply(application(), CITY)
    other = await office.grants.apply(application(), CITY)
    refused = await office.grants.refuse(one.grant_id, ADMIN, remark="no reason given")
    assert (refused.state, refused.remark) == (GrantState.REFUSED, "no reason given")
    withdrawn = await office.grants.withdraw(other.grant_id, CITY)
    assert (withdrawn.state, withdrawn.ended_by) == (GrantState.WITHDRAWN, CITY.label)
    for grant in (one, other):
        with pytest.raises(Conflict, match=r"is (refused|withdrawn)"):
            await office.grants.approve(grant.grant_id, ADMIN)
    assert not _allowed(office)


async def test_a_revoked_grant_allows_nothing_from_that_moment_on() -> None:
    office = Office()
    grant = await office.grants.apply(application(), CITY)
    await office.grants.approve(grant.grant_id, ADMIN)
    office.documents.held = []
    async with asyncio.TaskGroup() as group:
        revoking = group.create_task(office.grants.revoke(grant.grant_id, ADMIN, remark="misused"))
        await asyncio.sleep(0)
        assert not _allowed(office)
        assert not revoking.done()
        office.documents.held[0].set_result(None)
    with pytest.raises(Conflict, match="is revoked"):
        await office.grants.revoke(grant.grant_id, ADMIN)


async def test_a_revocation_that_cannot_be_kept_holds_all_the_same_and_says_so() -> None:
    office = Office()
    grant = await office.grants.apply(application(), CITY)
    await office.grants.approve(grant.grant_id, ADMIN)
    office.documents.broken = True
    with pytest.raises(Unavailable):
        await office.grants.revoke(grant.grant_id, ADMIN)
    assert not _allowed(office)


async def _kept(office: Office, grant_id: str) -> GrantState:
    """State of a grant after a restart."""
    again = Office(office.documents)
    await again.grants.load()
    return again.grants.get(grant_id).state


async def test_a_revocation_that_could_not_be_kept_is_written_again_by_itself() -> None:
    office = Office()
    grant = await office.grants.apply(application(), CITY)
    await office.grants.approve(grant.grant_id, ADMIN)
    office.documents.broken = True
    with pytest.raises(Unavailable):
        await office.grants.revoke(grant.grant_id, ADMIN)
    office.clock.advance(6)
    office.grants.expire()
    await asyncio.sleep(0)
    office.documents.broken = False
    assert await _kept(office, grant.grant_id) is GrantState.ACTIVE
    office.grants.expire()
    await asyncio.sleep(0)
    assert await _kept(office, grant.grant_id) is GrantState.ACTIVE
    office.clock.advance(6)
    office.grants.expire()
    await asyncio.sleep(0)
    assert await _kept(office, grant.grant_id) is GrantState.REVOKED


async def test_revoking_again_writes_what_could_not_be_kept_and_is_refused_once_it_is() -> None:
    office = Office()
    grant = await office.grants.apply(application(), CITY)
    await office.grants.approve(grant.grant_id, ADMIN)
    office.documents.broken = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            await office.grants.revoke(grant.grant_id, ADMIN)
        await asyncio.sleep(0)
    office.documents.broken = False
    again = await office.grants.revoke(grant.grant_id, ADMIN)
    assert again.state is await _kept(office, grant.grant_id) is GrantState.REVOKED
    await asyncio.sleep(0)
    with pytest.raises(Conflict):
        await office.grants.revoke(grant.grant_id, ADMIN)
    revoked = [entry for entry in office.records(AuditKind.GRANT) if entry.action == "revoke"]
    assert len(revoked) == 1


async def test_an_approval_that_cannot_be_kept_does_not_hold() -> None:
    office = Office()
    grant = await office.grants.apply(application(), CITY)
    office.documents.broken = True
    with pytest.raises(Unavailable):
        await office.grants.approve(grant.grant_id, ADMIN)
    assert office.grants.get(grant.grant_id).state is GrantState.APPLIED
    assert not _allowed(office)
    office.documents.broken = False
    await office.grants.approve(grant.grant_id, ADMIN)
    assert _allowed(office)


async def test_of_two_answers_at_once_the_second_is_refused() -> None:
    office = Office()
    grant = await office.grants.apply(application(), CITY)
    office.documents.held = []
    async with asyncio.TaskGroup() as group:
        group.create_task(office.grants.approve(grant.grant_id, ADMIN))
        await asyncio.sleep(0)
        with pytest.raises(Conflict, match="is being answered"):
            await office.grants.refuse(grant.grant_id, ADMIN, remark="no")
        office.documents.held[0].set_result(None)
    assert office.grants.get(grant.grant_id).state is GrantState.ACTIVE


async def test_a_grant_ends_by_itself_and_that_is_on_record() -> None:
    office = Office()
    grant = await office.grants.apply(application(), CITY)
    await office.grants.approve(grant.grant_id, ADMIN)
    office.clock.advance(86_399)
    office.grants.expire()
    assert _allowed(office)
    office.clock.advance(1)
    assert not _allowed(office)
    office.grants.expire()
    office.grants.expire()
    assert office.grants.get(grant.grant_id).state is GrantState.EXPIRED
    last = office.records(AuditKind.GRANT)[-1]
    assert (last.action, last.subject) == ("expire", {})
    assert [e.action for e in office.records(AuditKind.GRANT)].count("expire") == 1


async def test_a_grant_may_begin_later() -> None:
    office = Office()
    later = MONDAY + timedelta(hours=2)
    grant = await office.grants.apply(application(valid_from=later), CITY)
    await office.grants.approve(grant.grant_id, ADMIN)
    assert not _allowed(office)
    office.clock.advance(7200)
    assert _allowed(office)


async def test_an_emergency_grant_holds_at_once_for_minutes_and_is_listed_until_reviewed() -> None:
    office = Office()
    grant = await office.grants.emergency(application(), ADMIN, minutes=30)
    assert grant.emergency
    assert _allowed(office) == grant.rule_id
    assert grant.application.until == MONDAY + timedelta(minutes=30)
    office.clock.advance(1800)
    office.grants.expire()
    assert not _allowed(office)
    reviewed = await office.grants.review(grant.grant_id, ADMIN, remark="justified")
    assert (reviewed.state, reviewed.reviewed_by) == (GrantState.EXPIRED, "role:admin")
    assert [e.action for e in office.records(AuditKind.GRANT)] == ["emergency", "expire", "review"]
    plain = await office.grants.apply(application(), CITY)
    with pytest.raises(Conflict, match="was given on application"):
        await office.grants.review(plain.grant_id, ADMIN)


@pytest.mark.parametrize("minutes", [0, -5, 24 * 60 + 1])
async def test_an_emergency_is_a_matter_of_hours(minutes: int) -> None:
    with pytest.raises(Invalid, match="expected 1 to 1440 minutes"):
        await Office().grants.emergency(application(), ADMIN, minutes=minutes)


async def test_asking_many_times_at_once_leaves_no_more_applications_than_one_by_one() -> None:
    office = Office(limits=GrantLimits(max_waiting=3))
    office.documents.held = []
    async with asyncio.TaskGroup() as tasks:
        asking = [
            tasks.create_task(_outcome(office.grants.apply(application(), CITY))) for _ in range(10)
        ]
        await asyncio.sleep(0)
        assert len(office.documents.held) == 3
        for future in office.documents.held:
            future.set_result(None)
    assert sorted(task.result() for task in asking) == ["applied"] * 3 + ["too_many_grants"] * 7
    assert len(office.grants.list(state=GrantState.APPLIED)) == 3


async def _outcome(applying: Awaitable[Grant]) -> str:
    try:
        return (await applying).state.value
    except Conflict as exc:
        return exc.code


async def test_a_clock_that_is_set_back_makes_no_emergency_longer_than_minutes() -> None:
    office = Office()
    asked = await office.grants.apply(application(), CITY)
    approved = await office.grants.approve(asked.grant_id, ADMIN)
    given = await office.grants.emergency(
        application(actions=frozenset({Action.PTZ})), ADMIN, minutes=10
    )
    office.clock.start -= timedelta(minutes=4)
    office.access.tick()
    assert _allowed(office, Action.PTZ) == given.rule_id
    office.clock.start -= timedelta(days=2)
    office.access.tick()
    assert office.grants.get(given.grant_id).state is GrantState.EXPIRED
    assert not _allowed(office, Action.PTZ)
    assert office.grants.get(approved.grant_id).state is GrantState.ACTIVE


async def test_a_deny_rule_overrides_an_emergency_grant() -> None:
    office = Office()
    await office.apply(rule("no", effect="deny"))
    await office.grants.emergency(application(), ADMIN, minutes=30)
    assert not _allowed(office)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"subject": {"any": True}}, "names its platform, department, key or user"),
        ({"subject": {"outside": True}}, "names its platform, department, key or user"),
        ({"subject": {"roles": ["viewer"]}}, "names its platform, department, key or user"),
        ({"subject": {"identities": ["u"]}}, "names its platform, department, key or user"),
        ({"subject": {"platforms": ["3713*"]}}, "names its platform, department, key or user"),
        (
            {"subject": {"platforms": [CITY.platform], "gateways": []}},
            "the list is empty",
        ),
        ({"subject": {"departments": ["urban", "*"]}}, r"without '\*' and '\?'"),
        ({"actions": frozenset()}, "at least one action"),
        ({"purpose": ""}, "expected a purpose, got none"),
        ({"purpose": "a\nb"}, "expected a purpose of one line"),
        ({"purpose": "a\x9b31m"}, "expected a purpose of one line"),
        ({"ticket": "T\u202e7"}, "expected a ticket of one line"),
        ({"purpose": "x" * 501}, "at most 500 characters"),
        ({"ticket": "x" * 101}, "at most 100 characters"),
        ({"until": MONDAY}, "end of the grant is past"),
        ({"until": MONDAY.replace(tzinfo=None) + timedelta(days=1)}, "with an offset"),
        ({"until": MONDAY + timedelta(days=367)}, "366 days from now at the latest"),
        ({"valid_from": MONDAY + timedelta(days=2)}, "would end before it begins"),
    ],
)
async def test_what_must_not_be_granted_cannot_be_applied_for(
    changed: dict[str, object], said: str
) -> None:
    office = Office()
    with pytest.raises(Invalid, match=said):
        await office.grants.apply(application(**changed), CITY)  # type: ignore[arg-type]
    assert office.grants.list() == []


async def test_objects_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(PolicyError, match="expected a 20-digit code"):
        application(objects={"channels": ["371300"[:5] + "00000132000000"]})


async def test_one_applicant_cannot_flood_the_book() -> None:
    office = Office(limits=GrantLimits(max_waiting=3, max_open=5))
    for _ in range(3):
        await office.grants.apply(application(), CITY)
    with pytest.raises(Conflict, match="3 applications of platform:37130000002000000001 wait"):
        await office.grants.apply(application(), CITY)
    for _ in range(2):
        await office.grants.apply(application(), URBAN)
    with pytest.raises(Conflict, match="5 grants wait or are active"):
        await office.grants.apply(application(), URBAN)


async def test_past_grants_fall_out_oldest_first() -> None:
    office = Office(limits=GrantLimits(max_over=2))
    made = []
    for _ in range(4):
        grant = await office.grants.apply(application(), CITY)
        await office.grants.refuse(grant.grant_id, ADMIN, remark="no")
        made.append(grant.grant_id)
        office.clock.advance(1)
    assert [grant.grant_id for grant in office.grants.list()] == [made[3], made[2]]
    assert set(office.documents.collections["grants"]) == {made[2], made[3]}
    with pytest.raises(NotFound):
        office.grants.get(made[0])


async def test_grants_survive_a_restart_whole() -> None:
    office = Office()
    objects = {"civil_codes": ["371326"], "tags": ["t"]}
    asked = application(
        subject={"platforms": [CITY.platform], "identities": ["u*"], "user_types": ["300"]},
        objects=objects,
        valid_from=MONDAY,
        actions=LIVE_PTZ,
    )
    grant = await office.grants.apply(asked, CITY)
    await office.grants.approve(
        grant.grant_id, ADMIN, obligations=Obligations(mask_name="m", max_streams=2)
    )
    await office.grants.apply(application(), URBAN)
    again = await Office(office.documents).load()
    assert again.grants.list() == office.grants.list()
    assert again.grants.rules.rules == office.grants.rules.rules


async def test_grants_that_ended_while_the_gateway_was_down_are_expired_at_the_start() -> None:
    office = Office()
    grant = await office.grants.emergency(application(), ADMIN, minutes=1)
    again = Office(office.documents)
    again.clock.advance(61)
    await again.load()
    assert again.grants.get(grant.grant_id).state is GrantState.EXPIRED
    assert not _allowed(again)


async def test_a_grant_that_cannot_be_read_does_not_hold_nor_keep_the_others_from_loading() -> None:
    office = Office()
    bad = await office.grants.emergency(application(), ADMIN, minutes=9)
    await office.grants.emergency(application(actions=LIVE_PTZ), ADMIN, minutes=9)
    office.documents.collections["grants"][bad.grant_id]["until"] = "soon"
    again = await Office(office.documents).load()
    assert [grant.grant_id for grant in again.grants.list()] != [bad.grant_id]
    assert len(again.grants.list()) == 1
    assert _allowed(again, Action.PTZ)


async def test_listing_is_by_state_newest_first() -> None:
    office = Office()
    first = await office.grants.apply(application(), CITY)
    office.clock.advance(1)
    second = await office.grants.apply(application(), replace(CITY, identity="u"))
    await office.grants.approve(first.grant_id, ADMIN)
    assert [g.grant_id for g in office.grants.list()] == [second.grant_id, first.grant_id]
    assert [g.grant_id for g in office.grants.list(state=GrantState.ACTIVE)] == [first.grant_id]


async def test_the_rules_of_grants_that_did_not_change_are_not_made_again() -> None:
    office = Office()
    first = await office.grants.apply(application(), CITY)
    await office.grants.approve(first.grant_id, ADMIN)
    [before] = office.grants.rules.rules
    second = await office.grants.apply(application(objects={"kinds": ["alarm"]}), CITY)
    await office.grants.approve(second.grant_id, ADMIN)
    assert any(rule is before for rule in office.grants.rules.rules)
    await office.grants.revoke(first.grant_id, ADMIN)
    assert [rule.rule_id for rule in office.grants.rules.rules] == [f"grant:{second.grant_id}"]
