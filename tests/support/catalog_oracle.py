"""What a platform's catalogue must be, worked out plainly: everything anew, by closures, with no regard to speed."""

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.domain.device import Channel, ChannelKind
from gateway.domain.platform import Edition, PlatformConfig, TreeMode
from gateway.domain.policy import Decision, Obligations
from gateway.domain.selector import facts_of
from gateway.signalling.convert import channel_kind
from tests.support.catalog_world import World

__all__ = ["Expected", "expect"]

RANKS = {
    ChannelKind.PLATFORM: 1,
    ChannelKind.REGION: 2,
    ChannelKind.GROUP: 3,
    ChannelKind.ORGANISATION: 4,
    ChannelKind.DEVICE: 5,
}
UNDECIDED = {"no_rule", "not_yet_valid", "expired", "outside_window"}

Code = Callable[[str, str], str]


@dataclass
class Expected:
    """One item."""

    channel: Channel
    parents: frozenset[str] = frozenset()
    group: str = ""
    status: str = ""
    obligations: Obligations = field(default_factory=Obligations)


class _Item:
    def __init__(self, channel: Channel, decision: Decision) -> None:
        self.channel = channel
        self.id = channel.channel_id
        self.rank = RANKS.get(channel.kind, 6)
        self.decision = decision
        self.physical: set[str] = set()
        self.virtual: set[str] = set()
        self.group = ""


def expect(
    world: World,
    config: PlatformConfig,
    local_id: str,
    rule: Callable[[Channel], Decision],
    code: Code,
) -> dict[str, Expected]:
    """Return the items of a catalogue by code.

    Args:
        world: What there is below.
        config: The platform.
        local_id: Our code.
        rule: What policy says.
        code: Returns the code an item was given.
    """
    own = Channel(device_id="", channel_id=local_id, kind=ChannelKind.PLATFORM)
    found = {local_id: Expected(own, status="ON")}
    nodes = _own_nodes(config, local_id) if config.tree is TreeMode.CUSTOM else {}
    found.update({key: expected for key, (expected, _) in nodes.items()})
    regions: dict[str, list[_Item]] = {}
    for device_id in world.by_id:
        if device_id in {local_id, config.platform_id}:
            continue
        tree = _Tree(
            world, config, local_id, rule=rule, code=code, device_id=device_id, nodes=nodes
        )
        found.update(tree.expected())
        for item in tree.items.values():
            if item.rank == 2:
                regions.setdefault(item.id, []).append(item)
    lying = [e.channel.civil_code for e in found.values() if e.channel.device_id and e.status]
    found.update(_divisions(config, local_id, regions, lying))
    return found


