"""Grants by application: what was asked for, who answered, until when it holds."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Self

from gateway.domain.document import NOT_TEXT
from gateway.domain.errors import Invalid
from gateway.domain.policy import Action, Obligations
from gateway.domain.selector import ChannelSelector
from gateway.sharing.policy.clause import (
    clause_fields,
    parse_selector,
    parse_subjects,
    selector_fields,
)
from gateway.sharing.policy.model import Conditions, Effect, Rule, SubjectClause
from gateway.sharing.policy.value_text import value_text

__all__ = ["Application", "Grant", "GrantLimits", "GrantState"]

MAX_TEXT = 500
"""Characters of a purpose or remark."""
MAX_TICKET = 100
"""Characters of a ticket number."""
MAX_CLOCK_STEP = timedelta(minutes=5)
"""An emergency lasts for minutes: so much longer at most by a clock that is set back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantLimits:
    """What may be asked for and given."""

    answer_within: timedelta = timedelta(days=14)
    """Time to answer an application; afterwards it shows as overdue. Two weeks are ten working days."""
    longest: timedelta = timedelta(days=366)
    """From the answer to the end of a grant."""
    longest_emergency_minutes: int = 24 * 60
    max_waiting: int = 50
    """Applications of one applicant that wait for an answer."""
    max_open: int = 2_000
    """Waiting and active ones together."""
    max_over: int = 2_000
    """Past ones that are kept; the oldest go first, the audit keeps them all."""


