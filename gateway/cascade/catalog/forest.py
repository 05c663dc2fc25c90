"""The branches of all devices as one platform sees them, and how each is brought up to date."""

from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import structlog

from gateway.cascade.catalog import tree
from gateway.cascade.catalog.arrangement import Arrangement
from gateway.cascade.catalog.codes import CodeTable
from gateway.cascade.catalog.division import Divisions
from gateway.cascade.catalog.item import Placed, Rank, rank_of
from gateway.cascade.catalog.node import Branch, Node
from gateway.cascade.catalog.pace import Pace
from gateway.cascade.ports import ChannelDirectory
from gateway.domain.device import Channel, ChannelKind, Device
from gateway.domain.errors import Unavailable

__all__ = ["Forest"]

PUBLISHED: Final = 64
"""Changed items published at a stretch."""
MANY: Final = 64
"""Changed items of one device from which on building its branch anew is looked at as cheaper."""

WANTING: Final = 2_000
"""Items without a code that are waited for, so that their codes are written together."""

log = structlog.get_logger()

Publish = Callable[[Sequence[tree.Change]], None]
Count = Callable[[Placed | None, Placed | None], None]


@dataclass(slots=True, eq=False)
class _Job:
    """What is left to do of a branch once its new items have their codes."""

    branch: Branch
    old: Branch | None
    touched: Iterable[Node] | None
    """Items to be placed; None: all, in the place of the old branch."""
    wanting: list[Node]


