"""Durable writes waiting in the writer's queues."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import Delete, Table, Update, and_, bindparam, case, delete, null
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert

from gateway.store.row import Row

__all__ = ["Operation", "Part", "Statements"]

Statement = Insert | Delete | Update

PART_ROWS = 500
"""Rows handed to the driver at once."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows for one statement."""

    table: str
    statement: Statement
    rows: list[Row]


@dataclass(slots=True, eq=False)
class Operation:
    """One durable write; its parts are built when it is its turn, so that the newest state is written."""

    device_id: str
    parts: Iterator[Part]
    future: asyncio.Future[None]
    dropped: bool = False

    def take(self, rows: int) -> tuple[list[Part], bool]:
        """Return parts of about that many rows, and whether these were the last."""
        taken: list[Part] = []
        for part in self.parts:
            taken.append(part)
            rows -= len(part.rows)
            if rows <= 0:
                return taken, False
        return taken, True

    def resolve(self) -> None:
        """Tell that it is durable."""
        if not self.future.done():
            self.future.set_result(None)

    def fail(self, error: Exception) -> None:
        """Tell that it is not."""
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True)
class Statements:
    """The statements of one database dialect, built once."""

    dialect: str
    _upserts: dict[str, Insert] = field(default_factory=dict)
    _deletes: dict[tuple[str, tuple[str, ...]], Delete] = field(default_factory=dict)

    def upsert(self, table: Table, rows: Iterable[Row]) -> Iterator[Part]:
        """Yield parts that insert rows or replace those with the same key."""
        statement = self._upserts.get(table.name)
        if statement is None:
            statement = self._upserts[table.name] = self._build_upsert(table)
        for part in _cut(rows):
            yield Part(table.name, statement, part)

    def insert_once(self, table: Table, rows: Iterable[Row]) -> Iterator[Part]:
        """Yield parts that insert rows; a key that stands with other values is refused, never changed."""
        name = f"once:{table.name}"
        statement = self._upserts.get(name)
        if statement is None:
            statement = self._upserts[name] = self._build_insert_once(table)
        for part in _cut(rows):
            yield Part(table.name, statement, part)

    def delete(self, table: Table, rows: Iterable[Row], *columns: str) -> Iterator[Part]:
        """Yield parts that delete where the columns equal those of a row."""
        key = (table.name, columns)
        statement = self._deletes.get(key)
        if statement is None:
            conditions = [table.c[name] == bindparam(f"{name}_") for name in columns]
            statement = self._deletes[key] = delete(table).where(*conditions)
        for part in _cut(rows):
            yield Part(
                table.name, statement, [{f"{name}_": row[name] for name in columns} for row in part]
            )

    def _build_insert_once(self, table: Table) -> Insert:
        insert = self._insert(table)
        values = [column for column in table.columns if not column.primary_key]
        same = and_(*(column == insert.excluded[column.name] for column in values))
        # NULL in a column that takes none: the database itself refuses the row.
        kept = {column.name: case((same, column), else_=null()) for column in values}
        return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=kept)

    def _build_upsert(self, table: Table) -> Insert:
        insert = self._insert(table)
        changed = {
            column.name: insert.excluded[column.name]
            for column in table.columns
            if not column.primary_key
        }
        return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)

    def _insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        return postgresql.insert(table) if self.dialect == "postgresql" else sqlite.insert(table)


def _cut(rows: Iterable[Row]) -> Iterator[list[Row]]:
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == PART_ROWS:
            yield part
            part = []
    if part:
        yield part
