"""The owner of all recording: plans and events in, files out."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from gateway.domain.device import Device
from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.domain.policy import Subject
from gateway.domain.recording import (
    RecordFile,
    RecordingFiles,
    RecordingIndex,
    RecordingMedia,
    RecordMode,
    RecordPlan,
)
from gateway.recording.channel import NOTHING, ChannelRecording, Needs, StreamSource
from gateway.recording.disk import DiskGuard
from gateway.recording.events import EventBook
from gateway.recording.keeper import IndexKeeper
from gateway.recording.options import RecordingOptions
from gateway.recording.plans import PlanBook
from gateway.recording.recovery import recover
from gateway.recording.retention import Retention
from gateway.recording.schedule import Schedule
from gateway.recording.status import ChannelStatus, DiskStatus, Phase
from gateway.sharing.changelog import ChangeLog
from gb28181.aio.tasks import TaskScope

__all__ = ["RecordingService"]

log = structlog.get_logger()

TICK = 1.0
SLICE = 200
"""Channels looked at before the loop gets its turn."""
CLOSE_WAIT = 20.0

_Key = tuple[str, str]


class RecordingService:
    """Decides what is to be recorded now, and keeps what was.

    Args:
        sessions: Gives streams.
        media: Makes recorders.
        files: The directory.
        index: Knows the files.
        plans: The plans.
        events: What is recorded for a while.
        changes: Puts on record who locked and deleted what.
        options: Values.
        scope: Owner of the tasks.
        now: Monotonic seconds.
        wall: Wall clock, timezone-aware.
        spread: 0.5 to 1.5.
    """

    def __init__(
        self,
        *,
        sessions: StreamSource,
        media: RecordingMedia,
        files: RecordingFiles,
        index: RecordingIndex,
        plans: PlanBook,
        events: EventBook,
        changes: ChangeLog,
        options: RecordingOptions,
        scope: TaskScope,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        spread: Callable[[], float],
    ) -> None:
        self.plans = plans
        self.keeper = IndexKeeper(index, files, self._grew)
        self._index = index
        self._files = files
        self._changes = changes
        self._options = options
        self._scope = scope
        self._now = now
        self._wall = wall
        self._retention = Retention(
            index, files, self.keeper, keep_days=self._keep_days, on_bytes=self._grew
        )
        self._disk = DiskGuard(files, self._retention, options, now=now, wall=wall)
        self._needs = Needs(
            sessions=sessions,
            media=media,
            keeper=self.keeper,
            disk=self._disk,
            options=options,
            starts=asyncio.Semaphore(options.max_starts),
            now=now,
            wall=wall,
            spread=spread,
        )
        self._channels: dict[_Key, ChannelRecording] = {}
        self._events = events
        self._events_kept = True
        self._schedule = Schedule(plans, events, options, wall=wall)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    # Life

    async def load(self) -> None:
        """Read plans, running events and sums from the store."""
        await self.plans.load()
        await self._events.load()
        self._disk.grew(sum(usage.bytes for usage in await self._index.recording_usage()))

    def start(self) -> None:
        """Begin to work."""
        self._scope.spawn(self._run(), name="recording")
        self._scope.spawn(self.keeper.run(), name="recording:index")
        self._scope.spawn(self.keeper.run_digests(), name="recording:digests")

    async def close(self) -> None:
        """Close all files and let all streams go; bounded in time."""
        self._closed = True
        for channel in self._channels.values():
            channel.want(NOTHING, Phase.OFF)
        try:
            async with asyncio.timeout(CLOSE_WAIT):
                await self._idle.wait()
        except TimeoutError:
            log.warning("recordings_closed_late", count=self.active, waited_s=CLOSE_WAIT)
        await self.keeper.flush()

    @property
    def active(self) -> int:
        """Channels whose stream is held or asked for."""
        return sum(channel.running for channel in self._channels.values())

    # Looking

    def disk(self) -> DiskStatus:
        """Return how the disk is."""
        return self._disk.status()

    def statuses(self) -> list[ChannelStatus]:
        """Return all channels with a plan, an event or a recording, by device and channel."""
        keys = self.plans.keys()
        keys |= {key for key, channel in self._channels.items() if channel.running}
        return [self.status(*key) for key in sorted(keys)]

    def status(self, device_id: str, channel_id: str) -> ChannelStatus:
        """Return how one channel's recording goes."""
        key = device_id, channel_id
        plan, left = self.plans.find(*key), self._events.left(key)
        until = None if left is None else self._wall() + timedelta(seconds=left)
        channel = self._channels.get(key)
        if channel is not None:
            return channel.status(plan, until)
        return ChannelStatus(
            device_id=device_id,
            channel_id=channel_id,
            phase=Phase.OFF,
            since=self._wall(),
            plan=plan,
            event_until=until,
        )

    def written(
        self, device_id: str | None = None, channel_id: str | None = None
    ) -> list[RecordFile]:
        """Return the files being written, as far as they are on disk."""
        return [
            file
            for channel in self._channels.values()
            if device_id in {None, channel.device_id}
            and channel_id in {None, channel.channel_id}
            and (file := channel.file) is not None
        ]

    # Plans and events

    async def save_plan(self, plan: RecordPlan, *, by: Subject, source: str = "") -> None:
        """Add or change a plan; holds at once.

        Raises:
            Invalid: `invalid_plan`.
            Conflict: `too_many_plans`.
            Unavailable: the store cannot keep it.
        """
        await self.plans.save(plan, by=by, source=source)
        self.look()

    async def delete_plan(
        self, device_id: str, channel_id: str, *, by: Subject, source: str = ""
    ) -> None:
        """Delete a plan; what was recorded stays.

        Raises:
            NotFound: `plan_unknown`.
            Unavailable: the store cannot do it.
        """
        await self.plans.delete(device_id, channel_id, by=by, source=source)
        self.look()

    def trigger(
        self, device_id: str, channel_id: str, *, seconds: float | None = None, cause: str
    ) -> ChannelStatus:
        """Record a channel for so long from now on; a running event is made longer, never shorter.

        Raises:
            Invalid: `invalid_duration`.
            Conflict: `too_many_events`.
            Unavailable: `shutting_down`.
        """
        if self._closed:
            raise Unavailable("shutting_down", "The gateway is stopping")
        key = device_id, channel_id
        self._schedule.trigger(key, seconds, cause)
        self._apply(key)
        return self.status(*key)

    def end_event(self, device_id: str, channel_id: str) -> ChannelStatus:
        """End what was begun by an event; a plan goes on.

        Raises:
            NotFound: `no_event`.
        """
        key = device_id, channel_id
        if not self._events.end(key):
            raise NotFound("no_event", f"No event is being recorded of {device_id}/{channel_id}")
        self._apply(key)
        return self.status(*key)

    async def keep_events(self) -> None:
        """Make what `trigger` and `end_event` did durable; while the store fails that is tried again."""
        try:
            await self._events.keep()
        except Unavailable as exc:
            if self._events_kept:
                log.warning("record_events_not_kept", detail=exc.detail)
            self._events_kept = False
        else:
            self._events_kept = True

    def alarm(self, device_id: str, channel_id: str, cause: str) -> None:
        """A device raised an alarm; one for the device as a whole is for all its channels."""
        for plan in self.plans.of_device(device_id):
            if plan.mode is not RecordMode.EVENT:
                continue
            if channel_id in {plan.channel_id, device_id} and not self._closed:
                try:
                    self.trigger(device_id, plan.channel_id, cause=cause)
                except (Invalid, Conflict) as exc:
                    log.warning("alarm_not_recorded", device_id=device_id, detail=exc.detail)

    def device_online(self, device: Device) -> None:
        """A device is there: its channels need not wait."""
        for (device_id, _), channel in self._channels.items():
            if device_id == device.device_id:
                channel.try_now()

    # Files

    async def lock(
        self, files: Sequence[RecordFile], *, locked: bool, by: Subject, source: str = ""
    ) -> list[RecordFile]:
        """Let retention leave files, or not; on record.

        Raises:
            Unavailable: the store cannot keep it.
        """
        changed = []
        for file in files:
            new = await self.keeper.lock(file.file_id, locked=locked)
            if new is not None:
                changed.append(new)
                self._changes.record(
                    "lock" if locked else "unlock",
                    f"recording:{file.file_id}",
                    by,
                    detail=_words(file),
                    source=source,
                )
        return changed

    async def delete(self, file: RecordFile, *, by: Subject, source: str = "") -> None:
        """Delete a file; on record.

        Raises:
            Conflict: `recording_locked`, `recording_open`.
            Unavailable: the disk fails.
        """
        if self.keeper.is_open(file.file_id):
            raise Conflict("recording_open", "This file is being written; stop its recording first")
        if file.locked:
            raise Conflict("recording_locked", "This file is locked; unlock it first")
        await self._retention.remove(file, "deleted")
        self._changes.record(
            "delete", f"recording:{file.file_id}", by, detail=_words(file), source=source
        )

    # Inside

    def look(self) -> None:
        """Look at all plans at once instead of within a second."""
        self._wake.set()

    async def _run(self) -> None:
        await recover(self._index, self._files, self.keeper, self._scope, self._wall)
        check_at = expire_at = self._now()
        while not self._closed:
            now = self._now()
            if now >= check_at or not self._disk.known:
                check_at = now + self._options.check_interval
                await self._check()
            if now >= expire_at:
                expire_at = now + self._options.expire_interval
                await self._expire()
            # What comes while it looks is looked at again.
            self._wake.clear()
            await self._tick()
            await self.keep_events()
            try:
                async with asyncio.timeout(TICK):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _tick(self) -> None:
        """Tell each channel what it should do now."""
        for count, key in enumerate(self._schedule.channels() | set(self._channels), 1):
            self._apply(key)
            if count % SLICE == 0:
                await asyncio.sleep(0)

    def _apply(self, key: _Key) -> None:
        want, idle = (NOTHING, Phase.OFF) if self._closed else self._schedule.wanted(key)
        channel = self._channels.get(key)
        if channel is None:
            if not want.active and idle is Phase.OFF:
                return
            channel = self._channels[key] = ChannelRecording(*key, self._needs)
        elif idle is Phase.OFF and not want.active and not channel.running:
            del self._channels[key]
            return
        if channel.want(want, idle):
            # Set before its first step, so that it is not started twice.
            channel.running = True
            self._idle.clear()
            self._scope.spawn(self._record(channel), name=f"recording:{key[0]}/{key[1]}")

    async def _record(self, channel: ChannelRecording) -> None:
        try:
            await channel.run()
        finally:
            if not self.active:
                self._idle.set()
            self._wake.set()

    def _keep_days(self, device_id: str, channel_id: str) -> int:
        plan = self.plans.find(device_id, channel_id)
        if plan is not None and plan.keep_days is not None:
            return plan.keep_days
        return self._options.keep_days

    def _grew(self, count: int) -> None:
        self._disk.grew(count)

    async def _check(self) -> None:
        if not (self._channels or self._disk.recorded):
            return
        before = self._disk.blocked()
        await self._disk.check(sum(file.bytes for file in self.written()))
        if (self._disk.blocked() is None) != (before is None):
            for channel in self._channels.values():
                channel.poke()

    async def _expire(self) -> None:
        try:
            await self._retention.expire(self._wall())
        except Unavailable as exc:
            log.warning("recordings_not_expired", detail=exc.detail)


def _words(file: RecordFile) -> str:
    return f"{file.device_id}/{file.channel_id} {file.begin.isoformat()} to {file.end.isoformat()}"
