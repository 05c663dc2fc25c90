"""The plans of all channels, kept in the store."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any

import structlog

from gateway.domain.document import DocumentStore
from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.domain.policy import Subject
from gateway.domain.recording import RecordMode, RecordPlan
from gateway.recording.week import RecordWeek
from gateway.sharing.changelog import ChangeLog

__all__ = ["MAX_PLANS", "MAX_POST", "MAX_PRE", "PlanBook"]

log = structlog.get_logger()

MAX_PLANS = 10_000
"""Channels with a plan; as many streams at once would be more than one machine takes."""
MAX_PRE = 60.0
"""Seconds before an event: they are kept in memory."""
MAX_POST = 3600.0
MAX_KEEP_DAYS = 36_500
_COLLECTION = "record_plans"

_Key = tuple[str, str]


class PlanBook:
    """All plans; a change holds from its call on, and is taken back if the store cannot keep it.

    Args:
        store: Where they are kept.
        changes: Puts changes on record.
    """

    def __init__(self, store: DocumentStore, changes: ChangeLog) -> None:
        self._store = store
        self._changes = changes
        self._plans: dict[_Key, RecordPlan] = {}
        self._weeks: dict[_Key, RecordWeek] = {}
        self._of_device: dict[str, set[_Key]] = {}

    async def load(self) -> None:
        """Read all from the store."""
        for key, body in (await self._store.load_documents(_COLLECTION)).items():
            try:
                plan = _from_document(body)
                self._put(plan, await asyncio.to_thread(check_plan, plan))
            except (KeyError, TypeError, ValueError, Invalid) as exc:
                log.error("record_plan_unreadable", name=key, error=repr(exc))  # noqa: TRY400 - no trace needed

    def all(self) -> list[RecordPlan]:
        """Return all, by device and channel."""
        return [self._plans[key] for key in sorted(self._plans)]

    def keys(self) -> set[_Key]:
        """Return device and channel of all."""
        return set(self._plans)

    def of_device(self, device_id: str) -> list[RecordPlan]:
        """Return those of one device."""
        return [self._plans[key] for key in self._of_device.get(device_id, ())]

    def find(self, device_id: str, channel_id: str) -> RecordPlan | None:
        """Return one, or None."""
        return self._plans.get((device_id, channel_id))

    def week(self, plan: RecordPlan) -> RecordWeek:
        """Return the windows of a plan of this book."""
        return self._weeks[plan.device_id, plan.channel_id]

    async def save(self, plan: RecordPlan, *, by: Subject, source: str = "") -> None:
        """Add a plan or change one.

        Raises:
            Invalid: `invalid_plan`.
            Conflict: `too_many_plans`.
            Unavailable: the store cannot keep it; nothing was changed.
        """
        key = plan.device_id, plan.channel_id
        # A time zone that was not used before is read from disk.
        week = await asyncio.to_thread(check_plan, plan)
        old = self._plans.get(key)
        if old is None and len(self._plans) >= MAX_PLANS:
            raise Conflict("too_many_plans", f"{MAX_PLANS} plans are as many as are kept")
        old_week = self._weeks.get(key)
        self._put(plan, week)
        try:
            await self._store.save_document(_COLLECTION, _name(key), _to_document(plan))
        except Unavailable:
            if self._plans.get(key) is plan:
                self._drop(key)
                if old is not None and old_week is not None:
                    self._put(old, old_week)
            raise
        detail = f"{plan.mode.value} {', '.join(plan.windows)}".strip()
        action = "change" if old else "create"
        self._changes.record(action, f"record_plan:{_name(key)}", by, detail=detail, source=source)

    async def delete(
        self, device_id: str, channel_id: str, *, by: Subject, source: str = ""
    ) -> None:
        """Delete a plan; what was recorded stays.

        Raises:
            NotFound: `plan_unknown`.
            Unavailable: the store cannot do it; nothing was changed.
        """
        key = device_id, channel_id
        old, week = self._plans.get(key), self._weeks.get(key)
        if old is None or week is None:
            raise NotFound("plan_unknown", f"Channel {_name(key)[:130]} has no plan")
        self._drop(key)
        try:
            await self._store.delete_document(_COLLECTION, _name(key))
        except Unavailable:
            if key not in self._plans:
                self._put(old, week)
            raise
        self._changes.record("delete", f"record_plan:{_name(key)}", by, source=source)

    def _put(self, plan: RecordPlan, week: RecordWeek) -> None:
        key = plan.device_id, plan.channel_id
        self._plans[key], self._weeks[key] = plan, week
        self._of_device.setdefault(plan.device_id, set()).add(key)

    def _drop(self, key: _Key) -> None:
        del self._plans[key], self._weeks[key]
        mine = self._of_device[key[0]]
        mine.discard(key)
        if not mine:
            del self._of_device[key[0]]


def check_plan(plan: RecordPlan) -> RecordWeek:
    """Check a plan and read its windows.

    Raises:
        Invalid: `invalid_plan`.
    """
    limits = (
        ("pre_seconds", plan.pre_seconds, MAX_PRE),
        ("post_seconds", plan.post_seconds, MAX_POST),
        ("keep_days", plan.keep_days, MAX_KEEP_DAYS),
    )
    for name, value, most in limits:
        if value is not None and not (math.isfinite(value) and 0 <= value <= most):
            raise Invalid("invalid_plan", f"{name} is 0 to {most:g}, got {value:g}")
    if plan.stream not in {0, 1}:
        raise Invalid("invalid_plan", f"stream is 0 or 1, got {plan.stream}")
    if plan.mode is RecordMode.WEEKLY and not plan.windows:
        raise Invalid("invalid_plan", "A weekly plan needs windows such as Mon-Fri 08:00-18:00")
    try:
        return RecordWeek.parse(plan.windows, plan.zone)
    except ValueError as exc:
        raise Invalid("invalid_plan", f"The plan cannot be read: {exc}") from exc


def _name(key: _Key) -> str:
    return f"{key[0]}/{key[1]}"


def _to_document(plan: RecordPlan) -> dict[str, Any]:
    return {
        "device_id": plan.device_id,
        "channel_id": plan.channel_id,
        "mode": plan.mode.value,
        "windows": list(plan.windows),
        "zone": plan.zone,
        "stream": plan.stream,
        "keep_days": plan.keep_days,
        "pre_seconds": plan.pre_seconds,
        "post_seconds": plan.post_seconds,
    }


def _from_document(body: Mapping[str, Any]) -> RecordPlan:
    return RecordPlan(
        device_id=str(body["device_id"]),
        channel_id=str(body["channel_id"]),
        mode=RecordMode(body["mode"]),
        windows=tuple(str(item) for item in body["windows"]),
        zone=str(body["zone"]),
        stream=int(body["stream"]),
        keep_days=body["keep_days"],
        pre_seconds=body["pre_seconds"],
        post_seconds=body["post_seconds"],
    )
