"""Rules found by bit masks instead of one by one.

Bit i of a mask stands for rule i, in the order of their ids. Which rules mean a channel is the AND over the
fields of a selector, each a dictionary from value to mask; which mean a subject is remembered per subject.
A decision is then one AND of two numbers and a look at the few rules that are left.
"""

from collections.abc import Iterable, Iterator, Sequence

from gateway.domain.policy import Action, Subject
from gateway.domain.selector import ChannelFacts, ChannelSelector
from gateway.sharing.policy.model import Effect, Rule, SubjectClause
from gateway.sharing.policy.terms import Terms

__all__ = ["EMPTY_INDEX", "MAX_SUBJECTS_REMEMBERED", "RuleIndex", "SelectorIndex", "bits"]

MAX_SUBJECTS_REMEMBERED = 4_096
"""Subjects whose rules are remembered; with an identity per request a platform brings many. Cleared when full."""


def bits(mask: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class _Field:
    """One field of the selectors: which of them each value satisfies."""

    __slots__ = ("free", "lengths", "table")

    def __init__(self, values: Sequence[Iterable[str]], *, prefixes: bool = False) -> None:
        self.table: dict[str, int] = {}
        self.free = 0
        """Selectors that say nothing about this field."""
        for index, wanted in enumerate(values):
            bit = 1 << index
            said = False
            for value in wanted:
                said = True
                known = self.table.get(value)
                # Most values are one rule's: of those the number is shared.
                self.table[value] = bit if known is None else known | bit
            if not said:
                self.free |= bit
        self.lengths = tuple(sorted({len(value) for value in self.table})) if prefixes else ()

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

    __slots__ = ("_all", "_many", "_prefixes", "_single")

    def __init__(self, selectors: Sequence[ChannelSelector]) -> None:
        def column(name: str, *, prefixes: bool = False) -> _Field:
            values = [getattr(selector, name) for selector in selectors]
            return _Field(values, prefixes=prefixes)

        self._all = (1 << len(selectors)) - 1
        # Fields that no selector uses cost nothing.
        self._single = _used(
            (name, column(key))
            for name, key in (
                ("device_id", "devices"),
                ("point_type", "point_types"),
                ("industry", "industries"),
                ("network", "networks"),
                ("kind", "kinds"),
            )
        )
        self._many = _used((name, column(name)) for name in ("channels", "groups", "tags"))
        self._prefixes = _used(
            (name, column(key, prefixes=True))
            for name, key in (("civil_code", "civil_codes"), ("grassroots_code", "grassroots"))
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


def _used(columns: Iterable[tuple[str, _Field]]) -> tuple[tuple[str, _Field], ...]:
    return tuple((name, column) for name, column in columns if column.table)


class RuleIndex:
    """Rules ready to be asked.

    Args:
        rules: In any order; ids are unique.
    """

    __slots__ = (
        "_actions",
        "_by_value",
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
        self._actions = dict.fromkeys(Action, 0)
        self.allow = self.deny = self.plain = self.timed = 0
        self._by_value: dict[tuple[str, str], list[tuple[SubjectClause, int]]] = {}
        self._other_clauses: list[tuple[SubjectClause, int]] = []
        self._subjects: dict[Subject, dict[Action, int]] = {}
        for index, (rule, terms) in enumerate(zip(self.rules, self.terms, strict=True)):
            bit = 1 << index
            for action in rule.actions:
                self._actions[action] |= bit
            if rule.effect is Effect.ALLOW:
                self.allow |= bit
            else:
                self.deny |= bit
            self.plain |= bit if terms.plain else 0
            self.timed |= bit if terms.timed else 0
            for clause in rule.subjects:
                self._add_clause(clause, bit)

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

    def _add_clause(self, clause: SubjectClause, bit: int) -> None:
        for name, patterns in (
            ("platform", clause.platforms),
            ("key", clause.keys),
            ("department", clause.departments),
            ("user", clause.users),
        ):
            if patterns.exact and not patterns.globs:
                for value in patterns.exact:
                    self._by_value.setdefault((name, value), []).append((clause, bit))
                return
        self._other_clauses.append((clause, bit))

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


EMPTY_INDEX = RuleIndex(())
