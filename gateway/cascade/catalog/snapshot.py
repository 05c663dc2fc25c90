"""A catalogue as it was at one moment, and the part of it that a query asks for (protocol 4.7.3)."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import overload

from gateway.cascade.catalog.item import Placed, Rank, render
from gateway.domain.platform import Edition
from gb28181.ids import is_region_code
from gb28181.manscdp import CatalogItem

__all__ = ["Snapshot", "in_order", "select"]

_STEP = 256


class Snapshot(Sequence[CatalogItem]):
    """Items in the order in which they are sent: parents before children, our own platform first.

    Items are written when they are asked for, so that a catalogue of 100,000 holds nothing up.
    """

    __slots__ = ("_rename", "placed")

    def __init__(self, placed: Sequence[Placed], *, rename: bool) -> None:
        self.placed = placed
        self._rename = rename

    def __len__(self) -> int:
        return len(self.placed)

    def __iter__(self) -> Iterator[CatalogItem]:
        for placed in self.placed:
            yield render(placed, rename=self._rename)

    @overload
    def __getitem__(self, index: int) -> CatalogItem: ...

    @overload
    def __getitem__(self, index: slice) -> "Snapshot": ...

    def __getitem__(self, index: int | slice) -> "CatalogItem | Snapshot":
        if isinstance(index, slice):
            return Snapshot(self.placed[index], rename=self._rename)
        return render(self.placed[index], rename=self._rename)


def in_order(
    singles: Iterable[Placed], buckets: Iterable[Mapping[tuple[int, int], Mapping[str, Placed]]]
) -> list[Placed]:
    """Return all items, parents before children.

    Args:
        singles: Those that are kept one by one.
        buckets: Those that are kept by rank and depth.
    """
    steps: dict[tuple[int, int], list[Placed]] = {}
    for placed in singles:
        steps.setdefault((placed.rank, placed.depth), []).append(placed)
    for parts in buckets:
        for step, bucket in parts.items():
            steps.setdefault(step, []).extend(bucket.values())
    return [placed for step in sorted(steps) for placed in steps[step]]


def select(
    everything: Sequence[Placed], root: str, edition: Edition
) -> Generator[None, None, list[Placed]]:
    """Return what a query for a code gets, in order; nothing if the code is not in the catalogue.

    A division: itself, the divisions and devices in it. A platform: itself, what is below it, the divisions
    these lie in. A device: itself and its sub-devices. A business group: itself and its organisations, for 2022
    their devices too. An organisation: itself, those below it, their devices.

    Args:
        everything: The whole catalogue, parents before children.
        root: What was asked for.
        edition: Whose meaning of a business group counts.
    """
    if is_region_code(root):
        return (yield from _select_division(everything, root))
    inside: set[str] = set()
    found: list[Placed] = []
    rank: Rank | None = None
    for number, placed in enumerate(everything):
        if number % _STEP == 0:
            yield
        if placed.code == root:
            rank = placed.rank
        elif rank is None or not _is_below(placed, inside, rank, edition):
            continue
        inside.add(placed.code)
        found.append(placed)
    if rank is Rank.PLATFORM:
        divisions = yield from _divisions_of(everything, found)
        found.extend(divisions)
        found.sort(key=lambda placed: (placed.rank, placed.depth))
    return found


def _is_below(placed: Placed, inside: set[str], rank: Rank, edition: Edition) -> bool:
    if rank is Rank.GROUP and placed.rank is not Rank.ORGANISATION:
        if edition is not Edition.V2022:
            return False
        return placed.group in inside or any(parent in inside for parent in placed.parents)
    if placed.rank is Rank.ORGANISATION and placed.group in inside:
        return True
    return any(parent in inside for parent in placed.parents)


def _select_division(
    everything: Sequence[Placed], root: str
) -> Generator[None, None, list[Placed]]:
    inside: set[str] = set()
    found: list[Placed] = []
    for number, placed in enumerate(everything):
        if number % _STEP == 0:
            yield
        if placed.rank is Rank.DIVISION:
            if not placed.code.startswith(root):
                continue
        elif placed.rank not in {Rank.DEVICE, Rank.CHANNEL} or (
            not placed.channel.civil_code.startswith(root)
            and not any(parent in inside for parent in placed.parents)
        ):
            continue
        inside.add(placed.code)
        found.append(placed)
    return found


def _divisions_of(
    everything: Sequence[Placed], found: Sequence[Placed]
) -> Generator[None, None, list[Placed]]:
    codes: set[str] = set()
    for number, placed in enumerate(found):
        if number % _STEP == 0:
            yield
        code = placed.channel.civil_code
        codes.update(code[:length] for length in range(2, len(code) + 1, 2))
    return [
        placed for placed in everything if placed.rank is Rank.DIVISION and placed.code in codes
    ]
