"""Recording put together: recorders, files, plans, the service and its library."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.app.chance import new_id, spread
from gateway.app.sharing import SharingParts
from gateway.config.model import Settings
from gateway.domain.device import Device
from gateway.http.recordings_desk import RecordingDesk
from gateway.media.plane import EmbeddedMedia
from gateway.media.record.directory import RecordDirectory
from gateway.media.record.media import RecordMedia
from gateway.media.record.option import RecordOptions
from gateway.observe.metrics import Metrics
from gateway.recording.events import EventBook
from gateway.recording.library import RecordingLibrary
from gateway.recording.options import RecordingOptions
from gateway.recording.plans import PlanBook
from gateway.recording.service import RecordingService
from gateway.recording.status import Phase
from gateway.sessions.live import LiveSessions
from gateway.sharing.changelog import ChangeLog
from gateway.store.sql import SqlStore
from gb28181.aio import clock
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp.alarm import AlarmNotify

__all__ = ["RecordingNeeds", "RecordingParts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingNeeds:
    """What recording is built on."""

    settings: Settings
    store: SqlStore
    sharing: SharingParts
    media: EmbeddedMedia
    sessions: LiveSessions
    metrics: Metrics
    scope: TaskScope


class RecordingParts:
    """Everything about recordings; an async context manager, left before sessions and media.

    Args:
        needs: What it is built on.
    """

    def __init__(self, needs: RecordingNeeds) -> None:
        self._needs = needs
        self._stack = AsyncExitStack()
        record = needs.settings.record
        self.enabled = record.enabled
        directory = Path(record.dir).expanduser() if record.dir else None
        directory = directory or needs.settings.data_dir / "recordings"
        files = RecordDirectory(directory, clock.utc_now)
        self._media = RecordMedia(
            needs.media,
            RecordOptions(
                directory=directory,
                file_seconds=record.file_minutes * 60,
                sync_interval=record.sync_interval,
            ),
            new_id=new_id,
        )
        changes = ChangeLog(needs.sharing.audit, wall=clock.utc_now, new_id=new_id)
        self.service = RecordingService(
            sessions=needs.sessions,
            media=self._media,
            files=files,
            index=needs.store.recordings,
            plans=PlanBook(needs.store, changes),
            events=EventBook(needs.store, now=clock.monotonic, wall=clock.utc_now),
            changes=changes,
            options=RecordingOptions(
                keep_days=record.keep_days,
                max_bytes=record.max_bytes,
                min_free=record.min_free_bytes,
                pre_seconds=record.pre_seconds,
                post_seconds=record.post_seconds,
            ),
            scope=needs.scope,
            now=clock.monotonic,
            wall=clock.utc_now,
            spread=spread,
        )
        self.library = RecordingLibrary(needs.store.recordings, files, self.service)

    async def __aenter__(self) -> Self:
        if not self.enabled:
            return self
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._media)
            await self.service.load()
            stack.push_async_callback(self.service.close)
            self._describe()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def start(self) -> None:
        """Begin to record, once everything else listens."""
        if self.enabled:
            self.service.start()

    @property
    def desk(self) -> RecordingDesk | None:
        """What is served by HTTP; None if nothing is recorded at all."""
        if not self.enabled:
            return None
        return RecordingDesk(service=self.service, library=self.library)

    @property
    def active(self) -> int:
        """Channels whose stream is held or asked for, and files being written."""
        return self.service.active + self.service.keeper.open_count

    def alarm(self, device_id: str, alarm: AlarmNotify) -> None:
        """A device raised an alarm."""
        if self.enabled:
            kind = "" if alarm.alarm_type is None else f"/{alarm.alarm_type}"
            method = "" if alarm.alarm_method is None else f":{alarm.alarm_method}{kind}"
            self.service.alarm(device_id, alarm.device_id, f"alarm{method}")

    def device_online(self, device: Device) -> None:
        """A device is there again."""
        if self.enabled:
            self.service.device_online(device)

    def _describe(self) -> None:
        metrics, service = self._needs.metrics, self.service
        gauge = metrics.gauge

        def phases() -> dict[tuple[str, ...], float]:
            counts: dict[tuple[str, ...], float] = {(phase.value,): 0.0 for phase in Phase}
            for status in service.statuses():
                counts[status.phase.value,] += 1
            return counts

        gauge("recordings", "Channels by what their recording is about", phases, labels=["phase"])
        gauge("recording_bytes", "Bytes of all recordings", lambda: service.disk().recorded)
        gauge("recording_disk_free", "Bytes free on their disk", lambda: service.disk().free)
        gauge(
            "recording_disk_ok",
            "Whether the disk takes recordings",
            lambda: service.disk().state == "ok",
        )
        gauge("recording_waiting", "Bytes waiting for the disk", lambda: self._media.waiting)
        metrics.counter(
            "recordings_removed", "Files deleted by retention", lambda: service.disk().removed
        )
