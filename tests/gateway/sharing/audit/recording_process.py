"""A process that records as fast as it can and says how far it is durable: to be killed at any moment."""

import asyncio
import sys
from pathlib import Path

from gateway.domain.audit import AuditEntry
from gateway.sharing.audit.chain import SegmentLimits
from tests.gateway.sharing.audit.samples import access, end, open_log


async def record(directory: Path) -> None:
    limits = SegmentLimits(records=700)
    async with open_log(directory, limits=limits, checkpoint_records=50) as log:
        number = 0
        while True:
            for _ in range(40):
                entry: AuditEntry = access(number, lasting=True)
                log.record(entry)
                if number % 5:
                    log.record(end(number))
                number += 1
            await log.flush()
            print(number, log.status().durable_seq, flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
