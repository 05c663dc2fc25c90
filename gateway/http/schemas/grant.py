"""Bodies about grants, forced stops, and who watches what."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

from pydantic import AwareDatetime, Field

from gateway.domain.policy import Access, Action
from gateway.http.schemas.base import InModel, OutModel, PageQuery, Text
from gateway.http.schemas.subject import (
    DecisionOut,
    ObligationsIn,
    ObligationsOut,
    SelectorIn,
    SubjectIn,
    SubjectOut,
)
from gateway.sharing.grants import Application, Grant, GrantState
from gateway.sharing.policy.clause import clause_fields, selector_fields
from gateway.sharing.stops import StopOrder

__all__ = [
    "AccessList",
    "AccessOut",
    "AccessQuery",
    "ApplicationIn",
    "ApproveIn",
    "EmergencyIn",
    "GrantList",
    "GrantOut",
    "GrantQuery",
    "LiftIn",
    "RemarkIn",
    "StopIn",
    "StopList",
    "StopOut",
    "StopQuery",
    "UsageList",
    "UsageOut",
]

MAX_TEXT = 500
MAX_TICKET = 100


class _WhatIn(InModel):
    subject: SubjectIn | None = None
    """For whom; a department's key always asks for its own department."""
    objects: SelectorIn | None = None
    """Which channels; null: every one."""
    actions: list[Action] = Field(min_length=1, max_length=len(Action))
    purpose: str = Field(min_length=1, max_length=MAX_TEXT)
    ticket: str = Field(default="", max_length=MAX_TICKET)


class ApplicationIn(_WhatIn):
    """What somebody asks to be allowed."""

    until: AwareDatetime
    """Not included."""
    valid_from: AwareDatetime | None = None

    def application(self, subject: dict[str, Any]) -> Application:
        """Convert it.

        Raises:
            PolicyError: a key or value cannot be used.
        """
        return Application.parse(
            subject=subject,
            objects=self.objects.given() if self.objects else None,
            actions=frozenset(self.actions),
            until=self.until,
            valid_from=self.valid_from,
            purpose=self.purpose,
            ticket=self.ticket,
        )


class EmergencyIn(_WhatIn):
    """What is granted at once."""

    minutes: int = Field(ge=1, le=7 * 24 * 60)
    obligations: ObligationsIn = Field(default_factory=ObligationsIn)

    def application(self, subject: dict[str, Any], until: datetime) -> Application:
        """Convert it.

        Raises:
            PolicyError: a key or value cannot be used.
        """
        return Application.parse(
            subject=subject,
            objects=self.objects.given() if self.objects else None,
            actions=frozenset(self.actions),
            until=until,
            purpose=self.purpose,
            ticket=self.ticket,
        )


class ApproveIn(InModel):
    """How an application is approved: as asked, or for less."""

    until: AwareDatetime | None = None
    """Null is the end asked for."""
    actions: list[Action] | None = Field(default=None, min_length=1, max_length=len(Action))
    objects: SelectorIn | None = None
    obligations: ObligationsIn = Field(default_factory=ObligationsIn)
    remark: str = Field(default="", max_length=MAX_TEXT)


class RemarkIn(InModel):
    """Why."""

    remark: str = Field(default="", max_length=MAX_TEXT)


class GrantQuery(PageQuery):
    """Which grants."""

    state: GrantState | None = None
    overdue: bool = False
    """Only applications that should have been answered."""
    emergency: bool | None = None
    reviewed: bool | None = None
    """Of emergency grants: only those somebody has reviewed, or not."""


class GrantOut(OutModel):
    """An application and what became of it."""

    grant_id: Text
    state: GrantState
    overdue: bool
    subject: dict[Text, Any]
    """For whom, as in a policy file."""
    objects: dict[Text, list[Text]]
    """Which channels, as in a policy file; empty: every one."""
    actions: list[Action]
    valid_from: datetime | None
    until: datetime
    purpose: Text
    ticket: Text
    obligations: ObligationsOut
    applicant: Text
    applied_at: datetime
    answer_by: datetime
    emergency: bool
    decided_by: Text
    decided_at: datetime | None
    ended_by: Text
    ended_at: datetime | None
    remark: Text
    reviewed_by: Text
    reviewed_at: datetime | None

    @classmethod
    def of(cls, grant: Grant, now: datetime) -> Self:
        """Convert a grant."""
        asked = grant.application
        values: dict[str, Any] = {
            name: getattr(grant, name)
            for name in (
                *("grant_id", "state", "applicant", "applied_at", "answer_by", "emergency"),
                *("decided_by", "decided_at", "ended_by", "ended_at", "remark", "reviewed_by"),
            )
        }
        return cls(
            **values,
            overdue=grant.is_overdue(now),
            subject=clause_fields(asked.subject),
            objects=selector_fields(asked.objects),
            actions=sorted(asked.actions),
            valid_from=asked.valid_from,
            until=asked.until,
            purpose=asked.purpose,
            ticket=asked.ticket,
            obligations=ObligationsOut.model_validate(grant.obligations),
            reviewed_at=grant.reviewed_at,
        )


