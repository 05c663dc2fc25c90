"""Exports with proof."""

import asyncio
import io
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.domain.errors import Invalid, NotFound, Unavailable
from gateway.sharing.audit import export as module
from gateway.sharing.audit.checkpoint import CHECKPOINT_FILE, PUBLIC_KEY_FILE, KeyRing, Signer
from gateway.sharing.audit.export import README_FILE
from gateway.sharing.audit.line import Line
from gateway.sharing.audit.log import AuditLog
from gateway.sharing.audit.report import FaultCode, VerifyReport
from gateway.sharing.audit.verify import MANIFEST_FILE, verify
from tests.gateway.sharing.audit.faulty import FaultyFiles
from tests.gateway.sharing.audit.samples import AT, KEY, OTHER_KEY, Wall, access, open_log

BESIDE = {README_FILE, MANIFEST_FILE, CHECKPOINT_FILE, PUBLIC_KEY_FILE}


async def filled(log: AuditLog, count: int = 45) -> None:
    for number in range(count):
        log.record(access(number, AT + timedelta(minutes=number)))


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


async def checked(
    tmp_path: Path, files: dict[str, bytes], keys: KeyRing | None = None
) -> VerifyReport:
    def work() -> VerifyReport:
        path = tmp_path / "export.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return verify(path, keys=keys)

    return await asyncio.to_thread(work)


async def test_an_export_of_everything_verifies_wherever_it_goes(tmp_path: Path) -> None:
    async with open_log(tmp_path / "audit") as log:
        await filled(log)
        data = await log.export()
        await asyncio.to_thread((tmp_path / "x.zip").write_bytes, data)
        head = log.status().signed
    report = await asyncio.to_thread(verify, tmp_path / "x.zip")
    assert report.faults == []
    assert report.is_export
    assert (report.first_seq, report.signed, report.unsigned) == (1, head, 0)
    assert report.keys == [Signer(KEY).fingerprint]
    assert set(unpacked(data)) == BESIDE | {f"0000000{n}.log" for n in range(1, 6)}


async def test_an_export_of_a_period_holds_the_files_that_cover_it(tmp_path: Path) -> None:
    async with open_log(tmp_path / "audit") as log:
        await filled(log)
        files = unpacked(await log.export(AT + timedelta(minutes=15), AT + timedelta(minutes=25)))
    assert set(files) == BESIDE | {"00000002.log", "00000003.log"}
    report = await checked(tmp_path, files)
    assert report.faults == []
    (proven,) = report.proven
    assert report.first_seq == proven.first_seq > 1
    assert report.records == 20
    assert "what came before its first file" in report.notes[0]
    assert files["00000003.log"].endswith(files[CHECKPOINT_FILE])


async def test_the_readme_tells_in_both_languages_how_to_verify(tmp_path: Path) -> None:
    async with open_log(tmp_path / "audit") as log:
        await filled(log, 3)
        files = unpacked(await log.export(AT))
    text = files[README_FILE].decode()
    assert "离线校验" in text
    assert "gateway audit verify" in text
    assert Signer(KEY).fingerprint in text
    assert "{" not in text.replace("{manifest}", "")
    # As it says, with nothing but the public key: the last line's signature.
    body = Line.parse(files[CHECKPOINT_FILE])
    signed, signature = body.signed()
    key = load_pem_public_key(files[PUBLIC_KEY_FILE])
    key.verify(signature, signed)  # type: ignore[union-attr, call-arg]


