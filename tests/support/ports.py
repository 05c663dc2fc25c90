"""Port ranges for tests: each worker process of a run has some of its own."""

import os
from typing import Final

__all__ = ["MANY", "as_text", "own_ports"]

_FIRST: Final = 10_000
"""The gateway's own defaults begin at 30000, the ports that the system gives out by itself at 32768."""
_EACH: Final = 5_000
_WORKERS: Final = 4
"""Further workers share ranges with these; a pool of ports leaves out what is taken."""

MANY: Final = 3_000
"""Where 2,000 ports begin that one test may fill, since a worker runs one test at a time."""


def own_ports(offset: int, count: int) -> tuple[int, int]:
    """First and last of `count` ports of this worker, from `offset` (0 to 4,999) on.

    Up to 699 are those of one gateway, up to 2,699 those of rows of gateways, up to 2,999 those of a media plane.
    """
    if not 0 <= offset < offset + count <= _EACH:
        raise ValueError(f"a worker has {_EACH} ports, not {offset + count}")
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST + worker % _WORKERS * _EACH + offset
    return first, first + count - 1


def as_text(offset: int, count: int) -> str:
    """The same, as settings have it: `FIRST-LAST`."""
    first, last = own_ports(offset, count)
    return f"{first}-{last}"
