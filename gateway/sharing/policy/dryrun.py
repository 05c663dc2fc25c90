"""Asking a policy without consequences: what would X see, why is Y refused, what changes between two versions.

Everything that goes over many channels is a generator of small steps, so that the caller decides when the loop
gets its turn; `paced` does it for coroutines.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gateway.domain.policy import AccessContext, Action, Decision, Subject
from gateway.domain.selector import ChannelFacts, ChannelSelector
from gateway.sharing.policy.clause import selector_fields
from gateway.sharing.policy.engine import (
    BUILTIN_ACTIONS,
    BUILTIN_BOUNDARY,
    BUILTIN_SECRECY,
    Engine,
    Profile,
)
from gateway.sharing.policy.index import RuleIndex
from gateway.sharing.policy.model import Rule
from gateway.sharing.policy.terms import Terms
from gateway.sharing.policy.value_text import value_text
from gb28181.aio.clock import monotonic

__all__ = [
    "Change",
    "Explanation",
    "Mismatch",
    "RuleTrace",
    "Sight",
    "changes",
    "explain",
    "paced",
    "trace",
    "would_see",
]

_Step = TypeVar("_Step")
_PACE = 0.01
"""Seconds of work between two turns of the loop."""
_SHOWN = 200
"""Characters of one value in an explanation; lists of codes are long."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One channel and what the subject would be told about it."""

    facts: ChannelFacts
    decision: Decision


@dataclass(frozen=True, slots=True)
class Change:
    """A channel, subject and action for which two policies differ."""

    facts: ChannelFacts
    subject: Subject
    action: Action
    before: Decision
    after: Decision

    @property
    def kind(self) -> str:
        """`allowed`, `denied`, or `obligations` if it stays allowed under others."""
        if self.before.allowed == self.after.allowed:
            return "obligations"
        return "allowed" if self.after.allowed else "denied"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A field of a rule that does not match, or a condition that is not met."""

    field: str
    """As in the file: `subjects.platforms`, `actions`, `objects.civil_codes`, `context.windows`."""
    expected: str
    got: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTrace:
    """What one rule had to say."""

    rule_id: str
    effect: str
    line: int = 0
    """In the file; 0 for grants, stop orders and built-in rules."""
    matched: bool
    """Whether it speaks of this subject, action and channel."""
    applied: bool
    """Whether its conditions are met too."""
    mismatches: tuple[Mismatch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision and how it came about."""

    decision: Decision
    facts: ChannelFacts
    """What the rules looked at, tags included."""
    trace: tuple[RuleTrace, ...]
    """Every rule, in the order of asking: built-in denials, stop orders, rules, grants, built-in rules."""


def would_see(
    engine: Engine,
    subject: Subject,
    channels: Iterable[ChannelFacts],
    context: AccessContext,
    action: Action = Action.CATALOG,
) -> Iterator[Sight]:
    """Yield each channel with the decision on it, refused ones too."""
    for facts in channels:
        profile = engine.profile(facts)
        yield Sight(profile.facts, engine.decide(subject, action, profile, context))


def changes(
    before: Engine,
    after: Engine,
    askers: Sequence[tuple[Subject, AccessContext]],
    channels: Iterable[ChannelFacts],
    actions: Sequence[Action] = tuple(Action),
) -> Iterator[Sequence[Change]]:
    """Yield for each channel and subject, each under its own circumstances, what differs, mostly nothing."""
    for facts in channels:
        old, new = before.profile(facts), after.profile(facts)
        for subject, context in askers:
            found = []
            for action in actions:
                was = before.decide(subject, action, old, context)
                is_now = after.decide(subject, action, new, context)
                if was.allowed != is_now.allowed or (
                    was.allowed and was.obligations != is_now.obligations
                ):
                    found.append(Change(new.facts, subject, action, was, is_now))
            yield found


def explain(
    engine: Engine, subject: Subject, action: Action, facts: ChannelFacts, context: AccessContext
) -> Explanation:
    """Decide and say of every rule whether it matched, and if not, which field did not.

    Takes some 20 microseconds a rule; where there are thousands go through :func:`trace` instead.
    """
    profile = engine.profile(facts)
    return Explanation(
        decision=engine.decide(subject, action, profile, context),
        facts=profile.facts,
        trace=tuple(trace(engine, subject, action, facts, context)),
    )


def trace(
    engine: Engine, subject: Subject, action: Action, facts: ChannelFacts, context: AccessContext
) -> Iterator[RuleTrace]:
    """Yield what every rule has to say, in the order of asking."""
    profile = engine.profile(facts)
    yield from _builtin_denials(engine, subject, profile, context)
    for index in (engine.stops, engine.policy.rules, engine.grants):
        yield from _traces(index, subject, action, profile.facts, context)
    if subject.is_local:
        mine = BUILTIN_ACTIONS.get(subject.role, frozenset())
        missed = () if action in mine else (Mismatch("actions", _actions(mine), action.value),)
        yield RuleTrace(
            rule_id=f"builtin:local-{subject.role}",
            effect="allow",
            matched=not missed,
            applied=not missed,
            mismatches=missed,
        )