class Forest:
    """One branch per device; whoever calls the coroutines sees to it that only one runs at a time.

    Args:
        directory: Devices and channels.
        arrangement: The platform's rules.
        divisions: Its division items.
        codes: Its codes.
        judge: Asks the policy.
        pace: Cuts the work.
        publish: Told what changed, in one stretch with the change itself.
        count: Told of each of these changes shortly before.
    """

    def __init__(
        self,
        *,
        directory: ChannelDirectory,
        arrangement: Arrangement,
        divisions: Divisions,
        codes: CodeTable,
        judge: tree.Judge,
        pace: Pace,
        publish: Publish,
        count: Count,
    ) -> None:
        self.branches: dict[str, Branch] = {}
        self.unsaved: set[str] = set()
        """Devices with items that have no code because the store failed."""
        self._directory = directory
        self._arrangement = arrangement
        self._divisions = divisions
        self._codes = codes
        self._judge = judge
        self._pace = pace
        self._publish = publish
        self._count = count
        self._jobs: dict[str, _Job] = {}
        self._wanting = 0

    def node(self, device_id: str, channel_id: str) -> Node | None:
        """Return an item."""
        branch = self.branches.get(device_id)
        return branch.nodes.get(channel_id) if branch is not None else None

    async def update(self, device_id: str, channel_ids: Collection[str] | None, epoch: int) -> None:
        """Look at a device anew.

        Args:
            device_id: Which.
            channel_ids: Its channels that may have changed; None: all, and the device itself.
            epoch: State of the policy.
        """
        await self._finish_first(device_id)
        device = self._directory.get(device_id)
        old = self.branches.get(device_id)
        if device is None or device_id in self._arrangement.loops:
            if old is not None:
                await self._swap(device_id, old, None)
            return
        if old is None or channel_ids is None:
            await self._build(device, epoch, fresh=old is None or old.epoch != epoch)
            return
        changed: dict[str, Node | None] = {}
        for channel_id in channel_ids:
            await self._pace.breathe()
            channel = self._directory.channel(device_id, channel_id)
            known = old.nodes.get(channel_id)
            if channel is None:
                changed[channel_id] = None
            elif known is None or known.channel is not channel:
                changed[channel_id] = self._node(channel)
        if not await self._apply(old, changed):
            # Who hangs below which group may decide about what is far below.
            ranks = {node.rank for node in changed.values() if node is not None}
            ranks |= {old.nodes[key].rank for key in changed if key in old.nodes}
            moved = not ranks.isdisjoint({Rank.GROUP, Rank.ORGANISATION})
            await self._build(device, epoch, fresh=moved or old.epoch != epoch)

    async def rejudge(self, device_id: str, epoch: int) -> None:
        """Ask the policy about all items of a device again."""
        await self._finish_first(device_id)
        branch = self.branches.get(device_id)
        device = self._directory.get(device_id)
        if branch is None or device is None or branch.epoch == epoch:
            return
        changed: dict[str, Node | None] = {}
        for channel_id in list(branch.nodes):
            await self._pace.breathe()
            node = branch.nodes[channel_id]
            new = self._node(node.channel)
            if new.verdict is not node.verdict or new.obligations != node.obligations:
                changed[channel_id] = new
        many = len(changed) > max(MANY, len(branch.nodes) // 4)
        if not many and await self._apply(branch, changed):
            branch.epoch = epoch
        else:
            await self._build(device, epoch, fresh=True)

    async def finish(self) -> None:
        """Do what waited for codes; after the last device."""
        if not self._jobs:
            return
        await self._give_codes()
        while self._jobs:
            device_id, job = next(iter(self._jobs.items()))
            if job.touched is None:
                await self._place_all(job.branch, job.old)
            else:
                await self._place_some(job.branch, job.touched)
            del self._jobs[device_id]
        self._wanting = 0

    def abandon(self) -> list[str]:
        """Forget what waits for codes, because the work was cancelled; returns the devices to be looked at anew."""
        devices = list(self._jobs)
        self._jobs.clear()
        self._wanting = 0
        return devices

    # Inside

    async def _finish_first(self, device_id: str) -> None:
        if device_id in self._jobs or self._wanting >= WANTING:
            await self.finish()

    def _node(self, channel: Channel) -> Node:
        return Node(channel, rank_of(channel.kind), *self._judge(channel))

    async def _build(self, device: Device, epoch: int, *, fresh: bool) -> None:
        old = self.branches.get(device.device_id)
        channels = list(self._directory.channels(device.device_id))
        judge = self._judge
        if old is not None and not fresh and await self._pace.run(_same_groups(old, channels)):
            known = old.nodes

            def judge(channel: Channel) -> tree.Judgement:
                node = known.get(channel.channel_id)
                if node is not None and node.channel is channel:
                    return node.verdict, node.obligations
                return self._judge(channel)

        new = await self._pace.run(tree.build(device, channels, judge, self._arrangement))
        new.epoch = epoch
        wanting = await self._find_codes(new, new.nodes.values())
        if wanting:
            self._jobs[device.device_id] = _Job(new, old, None, wanting)
            self._wanting += len(wanting)
        else:
            await self._place_all(new, old)

    async def _place_all(self, new: Branch, old: Branch | None) -> None:
        await self._pace.run(tree.place_all(new, old, self._arrangement))
        await self._swap(new.device_id, old, new)

    async def _swap(self, device_id: str, old: Branch | None, new: Branch | None) -> None:
        changes = await self._pace.run(tree.changes(old, new))
        for _, before, after in changes:
            self._divisions.count(before, after)
            self._count(before, after)
            await self._pace.breathe()
        self._divisions.put(
            device_id,
            old.regions if old is not None else {},
            new.regions if new is not None else {},
        )
        if new is None:
            del self.branches[device_id]
        else:
            self.branches[device_id] = new
        changes += self._settled()
        self._publish(changes)
        # Setting a hundred thousand objects free takes its time as well.
        while changes:
            del changes[-PUBLISHED:]
            await self._pace.breathe()
        if old is not None:
            await self._pace.run(tree.dismantle(old))

    def _settled(self) -> list[tree.Change]:
        """Bring the divisions up to date."""
        changes = self._divisions.settle()
        for _, before, after in changes:
            self._count(before, after)
        return changes

    async def _apply(self, branch: Branch, changed: dict[str, Node | None]) -> bool:
        """Change single items; False if the branch must be built anew."""
        regions = dict(branch.regions)
        touched: dict[Node, None] = {}
        whole = True
        for channel_id, node in changed.items():
            await self._pace.breathe()
            found = tree.patch(branch, channel_id, node, self._arrangement)
            if found is None:
                whole = False
                break
            touched.update(dict.fromkeys(found))
        if branch.regions != regions:
            self._divisions.put(branch.device_id, regions, branch.regions)
        if not whole:
            return False
        # What one change touched, a later one may have taken out or replaced.
        nodes = branch.nodes
        kept = [node for node in touched if nodes.get(node.channel.channel_id) is node]
        wanting = await self._find_codes(branch, kept)
        if wanting:
            self._jobs[branch.device_id] = _Job(branch, branch, kept, wanting)
            self._wanting += len(wanting)
        else:
            await self._place_some(branch, kept)
        return True

    async def _place_some(self, branch: Branch, touched: Iterable[Node]) -> None:
        while branch.gone:
            part = [branch.gone.pop(key) for key in list(islice(branch.gone, PUBLISHED))]
            self._publish_moves(branch, [(placed, None) for placed in part])
            await self._pace.breathe()
        moves: list[_Move] = []
        for node in tree.in_order(touched):
            if node is not None:
                moves.append(self._place(node))
            else:
                # What has been worked out is published in the same stretch.
                self._publish_moves(branch, moves)
                moves = []
                await self._pace.breathe()
        self._publish_moves(branch, moves)

    def _place(self, node: Node) -> "_Move":
        before, after = node.placed, self._arrangement.place(node)
        if before is not None and after is not None and after.equals(before):
            after = before
        node.placed = after
        return before, after

    def _publish_moves(self, branch: Branch, moves: Iterable["_Move"]) -> None:
        changes: list[tree.Change] = []
        for before, after in moves:
            if before is after:
                continue
            if before is not None and not _same_slot(before, after):
                del branch.buckets[before.rank, before.depth][before.code]
            if after is not None:
                branch.buckets.setdefault((after.rank, after.depth), {})[after.code] = after
            self._divisions.count(before, after)
            self._count(before, after)
            changes += tree.change(before, after)
        changes += self._settled()
        if changes:
            self._publish(changes)

    async def _find_codes(self, branch: Branch, nodes: Iterable[Node]) -> list[Node]:
        """Give everything shown the code it has; returns what has none."""
        wanting: list[Node] = []
        for node in nodes:
            await self._pace.breathe()
            if node.shown:
                node.code = self._codes.get(branch.device_id, node.channel.channel_id)
                if not node.code:
                    wanting.append(node)
        return wanting

    async def _give_codes(self) -> None:
        """Give codes to what wants them; what cannot be written down is not shown yet."""
        try:
            for job in self._jobs.values():
                for node in job.wanting:
                    await self._pace.breathe()
                    self._assign(node)
            await self._codes.save()
        except Unavailable as exc:
            self.unsaved.update(self._jobs)
            log.warning("codes_not_stored", count=self._wanting, detail=exc.detail)
        for job in self._jobs.values():
            for node in job.wanting:
                await self._pace.breathe()
                node.code = self._codes.get(job.branch.device_id, node.channel.channel_id)

    def _assign(self, node: Node) -> None:
        try:
            self._codes.assign(node.channel)
        except Unavailable as exc:
            self.unsaved.add(node.channel.device_id)
            log.error("codes_exhausted", device_id=node.channel.device_id, detail=exc.detail)  # noqa: TRY400 - no trace needed


def _same_slot(before: Placed, after: Placed | None) -> bool:
    """Whether an item keeps its place in the order."""
    return after is not None and (before.rank, before.depth, before.code) == (
        after.rank,
        after.depth,
        after.code,
    )


_Move = tuple[Placed | None, Placed | None]


def _same_groups(branch: Branch, channels: Iterable[Channel]) -> Generator[None, None, bool]:
    """Whether groups and organisations hang together as before: rules may mean all that is below one."""
    before = {
        key: (node.channel.parent_ids, node.channel.business_group_id)
        for key, node in branch.groups.items()
    }
    for number, channel in enumerate(channels):
        if number % PUBLISHED == 0:
            yield
        if channel.kind in _GROUPS:
            links = (channel.parent_ids, channel.business_group_id)
            if before.pop(channel.channel_id, None) != links:
                return False
    return not before


_GROUPS: Final = frozenset({ChannelKind.GROUP, ChannelKind.ORGANISATION})
