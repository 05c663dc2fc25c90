"""Forced stops (强制停止): orders that deny whatever any rule says, until they are lifted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

import structlog

from gateway.domain.audit import AuditKind, AuditSink
from gateway.domain.document import DocumentStore
from gateway.domain.errors import Conflict, Invalid, NotFound
from gateway.domain.policy import Action, Subject
from gateway.domain.selector import ChannelSelector
from gateway.sharing.policy.clause import (
    clause_fields,
    parse_selector,
    parse_subjects,
    selector_fields,
)
from gateway.sharing.policy.error import PolicyError
from gateway.sharing.policy.index import EMPTY_INDEX, RuleIndex
from gateway.sharing.policy.model import OUTSIDE, Effect, Rule, SubjectClause
from gateway.sharing.policy.record import Recorder, unawaited
from gateway.sharing.policy.value_text import value_text
from gateway.sharing.rewrite import Rewriter

__all__ = ["MAX_STOPS", "StopBook", "StopOrder"]

MAX_STOPS = 1_000
"""Orders in force at once; whoever needs more stops more with each."""
MAX_LIFTED = 1_000
"""Lifted orders that are kept; the audit keeps them all."""
MAX_REASON = 500
"""Characters."""

_COLLECTION = "stops"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """Who must not have what any more."""

    stop_id: str
    subject: SubjectClause = OUTSIDE
    """Whom it stops: everybody outside, unless somebody is named."""
    objects: ChannelSelector = field(default_factory=ChannelSelector)
    """What it stops; empty: every channel."""
    reason: str
    ordered_by: str
    """Label of who did."""
    ordered_at: datetime
    lifted_by: str = ""
    lifted_at: datetime | None = None

    @property
    def in_force(self) -> bool:
        """Whether nobody lifted it."""
        return self.lifted_at is None

    @property
    def rule_id(self) -> str:
        """How decisions name it."""
        return f"stop:{self.stop_id}"

    @property
    def rule(self) -> Rule:
        """The rule that it is."""
        return Rule(
            rule_id=self.rule_id,
            effect=Effect.DENY,
            subjects=(self.subject,),
            objects=self.objects,
            actions=frozenset(Action),
            description=self.reason,
        )

    def document(self) -> dict[str, Any]:
        """Return it as JSON to be kept."""
        return {
            "stop_id": self.stop_id,
            "subject": clause_fields(self.subject),
            "objects": selector_fields(self.objects),
            "reason": self.reason,
            "ordered_by": self.ordered_by,
            "ordered_at": self.ordered_at.isoformat(),
            "lifted_by": self.lifted_by,
            "lifted_at": self.lifted_at and self.lifted_at.isoformat(),
        }

    @classmethod
    def of_document(cls, body: Mapping[str, Any]) -> Self:
        """Read what was kept.

        Raises:
            KeyError, TypeError, ValueError, PolicyError: it is nothing this version wrote.
        """
        lifted = body["lifted_at"]
        return cls(
            stop_id=body["stop_id"],
            subject=parse_subjects(body["subject"])[0],
            objects=parse_selector(body["objects"] or None),
            reason=body["reason"],
            ordered_by=body["ordered_by"],
            ordered_at=datetime.fromisoformat(body["ordered_at"]),
            lifted_by=body["lifted_by"],
            lifted_at=datetime.fromisoformat(lifted) if lifted else None,
        )


class StopBook:
    """Owner of the stop orders. An order works at once, before it is kept; lifting waits until it is kept.

    Args:
        store: Keeps them.
        wall: Wall clock, timezone-aware.
        audit: Takes the records.
        new_id: Makes identifiers.
    """

    def __init__(
        self,
        store: DocumentStore,
        wall: Callable[[], datetime],
        *,
        audit: AuditSink,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._wall = wall
        self._new_id = new_id
        self._recorder = Recorder(audit, AuditKind.STOP, wall=wall, new_id=new_id)
        self._orders: dict[str, StopOrder] = {}
        self._rewriter = Rewriter(store, _COLLECTION, wall, self._document)
        self._rules: RuleIndex | None = EMPTY_INDEX
        self.on_objects: list[Callable[[ChannelSelector], None]] = []
        """Called with what a change is about, before `on_changed`."""
        self.on_changed: list[Callable[[], None]] = []
        """Called when what is in force has changed."""

    async def load(self) -> None:
        """Read the orders.

        One in force that cannot be read stops everything outside: nobody knows any more what it was for.
        """
        for key, body in (await self._store.load_documents(_COLLECTION)).items():
            try:
                order = StopOrder.of_document(body)
            except (KeyError, TypeError, ValueError, AttributeError, PolicyError) as exc:
                log.error("stop_order_unreadable", name=key, error=repr(exc))  # noqa: TRY400 - no bug of ours
                order = StopOrder(
                    stop_id=key,
                    reason="The order as kept cannot be read; lift it and order it anew",
                    ordered_by="nobody",
                    ordered_at=self._wall(),
                )
            self._orders[order.stop_id] = order
        self._changed()

    @property
    def rules(self) -> RuleIndex:
        """The orders in force as deny rules."""
        if self._rules is None:
            orders = [order.rule for order in self._orders.values() if order.in_force]
            self._rules = RuleIndex(orders) if orders else EMPTY_INDEX
        return self._rules

    def get(self, stop_id: str) -> StopOrder:
        """Return one order.

        Raises:
            NotFound: `stop_unknown`.
        """
        order = self._orders.get(stop_id)
        if order is None:
            raise NotFound("stop_unknown", f"There is no stop order {stop_id[:64]}")
        return order

    def list(self, *, lifted: bool = True) -> list[StopOrder]:
        """Return the orders, newest first; those in force only, if so wanted."""
        found = [order for order in self._orders.values() if lifted or order.in_force]
        return sorted(found, key=lambda order: (order.ordered_at, order.stop_id), reverse=True)

    async def order(
        self,
        *,
        reason: str,
        by: Subject,
        subject: SubjectClause | None = None,
        objects: ChannelSelector | None = None,
        everything: bool = False,
        source: str = "",
    ) -> StopOrder:
        """Stop at once; streams are told before this returns or waits.

        Args:
            reason: Why.
            by: Who orders it.
            subject: Whom to stop; None: everybody outside.
            objects: What to stop; None: every channel.
            everything: Must be said if neither is given.
            source: Host the request came from.

        Raises:
            Invalid: `stop_invalid`.
            Conflict: `too_many_stops`.
            Unavailable: it could not be kept yet; it is in force all the same, and written again until it is
                kept or the gateway stops.
        """
        objects = objects or ChannelSelector()
        if not reason.strip() or len(reason) > MAX_REASON:
            raise Invalid("stop_invalid", f"expected a reason of at most {MAX_REASON} characters")
        if subject is None and objects == ChannelSelector() and not everything:
            raise Invalid("stop_invalid", "say whom or what to stop, or that everything is meant")
        if sum(order.in_force for order in self._orders.values()) >= MAX_STOPS:
            raise Conflict("too_many_stops", f"{MAX_STOPS} stop orders are in force already")
        order = StopOrder(
            stop_id=self._new_id(),
            subject=subject or OUTSIDE,
            objects=objects,
            reason=reason,
            ordered_by=by.label,
            ordered_at=self._wall(),
        )
        self._orders[order.stop_id] = order
        said = f"subject {value_text(clause_fields(order.subject))}; "
        said += f"objects {value_text(selector_fields(objects))}"
        self._recorder.record("order", order.rule_id, by, detail=said, reason=reason, source=source)
        self._changed(objects)
        await self._rewriter.write(order.stop_id)
        return order

    def retry(self) -> None:
        """Write the orders that are not kept yet; call it at least once a second."""
        self._rewriter.retry()

    async def lift(
        self, stop_id: str, by: Subject, *, reason: str = "", source: str = ""
    ) -> StopOrder:
        """End an order once that is kept.

        Raises:
            NotFound: `stop_unknown`.
            Conflict: `stop_lifted`.
            Unavailable: it could not be kept; the order stays in force.
        """
        if not self.get(stop_id).in_force:
            raise Conflict("stop_lifted", f"Stop order {stop_id} was lifted before")
        lifted = replace(self.get(stop_id), lifted_by=by.label, lifted_at=self._wall())
        await self._store.save_document(_COLLECTION, stop_id, lifted.document())
        if not self.get(stop_id).in_force:
            raise Conflict("stop_lifted", f"Stop order {stop_id} was lifted before")
        self._orders[stop_id] = lifted
        self._recorder.record("lift", lifted.rule_id, by, reason=reason[:MAX_REASON], source=source)
        self._changed(lifted.objects)
        self._prune()
        return lifted

    def _document(self, stop_id: str) -> dict[str, Any] | None:
        order = self._orders.get(stop_id)
        return order.document() if order is not None else None

    def _changed(self, objects: ChannelSelector | None = None) -> None:
        self._rules = None
        if objects is not None:
            for told in self.on_objects:
                told(objects)
        for changed in self.on_changed:
            changed()

    def _prune(self) -> None:
        lifted = [order for order in self._orders.values() if order.lifted_at is not None]
        excess = max(0, len(lifted) - MAX_LIFTED)
        for order in sorted(lifted, key=lambda order: order.lifted_at or order.ordered_at)[:excess]:
            del self._orders[order.stop_id]
            unawaited(self._store.delete_document(_COLLECTION, order.stop_id), order.rule_id)
