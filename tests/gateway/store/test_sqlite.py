"""The store in a SQLite file."""

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from gateway.domain.device import Device
from gateway.domain.errors import Unavailable
from gateway.observe.metrics import Metrics
from gateway.store.database import connect, upgrade
from gateway.store.schema import metadata
from gateway.store.sql import SqlStore
from tests.gateway.store.contract import DEVICE, StoreContract, entry, timelines_of
from tests.gateway.store.document_contract import DocumentContract
from tests.gateway.store.recording_contract import RecordingContract


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data 100%" / "gateway.db"


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


class TestSqlite(StoreContract):
    """The contract."""


class TestSqliteDocuments(DocumentContract):
    """The contract of documents and codes."""


class TestSqliteRecordings(RecordingContract):
    """The contract of the index of recordings."""


async def test_a_file_of_an_older_revision_is_upgraded_and_keeps_its_devices(
    file: Path, url: str
) -> None:
    engine = await connect(url)
    await upgrade(engine, "0001")
    await engine.dispose()
    with sqlite3.connect(file) as old:
        blank = dict.fromkeys(("contact", "call_id", "gb_version", "user_agent", "name", "manufacturer", "model", "firmware"), "''")  # fmt: skip
        names, values = ", ".join(blank), ", ".join(blank.values())
        old.execute(
            f"INSERT INTO devices (device_id, offline_reason, follow_address, {names}) "
            f"VALUES ('{DEVICE}', 'never_registered', 0, {values})"
        )
    old.close()
    async with SqlStore(url, Metrics(process=False)) as store:
        assert await store.load_devices() == [Device(device_id=DEVICE)]
        store.add_timeline(DEVICE, 0, entry(0))
    async with SqlStore(url, Metrics(process=False)) as store:
        assert await timelines_of(store) == [(DEVICE, 0, entry(0))]


async def test_the_revisions_make_exactly_the_tables_of_the_schema(url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with SqlStore(url, Metrics(process=False)):
        pass
    engine = await connect(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_the_file_is_readable_by_its_owner_only(file: Path, url: str) -> None:
    old = os.umask(0)
    try:
        async with SqlStore(url, Metrics(process=False)) as store:
            await store.save_device(Device(device_id=DEVICE))
            assert {part.stat().st_mode & 0o777 for part in file.parent.iterdir()} == {0o600}
    finally:
        os.umask(old)
    assert file.parent.stat().st_mode & 0o777 == 0o700


async def test_commits_reach_the_disk(url: str) -> None:
    engine = await connect(url)
    async with engine.connect() as connection:
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar() == 2
        assert (await connection.exec_driver_sql("PRAGMA busy_timeout")).scalar() == 5000
    await engine.dispose()


async def test_a_file_that_is_no_database_is_refused_with_its_path(file: Path, url: str) -> None:
    file.parent.mkdir()
    file.write_bytes(b"hello, I am not a database at all" * 100)  # noqa: ASYNC240 - a test
    with pytest.raises(Unavailable, match=r"gateway\.db cannot be opened: file is not a database"):
        await SqlStore(url, Metrics(process=False)).__aenter__()


async def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    url = f"sqlite+aiosqlite:///{tmp_path / 'taken' / 'gateway.db'}"
    with pytest.raises(Unavailable, match="cannot be opened"):
        await SqlStore(url, Metrics(process=False)).__aenter__()


async def test_a_migration_that_fails_half_way_changes_nothing(file: Path, url: str) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as old:
        # The second revision will find its table taken.
        old.execute("CREATE TABLE timeline (x)")
    old.close()
    with pytest.raises(Unavailable, match="timeline already exists"):
        await SqlStore(url, Metrics(process=False)).__aenter__()
    with sqlite3.connect(file) as after:
        tables = after.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    after.close()
    assert tables == [("timeline",)]


async def test_a_store_can_be_opened_while_another_process_reads_it(file: Path, url: str) -> None:
    async with SqlStore(url, Metrics(process=False)) as store:
        await store.save_device(Device(device_id=DEVICE))
        reader = await asyncio.to_thread(sqlite3.connect, file, check_same_thread=False)
        await asyncio.to_thread(reader.execute, "BEGIN")
        rows = await asyncio.to_thread(
            lambda: reader.execute("SELECT device_id FROM devices").fetchall()
        )
        await store.save_device(Device(device_id=DEVICE, name="while reading"))
        await asyncio.to_thread(reader.close)
    assert rows == [(DEVICE,)]
