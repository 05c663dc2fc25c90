"""A device's items put in order: built whole in steps, or changed item by item where nothing else depends on it.

Everything here is synchronous and pure. What may take long is a generator that yields often, so that its driver
can let others have their turn.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from operator import itemgetter
from typing import Any, Final, TypeVar

from gateway.cascade.catalog.arrangement import Arrangement, marks_of
from gateway.cascade.catalog.item import Placed, Rank, rank_of
from gateway.cascade.catalog.node import Branch, Node, Verdict, device_channel
from gateway.domain.device import Channel, Device
from gateway.domain.policy import Obligations

__all__ = [
    "MAX_LEVELS",
    "Change",
    "Judge",
    "Judgement",
    "build",
    "change",
    "changes",
    "dismantle",
    "in_order",
    "patch",
    "place_all",
]

MAX_LEVELS: Final = 32
"""Items of one rank above each other; what claims to lie deeper hangs higher. Real trees have under ten."""

_STEP: Final = 32
"""Items between two yields."""

Judgement = tuple[Verdict, Obligations]
Judge = Callable[[Channel], Judgement]
Change = tuple[str, Placed | None, Placed | None]
"""A code, and what was and is published under it; None: nothing."""
Steps = Generator[None, None, None]
_T = TypeVar("_T")


def build(
    device: Device, channels: Iterable[Channel], judge: Judge, arrangement: Arrangement
) -> Generator[None, None, Branch]:
    """Make the branch of a device, with everything but codes and places."""
    listed: dict[str, Channel] = {}
    for found in _stepped(channels):
        if found is None:
            yield
        else:
            listed[found.channel_id] = found
    own = listed.get(device.device_id)
    channel = own if own is not None else device_channel(device)
    head = Node(channel, rank_of(channel.kind), *judge(channel))
    branch = Branch(device.device_id, device.online, head, head_listed=own is not None)
    branch.nodes[device.device_id] = head
    for each in _stepped(listed.values()):
        if each is None:
            yield
        elif each is not own:
            node = Node(each, rank_of(each.kind), *judge(each))
            branch.nodes[each.channel_id] = node
            if node.rank is Rank.DIVISION:
                branch.regions[each.channel_id] = node
            elif node.rank in {Rank.GROUP, Rank.ORGANISATION}:
                branch.groups[each.channel_id] = node
    for linked in _stepped(branch.nodes.values()):
        if linked is None:
            yield
        else:
            arrangement.link(branch, linked)
    yield from _level(branch, arrangement)
    yield from _settle(branch, arrangement)
    return branch


def place_all(branch: Branch, old: Branch | None, arrangement: Arrangement) -> Steps:
    """Work out what is published of a branch whose items have their codes; equal places stay the same objects."""
    branch.buckets.clear()
    for node in in_order(branch.nodes.values()):
        if node is None:
            yield
            continue
        before = old.nodes.get(node.channel.channel_id) if old is not None else None
        placed = arrangement.place(node)
        if placed is not None:
            if before is not None and before.placed is not None and placed.equals(before.placed):
                placed = before.placed
            branch.buckets.setdefault((placed.rank, placed.depth), {})[placed.code] = placed
        node.placed = placed


def changes(old: Branch | None, new: Branch | None) -> Generator[None, None, list[Change]]:
    """Compare what two states of a branch publish."""
    before: dict[str, Placed] = {} if old is None else dict(old.gone)
    for node in _stepped(old.nodes.values() if old is not None else ()):
        if node is None:
            yield
        elif node.placed is not None:
            before[node.channel.channel_id] = node.placed
    found: list[Change] = []
    for node in _stepped(new.nodes.values() if new is not None else ()):
        if node is None:
            yield
            continue
        placed = before.pop(node.channel.channel_id, None)
        if placed is not node.placed:
            found += change(placed, node.placed)
    for placed in _stepped(before.values()):
        if placed is None:
            yield
        else:
            found.append((placed.code, placed, None))
    return found


def change(old: Placed | None, new: Placed | None) -> list[Change]:
    """Return what the change of one item is to the platform; an item with another code is another one."""
    if old is not None and new is not None and old.code != new.code:
        return [(old.code, old, None), (new.code, None, new)]
    code = old.code if old is not None else "" if new is None else new.code
    return [(code, old, new)] if code else []


def dismantle(branch: Branch) -> Steps:
    """Take a branch that is no more apart: its items refer to each other, and would stay for very long."""
    for node in _stepped(list(branch.nodes.values())):
        if node is None:
            yield
            continue
        node.above, node.orgs, node.group = (), (), None
        if node.below:
            yield from _empty(node.below)
    yield from _empty(branch.nodes)
    for bucket in branch.buckets.values():
        yield from _empty(bucket)


def patch(
    branch: Branch, channel_id: str, new: Node | None, arrangement: Arrangement
) -> list[Node] | None:
    """Put one item in, take it out, or change it, where the rest of the branch stays as it is.

    Args:
        branch: The branch.
        channel_id: Which item.
        new: The item with its verdict, not linked; None: it is gone.
        arrangement: The rules.

    Returns:
        The items to place anew; None if the branch must be built again, in which case nothing was changed.
    """
    old = branch.nodes.get(channel_id)
    if channel_id == branch.device_id:
        return None
    if all(node is None or node.rank is Rank.DIVISION for node in (old, new)):
        _put_region(branch, channel_id, new)
        return []
    if channel_id in branch.tied or (old is None and channel_id in branch.missing):
        return None
    leaf = all(node is None or node.rank is Rank.CHANNEL for node in (old, new))
    if leaf and (old is None or not old.below):
        return _patch_leaf(branch, old, new, arrangement)
    if old is None or new is None or not _same_links(old, new, arrangement):
        return None
    return _update(branch, old, new, arrangement)


# Building


def _level(branch: Branch, arrangement: Arrangement) -> Steps:
    """Count how many of the same rank lie above each item; circles are cut, and what lies too deep."""
    while True:
        nested: dict[Node, list[Node]] = {}
        for node in _stepped(branch.nodes.values()):
            if node is None:
                yield
            elif parents := _same_rank(node):
                nested[node] = parents
        order = yield from _parents_first(nested)
        if len(order) == len(nested):
            break
        left = nested.keys() - set(order)
        for node, inside in _knots({node: nested[node] for node in nested if node in left}):
            # All links inside go: which of them was wrong nobody can tell.
            arrangement.cut(branch, node, inside)
    for number, node in enumerate(order):
        if number % _STEP == 0:
            yield
        node.level = _level_of(node)
        if node.level > MAX_LEVELS and node.rank is not Rank.PLATFORM:
            arrangement.cut(branch, node, _same_rank(node))
            node.level = 0


def _parents_first(nested: dict[Node, list[Node]]) -> Generator[None, None, list[Node]]:
    """Return the items in an order in which parents come first, without those in or below circles."""
    children: dict[Node, list[Node]] = {}
    missing: dict[Node, int] = {}
    ready: list[Node] = []
    for number, (node, parents) in enumerate(nested.items()):
        if number % _STEP == 0:
            yield
        above = [parent for parent in parents if parent in nested]
        missing[node] = len(above)
        for parent in above:
            children.setdefault(parent, []).append(node)
        if not above:
            ready.append(node)
    # Grows while it is read.
    for number, node in enumerate(ready):
        if number % _STEP == 0:
            yield
        for child in children.get(node, ()):
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)
    return ready


def _knots(nested: dict[Node, list[Node]]) -> list[tuple[Node, list[Node]]]:
    """Return the items of circles, and of paths between two, each with its parents among them."""
    children = dict.fromkeys(nested, 0)
    for parents in nested.values():
        for parent in parents:
            if parent in children:
                children[parent] += 1
    ready = [node for node, count in children.items() if not count]
    for node in ready:
        for parent in nested[node]:
            if parent in children:
                children[parent] -= 1
                if not children[parent]:
                    ready.append(parent)
    kept = nested.keys() - set(ready)
    return [
        (node, [parent for parent in parents if parent in kept])
        for node, parents in nested.items()
        if node in kept
    ]


def _settle(branch: Branch, arrangement: Arrangement) -> Steps:
    """Work out what follows from above, then what is shown, which follows from below."""
    order: list[Node] = []
    for node in in_order(branch.nodes.values()):
        if node is None:
            yield
            continue
        arrangement.examine(branch, node)
        _hang(node)
        order.append(node)
    for node in _stepped(reversed(order)):
        if node is None:
            yield
            continue
        node.shown = arrangement.shows(node, node.support)
        if node.shown:
            for parent in node.links():
                parent.support += 1


def in_order(nodes: Iterable[Node]) -> Iterator[Node | None]:
    """Yield items, parents first, and None now and then."""
    steps: dict[tuple[int, int], list[Node]] = {}
    for node in _stepped(nodes):
        if node is None:
            yield None
        else:
            steps.setdefault((node.rank, node.level), []).append(node)
    for _, step in sorted(steps.items(), key=itemgetter(0)):
        yield from _stepped(step)


def _empty(table: dict[Any, Any]) -> Steps:
    while table:
        for _ in range(min(_STEP, len(table))):
            table.popitem()
        yield


def _stepped(items: Iterable[_T]) -> Iterator[_T | None]:
    """Yield the items, and None now and then, for others to have their turn."""
    for number, item in enumerate(items, start=1):
        if number % _STEP == 0:
            yield None
        yield item


def _same_rank(node: Node) -> list[Node]:
    return [parent for parent in node.links() if parent.rank is node.rank]


def _level_of(node: Node) -> int:
    return max((parent.level + 1 for parent in _same_rank(node)), default=0)


def _hang(node: Node) -> None:
    for parent in node.links():
        if parent.below is None:
            parent.below = {}
        parent.below[node] = None


# Changing


def _patch_leaf(
    branch: Branch, old: Node | None, new: Node | None, arrangement: Arrangement
) -> list[Node] | None:
    """Replace an item that nothing hangs below."""
    if new is not None:
        arrangement.link(branch, new)
        new.level = _level_of(new)
        if new.level > MAX_LEVELS:
            return None
        arrangement.examine(branch, new)
        new.shown = arrangement.shows(new, 0)
    support = _support_moves(old, new)
    if any(arrangement.shows(p, p.support + delta) is not p.shown for p, delta in support.items()):
        return None
    for parent, delta in support.items():
        parent.support += delta
    if old is not None:
        _take_out(branch, old)
    if new is None:
        if old is not None and old.placed is not None:
            branch.gone[old.channel.channel_id] = old.placed
        return []
    if old is not None:
        new.placed = old.placed
    _hang(new)
    branch.nodes[new.channel.channel_id] = new
    return [new]


def _support_moves(old: Node | None, new: Node | None) -> dict[Node, int]:
    """Return by how much more items below are shown, for each item above."""
    moves: dict[Node, int] = {}
    for node, delta in ((old, -1), (new, 1)):
        for parent in node.links() if node is not None and node.shown else ():
            moves[parent] = moves.get(parent, 0) + delta
    return moves


def _take_out(branch: Branch, node: Node) -> None:
    for parent in node.links():
        if parent.below is not None:
            parent.below.pop(node, None)
    del branch.nodes[node.channel.channel_id]


def _update(branch: Branch, node: Node, new: Node, arrangement: Arrangement) -> list[Node]:
    """Change what an item says of itself, and with it the status of what is below."""
    node.channel, node.obligations = new.channel, new.obligations
    touched, waiting = [node], [node]
    while waiting:
        changed = waiting.pop()
        online = changed.online
        arrangement.examine(branch, changed)
        if changed.online is online:
            continue
        if changed is not node:
            touched.append(changed)
        waiting.extend(changed.below or ())
    return touched


def _same_links(old: Node, new: Node, arrangement: Arrangement) -> bool:
    before, after = old.channel, new.channel
    return (
        old.rank is new.rank
        and old.verdict is new.verdict
        and before.parent_ids == after.parent_ids
        and before.business_group_id == after.business_group_id
        and arrangement.is_loop(before) is arrangement.is_loop(after)
        and marks_of(before) == marks_of(after)
        and arrangement.own_above(old) == arrangement.select(new)
    )


def _put_region(branch: Branch, channel_id: str, new: Node | None) -> None:
    """Divisions hang below nothing, and nothing below them: CivilCode is the only link."""
    if new is None:
        branch.nodes.pop(channel_id, None)
        branch.regions.pop(channel_id, None)
    else:
        branch.nodes[channel_id] = branch.regions[channel_id] = new
