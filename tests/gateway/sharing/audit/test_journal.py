"""Chunks to files."""

import errno
from pathlib import Path

from gateway.sharing.audit.chain import Chunk
from gateway.sharing.audit.journal import Journal
from tests.gateway.sharing.audit.faulty import FaultyFiles


def chunk(segment: int, data: bytes) -> Chunk:
    made = Chunk(segment)
    for number in range(0, len(data), 3):
        made.add(data[number : number + 3])
    return made


def test_chunks_go_to_their_files_and_then_the_files_beside(tmp_path: Path) -> None:
    files = FaultyFiles(tmp_path)
    journal = Journal(files, 0, 0)
    assert journal.write([chunk(1, b"one "), chunk(2, b"two")], {"x": b"beside"}) == (2, None)
    assert journal.write([chunk(2, b" more"), chunk(3, b"three")], {}) == (2, None)
    assert [files.read(number) for number in (1, 2, 3)] == [b"one ", b"two more", b"three"]
    assert files.read_beside("x") == b"beside"
    assert files.appended == [(1, 0, 4), (2, 0, 3), (2, 3, 5), (3, 0, 5)]
    files.close()


def test_it_goes_on_in_a_file_that_is_there(tmp_path: Path) -> None:
    files = FaultyFiles(tmp_path)
    files.append(7, b"before ", at=0)
    assert Journal(files, 7, 7).write([chunk(7, b"after")], {}) == (1, None)
    assert files.read(7) == b"before after"
    files.close()


def test_what_was_written_by_half_is_cut_and_written_again(tmp_path: Path) -> None:
    files = FaultyFiles(tmp_path)
    journal = Journal(files, 0, 0)
    journal.write([chunk(1, b"good ")], {})
    for half in range(7):
        files.half = half
        done, error = journal.write([chunk(1, b"record")], {"x": b"never"})
        assert (done, error is not None) == (0, True)
        assert files.read(1) == b"good " + b"record"[:half]
    assert files.read_beside("x") is None
    assert journal.write([chunk(1, b"record")], {}) == (1, None)
    assert files.read(1) == b"good record"
    files.close()


def test_a_new_file_written_by_half_is_begun_again(tmp_path: Path) -> None:
    files = FaultyFiles(tmp_path)
    journal = Journal(files, 0, 0)
    files.half = 2
    waiting = [chunk(1, b"one"), chunk(2, b"two")]
    assert journal.write(waiting, {})[0] == 0
    assert journal.write(waiting, {}) == (2, None)
    assert (files.read(1), files.read(2)) == (b"one", b"two")
    files.close()


def test_chunks_before_the_failure_are_durable(tmp_path: Path) -> None:
    files = FaultyFiles(tmp_path)
    journal = Journal(files, 0, 0)
    journal.write([chunk(1, b"one")], {})
    (tmp_path / "00000003.log").mkdir()
    done, error = journal.write([chunk(1, b"x"), chunk(2, b"two"), chunk(3, b"three")], {})
    assert (done, type(error)) == (2, IsADirectoryError)
    (tmp_path / "00000003.log").rmdir()
    assert journal.write([chunk(3, b"three")], {}) == (1, None)
    assert [files.read(number) for number in (1, 2, 3)] == [b"onex", b"two", b"three"]
    files.close()


def test_a_file_beside_that_fails_is_reported(tmp_path: Path) -> None:
    files = FaultyFiles(tmp_path)
    files.beside_fails = True
    done, error = Journal(files, 0, 0).write([chunk(1, b"one")], {"x": b""})
    assert (done, error is not None) == (1, True)
    files.close()


def test_what_another_process_wrote_before_it_could_write_at_all_is_never_cut(
    tmp_path: Path,
) -> None:
    files, other = FaultyFiles(tmp_path), FaultyFiles(tmp_path)
    other.append(1, b"before ", at=0)
    late = Journal(files, 1, 7)
    done, error = late.write([chunk(1, b"mine")], {})
    assert (done, type(error)) == (0, BlockingIOError)
    other.append(1, b"theirs", at=7)
    other.close()
    for _ in range(3):
        done, error = late.write([chunk(1, b"mine")], {})
        assert (done, error.errno if error else None) == (0, errno.ESTALE)
        assert files.read(1) == b"before theirs"
    files.close()
