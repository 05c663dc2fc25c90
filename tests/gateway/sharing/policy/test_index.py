"""An index that was changed a thousand times answers like one made anew."""

import random
from dataclasses import replace
from datetime import timedelta

from gateway.domain.policy import Action, Subject
from gateway.domain.selector import ChannelSelector
from gateway.sharing.policy.clause import parse_subjects
from gateway.sharing.policy.index import EMPTY_INDEX, RuleIndex, bits
from gateway.sharing.policy.model import OUTSIDE, Conditions, Effect, Rule
from tests.support.policy import MONDAY, facts

CHANNELS = [
    facts(number, civil_code=civil, point_type=kind, groups=groups)
    for number, (civil, kind, groups) in enumerate(
        (civil, kind, groups)
        for civil in ("371326", "37132601", "110000", "")
        for kind in ("1", "3")
        for groups in (frozenset[str](), frozenset({"37132600002150000001"}))
    )
]
SUBJECTS = [
    Subject(platform="37130000002000000001"),
    Subject(platform="37020000002000000001"),
    Subject(department="urban", key="k1"),
    Subject(department="water"),
    Subject(role="admin"),
]
CLAUSES = [
    OUTSIDE,
    *parse_subjects({"platforms": ["37130000002000000001"]}),
    *parse_subjects({"platforms": ["3702*"]}),
    *parse_subjects({"departments": ["urban", "water"]}),
    *parse_subjects({"departments": ["urban"], "keys": ["k1"]}),
    *parse_subjects({"roles": ["admin"]}),
]


def _rule(chance: random.Random, number: int) -> Rule:
    def some(values: list[str]) -> list[str]:
        return chance.choices(values, k=chance.randint(1, 2)) if chance.random() < 0.4 else []

    codes = [channel.channel_id for channel in CHANNELS]
    return Rule(
        rule_id=f"r{number}",
        effect=chance.choice(list(Effect)),
        subjects=tuple(chance.choices(CLAUSES, k=chance.randint(1, 3))),
        objects=ChannelSelector(
            channels=frozenset(some(codes)),
            civil_codes=tuple(some(["37", "371326", "11"])),
            point_types=frozenset(some(["1", "3"])),
            groups=frozenset(some(["37132600002150000001"])),
        ),
        actions=frozenset(chance.sample(list(Action), k=chance.randint(1, 4))),
        conditions=Conditions(
            valid_to=MONDAY + timedelta(hours=number) if chance.random() < 0.5 else None
        ),
    )


def _said(index: RuleIndex) -> list[object]:
    """Return all that an index tells, by the ids of rules."""

    def names(mask: int) -> list[str]:
        return sorted(index.rules[number].rule_id for number in bits(mask))

    said: list[object] = [names(index.channel_mask(channel)) for channel in CHANNELS]
    said += [names(index.subject_mask(who, what)) for who in SUBJECTS for what in Action]
    said += [names(mask) for mask in (index.allow, index.deny, index.plain, index.timed)]
    said += [index.next_edge((MONDAY + timedelta(hours=at)).timestamp()) for at in range(0, 40, 7)]
    at = MONDAY.timestamp()
    own = zip(index.rules, index.terms, strict=True)
    said += sorted((rule.rule_id, str(terms.next_edge(at))) for rule, terms in own)
    return said


def test_an_index_that_was_changed_answers_like_one_made_anew() -> None:
    chance = random.Random(7)
    held: dict[str, Rule] = {}
    index = EMPTY_INDEX
    for _ in range(400):
        gone = chance.sample(sorted(held), k=min(len(held), chance.choice((0, 0, 1, 1, 2, 9))))
        added = [_rule(chance, chance.randrange(40)) for _ in range(chance.choice((0, 1, 1, 2)))]
        added = list({rule.rule_id: rule for rule in added}.values())
        before, as_before = index, _said(index)
        index = index.changed([*gone, "unknown"], added)
        held = {name: rule for name, rule in held.items() if name not in gone}
        held |= {rule.rule_id: rule for rule in added}
        assert {rule.rule_id: rule for rule in index.rules} == held
        assert _said(index) == _said(RuleIndex(held.values()))
        # Whoever still asks the other one is answered as before.
        assert _said(before) == as_before


def test_an_index_that_lost_all_its_rules_says_nothing() -> None:
    rules = [_rule(random.Random(number), number) for number in range(20)]
    index = RuleIndex(rules)
    for rule in rules:
        index = index.changed([rule.rule_id], ())
    assert not index
    assert _said(index) == _said(EMPTY_INDEX)
    again = index.changed((), [replace(rules[0], rule_id="again")])
    assert [rule.rule_id for rule in again.rules] == ["again"]
