"""Where the chain stands when the gateway starts."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sharing.audit.checkpoint import CHECKPOINT_FILE, KeyRing, Signer
from gateway.sharing.audit.line import GENESIS, SIGNED, Line, LineKind, encode
from gateway.sharing.audit.log import AuditLog
from gateway.sharing.audit.recovery import Recovered, recover
from gateway.sharing.audit.report import FaultCode, VerifyReport
from gateway.sharing.audit.verify import verify
from gateway.store.audit_files import DirectoryAuditFiles
from tests.gateway.sharing.audit.samples import KEY, OTHER_KEY, Wall, access, end, open_log

KEYS = KeyRing([Signer(KEY).key_id])


async def fill(log: AuditLog, wall: Wall) -> None:
    for number in range(17):
        log.record(access(number, wall.now, lasting=number % 3 == 0))
        wall.pass_(seconds=1)
        if number % 2:
            log.record(end(number - 1, wall.now))


async def make(directory: Path, wall: Wall) -> None:
    async with open_log(directory, wall) as log:
        await fill(log, wall)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made")
    asyncio.run(make(directory, Wall()))
    return directory


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "audit")


def recovered(directory: Path, keys: KeyRing = KEYS) -> Recovered:
    files = DirectoryAuditFiles(directory)
    try:
        return recover(files, keys)
    finally:
        files.close()


def logs(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.log"))


def newest(directory: Path) -> Path:
    return logs(directory)[-1]


def parsed(path: Path) -> list[Line]:
    return [Line.parse(raw) for raw in path.read_bytes().splitlines(keepends=True)]


async def start_again(directory: Path) -> VerifyReport:
    async with open_log(directory, Wall()) as log:
        log.record(access(1000))
        assert log.health().ok
    return await asyncio.to_thread(verify, directory)


def test_nothing_is_the_beginning(tmp_path: Path) -> None:
    found = recovered(tmp_path / "audit")
    assert (found.state.seq, found.state.hash, found.state.segment) == (0, GENESIS, 0)
    assert (found.spans, found.damage, found.cut) == ([], "", 0)
    assert not (tmp_path / "audit").exists()


def test_after_a_clean_end_it_goes_on_in_the_same_file(directory: Path) -> None:
    lines = parsed(newest(directory))
    found = recovered(directory)
    state = found.state
    assert found.damage == ""
    assert (state.seq, state.hash) == (lines[-1].seq, lines[-1].hash)
    assert (state.segment, state.size) == (3, newest(directory).stat().st_size)
    assert state.span is not None
    assert state.span.records == sum(line.kind is LineKind.ENTRY for line in lines)
    assert [(span.number, span.records, span.sealed) for span in found.spans] == [
        (1, 10, True),
        (2, 10, True),
    ]
    assert found.spans[0].first_at is not None
    assert list(state.open) == ["a3", "a9", "a15"]


def crashed(made: Path, directory: Path, step: int) -> Iterator[tuple[int, int]]:
    """Leave files as a crash after any byte would; yield the whole lines and the bytes of a half one."""
    names = sorted(path.name for path in made.glob("*.log"))
    data = b"".join((made / name).read_bytes() for name in names)
    ends = [len((made / name).read_bytes()) for name in names]
    shutil.copy(made / "public.pem", directory / "public.pem")
    for size in range(1, len(data), step):
        begin = 0
        for name, length in zip(names, ends, strict=True):
            part = data[begin : min(size, begin + length)]
            (directory / name).unlink(missing_ok=True)
            if part:
                (directory / name).write_bytes(part)
            begin += length
        whole = data[:size].splitlines(keepends=True)
        half = 0 if whole[-1].endswith(b"\n") else len(whole.pop())
        signed = [raw for raw in whole if Line.parse(raw).kind in SIGNED]
        (directory / CHECKPOINT_FILE).unlink(missing_ok=True)
        if signed:
            # The copy is written a moment after the line.
            (directory / CHECKPOINT_FILE).write_bytes(signed[-1 - size % min(2, len(signed))])
        yield len(whole), half


@pytest.mark.slow
def test_after_a_crash_at_any_byte_every_whole_line_is_kept(made: Path, tmp_path: Path) -> None:
    for whole, half in crashed(made, tmp_path, 7):
        found = recovered(tmp_path)
        assert found.damage == ""
        assert (found.state.seq, found.cut) == (whole, half)


@pytest.mark.slow
def test_after_a_crash_anywhere_the_log_goes_on_and_verifies(made: Path, tmp_path: Path) -> None:
    tried = 0
    for _ in crashed(made, tmp_path, 487):
        copy = shutil.copytree(tmp_path, tmp_path.with_name("copy"))
        report = asyncio.run(start_again(copy))
        assert report.faults == []
        assert len(report.proven) == 1
        assert report.unsigned == 0
        shutil.rmtree(copy)
        tried += 1
    assert tried > 20


async def test_accesses_that_a_crash_left_open_are_ended(directory: Path) -> None:
    wall = Wall()
    wall.pass_(days=1)
    async with open_log(directory, wall) as log:
        assert log.status().open == 0
    report = await asyncio.to_thread(verify, directory)
    assert report.ok
    lines = [line for path in logs(directory) for line in parsed(path)]
    records = [line.fields() for line in lines if line.kind is LineKind.ENTRY]
    ends = {each["ref"]: each for each in records if each.get("result") == "interrupted"}
    assert list(ends) == ["a3", "a9", "a15"]
    # From its begin to the last line, not to the start.
    assert [each["duration_s"] for each in ends.values()] == [14.0, 8.0, 2.0]
    async with open_log(directory, wall) as log:
        assert log.status().open == 0


def test_accesses_are_found_though_the_next_file_was_begun_by_half(
    made: Path, tmp_path: Path
) -> None:
    for name in ("00000001.log", "00000002.log"):
        shutil.copy(made / name, tmp_path / name)
    header = (made / "00000003.log").read_bytes().splitlines(keepends=True)[0]
    (tmp_path / "00000003.log").write_bytes(header + b'{"hash":"half of the accesses')
    (tmp_path / CHECKPOINT_FILE).write_bytes(
        (tmp_path / "00000002.log").read_bytes().splitlines(keepends=True)[-1]
    )
    found = recovered(tmp_path)
    assert found.damage == ""
    assert list(found.state.open) == ["a3", "a9", "a12"]


# Damage: the files are left as they are, a new one is begun, and what was found is on record.


async def damaged(directory: Path) -> VerifyReport:
    before = {path.name: path.read_bytes() for path in logs(directory)}
    report = await start_again(directory)
    for name, data in before.items():
        assert (directory / name).read_bytes() == data, "evidence is left alone"
    assert newest(directory).name not in before
    codes = {fault.code for fault in report.faults}
    assert FaultCode.RECORDED_DAMAGE in codes
    # What was found stays to be found.
    again = await start_again(directory)
    assert {fault.code for fault in again.faults} == codes
    assert again.fault_count == report.fault_count
    return report


async def test_a_changed_record_is_put_on_record_at_the_start(directory: Path) -> None:
    path = newest(directory)
    path.write_bytes(path.read_bytes().replace(b'"rule":"county-live"', b'"rule":"county-dead"', 1))
    report = await damaged(directory)
    assert {fault.code for fault in report.faults} == {
        FaultCode.CHANGED,
        FaultCode.UNSEALED,
        FaultCode.RECORDED_DAMAGE,
    }


async def test_records_cut_off_though_signed_leave_their_numbers_missing(directory: Path) -> None:
    path = newest(directory)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]))
    last = Line.parse(lines[-1]).seq
    report = await damaged(directory)
    missing = [fault for fault in report.faults if fault.code is FaultCode.MISSING]
    assert f"lines {last - 2} to {last} are missing" in missing[0].detail
    assert any(f"line {last} was signed" in fault.detail for fault in report.faults)


async def test_a_lost_file_is_put_on_record(directory: Path) -> None:
    newest(directory).unlink()
    report = await damaged(directory)
    assert FaultCode.SEGMENT_MISSING in {fault.code for fault in report.faults}


async def test_an_emptied_directory_does_not_begin_anew(directory: Path) -> None:
    for path in logs(directory):
        path.unlink()
    report = await damaged(directory)
    assert newest(directory).name == "00000004.log"
    assert report.faults[0].detail == "files 1 to 3 are missing"


async def test_lines_that_do_not_follow_are_put_on_record(directory: Path) -> None:
    path = newest(directory)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *lines[2:]]))
    await damaged(directory)


async def test_garbage_with_an_end_is_put_on_record(directory: Path) -> None:
    with newest(directory).open("ab") as file:
        file.write(b"\x00" * 100 + b"\n")
    await damaged(directory)


async def test_a_forged_line_with_a_huge_number_does_not_use_the_numbers_up(
    directory: Path,
) -> None:
    last = parsed(newest(directory))[-1]
    with newest(directory).open("ab") as file:
        file.write(encode(LineKind.ENTRY, {"at": "x"}, seq=10**17, prev=last.hash)[0])
    report = await damaged(directory)
    assert report.last is not None
    assert report.last.seq < 1000


@pytest.mark.parametrize("content", [b"", b"nonsense\n", None])
async def test_a_checkpoint_file_that_was_tampered_with_is_put_on_record(
    directory: Path, content: bytes | None
) -> None:
    path = directory / CHECKPOINT_FILE
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    report = await damaged(directory)
    assert CHECKPOINT_FILE in " ".join(fault.detail for fault in report.faults)


async def test_a_forged_checkpoint_file_does_not_use_the_numbers_up(directory: Path) -> None:
    other = Signer(OTHER_KEY)
    content = {"at": "x", "key": other.key_id, "segment": 10**6}
    raw, _ = encode(LineKind.CHECKPOINT, content, seq=10**14, prev=GENESIS, sign=other.sign)
    (directory / CHECKPOINT_FILE).write_bytes(raw)
    report = await damaged(directory)
    assert report.last is not None
    assert report.last.seq < 1000


async def test_a_lost_key_is_replaced_and_the_old_one_still_verifies(directory: Path) -> None:
    async with open_log(directory, key=OTHER_KEY) as log:
        log.record(access(1000))
        both = [Signer(KEY).key_id, Signer(OTHER_KEY).key_id]
        assert KeyRing.from_pem(log.public_keys()).keys == both
    report = await asyncio.to_thread(verify, directory)
    assert report.faults == []
    assert report.keys == [Signer(KEY).fingerprint, Signer(OTHER_KEY).fingerprint]
    # A published key that was removed is missed.
    (directory / "public.pem").write_bytes(KeyRing([Signer(OTHER_KEY).key_id]).pem())
    report = await asyncio.to_thread(verify, directory)
    assert {fault.code for fault in report.faults} == {FaultCode.SIGNATURE}