class _Tree:
    """One device."""

    def __init__(
        self,
        world: World,
        config: PlatformConfig,
        local_id: str,
        *,
        rule: Callable[[Channel], Decision],
        code: Code,
        device_id: str,
        nodes: "dict[str, tuple[Expected, int]]",
    ) -> None:
        self.config, self.local_id, self.code, self.nodes = config, local_id, code, nodes
        self.device = world.by_id[device_id]
        self.head = device_id
        listed = dict(world.listed[device_id])
        self.head_listed = device_id in listed
        if not self.head_listed:
            kind = channel_kind(device_id)
            if kind not in {ChannelKind.DEVICE, ChannelKind.PLATFORM}:
                kind = ChannelKind.OTHER
            division = device_id[:8]
            while division.endswith("00"):
                division = division[:-2]
            listed[device_id] = Channel(
                device_id=device_id,
                channel_id=device_id,
                kind=kind,
                name=self.device.name,
                civil_code=division,
            )
        self.items = {key: _Item(channel, rule(channel)) for key, channel in listed.items()}
        for item in self.items.values():
            self._link(item)
        self._untie()

    def _link(self, item: _Item) -> None:
        if item.id == self.head or item.rank == 2:
            return
        for parent_id in item.channel.parent_ids:
            parent = self.items.get(parent_id)
            if parent is None or parent is item or parent.rank > item.rank or parent.rank == 2:
                continue
            if parent.rank in {3, 4}:
                if item.rank >= 4 and self.config.tree is TreeMode.KEPT:
                    item.virtual.add(parent_id)
            else:
                item.physical.add(parent_id)
        group = self.items.get(item.channel.business_group_id)
        in_group = item.rank >= 4 and group is not None and group.rank == 3
        if in_group and self.config.tree is TreeMode.KEPT:
            item.group = item.channel.business_group_id
        self._default(item)

    def _default(self, item: _Item) -> None:
        head = self.items[self.head]
        if item.physical or item.id == self.head or item.rank == 2 or head.rank > item.rank:
            return
        if item.rank == 4 and (item.virtual or item.group):
            return
        ours = self.items.get(self.local_id)
        if head.rank == 1 and ours is not None and ours is not item and ours.rank == 1:
            item.physical.add(self.local_id)
        else:
            item.physical.add(self.head)

    def _untie(self) -> None:
        """Take away every link between two items that both have a circle above or in them and one below or in them."""

        def same(item: _Item) -> set[str]:
            links = item.physical | item.virtual
            return {key for key in links if self.items[key].rank == item.rank}

        above = {key: same(item) for key, item in self.items.items()}
        changed = True
        while changed:
            changed = False
            for ups in above.values():
                more = {key for up in ups for key in above[up]} - ups
                ups.update(more)
                changed = changed or bool(more)
        circles = {key for key, ups in above.items() if key in ups}
        knots = {
            key
            for key, ups in above.items()
            if (key in circles or ups & circles)
            and (key in circles or any(key in above[each] for each in circles))
        }
        for key in knots:
            item = self.items[key]
            cut = same(item) & knots
            item.physical -= cut
            item.virtual -= cut
            if self.head not in cut:
                self._default(item)

    def _ancestors(self, item: _Item, *, virtual: bool) -> set[str]:
        found: set[str] = set()
        waiting = [item]
        while waiting:
            current = waiting.pop()
            links = set(current.physical)
            if virtual:
                links |= current.virtual | ({current.group} if current.group else set())
            for key in links - found:
                found.add(key)
                waiting.append(self.items[key])
        return found

    def _looped(self, item: _Item) -> bool:
        ids = {item.id} | self._ancestors(item, virtual=item.rank == 4)
        loops = {self.local_id, self.config.platform_id}
        return any(key in loops and self.items[key].rank == 1 for key in ids)

    def _online(self, item: _Item) -> bool:
        chain = [item.id, *self._ancestors(item, virtual=False)]
        return self.device.online and all(self.items[key].channel.online for key in chain)

    def _selected(self, item: _Item) -> list[str]:
        if self.config.tree is not TreeMode.CUSTOM or item.rank not in {1, 5, 6}:
            return []
        facts = facts_of(item.channel)
        return [
            node.node_id
            for node in self.config.nodes
            if node.select is not None
            and node.select.matches(facts)
            and (item.rank == 6 or node.select.kinds)
        ]

    def _eligible(self, item: _Item) -> bool:
        if self._looped(item) or item.rank == 2:
            return False
        if item.id == self.head and not self.head_listed and item.rank == 6:
            return False
        match self.config.tree:
            case TreeMode.KEPT:
                return item.rank not in {3, 4} or self.config.edition is not Edition.V2011
            case TreeMode.DIVISION:
                return item.rank == 6
            case TreeMode.CUSTOM:
                if self._selected(item):
                    return True
                return any(
                    self.items[key].rank == 6
                    and self._allowed(self.items[key])
                    and self._eligible(self.items[key])
                    for key in item.physical
                )

    def _allowed(self, item: _Item) -> bool:
        return item.decision.allowed and not item.channel.secrecy

    def _shown(self) -> set[str]:
        shown = {k for k, i in self.items.items() if self._eligible(i) and self._allowed(i)}
        while True:
            needed = set()
            for key in shown:
                item = self.items[key]
                needed |= item.physical | item.virtual | ({item.group} if item.group else set())
            more = {
                key
                for key in needed - shown
                if self.items[key].rank != 6
                and self._eligible(self.items[key])
                and not self.items[key].channel.secrecy
                and self.items[key].decision.reason in UNDECIDED
            }
            if not more:
                return shown
            shown |= more

    def expected(self) -> dict[str, Expected]:
        self.shown = self._shown()
        found = {}
        for key in self.shown:
            item = self.items[key]
            given = self.code(self.head, key)
            if given:
                found[given] = self._expected(item)
        return found

    def _nearest(self, starts: set[str], follow: Callable[[_Item], set[str]]) -> set[str]:
        found, seen, waiting = set(), set(), set(starts)
        while waiting:
            key = waiting.pop()
            if key in seen:
                continue
            seen.add(key)
            if key in self.shown:
                found.add(key)
            else:
                waiting |= follow(self.items[key])
        return found

    def _expected(self, item: _Item) -> Expected:
        def in_orgs(each: _Item) -> set[str]:
            if each.virtual or each.rank != 4 or not each.group:
                return each.virtual
            return {each.group}

        physical = self._nearest(item.physical, lambda each: each.physical)
        named = self._nearest(in_orgs(item), in_orgs)
        virtual = {key for key in named if key != item.group or key in item.virtual}
        codes: set[str]
        group = self.code(self.head, item.group) if item.group in self.shown else ""
        if item.rank == 4:
            if named:
                codes = {self.code(self.head, key) for key in virtual}
            else:
                every = self._nearest(
                    item.physical | item.virtual | ({item.group} if item.group else set()),
                    lambda e: e.physical | e.virtual | ({e.group} if e.group else set()),
                )
                codes = {self.code(self.head, key) for key in every} or {self.local_id}
        else:
            codes = {self.code(self.head, key) for key in physical} or {self.local_id}
            if item.rank > 4:
                codes |= {self.code(self.head, key) for key in virtual}
        for node_id in self._selected(item) if item.rank != 1 else ():
            expected, rank = self.nodes[node_id]
            if rank == 4 or (rank == 2 and not item.channel.civil_code.startswith(node_id)):
                codes.add(node_id)
            group = group or (node_id if rank == 3 else expected.group)
        status = "" if item.rank in {3, 4} else "ON" if self._online(item) else "OFF"
        return Expected(item.channel, frozenset(codes), group, status, item.decision.obligations)


