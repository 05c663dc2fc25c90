"""The audit's files."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.domain.audit import SegmentInfo
from gateway.store.audit_files import DirectoryAuditFiles


@pytest.fixture
def files(tmp_path: Path) -> Iterator[DirectoryAuditFiles]:
    files = DirectoryAuditFiles(tmp_path / "audit")
    yield files
    files.close()


def test_a_directory_that_is_not_there_is_empty_and_not_made_by_reading(tmp_path: Path) -> None:
    files = DirectoryAuditFiles(tmp_path / "audit")
    assert files.segments() == []
    assert files.read_beside("checkpoint.json") is None
    assert not (tmp_path / "audit").exists()


def test_segments_are_appended_to_and_listed_in_order(files: DirectoryAuditFiles) -> None:
    files.append(1, b"one\n", at=0)
    files.append(1, b"two\n", at=4)
    files.append(10, b"x", at=0)
    files.append(2, b"xy", at=0)
    assert files.read(1) == b"one\ntwo\n"
    assert files.segments() == [
        SegmentInfo(number=1, size=8, sealed=True),
        SegmentInfo(number=2, size=2, sealed=True),
        SegmentInfo(number=10, size=1, sealed=False),
    ]


def test_files_are_for_their_owner_only(files: DirectoryAuditFiles, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        files.append(1, b"x", at=0)
        files.write_beside("public.pem", b"x")
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "audit").iterdir()} == {0o600}
    assert (tmp_path / "audit").stat().st_mode & 0o777 == 0o700


def test_a_segment_of_another_size_than_written_is_refused_and_left_alone(
    files: DirectoryAuditFiles,
) -> None:
    files.append(1, b"12345", at=0)
    for at in (0, 4, 6):
        with pytest.raises(OSError, match=f"has 5 bytes where {at} were written"):
            files.append(1, b"x", at=at)
    assert files.read(1) == b"12345"


def test_a_segment_that_was_removed_is_not_made_anew(files: DirectoryAuditFiles) -> None:
    files.append(1, b"12345", at=0)
    files.path(1).unlink()
    with pytest.raises(FileNotFoundError):
        files.append(1, b"x", at=5)
    assert files.segments() == []


def test_cutting_takes_away_but_never_adds(files: DirectoryAuditFiles) -> None:
    files.append(1, b"12345", at=0)
    files.truncate(1, 3)
    assert files.read(1) == b"123"
    files.truncate(1, 30)
    files.truncate(2, 0)
    assert files.read(1) == b"123"
    assert len(files.segments()) == 1
    files.append(1, b"45", at=3)
    assert files.read(1) == b"12345"


def test_a_stub_takes_the_place_of_a_segment(files: DirectoryAuditFiles) -> None:
    files.append(1, b"records", at=0)
    files.append(2, b"more", at=0)
    files.replace(1, b"stub")
    assert files.read(1) == b"stub"
    assert files.path(1).name == "00000001.stub"
    assert files.segments()[0] == SegmentInfo(number=1, size=4, sealed=True, stub=True)


def test_a_replacement_cut_short_by_a_crash_counts_as_made(
    files: DirectoryAuditFiles, tmp_path: Path
) -> None:
    files.append(1, b"records", at=0)
    (tmp_path / "audit" / "00000001.stub").write_bytes(b"stub")
    (tmp_path / "audit" / ".00000002.stub.abcd0123").write_bytes(b"half")
    (tmp_path / "audit" / "notes.txt").write_bytes(b"of a person")
    assert files.segments() == [SegmentInfo(number=1, size=4, sealed=True, stub=True)]
    # The next write, whichever it is, removes what is left over.
    files.close()
    files.append(2, b"more", at=0)
    names = {path.name for path in (tmp_path / "audit").iterdir()}
    assert names == {"00000001.stub", "00000002.log", ".lock", "notes.txt"}


def test_files_beside_are_replaced(files: DirectoryAuditFiles) -> None:
    files.write_beside("checkpoint.json", b"one")
    files.write_beside("checkpoint.json", b"two")
    assert files.read_beside("checkpoint.json") == b"two"
    assert files.segments() == []


def test_one_writes_at_a_time_and_others_may_read(
    files: DirectoryAuditFiles, tmp_path: Path
) -> None:
    files.append(1, b"x", at=0)
    other = DirectoryAuditFiles(tmp_path / "audit")
    assert other.read(1) == b"x"
    with pytest.raises(OSError, match="another process writes the audit in"):
        other.append(1, b"y", at=1)
    files.close()
    other.append(1, b"y", at=1)
    other.close()
    other.close()
    assert files.read(1) == b"xy"


def test_what_a_full_disk_left_half_written_can_be_cut_and_written_again(
    files: DirectoryAuditFiles,
) -> None:
    files.append(1, b"12345", at=0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            files.append(1, b"6789a", at=5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files.read(1) == b"12345678"
    files.truncate(1, 5)
    files.append(1, b"6789a", at=5)
    assert files.read(1) == b"123456789a"
