"""Departments that are served over HTTP: who owns the keys and webhooks."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from gateway.domain.document import DocumentStore
from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.domain.policy import Subject
from gateway.sharing.changelog import ChangeLog

__all__ = ["MAX_DEPARTMENTS", "Department", "DepartmentBook", "check_code"]

log = structlog.get_logger()

MAX_DEPARTMENTS = 2_000
"""A province has some hundred; each one's view of the channels costs memory as soon as it has a webhook."""
_COLLECTION = "departments"
_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    """A department of our own or a neighbouring organisation."""

    code: str
    """Its organisation code or a short word; policy rules name it."""
    name: str = ""
    zone: str = ""
    """Network zone of its keys that say nothing else."""
    contact: str = ""
    created_at: datetime


def check_code(value: str, what: str) -> str:
    """Return a code or zone as it is.

    Raises:
        Invalid: `invalid_code`.
    """
    if not _CODE.fullmatch(value):
        raise Invalid(
            "invalid_code",
            f"{what} is 1 to 64 of the characters A-Z a-z 0-9 . _ -, beginning and ending with a "
            f"letter or digit; got {value[:64]!r}",
        )
    return value


class DepartmentBook:
    """All departments, kept in the store.

    Args:
        store: Where they are kept.
        changes: Puts every change on record.
    """

    def __init__(self, store: DocumentStore, changes: ChangeLog) -> None:
        self._store = store
        self._changes = changes
        self._departments: dict[str, Department] = {}
        self.on_changed: list[Callable[[str], None]] = []
        """Called with the code of a department that was added, changed or deleted."""
        self.held_by: list[Callable[[str], str]] = []
        """Asked before a department is deleted: what still belongs to it, in words; empty: nothing."""

    async def load(self) -> None:
        """Read all from the store."""
        for code, body in (await self._store.load_documents(_COLLECTION)).items():
            try:
                self._departments[code] = _from_document(code, body)
            except (KeyError, TypeError, ValueError) as exc:
                log.error("department_unreadable", name=code, error=repr(exc))  # noqa: TRY400 - no trace needed

    def all(self) -> list[Department]:
        """Return all, by code."""
        return sorted(self._departments.values(), key=lambda item: item.code)

    def find(self, code: str) -> Department | None:
        """Return one, or None."""
        return self._departments.get(code)

    def get(self, code: str) -> Department:
        """Return one.

        Raises:
            NotFound: `department_unknown`.
        """
        found = self._departments.get(code)
        if found is None:
            raise NotFound("department_unknown", f"There is no department {code[:64]}")
        return found

    async def save(
        self, code: str, *, name: str, zone: str = "", contact: str = "", by: Subject
    ) -> Department:
        """Add a department or change one.

        Args:
            code: Which.
            name: For people.
            zone: Network zone of its keys that say nothing else.
            contact: Whom to call.
            by: Who changes it, for the record.

        Raises:
            Invalid: `invalid_code`.
            Conflict: `too_many_departments`.
            Unavailable: the store cannot keep it; nothing was changed.
        """
        check_code(code, "The code of a department")
        if zone:
            check_code(zone, "A zone")
        old = self._departments.get(code)
        if old is None and len(self._departments) >= MAX_DEPARTMENTS:
            raise Conflict(
                "too_many_departments", f"{MAX_DEPARTMENTS} departments are as many as are kept"
            )
        created = old.created_at if old else self._changes.wall()
        new = Department(code=code, name=name, zone=zone, contact=contact, created_at=created)
        self._departments[code] = new
        try:
            await self._store.save_document(_COLLECTION, code, _to_document(new))
        except Unavailable:
            self._put_back(code, new, old)
            raise
        detail = f"name {name!r}, zone {zone!r}"
        self._tell(code)
        self._changes.record("change" if old else "create", f"department:{code}", by, detail=detail)
        return new

    async def delete(self, code: str, *, by: Subject) -> None:
        """Delete a department that owns nothing any more.

        Raises:
            NotFound: `department_unknown`.
            Conflict: `department_in_use`.
            Unavailable: the store cannot do it; nothing was changed.
        """
        old = self.get(code)
        held = [words for ask in self.held_by if (words := ask(code))]
        if held:
            raise Conflict("department_in_use", f"Department {code} still has {' and '.join(held)}")
        del self._departments[code]
        try:
            await self._store.delete_document(_COLLECTION, code)
        except Unavailable:
            self._departments.setdefault(code, old)
            raise
        self._tell(code)
        self._changes.record("delete", f"department:{code}", by)

    def _tell(self, code: str) -> None:
        for call in self.on_changed:
            call(code)

    def _put_back(self, code: str, new: Department, old: Department | None) -> None:
        if self._departments.get(code) is not new:
            return
        if old is None:
            del self._departments[code]
        else:
            self._departments[code] = old


def _to_document(department: Department) -> dict[str, Any]:
    return {
        "name": department.name,
        "zone": department.zone,
        "contact": department.contact,
        "created_at": department.created_at.isoformat(),
    }


def _from_document(code: str, body: Mapping[str, Any]) -> Department:
    department = Department(code=code, created_at=datetime.fromisoformat(body["created_at"]))
    return replace(
        department,
        name=str(body["name"]),
        zone=str(body["zone"]),
        contact=str(body["contact"]),
    )
