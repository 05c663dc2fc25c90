"""Watches the disk of the recordings: full, failing, or fine; makes room in time."""

from collections.abc import Callable
from datetime import datetime

import structlog

from gateway.domain.errors import GatewayError
from gateway.domain.recording import DiskSpace, RecordingFiles
from gateway.recording.options import RecordingOptions
from gateway.recording.retention import Retention
from gateway.recording.status import DiskStatus

__all__ = ["DISK_FAILED", "DISK_FULL", "DiskGuard"]

log = structlog.get_logger()

DISK_FULL = "disk_full"
DISK_FAILED = "disk_failed"
HEADROOM = 32 * 1024 * 1024
"""Bytes deleted at once beyond what is needed, so that not every file costs a round."""


class DiskGuard:
    """Says whether anything may be written.

    Args:
        files: The disk.
        retention: Makes room.
        options: Limits.
        now: Monotonic seconds.
        wall: Wall clock.
    """

    def __init__(
        self,
        files: RecordingFiles,
        retention: Retention,
        options: RecordingOptions,
        *,
        now: Callable[[], float],
        wall: Callable[[], datetime],
    ) -> None:
        self.recorded = 0
        """Bytes of all recordings."""
        self._files = files
        self._retention = retention
        self._options = options
        self._now = now
        self._wall = wall
        self._state = "ok"
        self._detail = ""
        self._since = wall()
        self._space = DiskSpace(total=0, free=0)
        self._rest_until = 0.0
        self._rest = options.first_rest

    def status(self) -> DiskStatus:
        """Return how it is."""
        return DiskStatus(
            state=self._state,
            since=self._since,
            detail=self._detail,
            total=self._space.total,
            free=self._space.free,
            recorded=self.recorded,
            removed=self._retention.removed,
        )

    @property
    def known(self) -> bool:
        """Whether it was looked at."""
        return self._space.total > 0

    def blocked(self) -> tuple[str, str] | None:
        """Return code and sentence if nothing may be written."""
        return None if self._state == "ok" else (self._state, self._detail)

    def grew(self, count: int) -> None:
        """The recordings grew by so many bytes."""
        self.recorded = max(0, self.recorded + count)

    def refused(self, code: str, detail: str) -> None:
        """A write failed; nothing is tried for a while."""
        self._rest_until = self._now() + self._rest
        self._rest = min(self._rest * 2, self._options.last_rest)
        self._set(code, detail)

    def wrote(self) -> None:
        """A file was written: what the disk refused before is forgotten."""
        self._rest = self._options.first_rest

    async def check(self, growing: int) -> None:
        """Look at the disk, and delete the oldest files if it is too full.

        Args:
            growing: Bytes of the files being written.
        """
        try:
            await self._make_room(growing)
            self._space = await self._files.space()
        except GatewayError as exc:
            code = DISK_FAILED if exc.code == DISK_FAILED else self._state
            if code != "ok":
                self._set(code, exc.detail)
            else:
                log.warning("recordings_not_checked", detail=exc.detail)
            return
        low = self._options.min_free
        if self._space.free < low:
            self._set(
                DISK_FULL,
                f"{self._space.free} bytes are free, {low} are to stay free, and no recording may be deleted "
                "for them: give room, unlock recordings or lower [record] min_free_bytes",
            )
        elif self._now() >= self._rest_until:
            self._set("ok", "")

    async def _make_room(self, growing: int) -> None:
        self._space = await self._files.space()
        most, low = self._options.max_bytes, self._options.min_free
        wanted = low - self._space.free
        if self._state == DISK_FULL and self._now() < self._rest_until:
            # It refused a write though there seems to be room: a quota, or somebody else was faster.
            wanted = max(wanted, 1)
        if most:
            wanted = max(wanted, self.recorded + growing - most)
        if wanted > 0:
            await self._retention.make_room(wanted + min(HEADROOM, low // 8))

    def _set(self, state: str, detail: str) -> None:
        if state != self._state:
            self._since = self._wall()
            if state == "ok":
                log.info("recording_disk_recovered", reason=self._state)
            else:
                log.error("recording_disk_refuses", reason=state, detail=detail)
        self._state, self._detail = state, detail
