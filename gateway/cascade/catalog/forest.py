"""The branches of all devices as one platform sees them, and how each is brought up to date."""

from collections.abc import Callable, Collection, Iterable, Sequence
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

log = structlog.get_logger()

Publish = Callable[[Sequence[tree.Change]], None]


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
        branch = self.branches.get(device_id)
        device = self._directory.get(device_id)
        if branch is None or device is None or branch.epoch == epoch:
            return
        changed: dict[str, Node | None] = {}
        for channel_id, node in tuple(branch.nodes.items()):
            await self._pace.breathe()
            new = self._node(node.channel)
            if new.verdict is not node.verdict or new.obligations != node.obligations:
                changed[channel_id] = new
        many = len(changed) > max(MANY, len(branch.nodes) // 4)
        if not many and await self._apply(branch, changed):
            branch.epoch = epoch
        else:
            await self._build(device, epoch, fresh=True)

    # Inside

    def _node(self, channel: Channel) -> Node:
        return Node(channel, rank_of(channel.kind), *self._judge(channel))

    async def _build(self, device: Device, epoch: int, *, fresh: bool) -> None:
        old = self.branches.get(device.device_id)
        channels = list(self._directory.channels(device.device_id))
        judge = self._judge
        if old is not None and not fresh and _same_groups(old, channels):
            known = old.nodes

            def judge(channel: Channel) -> tree.Judgement:
                node = known.get(channel.channel_id)
                if node is not None and node.channel is channel:
                    return node.verdict, node.obligations
                return self._judge(channel)

        new = await self._pace.run(tree.build(device, channels, judge, self._arrangement))
        new.epoch = epoch
        await self._give_codes(device.device_id, new.nodes.values())
        await self._pace.run(tree.place_all(new, old, self._arrangement))
        await self._swap(device.device_id, old, new)

    async def _swap(self, device_id: str, old: Branch | None, new: Branch | None) -> None:
        changes = await self._pace.run(tree.changes(old, new))
        for _, before, after in changes:
            self._divisions.count(before, after)
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
        self._publish([*changes, *self._divisions.settle()])

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
        touched = {n: None for n in touched if nodes.get(n.channel.channel_id) is n}
        await self._give_codes(branch.device_id, touched)
        self._publish_moves(branch, [(placed, None) for placed in branch.gone.values()])
        branch.gone.clear()
        moves: list[_Move] = []
        for node in tree.in_order(touched):
            if node is not None:
                moves.append(self._place(node))
            elif len(moves) >= PUBLISHED:
                # What has been worked out is published in the same stretch.
                self._publish_moves(branch, moves)
                moves = []
                await self._pace.breathe()
        self._publish_moves(branch, moves)
        return True

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
            changes += tree.change(before, after)
        changes += self._divisions.settle()
        if changes:
            self._publish(changes)

    async def _give_codes(self, device_id: str, nodes: Iterable[Node]) -> None:
        """Give a code to everything shown; what cannot be written down is not shown yet."""
        wanting: list[Node] = []
        for node in nodes:
            await self._pace.breathe()
            if not node.shown:
                continue
            node.code = self._codes.get(device_id, node.channel.channel_id)
            if not node.code:
                wanting.append(node)
        if not wanting:
            return
        try:
            for node in wanting:
                await self._pace.breathe()
                self._codes.assign(node.channel)
            await self._codes.save()
        except Unavailable as exc:
            self.unsaved.add(device_id)
            log.warning("codes_not_stored", device_id=device_id, detail=exc.detail)
        for node in wanting:
            node.code = self._codes.get(device_id, node.channel.channel_id)


def _same_slot(before: Placed, after: Placed | None) -> bool:
    """Whether an item keeps its place in the order."""
    return after is not None and (before.rank, before.depth, before.code) == (
        after.rank,
        after.depth,
        after.code,
    )


_Move = tuple[Placed | None, Placed | None]


def _same_groups(branch: Branch, channels: Iterable[Channel]) -> bool:
    """Whether groups and organisations hang together as before: rules may mean all that is below one."""
    now = {
        channel.channel_id: (channel.parent_ids, channel.business_group_id)
        for channel in channels
        if channel.kind in _GROUPS
    }
    before = {
        key: (node.channel.parent_ids, node.channel.business_group_id)
        for key, node in branch.groups.items()
    }
    return now == before


_GROUPS: Final = frozenset({ChannelKind.GROUP, ChannelKind.ORGANISATION})
