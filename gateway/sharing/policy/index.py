"""Rules found by bit masks instead of one by one.

Bit i of a mask stands for rule i, in the order of their ids unless some were changed. Which rules mean a channel is the AND over the
fields of a selector, each a dictionary from value to mask; which mean a subject is remembered per subject.
A decision is then one AND of two numbers and a look at the few rules that are left.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.domain.policy import Action, Subject
from gateway.domain.selector import ChannelFacts, ChannelSelector
from gateway.sharing.policy.model import Effect, Rule, SubjectClause
from gateway.sharing.policy.terms import Terms

__all__ = ["EMPTY_INDEX", "MAX_SUBJECTS_REMEMBERED", "RuleIndex", "SelectorIndex", "bits"]

MAX_SUBJECTS_REMEMBERED = 4_096
"""Subjects whose rules are remembered; with an identity per request a platform brings many. Cleared when full."""


# Fields of a selector with what they look at in a channel.
_SINGLE = {
    "devices": "device_id",
    "point_types": "point_type",
    "industries": "industry",
    "networks": "network",
    "kinds": "kind",
}
_MANY = {name: name for name in ("channels", "groups", "tags")}
_PREFIXES = {"civil_codes": "civil_code", "grassroots": "grassroots_code"}


def bits(mask: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


@dataclass(frozen=True, slots=True)
class _Mark:
    """A rule that gets a number, or loses it."""

    bit: int
    rule: Rule
    terms: Terms
    present: bool


class _Field:
    """One field of the selectors: which of them each value satisfies."""

    __slots__ = ("free", "key", "lengths", "prefixes", "table")

    def __init__(self, key: str, *, prefixes: bool = False) -> None:
        self.key = key
        self.prefixes = prefixes
        self.table: dict[str, int] = {}
        self.free = 0
        """Selectors that say nothing about this field."""
        self.lengths: tuple[int, ...] = ()

    def add(self, bit: int, selector: ChannelSelector) -> None:
        wanted: Collection[str] = getattr(selector, self.key)
        if not wanted:
            self.free |= bit
        table = self.table
        for value in wanted:
            known = table.get(value)
            # Most values are one rule's: of those the number is shared.
            table[value] = bit if known is None else known | bit

    def remove(self, bit: int, selector: ChannelSelector) -> None:
        wanted: Collection[str] = getattr(selector, self.key)
        if not wanted:
            self.free &= ~bit
        for value in wanted:
            # A value may stand in a list twice.
            left = self.table.get(value, 0) & ~bit
            if left:
                self.table[value] = left
            else:
                self.table.pop(value, None)

    def measure(self) -> None:
        """Look how long the values are; after each change."""
        if self.prefixes:
            self.lengths = tuple(sorted({len(value) for value in self.table}))

    def copy(self) -> "_Field":
        twin = _Field(self.key, prefixes=self.prefixes)
        twin.table, twin.free = self.table.copy(), self.free
        return twin

    def one(self, value: str) -> int:
        return self.free | self.table.get(value, 0)

    def any_of(self, values: Iterable[str]) -> int:
        mask = self.free
        for value in values:
            mask |= self.table.get(value, 0)
        return mask

    def prefix(self, value: str) -> int:
        mask = self.free
        for length in self.lengths:
            if length > len(value):
                break
            mask |= self.table.get(value[:length], 0)
        return mask


class SelectorIndex:
    """Which of many selectors mean a channel, without asking each."""

    __slots__ = ("_all", "_fields", "_many", "_prefixes", "_single")

    def __init__(self, selectors: Sequence[ChannelSelector]) -> None:
        self._fields = {
            key: _Field(key, prefixes=key in _PREFIXES) for key in (*_SINGLE, *_MANY, *_PREFIXES)
        }
        for index, selector in enumerate(selectors):
            for field in self._fields.values():
                field.add(1 << index, selector)
        self._settle(len(selectors))

    def changed(self, marks: Iterable[_Mark], count: int) -> "SelectorIndex":
        """Return an index with these changes, of so many selectors."""
        twin = SelectorIndex(())
        twin._fields = {key: field.copy() for key, field in self._fields.items()}
        for mark in marks:
            for field in twin._fields.values():
                (field.add if mark.present else field.remove)(mark.bit, mark.rule.objects)
        twin._settle(count)
        return twin

    def _settle(self, count: int) -> None:
        self._all = (1 << count) - 1
        for field in self._fields.values():
            field.measure()
        # Fields that no selector uses cost nothing.
        self._single = self._used(_SINGLE)
        self._many = self._used(_MANY)
        self._prefixes = self._used(_PREFIXES)

    def _used(self, keys: Mapping[str, str]) -> tuple[tuple[str, _Field], ...]:
        return tuple(
            (name, self._fields[key]) for key, name in keys.items() if self._fields[key].table
        )

    def mask(self, facts: ChannelFacts) -> int:
        """Return the selectors that mean a channel."""
        mask = self._all
        for name, field in self._prefixes:
            mask &= field.prefix(getattr(facts, name))
        for name, field in self._single:
            mask &= field.one(getattr(facts, name))
        for name, field in self._many:
            if not mask:
                break
            if name == "channels":
                codes = (facts.channel_id, f"{facts.device_id}/{facts.channel_id}")
                mask &= field.any_of(codes)
            else:
                mask &= field.any_of(getattr(facts, name))
        return mask


class RuleIndex:
    """Rules ready to be asked.

    Args:
        rules: In any order; ids are unique.
    """

    __slots__ = (
        "_actions",
        "_by_value",
        "_numbers",
        "_other_clauses",
        "_selectors",
        "_subjects",
        "allow",
        "deny",
        "plain",
        "rules",
        "terms",
        "timed",
    )

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(sorted(rules, key=lambda rule: rule.rule_id))
        self.terms = tuple(Terms(rule) for rule in self.rules)
        self._selectors = SelectorIndex([rule.objects for rule in self.rules])
        self._numbers = {rule.rule_id: index for index, rule in enumerate(self.rules)}
        self._actions = dict.fromkeys(Action, 0)
        self.allow = self.deny = self.plain = self.timed = 0
        self._by_value: dict[tuple[str, str], list[tuple[SubjectClause, int]]] = {}
        self._other_clauses: list[tuple[SubjectClause, int]] = []
        self._subjects: dict[Subject, dict[Action, int]] = {}
        for index, (rule, terms) in enumerate(zip(self.rules, self.terms, strict=True)):
            self._mark(1 << index, rule, terms)
            for clause in rule.subjects:
                for place in self._places(clause):
                    place.append((clause, 1 << index))

    def changed(self, gone: Iterable[str], added: Iterable[Rule]) -> "RuleIndex":
        """Return an index without some rules and with others; what this one is asked stays as it is.

        Costs what changes, not what stays; the numbers of the rules are in no order any more.

        Args:
            gone: Ids of rules that go; unknown ones are no error.
            added: Rules that come, in place of those of the same id.
        """
        come = {rule.rule_id: rule for rule in added}
        leave = {rule_id for rule_id in (*gone, *come) if rule_id in self._numbers}
        if 2 * (len(leave) + len(come)) > len(self.rules):
            kept = (rule for rule in self.rules if rule.rule_id not in leave)
            return RuleIndex((*kept, *come.values()))
        twin = RuleIndex(())
        rules, terms, numbers = list(self.rules), list(self.terms), dict(self._numbers)
        marks: list[_Mark] = []
        for rule_id in leave:
            # The last one moves into the gap.
            number, last = numbers.pop(rule_id), len(rules) - 1
            marks.append(_Mark(1 << number, rules[number], terms[number], present=False))
            if number != last:
                marks.append(_Mark(1 << last, rules[last], terms[last], present=False))
                marks.append(_Mark(1 << number, rules[last], terms[last], present=True))
                rules[number], terms[number] = rules[last], terms[last]
                numbers[rules[number].rule_id] = number
            del rules[last], terms[last]
        for rule_id, rule in come.items():
            terms.append(Terms(rule))
            marks.append(_Mark(1 << len(rules), rule, terms[-1], present=True))
            numbers[rule_id] = len(rules)
            rules.append(rule)
        twin.rules, twin.terms, twin._numbers = tuple(rules), tuple(terms), numbers
        twin._selectors = self._selectors.changed(marks, len(rules))
        twin._actions = dict(self._actions)
        twin.allow, twin.deny, twin.plain, twin.timed = (
            self.allow,
            self.deny,
            self.plain,
            self.timed,
        )
        twin._by_value, twin._other_clauses = dict(self._by_value), [*self._other_clauses]
        own: set[tuple[str, str]] = set()
        for mark in marks:
            twin._apply(mark, own)
        return twin

    def _apply(self, mark: _Mark, own: set[tuple[str, str]]) -> None:
        """Make a change; `own` are the lists that are not shared with another index any more."""
        bit, rule = mark.bit, mark.rule
        if mark.present:
            self._mark(bit, rule, mark.terms)
        else:
            for action in rule.actions:
                self._actions[action] &= ~bit
            self.allow, self.deny = self.allow & ~bit, self.deny & ~bit
            self.plain, self.timed = self.plain & ~bit, self.timed & ~bit
        for clause in rule.subjects:
            for key in _keys(clause):
                if key not in own:
                    own.add(key)
                    self._by_value[key] = [*self._by_value.get(key, ())]
            for place in self._places(clause):
                if mark.present:
                    place.append((clause, bit))
                else:
                    place[:] = [item for item in place if item[1] != bit]
            for key in _keys(clause):
                if not self._by_value[key]:
                    del self._by_value[key]

    def _mark(self, bit: int, rule: Rule, terms: Terms) -> None:
        for action in rule.actions:
            self._actions[action] |= bit
        if rule.effect is Effect.ALLOW:
            self.allow |= bit
        else:
            self.deny |= bit
        self.plain |= bit if terms.plain else 0
        self.timed |= bit if terms.timed else 0

    def __bool__(self) -> bool:
        return bool(self.rules)

    def channel_mask(self, facts: ChannelFacts) -> int:
        """Return the rules whose objects a channel is among."""
        return self._selectors.mask(facts) if self.rules else 0

    def subject_mask(self, subject: Subject, action: Action) -> int:
        """Return the rules that speak of this subject and action."""
        if not self.rules:
            return 0
        masks = self._subjects.get(subject)
        if masks is None:
            if len(self._subjects) >= MAX_SUBJECTS_REMEMBERED:
                self._subjects.clear()
            meant = self._meant(subject)
            masks = {action: meant & mask for action, mask in self._actions.items()}
            self._subjects[subject] = masks
        return masks[action]

    def next_edge(self, at: float) -> float | None:
        """Return when any rule begins or ceases to hold next, after `at` (POSIX seconds)."""
        return self.edge_of(self.timed, at)

    def edge_of(self, mask: int, at: float) -> float | None:
        """As :meth:`next_edge`, for some of the rules."""
        nearest: float | None = None
        mask &= self.timed
        if not mask:
            return None
        for index in bits(mask):
            edge = self.terms[index].next_edge(at)
            if edge is not None and (nearest is None or edge < nearest):
                nearest = edge
        return nearest

    def _places(self, clause: SubjectClause) -> list[list[tuple[SubjectClause, int]]]:
        """Return the lists that a clause stands in."""
        keys = _keys(clause)
        return [self._by_value.setdefault(key, []) for key in keys] or [self._other_clauses]

    def _meant(self, subject: Subject) -> int:
        mask = 0
        candidates = [self._other_clauses]
        for name in ("platform", "key", "department", "user"):
            found = self._by_value.get((name, getattr(subject, name)))
            if found is not None:
                candidates.append(found)
        for clauses in candidates:
            for clause, bit in clauses:
                if not mask & bit and clause.matches(subject):
                    mask |= bit
        return mask


def _keys(clause: SubjectClause) -> list[tuple[str, str]]:
    """Return the values by which a clause is found; none: it is always asked."""
    for name, patterns in (
        ("platform", clause.platforms),
        ("key", clause.keys),
        ("department", clause.departments),
        ("user", clause.users),
    ):
        if patterns.exact and not patterns.globs:
            return [(name, value) for value in patterns.exact]
    return []


EMPTY_INDEX = RuleIndex(())