class GrantList(OutModel):
    """Grants, newest application first."""

    items: list[GrantOut]
    total: int


class StopIn(InModel):
    """Whom and what to stop at once."""

    subject: SubjectIn | None = None
    """Null: everybody outside."""
    objects: SelectorIn | None = None
    """Null: every channel."""
    everything: bool = False
    """Must be said if neither is given."""
    reason: str = Field(min_length=1, max_length=MAX_TEXT)


class LiftIn(InModel):
    """Why an order is lifted."""

    reason: str = Field(default="", max_length=MAX_TEXT)


class StopQuery(PageQuery):
    """Which orders."""

    lifted: bool = True
    """Those that were lifted, too."""


class StopOut(OutModel):
    """A forced stop."""

    stop_id: Text
    subject: dict[Text, Any]
    objects: dict[Text, list[Text]]
    reason: Text
    in_force: bool
    ordered_by: Text
    ordered_at: datetime
    lifted_by: Text
    lifted_at: datetime | None
    ended: int | None
    """Accesses that were told to end by this very request; null in lists."""

    @classmethod
    def of(cls, order: StopOrder, ended: int | None = None) -> Self:
        """Convert an order."""
        return cls(
            stop_id=order.stop_id,
            subject=clause_fields(order.subject),
            objects=selector_fields(order.objects),
            reason=order.reason,
            in_force=order.in_force,
            ordered_by=order.ordered_by,
            ordered_at=order.ordered_at,
            lifted_by=order.lifted_by,
            lifted_at=order.lifted_at,
            ended=ended,
        )


class StopList(OutModel):
    """Forced stops, newest first."""

    items: list[StopOut]
    total: int


class AccessOut(OutModel):
    """An access that lasts: who watches what now."""

    access_id: Text
    """Also of its record in the audit."""
    subject: SubjectOut
    action: Action
    device_id: Text
    channel_id: Text
    name: Text
    object_id: Text
    """As the asker named it."""
    via: Text
    source: Text
    zone: Text
    purpose: Text
    ticket: Text
    since: datetime
    decision: DecisionOut

    @classmethod
    def of(cls, access: Access) -> Self:
        """Convert an access."""
        request = access.request
        channel, context = request.channel, request.context
        return cls(
            access_id=access.access_id,
            subject=SubjectOut.model_validate(request.subject),
            action=request.action,
            device_id=channel.device_id if channel else "",
            channel_id=channel.channel_id if channel else "",
            name=channel.name if channel else "",
            object_id=request.object_id,
            via=request.via,
            source=context.source,
            zone=context.zone,
            purpose=context.purpose,
            ticket=context.ticket,
            since=context.at,
            decision=DecisionOut.of(access.decision),
        )


class AccessList(OutModel):
    """Who watches what now, oldest first."""

    items: list[AccessOut]
    total: int

    @classmethod
    def of(cls, page: Iterable[Access], total: int) -> Self:
        """Convert a page."""
        return cls(items=[AccessOut.of(access) for access in page], total=total)


class AccessQuery(PageQuery):
    """Which accesses."""

    subject: str = Field(default="", max_length=300)
    """Label (`platform:CODE`, `department:CODE`, `key:ID`), or one of its codes alone."""
    device_id: str | None = Field(default=None, max_length=64)
    channel_id: str | None = Field(default=None, max_length=64)
    via: str = Field(default="", max_length=20)
    """The face: `sip`, `http`, `rtsp`, `webrtc`, `push`."""
    q: str = Field(default="", max_length=200)
    """Part of the subject, the channel's name or code, the source, the purpose or the ticket."""


class UsageOut(OutModel):
    """Totals of one party since the start."""

    party: Text
    streams: int
    """Open now."""
    allowed: int
    denied: int
    last_at: datetime | None


class UsageList(OutModel):
    """How much each party uses, the most recent first."""

    items: list[UsageOut]
    total: int
