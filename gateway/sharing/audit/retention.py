"""Retention: the records of an old file are removed, what proves the chain is left. Blocks."""

from datetime import datetime

from gateway.domain.audit import AuditFiles
from gateway.sharing.audit.checkpoint import KeyRing, Signer
from gateway.sharing.audit.line import Line, LineKind, encode
from gateway.sharing.audit.record import format_time
from gateway.sharing.audit.report import FaultCode, VerifyReport
from gateway.sharing.audit.source import DirectorySource, read_lines
from gateway.sharing.audit.walk import ChainWalk

__all__ = ["leave_stub"]


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
