"""Answers of many items, cut into messages (GB/T 28181-2022 Annex M, 8.3).

Every message has the same SN and the same SumNum, the total; Num counts its own items. How much one
message holds follows from what carries it: a datagram must fit the path, a connection does not mind.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from gb28181.errors import LocalProtocolError
from gb28181.manscdp.message import Content, serialize_message

__all__ = ["MAX_PAGE_ITEMS", "TCP_PAGE_BYTES", "UDP_PAGE_BYTES", "pages"]

MAX_PAGE_ITEMS: Final = 10_000
"""Records in one message at most (Annex M)."""

UDP_PAGE_BYTES: Final = 800
"""Body of a request over UDP: RFC 3261 18.1.1 allows 1,300 bytes when the path MTU is unknown, and the
head of a MESSAGE or NOTIFY takes up to 500."""

TCP_PAGE_BYTES: Final = 60_000
"""Body of a request over TCP or TLS: some 100 items, written in a few milliseconds, so that one
catalogue holds up nothing else. With its head it stays below 64 KiB, the buffer of many platforms:
sipp drops the connection over one byte more."""

_T = TypeVar("_T")


def pages(
    items: Iterable[_T],
    *,
    make: Callable[[tuple[_T, ...]], Content],
    charset: str = "GB2312",
    edition: str = "2016",
    max_bytes: int = UDP_PAGE_BYTES,
    max_items: int = MAX_PAGE_ITEMS,
) -> Iterator[Content]:
    """Cut items into messages, in order, each made when it is asked for.

    Args:
        items: The items; none of them gives no message (an empty answer has SumNum 0 and no list).
        make: Makes the message of a part; SN and SumNum are its business.
        charset: Charset the messages will be sent in, for their size.
        edition: Edition they will be written for, for their size.
        max_bytes: Largest body; an item that is larger alone goes alone.
        max_items: Most items in one message.

    Raises:
        LocalProtocolError: `max_items` is below 1.
    """
    if max_items < 1:
        raise LocalProtocolError(f"max_items must be at least 1, got {max_items}")

    def size(part: tuple[_T, ...]) -> int:
        return len(serialize_message(make(part), charset, edition=edition))

    part: list[_T] = []
    used = 0
    envelope: int | None = None
    for item in items:
        alone = size((item,))
        if envelope is None:
            # What two of them cost more than one is the item; the rest is there once a message.
            envelope = 2 * alone - size((item, item)) + _COUNT_DIGITS
        cost = alone - (envelope - _COUNT_DIGITS)
        if part and (len(part) >= max_items or envelope + used + cost > max_bytes):
            yield make(tuple(part))
            part, used = [], 0
        part.append(item)
        used += cost
    if part:
        yield make(tuple(part))


_COUNT_DIGITS: Final = len(str(MAX_PAGE_ITEMS)) - 1
"""Digits by which Num grows beyond the one of a single item."""