def _own_nodes(config: PlatformConfig, local_id: str) -> dict[str, tuple[Expected, int]]:
    found: dict[str, tuple[Expected, int]] = {}
    configured = {node.node_id: node for node in config.nodes}

    def rank(node_id: str) -> int:
        return 2 if len(node_id) < 20 else {"215": 3, "216": 4}[node_id[10:13]]

    for node in config.nodes:
        kind = channel_kind(node.node_id)
        channel = Channel(device_id="", channel_id=node.node_id, kind=kind, name=node.name)
        parents: frozenset[str] = frozenset()
        group = ""
        if rank(node.node_id) == 3:
            parents = frozenset({local_id})
        elif rank(node.node_id) == 4:
            above = node.parent_id
            if rank(above) == 4:
                parents = frozenset({above})
            while above and rank(above) == 4:
                above = configured[above].parent_id
            group = above if above and rank(above) == 3 else ""
        found[node.node_id] = Expected(channel, parents, group), rank(node.node_id)
    return found


def _divisions(
    config: PlatformConfig, local_id: str, regions: dict[str, list[_Item]], lying: list[str]
) -> dict[str, Expected]:
    used = {code[:length] for code in lying for length in (2, 4, 6, 8) if length <= len(code)}
    if config.tree is TreeMode.CUSTOM:
        return {}
    if config.tree is TreeMode.DIVISION:
        own = local_id[:8].removesuffix("00")
        codes = {code for code in used if code == own or not own.startswith(code)}
        return {
            code: Expected(Channel(device_id="", channel_id=code, kind=ChannelKind.REGION))
            for code in codes
        }
    if config.edition is Edition.V2011:
        return {}
    found = {}
    for code, items in regions.items():
        open_ = sorted(
            (
                item
                for item in items
                if not item.channel.secrecy
                and (item.decision.allowed or item.decision.reason in UNDECIDED)
            ),
            key=lambda item: item.channel.device_id,
        )
        if any(item.decision.allowed for item in open_) or (code in used and open_):
            first = open_[0]
            found[code] = Expected(first.channel, obligations=first.decision.obligations)
    return found
