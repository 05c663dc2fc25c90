"""Retention: the records of an old file are removed, what proves the chain is left. Blocks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from gateway.domain.audit import AuditFiles
from gateway.sharing.audit.chain import SegmentSpan
from gateway.sharing.audit.checkpoint import KeyRing, Signer
from gateway.sharing.audit.line import Line, LineKind, encode
from gateway.sharing.audit.record import format_time
from gateway.sharing.audit.report import FaultCode, VerifyReport
from gateway.sharing.audit.source import DirectorySource, read_lines
from gateway.sharing.audit.walk import ChainWalk

__all__ = ["MAX_LEAP", "is_steady", "leave_stub"]

MAX_LEAP = timedelta(days=7)
"""From one record to the next, or to now: more may be a clock that was set wrong, and what it calls old is not."""


def is_steady(spans: Sequence[SegmentSpan], now: datetime) -> bool:
    """Return whether the times on record lead up to now without a leap, or the last one is `MAX_LEAP` ago.

    A clock that is set forward by a year, by mistake or by whoever answers for its time, must not be enough to have
    the records of half a year removed within the hour. A gateway that was switched off for long looks the same; it
    removes what is old a week later.

    Args:
        spans: All segments, oldest first.
        now: The time by that clock.
    """
    times = [at for span in spans for at in (span.began, span.first_at, span.last_at) if at]
    # What is later than now was written while the clock was wrong; it is right again.
    past = [*(at for at in times if at <= now), now]
    landed = [after for before, after in pairwise(past) if after - before > MAX_LEAP]
    return not landed or now - landed[-1] > MAX_LEAP


def leave_stub(files: AuditFiles, number: int, keys: KeyRing, signer: Signer, at: datetime) -> str:
    """Put a stub in place of a sealed file: its header, its seal, and a signed line that binds the two.

    The seal says how many records of which time there were, its `prev` is the hash of the last of them, and its
    signature vouches for that; the next file's header follows from the seal as before.

    Returns:
        Why the file was left as it is, for people; empty if the stub is in place.

    Raises:
        OSError: it cannot be read or replaced.
    """
    report = VerifyReport()
    walk = ChainWalk(report, keys, ())
    walk.lose_track()
    walk.segment = number
    header: bytes = b""
    seal: bytes = b""
    with DirectorySource(files.directory).open(number, stub=False) as file:
        for walk.number, raw in enumerate(read_lines(file), start=1):
            walk.take(raw)
            header, seal = header or raw, raw
    faults = [fault for fault in report.faults if fault.code is not FaultCode.RECORDED_DAMAGE]
    if faults:
        return str(faults[0])
    if not header:
        return "the file is empty"
    first, last = Line.parse(header), Line.parse(seal)
    if (first.kind, last.kind) != (LineKind.HEADER, LineKind.SEAL):
        return "the file has no header or no seal"
    content = {
        "at": format_time(at),
        "header": first.hash,
        "key": signer.key_id,
        "segment": number,
    }
    stub, _ = encode(LineKind.STUB, content, seq=last.seq, prev=last.hash, sign=signer.sign)
    files.replace(number, header + seal + stub)
    return ""
