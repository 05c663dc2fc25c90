"""Verifying an audit offline: every line against its hash, its neighbours and the signatures.

Nothing here needs a running gateway, or changes anything. What files alone can never prove is how many lines followed
the last signed one: see `VerifyReport`.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from gateway.domain.audit import SegmentInfo
from gateway.sharing.audit.chain import FORMAT
from gateway.sharing.audit.checkpoint import (
    CHECKPOINT_FILE,
    PUBLIC_KEY_FILE,
    Anchor,
    KeyRing,
    SignatureState,
)
from gateway.sharing.audit.line import Line, LineError, LineKind
from gateway.sharing.audit.report import FaultCode, ProvenRange, VerifyReport
from gateway.sharing.audit.source import Source, open_source, read_lines
from gateway.sharing.audit.walk import SIGNATURE_TEXT, ChainWalk, fields_of

__all__ = ["MANIFEST_FILE", "verify", "verify_source"]

MANIFEST_FILE = "manifest.json"
"""In an export: the signed list of what belongs to it."""

_READ_ERRORS = (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError)
"""What reading may raise; the last two for archives of a kind or with a password that we do not make."""


def verify(
    path: Path, *, keys: KeyRing | None = None, expect: Anchor | None = None
) -> VerifyReport:
    """Verify a directory of the audit or an export of it (zip). Blocks; reads every byte.

    Args:
        path: Directory or archive.
        keys: Keys to trust, from elsewhere; None takes those published beside the files.
        expect: A line noted elsewhere earlier; proves that nothing before it was cut off or replaced.
    """
    try:
        with open_source(path) as source:
            return verify_source(source, keys=keys, expect=expect)
    except _READ_ERRORS as exc:
        report = VerifyReport()
        report.add(FaultCode.UNREADABLE, f"{path}: {exc}")
        return report


def verify_source(
    source: Source, *, keys: KeyRing | None = None, expect: Anchor | None = None
) -> VerifyReport:
    """Verify what a source gives, as `verify` does."""
    report = VerifyReport()
    try:
        _Verifier(source, report, keys, expect).run()
    except _READ_ERRORS as exc:
        report.add(FaultCode.UNREADABLE, str(exc) or type(exc).__name__)
    return report


class _Verifier:
    def __init__(
        self,
        source: Source,
        report: VerifyReport,
        keys: KeyRing | None,
        expect: Anchor | None,
    ) -> None:
        self._source = source
        self._report = report
        self._expect = expect
        # Read first: what a running gateway appends from now on does no harm.
        self._checkpoint = self._load_checkpoint()
        if keys is None:
            keys = KeyRing.from_pem(source.read_beside(PUBLIC_KEY_FILE) or b"")
        self._keys = keys
        wanted = {anchor.seq for anchor in (self._checkpoint, expect) if anchor is not None}
        self._walk = ChainWalk(report, keys, wanted)
        self._removed: list[ProvenRange] = []

    def run(self) -> None:
        self._check_keys()
        segments = self._source.segments()
        manifest = self._source.read_beside(MANIFEST_FILE)
        expected = 1
        if manifest is not None:
            self._check_manifest(manifest, segments)
            expected = segments[0].number if segments else 1
            self._walk.lose_track()
        for info in segments:
            if info.number != expected:
                self._note_missing(expected, info.number - 1)
            self._check_file(info, newest=info is segments[-1])
            expected = info.number + 1
        self._finish()

    # What lies beside

    def _load_checkpoint(self) -> Line | None:
        data = self._source.read_beside(CHECKPOINT_FILE)
        if data is None:
            return None
        try:
            line = _sound_line(data, LineKind.CHECKPOINT, LineKind.SEAL)
        except LineError as exc:
            self._report.add(FaultCode.CHECKPOINT, f"{CHECKPOINT_FILE} cannot be used: {exc}")
            return None
        return line

    def _check_keys(self) -> None:
        if not self._keys.keys:
            detail = f"no public key in {PUBLIC_KEY_FILE}: nothing can be proven"
            self._report.add(FaultCode.KEY, detail)
        elif self._checkpoint is not None:
            state = self._keys.check(self._checkpoint)
            if state is not SignatureState.GOOD:
                detail = f"{CHECKPOINT_FILE}: {SIGNATURE_TEXT[state]}"
                self._report.add(FaultCode.CHECKPOINT, detail)

    def _check_manifest(self, data: bytes, segments: Sequence[SegmentInfo]) -> None:
        self._report.is_export = True
        try:
            line = _sound_line(data, LineKind.MANIFEST)
            self._require_signature(line)
            listed = line.fields().get("segments")
        except LineError as exc:
            self._report.add(FaultCode.MANIFEST, f"{MANIFEST_FILE} cannot be used: {exc}")
            return
        found = [info.number for info in segments]
        if listed != found:
            detail = f"{MANIFEST_FILE} lists files {listed}, the export holds {found}"
            self._report.add(FaultCode.MANIFEST, detail)
        end = self._checkpoint
        if end is None or (end.seq, end.hash) != (line.seq, line.prev):
            detail = f"{CHECKPOINT_FILE} is not the one that belongs to {MANIFEST_FILE}"
            self._report.add(FaultCode.MANIFEST, detail)

    def _require_signature(self, line: Line) -> None:
        if self._keys.keys:
            state = self._keys.check(line)
            if state is not SignatureState.GOOD:
                raise LineError(SIGNATURE_TEXT[state])

    # Files

    def _check_file(self, info: SegmentInfo, *, newest: bool) -> None:
        self._report.segments += 1
        self._walk.segment, self._walk.number = info.number, 0
        if not info.stub:
            try:
                self._check_segment(info, newest=newest)
            except FileNotFoundError:
                # Retention of a running gateway came in between.
                info = replace(info, stub=True)
        if info.stub:
            self._check_stub(info)

    def _check_segment(self, info: SegmentInfo, *, newest: bool) -> None:
        walk, report = self._walk, self._report
        first_seq, records, sealed = None, report.records, False
        with self._source.open(info.number, stub=False) as file:
            for raw in read_lines(file):
                walk.number += 1
                if newest and not raw.endswith(b"\n"):
                    report.half_written = len(raw)
                    break
                line = walk.take(raw)
                if sealed:
                    walk.fault(FaultCode.SEAL, "a line follows the seal", line)
                if walk.number == 1:
                    first_seq = self._check_header(line)
                elif line is not None and line.kind is LineKind.HEADER:
                    walk.fault(FaultCode.HEADER, "a header stands inside the file", line)
                if line is not None and line.kind is LineKind.SEAL:
                    sealed = True
                    self._check_seal(line, first_seq, report.records - records)
        if not sealed and not newest:
            walk.fault(FaultCode.UNSEALED, "the file does not end with its seal")

    def _check_header(self, line: Line | None) -> int | None:
        if line is None:
            return None
        if line.kind is not LineKind.HEADER:
            self._walk.fault(FaultCode.HEADER, f"expected a header, got {line.kind}", line)
            return None
        fields = fields_of(line)
        for name, value in {"segment": self._walk.segment, "format": FORMAT}.items():
            if fields.get(name) != value:
                detail = f"its header says {name} {fields.get(name)}, expected {value}"
                self._walk.fault(FaultCode.HEADER, detail, line)
        return line.seq

    def _check_seal(self, line: Line, first_seq: int | None, records: int | None) -> None:
        fields = fields_of(line)
        held = {"segment": self._walk.segment, "first_seq": first_seq, "records": records}
        for name, value in held.items():
            if value is not None and fields.get(name) != value:
                detail = f"the seal says {name} {fields.get(name)}, the file holds {value}"
                self._walk.fault(FaultCode.SEAL, detail, line)

    def _check_stub(self, info: SegmentInfo) -> None:
        walk = self._walk
        with self._source.open(info.number, stub=True) as file:
            lines = list(islice(read_lines(file), 4))
        try:
            header, seal = self._check_stub_lines(lines)
        except LineError as exc:
            walk.fault(FaultCode.STUB, str(exc))
            walk.lose_track()
            return
        walk.number = 1
        walk.take(lines[0])
        self._check_header(header)
        # The lines between are gone; the seal's signature stands for them.
        walk.skip_to(seal.seq)
        walk.number = 2
        walk.take(lines[1])
        self._check_seal(seal, header.seq, None)
        records = fields_of(seal).get("records")
        self._removed.append(ProvenRange(header.seq + 1, seal.seq - 1))
        self._report.removed_records += records if isinstance(records, int) else 0
        self._report.stubs += 1

    def _check_stub_lines(self, lines: list[bytes]) -> tuple[Line, Line]:
        if len(lines) != 3:
            raise LineError(f"expected three lines, got {len(lines)}")
        header, seal = Line.parse(lines[0]), Line.parse(lines[1])
        stub = _sound_line(lines[2], LineKind.STUB)
        self._require_signature(stub)
        fields = stub.fields()
        bound = stub.prev, stub.seq, fields.get("header"), fields.get("segment")
        if bound != (seal.hash, seal.seq, header.hash, self._walk.segment):
            raise LineError("its stub line belongs to other lines")
        if (header.kind, seal.kind) != (LineKind.HEADER, LineKind.SEAL) or seal.seq <= header.seq:
            raise LineError("expected a header and its seal")
        return header, seal

    def _note_missing(self, first: int, last: int) -> None:
        which = f"file {first} is" if first == last else f"files {first} to {last} are"
        self._report.add(FaultCode.SEGMENT_MISSING, f"{which} missing", segment=first)
        self._walk.lose_track()

    # The whole

    def _finish(self) -> None:
        report = self._report
        if report.last is None:
            report.add(FaultCode.TRUNCATED, "there is no line at all")
            last = 0
        else:
            last = report.last.seq
        if self._checkpoint is not None:
            anchor = Anchor(self._checkpoint.seq, self._checkpoint.hash)
            self._check_anchor(anchor, f"{CHECKPOINT_FILE} names", FaultCode.CHECKPOINT)
        if self._checkpoint is None or report.signed is None:
            # A gateway signs as soon as it starts: without a signature this is not its work.
            report.add(FaultCode.CHECKPOINT, "there is no signed line, or no copy of the newest")
        if self._expect is not None:
            faults = report.fault_count
            self._check_anchor(self._expect, "expected is", FaultCode.ANCHOR)
            report.anchored = report.fault_count == faults and self._expect.seq in self._walk.seen
        report.unsigned = max(0, last - (report.signed.seq if report.signed is not None else 0))
        if report.is_export:
            report.notes.append("an export: what came before its first file is not part of it")
        if report.unsigned:
            report.notes.append(
                f"{report.unsigned} lines follow the last signature: these files cannot prove "
                "that none of them was changed, or that none was cut off after them"
            )

    def _check_anchor(self, anchor: Anchor, who: str, code: FaultCode) -> None:
        report = self._report
        found = self._walk.seen.get(anchor.seq)
        last = report.last.seq if report.last is not None else 0
        if found is not None:
            if found != anchor.hash:
                detail = f"{who} another line {anchor.seq} than the log holds"
                report.add(code, detail, seq=anchor.seq)
        elif anchor.seq > last:
            detail = f"{who} line {anchor.seq}, the log ends at {last}: lines were cut off"
            report.add(FaultCode.TRUNCATED, detail, seq=anchor.seq)
        elif any(gone.first_seq <= anchor.seq <= gone.last_seq for gone in self._removed):
            report.notes.append(f"{who} line {anchor.seq}, which retention removed")
        elif report.is_export and anchor.seq < (report.first_seq or 0):
            report.notes.append(f"{who} line {anchor.seq}, which is before this export")
        else:
            report.add(code, f"{who} line {anchor.seq}, which is not there", seq=anchor.seq)


def _sound_line(data: bytes, *kinds: LineKind) -> Line:
    """Return the one line that a text is.

    Raises:
        LineError: it is none of these kinds, or its hash is wrong.
    """
    line = Line.parse(data)
    if line.kind not in kinds:
        raise LineError(f"expected {' or '.join(kinds)}, got {line.kind}")
    if line.computed() != line.hash:
        raise LineError("its bytes do not have the hash it states")
    return line