async def test_files_that_retention_emptied_are_part_of_the_proof(tmp_path: Path) -> None:
    wall = Wall()
    async with open_log(tmp_path / "audit", wall) as log:
        await filled(log, 15)
        wall.pass_(days=300)
        await log.apply_retention()
        log.record(access(100, wall.now))
        files = unpacked(await log.export())
        old = unpacked(await log.export(AT, AT + timedelta(minutes=1)))
    assert {"00000001.stub", "00000002.log"} <= set(files)
    report = await checked(tmp_path, files)
    assert (report.faults, report.stubs, report.removed_records) == ([], 1, 10)
    # Only a stub is left of that time, and that is proven.
    assert set(old) == BESIDE | {"00000001.stub"}
    report = await checked(tmp_path, old)
    assert (report.faults, report.removed_records, report.records) == ([], 10, 0)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("00000001.log", FaultCode.MANIFEST),
        ("00000003.log", FaultCode.SEGMENT_MISSING),
        ("00000005.log", FaultCode.TRUNCATED),
        (CHECKPOINT_FILE, FaultCode.MANIFEST),
        (MANIFEST_FILE, None),
        (PUBLIC_KEY_FILE, FaultCode.KEY),
    ],
)
async def test_a_file_taken_out_of_an_export_is_missed(
    tmp_path: Path, name: str, code: FaultCode | None
) -> None:
    async with open_log(tmp_path / "audit") as log:
        await filled(log)
        files = unpacked(await log.export())
        period = unpacked(await log.export(AT + timedelta(minutes=15)))
    del files[name]
    report = await checked(tmp_path, files)
    # Without its list an export of everything is an audit like any other.
    assert (code is None) == report.ok
    assert code in {None, *(fault.code for fault in report.faults)}
    # One of a period is not.
    del period[MANIFEST_FILE]
    report = await checked(tmp_path, period)
    assert {fault.code for fault in report.faults} == {FaultCode.SEGMENT_MISSING}


async def test_every_changed_byte_of_the_list_is_found(tmp_path: Path) -> None:
    async with open_log(tmp_path / "audit") as log:
        await filled(log, 3)
        files = unpacked(await log.export())
    manifest = files[MANIFEST_FILE]
    for position in range(0, len(manifest), 5):
        changed = bytearray(manifest)
        changed[position] ^= 1 + position % 255
        report = await checked(tmp_path, files | {MANIFEST_FILE: bytes(changed)})
        assert FaultCode.MANIFEST in {fault.code for fault in report.faults}


async def test_keys_from_elsewhere_decide(tmp_path: Path) -> None:
    async with open_log(tmp_path / "audit") as log:
        await filled(log, 3)
        files = unpacked(await log.export())
    assert (await checked(tmp_path, files, KeyRing([Signer(KEY).key_id]))).ok
    other = await checked(tmp_path, files, KeyRing([Signer(OTHER_KEY).key_id]))
    assert {FaultCode.MANIFEST, FaultCode.SIGNATURE} <= {fault.code for fault in other.faults}


async def test_a_time_without_records_is_refused(tmp_path: Path) -> None:
    async with open_log(tmp_path / "audit") as log:
        await filled(log, 3)
        with pytest.raises(NotFound) as caught:
            await log.export(AT + timedelta(days=1))
        assert caught.value.code == "no_records"


async def test_an_export_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_EXPORT", 10_000)
    async with open_log(tmp_path / "audit") as log:
        await filled(log)
        with pytest.raises(Invalid, match="choose a shorter period") as caught:
            await log.export()
        assert caught.value.code == "export_too_large"
        assert await log.export(AT, AT)


async def test_what_cannot_be_written_cannot_be_exported(tmp_path: Path) -> None:
    files = FaultyFiles(tmp_path)
    async with open_log(tmp_path, files=files) as log:
        files.full = True
        log.record(access(1))
        with pytest.raises(Unavailable, match="No space left"):
            await log.export()
        files.full = False


async def test_a_damaged_audit_is_exported_with_its_damage(tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    async with open_log(audit) as log:
        await filled(log, 15)
    path = audit / "00000002.log"
    data = await asyncio.to_thread(path.read_bytes)
    await asyncio.to_thread(path.write_bytes, data.replace(b"county-live", b"county-dead", 1))
    async with open_log(audit) as log:
        files = unpacked(await log.export())
    report = await checked(tmp_path, files)
    assert {FaultCode.CHANGED, FaultCode.RECORDED_DAMAGE} <= {f.code for f in report.faults}
    assert FaultCode.MANIFEST not in {fault.code for fault in report.faults}
