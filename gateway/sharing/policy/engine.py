"""The one decision: forced stops, Secrecy, the boundary, deny rules, allow rules, grants, built-in rules.

Secrecy=1 and not local            deny   secrecy           builtin:secrecy
a stop order means it              deny   stopped           stop:ID
boundary forbids the zone          deny   zone              builtin:boundary
a deny rule means it               deny   denied            its id
an allow rule or grant means it,
  its conditions met               allow                    its id, grant:ID
  too many streams open            deny   too_many_streams
one of our own people              allow                    builtin:local-ROLE
a rule would allow, but for ...    deny   outside_window, purpose_required, ...
nothing                            deny   no_rule
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from gateway.domain.policy import (
    AccessContext,
    Action,
    Decision,
    Obligations,
    Role,
    Subject,
)
from gateway.domain.selector import ChannelFacts
from gateway.sharing.policy.index import EMPTY_INDEX, RuleIndex, SelectorIndex, bits
from gateway.sharing.policy.model import Boundary, Policy, Rule
from gateway.sharing.policy.rule import STREAMING
from gateway.sharing.policy.terms import FAILURES

__all__ = [
    "BUILTIN_ACTIONS",
    "BUILTIN_BOUNDARY",
    "BUILTIN_SECRECY",
    "CompiledPolicy",
    "Engine",
    "Profile",
    "strictest",
]

BUILTIN_SECRECY = "builtin:secrecy"
BUILTIN_BOUNDARY = "builtin:boundary"

_VIEWER = frozenset({Action.CATALOG, Action.LIVE})
BUILTIN_ACTIONS: dict[str, frozenset[Action]] = {
    Role.ADMIN.value: frozenset(Action),
    Role.OPERATOR.value: _VIEWER
    | {Action.PTZ, Action.PLAYBACK, Action.ALARM, Action.POSITION, Action.TALK},
    Role.VIEWER.value: _VIEWER,
}
"""What our own people may do unless a rule denies it."""

MAX_DECISIONS_REMEMBERED = 4_096
"""Decisions that depend on no circumstance, by the rules that made them. Cleared when full."""

_NO_OBLIGATIONS = Obligations()
_SECRET = Decision(
    allowed=False,
    rule=BUILTIN_SECRECY,
    reason="secrecy",
    detail="The channel is classified (Secrecy=1) and never leaves this domain",
)
_NO_RULE = Decision(allowed=False, reason="no_rule", detail="No rule and no grant allows it")
_WORDS = {
    "not_yet_valid": "is not valid yet",
    "expired": "is no longer valid",
    "outside_window": "allows it at other times only",
    "zone": "allows it from other network zones only",
    "identity_required": "demands a user identity (Monitor-User-Identity)",
    "purpose_required": "demands a purpose",
    "ticket_required": "demands a ticket number",
}


class CompiledPolicy:
    """A policy ready to be asked."""

    __slots__ = ("_owners", "_tags", "boundary", "policy", "rules")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.rules = RuleIndex(policy.rules)
        self.boundary = policy.boundary if policy.boundary != Boundary() else None
        self._tags = SelectorIndex([tag.objects for tag in policy.tags])
        self._owners = SelectorIndex([owner.objects for owner in policy.owners])

    def tagged(self, facts: ChannelFacts) -> ChannelFacts:
        """Return the facts with the tags that this policy gives."""
        if not self.policy.tags:
            return facts
        names = frozenset(self.policy.tags[index].name for index in bits(self._tags.mask(facts)))
        return replace(facts, tags=facts.tags | names) if names else facts

    def owners(self, facts: ChannelFacts) -> tuple[str, ...]:
        """Return the departments a channel (with its tags) belongs to, in order."""
        if not self.policy.owners:
            return ()
        found = {self.policy.owners[index].department for index in bits(self._owners.mask(facts))}
        return tuple(sorted(found))


class Profile:
    """A channel as one engine sees it; make it once, ask often."""

    __slots__ = ("facts", "grant_mask", "grants", "policy", "rule_mask", "stop_mask", "stops")

    def __init__(self, facts: ChannelFacts, engine: "Engine") -> None:
        self.facts = engine.policy.tagged(facts)
        self.policy = engine.policy
        self.grants = engine.grants
        self.stops = engine.stops
        self.rule_mask = engine.policy.rules.channel_mask(self.facts)
        self.grant_mask = engine.grants.channel_mask(self.facts)
        self.stop_mask = engine.stops.channel_mask(self.facts)


class Engine:
    """What is in force together: a policy, the grants and the stop orders.

    Args:
        policy: The compiled policy.
        grants: Active grants as allow rules.
        stops: Stop orders as deny rules.
    """

    __slots__ = ("_obligations", "_plain_decisions", "grants", "policy", "stops")

    def __init__(
        self,
        policy: CompiledPolicy,
        grants: RuleIndex = EMPTY_INDEX,
        stops: RuleIndex = EMPTY_INDEX,
    ) -> None:
        self.policy = policy
        self.grants = grants
        self.stops = stops
        self._plain_decisions: dict[tuple[int, str], Decision] = {}
        self._obligations: dict[tuple[int, int], Obligations] = {}
        """By the rules and grants that allow."""

    @classmethod
    def of(cls, policy: Policy) -> "Engine":
        """Compile a policy alone, for a dry run."""
        return cls(CompiledPolicy(policy))

    def profile(self, facts: ChannelFacts) -> Profile:
        """Work out which rules mean a channel."""
        return Profile(facts, self)

    def renew(self, profile: Profile) -> bool:
        """Bring a profile up to date where only grants or stop orders changed.

        Returns:
            False if the policy is another one: a new profile is needed.
        """
        if profile.policy is not self.policy:
            return False
        if profile.grants is not self.grants:
            profile.grants = self.grants
            profile.grant_mask = self.grants.channel_mask(profile.facts)
        if profile.stops is not self.stops:
            profile.stops = self.stops
            profile.stop_mask = self.stops.channel_mask(profile.facts)
        return True

    def next_edge(self, at: datetime) -> datetime | None:
        """Return when any decision may change by itself, after `at`."""
        moment = at.timestamp()
        edges = (self.policy.rules.next_edge(moment), self.grants.next_edge(moment))
        return _earliest(edges)

    def decide(
        self,
        subject: Subject,
        action: Action,
        profile: Profile,
        context: AccessContext,
        *,
        streams: int | None = None,
    ) -> Decision:
        """Decide; nothing is recorded.

        Args:
            subject: Who.
            action: What.
            profile: The channel, made or renewed by this engine.
            context: The circumstances.
            streams: Streams the subject has open; None takes the context's.
        """
        local = subject.is_local
        facts = profile.facts
        if facts.secrecy and not local:
            return _SECRET
        if profile.stop_mask:
            stopping = profile.stop_mask & self.stops.subject_mask(subject, action)
            if stopping:
                return _stopped(self.stops.rules[next(bits(stopping))])
        boundary = self.policy.boundary
        if boundary and not local and not boundary.permits(facts.network, context.zone):
            return _beyond(facts, context)
        rules = self.policy.rules
        hit = profile.rule_mask & rules.subject_mask(subject, action)
        granted = profile.grant_mask
        if granted:
            granted &= self.grants.subject_mask(subject, action)
        role = subject.role if local and action in BUILTIN_ACTIONS.get(subject.role, ()) else ""
        if not granted and not hit & ~rules.plain:
            return self._plain(hit, role)
        open_streams = context.streams if streams is None else streams
        return self._conditional(
            hit, granted, subject, action, context, role=role, streams=open_streams
        )

    def stopped(self, subject: Subject, action: Action, facts: ChannelFacts) -> Decision | None:
        """Return the denial of a stop order that means these facts, if there is one."""
        stopping = self.stops.channel_mask(facts) & self.stops.subject_mask(subject, action)
        return _stopped(self.stops.rules[next(bits(stopping))]) if stopping else None

    def _plain(self, hit: int, role: str) -> Decision:
        """Decide by rules without conditions; the same rules always give the same decision."""
        known = self._plain_decisions.get((hit, role))
        if known is not None:
            return known
        rules = self.policy.rules
        denying = hit & rules.deny
        if denying:
            decision = _denied(rules.rules[next(bits(denying))], None)
        elif hit or role:
            allowing = [rules.rules[index] for index in bits(hit)]
            decision = _allowed(allowing, role, strictest(allowing), None)
        else:
            decision = _NO_RULE
        if len(self._plain_decisions) >= MAX_DECISIONS_REMEMBERED:
            self._plain_decisions.clear()
        self._plain_decisions[hit, role] = decision
        return decision

    def _conditional(
        self,
        hit: int,
        granted: int,
        subject: Subject,
        action: Action,
        context: AccessContext,
        *,
        role: str,
        streams: int,
    ) -> Decision:
        rules, grants = self.policy.rules, self.grants
        at = context.at.timestamp()
        until = _earliest((rules.edge_of(hit, at), grants.edge_of(granted, at)))
        for index in bits(hit & rules.deny):
            if not rules.terms[index].failure(subject, action, context, at):
                return _denied(rules.rules[index], until)
        allowing: list[Rule] = []
        masks = [0, 0]
        nearest: tuple[int, Rule] | None = None
        for layer, (source, mask) in enumerate(((rules, hit & rules.allow), (grants, granted))):
            # The numbers of grants are in no order, and which one decides should not depend on that.
            numbers = (
                sorted(bits(mask), key=lambda number: grants.rules[number].rule_id)
                if layer
                else bits(mask)
            )
            for index in numbers:
                rule = source.rules[index]
                word = source.terms[index].failure(subject, action, context, at)
                if not word:
                    allowing.append(rule)
                    masks[layer] |= 1 << index
                elif nearest is None or FAILURES.index(word) > nearest[0]:
                    nearest = (FAILURES.index(word), rule)
        if allowing or role:
            obligations = self._strictest((masks[0], masks[1]), allowing)
            limit = obligations.max_streams
            if action in STREAMING and limit is not None and streams >= limit:
                return _too_many(allowing, streams, until)
            return _allowed(allowing, role, obligations, until)
        if nearest is not None:
            return _unmet(nearest[1], FAILURES[nearest[0]], until)
        return replace(_NO_RULE, until=until) if until is not None else _NO_RULE

    def _strictest(self, masks: tuple[int, int], rules: Sequence[Rule]) -> Obligations:
        known = self._obligations.get(masks)
        if known is None:
            if len(self._obligations) >= MAX_DECISIONS_REMEMBERED:
                self._obligations.clear()
            known = self._obligations[masks] = strictest(rules)
        return known


def strictest(rules: Iterable[Rule]) -> Obligations:
    """Return the obligations of several rules together; of different masked names the first rule's counts."""
    obligations = [rule.obligations for rule in rules]
    if all(each == _NO_OBLIGATIONS for each in obligations):
        return _NO_OBLIGATIONS
    names = [each.mask_name for each in obligations if each.mask_name is not None]
    limits = [each.max_streams for each in obligations if each.max_streams is not None]
    return Obligations(
        sub_stream=any(each.sub_stream for each in obligations),
        mask_name=names[0] if names else None,
        mask_position=any(each.mask_position for each in obligations),
        notify_owner=any(each.notify_owner for each in obligations),
        max_streams=min(limits) if limits else None,
    )


