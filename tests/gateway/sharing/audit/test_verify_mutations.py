"""Whatever is changed in the files of an audit is found: every byte, line, pair of lines, and cut."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.sharing.audit.chain import SegmentLimits
from gateway.sharing.audit.checkpoint import (
    CHECKPOINT_FILE,
    PUBLIC_KEY_FILE,
    Anchor,
    KeyRing,
    Signer,
)
from gateway.sharing.audit.line import SIGNED, Line, LineError, encode
from gateway.sharing.audit.report import FaultCode, VerifyReport
from gateway.sharing.audit.verify import verify_source
from tests.gateway.sharing.audit.samples import (
    KEY,
    OTHER_KEY,
    MemorySource,
    Wall,
    access,
    end,
    open_log,
)

STUB, SEALED, MIDDLE, NEWEST = "00000001.stub", "00000002.log", "00000003.log", "00000004.log"
FILES = (STUB, SEALED, MIDDLE, NEWEST)


async def make(directory: Path) -> None:
    """Write four files: one that retention emptied, two sealed ones, and the newest."""
    wall = Wall()
    limits = SegmentLimits(records=5, age=timedelta(days=10_000))
    async with open_log(directory, wall, limits=limits, checkpoint_records=3) as log:
        for number in range(4):
            log.record(access(number, wall.now, lasting=number == 1, purpose="巡查 ü /"))
        wall.pass_(days=300)
        assert await log.apply_retention() == [1]
        for number in range(4, 11):
            log.record(access(number, wall.now, lasting=number == 5))
        log._writer.chain.add_gap(5, wall.now)
        log.record(end(5, wall.now))
        for number in range(11, 13):
            log.record(access(number, wall.now))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> MemorySource:
    directory = tmp_path_factory.mktemp("audit")
    asyncio.run(make(directory))
    return MemorySource.of(directory)


def verified(source: MemorySource, expect: Anchor | None = None) -> VerifyReport:
    return verify_source(source, expect=expect)


def test_the_audit_as_written_is_good(good: MemorySource) -> None:
    report = verified(good)
    assert report.faults == []
    assert report.ok
    assert set(FILES) < set(good.files)
    assert (report.segments, report.stubs, report.removed_records) == (4, 1, 5)
    assert [gap.lost for gap in report.gaps] == [5]
    (proven,) = report.proven
    assert report.last is not None
    assert (proven.first_seq, proven.last_seq) == (1, report.last.seq)
    assert (report.unsigned, report.half_written, report.notes) == (0, 0, [])
    assert report.keys == [Signer(KEY).fingerprint]
    lines = [Line.parse(raw) for name in FILES for raw in good.lines(name)]
    assert {line.kind.value for line in lines} == {
        "header", "open", "entry", "gap", "checkpoint", "seal", "stub",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FILES, CHECKPOINT_FILE])
def test_every_changed_byte_is_found(good: MemorySource, name: str) -> None:
    data = good.files[name]
    missed = [
        position
        for position in range(len(data))
        # Another change at each place: every bit, and several at once.
        if verified(good.with_(name, changed(data, position, 1 + position % 255))).ok
    ]
    assert missed == []


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_every_change_of_any_byte_to_any_other_is_found_in_its_line(
    good: MemorySource, name: str
) -> None:
    missed = []
    # One line of each kind stands for all.
    for raw in {Line.parse(raw).kind: raw for raw in good.lines(name)}.values():
        for position in range(len(raw) - 1):
            for bits in range(1, 256):
                try:
                    line = Line.parse(changed(raw, position, bits))
                except LineError:
                    continue
                if line.computed() == line.hash:
                    missed.append((raw, position, bits))
    assert missed == []


def changed(data: bytes, position: int, bits: int) -> bytes:
    return data[:position] + bytes([data[position] ^ bits]) + data[position + 1 :]


def broken_lines(
    good: MemorySource, break_: Callable[[list[bytes], int], list[bytes] | None]
) -> Iterator[tuple[str, int, VerifyReport]]:
    for name in FILES:
        lines = good.lines(name)
        for number in range(len(lines)):
            broken = break_(list(lines), number)
            if broken is not None and broken != lines:
                yield name, number, verified(good.with_(name, b"".join(broken)))


def test_every_deleted_line_is_found(good: MemorySource) -> None:
    reports = list(broken_lines(good, lambda lines, n: lines[:n] + lines[n + 1 :]))
    assert len(reports) > 25
    assert [(name, n) for name, n, report in reports if report.ok] == []
    for name, number, report in reports:
        # The place is named, except at a file's ends, where what is missing is said of the file.
        if name in (SEALED, MIDDLE) and 0 < number < len(good.lines(name)) - 1:
            fault = report.faults[0]
            assert (fault.code, fault.segment) == (FaultCode.MISSING, int(name[:8]))
            assert fault.line == number + 1


def test_every_deleted_run_of_lines_is_found(good: MemorySource) -> None:
    for length in (2, 3, 5):

        def cut(lines: list[bytes], n: int, length: int = length) -> list[bytes]:
            return lines[:n] + lines[n + length :]

        reports = broken_lines(good, cut)
        assert [(name, n) for name, n, report in reports if report.ok] == []


def test_every_swap_of_two_lines_is_found(good: MemorySource) -> None:
    for distance in (1, 2, 4):

        def swapped(lines: list[bytes], n: int, distance: int = distance) -> list[bytes] | None:
            if n + distance >= len(lines):
                return None
            lines[n], lines[n + distance] = lines[n + distance], lines[n]
            return lines

        reports = list(broken_lines(good, swapped))
        assert len(reports) > 10
        assert [(name, n) for name, n, report in reports if report.ok] == []


def test_every_repeated_line_is_found(good: MemorySource) -> None:
    reports = broken_lines(good, lambda lines, n: [*lines[: n + 1], *lines[n:]])
    assert [(name, n) for name, n, report in reports if report.ok] == []


def inserted(good: MemorySource, raw: bytes) -> Iterator[tuple[str, int, VerifyReport]]:
    return broken_lines(good, lambda lines, n: [*lines[:n], raw, *lines[n:]])


def test_every_line_put_into_another_file_is_found(good: MemorySource) -> None:
    for raw in good.lines(SEALED):
        reports = inserted(good, raw)
        assert [(name, n) for name, n, report in reports if report.ok] == []


def test_every_empty_or_foreign_line_is_found(good: MemorySource) -> None:
    for raw in (b"\n", b"{}\n", b"\x00", b"x" * 200_000 + b"\n"):
        reports = inserted(good, raw)
        assert [(name, n) for name, n, report in reports if report.ok] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_every_truncation_is_found(good: MemorySource, name: str) -> None:
    data = good.files[name]
    missed = [size for size in range(len(data)) if verified(good.with_(name, data[:size])).ok]
    assert missed == []


@pytest.mark.parametrize("name", [*FILES, CHECKPOINT_FILE, PUBLIC_KEY_FILE])
def test_a_missing_file_is_found(good: MemorySource, name: str) -> None:
    report = verified(good.with_(name, None))
    assert not report.ok
    expected = {
        NEWEST: FaultCode.TRUNCATED,
        CHECKPOINT_FILE: FaultCode.CHECKPOINT,
        PUBLIC_KEY_FILE: FaultCode.KEY,
    }
    assert report.faults[0].code is expected.get(name, FaultCode.SEGMENT_MISSING)


def test_files_in_each_others_place_are_found(good: MemorySource) -> None:
    swapped = good.with_(SEALED, good.files[MIDDLE]).with_(MIDDLE, good.files[SEALED])
    assert FaultCode.HEADER in {fault.code for fault in verified(swapped).faults}
    for name in (SEALED, NEWEST):
        renamed = good.with_(name, None).with_(name.replace("log", "stub"), good.files[name])
        assert FaultCode.STUB in {fault.code for fault in verified(renamed).faults}
    unstubbed = good.with_(STUB, None).with_("00000001.log", good.files[STUB])
    assert not verified(unstubbed).ok


def test_an_older_copy_of_the_newest_file_is_found(good: MemorySource) -> None:
    lines = good.lines(NEWEST)
    signed = [n for n, raw in enumerate(lines) if Line.parse(raw).kind in SIGNED]
    assert len(signed) > 1
    report = verified(good.with_(NEWEST, b"".join(lines[: signed[-2] + 1])))
    assert [fault.code for fault in report.faults] == [FaultCode.TRUNCATED]


def test_all_files_put_back_to_an_earlier_signature_are_found_by_an_anchor_only(
    good: MemorySource,
) -> None:
    lines = good.lines(NEWEST)
    signed = [n for n, raw in enumerate(lines) if Line.parse(raw).kind in SIGNED]
    earlier = good.with_(NEWEST, b"".join(lines[: signed[-2] + 1]))
    earlier = earlier.with_(CHECKPOINT_FILE, lines[signed[-2]])
    assert verified(earlier).ok
    report = verified(earlier, verified(good).signed)
    assert [fault.code for fault in report.faults] == [FaultCode.TRUNCATED]


# The same JSON, written otherwise: bytes are hashed, not values.


def respaced(raw: bytes) -> bytes:
    return json.dumps(json.loads(raw), ensure_ascii=False).encode() + b"\n"


def reordered(raw: bytes) -> bytes:
    members = dict(reversed(json.loads(raw).items()))
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def tail_reordered(raw: bytes) -> bytes:
    members = list(json.loads(raw).items())
    members[4:] = members[:3:-1]
    return json.dumps(dict(members), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def escaped(raw: bytes) -> bytes:
    return json.dumps(json.loads(raw), separators=(",", ":")).encode() + b"\n"


def escaped_letter(raw: bytes) -> bytes:
    return raw.replace(b'"at":"2', b'"at":"\\u0032').replace(b"/", b"\\/")


def repeated_member(raw: bytes) -> bytes:
    return raw.replace(b'"at":', b'"at":"","at":')


def spaced_end(raw: bytes) -> bytes:
    return raw.replace(b"}\n", b" }\n")


def carriage_return(raw: bytes) -> bytes:
    return raw.replace(b"\n", b"\r\n")


def upper_case_hash(raw: bytes) -> bytes:
    return raw[:9] + raw[9:73].upper() + raw[73:]


@pytest.mark.parametrize(
    "rewrite",
    [
        respaced,
        reordered,
        tail_reordered,
        escaped,
        escaped_letter,
        repeated_member,
        spaced_end,
        carriage_return,
        upper_case_hash,
    ],
)
def test_the_same_json_written_otherwise_is_found(
    good: MemorySource, rewrite: Callable[[bytes], bytes]
) -> None:
    def one(lines: list[bytes], n: int) -> list[bytes]:
        rewritten = rewrite(lines[n])
        if rewrite is not repeated_member:
            assert json.loads(rewritten) == json.loads(lines[n]) or rewrite is upper_case_hash
        lines[n] = rewritten
        return lines

    reports = list(broken_lines(good, one))
    assert len(reports) >= 2
    assert [(name, n) for name, n, report in reports if report.ok] == []


# Somebody who can compute hashes but has not the key.


def rechained(good: MemorySource, first: int, key: Ed25519PrivateKey | None = None) -> MemorySource:
    """Change the record at a number and compute every hash after it anew; sign with a key if there is one."""
    source, prev, lines = good, "", [b""]
    signer = Signer(key) if key is not None else None
    for name in FILES[1:]:
        lines = []
        for raw in source.lines(name):
            line = Line.parse(raw)
            if line.seq >= first:
                members = line.fields()
                content = {k: v for k, v in members.items() if k not in ("hash", "prev", "seq", "line", "signature")}  # fmt: skip
                if line.seq == first:
                    content["detail"] = "nobody was here"
                sign = None
                if line.kind in SIGNED:
                    sign = signer.sign if signer is not None else lambda _: line.signed()[1]  # noqa: B023 - used at once
                    content["key"] = signer.key_id if signer is not None else content["key"]
                forged, prev = encode(
                    line.kind, content, seq=line.seq, prev=prev or line.prev, sign=sign
                )
                lines.append(forged)
            else:
                lines.append(raw)
        source = source.with_(name, b"".join(lines))
    return source.with_(CHECKPOINT_FILE, lines[-1])


def test_a_record_changed_with_all_hashes_after_it_fails_at_the_next_signature(
    good: MemorySource,
) -> None:
    seqs = {Line.parse(raw).seq: raw for name in FILES[1:] for raw in good.lines(name)}
    for seq, raw in seqs.items():
        if Line.parse(raw).kind in SIGNED:
            continue
        report = verified(rechained(good, seq))
        codes = {fault.code for fault in report.faults}
        assert FaultCode.SIGNATURE in codes or FaultCode.CHECKPOINT in codes
        assert all(proven.last_seq < seq for proven in report.proven)


def test_with_a_key_of_ones_own_it_takes_a_published_key_to_go_unnoticed(
    good: MemorySource,
) -> None:
    # The last record of the second file; what is signed before it was signed by the true key.
    forged = rechained(good, Line.parse(good.lines(SEALED)[4]).seq, OTHER_KEY)
    codes = {fault.code for fault in verified(forged).faults}
    assert codes == {FaultCode.SIGNATURE, FaultCode.CHECKPOINT}
    both = KeyRing([Signer(KEY).key_id, Signer(OTHER_KEY).key_id])
    published = forged.with_(PUBLIC_KEY_FILE, both.pem())
    report = verified(published)
    # The files alone cannot tell; the fingerprints can, and so can keys from elsewhere, or one line noted before.
    assert report.ok
    assert report.keys == [Signer(KEY).fingerprint, Signer(OTHER_KEY).fingerprint]
    assert not verify_source(published, keys=KeyRing([Signer(KEY).key_id])).ok
    noted = Line.parse(good.lines(MIDDLE)[2])
    report = verified(published, Anchor(noted.seq, noted.hash))
    assert [fault.code for fault in report.faults] == [FaultCode.ANCHOR]


# Behind the last signature.


def with_tail(good: MemorySource, count: int) -> MemorySource:
    """Let records follow the last signed line, as in a gateway that was cut from its power."""
    lines = good.lines(NEWEST)
    last = Line.parse(lines[-1])
    seq, prev = last.seq, last.hash
    for number in range(count):
        seq += 1
        content = {"at": "2027-01-01T00:00:00.000000Z", "kind": "access", "entry_id": str(number)}
        raw, prev = encode(Line.parse(lines[1]).kind, content, seq=seq, prev=prev)
        lines.append(raw)
    return good.with_(NEWEST, b"".join(lines))


def test_lines_behind_the_last_signature_are_counted_as_unproven(good: MemorySource) -> None:
    report = verified(with_tail(good, 3))
    assert report.ok
    assert report.unsigned == 3
    assert report.last is not None
    assert report.proven[-1].last_seq == report.last.seq - 3
    assert "3 lines follow the last signature" in report.notes[0]


def test_of_lines_behind_the_last_signature_a_cut_is_proven_only_by_an_anchor(
    good: MemorySource,
) -> None:
    full = with_tail(good, 3)
    last = verified(full).last
    assert last is not None
    report = verified(full, last)
    assert (report.ok, report.anchored) == (True, True)
    cut = full.with_(NEWEST, b"".join(full.lines(NEWEST)[:-1]))
    assert verified(cut).ok
    report = verified(cut, last)
    assert [fault.code for fault in report.faults] == [FaultCode.TRUNCATED]
    assert not report.anchored


def test_a_changed_byte_behind_the_last_signature_is_found_but_in_its_last_newline(
    good: MemorySource,
) -> None:
    full = with_tail(good, 2)
    data = full.files[NEWEST]
    begin = len(good.files[NEWEST])
    missed = [
        position
        for position in range(begin, len(data))
        if verified(full.with_(NEWEST, changed(data, position, 1))).ok
    ]
    # Without its end the last line is a half-written one, as a crash leaves it; that is said.
    assert missed == [len(data) - 1]
    report = verified(full.with_(NEWEST, data[:-1]))
    assert report.half_written > 100


def test_an_anchor_in_what_retention_removed_is_said_to_be_beyond_proof(
    good: MemorySource,
) -> None:
    report = verified(good, Anchor(3, "ab" * 32))
    assert report.ok
    assert not report.anchored
    assert "which retention removed" in report.notes[0]


def test_an_anchor_that_is_not_this_logs_is_a_fault(good: MemorySource) -> None:
    report = verified(good, Anchor(12, "ab" * 32))
    assert [fault.code for fault in report.faults] == [FaultCode.ANCHOR]
    assert "another line 12" in str(report.faults[0])