async def paced(steps: Iterable[_Step], *, pace: float = _PACE) -> AsyncIterator[_Step]:
    """Pass steps on, giving the loop its turn after each `pace` seconds of work."""
    enough = monotonic() + pace
    for step in steps:
        yield step
        if monotonic() >= enough:
            await asyncio.sleep(0)
            enough = monotonic() + pace


def _builtin_denials(
    engine: Engine, subject: Subject, profile: Profile, context: AccessContext
) -> Iterator[RuleTrace]:
    facts, outside = profile.facts, not subject.is_local
    secret = bool(facts.secrecy) and outside
    missed = [] if facts.secrecy else [Mismatch("secrecy", "1", str(facts.secrecy))]
    permitted = engine.policy.policy.boundary.permits(facts.network, context.zone)
    place = f"network {facts.network or 'unknown'}, zone {context.zone or 'none'}"
    crossing = [Mismatch("boundary", "a zone that is not permitted", place)] if permitted else []
    local = [] if outside else [Mismatch("subjects", "somebody outside", subject.label)]
    for rule_id, applied, mismatches in (
        (BUILTIN_SECRECY, secret, [*local, *missed]),
        (BUILTIN_BOUNDARY, outside and not permitted, [*local, *crossing]),
    ):
        yield RuleTrace(
            rule_id=rule_id,
            effect="deny",
            matched=applied,
            applied=applied,
            mismatches=tuple(mismatches),
        )


def _traces(
    index: RuleIndex,
    subject: Subject,
    action: Action,
    facts: ChannelFacts,
    context: AccessContext,
) -> Iterator[RuleTrace]:
    for rule, terms in zip(index.rules, index.terms, strict=True):
        mismatches = _mismatches(rule, subject, action, facts)
        matched = not mismatches
        failed = _failed(rule, terms, subject, action, context)
        yield RuleTrace(
            rule_id=rule.rule_id,
            effect=rule.effect.value,
            line=rule.line,
            matched=matched,
            applied=matched and not failed,
            mismatches=(*mismatches, *failed),
        )


def _mismatches(
    rule: Rule, subject: Subject, action: Action, facts: ChannelFacts
) -> tuple[Mismatch, ...]:
    found = []
    missed = [clause.mismatches(subject) for clause in rule.subjects]
    if all(missed):
        # Of several clauses the one that comes nearest is worth telling.
        nearest = min(range(len(missed)), key=lambda index: len(missed[index]))
        for name in missed[nearest]:
            value = getattr(rule.subjects[nearest], name, "")
            wanted = getattr(value, "texts", value)
            found.append(Mismatch(f"subjects.{name}", _brief(wanted), _of_subject(subject, name)))
    if action not in rule.actions:
        found.append(Mismatch("actions", _actions(rule.actions), action.value))
    if not rule.objects.matches(facts):
        for name, values in selector_fields(rule.objects).items():
            alone = ChannelSelector(**{name: getattr(rule.objects, name)})
            if not alone.matches(facts):
                found.append(Mismatch(f"objects.{name}", _brief(values), _of_channel(facts, name)))
    return tuple(found)


def _failed(
    rule: Rule, terms: Terms, subject: Subject, action: Action, context: AccessContext
) -> tuple[Mismatch, ...]:
    word = terms.failure(subject, action, context, context.at.timestamp())
    if not word:
        return ()
    conditions, at = rule.conditions, context.at.isoformat()
    said = {
        "not_yet_valid": ("valid_from", conditions.valid_from, at),
        "expired": ("valid_to", conditions.valid_to, at),
        "outside_window": ("windows", conditions.windows and conditions.windows.texts, at),
        "zone": ("zones", sorted(conditions.zones), context.zone),
        "identity_required": ("identity_required", True, subject.identity),
        "purpose_required": ("purpose_required", True, context.purpose),
        "ticket_required": ("ticket_required", True, context.ticket),
    }
    name, expected, got = said[word]
    return (Mismatch(f"context.{name}", _brief(expected), got or "none"),)


def _of_subject(subject: Subject, name: str) -> str:
    attribute = {
        "platforms": subject.platform,
        "departments": subject.department,
        "keys": subject.key,
        "users": subject.user,
        "roles": subject.role,
        "identities": subject.identity,
        "user_types": subject.identity,
        "gateways": "-".join(subject.gateways),
        "outside": subject.label,
        "subjects": subject.label,
    }
    return attribute[name] or "none"


_FACTS = {
    "channels": "channel_id",
    "devices": "device_id",
    "civil_codes": "civil_code",
    "grassroots": "grassroots_code",
    "point_types": "point_type",
    "industries": "industry",
    "networks": "network",
    "kinds": "kind",
}


def _of_channel(facts: ChannelFacts, name: str) -> str:
    value = getattr(facts, _FACTS.get(name, name))
    if isinstance(value, frozenset):
        return _brief(sorted(value)) if value else "none"
    return str(value) or "none"


def _actions(actions: Iterable[Action]) -> str:
    return " ".join(sorted(actions)) or "none"


def _brief(value: object) -> str:
    if isinstance(value, frozenset):
        value = sorted(value)
    if isinstance(value, list | tuple):
        # Lists of thousands of codes need not be written out to be cut.
        value = value[:_SHOWN]
    text = value_text(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
