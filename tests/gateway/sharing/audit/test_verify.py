"""Verifying directories and archives; what is found in broken ones is in test_verify_mutations."""

import asyncio
import zipfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.sharing.audit.checkpoint import CHECKPOINT_FILE, KeyRing, Signer
from gateway.sharing.audit.line import GENESIS, LineKind, encode
from gateway.sharing.audit.report import MAX_FAULTS, FaultCode, VerifyReport
from gateway.sharing.audit.verify import verify, verify_source
from tests.gateway.sharing.audit.samples import KEY, MemorySource, access, open_log

HEADER = {"at": "2026-11-21T08:30:15.123456Z", "format": 1, "open": 0, "segment": 1}


def codes(report: VerifyReport) -> list[FaultCode]:
    return [fault.code for fault in report.faults]


def test_what_is_not_there_is_unreadable(tmp_path: Path) -> None:
    assert codes(verify(tmp_path / "nothing")) == [FaultCode.UNREADABLE]


def test_a_file_that_is_no_archive_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK, or not")
    assert codes(verify(tmp_path / "x.zip")) == [FaultCode.UNREADABLE]


def test_an_archive_with_a_broken_file_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("00000001.log", b"x" * 100)
    path.write_bytes(path.read_bytes().replace(b"xxxx", b"yyyy"))
    assert FaultCode.UNREADABLE in codes(verify(path))


def test_an_empty_directory_is_no_audit(tmp_path: Path) -> None:
    report = verify(tmp_path)
    assert codes(report) == [FaultCode.KEY, FaultCode.TRUNCATED, FaultCode.CHECKPOINT]
    assert not report.ok


async def test_a_directory_is_only_read(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        log.record(access(1))
    before = MemorySource.of(tmp_path).files
    assert (await asyncio.to_thread(verify, tmp_path)).ok
    assert MemorySource.of(tmp_path).files == before


def test_a_log_that_nobody_signed_is_not_taken_for_one(tmp_path: Path) -> None:
    # Who has no key could write a whole new one, with no signature in it.
    lines, prev = [], GENESIS
    for seq in range(1, 10):
        kind = LineKind.HEADER if seq == 1 else LineKind.ENTRY
        raw, prev = encode(kind, HEADER, seq=seq, prev=prev)
        lines.append(raw)
    files = {"00000001.log": b"".join(lines), "public.pem": KeyRing([Signer(KEY).key_id]).pem()}
    report = verify_source(MemorySource(files))
    assert codes(report) == [FaultCode.CHECKPOINT]
    assert report.proven == []


def test_a_newer_format_is_not_taken_for_this_one() -> None:
    signer = Signer(KEY)
    first, prev = encode(LineKind.HEADER, HEADER | {"format": 2}, seq=1, prev=GENESIS)
    content = {"at": HEADER["at"], "key": signer.key_id}
    second, _ = encode(LineKind.CHECKPOINT, content, seq=2, prev=prev, sign=signer.sign)
    files = {
        "00000001.log": first + second,
        CHECKPOINT_FILE: second,
        "public.pem": KeyRing([signer.key_id]).pem(),
    }
    report = verify_source(MemorySource(files))
    assert codes(report) == [FaultCode.HEADER]
    assert "format 2, expected 1" in str(report.faults[0])


def test_faults_name_their_place() -> None:
    report = VerifyReport()
    report.add(FaultCode.CHANGED, "why", segment=2, line=3, seq=17)
    report.add(FaultCode.KEY, "why")
    assert list(map(str, report.faults)) == [
        "segment 2, line 3, record 17, changed: why",
        "key: why",
    ]


def test_a_flood_of_faults_is_counted_not_kept() -> None:
    files = {"00000001.log": b"nonsense\n" * (MAX_FAULTS + 500)}
    report = verify_source(MemorySource(files))
    assert len(report.faults) == MAX_FAULTS
    assert report.fault_count > MAX_FAULTS + 400


@given(st.dictionaries(st.sampled_from(["00000001.log", "00000001.stub", "00000002.log", "checkpoint.json", "public.pem", "manifest.json"]), st.binary(max_size=200)))  # fmt: skip
def test_any_files_give_a_report(files: dict[str, bytes]) -> None:
    assert not verify_source(MemorySource(files)).ok
