"""A sharing policy as data: rules, tags, owners, the boundary between networks, identity defaults."""

import enum
from dataclasses import dataclass, field
from datetime import datetime

from gateway.domain.policy import Action, Obligations, Subject
from gateway.domain.selector import ChannelSelector
from gateway.sharing.policy.error import Problem
from gateway.sharing.policy.pattern import NO_PATTERNS, Patterns
from gateway.sharing.policy.window import WeeklyWindows

__all__ = [
    "ANYBODY",
    "OUTSIDE",
    "Boundary",
    "Conditions",
    "Effect",
    "IdentityRules",
    "Owner",
    "Policy",
    "Rule",
    "SubjectClause",
    "Tag",
    "user_type",
]


class Effect(enum.StrEnum):
    """What a rule does."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectClause:
    """Who is meant: everything that is given must match, one of its values each."""

    anybody: bool = False
    """Everybody, our own people included."""
    outside: bool = False
    """Everybody but our own people."""
    platforms: Patterns = NO_PATTERNS
    departments: Patterns = NO_PATTERNS
    keys: Patterns = NO_PATTERNS
    users: Patterns = NO_PATTERNS
    roles: frozenset[str] = frozenset()
    identities: Patterns = NO_PATTERNS
    """User part of Monitor-User-Identity."""
    user_types: tuple[tuple[int, int], ...] = ()
    """Type code (digits 11-13) of the user code that the identity begins with; ranges, both ends included."""
    gateways: frozenset[str] = frozenset()
    """Gateways the identity came through."""

    @property
    def fields_given(self) -> tuple[str, ...]:
        """Names of the fields that say something, `anybody` and `outside` left out."""
        names = ("platforms", "departments", "keys", "users", "roles", "identities", "user_types")
        return tuple(name for name in (*names, "gateways") if getattr(self, name))

    def matches(self, subject: Subject) -> bool:
        """Whether a subject is meant."""
        return not self.mismatches(subject)

    def mismatches(self, subject: Subject) -> tuple[str, ...]:
        """Return the names of the fields that do not match; a clause that names nobody matches nobody."""
        if not (self.anybody or self.outside or self.fields_given):
            return ("subjects",)
        missed = [
            name
            for name, patterns, value in (
                ("platforms", self.platforms, subject.platform),
                ("departments", self.departments, subject.department),
                ("keys", self.keys, subject.key),
                ("users", self.users, subject.user),
                ("identities", self.identities, subject.identity),
            )
            if patterns and not patterns.match(value)
        ]
        if self.roles and subject.role not in self.roles:
            missed.append("roles")
        if self.outside and subject.is_local:
            missed.append("outside")
        if self.gateways and self.gateways.isdisjoint(subject.gateways):
            missed.append("gateways")
        if self.user_types:
            code = user_type(subject.identity)
            if code is None or not any(low <= code <= high for low, high in self.user_types):
                missed.append("user_types")
        return tuple(missed)


ANYBODY = SubjectClause(anybody=True)
OUTSIDE = SubjectClause(outside=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under which circumstances a rule holds."""

    valid_from: datetime | None = None
    valid_to: datetime | None = None
    """Not included."""
    windows: WeeklyWindows | None = None
    zones: frozenset[str] = frozenset()
    """Network zones the request may come from; empty: any."""
    purpose_required: bool = False
    ticket_required: bool = False
    identity_required: bool = False
    """The request must carry a Monitor-User-Identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Who may, or may not, do what with which channels, when, and what must be obeyed."""

    rule_id: str
    effect: Effect
    subjects: tuple[SubjectClause, ...]
    """One of them must match."""
    objects: ChannelSelector = field(default_factory=ChannelSelector)
    actions: frozenset[Action] = frozenset()
    conditions: Conditions = field(default_factory=Conditions)
    obligations: Obligations = field(default_factory=Obligations)
    """With the limit of concurrent streams."""
    description: str = ""
    line: int = 0
    """Where it stands in the file; 0 for grants and stop orders."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A name for channels."""

    name: str
    objects: ChannelSelector


@dataclass(frozen=True, slots=True)
class Owner:
    """The department some channels belong to; it is told of what `notify_owner` marks."""

    department: str
    objects: ChannelSelector


@dataclass(frozen=True, slots=True)
class Boundary:
    """Into which network zones channels of a network (digit 14 of a 2022 code) may go."""

    networks: tuple[tuple[str, frozenset[str]], ...] = ()
    """Digit and zones; a digit that is not named goes everywhere, one without zones nowhere."""
    unknown: frozenset[str] | None = None
    """Zones for channels whose code has no network digit (2016 and older); None: everywhere."""

    def permits(self, network: str, zone: str) -> bool:
        """Whether a channel of this network digit (empty: none) may go into a zone."""
        if not network:
            return self.unknown is None or zone in self.unknown
        return all(zone in zones for digit, zones in self.networks if digit == network)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRules:
    """What is demanded of Monitor-User-Identity; a platform's own settings come on top."""

    required: bool = False
    max_hops: int = 8
    """Gateways named in one header."""
    trusted_gateways: frozenset[str] = frozenset()
    """Beside those of the platform."""
    user_types: tuple[tuple[int, int], ...] = ()
    """Type codes the user's code may have; empty: users are opaque."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One version of the whole."""

    version: int = 0
    """Number it was given when it was applied; 0: never applied."""
    text: str = ""
    digest: str = ""
    """SHA-256 of the text, hexadecimal."""
    rules: tuple[Rule, ...] = ()
    """In the order of the file, which means nothing."""
    tags: tuple[Tag, ...] = ()
    owners: tuple[Owner, ...] = ()
    boundary: Boundary = Boundary()
    identity: IdentityRules = IdentityRules()
    remarks: tuple[Problem, ...] = ()
    """What is valid but probably not meant."""

    def rule(self, rule_id: str) -> Rule | None:
        """Return a rule by its id."""
        return next((rule for rule in self.rules if rule.rule_id == rule_id), None)


def user_type(identity: str) -> int | None:
    """Return the type code of the 20-digit code that a user identity begins with, None if it has none."""
    code = identity[:20]
    if len(code) < 20 or not (code.isascii() and code.isdigit()) or identity[20:21].isdigit():
        return None
    return int(code[10:13])
