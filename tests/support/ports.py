"""Port ranges for tests: each worker process of a run has some of its own."""

import os
from typing import Final

__all__ = ["MANY", "PLANES", "RECEIVERS", "ROW", "as_text", "own_ports"]

_FIRST: Final = 10_000
"""The gateway's own defaults begin at 30000, the ports that the system gives out by itself at 32768."""
_EACH: Final = 5_000
_WORKERS: Final = 4
"""Further workers share ranges with these; a pool of ports leaves out what is taken."""

ROW: Final = 700
"""Where 200 ports begin for each gateway of a row; below are those of a single one."""
PLANES: Final = 2_400
"""Where 300 ports of a media plane begin."""
RECEIVERS: Final = 2_700
"""Where 300 ports begin to which a media plane sends."""
MANY: Final = 3_000
"""Where 2,000 ports begin that one test may fill, since a worker runs one test at a time."""


def own_ports(offset: int, count: int) -> tuple[int, int]:
    """First and last of `count` ports of this worker, from `offset` (0 to 4,999) on."""
    if not 0 <= offset < offset + count <= _EACH:
        raise ValueError(f"a worker has {_EACH} ports, not {offset + count}")
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST + worker % _WORKERS * _EACH + offset
    return first, first + count - 1


def as_text(offset: int, count: int) -> str:
    """The same, as settings have it: `FIRST-LAST`."""
    first, last = own_ports(offset, count)
    return f"{first}-{last}"
