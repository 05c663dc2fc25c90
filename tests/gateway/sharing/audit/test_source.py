"""Where the lines of an audit are read from."""

import io
import zipfile
from pathlib import Path

import pytest

from gateway.domain.audit import SegmentInfo
from gateway.sharing.audit.line import MAX_LINE
from gateway.sharing.audit.source import Source, file_name, open_source, read_lines

FILES = {
    "00000001.stub": b"stub",
    "00000002.log": b"two",
    "00000003.log": b"three",
    "checkpoint.json": b"check",
    "README.txt": b"",
    "0000004.log": b"too short a number",
}


@pytest.fixture(params=["directory", "archive"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "directory":
        for name, data in FILES.items():
            (tmp_path / name).write_bytes(data)
        return tmp_path
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return tmp_path / "x.zip"


def read(source: Source, number: int, *, stub: bool = False) -> bytes:
    with source.open(number, stub=stub) as file:
        return file.read()


def test_a_directory_and_an_archive_give_the_same(path: Path) -> None:
    with open_source(path) as source:
        assert source.segments() == [
            SegmentInfo(number=1, size=4, sealed=True, stub=True),
            SegmentInfo(number=2, size=3, sealed=True),
            SegmentInfo(number=3, size=5, sealed=False),
        ]
        assert read(source, 1, stub=True) == b"stub"
        assert read(source, 3) == b"three"
        assert source.read_beside("checkpoint.json") == b"check"
        assert source.read_beside("public.pem") is None


def test_a_stub_beside_its_log_takes_its_place(tmp_path: Path) -> None:
    for name in ("00000001.log", "00000001.stub", "00000002.log"):
        (tmp_path / name).write_bytes(b"x")
    with open_source(tmp_path) as source:
        assert [(info.number, info.stub) for info in source.segments()] == [(1, True), (2, False)]


def test_names_have_eight_digits() -> None:
    assert file_name(1, stub=False) == "00000001.log"
    assert file_name(12345678, stub=True) == "12345678.stub"


def test_lines_come_with_their_newline_and_the_last_as_it_is() -> None:
    assert list(read_lines(io.BytesIO(b"a\n\nb\r\nc"))) == [b"a\n", b"\n", b"b\r\n", b"c"]
    assert list(read_lines(io.BytesIO(b""))) == []


@pytest.mark.parametrize("size", [MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE, 10 * MAX_LINE + 7])
def test_a_line_that_is_too_long_is_cut_and_the_next_one_found(size: int) -> None:
    data = b"x" * size + b"\nnext\n"
    lines = list(read_lines(io.BytesIO(data)))
    assert lines[-1] == b"next\n"
    assert len(lines) == 2
    assert len(lines[0]) <= MAX_LINE + 1
    (cut,) = read_lines(io.BytesIO(b"x" * size))
    assert len(cut) <= MAX_LINE
