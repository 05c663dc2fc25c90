"""How one platform's catalogue is arranged: kept as the lower levels have it, by division, or by our own nodes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from gateway.cascade.catalog.item import Placed, Rank
from gateway.cascade.catalog.loop_mark import ROUTE_MARKS, carries, marks_in
from gateway.cascade.catalog.node import Branch, Node, Verdict
from gateway.cascade.catalog.own_tree import OwnTree
from gateway.domain.device import Channel, ChannelKind
from gateway.domain.platform import Edition, PlatformConfig, TreeMode

__all__ = ["MAX_PLATFORMS", "Arrangement", "marks_of"]

MAX_PLATFORMS: Final = 8
"""Platforms above each other below us; a village is the fifth below the ministry. What lies deeper is dropped, not
hung higher: without a mark of ours (a platform that rewrites models) it is how a ring of platforms looks."""

Edges = Callable[[Node], tuple[Node, ...]]

_USED: Final = frozenset({Rank.PLATFORM, Rank.DEVICE, Rank.CHANNEL})
"""What can be put below nodes of our own."""


class Arrangement:
    """The rules for one platform; pure functions of what hangs above or below an item.

    Args:
        config: The platform.
        local_id: Our code there.
        loops: Codes under which no platform may come up from below: our own ones, and the platform's.
        own: Nodes of our own tree.
        mark: What our own platform carries, under whatever code it comes back.
    """

    def __init__(
        self,
        config: PlatformConfig,
        local_id: str,
        *,
        loops: Iterable[str],
        own: OwnTree,
        mark: str = "",
    ) -> None:
        self.local_id = local_id
        self.loops = frozenset(loops)
        self._tree = config.tree
        self._own = own
        self._mark = mark
        # Divisions, groups and organisations came with 2014; an operator's own tree is sent as it is.
        self.has_groups = config.edition is not Edition.V2011

    def link(self, branch: Branch, node: Node) -> None:
        """Find what an item hangs below, as far as the same catalogue has it."""
        above: dict[Node, None] = {}
        orgs: dict[Node, None] = {}
        if node is not branch.head and node.rank is not Rank.DIVISION:
            for parent_id in node.channel.parent_ids:
                parent = branch.nodes.get(parent_id)
                if parent is None:
                    branch.missing.add(parent_id)
                elif parent is node or parent.rank > node.rank or parent.rank is Rank.DIVISION:
                    continue
                elif parent.rank in {Rank.GROUP, Rank.ORGANISATION}:
                    orgs[parent] = None
                else:
                    above[parent] = None
        if self._tree is TreeMode.KEPT:
            # A group lies below its system only (protocol 4.9.1).
            node.orgs = tuple(orgs) if node.rank >= Rank.ORGANISATION else ()
            node.group = self._group(branch, node)
        else:
            node.group = None
            node.orgs = self.select(node)
        node.above = tuple(above)
        self._hang_somewhere(branch, node)

    def is_loop(self, channel: Channel) -> bool:
        """Whether an item is ourselves, or the platform, come up from below, or came through us before."""
        route = channel.extra.get(ROUTE_MARKS)
        if route and (carries(route, self._mark) or len(marks_in(route)) >= MAX_PLATFORMS):
            return True
        return channel.kind is ChannelKind.PLATFORM and (
            channel.channel_id in self.loops or carries(channel.model, self._mark)
        )

    def select(self, node: Node) -> tuple[Node, ...]:
        """Return the nodes of our own tree that an item is put below."""
        return self._own.select(node.channel) if node.rank in _USED else ()

    def own_above(self, node: Node) -> tuple[Node, ...]:
        """Return those that it has been put below."""
        return tuple(each for each in node.orgs if not each.channel.device_id)

    def cut(self, branch: Branch, node: Node, parents: Iterable[Node]) -> None:
        """Take away links that make a circle or too deep a tree."""
        gone = set(parents)
        branch.tied.add(node.channel.channel_id)
        branch.tied.update(parent.channel.channel_id for parent in gone)
        node.above = tuple(parent for parent in node.above if parent not in gone)
        node.orgs = tuple(parent for parent in node.orgs if parent not in gone)
        if branch.head not in gone:
            self._hang_somewhere(branch, node)

    def examine(self, branch: Branch, node: Node) -> None:
        """Work out what follows from the items above: loops, the effective status, whether there is a place."""
        channel = node.channel
        node.looped = (
            self.is_loop(channel)
            or (node.rank is Rank.PLATFORM and node.level > MAX_PLATFORMS)
            or any(parent.looped for parent in node.above)
            or (node.rank is Rank.ORGANISATION and any(each.looped for each in node.links()))
        )
        node.online = (
            channel.online and branch.online and all(parent.online for parent in node.above)
        )
        node.eligible = not node.looped and self._has_place(branch, node)

    def shows(self, node: Node, support: int) -> bool:
        """Whether an item is shown, given how many of those below it are."""
        if not node.eligible or node.verdict is Verdict.HIDDEN:
            return False
        if node.verdict is Verdict.SHOWN:
            return True
        return node.rank is not Rank.CHANNEL and support > 0

    def place(self, node: Node) -> Placed | None:
        """Return what the platform sees of an item; everything above it has been placed before."""
        if not node.visible:
            return None
        parents, group = self._kept(node) if self._tree is TreeMode.KEPT else self._owned(node)
        return Placed(
            channel=node.channel,
            code=node.code,
            rank=node.rank,
            depth=_depth(node),
            parents=tuple(dict.fromkeys(parents)),
            group=group,
            online=None if node.rank in {Rank.GROUP, Rank.ORGANISATION} else node.online,
            obligations=node.obligations,
            route_marks=_route_marks(node),
        )

    # Inside

    def _group(self, branch: Branch, node: Node) -> Node | None:
        if node.rank < Rank.ORGANISATION or node is branch.head:
            return None
        group = branch.nodes.get(node.channel.business_group_id)
        if group is None:
            if node.channel.business_group_id:
                branch.missing.add(node.channel.business_group_id)
            return None
        return group if group.rank is Rank.GROUP else None

    def _hang_somewhere(self, branch: Branch, node: Node) -> None:
        """Give an item without a system or device above it to the one it came from (2022 H.2.1)."""
        head = branch.head
        if node.above or node is head or node.rank is Rank.DIVISION or head.rank > node.rank:
            return
        if node.rank is Rank.ORGANISATION and (node.orgs or node.group):
            return
        if head.rank is Rank.PLATFORM:
            # Our own code as parent is not kept by the registry. Where a lower platform lists us below itself,
            # what it lists without a parent came from us.
            ours = branch.nodes.get(self.local_id)
            if ours is not None and ours is not node and ours.rank is Rank.PLATFORM:
                node.above = (ours,)
                return
        node.above = (head,)

    def _has_place(self, branch: Branch, node: Node) -> bool:
        if node.rank is Rank.DIVISION:
            return False
        if node is branch.head and not branch.head_listed and node.rank is Rank.CHANNEL:
            # A camera that registers under one code and lists itself under another: the other is the item.
            return False
        if self._tree is TreeMode.KEPT:
            return self.has_groups or node.rank not in {Rank.GROUP, Rank.ORGANISATION}
        if self._tree is TreeMode.DIVISION:
            return node.rank is Rank.CHANNEL
        return bool(node.orgs) or any(
            parent.rank is Rank.CHANNEL and parent.eligible and parent.verdict is Verdict.SHOWN
            for parent in node.above
        )

    def _kept(self, node: Node) -> tuple[list[str], str]:
        group = node.group.code if node.group is not None and node.group.visible else ""
        physical = [each.code for each in _nearest(node, _above)]
        if node.rank < Rank.ORGANISATION:
            return physical or [self.local_id], group
        named = _nearest(node, _in)
        # BusinessGroupID says it already.
        virtual = [e.code for e in named if e is not node.group or e in node.orgs]
        if node.rank > Rank.ORGANISATION:
            return [*(physical or [self.local_id]), *virtual], group
        if named:
            return virtual, group
        return [each.code for each in _nearest(node, _any)] or [self.local_id], group

    def _owned(self, node: Node) -> tuple[list[str], str]:
        parents = [each.code for each in _nearest(node, _above)] or [self.local_id]
        group = ""
        civil_code = node.channel.civil_code
        # A system lies below systems only.
        for own in node.orgs if node.rank is not Rank.PLATFORM else ():
            assert own.placed is not None
            if own.rank is Rank.ORGANISATION or (
                own.rank is Rank.DIVISION and not civil_code.startswith(own.code)
            ):
                parents.append(own.code)
            group = group or (own.code if own.rank is Rank.GROUP else own.placed.group)
        return parents, group


def _above(node: Node) -> tuple[Node, ...]:
    return node.above


def _in(node: Node) -> tuple[Node, ...]:
    if node.orgs or node.group is None or node.rank is not Rank.ORGANISATION:
        return node.orgs
    return (node.group,)


def _any(node: Node) -> tuple[Node, ...]:
    return tuple(node.links())


def _nearest(node: Node, edges: Edges) -> list[Node]:
    """Return the nearest items above that are in the catalogue, in the order they are named."""
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    waiting: list[Iterator[Node]] = [iter(edges(node))]
    while waiting:
        parent = next(waiting[-1], None)
        if parent is None:
            waiting.pop()
        elif parent.visible:
            found[parent] = None
        elif parent not in seen:
            seen.add(parent)
            waiting.append(iter(edges(parent)))
    return list(found)


def _route_marks(node: Node) -> str:
    """Return the marks of the platforms above an item that the catalogue leaves out, nearest last."""
    marks = marks_in(node.channel.extra.get(ROUTE_MARKS, ""))
    waiting, seen = list(node.above), set[Node]()
    while waiting:
        parent = waiting.pop()
        if parent.visible or parent in seen:
            continue
        seen.add(parent)
        marks += marks_of(parent.channel)
        waiting += parent.above
    return "".join(dict.fromkeys(marks))


def marks_of(channel: Channel) -> list[str]:
    """Return the marks that an item hands down where it is left out: those on its way here, and its own."""
    marks = marks_in(channel.extra.get(ROUTE_MARKS, ""))
    return marks + marks_in(channel.model) if channel.kind is ChannelKind.PLATFORM else marks


def _depth(node: Node) -> int:
    same = (
        each.placed.depth + 1
        for edges in (_above, _in)
        for each in _nearest(node, edges)
        if each.rank is node.rank and each.placed is not None
    )
    return max(same, default=0)
