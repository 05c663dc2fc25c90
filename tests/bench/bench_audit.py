"""What the audit costs: records a second to the disk, verified lines a second, a search, a start.

Run: python -m tests.bench.bench_audit [--records N] [--directory DIR]
"""

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.domain.audit import AuditEntry, AuditKind
from gateway.sharing.audit.log import AuditLog
from gateway.sharing.audit.search import AuditQuery
from gateway.sharing.audit.verify import verify
from gateway.store.audit_files import DirectoryAuditFiles

BURST = 200
"""Records between two turns of the loop."""


def entries(count: int) -> list[AuditEntry]:
    """Every second one is the end of the one before, as accesses are."""
    subject = {"platform": "37130000002000000001", "identity": "37130000004000000001"}
    at = datetime.now(UTC)
    made = []
    for number in range(count):
        channel = f"34020000001310{number % 1_000_000:06d}"
        common = {
            "at": at,
            "subject": subject,
            "action": "live",
            "object_id": "37" + channel[2:],
            "device_id": "34020000001320000001",
            "channel_id": channel,
            "via": "sip",
        }
        if number % 2:
            made.append(
                AuditEntry(
                    kind=AuditKind.END,
                    entry_id=f"{number:016x}",
                    ref=f"{number - 1:016x}",
                    result="bye",
                    duration_s=61.5,
                    **common,  # type: ignore[arg-type]
                )
            )
            continue
        made.append(
            AuditEntry(
                kind=AuditKind.ACCESS,
                entry_id=f"{number:016x}",
                result="allow",
                rule="county-live",
                reason="allowed",
                purpose="巡查",
                ticket="T-2026-0117",
                source="10.21.3.7",
                lasting=True,
                **common,  # type: ignore[arg-type]
            )
        )
    return made


async def measure(directory: Path, count: int) -> None:
    made = entries(count)
    key = Ed25519PrivateKey.generate()
    async with AuditLog(DirectoryAuditFiles(directory), key=key) as log:
        cpu, start, inside = time.process_time(), time.perf_counter(), 0.0
        for first in range(0, count, BURST):
            begin = time.perf_counter()
            for entry in made[first : first + BURST]:
                log.record(entry)
            inside += time.perf_counter() - begin
            await asyncio.sleep(0)
        await log.flush()
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        size = sum(path.stat().st_size for path in directory.glob("*.log"))  # noqa: ASYNC240 - a benchmark
        print(f"{count} records, {size / count:.0f} bytes each, health {log.health().ok}")
        print(f"{'durable records a second':<40}{count / wall:12,.0f}")
        print(f"{'CPU of a record, writing included':<40}{cpu / count * 1e6:12.1f} us")
        print(f"{'record() itself':<40}{inside / count * 1e6:12.1f} us")
        single = time.perf_counter()
        log.record(made[0])
        await log.flush()
        print(f"{'one record until durable':<40}{(time.perf_counter() - single) * 1e3:12.1f} ms")
        for name, query in {
            "search: newest 100": AuditQuery(),
            "search: one channel in all": AuditQuery(channel_id=made[0].channel_id),
            "search: a text, in all": AuditQuery(text="no such text"),
        }.items():
            begin = time.perf_counter()
            await log.search(query)
            print(f"{name:<40}{(time.perf_counter() - begin) * 1e3:12.1f} ms")
        begin = time.perf_counter()
        data = await log.export()
        print(
            f"{'export of all':<40}{(time.perf_counter() - begin) * 1e3:12.1f} ms"
            f"  ({len(data) / size:.0%} of {size / 1e6:.0f} MB)"
        )
    begin = time.perf_counter()
    report = verify(directory)
    took = time.perf_counter() - begin
    assert report.ok, report.faults
    print(f"{'verified lines a second':<40}{report.lines / took:12,.0f}")
    begin = time.perf_counter()
    async with AuditLog(DirectoryAuditFiles(directory), key=key):
        print(f"{'start':<40}{(time.perf_counter() - begin) * 1e3:12.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--directory", type=Path, help="on the disk to measure; a temporary one")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        asyncio.run(measure(Path(directory), options.records))


if __name__ == "__main__":
    main()
