"""Where SIP and HTTP ask whether somebody may: decides, records, counts, ends what may no longer be."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from gateway.domain.audit import AuditSink
from gateway.domain.device import Channel, ChannelKind
from gateway.domain.errors import Forbidden
from gateway.domain.policy import (
    Access,
    AccessContext,
    AccessRequest,
    Action,
    Decision,
    Subject,
)
from gateway.domain.selector import ChannelFacts
from gateway.sharing.access_open import AccessTable, OpenAccess, OwnerNotice
from gateway.sharing.access_record import access_entry, end_entry
from gateway.sharing.decisions import FILTERED, UNAVAILABLE, UNKNOWN
from gateway.sharing.denials import DenialGate
from gateway.sharing.grants import GrantBook, GrantState
from gateway.sharing.policy.book import PolicyBook
from gateway.sharing.policy.engine import BUILTIN_ACTIONS, CompiledPolicy, Engine, Profile
from gateway.sharing.policy.facts import ProfileCache
from gateway.sharing.policy.index import EMPTY_INDEX
from gateway.sharing.policy.rule import STREAMING
from gateway.sharing.stops import StopBook
from gateway.sharing.usage import PartyUsage, Usage, party_of
from gb28181.aio.clock import monotonic

__all__ = ["SharingAccess"]

_SLICE = 0.02
"""Seconds for which open accesses are asked again before the loop gets its turn."""
_TICK = 1.0
"""Seconds between two looks at the clock."""
_JUMP = timedelta(seconds=2)
"""The clock set back further than this may have passed a window's edge the other way."""
_TURN = 200
"""Open accesses asked again each tick though nothing seems to have changed: the catalogue may have."""
_WHOLE = frozenset({Action.CATALOG, Action.ALARM, Action.POSITION})
"""Actions that may be asked for as a whole: what is then sent is decided channel by channel."""
_GROUP_TYPES = frozenset({"215", "216"})
_NOWHERE = ChannelFacts(device_id="", channel_id="", kind=ChannelKind.OTHER)

log = structlog.get_logger()


