"""The recording of one channel: asks for the stream, records it, and tries again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import structlog

from gateway.domain.errors import GatewayError
from gateway.domain.recording import (
    Recorder,
    RecordFile,
    RecordingMedia,
    RecordPlan,
    RecordSpec,
)
from gateway.domain.session import SessionRecord
from gateway.domain.signalling import Origin
from gateway.recording.disk import DISK_FAILED, DISK_FULL, DiskGuard
from gateway.recording.keeper import IndexKeeper
from gateway.recording.options import RecordingOptions
from gateway.recording.status import ChannelStatus, Phase

__all__ = ["NOTHING", "ChannelRecording", "Needs", "StreamSource", "Want"]

log = structlog.get_logger()

_T = TypeVar("_T")
_ORIGIN = Origin(asker="recording")
STEADY = 30.0
"""Seconds of recording after which the next failure counts as the first."""


class StreamSource(Protocol):
    """Live sessions."""

    def join(
        self,
        device_id: str,
        channel_id: str,
        attach: Callable[[SessionRecord], _T],
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> Awaitable[tuple[SessionRecord, _T]]:
        """Attach to a channel's stream, starting the camera if need be."""


@dataclass(frozen=True, slots=True)
class Want:
    """What a channel's recording should do now."""

    active: bool
    """Whether the stream is needed."""
    cause: str = ""
    """Why it is to be written; empty: only the last seconds are kept in memory."""
    stream: int = 0
    pre_seconds: float = 0.0


