"""Nodes of our own that an operator arranges a platform's catalogue by (protocol 8.4)."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from gateway.cascade.catalog.item import Placed, Rank
from gateway.cascade.catalog.node import Node, Verdict
from gateway.domain.device import Channel, ChannelKind
from gateway.domain.platform import TreeNode
from gateway.domain.selector import ChannelFacts, ChannelSelector
from gb28181.ids import DeviceId, is_region_code

__all__ = ["OwnTree"]

_KINDS: Final = {215: ChannelKind.GROUP, 216: ChannelKind.ORGANISATION}
_RANKS: Final = {
    ChannelKind.REGION: Rank.DIVISION,
    ChannelKind.GROUP: Rank.GROUP,
    ChannelKind.ORGANISATION: Rank.ORGANISATION,
}


class OwnTree:
    """The nodes, and which channels are put below which.

    Args:
        nodes: As configured; one that is none, or lies in a circle, hangs directly below our platform.
        local_id: Our code.
        reserved: Codes that no node may have.
        facts: Works out what selectors look at.
    """

    def __init__(
        self,
        nodes: Iterable[TreeNode],
        local_id: str,
        *,
        reserved: Iterable[str],
        facts: Callable[[Channel], ChannelFacts],
    ) -> None:
        self.nodes: dict[str, Node] = {}
        """By code, parents before children."""
        self._local_id = local_id
        self._facts = facts
        self._index = _SelectorIndex()
        taken = set(reserved)
        wanted: dict[str, TreeNode] = {}
        for node in nodes:
            if node.node_id not in taken and _kind(node.node_id) is not None:
                wanted.setdefault(node.node_id, node)
        for node in wanted.values():
            self._add(node, wanted)
        for order, node in enumerate(wanted.values()):
            if node.select is not None:
                self._index.add(order, self.nodes[node.node_id], node.select)

    def placed(self) -> Iterator[tuple[str, Placed]]:
        """Yield what is published of each, by code."""
        for code, node in self.nodes.items():
            if node.placed is not None:
                yield code, node.placed

    def select(self, channel: Channel) -> tuple[Node, ...]:
        """Return the nodes a channel is put below, in the order of the configuration."""
        if self._index.is_empty:
            return ()
        return self._index.select(self._facts(channel), rank_is_usual=_is_usual(channel.kind))

    def _add(self, wanted: TreeNode, all_wanted: dict[str, TreeNode]) -> None:
        """Make a node, and first those above it."""
        chain = [wanted]
        while True:
            parent = all_wanted.get(chain[-1].parent_id)
            if parent is None or parent.node_id in self.nodes or parent in chain:
                break
            chain.append(parent)
        for node in reversed(chain):
            if node.node_id not in self.nodes:
                self.nodes[node.node_id] = self._make(node)

    def _make(self, wanted: TreeNode) -> Node:
        kind = _kind(wanted.node_id)
        assert kind is not None
        parent = self.nodes.get(wanted.parent_id)
        above = parent.placed if parent is not None else None
        rank = _RANKS[kind]
        parents: tuple[str, ...] = ()
        group, civil_code, depth = "", "", 0
        if rank is Rank.DIVISION:
            depth = len(wanted.node_id) // 2
        elif rank is Rank.GROUP:
            parents = (self._local_id,)
            civil_code = above.code if above is not None and above.rank is Rank.DIVISION else ""
        elif above is None:
            parents = (self._local_id,)
        elif above.rank is Rank.GROUP:
            # ParentID is absent where the parent is the group (protocol 4.9.1).
            group = above.code
        else:
            parents, group = (above.code,), above.group
            depth = above.depth + 1 if above.rank is rank else 0
        channel = Channel(
            device_id="",
            channel_id=wanted.node_id,
            kind=kind,
            name=wanted.name,
            civil_code=civil_code,
        )
        placed = Placed(
            channel=channel,
            code=wanted.node_id,
            rank=rank,
            depth=depth,
            parents=parents,
            group=group,
        )
        return Node(
            channel, rank, Verdict.SHOWN, eligible=True, shown=True, code=placed.code, placed=placed
        )


def _kind(code: str) -> ChannelKind | None:
    if is_region_code(code):
        return ChannelKind.REGION
    return _KINDS.get(DeviceId(code).type_code or 0)


def _is_usual(kind: ChannelKind) -> bool:
    """Whether a selector that names no kinds means such items."""
    return kind not in {ChannelKind.PLATFORM, ChannelKind.DEVICE}


class _SelectorIndex:
    """Finds the selectors that mean a channel without asking all of them: a county has thousands of nodes."""

    def __init__(self) -> None:
        self.is_empty = True
        self._by_channel: dict[str, list[_Entry]] = {}
        self._by_device: dict[str, list[_Entry]] = {}
        self._by_group: dict[str, list[_Entry]] = {}
        self._by_division: dict[str, list[_Entry]] = {}
        self._by_grassroots: dict[str, list[_Entry]] = {}
        self._others: list[_Entry] = []

    def add(self, order: int, node: Node, selector: ChannelSelector) -> None:
        """Add a selector."""
        self.is_empty = False
        entry = (order, node, selector)
        for table, keys in (
            (self._by_channel, selector.channels),
            (self._by_device, selector.devices),
            (self._by_group, selector.groups),
            (self._by_division, selector.civil_codes),
            (self._by_grassroots, selector.grassroots),
        ):
            if keys:
                for key in keys:
                    table.setdefault(key, []).append(entry)
                return
        self._others.append(entry)

    def select(self, facts: ChannelFacts, *, rank_is_usual: bool) -> tuple[Node, ...]:
        """Return the nodes whose selector means a channel, in the order they were added."""
        found: dict[int, Node] = {}
        for order, node, selector in self._candidates(facts):
            if order in found or not (rank_is_usual or selector.kinds):
                continue
            if selector.matches(facts):
                found[order] = node
        return tuple(node for _, node in sorted(found.items()))

    def _candidates(self, facts: ChannelFacts) -> "Iterable[_Entry]":
        yield from self._others
        yield from self._by_channel.get(facts.channel_id, ())
        yield from self._by_channel.get(f"{facts.device_id}/{facts.channel_id}", ())
        yield from self._by_device.get(facts.device_id, ())
        for group in facts.groups:
            yield from self._by_group.get(group, ())
        for table, value in (
            (self._by_division, facts.civil_code),
            (self._by_grassroots, facts.grassroots_code),
        ):
            if table:
                for length in range(len(value) + 1):
                    yield from table.get(value[:length], ())


_Entry = tuple[int, Node, ChannelSelector]
