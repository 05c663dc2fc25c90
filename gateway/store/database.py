"""Opening a database and bringing its schema up to date."""

import asyncio
import os
from pathlib import Path
from typing import Any

import structlog
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from gateway.domain.errors import Unavailable

__all__ = [
    "BUSY_TIMEOUT",
    "DATABASE_ERRORS",
    "connect",
    "is_bad_value",
    "open_engine",
    "place_of",
    "reason_of",
    "upgrade",
]

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


def is_bad_value(exc: BaseException) -> bool:
    """Return whether a value is at fault, so that the same write can never succeed."""
    if not isinstance(exc, DBAPIError):
        return isinstance(exc, StatementError | ValueError | OverflowError)
    if isinstance(exc, DataError | IntegrityError):
        return True
    # asyncpg: its own argument check is a ValueError; SQLSTATE classes 22 and 23 are data and constraints.
    cause = exc.orig.__cause__ if exc.orig is not None else None
    state = getattr(cause, "sqlstate", None) or ""
    return isinstance(cause, ValueError) or state.startswith(("22", "23"))


async def connect(url: str) -> AsyncEngine:
    """Return an engine with which nothing is wrong so far; a SQLite file is created if need be.

    Raises:
        Unavailable: `store_unavailable`.
    """
    try:
        # Both look at the file system.
        await asyncio.to_thread(_create_file, url)
        return await asyncio.to_thread(open_engine, url)
    except ImportError as exc:
        raise Unavailable(
            "store_unavailable",
            f"{place_of(url)} needs the package {exc.name}: install gb28181-gateway[postgresql]",
        ) from exc
    except DATABASE_ERRORS as exc:
        raise _unusable(url, exc) from exc


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Apply the revisions that a database lacks, all or none.

    Raises:
        Unavailable: `store_newer` if a newer gateway wrote it, `store_unavailable` if it cannot be used.
    """
    url = engine.url.render_as_string(hide_password=True)
    # Reads the revisions' files.
    script = await asyncio.to_thread(_load_script)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_apply, script, revision, place_of(url))
    except DATABASE_ERRORS as exc:
        raise _unusable(url, exc) from exc


def _unusable(url: str, exc: Exception) -> Unavailable:
    return Unavailable("store_unavailable", f"{place_of(url)} cannot be opened: {reason_of(exc)}")


def _create_file(url: str) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    path = Path(parsed.database)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The file holds password hashes: readable by its owner only.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _load_script() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    list(script.walk_revisions())  # loads the modules
    return script


def _apply(connection: Connection, script: ScriptDirectory, revision: str, place: str) -> None:
    present = MigrationContext.configure(connection).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    newest = script.get_current_head()
    if present is not None and present not in known:
        raise Unavailable(
            "store_newer",
            f"{place} was written by a newer gateway (revision {present}, this one knows up to {newest}): "
            "start that version again, or restore a backup made before",
        )
    if present == newest:
        return

    def revisions(current: Any, _context: MigrationContext) -> list[RevisionStep]:  # noqa: ANN401 - Alembic's
        return script._upgrade_revs(revision, current)  # noqa: SLF001 - as alembic.command.upgrade

    with EnvironmentContext(Config(), script, fn=revisions) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        with environment.begin_transaction():
            environment.run_migrations()
    _log.info(
        "store_upgraded", path=place, revision=revision, detail=f"from {present or 'nothing'}"
    )
