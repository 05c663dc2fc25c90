"""Division items of a platform's catalogue: a code and a name, linked to others by CivilCode alone (protocol 1.6)."""

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Final

from gateway.cascade.catalog.item import PLAIN, Placed, Rank
from gateway.cascade.catalog.node import Node, Verdict, division_of
from gateway.domain.device import Channel, ChannelKind
from gateway.domain.platform import TreeMode
from gateway.domain.policy import Obligations
from gb28181.ids import is_region_code

__all__ = ["Divisions"]

_LENGTHS: Final = (2, 4, 6, 8)


class Divisions:
    """Which divisions are shown; the same one listed by many lower platforms is one item.

    Args:
        tree: `KEPT`: those that lower levels list; `DIVISION`: those that items lie in; `CUSTOM`: none.
        local_id: Our code; what lies above our own division is left out.
        names: Names an operator gives, by code.
    """

    def __init__(self, tree: TreeMode, local_id: str, names: Mapping[str, str]) -> None:
        self._tree = tree
        self._own = division_of(local_id)
        self._names = names
        self._used: dict[str, int] = {}
        self._sources: dict[str, dict[str, Node]] = {}
        self._affected: set[str] = set()
        self.shown: dict[str, Placed] = {}
        """What is published, by code."""

    def count(self, old: Placed | None, new: Placed | None) -> None:
        """Note that an item came, went or changed."""
        before = _division(old)
        after = _division(new)
        if before == after:
            return
        for division, step in ((before, -1), (after, 1)):
            for length in _LENGTHS:
                if length <= len(division):
                    code = division[:length]
                    used = self._used[code] = self._used.get(code, 0) + step
                    if used == max(step, 0):
                        self._affected.add(code)

    def put(self, device_id: str, old: Mapping[str, Node], new: Mapping[str, Node]) -> None:
        """Note which division items a device lists now, and listed before."""
        for code in old.keys() | new.keys():
            node = new.get(code)
            sources = self._sources.setdefault(code, {})
            if node is not None:
                sources[device_id] = node
            else:
                sources.pop(device_id, None)
            if not sources:
                del self._sources[code]
            self._affected.add(code)

    def settle(self) -> list[tuple[str, Placed | None, Placed | None]]:
        """Bring what is published up to date; returns the codes that changed, what each was and is."""
        changed = []
        for code in sorted(self._affected):
            before, after = self.shown.get(code), self._place(code)
            if before is not None and after is not None and before.equals(after):
                continue
            if after is not None:
                self.shown[code] = after
            elif before is not None:
                del self.shown[code]
            if before is not after:
                changed.append((code, before, after))
            if not self._used.get(code):
                self._used.pop(code, None)
        self._affected.clear()
        return changed

    def ordered(self) -> Iterable[Placed]:
        """Return what is published, shorter codes first."""
        return sorted(self.shown.values(), key=lambda placed: (placed.depth, placed.code))

    def _place(self, code: str) -> Placed | None:
        used = self._used.get(code, 0) > 0
        sources = self._sources.get(code, {})
        nodes = [
            node
            for _, node in sorted(sources.items(), key=itemgetter(0))
            if node.verdict is not Verdict.HIDDEN
        ]
        name = self._names.get(code, "")
        match self._tree:
            case TreeMode.KEPT:
                if not nodes or not (used or any(n.verdict is Verdict.SHOWN for n in nodes)):
                    return None
                return _placed(nodes[0].channel, code, nodes[0].obligations)
            case TreeMode.DIVISION:
                if not used or (len(code) < len(self._own) and self._own.startswith(code)):
                    return None
                if not name and nodes:
                    return _placed(nodes[0].channel, code, nodes[0].obligations)
                channel = Channel(
                    device_id="", channel_id=code, kind=ChannelKind.REGION, name=name or code
                )
                return _placed(channel, code, PLAIN)
            case TreeMode.CUSTOM:
                return None


def _placed(channel: Channel, code: str, obligations: Obligations) -> Placed:
    return Placed(
        channel=channel,
        code=code,
        rank=Rank.DIVISION,
        depth=len(code) // 2,
        obligations=obligations,
    )


def _division(placed: Placed | None) -> str:
    if placed is None or placed.rank not in _LYING:
        return ""
    code = placed.channel.civil_code
    return code if is_region_code(code) else ""


_LYING: Final = frozenset({Rank.PLATFORM, Rank.DEVICE, Rank.CHANNEL})
