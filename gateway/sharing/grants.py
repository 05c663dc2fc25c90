"""The book of grants: applications, answers, emergencies, and what holds now."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from gateway.domain.audit import AuditKind, AuditSink
from gateway.domain.document import DocumentStore
from gateway.domain.errors import Conflict, Invalid, NotFound
from gateway.domain.policy import Action, Obligations, Subject
from gateway.domain.selector import ChannelSelector
from gateway.sharing.grants_model import Application, Grant, GrantLimits, GrantState
from gateway.sharing.policy.error import PolicyError
from gateway.sharing.policy.index import EMPTY_INDEX, RuleIndex
from gateway.sharing.policy.record import Recorder, unawaited
from gateway.sharing.rewrite import Rewriter

__all__ = ["Application", "Grant", "GrantBook", "GrantLimits", "GrantState"]

_COLLECTION = "grants"
_NO_OBLIGATIONS = Obligations()

log = structlog.get_logger()


class GrantBook:
    """Owner of all grants. Giving waits until it is kept; taking away works at once.

    Args:
        store: Keeps them.
        wall: Wall clock, timezone-aware.
        audit: Takes the records.
        new_id: Makes identifiers.
        limits: What may be asked for and given.
    """

    def __init__(
        self,
        store: DocumentStore,
        wall: Callable[[], datetime],
        *,
        audit: AuditSink,
        new_id: Callable[[], str],
        limits: GrantLimits | None = None,
    ) -> None:
        self._store = store
        self._wall = wall
        self._new_id = new_id
        self._limits = limits or GrantLimits()
        self._recorder = Recorder(audit, AuditKind.GRANT, wall=wall, new_id=new_id)
        self._grants: dict[str, Grant] = {}
        self._deciding: dict[str, Grant] = {}
        """Grants as they are being written down."""
        self._rewriter = Rewriter(store, _COLLECTION, wall, self._document)
        self._rules, self._unlisted = EMPTY_INDEX, set[str]()
        """The active grants as rules, and those that may be others by now."""
        self.on_objects: list[Callable[[ChannelSelector], None]] = []
        """Called with what a change is about; `on_changed` then, once what holds has changed."""
        self.on_changed: list[Callable[[], None]] = []

    async def load(self) -> None:
        """Read the grants; what cannot be read holds no more, which is said in the log."""
        for key, body in (await self._store.load_documents(_COLLECTION)).items():
            try:
                grant = Grant.of_document(body)
            except (KeyError, TypeError, ValueError, AttributeError, PolicyError) as exc:
                log.error("grant_unreadable", name=key, error=repr(exc))  # noqa: TRY400 - no bug of ours
                continue
            self._grants[grant.grant_id] = grant
        self.expire()
        self._changed(*self._grants)

    @property
    def rules(self) -> RuleIndex:
        """The active grants as rules."""
        if self._unlisted:
            known = [grant for key in self._unlisted if (grant := self.find(key)) is not None]
            gone = [f"grant:{key}" for key in self._unlisted]
            self._rules = self._rules.changed(gone, (g.rule for g in known if g.is_active))
            self._unlisted.clear()
        return self._rules

    def get(self, grant_id: str) -> Grant:
        """Return one grant.

        Raises:
            NotFound: `grant_unknown`.
        """
        grant = self.find(grant_id)
        if grant is None:
            raise NotFound("grant_unknown", f"There is no grant {grant_id[:64]}")
        return grant

    def find(self, grant_id: str) -> Grant | None:
        """Return one grant, if it is still known."""
        return self._grants.get(grant_id)

    def list(self, *, state: GrantState | None = None, overdue: bool = False) -> list[Grant]:
        """Return grants, newest application first.

        Args:
            state: Only those in this state.
            overdue: Only applications that should have been answered.
        """
        now = self._wall()
        found = [
            each
            for each in self._grants.values()
            if (state is None or each.state is state) and (not overdue or each.is_overdue(now))
        ]
        return sorted(found, key=lambda grant: (grant.applied_at, grant.grant_id), reverse=True)

    async def apply(self, application: Application, by: Subject, *, source: str = "") -> Grant:
        """Take an application; it waits for an answer.

        Raises:
            Invalid: `grant_invalid`.
            Conflict: `too_many_grants`.
            Unavailable: it could not be kept.
        """
        now, label = self._wall(), by.label
        self._check(application, now, self._limits.longest)
        known = (*self._grants.values(), *self._deciding.values())
        waiting = [g for g in known if g.state is GrantState.APPLIED and g.applicant == label]
        if len(waiting) >= self._limits.max_waiting:
            raise Conflict(
                "too_many_grants",
                f"{self._limits.max_waiting} applications of {label} wait for an answer already",
            )
        grant = Grant(
            grant_id=self._new_id(),
            state=GrantState.APPLIED,
            application=application,
            applicant=label,
            applied_at=now,
            answer_by=now + self._limits.answer_within,
        )
        return await self._add(grant, "apply", by, source)

    async def approve(
        self,
        grant_id: str,
        by: Subject,
        *,
        until: datetime | None = None,
        actions: frozenset[Action] | None = None,
        objects: ChannelSelector | None = None,
        obligations: Obligations = _NO_OBLIGATIONS,
        remark: str = "",
        source: str = "",
    ) -> Grant:
        """Say yes, perhaps to less than was asked for; it holds once it is kept.

        Args:
            grant_id: Which.
            by: Who says so.
            until: End; None is the one asked for.
            actions: Actions; None are those asked for. Others than those cannot be given.
            objects: Channels instead of those asked for.
            obligations: What must be obeyed.
            remark: Why.
            source: Host the request came from.

        Raises:
            NotFound: `grant_unknown`.
            Conflict: `grant_not_waiting`, `grant_busy`.
            Invalid: `grant_invalid`.
            Unavailable: it could not be kept and does not hold.
        """
        grant = self._waiting(grant_id)
        now = self._wall()
        asked = grant.application
        if actions is not None and not actions <= asked.actions:
            raise Invalid("grant_invalid", "more actions than were asked for cannot be approved")
        application = replace(
            asked,
            until=until or asked.until,
            actions=asked.actions if actions is None else actions,
            objects=asked.objects if objects is None else objects,
        )
        self._check(application, now, self._limits.longest)
        answered = replace(
            grant,
            state=GrantState.ACTIVE,
            application=application,
            obligations=obligations,
            decided_by=by.label,
            decided_at=now,
            remark=remark[:500],
        )
        return await self._decide(answered, "approve", by, source)

    async def refuse(self, grant_id: str, by: Subject, *, remark: str, source: str = "") -> Grant:
        """Say no, with the reason.

        Raises:
            NotFound, Conflict, Unavailable: as for :meth:`approve`.
        """
        answered = replace(
            self._waiting(grant_id),
            state=GrantState.REFUSED,
            decided_by=by.label,
            decided_at=self._wall(),
            remark=remark[:500],
        )
        return await self._decide(answered, "refuse", by, source)

    async def withdraw(self, grant_id: str, by: Subject, *, source: str = "") -> Grant:
        """Take an application back.

        Raises:
            NotFound, Conflict, Unavailable: as for :meth:`approve`.
        """
        answered = replace(
            self._waiting(grant_id),
            state=GrantState.WITHDRAWN,
            ended_by=by.label,
            ended_at=self._wall(),
        )
        return await self._decide(answered, "withdraw", by, source)

    async def emergency(
        self,
        application: Application,
        by: Subject,
        *,
        minutes: int,
        obligations: Obligations = _NO_OBLIGATIONS,
        source: str = "",
    ) -> Grant:
        """Grant at once, for minutes; it is listed as an emergency until somebody reviewed it.

        Args:
            application: What; its times are replaced.
            by: Who gives it.
            minutes: How long.
            obligations: What must be obeyed.
            source: Host the request came from.

        Raises:
            Invalid: `grant_invalid`.
            Conflict: `too_many_grants`.
            Unavailable: it could not be kept and does not hold.
        """
        longest = self._limits.longest_emergency_minutes
        if not 1 <= minutes <= longest:
            raise Invalid("grant_invalid", f"expected 1 to {longest} minutes, got {minutes}")
        now = self._wall()
        timed = replace(application, valid_from=None, until=now + timedelta(minutes=minutes))
        self._check(timed, now, self._limits.longest)
        grant = Grant(
            grant_id=self._new_id(),
            state=GrantState.ACTIVE,
            application=timed,
            applicant=by.label,
            applied_at=now,
            answer_by=now,
            obligations=obligations,
            emergency=True,
            decided_by=by.label,
            decided_at=now,
        )
        return await self._add(grant, "emergency", by, source)

    async def review(
        self, grant_id: str, by: Subject, *, remark: str = "", source: str = ""
    ) -> Grant:
        """Note that an emergency grant was looked at afterwards.

        Raises:
            NotFound: `grant_unknown`.
            Conflict: `not_an_emergency`.
            Unavailable: it could not be kept.
        """
        grant = self.get(grant_id)
        if not grant.emergency:
            raise Conflict("not_an_emergency", f"Grant {grant_id} was given on application")
        reviewed = replace(
            grant, reviewed_by=by.label, reviewed_at=self._wall(), remark=remark[:500]
        )
        self._grants[grant_id] = reviewed
        self._record("review", reviewed, by, source)
        await self._rewriter.write(grant_id)
        return reviewed

    async def revoke(
        self, grant_id: str, by: Subject, *, remark: str = "", source: str = ""
    ) -> Grant:
        """End an active grant at once, streams included.

        Raises:
            NotFound: `grant_unknown`.
            Conflict: `grant_not_active`.
            Unavailable: it could not be kept yet; it is revoked, and written again until it is kept.
        """
        grant = self.get(grant_id)
        if grant.state is GrantState.REVOKED and grant_id in self._rewriter:
            await self._rewriter.write(grant_id)
            return grant
        if grant.state is not GrantState.ACTIVE:
            raise Conflict("grant_not_active", f"Grant {grant_id} is {grant.state.value}")
        revoked = replace(
            grant,
            state=GrantState.REVOKED,
            ended_by=by.label,
            ended_at=self._wall(),
            remark=remark[:500],
        )
        self._grants[grant_id] = revoked
        self._record("revoke", revoked, by, source)
        self._changed(grant_id, objects=revoked.application.objects)
        await self._rewriter.write(grant_id)
        self._prune()
        return revoked

    def expire(self) -> None:
        """End the grants whose time is over, write what is not kept yet; call it at least once a second."""
        self._rewriter.retry()
        now = self._wall()
        over = [g for g in self._grants.values() if g.is_active and g.is_over(now)]
        for grant in over:
            expired = replace(grant, state=GrantState.EXPIRED, ended_at=now)
            self._grants[grant.grant_id] = expired
            self._record("expire", expired, None, "")
            self._rewriter.begin(grant.grant_id)
        if over:
            self._changed(*(grant.grant_id for grant in over))
            self._prune()

    def _check(self, application: Application, now: datetime, longest: timedelta) -> None:
        application.check()
        if application.until <= now:
            raise Invalid("grant_invalid", "the end of the grant is past")
        start = max(now, application.valid_from or now)
        if application.until > now + longest or start > application.until:
            sentence = f"a grant ends {longest.days} days from now at the latest"
            raise Invalid("grant_invalid", sentence)

    def _waiting(self, grant_id: str) -> Grant:
        grant = self.get(grant_id)
        if grant.state is not GrantState.APPLIED:
            raise Conflict("grant_not_waiting", f"Grant {grant_id} is {grant.state.value}")
        if grant_id in self._deciding:
            raise Conflict("grant_busy", f"Grant {grant_id} is being answered")
        return grant

    async def _add(self, grant: Grant, action: str, by: Subject, source: str) -> Grant:
        opened = sum(not known.state.is_over for known in self._grants.values())
        if opened + len(self._deciding) >= self._limits.max_open:
            raise Conflict("too_many_grants", f"{opened} grants wait or are active already")
        return await self._decide(grant, action, by, source)

    async def _decide(self, grant: Grant, action: str, by: Subject, source: str) -> Grant:
        grant_id = grant.grant_id
        self._deciding[grant_id] = grant
        try:
            await self._store.save_document(_COLLECTION, grant_id, grant.document())
        finally:
            del self._deciding[grant_id]
        self._grants[grant_id] = grant
        self._record(action, grant, by, source)
        if grant.state is GrantState.ACTIVE:
            self._changed(grant_id, objects=grant.application.objects)
        self._prune()
        return grant

    def _record(self, action: str, grant: Grant, by: Subject | None, source: str) -> None:
        application = grant.application
        self._recorder.record(
            action,
            grant.rule_id,
            by,
            detail=application.words,
            reason=grant.remark,
            source=source,
            purpose=application.purpose,
            ticket=application.ticket,
        )

    def _changed(self, *ids: str, objects: ChannelSelector | None = None) -> None:
        self._unlisted.update(ids)
        if objects is not None:
            for told in self.on_objects:
                told(objects)
        for changed in self.on_changed:
            changed()

    def _document(self, grant_id: str) -> dict[str, Any] | None:
        return grant.document() if (grant := self.find(grant_id)) is not None else None

    def _prune(self) -> None:
        grants = self._grants.values()
        over = [g for g in grants if g.state.is_over and g.grant_id not in self._rewriter]
        over.sort(key=lambda grant: grant.ended_at or grant.applied_at)
        for grant in over[: max(0, len(over) - self._limits.max_over)]:
            del self._grants[grant.grant_id]
            unawaited(self._store.delete_document(_COLLECTION, grant.grant_id), grant.rule_id)
