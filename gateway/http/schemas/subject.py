"""Bodies that name subjects, channels and decisions, with the words of the policy file."""

from datetime import datetime
from typing import Any, Self

from pydantic import AwareDatetime, Field

from gateway.domain.policy import AccessContext, Decision, Obligations, Subject
from gateway.http.schemas.base import MAX_PURPOSE, MAX_TICKET, InModel, OutModel, Text

__all__ = [
    "ContextIn",
    "DecisionOut",
    "ObligationsIn",
    "ObligationsOut",
    "SelectorIn",
    "SubjectIn",
    "SubjectOut",
    "WhoIn",
]

_Texts = list[str]


class SubjectIn(InModel):
    """Who is meant, as `subjects` of a policy file; everything given must match, one of its values each."""

    any: bool = False
    """Everybody, our own people included."""
    outside: bool = False
    """Everybody but our own people."""
    platforms: _Texts = Field(default_factory=list, max_length=1000)
    departments: _Texts = Field(default_factory=list, max_length=1000)
    keys: _Texts = Field(default_factory=list, max_length=1000)
    users: _Texts = Field(default_factory=list, max_length=1000)
    roles: _Texts = Field(default_factory=list, max_length=10)
    identities: _Texts = Field(default_factory=list, max_length=1000)
    """User part of Monitor-User-Identity."""
    user_types: _Texts = Field(default_factory=list, max_length=100)
    gateways: _Texts = Field(default_factory=list, max_length=1000)

    def given(self) -> dict[str, Any]:
        """Return what is said, for the reader of policies."""
        return {name: value for name, value in self.model_dump().items() if value}


class SelectorIn(InModel):
    """Which channels, as `objects` of a policy file: every field given must match, one of its values each."""

    channels: _Texts = Field(default_factory=list, max_length=10_000)
    """Codes, or `DEVICE/CHANNEL` where two devices carry the same code."""
    devices: _Texts = Field(default_factory=list, max_length=10_000)
    civil_codes: _Texts = Field(default_factory=list, max_length=1000)
    """Beginnings of the division code."""
    grassroots: _Texts = Field(default_factory=list, max_length=1000)
    groups: _Texts = Field(default_factory=list, max_length=1000)
    """Business groups and virtual organisations."""
    point_types: _Texts = Field(default_factory=list, max_length=10)
    industries: _Texts = Field(default_factory=list, max_length=100)
    networks: _Texts = Field(default_factory=list, max_length=10)
    tags: _Texts = Field(default_factory=list, max_length=500)
    kinds: _Texts = Field(default_factory=list, max_length=20)

    def given(self) -> dict[str, Any] | None:
        """Return what is said, for the reader of policies; None means every channel."""
        return {name: value for name, value in self.model_dump().items() if value} or None


class WhoIn(InModel):
    """One subject for a dry run."""

    platform: str = Field(default="", max_length=20)
    department: str = Field(default="", max_length=64)
    key: str = Field(default="", max_length=64)
    user: str = Field(default="", max_length=100)
    role: str = Field(default="", max_length=20)
    """`admin`, `operator` or `viewer`."""
    identity: str = Field(default="", max_length=256)
    gateways: _Texts = Field(default_factory=list, max_length=64)

    def subject(self) -> Subject:
        """Convert it."""
        given = self.model_dump(exclude={"gateways"})
        return Subject(**given, gateways=tuple(self.gateways))


class ContextIn(InModel):
    """The circumstances of a dry run."""

    zone: str | None = Field(default=None, max_length=64)
    """Network zone; null is the one configured for the platform, key, account or department."""
    purpose: str = Field(default="", max_length=MAX_PURPOSE)
    ticket: str = Field(default="", max_length=MAX_TICKET)
    streams: int = Field(default=0, ge=0, le=1_000_000)
    """Streams the subject has open already."""
    at: AwareDatetime | None = None
    """Null is now."""

    def context(self, now: datetime) -> AccessContext:
        """Convert it, but for the zone, which depends on who asks."""
        return AccessContext(
            at=self.at or now,
            purpose=self.purpose,
            ticket=self.ticket,
            streams=self.streams,
        )


class ObligationsIn(InModel):
    """What must be obeyed."""

    sub_stream: bool = False
    mask_name: str | None = Field(default=None, max_length=64)
    mask_position: bool = False
    notify_owner: bool = False
    max_streams: int | None = Field(default=None, ge=1, le=10_000)

    def obligations(self) -> Obligations:
        """Convert it."""
        return Obligations(**self.model_dump())


class ObligationsOut(OutModel):
    """What must be obeyed."""

    sub_stream: bool
    mask_name: Text | None
    mask_position: bool
    notify_owner: bool
    max_streams: int | None


class DecisionOut(OutModel):
    """A decision and what decided it."""

    allowed: bool
    rule: Text
    """Identifier of the rule, `grant:ID`, `stop:ID`, `builtin:...`; empty: nothing matched."""
    reason: Text
    detail: Text
    obligations: ObligationsOut
    until: datetime | None
    """When it must be asked again at the latest."""

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """Convert a decision."""
        return cls.model_validate(decision)


class SubjectOut(OutModel):
    """One subject."""

    label: Text
    platform: Text
    department: Text
    key: Text
    user: Text
    role: Text
    identity: Text
    gateways: list[Text]
