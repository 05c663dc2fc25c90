"""Random policies: the engine against a plain reading of the rules, written independently of it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from gateway.domain.device import ChannelKind
from gateway.domain.policy import AccessContext, Action, Obligations, Subject
from gateway.domain.selector import ChannelFacts, ChannelSelector
from gateway.sharing.policy.engine import CompiledPolicy, Engine
from gateway.sharing.policy.index import RuleIndex
from gateway.sharing.policy.model import (
    ANYBODY,
    OUTSIDE,
    Boundary,
    Conditions,
    Effect,
    Policy,
    Rule,
    SubjectClause,
    Tag,
)
from gateway.sharing.policy.pattern import Patterns
from gateway.sharing.policy.window import CHINA, WeeklyWindows

PLATFORMS = ["37130000002000000001", "37132600002000000002"]
DEPARTMENTS = ["urban", "water"]
WINDOWS = ["Mon-Fri 08:00-18:00", "Sat,Sun 00:00-24:00", "daily 22:00-06:00"]
HOURS = [(range(5), 8, 18), (range(5, 7), 0, 24)]
START = datetime(2026, 11, 23, tzinfo=CHINA)
STREAMS = {Action.LIVE, Action.PLAYBACK, Action.DOWNLOAD, Action.TALK}


@dataclass
class Case:
    """One random world."""

    rules: list[Rule]
    grants: list[Rule]
    stops: list[Rule]
    tags: list[Tag]
    boundary: Boundary


def _some(chance: random.Random, values: Sequence[str], likely: float = 0.3) -> frozenset[str]:
    if chance.random() > likely:
        return frozenset()
    return frozenset(chance.sample(values, chance.randint(1, min(2, len(values)))))


def _selector(chance: random.Random, *, tags: bool = True) -> ChannelSelector:
    return ChannelSelector(
        channels=_some(chance, ["c1", "c2", "d1/c1", "d2/c2"], 0.15),
        devices=_some(chance, ["d1", "d2"], 0.15),
        civil_codes=tuple(sorted(_some(chance, ["37", "3713", "371326", "37132601", "11"]))),
        grassroots=tuple(sorted(_some(chance, ["001", "001200", "0"], 0.1))),
        groups=_some(chance, ["g1", "g2"], 0.15),
        point_types=_some(chance, ["1", "2", "3"], 0.2),
        industries=_some(chance, ["00", "01"], 0.1),
        networks=_some(chance, ["5", "6"], 0.1),
        tags=_some(chance, ["t0", "t1"], 0.2) if tags else frozenset(),
        kinds=_some(chance, ["camera", "alarm"], 0.1),
    )


def _clause(chance: random.Random) -> SubjectClause:  # noqa: PLR0911 - one kind each
    match chance.randrange(8):
        case 0:
            return ANYBODY
        case 1:
            return OUTSIDE
        case 2:
            return SubjectClause(roles=_some(chance, ["admin", "viewer"], 1))
        case 3:
            return SubjectClause(departments=Patterns.of(_some(chance, [*DEPARTMENTS, "*"], 1)))
        case 4:
            return SubjectClause(keys=Patterns.of(["k1"]), departments=Patterns.of(["urban"]))
        case 5:
            return SubjectClause(
                platforms=Patterns.of(["3713*"]),
                identities=Patterns.of(_some(chance, ["u1", "u*", "3*"], 1)),
            )
        case 6:
            return SubjectClause(gateways=frozenset({"gw"}), user_types=((300, 343),))
        case _:
            return SubjectClause(platforms=Patterns.of(_some(chance, PLATFORMS, 1)))


def _conditions(chance: random.Random, effect: Effect) -> Conditions:
    allow = effect is Effect.ALLOW
    begin = START + timedelta(hours=chance.randrange(-100, 100))
    return Conditions(
        valid_from=begin if chance.random() < 0.15 else None,
        valid_to=begin + timedelta(hours=60) if chance.random() < 0.15 else None,
        windows=WeeklyWindows.parse(chance.sample(WINDOWS[:2], 1))
        if chance.random() < 0.2
        else None,
        zones=_some(chance, ["gov", "net"], 0.2),
        purpose_required=allow and chance.random() < 0.15,
        ticket_required=allow and chance.random() < 0.1,
        identity_required=allow and chance.random() < 0.1,
    )


def _rule(chance: random.Random, rule_id: str, effect: Effect) -> Rule:
    obligations = Obligations(
        sub_stream=chance.random() < 0.2,
        mask_name=chance.choice([None, None, "A", "B"]),
        mask_position=chance.random() < 0.2,
        max_streams=chance.choice([None, None, None, 1, 2]),
    )
    return Rule(
        rule_id=rule_id,
        effect=effect,
        subjects=tuple(_clause(chance) for _ in range(chance.randint(1, 2))),
        objects=_selector(chance),
        actions=frozenset(chance.sample(list(Action), chance.randint(1, 5))),
        conditions=_conditions(chance, effect),
        obligations=obligations if effect is Effect.ALLOW else Obligations(),
    )


def _case(chance: random.Random) -> Case:
    rules = [
        _rule(chance, f"r{number}", Effect.DENY if chance.random() < 0.2 else Effect.ALLOW)
        for number in range(chance.randrange(12))
    ]
    grants = [_rule(chance, f"grant:{n}", Effect.ALLOW) for n in range(chance.randrange(3))]
    stops = [
        replace(
            _rule(chance, f"stop:{number}", Effect.DENY),
            conditions=Conditions(),
            actions=frozenset(Action),
        )
        for number in range(chance.random() < 0.1)
    ]
    tags = [Tag(f"t{number}", _selector(chance, tags=False)) for number in range(2)]
    networks = (("5", frozenset[str]()), ("6", frozenset({"gov"})))
    boundary = Boundary(networks, chance.choice([None, frozenset({"gov"})]))
    return Case(rules, grants, stops, tags, boundary if chance.random() < 0.3 else Boundary())


def _facts(chance: random.Random) -> ChannelFacts:
    return ChannelFacts(
        device_id=chance.choice(["d1", "d2"]),
        channel_id=chance.choice(["c1", "c2", "c3"]),
        kind=chance.choice([ChannelKind.CAMERA, ChannelKind.CAMERA, ChannelKind.ALARM]),
        civil_code=chance.choice(["371326", "37132601", "3702", "11", ""]),
        grassroots_code=chance.choice(["001200", "002", ""]),
        groups=_some(chance, ["g1", "g2", "g3"]),
        point_type=chance.choice(["1", "2", ""]),
        industry=chance.choice(["00", "01", ""]),
        network=chance.choice(["5", "6", "0", ""]),
        secrecy=int(chance.random() < 0.2),
    )


def _subject(chance: random.Random) -> Subject:
    match chance.randrange(5):
        case 0:
            return Subject(department=chance.choice(DEPARTMENTS), key=chance.choice(["k1", "k2"]))
        case 1:
            return Subject(role=chance.choice(["admin", "operator", "viewer"]), user="wang")
        case 2:
            return Subject()
        case _:
            identity = chance.choice(["", "u1", "37130000003000000001", "37130000004000000001-a"])
            gateways = ("gw",) if identity and chance.random() < 0.5 else ()
            return Subject(platform=chance.choice(PLATFORMS), identity=identity, gateways=gateways)


def _context(chance: random.Random) -> AccessContext:
    return AccessContext(
        at=START + timedelta(minutes=chance.randrange(-9000, 9000)),
        zone=chance.choice(["gov", "net", ""]),
        purpose=chance.choice(["", "case", " "]),
        ticket=chance.choice(["", "T"]),
        streams=chance.choice([0, 0, 1, 2]),
    )


def _engine(case: Case) -> Engine:
    policy = Policy(rules=tuple(case.rules), tags=tuple(case.tags), boundary=case.boundary)
    return Engine(CompiledPolicy(policy), RuleIndex(case.grants), RuleIndex(case.stops))


# The plain reading


def _means_subject(rule: Rule, subject: Subject) -> bool:
    return any(_clause_means(clause, subject) for clause in rule.subjects)


def _clause_means(clause: SubjectClause, subject: Subject) -> bool:
    local = bool(subject.role) and not (subject.platform or subject.department or subject.key)
    if clause.outside:
        return not local
    fields = [
        (clause.platforms.texts, subject.platform),
        (clause.departments.texts, subject.department),
        (clause.keys.texts, subject.key),
        (clause.identities.texts, subject.identity),
    ]
    for wanted, value in fields:
        named = any(
            value == text or (text.endswith("*") and value.startswith(text[:-1])) for text in wanted
        )
        if wanted and not (value and named):
            return False
    if clause.roles and subject.role not in clause.roles:
        return False
    if clause.gateways and not set(clause.gateways) & set(subject.gateways):
        return False
    return not clause.user_types or subject.identity.startswith("37130000003")


def _holds(rule: Rule, subject: Subject, action: Action, context: AccessContext) -> bool:
    wanted, at = rule.conditions, context.at.astimezone(CHINA)
    if wanted.valid_from and at < wanted.valid_from:
        return False
    if wanted.valid_to and at >= wanted.valid_to:
        return False
    if wanted.windows:
        days, begin, end = HOURS[WINDOWS.index(wanted.windows.texts[0])]
        if at.weekday() not in days or not begin <= at.hour < end:
            return False
    if wanted.zones and context.zone not in wanted.zones:
        return False
    return action is Action.CATALOG or not (
        (wanted.purpose_required and not context.purpose.strip())
        or (wanted.ticket_required and not context.ticket)
        or (wanted.identity_required and not subject.identity)
    )


def _plain(  # noqa: PLR0911 - in the order of the documentation
    case: Case, subject: Subject, action: Action, facts: ChannelFacts, context: AccessContext
) -> tuple[bool, str, Obligations]:
    """Return (allowed, rule, obligations) as the documentation of the policy says."""
    local = bool(subject.role) and not (subject.platform or subject.department or subject.key)
    tags = frozenset(tag.name for tag in case.tags if tag.objects.matches(facts))
    facts = replace(facts, tags=tags)

    def meant(rules: list[Rule]) -> list[Rule]:
        found = [
            rule
            for rule in rules
            if action in rule.actions
            and rule.objects.matches(facts)
            and _means_subject(rule, subject)
        ]
        return sorted(found, key=lambda rule: rule.rule_id)

    nothing = Obligations()
    if facts.secrecy and not local:
        return False, "builtin:secrecy", nothing
    if stops := meant(case.stops):
        return False, stops[0].rule_id, nothing
    zones = dict(case.boundary.networks).get(facts.network)
    if not facts.network:
        zones = case.boundary.unknown
    if not local and zones is not None and context.zone not in zones:
        return False, "builtin:boundary", nothing
    holding = [r for r in meant(case.rules) if _holds(r, subject, action, context)]
    if denying := [rule for rule in holding if rule.effect is Effect.DENY]:
        return False, denying[0].rule_id, nothing
    holding += [r for r in meant(case.grants) if _holds(r, subject, action, context)]
    builtin: dict[str, set[str]] = {
        "admin": {action.value for action in Action},
        "operator": {"catalog", "live", "ptz", "playback", "alarm", "position", "talk"},
        "viewer": {"catalog", "live"},
    }
    own = local and action in builtin[subject.role]
    if not holding and not own:
        return False, "", nothing
    limits = [r.obligations.max_streams for r in holding if r.obligations.max_streams is not None]
    if action in STREAMS and limits and context.streams >= min(limits):
        return False, "limit", nothing
    names = [r.obligations.mask_name for r in holding if r.obligations.mask_name]
    obligations = Obligations(
        sub_stream=any(r.obligations.sub_stream for r in holding),
        mask_position=any(r.obligations.mask_position for r in holding),
        mask_name=names[0] if names else None,
        max_streams=min(limits, default=None),
    )
    return True, holding[0].rule_id if holding else f"builtin:local-{subject.role}", obligations


def test_the_engine_decides_as_a_plain_reading_of_the_rules() -> None:
    chance = random.Random(1)
    allowed = 0
    for _ in range(1500):
        case = _case(chance)
        engine = _engine(case)
        for _ in range(6):
            facts, subject, context = _facts(chance), _subject(chance), _context(chance)
            profile = engine.profile(facts)
            for action in chance.sample(list(Action), 3):
                got = engine.decide(subject, action, profile, context)
                ok, rule, obligations = _plain(case, subject, action, facts, context)
                told = (case, subject, action, facts, context, got)
                assert got.allowed == ok, told
                allowed += ok
                if ok:
                    assert (got.rule, got.obligations) == (rule, obligations), told
                elif got.reason == "too_many_streams":
                    assert rule == "limit", told
                elif got.reason in {"denied", "stopped", "secrecy", "no_rule"} or rule:
                    assert got.rule == rule, told
    assert allowed > 2000


def test_ten_thousand_random_policies_never_let_a_classified_channel_out() -> None:
    chance = random.Random(2)
    asked = 0
    for _ in range(10_000):
        engine = _engine(_case(chance))
        subject = _subject(chance)
        while subject.is_local:
            subject = _subject(chance)
        profile = engine.profile(replace(_facts(chance), secrecy=1))
        context = _context(chance)
        for action in Action:
            decision = engine.decide(subject, action, profile, context)
            assert not decision.allowed
            assert decision.reason == "secrecy"
            asked += 1
    assert asked == 10_000 * len(Action)


def test_the_order_of_rules_makes_no_difference() -> None:
    chance = random.Random(3)
    for _ in range(400):
        case = _case(chance)
        shuffled = Case(
            chance.sample(case.rules, len(case.rules)),
            chance.sample(case.grants, len(case.grants)),
            case.stops,
            chance.sample(case.tags, len(case.tags)),
            case.boundary,
        )
        one, other = _engine(case), _engine(shuffled)
        for _ in range(10):
            facts, subject, context = _facts(chance), _subject(chance), _context(chance)
            action = chance.choice(list(Action))
            assert one.decide(subject, action, one.profile(facts), context) == other.decide(
                subject, action, other.profile(facts), context
            )


def test_a_further_deny_rule_never_allows_anything_more() -> None:
    chance = random.Random(4)
    for _ in range(400):
        case = _case(chance)
        denied = Case(
            [*case.rules, _rule(chance, "zz", Effect.DENY)],
            case.grants,
            case.stops,
            case.tags,
            case.boundary,
        )
        before, after = _engine(case), _engine(denied)
        for _ in range(10):
            facts, subject, context = _facts(chance), _subject(chance), _context(chance)
            action = chance.choice(list(Action))
            if after.decide(subject, action, after.profile(facts), context).allowed:
                assert before.decide(subject, action, before.profile(facts), context).allowed


@pytest.mark.parametrize("seed", range(3))
def test_a_decision_holds_up_to_the_time_it_says(seed: int) -> None:
    chance = random.Random(100 + seed)
    for _ in range(150):
        engine = _engine(_case(chance))
        facts, subject, context = _facts(chance), _subject(chance), _context(chance)
        profile = engine.profile(facts)
        action = chance.choice(list(Action))
        now = engine.decide(subject, action, profile, context)
        end = now.until or context.at + timedelta(days=8)
        assert end > context.at
        for part in (0.001, 0.3, 0.7, 0.999):
            later = replace(context, at=context.at + (end - context.at) * part)
            assert engine.decide(subject, action, profile, later) == now
