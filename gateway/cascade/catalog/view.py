"""The catalogue one upper platform sees, kept up to date bit by bit (protocol 8.4)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from gateway.cascade.catalog import tree
from gateway.cascade.catalog.arrangement import Arrangement
from gateway.cascade.catalog.codes import CodeTable
from gateway.cascade.catalog.division import Divisions
from gateway.cascade.catalog.forest import Forest
from gateway.cascade.catalog.item import PLAIN, Placed, Rank
from gateway.cascade.catalog.node import Verdict, verdict_of
from gateway.cascade.catalog.own import OwnPlatform
from gateway.cascade.catalog.own_tree import OwnTree
from gateway.cascade.catalog.pace import Pace, drained
from gateway.cascade.catalog.sight import Sight
from gateway.cascade.catalog.snapshot import Snapshot, in_order, select
from gateway.cascade.catalog.tally import Tally
from gateway.cascade.catalog.told import Told
from gateway.cascade.ports import ChannelDirectory
from gateway.domain.device import Channel
from gateway.domain.document import SharedIdStore
from gateway.domain.platform import IdMode, PlatformConfig, TreeMode
from gateway.domain.policy import AccessContext, AccessControl, Action, Decision, Subject
from gateway.domain.selector import ChannelFacts, facts_of
from gb28181.aio import clock
from gb28181.ids import is_device_id

__all__ = ["CODES_RETRY", "CatalogView"]

CODES_RETRY: Final = 5.0
"""Seconds until codes are written again after the store has failed; their items are not shown until then."""


class CatalogView:
    """One platform's catalogue: which items, in which order, under which codes.

    `touch` and `policy_changed` only leave marks; `refresh` does the work, in short stretches. What is published
    changes device by device, and what is read is always what was published last, as a whole.

    Args:
        config: The platform.
        local_id: Our code there.
        directory: Devices and channels; a channel that changes must be another object.
        access: The sharing policy.
        ids: Where codes are kept.
        subject: The platform, as the policy knows it.
        wall: Wall clock, timezone-aware.
        own_item: Says what we are.
        facts: Works out what the selectors of a tree of our own look at.
        now: Monotonic seconds.
    """

    def __init__(
        self,
        config: PlatformConfig,
        *,
        local_id: str,
        directory: ChannelDirectory,
        access: AccessControl,
        ids: SharedIdStore,
        subject: Subject,
        wall: Callable[[], datetime],
        own_item: Callable[[], OwnPlatform],
        facts: Callable[[Channel], ChannelFacts] = facts_of,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        self.config = config
        self.local_id = local_id
        self.rename = config.id_mode is IdMode.RENAME
        self.version = 0
        """Counts what was published."""
        self.on_changes: list[Callable[[Sequence[tree.Change]], None]] = []
        """Called with what changed, within the change."""
        self.on_marked: list[Callable[[], None]] = []
        """Called when `refresh` has something to do."""
        self.on_answered: list[Callable[[Told], None]] = []
        """Called when a catalogue was sent, with what changed while it was."""
        self._directory = directory
        self._access = access
        self._subject = subject
        self._wall = wall
        self._own_item = own_item
        self._now = now
        self._pace = Pace(now)
        ours = own_item()
        loops = {local_id, config.platform_id} | ours.codes
        self._own_tree = OwnTree(
            config.nodes if config.tree is TreeMode.CUSTOM else (),
            local_id,
            reserved=loops,
            facts=facts,
        )
        arrangement = Arrangement(config, local_id, loops=loops, own=self._own_tree, mark=ours.mark)
        self._raw: set[str] = set()
        self._tally = Tally()
        self.codes = CodeTable(
            config.platform_id,
            local_id,
            mode=config.id_mode,
            own=loops | {code for code in self._own_tree.nodes if is_device_id(code)},
            store=ids,
            avoid=self._raw.__contains__,
        )
        listed = config.tree is not TreeMode.KEPT or arrangement.has_groups
        self._divisions = Divisions(
            config.tree if listed else TreeMode.CUSTOM,
            local_id,
            {node.node_id: node.name for node in config.nodes},
        )
        self.forest = Forest(
            directory=directory,
            arrangement=arrangement,
            divisions=self._divisions,
            codes=self.codes,
            judge=self._judge,
            pace=self._pace,
            publish=self._publish,
            count=self._tally.count,
        )
        self._sight = Sight(
            directory=directory, codes=self.codes, forest=self.forest, decide=self._decide
        )
        self._own: dict[str, Placed] = {}
        self._marks: dict[str, set[str] | None] = {}
        self._own_marked = True
        self._first: set[str] = set()
        self._epoch = 0
        self._judged = 0
        self._until: datetime | None = None
        self._retry_at: float | None = None
        self._lock = asyncio.Lock()
        self._listed: tuple[int, list[Placed]] = (-1, [])

    def touch(self, device_id: str, channel_ids: Collection[str] | None = None) -> None:
        """Note that channels may have changed, come or gone; cheap.

        Args:
            device_id: Whose; empty for what `own_item` says.
            channel_ids: Which; None for the device itself (presence, name) and whatever it has.
        """
        if not device_id:
            self._own_marked = True
        elif channel_ids is None:
            self._marks[device_id] = None
        elif (marked := self._marks.setdefault(device_id, set())) is not None:
            marked.update(channel_ids)
        self._tell_marked()

    def policy_changed(self, first: Collection[str] = ()) -> None:
        """Note that decisions may have changed, above all on items of the devices `first`; cheap."""
        self._epoch += 1
        self._first.update(first)
        self._tell_marked()

    @property
    def is_current(self) -> bool:
        """Whether everything marked has been published."""
        marked = bool(self._marks) or self._own_marked or self._epoch != self._judged
        return not marked and not self._lock.locked()

    @property
    def policy_pending(self) -> bool:
        """Whether changed decisions have not been looked at yet."""
        return self._epoch != self._judged

    async def load(self) -> None:
        """Take over the codes given so far and build everything.

        Raises:
            Unavailable: the codes cannot be read; without them nothing may be shown.
        """
        await self.codes.load()
        domain = self.local_id[:10]
        for device in list(self._directory.devices()):
            self._marks[device.device_id] = None
            for channel in list(self._directory.channels(device.device_id)):
                if channel.channel_id.startswith(domain):
                    self._raw.add(channel.channel_id)
                await self._pace.breathe()
        await self.refresh()

    async def refresh(self) -> None:
        """Bring what is published up to date with all marks left until now."""
        async with self._lock:
            if self._own_marked:
                self._own_marked = False
                self._publish_own()
            try:
                await self._work_off(self._epoch)
            except BaseException:
                # Cancelled half way: what is not published must be looked at again.
                for device_id in self.forest.abandon():
                    self.touch(device_id)
                raise
            if self.forest.unsaved and self._retry_at is None:
                self._retry_at = self._now() + CODES_RETRY

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is due, in monotonic seconds."""
        dues = [] if self._retry_at is None else [self._retry_at]
        if self._until is not None:
            dues.append(self._now() + max(0.0, (self._until - self._wall()).total_seconds()))
        return min(dues, default=None)

    def handle_timer(self) -> None:
        """Leave marks for what is due: codes not written yet, decisions that are no longer good."""
        if self._retry_at is not None and self._now() >= self._retry_at:
            self._retry_at = None
            for device_id in self.forest.unsaved:
                self._marks[device_id] = None
            self.forest.unsaved.clear()
            self._tell_marked()
        if self._until is not None and self._wall() >= self._until:
            self._until = None
            self.policy_changed()

    # Reading

    def items(self, root: str | None = None) -> Snapshot:
        """Return what a query for a code gets; its items are written when they are read.

        Args:
            root: The code asked for; None or our own for everything. One that is not in the catalogue gives nothing.
        """
        placed = self._everything()
        if self._is_whole(root):
            return Snapshot(placed, rename=self.rename)
        assert root is not None
        part = drained(select(placed, root, self.config.edition))
        return Snapshot(part, rename=self.rename)

    @asynccontextmanager
    async def answer(self, root: str | None = None) -> AsyncIterator[Snapshot]:
        """Give what a query gets, as `items` does, up to date and without holding up the loop.

        The block is the time in which it is sent. What changes in it is told to subscribers once more at its end:
        a page that is out of date may have arrived after the news.
        """
        await self.refresh()
        later = Told(self.find)
        self.on_changes.append(later.changed)
        try:
            placed = await self.select(root)
            if not self._is_whole(root):
                later.members = {each.code for each in placed}
            yield Snapshot(placed, rename=self.rename)
        finally:
            self.on_changes.remove(later.changed)
            for listener in tuple(self.on_answered):
                listener(later)

    async def select(self, root: str | None) -> Sequence[Placed]:
        """Return as `items` does, unwritten, without holding up the loop."""
        placed = self._everything()
        if self._is_whole(root):
            return placed
        assert root is not None
        return await self._pace.run(select(placed, root, self.config.edition))

    def count(self, root: str | None = None) -> int:
        """Return how many items a query for a code gets."""
        return self._tally.items if self._is_whole(root) else len(self.items(root))

    def cameras(self) -> int:
        """Return how many of all items are cameras."""
        return self._tally.cameras

    def codes_of(self, root: str) -> frozenset[str]:
        """Return the codes of what a query for a code gets; some milliseconds if the catalogue is large."""
        return frozenset(placed.code for placed in self.items(root).placed)

    def find(self, shared_id: str) -> Placed | None:
        """Return what stands under a code now."""
        placed = self._own.get(shared_id) or self._divisions.shown.get(shared_id)
        if placed is not None:
            return placed
        key = self.codes.find(shared_id)
        node = self.forest.node(*key) if key is not None else None
        return node.placed if node is not None else None

    def resolve(self, shared_id: str) -> Channel | None:
        """Return the channel a platform knows under a code; None for one it was never given or may not see now.

        A recorder or lower platform that is an item comes back as a channel of itself.
        """
        return self._sight.resolve(shared_id)

    def why_unknown(self, shared_id: str) -> tuple[str, str]:
        """Return why `resolve` gives nothing, for the record: a reason and a sentence."""
        return self._sight.why_unknown(shared_id)

    def is_shown(self, shared_id: str) -> bool:
        """Whether something stands under a code that may still be seen, by the policy of this moment."""
        placed = self.find(shared_id)
        return placed is not None and self._sight.sees(placed)

    def shared_id(self, device_id: str, channel_id: str) -> str | None:
        """Return the code under which a channel is in the catalogue now."""
        node = self.forest.node(device_id, channel_id)
        return node.placed.code if node is not None and node.placed is not None else None

    def is_mine(self, shared_id: str) -> bool:
        """Whether a code is our own platform's, that of a node of its tree, or a division shown."""
        return shared_id in self._own or shared_id in self._divisions.shown

    # Inside

    async def _work_off(self, epoch: int) -> None:
        if epoch != self._judged:
            self._until = None
            for device_id in list(self.forest.branches):
                await self._judge_first()
                if self._marks.get(device_id, ()) is not None:
                    await self._look(device_id, self.forest.rejudge(device_id, epoch))
        for device_id in list(self._marks):
            await self._update(device_id, epoch)
        await self.forest.finish()
        self._judged = epoch
        await self._judge_first()
        await self.forest.finish()

    async def _judge_first(self) -> None:
        """Look at what is known to be meant, also while older marks are worked off."""
        while self._first:
            device_id = self._first.pop()
            if device_id in self._marks:
                await self._update(device_id, self._epoch)
            await self._look(device_id, self.forest.rejudge(device_id, self._epoch))

    async def _update(self, device_id: str, epoch: int) -> None:
        channel_ids = self._marks.pop(device_id, ())
        await self._look(device_id, self.forest.update(device_id, channel_ids, epoch))

    async def _look(self, device_id: str, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except BaseException:
            # Cancelled half way: what is not published must be looked at again.
            self.touch(device_id)
            raise

    def _decide(self, channel: Channel) -> Decision:
        context = AccessContext(at=self._wall(), zone=self.config.zone)
        return self._access.decide(self._subject, Action.CATALOG, channel, context)

    def _judge(self, channel: Channel) -> tree.Judgement:
        if channel.channel_id.startswith(self.local_id[:10]):
            # New codes keep clear of those that items below have.
            self._raw.add(channel.channel_id)
        if channel.secrecy:
            # Whatever a rule says.
            return Verdict.HIDDEN, PLAIN
        decision = self._decide(channel)
        if decision.until is not None and (self._until is None or decision.until < self._until):
            self._until = decision.until
        plain = decision.obligations == PLAIN
        return verdict_of(channel, decision), PLAIN if plain else decision.obligations

    def _publish_own(self) -> None:
        channel = self._own_item().channel(self.local_id)
        before = self._own.get(self.local_id)
        if before is not None and before.channel == channel:
            return
        after = Placed(channel=channel, code=self.local_id, rank=Rank.OWN, online=True)
        changes: list[tree.Change] = [(self.local_id, before, after)]
        self._own[self.local_id] = after
        for code, placed in self._own_tree.placed():
            if self._own.setdefault(code, placed) is placed and before is None:
                changes.append((code, None, placed))
        for _, old, new in changes:
            self._tally.count(old, new)
        self._publish(changes)

    def _tell_marked(self) -> None:
        for listener in tuple(self.on_marked):
            listener()

    def _is_whole(self, root: str | None) -> bool:
        return not root or root == self.local_id

    def _everything(self) -> list[Placed]:
        """Return all items in order; the same list until something is published."""
        if self._listed[0] != self.version:
            singles = (*self._own.values(), *self._divisions.shown.values())
            buckets = [branch.buckets for branch in self.forest.branches.values()]
            self._listed = (self.version, in_order(singles, buckets))
        return self._listed[1]

    def _publish(self, changes: Sequence[tree.Change]) -> None:
        if not changes:
            return
        self.version += 1
        self._tally.publish()
        for listener in tuple(self.on_changes):
            listener(changes)