class SharingAccess:
    """Implements `gateway.domain.policy.AccessControl`; owner of all open accesses.

    While the audit is out of order nobody outside gets anything new; what is on record already goes on. Which
    channels somebody sees (`decide` for CATALOG) does not depend on it, or every platform would be told that
    all its channels are gone.

    Args:
        policies: The policy; with grants and stop orders it decides.
        audit: Takes the records.
        wall: Wall clock, timezone-aware.
        new_id: Makes identifiers.
        facts: Works out what rules look at; asked once per channel and policy, see :meth:`touch`.
        find: Returns a channel as it is now; None looks at it as it was when the access began.
        now: Monotonic clock in seconds.
    """

    def __init__(
        self,
        *,
        policies: PolicyBook,
        grants: GrantBook,
        stops: StopBook,
        audit: AuditSink,
        wall: Callable[[], datetime],
        new_id: Callable[[], str],
        facts: Callable[[Channel], ChannelFacts],
        find: Callable[[str, str], Channel | None] | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._policies = policies
        self._grants = grants
        self._stops = stops
        self._audit = audit
        self._wall = wall
        self._new_id = new_id
        self._find = find
        self._now = now
        self._engine: Engine | None = None
        self._profiles = ProfileCache(facts)
        self._open = AccessTable()
        self._usage = Usage()
        self._denials = DenialGate(audit.record, wall=wall, new_id=new_id, now=now)
        self._again: deque[OpenAccess] = deque()
        """Accesses to be asked again."""
        self._turn = 0
        self._last_tick = wall()
        self._edge: datetime | None = None
        self._wake = asyncio.Event()
        self.on_changed: list[Callable[[], None]] = []
        self.on_owner_notice: list[Callable[[OwnerNotice], None]] = []
        """Called for each access that obliges to tell the channel's owner; must not block."""
        for book in (policies, grants, stops):
            book.on_changed.append(self._changed)
        self._edge = self.engine.next_edge(self._last_tick)

    # Deciding

    @property
    def engine(self) -> Engine:
        """What is in force, for dry runs."""
        if self._engine is None:
            policies = self._policies
            # Without the rules that deny nobody knows what a grant was never meant to allow.
            grants = EMPTY_INDEX if policies.problem else self._grants.rules
            self._engine = Engine(policies.compiled, grants, self._stops.rules)
        return self._engine

    def engine_with(self, policy: CompiledPolicy) -> Engine:
        """Return what would be in force under another policy, with the grants and stop orders of now."""
        return Engine(policy, self._grants.rules, self._stops.rules)

    def facts(self, channel: Channel) -> ChannelFacts:
        """Return what rules look at, tags of the policy in force included."""
        return self._profile(channel).facts

    def decide(
        self, subject: Subject, action: Action, channel: Channel, context: AccessContext
    ) -> Decision:
        """Return the decision; nothing is recorded."""
        if action is not Action.CATALOG and self._is_unrecorded(subject):
            return UNAVAILABLE
        profile = self._profile(channel)
        streams = self._usage.streams_of(subject) if action in STREAMING else 0
        return self.engine.decide(subject, action, profile, context, streams=streams)

    def check(self, request: AccessRequest) -> Decision:
        """Decide on an access of a moment and record it; it is no stream of any limit.

        Raises:
            Forbidden: denied; recorded.
        """
        return self._decided(request)[1]

    def open(self, request: AccessRequest, stop: Callable[[str, str], None]) -> Access:
        """Decide on an access that lasts and record it; it counts as an open stream until its end.

        Args:
            request: The access.
            stop: Called once with (code, detail) when it must end now. Must not block; the callee calls
                `Access.end`. The code is that of the decision, `revoked` or `expired` after a grant, or
                `sub_stream_only` if the main stream may no longer be shown.

        Raises:
            Forbidden: denied; recorded.
        """
        access_id, decision = self._decided(request, lasting=True)
        access = OpenAccess(
            access_id=access_id,
            request=request,
            decision=decision,
            party=party_of(request.subject),
            started=self._now(),
            stop=stop,
            on_end=self._ended,
        )
        self._open.add(access)
        if request.action in STREAMING:
            self._usage.opened(access.party)
        return access

    def refuse(self, request: AccessRequest, reason: str, detail: str, *, rule: str = "") -> None:
        """Record a denial decided elsewhere: an object this subject was never given, a bad identity."""
        decision = Decision(allowed=False, rule=rule, reason=reason, detail=detail)
        self._record(self._new_id(), request, decision)

    def accesses(self) -> Iterable[Access]:
        """Return what is open now: who watches what."""
        return self._open.all()

    def usage(self) -> list[PartyUsage]:
        """Return how much each party uses."""
        return self._usage.all()

    # Changes

    def touch(self, device_id: str, channel_ids: Iterable[str] | None = None) -> None:
        """A device's catalogue has changed, or the groups above its channels: look at them anew."""
        touched = None if channel_ids is None else frozenset(channel_ids)
        # What hangs under a group that moved has moved with it.
        if touched is not None and any(code[10:13] in _GROUP_TYPES for code in touched):
            touched = None
        self._profiles.forget(device_id, touched)
        self._ask_again(self._open.of(device_id, touched))

    async def run(self) -> None:
        """Watch the clock, for ever: windows, validities, grants, and what could not be asked again at once."""
        while True:
            self.tick()
            while self._again:
                await asyncio.sleep(0)
                self._drain()
            self._wake.clear()
            try:
                async with asyncio.timeout(self._rest()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def tick(self) -> None:
        """Do what is due by the clock; at most some 20 ms long, `run` does the rest."""
        self._grants.expire()
        self._stops.retry()
        self._denials.flush()
        now = self._wall()
        jumped_back = self._last_tick - now > _JUMP
        self._last_tick = now
        if jumped_back:
            self._ask_again(self._open.all())
        if jumped_back or (self._edge is not None and now >= self._edge):
            self._edge = self.engine.next_edge(now)
            self._tell(self.on_changed)
        accesses = self._open.all()
        due = [a for a in accesses if a.decision.until is not None and a.decision.until <= now]
        if self._turn >= len(accesses):
            self._turn = 0
        self._ask_again([*due, *accesses[self._turn : self._turn + _TURN]])
        self._turn += _TURN

    def close(self) -> None:
        """Put the end of everything on record that is still open, and denials that were only counted."""
        for access in self._open.all():
            access.end("shutdown", "The gateway is stopping")
        self._denials.flush(everything=True)

    # Inside

    def _changed(self) -> None:
        self._engine = None
        self._edge = self.engine.next_edge(self._wall())
        self._again.clear()
        self._ask_again(self._open.all())
        self._tell(self.on_changed)

    def _tell(self, listeners: Iterable[Callable[[], None]]) -> None:
        for listener in list(listeners):
            self._guarded(listener)

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as exc:  # noqa: BLE001 - one face's fault must not keep another's stream running
            log.error("access_callback_failed", error=repr(exc))  # noqa: TRY400 - bounded text

    def _ask_again(self, accesses: Iterable[OpenAccess]) -> None:
        self._again.extend(accesses)
        self._drain()

    def _drain(self) -> None:
        enough = self._now() + _SLICE
        while self._again:
            self._reconsider(self._again.popleft())
            if self._again and self._now() >= enough:
                self._wake.set()
                return

    def _reconsider(self, access: OpenAccess) -> None:
        if access.ended or access.stopped_by is not None:
            return
        context = replace(access.request.context, at=self._wall())
        decision = self._judge(access.request, context, streams=0)
        if decision.allowed:
            decision = self._within_limits(access, decision)
        if decision.allowed:
            access.decision = decision
        else:
            self._guarded(partial(access.stop, self._in_words(access, decision)))

    def _within_limits(self, access: OpenAccess, decision: Decision) -> Decision:
        """Of more streams than are allowed the newest end; a main stream ends if only the sub stream is left."""
        obligations = decision.obligations
        if access.request.action in STREAMING and (
            obligations.sub_stream and not access.decision.obligations.sub_stream
        ):
            detail = f"{decision.rule} allows only the sub stream now"
            return replace(decision, allowed=False, reason="sub_stream_only", detail=detail)
        limit = obligations.max_streams
        if limit is None or self._usage.streams(access.party) <= limit:
            return decision
        if access.request.action not in STREAMING or self._open.rank(access) < limit:
            return decision
        detail = f"Only {limit} streams at once are allowed now"
        return replace(decision, allowed=False, reason="too_many_streams", detail=detail)

    def _in_words(self, access: OpenAccess, decision: Decision) -> Decision:
        """Say that a grant is over instead of that no rule allows it."""
        kind, _, grant_id = access.decision.rule.partition(":")
        if kind != "grant" or decision.reason not in {"no_rule", "expired"}:
            return decision
        word, detail = "expired", f"Grant {grant_id} has expired"
        grant = self._grants.find(grant_id)
        if grant is not None and grant.state is GrantState.REVOKED:
            word = "revoked"
            detail = f"Grant {grant_id} was revoked" + (f": {grant.remark}" if grant.remark else "")
        return replace(decision, rule=access.decision.rule, reason=word, detail=detail)

    def _decided(self, request: AccessRequest, *, lasting: bool = False) -> tuple[str, Decision]:
        subject = request.subject
        counts = lasting and request.action in STREAMING
        streams = self._usage.streams_of(subject) if counts else 0
        decision = UNAVAILABLE
        if not self._is_unrecorded(subject):
            decision = self._judge(request, request.context, streams=streams)
        self._record(access_id := self._new_id(), request, decision, lasting=lasting)
        if not decision.allowed:
            raise Forbidden(decision.reason, decision.detail, rule=decision.rule)
        if decision.obligations.notify_owner and request.channel is not None:
            self._notify_owner(access_id, request, request.channel, decision)
        return access_id, decision

    def _judge(self, request: AccessRequest, context: AccessContext, *, streams: int) -> Decision:
        subject, action, channel = request.subject, request.action, request.channel
        if channel is not None:
            # What was found a while ago may have changed: who is slow to ask must not gain by it.
            now = self._find(channel.device_id, channel.channel_id) if self._find else None
            profile = self._profile(now or channel)
            return self.engine.decide(subject, action, profile, context, streams=streams)
        if subject.is_local:
            allowed = action in BUILTIN_ACTIONS.get(subject.role, ())
            return replace(FILTERED, rule=f"builtin:local-{subject.role}") if allowed else UNKNOWN
        if action not in _WHOLE:
            return UNKNOWN
        stopped = self.engine.stopped(subject, action, _NOWHERE)
        return stopped or FILTERED

    def _is_unrecorded(self, subject: Subject) -> bool:
        return not subject.is_local and not self._audit.health().ok

    def _profile(self, channel: Channel) -> Profile:
        return self._profiles.get(channel, self.engine)

    def _notify_owner(
        self, access_id: str, request: AccessRequest, channel: Channel, decision: Decision
    ) -> None:
        notice = OwnerNotice(
            access_id=access_id,
            request=request,
            decision=decision,
            owners=self._policies.compiled.owners(self.facts(channel)),
            at=self._wall(),
        )
        for told in list(self.on_owner_notice):
            self._guarded(partial(told, notice))

    def _record(
        self, access_id: str, request: AccessRequest, decision: Decision, *, lasting: bool = False
    ) -> None:
        at = self._wall()
        party = party_of(request.subject)
        self._usage.count(party, at, allowed=decision.allowed)
        entry = access_entry(access_id, at, request, decision, lasting=lasting)
        if decision.allowed or request.subject.is_local:
            self._audit.record(entry)
        else:
            self._denials.record(party, entry)

    def _ended(self, access: OpenAccess, result: str, detail: str) -> None:
        self._open.remove(access)
        if access.request.action in STREAMING:
            self._usage.closed(access.party)
        lasted = self._now() - access.started
        at = self._wall()
        self._audit.record(end_entry(self._new_id(), at, access, result, detail, lasted))

    def _rest(self) -> float:
        now = self._wall()
        times = [a.decision.until for a in self._open.all() if a.decision.until is not None]
        if self._edge is not None:
            times.append(self._edge)
        if (soonest := min(times, default=None)) is None:
            return _TICK
        return min(_TICK, max(0.001, (soonest - now).total_seconds()))
