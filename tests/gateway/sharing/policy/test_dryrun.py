"""Asking a policy without consequences."""

import asyncio
from dataclasses import replace

from gateway.domain.policy import Action, Subject
from gateway.sharing.policy.dryrun import Mismatch, changes, explain, paced, would_see
from gateway.sharing.policy.engine import CompiledPolicy, Engine
from gateway.sharing.policy.index import RuleIndex
from tests.support.policy import ADMIN, CITY, MONDAY, URBAN, context, engine, facts, policy, rule


def test_what_somebody_would_see_is_told_channel_by_channel_with_the_deciding_rule() -> None:
    asked = engine(
        rule("city", objects='{ civil_codes = ["371326"] }', obligations="{ mask_position = true }")
    )
    channels = [facts(1), facts(2, civil_code="370200"), facts(3, secrecy=1)]
    seen = list(would_see(asked, CITY, channels, context()))
    assert [(s.decision.allowed, s.decision.rule) for s in seen] == [
        (True, "city"),
        (False, ""),
        (False, "builtin:secrecy"),
    ]
    assert seen[0].decision.obligations.mask_position
    assert [s.decision.allowed for s in would_see(asked, URBAN, channels, context())] == [False] * 3


def test_an_explanation_names_for_every_rule_the_fields_that_did_not_match() -> None:
    asked = engine(
        rule("a-yes", objects='{ civil_codes = ["3713"] }'),
        rule("b-who", subjects='[{ departments = ["urban"], keys = ["k9"] }, { keys = ["k"] }]'),
        rule("c-what", objects='{ civil_codes = ["3702", "11"], point_types = ["1"] }'),
        rule("d-how", actions='["ptz"]'),
        rule("e-when", context='{ windows = ["Sun 08:00-09:00"] }'),
        rule("f-no", effect="deny", context='{ zones = ["net"] }'),
    )
    told = explain(asked, CITY, Action.LIVE, facts(), context(zone="gov"))
    assert (told.decision.allowed, told.decision.rule) == (True, "a-yes")
    trace = {entry.rule_id: entry for entry in told.trace}
    assert list(trace)[:3] == ["builtin:secrecy", "builtin:boundary", "a-yes"]
    assert (trace["a-yes"].matched, trace["a-yes"].applied, trace["a-yes"].line) == (True, True, 2)
    assert trace["b-who"].mismatches == (Mismatch("subjects.keys", '["k"]', "none"),)
    assert trace["c-what"].mismatches == (
        Mismatch("objects.civil_codes", '["11", "3702"]', "371326"),
        Mismatch("objects.point_types", '["1"]', "none"),
    )
    assert trace["d-how"].mismatches == (Mismatch("actions", "ptz", "live"),)
    assert (trace["e-when"].matched, trace["e-when"].applied) == (True, False)
    assert trace["e-when"].mismatches == (
        Mismatch("context.windows", '["Sun 08:00-09:00"]', MONDAY.isoformat()),
    )
    assert trace["f-no"].mismatches == (Mismatch("context.zones", '["net"]', "gov"),)
    assert not any(entry.applied for entry in told.trace if entry.rule_id != "a-yes")


def test_an_explanation_tells_of_stops_grants_secrecy_boundary_and_roles() -> None:
    def rules(name: str, effect: str) -> RuleIndex:
        [made] = policy(rule("x", effect=effect)).rules
        return RuleIndex([replace(made, rule_id=name)])

    compiled = CompiledPolicy(policy("[boundary.networks]\n5 = []\n"))
    asked = Engine(compiled, rules("grant:g", "allow"), rules("stop:s", "deny"))
    told = explain(asked, CITY, Action.LIVE, facts(secrecy=1, network="5"), context())
    applied = [entry.rule_id for entry in told.trace if entry.applied]
    assert applied == ["builtin:secrecy", "builtin:boundary", "stop:s", "grant:g"]
    own = explain(asked, Subject(role="viewer"), Action.PTZ, facts(secrecy=1), context())
    assert own.trace[-1].rule_id == "builtin:local-viewer"
    assert own.trace[-1].mismatches == (Mismatch("actions", "catalog live", "ptz"),)
    assert [
        e.rule_id for e in explain(asked, ADMIN, Action.PTZ, facts(), context()).trace if e.applied
    ] == ["builtin:local-admin"]


def test_the_trace_agrees_with_the_decision_for_every_field_of_subjects_and_objects() -> None:
    clauses = [
        'platforms = ["3702*"]',
        'departments = ["x"]',
        'keys = ["x"]',
        'users = ["x"]',
        'identities = ["x"]',
        'roles = ["viewer"]',
        'user_types = ["300"]',
        'gateways = ["37130000002110000001"]',
    ]
    selectors = [
        'channels = ["x"]',
        'devices = ["x"]',
        'grassroots = ["001"]',
        'groups = ["37132600002150000001"]',
        'industries = ["01"]',
        'networks = ["5"]',
        'kinds = ["alarm"]',
    ]
    for clause in clauses:
        told = explain(
            engine(rule(subjects=f"{{ {clause} }}")), CITY, Action.LIVE, facts(), context()
        )
        [missed] = told.trace[2].mismatches
        assert missed.field == "subjects." + clause.split()[0]
        assert not told.decision.allowed
    for selector in selectors:
        told = explain(
            engine(rule(objects=f"{{ {selector} }}")), CITY, Action.LIVE, facts(), context()
        )
        [missed] = told.trace[2].mismatches
        assert missed.field == "objects." + selector.split()[0]
        assert not told.decision.allowed


def test_each_subject_is_asked_under_its_own_circumstances() -> None:
    before = engine()
    after = engine(rule("inside", context='{ zones = ["police"] }'))
    askers = [(CITY, context(zone="police")), (CITY, context(zone="internet"))]
    [first, second] = changes(before, after, askers, [facts()], [Action.LIVE])
    assert [change.kind for change in first] == ["allowed"]
    assert list(second) == []


def test_changes_between_two_policies_are_named_per_channel_subject_and_action() -> None:
    before = engine(
        rule("a", actions='["catalog", "live"]'), rule("b", subjects='{ keys = ["k1"] }')
    )
    after = engine(
        rule("a", actions='["catalog", "ptz"]', obligations="{ mask_position = true }"),
        rule("b", subjects='{ keys = ["k1"] }'),
    )
    channels = [facts(1), facts(2, secrecy=1)]
    steps = list(changes(before, after, [(CITY, context()), (URBAN, context())], channels))
    assert [len(step) for step in steps] == [3, 0, 0, 0]
    assert {(c.action.value, c.kind, c.facts.channel_id) for c in steps[0]} == {
        ("catalog", "obligations", channels[0].channel_id),
        ("live", "denied", channels[0].channel_id),
        ("ptz", "allowed", channels[0].channel_id),
    }


async def test_long_work_gives_the_loop_its_turn() -> None:
    asked = engine(*(rule(f"r{n}") for n in range(50)))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    seen = 0
    async with asyncio.TaskGroup() as group:
        other = group.create_task(others())
        channels = (facts(number) for number in range(3000))
        async for sight in paced(would_see(asked, CITY, channels, context()), pace=0.001):
            seen += sight.decision.allowed
        other.cancel()
    assert seen == 3000
    assert turns >= 5
