"""Opening a database and bringing its schema up to date."""

import asyncio
import os
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from gateway.domain.errors import Unavailable

__all__ = ["BUSY_TIMEOUT", "DATABASE_ERRORS", "open_engine", "place_of", "reason_of", "upgrade"]

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that holds the SQLite file (a backup, a shell)."""

DATABASE_ERRORS = (SQLAlchemyError, OSError, ValueError, OverflowError)
"""What may come out of a driver; the last two for values it cannot carry."""

_MIGRATIONS = Path(__file__).parent / "migrations"

_log = structlog.get_logger()


def open_engine(url: str) -> AsyncEngine:
    """Return an engine; nothing is connected yet."""
    if make_url(url).get_backend_name() != "sqlite":
        return create_async_engine(
            url,
            pool_size=4,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={"timeout": 10, "command_timeout": 30},
        )
    engine = create_async_engine(url, connect_args={"timeout": BUSY_TIMEOUT})

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        # The driver begins no transactions of its own then, so that DDL is part of one too.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit has reached the disk, power failure included.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def place_of(url: str) -> str:
    """Return a database's place for people, without its password."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return f"SQLite file {parsed.database}"
    return parsed.set(drivername="postgresql").render_as_string(hide_password=True)


def reason_of(exc: BaseException) -> str:
    """Return the driver's own words, without the statement."""
    original = getattr(exc, "orig", None) or exc
    return str(original).splitlines()[0][:200] if str(original) else type(original).__name__


async def upgrade(url: str) -> None:
    """Create the database file if need be and apply all revisions.

    Raises:
        Unavailable: `store_newer` if a newer gateway wrote it, `store_unavailable` if it cannot be opened.
    """
    try:
        # Alembic reads files and works synchronously: a thread with a loop of its own.
        await asyncio.to_thread(_upgrade_in_thread, url)
    except DATABASE_ERRORS as exc:
        raise Unavailable(
            "store_unavailable", f"{place_of(url)} cannot be opened: {reason_of(exc)}"
        ) from exc


def _upgrade_in_thread(url: str) -> None:
    _create_file(url)
    asyncio.run(_upgrade(url))


def _create_file(url: str) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    path = Path(parsed.database)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The file holds password hashes: readable by its owner only.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


async def _upgrade(url: str) -> None:
    engine = open_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_apply, place_of(url))
    finally:
        await engine.dispose()


def _apply(connection: Connection, place: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection).get_current_revision()
    newest = script.get_current_head()
    known = {revision.revision for revision in script.walk_revisions()}
    if present is not None and present not in known:
        raise Unavailable(
            "store_newer",
            f"{place} was written by a newer gateway (revision {present}, this one knows up to {newest}): "
            "start that version again, or restore a backup made before",
        )
    if present != newest:
        command.upgrade(config, "head")
        _log.info(
            "store_upgraded", path=place, revision=newest, detail=f"from {present or 'nothing'}"
        )
