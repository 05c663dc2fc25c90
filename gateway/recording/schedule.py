"""Says what each channel's recording should do now: its plan, the time of the week, events."""

import math
from collections.abc import Callable
from datetime import datetime

from gateway.domain.errors import Invalid
from gateway.domain.recording import RecordMode, RecordPlan
from gateway.recording.channel import NOTHING, Want
from gateway.recording.events import MAX_EVENT, EventBook
from gateway.recording.options import RecordingOptions
from gateway.recording.plans import PlanBook
from gateway.recording.status import Phase

__all__ = ["Schedule"]

_Key = tuple[str, str]


class Schedule:
    """Plans and running events.

    Args:
        plans: The plans.
        events: The running events.
        options: Values where plans say nothing.
        wall: Wall clock, timezone-aware.
    """

    def __init__(
        self,
        plans: PlanBook,
        events: EventBook,
        options: RecordingOptions,
        *,
        wall: Callable[[], datetime],
    ) -> None:
        self._plans = plans
        self._events = events
        self._options = options
        self._wall = wall

    def channels(self) -> set[_Key]:
        """Return those with a plan or an event; events that are over are forgotten."""
        return self._plans.keys() | self._events.keys()

    def trigger(self, key: _Key, seconds: float | None, cause: str) -> None:
        """Begin an event or make it longer; it keeps its first cause.

        Raises:
            Invalid: `invalid_duration`.
            Conflict: `too_many_events`.
        """
        wanted = self._post_seconds(key) if seconds is None else seconds
        if not (math.isfinite(wanted) and 0 < wanted <= MAX_EVENT):
            raise Invalid(
                "invalid_duration", f"An event lasts up to {MAX_EVENT:g} s, got {wanted:g}"
            )
        self._events.begin(key, wanted, cause)

    def wanted(self, key: _Key) -> tuple[Want, Phase]:
        """Return what a channel's recording should do now, and what it is about while that is nothing."""
        plan, cause = self._plans.find(*key), self._events.cause(key)
        stream = plan.stream if plan is not None else 0
        pre = self._pre_seconds(plan)
        if cause is not None:
            want = Want(active=True, cause=cause, stream=stream, pre_seconds=pre)
            return want, Phase.WAITING
        if plan is None or plan.mode is RecordMode.OFF:
            return NOTHING, Phase.OFF
        if plan.mode is RecordMode.EVENT:
            want = Want(active=True, stream=stream, pre_seconds=pre) if pre > 0 else NOTHING
            return want, Phase.WAITING
        due = plan.mode is RecordMode.ALWAYS or self._plans.week(plan).is_open(self._wall())
        want = Want(active=True, cause=plan.mode.value, stream=stream) if due else NOTHING
        return want, Phase.WAITING

    def _pre_seconds(self, plan: RecordPlan | None) -> float:
        if plan is None or plan.mode is not RecordMode.EVENT:
            return 0.0
        return self._options.pre_seconds if plan.pre_seconds is None else plan.pre_seconds

    def _post_seconds(self, key: _Key) -> float:
        plan = self._plans.find(*key)
        chosen = self._options.post_seconds
        if plan is not None and plan.post_seconds is not None:
            chosen = plan.post_seconds
        return chosen or 1.0