class GrantState(enum.StrEnum):
    """Life of a grant."""

    APPLIED = "applied"
    """Waits for an answer."""
    ACTIVE = "active"
    REFUSED = "refused"
    REVOKED = "revoked"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    """Taken back by the applicant before it was answered."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will come of it any more."""
        return self not in {GrantState.APPLIED, GrantState.ACTIVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What somebody asks to be allowed."""

    subject: SubjectClause
    """For whom: platforms, departments or keys by name, perhaps narrowed to identities."""
    objects: ChannelSelector
    actions: frozenset[Action]
    until: datetime
    """Timezone-aware; not included."""
    valid_from: datetime | None = None
    purpose: str = ""
    ticket: str = ""

    @classmethod
    def parse(
        cls,
        *,
        subject: Mapping[str, Any],
        objects: Mapping[str, Any] | None,
        actions: frozenset[Action],
        until: datetime,
        valid_from: datetime | None = None,
        purpose: str = "",
        ticket: str = "",
    ) -> Self:
        """Read an application as JSON has it; subject and objects are named as in a policy file.

        Raises:
            PolicyError: a key or value cannot be used.
        """
        return cls(
            subject=parse_subjects(subject)[0],
            objects=parse_selector(objects),
            actions=actions,
            until=until,
            valid_from=valid_from,
            purpose=purpose,
            ticket=ticket,
        )

    @property
    def words(self) -> str:
        """Return it in one line, as it stands in the audit."""
        return (
            f"subject {value_text(clause_fields(self.subject))}; "
            f"objects {value_text(selector_fields(self.objects))}; "
            f"actions {' '.join(sorted(self.actions))}; until {self.until.isoformat()}"
        )

    def check(self) -> None:
        """Refuse what must not be granted by application.

        Raises:
            Invalid: `grant_invalid`.
        """
        subject = self.subject
        parties = (subject.platforms, subject.departments, subject.keys, subject.users)
        if subject.anybody or subject.outside or not any(party.exact for party in parties):
            raise _invalid("a grant names its platform, department, key or user")
        if any(party.globs for party in parties):
            raise _invalid("a grant names whom it is for, without '*' and '?'")
        if not self.actions:
            raise _invalid("a grant allows at least one action")
        for name, text, limit in (
            ("purpose", self.purpose, MAX_TEXT),
            ("ticket", self.ticket, MAX_TICKET),
        ):
            if len(text) > limit or NOT_TEXT.search(text):
                raise _invalid(f"expected a {name} of one line, at most {limit} characters")
        if not self.purpose.strip():
            raise _invalid("expected a purpose, got none")
        if self.until.tzinfo is None or (self.valid_from and self.valid_from.tzinfo is None):
            raise _invalid("expected times with an offset from UTC")
        if self.valid_from is not None and self.until <= self.valid_from:
            raise _invalid("the grant would end before it begins")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An application and what became of it."""

    grant_id: str
    state: GrantState
    application: Application
    """As approved, once it is."""
    applicant: str
    """Label of who applied."""
    applied_at: datetime
    answer_by: datetime
    """When it should be answered at the latest."""
    obligations: Obligations = field(default_factory=Obligations)
    emergency: bool = False
    """Given without an application, for hours; to be reviewed afterwards."""
    decided_by: str = ""
    """Label of who approved, refused or gave it."""
    decided_at: datetime | None = None
    ended_by: str = ""
    """Label of who revoked or withdrew it; empty if it expired."""
    ended_at: datetime | None = None
    remark: str = ""
    """Reason of the last decision."""
    reviewed_by: str = ""
    """Who looked at an emergency grant afterwards."""
    reviewed_at: datetime | None = None

    @property
    def rule_id(self) -> str:
        """How decisions name it."""
        return f"grant:{self.grant_id}"

    def is_overdue(self, now: datetime) -> bool:
        """Whether it should have been answered by now."""
        return self.state is GrantState.APPLIED and now > self.answer_by

    @property
    def is_active(self) -> bool:
        """Whether it holds, its times aside."""
        return self.state is GrantState.ACTIVE

    def is_over(self, now: datetime) -> bool:
        """Whether its time is over; that of an emergency is, too, if the clock was set back to before it began."""
        given = self.decided_at
        early = self.emergency and given is not None and given - now > MAX_CLOCK_STEP
        return early or self.application.until <= now

    @property
    def rule(self) -> Rule:
        """The rule that an active grant is."""
        application = self.application
        return Rule(
            rule_id=self.rule_id,
            effect=Effect.ALLOW,
            subjects=(application.subject,),
            objects=application.objects,
            actions=application.actions,
            conditions=Conditions(valid_from=application.valid_from, valid_to=application.until),
            obligations=self.obligations,
            description=application.purpose,
        )

    def document(self) -> dict[str, Any]:
        """Return it as JSON to be kept."""
        application = self.application
        body: dict[str, Any] = {
            "subject": clause_fields(application.subject),
            "objects": selector_fields(application.objects),
            "actions": sorted(action.value for action in application.actions),
            "until": application.until.isoformat(),
            "valid_from": application.valid_from and application.valid_from.isoformat(),
            "purpose": application.purpose,
            "ticket": application.ticket,
            "obligations": {
                item.name: getattr(self.obligations, item.name) for item in fields(Obligations)
            },
        }
        for name in _PLAIN:
            body[name] = getattr(self, name)
        for name in _TIMES:
            at = getattr(self, name)
            body[name] = at and at.isoformat()
        return body

    @classmethod
    def of_document(cls, body: Mapping[str, Any]) -> Self:
        """Read what was kept.

        Raises:
            KeyError, TypeError, ValueError, PolicyError: it is nothing this version wrote.
        """
        application = Application.parse(
            subject=body["subject"],
            objects=body["objects"] or None,
            actions=frozenset(Action(action) for action in body["actions"]),
            until=datetime.fromisoformat(body["until"]),
            valid_from=_time(body["valid_from"]),
            purpose=body["purpose"],
            ticket=body["ticket"],
        )
        plain: dict[str, Any] = {name: body[name] for name in _PLAIN}
        plain |= {name: _time(body[name]) for name in _TIMES}
        plain["state"] = GrantState(body["state"])
        return cls(
            application=application,
            obligations=Obligations(**body["obligations"]),
            **plain,
        )


_PLAIN = (
    "grant_id",
    "state",
    "applicant",
    "emergency",
    "decided_by",
    "ended_by",
    "remark",
    "reviewed_by",
)
_TIMES = ("applied_at", "answer_by", "decided_at", "ended_at", "reviewed_at")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _invalid(detail: str) -> Invalid:
    return Invalid("grant_invalid", detail)