NOTHING = Want(active=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What all channels share."""

    sessions: StreamSource
    media: RecordingMedia
    keeper: IndexKeeper
    disk: DiskGuard
    options: RecordingOptions
    starts: asyncio.Semaphore
    now: Callable[[], float]
    wall: Callable[[], datetime]
    spread: Callable[[], float]
    """0.5 to 1.5, so that not all try again at the same moment."""


class ChannelRecording:
    """Implements `gateway.domain.recording.RecordEvents`; `run` is its task while it is wanted.

    Args:
        device_id: The device.
        channel_id: Its channel.
        needs: What all channels share.
    """

    def __init__(self, device_id: str, channel_id: str, needs: Needs) -> None:
        self.device_id = device_id
        self.channel_id = channel_id
        self.running = False
        """Whether its task runs."""
        self._needs = needs
        self._want = NOTHING
        self._changed = asyncio.Event()
        self._recorder: Recorder | None = None
        self._ended: tuple[str, str] | None = None
        self._phase = Phase.OFF
        self._since = needs.wall()
        self._reason = ""
        self._detail = ""
        self._tries = 0
        self._next_try: datetime | None = None
        self._steady_at: float | None = None

    # For the service

    def status(self, plan: RecordPlan | None, event_until: datetime | None = None) -> ChannelStatus:
        """Return how it goes."""
        recorder = self._recorder
        return ChannelStatus(
            device_id=self.device_id,
            channel_id=self.channel_id,
            phase=self._phase,
            since=self._since,
            reason=self._reason,
            detail=self._detail,
            tries=self._tries,
            next_try=self._next_try,
            plan=plan,
            event_until=event_until,
            file=self.file,
            dropped=0 if recorder is None else recorder.figures.dropped,
        )

    @property
    def file(self) -> RecordFile | None:
        """What is being written, as far as it is on disk."""
        return None if self._recorder is None else self._recorder.file

    def want(self, want: Want, idle: Phase) -> bool:
        """Say what it should do; returns whether its task is to be started.

        Args:
            want: What.
            idle: What it is about if it should do nothing.
        """
        if want != self._want:
            self._want = want
            self._changed.set()
        if not want.active and not self.running:
            self._set(idle)
        return want.active and not self.running

    def try_now(self) -> None:
        """The device is there again: do not wait."""
        if self._recorder is None:
            self._tries = 0
            self._changed.set()

    async def run(self) -> None:
        """Record until it is not wanted any more."""
        self.running = True
        try:
            while self._want.active:
                self._changed.clear()
                if await self._attempt():
                    continue
                await self._pause()
        finally:
            self.running = False
            self._next_try = None
            await self._drop()
            self._set(Phase.WAITING)

    # What the recorder tells

    def file_opened(self, file: RecordFile) -> None:
        """A file is being written."""
        self._needs.keeper.opened(file)
        self._steady_at = self._needs.now() + STEADY
        self._set(Phase.RECORDING)

    def file_closed(self, file: RecordFile) -> None:
        """It is complete on disk."""
        self._needs.disk.wrote()
        self._needs.keeper.closed(file)

    def file_removed(self, file: RecordFile) -> None:
        """Nothing is left of it."""
        self._needs.keeper.removed(file.file_id)

    def record_ended(self, code: str, detail: str) -> None:
        """The recorder has ended by itself."""
        self._ended = (code, detail)
        if code in {DISK_FULL, DISK_FAILED}:
            self._needs.disk.refused(code, detail)
        self._changed.set()

    # Inside

    async def _attempt(self) -> bool:
        """Record once; True if that ended because it was to end."""
        blocked = self._needs.disk.blocked()
        if blocked is not None:
            self._fail(*blocked)
            return False
        want = self._want
        self._ended = None
        try:
            async with self._needs.starts:
                self._set(Phase.STARTING, self._reason, self._detail)
                _, recorder = await self._needs.sessions.join(
                    self.device_id,
                    self.channel_id,
                    lambda record: self._needs.media.record(
                        record.stream_id, self._spec(want), self
                    ),
                    stream=want.stream,
                    origin=_ORIGIN,
                )
        except GatewayError as exc:
            self._fail(exc.code, exc.detail)
            return False
        self._recorder = recorder
        try:
            return await self._follow(recorder, want)
        finally:
            await self._drop()

    def _spec(self, want: Want) -> RecordSpec:
        return RecordSpec(
            device_id=self.device_id,
            channel_id=self.channel_id,
            stream=want.stream,
            cause=want.cause,
            pre_seconds=want.pre_seconds,
            armed=not want.cause,
        )

    async def _follow(self, recorder: Recorder, started: Want) -> bool:
        """Do as is wanted until the recorder ends or another is needed."""
        done = started
        if not started.cause:
            self._set(Phase.ARMED)
        while True:
            want = self._want
            if self._ended is not None:
                if self._steady_at is not None and self._needs.now() >= self._steady_at:
                    self._tries = 0
                self._fail(*self._ended)
                return False
            if (want.active, want.stream, want.pre_seconds) != (
                True,
                started.stream,
                started.pre_seconds,
            ):
                return True
            blocked = self._needs.disk.blocked()
            if blocked is not None:
                self._fail(*blocked)
                return False
            if want.cause != done.cause:
                if want.cause:
                    recorder.write(want.cause)
                else:
                    recorder.rest()
                    self._set(Phase.ARMED)
                done = want
            await self._changed.wait()
            self._changed.clear()

    def poke(self) -> None:
        """Look at the disk again."""
        self._changed.set()

    async def _drop(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            await recorder.close()

    async def _pause(self) -> None:
        options, needs = self._needs.options, self._needs
        wait = min(options.first_retry * 2 ** min(self._tries - 1, 10), options.last_retry)
        if self._phase in {Phase.DISK_FULL, Phase.DISK_FAILED}:
            wait = options.first_retry
        wait *= needs.spread()
        self._next_try = needs.wall() + timedelta(seconds=wait)
        self._changed.clear()
        try:
            async with asyncio.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._next_try = None

    def _fail(self, code: str, detail: str) -> None:
        phases = {
            DISK_FULL: Phase.DISK_FULL,
            DISK_FAILED: Phase.DISK_FAILED,
            "device_offline": Phase.OFFLINE,
        }
        phase = phases.get(code, Phase.RETRYING)
        self._tries += 1
        if code != self._reason:
            log.warning(
                "recording_interrupted",
                device_id=self.device_id,
                channel_id=self.channel_id,
                reason=code,
                detail=detail,
            )
        self._set(phase, code, detail)

    def _set(self, phase: Phase, reason: str = "", detail: str = "") -> None:
        if phase is not self._phase and not self._same_trouble(phase):
            self._since = self._needs.wall()
        self._phase, self._reason, self._detail = phase, reason, detail

    def _same_trouble(self, phase: Phase) -> bool:
        """Trying again is no news: since when it fails counts."""
        trouble = {Phase.RETRYING, Phase.STARTING, Phase.OFFLINE}
        return phase in trouble and self._phase in trouble and bool(self._reason)