def _allowed(
    rules: Sequence[Rule], role: str, obligations: Obligations, until: datetime | None
) -> Decision:
    deciding = rules[0].rule_id if rules else f"builtin:local-{role}"
    return Decision(
        allowed=True, rule=deciding, reason="allowed", obligations=obligations, until=until
    )


def _denied(rule: Rule, until: datetime | None) -> Decision:
    detail = f"Rule {rule.rule_id} denies it{_told(rule)}"
    return Decision(allowed=False, rule=rule.rule_id, reason="denied", detail=detail, until=until)


def _stopped(rule: Rule) -> Decision:
    detail = f"Forced stop {rule.rule_id.removeprefix('stop:')} is in force{_told(rule)}"
    return Decision(allowed=False, rule=rule.rule_id, reason="stopped", detail=detail)


def _beyond(facts: ChannelFacts, context: AccessContext) -> Decision:
    network = f"network {facts.network}" if facts.network else "unknown network"
    zone = f"zone {context.zone!r}" if context.zone else "a link without a zone"
    return Decision(
        allowed=False,
        rule=BUILTIN_BOUNDARY,
        reason="zone",
        detail=f"The boundary does not let channels of {network} into {zone}",
    )


def _too_many(rules: Sequence[Rule], streams: int, until: datetime | None) -> Decision:
    limited = [rule for rule in rules if rule.obligations.max_streams is not None]
    rule = min(limited, key=lambda rule: rule.obligations.max_streams or 0)
    limit = rule.obligations.max_streams
    return Decision(
        allowed=False,
        rule=rule.rule_id,
        reason="too_many_streams",
        detail=f"Rule {rule.rule_id} allows {limit} streams at once, {streams} are open",
        obligations=Obligations(max_streams=limit),
        until=until,
    )


def _unmet(rule: Rule, word: str, until: datetime | None) -> Decision:
    more = ""
    if word == "outside_window" and rule.conditions.windows is not None:
        more = f": {', '.join(rule.conditions.windows.texts)} (Asia/Shanghai)"
    return Decision(
        allowed=False,
        rule=rule.rule_id,
        reason=word,
        detail=f"Rule {rule.rule_id} {_WORDS[word]}{more}",
        until=until,
    )


def _told(rule: Rule) -> str:
    return f": {rule.description}" if rule.description else ""


def _earliest(edges: Iterable[float | None]) -> datetime | None:
    known = [edge for edge in edges if edge is not None]
    return datetime.fromtimestamp(min(known), UTC) if known else None
