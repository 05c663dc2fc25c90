"""Walking along the chain: each line against its hash, its neighbour and its signature."""

from collections.abc import Collection

from gateway.sharing.audit.checkpoint import Anchor, KeyRing, SignatureState, fingerprint_of
from gateway.sharing.audit.line import GENESIS, Line, LineError, LineKind
from gateway.sharing.audit.record import parse_time
from gateway.sharing.audit.report import FaultCode, Gap, ProvenRange, VerifyReport

__all__ = ["SIGNATURE_TEXT", "ChainWalk", "fields_of"]

SIGNATURE_TEXT = {
    SignatureState.WRONG: "the signature is wrong",
    SignatureState.UNKNOWN_KEY: "it is signed by a key that is not among the public keys",
    SignatureState.MALFORMED: "it has no signature that can be read",
}
"""What is wrong with a signature, for people."""


class ChainWalk:
    """Takes the lines in the order of the files and notes every fault with its place.

    After a fault it goes on with what the line at fault says, so that one change is reported once.

    Args:
        report: Where to note.
        keys: Keys to trust; none leaves signatures unchecked.
        wanted: Numbers of lines whose hash is asked for.
    """

    def __init__(self, report: VerifyReport, keys: KeyRing, wanted: Collection[int]) -> None:
        self.report = report
        self.keys = keys
        self.seen: dict[int, str] = {}
        """Hashes of the wanted lines, by number."""
        self.segment = 0
        """Number of the file."""
        self.number = 0
        """Of the line in it, from 1."""
        self._wanted = wanted
        # What must come next; None: anything may.
        self._prevs: set[str] | None = {GENESIS}
        self._next_seq: int | None = 1
        self._run: int | None = 1
        """First line of the unbroken run."""

    def take(self, raw: bytes) -> Line | None:
        """Check a line with its newline; return it unless it is none."""
        try:
            line = Line.parse(raw)
        except LineError as exc:
            self.fault(FaultCode.MALFORMED, str(exc))
            self.lose_track()
            return None
        self.report.lines += 1
        self._link(line)
        match line.kind:
            case LineKind.ENTRY:
                self.report.records += 1
            case LineKind.CHECKPOINT | LineKind.SEAL:
                self._check_signature(line)
            case LineKind.GAP:
                self._note_gap(line)
            case LineKind.BREAK:
                detail = str(fields_of(line).get("detail", ""))[:1000]
                self.fault(FaultCode.RECORDED_DAMAGE, detail, line)
            case LineKind.STUB | LineKind.MANIFEST:
                self.fault(FaultCode.OUT_OF_ORDER, f"a {line.kind} stands in the chain", line)
            case LineKind.HEADER | LineKind.OPEN:
                pass
        return line

    def skip_to(self, seq: int) -> None:
        """Go on at a line whatever its predecessor: those between were removed."""
        self._prevs, self._next_seq = None, seq

    def lose_track(self) -> None:
        """Go on at any line; what follows is proven apart from what came before."""
        self._prevs = self._next_seq = self._run = None

    def fault(self, code: FaultCode, detail: str, line: Line | None = None) -> None:
        """Note a fault at this place."""
        self.report.add(
            code,
            detail,
            segment=self.segment,
            line=self.number or None,
            seq=None if line is None else line.seq,
        )

    def _link(self, line: Line) -> None:
        computed = line.computed()
        if self._run is None:
            self._run = line.seq
        if self._next_seq is not None and line.seq > self._next_seq:
            detail = f"lines {self._next_seq} to {line.seq - 1} are missing before it"
            self.fault(FaultCode.MISSING, detail, line)
            self._run = line.seq
        elif self._next_seq is not None and line.seq < self._next_seq:
            detail = f"line {line.seq} stands where {self._next_seq} should"
            self.fault(FaultCode.OUT_OF_ORDER, detail, line)
            self._run = line.seq
        elif self._prevs is not None and line.prev not in self._prevs:
            self.fault(FaultCode.UNLINKED, "it does not follow from the line before it", line)
            self._run = line.seq
        if computed != line.hash:
            self.fault(FaultCode.CHANGED, "its bytes do not have the hash it states", line)
            self._run = line.seq + 1
        # If the stated hash is what was changed, the next line still follows from the bytes.
        self._prevs = {line.hash, computed}
        self._next_seq = line.seq + 1
        if self.report.first_seq is None:
            self.report.first_seq = line.seq
        self.report.last = Anchor(line.seq, computed)
        if line.seq in self._wanted:
            self.seen[line.seq] = computed

    def _check_signature(self, line: Line) -> None:
        if not self.keys.keys:
            return
        state = self.keys.check(line)
        if state is not SignatureState.GOOD:
            self.fault(FaultCode.SIGNATURE, SIGNATURE_TEXT[state], line)
            return
        report = self.report
        fields = line.fields()
        fingerprint = fingerprint_of(fields["key"])
        if fingerprint not in report.keys:
            report.keys.append(fingerprint)
        report.signed = report.last
        try:
            report.signed_at = parse_time(fields.get("at"))
        except ValueError:
            report.signed_at = None
        if self._run is not None and self._run <= line.seq:
            if report.proven and report.proven[-1].first_seq == self._run:
                report.proven.pop()
            report.proven.append(ProvenRange(self._run, line.seq))

    def _note_gap(self, line: Line) -> None:
        fields = fields_of(line)
        lost = fields.get("lost")
        self.report.gaps.append(
            Gap(
                seq=line.seq,
                lost=lost if isinstance(lost, int) else 0,
                since=str(fields.get("since", "")),
                until=str(fields.get("at", "")),
            )
        )


def fields_of(line: Line) -> dict[str, object]:
    """Return the members of a line, none if it is no JSON: its hash or its signature tells then."""
    try:
        return line.fields()
    except LineError:
        return {}
