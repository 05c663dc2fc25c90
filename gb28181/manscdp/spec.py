"""Where the fields of a message stand in XML, in which edition (GB/T 28181-2022 Annex A)."""

import dataclasses
from collections.abc import Callable
from typing import Any, Final

from gb28181.errors import LocalProtocolError

__all__ = [
    "Element",
    "Leaf",
    "ListOf",
    "Raw",
    "Spec",
    "View",
    "edition_year",
]

_YEARS: Final = {
    "2011": 2011,
    "2014": 2014,
    "2016": 2016,
    "2022": 2022,
    # X-GB-Ver of the same editions (2022 Annex I).
    "1.0": 2011,
    "1.1": 2014,
    "2.0": 2016,
    "3.0": 2022,
}


def edition_year(edition: str) -> int:
    """Return the year of an edition named by its year or its X-GB-Ver.

    Raises:
        LocalProtocolError: There is no such edition.
    """
    year = _YEARS.get(edition)
    if year is None:
        raise LocalProtocolError(f"expected one of {', '.join(_YEARS)}, got {edition!r}")
    return year


@dataclasses.dataclass(frozen=True, slots=True)
class Leaf:
    """A value in an element of its own.

    Args:
        name: Element name as the standard spells it.
        within: Container element (`Info`); when reading, a value at the top will do.
        also_in: Container in which other editions have it, read but not written.
        aliases: Other spellings to read.
        required: Whether it may not be absent when sending.
        since: First edition that has it; earlier peers are not sent it.
        until: Last edition that has it.
        old_name: Spelling up to 2016, if another.
        old_within: Container up to 2016, if another.
        sent: Whether it is ever written.
    """

    name: str
    within: str = ""
    also_in: str = ""
    aliases: tuple[str, ...] = ()
    required: bool = False
    since: int = 0
    until: int = 9999
    old_name: str = ""
    old_within: str = ""
    sent: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """What of a dataclass is written; made once and shared, as a plan is compiled for each.

    Args:
        names: Attributes written if present; None is all.
        plain: Attributes written outside their container.
    """

    names: frozenset[str] | None = None
    plain: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class ListOf:
    """Items in a list element with a count attribute; written only if there are items.

    Args:
        name: Element name of the list.
        item: Element name of an item.
        count: Attribute holding the number of items; "" for none.
        aliases: Other spellings of the list's name to read.
        limit: Most items to read from one message.
        view: Says what of an item is written for an edition (a year).
    """

    name: str
    item: str = "Item"
    count: str = "Num"
    aliases: tuple[str, ...] = ()
    limit: int = 10_000
    view: Callable[[Any, int], View] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Element:
    """A dataclass in an element of its own; None when the element is absent.

    Args:
        name: Element name as the standard spells it.
        within: Container element (`Info`).
        since: First edition that has it.
        until: Last edition that has it.
    """

    name: str
    within: str = ""
    since: int = 0
    until: int = 9999


@dataclasses.dataclass(frozen=True, slots=True)
class Raw:
    """All leaf texts as sent, by name (`Info.NAME` inside Info).

    Args:
        without: Lower-case names never kept.
        sent: Whether those the dataclass has no field for are passed on when it is written.
    """

    without: tuple[str, ...] = ()
    sent: bool = True


Spec = Leaf | ListOf | Element | Raw
