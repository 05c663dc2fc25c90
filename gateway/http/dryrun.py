"""Trying a policy on all channels: paced, so that nobody else waits, and only a few at a time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from heapq import nlargest

from gateway.domain.device import Channel
from gateway.domain.errors import Conflict, NotFound, Unavailable
from gateway.domain.policy import Action
from gateway.domain.selector import ChannelFacts
from gateway.http.asker import Asker, AskerBook
from gateway.http.deps import DeviceBook, HttpDeps
from gateway.http.schemas.policy import (
    ChangeOut,
    ChangesIn,
    ChangesOut,
    ExplainIn,
    ExplanationOut,
    RuleTraceOut,
    SeeIn,
    SightList,
    SightOut,
)
from gateway.http.schemas.subject import ContextIn, DecisionOut, SubjectOut, WhoIn
from gateway.sharing.policy.dryrun import RuleTrace, changes, paced, trace, would_see
from gateway.sharing.policy.engine import CompiledPolicy, Engine
from gateway.sharing.policy.load import load_policy

__all__ = ["DryRun"]

AT_ONCE = 2
"""Dry runs at the same time; further ones wait."""
WAITING = 10
"""Dry runs that may wait."""
MAX_STEPS = 20_000_000
"""Channels times subjects times actions of one comparison: some minutes of work."""
SHOWN_RULES = 500
"""Rules in an explanation; of more those that come nearest."""


class DryRun:
    """Asks policies without consequences.

    Args:
        deps: Policies, channels, and who there is to ask for.
    """

    def __init__(self, deps: HttpDeps) -> None:
        self._sharing = deps.sharing
        self._askers = AskerBook(deps.sharing)
        self._devices: DeviceBook = deps.devices
        self._wall = deps.wall
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def would_see(self, body: SeeIn) -> SightList:
        """Say what somebody would see.

        Raises:
            NotFound: `version_unknown`.
            PolicyError: the text cannot be used.
            Unavailable: `too_many_dry_runs`.
        """
        subject, context = self._asker(body.subject, body)
        reasons: Counter[str] = Counter()
        items: list[SightOut] = []
        allowed = listed = 0
        async with self._turn():
            engine = await self._engine(body.version, body.text)
            seen = would_see(engine, subject, self._facts(), context, body.action)
            async for sight in paced(seen):
                decision = sight.decision
                allowed += decision.allowed
                if not decision.allowed:
                    reasons[decision.reason] += 1
                if not decision.allowed and not body.denied:
                    continue
                if body.offset <= listed < body.offset + body.limit:
                    items.append(
                        SightOut(
                            device_id=sight.facts.device_id,
                            channel_id=sight.facts.channel_id,
                            name=self._name(sight.facts),
                            decision=DecisionOut.of(decision),
                        )
                    )
                listed += 1
        denied = sum(reasons.values())
        return SightList(
            items=items, total=listed, allowed=allowed, denied=denied, by_reason=dict(reasons)
        )

    async def explain(self, body: ExplainIn) -> ExplanationOut:
        """Say why a decision is as it is.

        Raises:
            NotFound: `channel_unknown`, `version_unknown`.
            Conflict: `channel_ambiguous`.
            PolicyError: the text cannot be used.
            Unavailable: `too_many_dry_runs`.
        """
        channel = self._channel(body)
        subject, context = self._asker(body.subject, body)
        found: list[RuleTrace] = []
        async with self._turn():
            engine = await self._engine(body.version, body.text)
            facts = self._sharing.facts(channel)
            profile = engine.profile(facts)
            decision = engine.decide(subject, body.action, profile, context)
            async for step in paced(trace(engine, subject, body.action, facts, context)):
                found.append(step)  # noqa: PERF401 - an async comprehension over a generator of ours reads worse
        count = len(found)
        if count > SHOWN_RULES:
            near = nlargest(SHOWN_RULES, enumerate(found), key=lambda item: _nearness(item[1]))
            found = [item for _, item in sorted(near, key=lambda item: item[0])]
        return ExplanationOut(
            device_id=channel.device_id,
            channel_id=channel.channel_id,
            name=channel.name,
            decision=DecisionOut.of(decision),
            facts=_facts_shown(profile.facts),
            trace=[RuleTraceOut.model_validate(item) for item in found],
            rules=count,
        )

    async def changes(self, body: ChangesIn) -> ChangesOut:
        """Say which channels change for whom between two policies.

        Raises:
            NotFound: `version_unknown`.
            PolicyError: the text cannot be used.
            Conflict: `too_much`: more than can be tried.
            Unavailable: `too_many_dry_runs`.
        """
        subjects = [who.subject() for who in body.subjects] or self._askers.everybody()
        actions = tuple(dict.fromkeys(body.actions)) or tuple(Action)
        context = body.context(self._wall())
        askers = [self._askers.asker(who, context, zone=body.zone) for who in subjects]
        kinds: Counter[str] = Counter()
        items: list[ChangeOut] = []
        total = 0
        async with self._turn():
            before = await self._engine(body.before, None)
            after = await self._engine(body.after, body.text)
            facts = list(self._facts())
            if len(facts) * len(subjects) * len(actions) > MAX_STEPS:
                raise Conflict(
                    "too_much",
                    f"{len(facts)} channels for {len(subjects)} subjects and {len(actions)} actions "
                    "are too much at once: name fewer subjects or actions",
                )
            async for step in paced(changes(before, after, askers, facts, actions)):
                for change in step:
                    kinds[change.kind] += 1
                    if body.offset <= total < body.offset + body.limit:
                        items.append(
                            ChangeOut(
                                device_id=change.facts.device_id,
                                channel_id=change.facts.channel_id,
                                name=self._name(change.facts),
                                subject=SubjectOut.model_validate(change.subject),
                                action=change.action,
                                kind=change.kind,
                                before=DecisionOut.of(change.before),
                                after=DecisionOut.of(change.after),
                            )
                        )
                    total += 1
        return ChangesOut(items=items, total=total, kinds=dict(kinds))

    async def _engine(self, version: int | None, text: str | None) -> Engine:
        sharing = self._sharing
        if text is not None:
            return sharing.access.engine_with(await asyncio.to_thread(_compiled, text))
        if version is None:
            return sharing.access.engine
        policy = await sharing.policies.policy(version)
        return sharing.access.engine_with(await asyncio.to_thread(CompiledPolicy, policy))

    def _facts(self) -> Iterator[ChannelFacts]:
        for device in list(self._devices.devices()):
            for channel in list(self._devices.channels(device.device_id)):
                yield self._sharing.facts(channel)

    def _name(self, facts: ChannelFacts) -> str:
        channel = self._devices.channel(facts.device_id, facts.channel_id)
        return channel.name if channel else ""

    def _channel(self, body: ExplainIn) -> Channel:
        if body.device_id:
            channel = self._devices.channel(body.device_id, body.channel_id)
            found = [] if channel is None else [channel]
        else:
            found = list(self._devices.find_channel(body.channel_id))
        if not found:
            raise NotFound(
                "channel_unknown", f"No channel {body.device_id}/{body.channel_id} is catalogued"
            )
        if len(found) > 1:
            owners = ", ".join(sorted(item.device_id for item in found)[:10])
            raise Conflict(
                "channel_ambiguous", f"Several devices have a channel {body.channel_id}: {owners}"
            )
        return found[0]

    def _asker(self, who: WhoIn, body: ContextIn) -> Asker:
        return self._askers.asker(who.subject(), body.context(self._wall()), zone=body.zone)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= WAITING:
            raise Unavailable("too_many_dry_runs", f"{self._waiting} dry runs wait already")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()


def _compiled(text: str) -> CompiledPolicy:
    return CompiledPolicy(load_policy(text, source="text"))


def _nearness(item: RuleTrace) -> tuple[bool, bool, int]:
    return (item.applied, item.matched, -len(item.mismatches))


def _facts_shown(facts: ChannelFacts) -> dict[str, str]:
    shown = {}
    for name in ChannelFacts.__dataclass_fields__:
        value = getattr(facts, name)
        text = " ".join(sorted(value)) if isinstance(value, frozenset) else str(value)
        if text:
            shown[name] = text
    return shown
