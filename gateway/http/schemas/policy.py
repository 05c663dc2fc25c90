"""Bodies about the sharing policy."""

from datetime import datetime

from pydantic import Field

from gateway.domain.policy import Action
from gateway.http.schemas.base import MAX_LIMIT, InModel, OutModel, Text
from gateway.http.schemas.subject import ContextIn, DecisionOut, SubjectOut, WhoIn

__all__ = [
    "ActivateIn",
    "ApplyIn",
    "ChangeOut",
    "ChangesIn",
    "ChangesOut",
    "DiffOut",
    "DiffQuery",
    "ExplainIn",
    "ExplanationOut",
    "PolicyOut",
    "PolicyTextOut",
    "PolicyVersionList",
    "PolicyVersionOut",
    "ProblemLine",
    "RuleChangeOut",
    "SeeIn",
    "SightList",
    "SightOut",
    "ValidateIn",
    "ValidationOut",
    "VersionQuery",
]

MAX_TEXT = 1_100_000
"""Characters; the policy's own limit is in bytes and a little lower."""
MAX_SUBJECTS = 200
MAX_VERSION = 1_000_000_000


class ProblemLine(OutModel):
    """One thing that is wrong, or probably not meant."""

    line: int
    """From 1; 0 where there is no text."""
    column: int
    key: Text
    """What it is about; empty for broken syntax."""
    reason: Text


class PolicyVersionOut(OutModel):
    """One version, without its text."""

    number: int
    author: Text
    comment: Text
    at: datetime
    digest: Text
    """SHA-256 of the text."""
    size: int
    """Bytes."""
    active: bool


class PolicyVersionList(OutModel):
    """The versions kept, newest first."""

    items: list[PolicyVersionOut]
    total: int


class PolicyOut(OutModel):
    """What is in force."""

    version: int
    """0: none was ever applied, only built-in rules are in force."""
    digest: Text
    rules: int
    tags: list[Text]
    owners: list[Text]
    """Departments that own channels."""
    remarks: list[ProblemLine]
    """What is valid but probably not meant."""
    problem: Text
    """Why the stored policy is not in force; empty if it is."""
    grants: int
    """In force."""
    stops: int
    """In force."""


class PolicyTextOut(OutModel):
    """The text of a version."""

    version: int
    text: Text


class VersionQuery(InModel):
    """Which version."""

    version: int | None = Field(default=None, ge=1, le=MAX_VERSION)
    """Null is the one in force."""


class ValidateIn(InModel):
    """A policy file to be looked at."""

    text: str = Field(max_length=MAX_TEXT)
    source: str = Field(default="policy", max_length=200)
    """Its name, for the sentences."""


class ValidationOut(OutModel):
    """What was found in a policy file."""

    ok: bool
    problems: list[ProblemLine]
    sentences: list[Text]
    """The problems in one line each: file, line, key, expected, got."""
    remarks: list[ProblemLine]
    rules: int
    digest: Text


class ApplyIn(InModel):
    """A policy file to be put into force."""

    text: str = Field(max_length=MAX_TEXT)
    comment: str = Field(default="", max_length=500)
    expected: int | None = Field(default=None, ge=0, le=MAX_VERSION)
    """Number of the version it was made from: refused if another is in force by now."""
    source: str = Field(default="policy", max_length=200)


class ActivateIn(InModel):
    """An older version to be put into force again."""

    version: int = Field(ge=1, le=MAX_VERSION)
    comment: str = Field(default="", max_length=500)
    expected: int | None = Field(default=None, ge=0, le=MAX_VERSION)


class DiffQuery(InModel):
    """Which versions."""

    before: int | None = Field(default=None, ge=0, le=MAX_VERSION)
    """Null is the one in force, 0 the empty policy."""
    after: int | None = Field(default=None, ge=0, le=MAX_VERSION)
    """Null is the one in force."""


class FieldChangeOut(OutModel):
    """One field, as it stood and stands in the file."""

    name: Text
    before: Text
    after: Text


class RuleChangeOut(OutModel):
    """A rule or table that is not as it was."""

    name: Text
    fields: list[FieldChangeOut]


class DiffOut(OutModel):
    """What differs between two versions."""

    before: int
    after: int
    added: list[Text]
    removed: list[Text]
    changed: list[RuleChangeOut]


class _PolicyIn(ContextIn):
    version: int | None = Field(default=None, ge=1, le=MAX_VERSION)
    """Under this version; null is the one in force."""
    text: str | None = Field(default=None, max_length=MAX_TEXT)
    """Under this file, which is not kept; instead of a version."""


class SeeIn(_PolicyIn):
    """Whose sight."""

    subject: WhoIn
    action: Action = Action.CATALOG
    denied: bool = False
    """List what is refused, too."""
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)
    offset: int = Field(default=0, ge=0, le=100_000_000)


class SightOut(OutModel):
    """One channel and the decision on it."""

    device_id: Text
    channel_id: Text
    name: Text
    decision: DecisionOut


class SightList(OutModel):
    """What somebody would see."""

    items: list[SightOut]
    total: int
    """Items in all that are listed."""
    allowed: int
    denied: int
    by_reason: dict[Text, int]
    """How many channels are refused for which reason."""


class ExplainIn(_PolicyIn):
    """Which decision to explain."""

    subject: WhoIn
    action: Action = Action.LIVE
    device_id: str = Field(default="", max_length=64)
    """Empty: the only device with that channel."""
    channel_id: str = Field(min_length=1, max_length=64)


class MismatchOut(OutModel):
    """A field of a rule that does not match, or a condition that is not met."""

    field: Text
    expected: Text
    got: Text


class RuleTraceOut(OutModel):
    """What one rule had to say."""

    rule_id: Text
    effect: Text
    line: int
    matched: bool
    """Whether it speaks of this subject, action and channel."""
    applied: bool
    """Whether its conditions are met too."""
    mismatches: list[MismatchOut]


class ExplanationOut(OutModel):
    """A decision and how it came about."""

    device_id: Text
    channel_id: Text
    name: Text
    decision: DecisionOut
    facts: dict[Text, Text]
    """What the rules looked at."""
    trace: list[RuleTraceOut]
    """Rules in the order of asking; those that come nearest only, if there are very many."""
    rules: int
    """Rules in all."""


class ChangesIn(ContextIn):
    """Which change of policy to try."""

    before: int | None = Field(default=None, ge=1, le=MAX_VERSION)
    """Null is the one in force."""
    after: int | None = Field(default=None, ge=1, le=MAX_VERSION)
    """Null is the one in force, unless `text` is given."""
    text: str | None = Field(default=None, max_length=MAX_TEXT)
    """A file that is not kept, instead of `after`."""
    subjects: list[WhoIn] = Field(default_factory=list, max_length=MAX_SUBJECTS)
    """Empty: every department and every upper platform."""
    actions: list[Action] = Field(default_factory=list, max_length=len(Action))
    """Empty: all."""
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)
    offset: int = Field(default=0, ge=0, le=100_000_000)


class ChangeOut(OutModel):
    """A channel, subject and action for which two policies differ."""

    device_id: Text
    channel_id: Text
    name: Text
    subject: SubjectOut
    action: Action
    kind: Text
    """`allowed`, `denied`, or `obligations` if it stays allowed under others."""
    before: DecisionOut
    after: DecisionOut


class ChangesOut(OutModel):
    """What a change of policy changes."""

    items: list[ChangeOut]
    total: int
    kinds: dict[Text, int]
