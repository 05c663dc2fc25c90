"""The directory of the recordings: recovering, cutting, deleting."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from gateway.domain.errors import NotFound, Unavailable
from gateway.domain.recording import Clip, ClipPart, DiskSpace, RecordFile, RecordState
from gateway.media.record.box import TICKS, BoxError
from gateway.media.record.clip import FileClip
from gateway.media.record.join import join_files
from gateway.media.record.place import parse_place
from gateway.media.record.scan import finish, scan

__all__ = ["RecordDirectory"]

_T = TypeVar("_T")
_DAYS_SEARCHED = 2
_DIGEST_PIECE = 4 * 1024 * 1024


class RecordDirectory:
    """Implements `gateway.domain.recording.RecordingFiles`; everything that blocks runs in threads.

    Args:
        directory: Made if it is not there, for its owner only.
        wall: Wall clock, timezone-aware.
    """

    def __init__(self, directory: Path, wall: Callable[[], datetime]) -> None:
        self._directory = directory
        self._wall = wall

    async def space(self) -> DiskSpace:
        """Return how much room there is.

        Raises:
            Unavailable: `disk_failed`.
        """
        return await self._run(self._space)

    async def recover(self, file: RecordFile) -> RecordFile | None:
        """Bring a file left open by a crash into order: cut after its last whole fragment.

        Raises:
            Unavailable: `disk_failed`.
        """
        return await self._run(self._recover, file)

    async def orphans(self, known: Sequence[str]) -> list[RecordFile]:
        """Return files of the last two days whose path is not among those known.

        Raises:
            Unavailable: `disk_failed`.
        """
        return await self._run(self._orphans, frozenset(known))

    async def remove(self, path: str) -> None:
        """Delete a file; one that is not there is no error.

        Raises:
            Unavailable: `disk_failed`.
        """
        await self._run(self._remove, path)

    async def digest(self, path: str) -> str:
        """Return the SHA-256 of a file, hex.

        Raises:
            Unavailable: `recording_unreadable`.
        """
        try:
            return await asyncio.to_thread(_digest, self._directory / path)
        except OSError as exc:
            raise _unreadable(exc) from exc

    async def whole(self, file: RecordFile) -> Clip:
        """Return one file as it lies on disk.

        Raises:
            Unavailable: `recording_unreadable`.
        """
        path = self._directory / file.path
        try:
            size = (await asyncio.to_thread(path.stat)).st_size
        except OSError as exc:
            raise _unreadable(exc) from exc
        part = ClipPart(begin=file.begin, end=file.end, at=0.0)
        etag = file.sha256[:32] if file.state is not RecordState.OPEN else ""
        return FileClip(path, size, part, mime=file.mime, etag=etag)

    async def clip(self, files: Sequence[RecordFile], begin: datetime, end: datetime) -> Clip:
        """Cut out what was recorded from the key frame at or before `begin` to `end`.

        Raises:
            NotFound: `not_recorded`.
            Unavailable: `recording_unreadable`.
        """
        try:
            found = await asyncio.to_thread(join_files, self._directory, files, begin, end)
        except (OSError, BoxError) as exc:
            raise _unreadable(exc) from exc
        if found is None:
            raise NotFound("not_recorded", f"Nothing was recorded at {begin.isoformat()}")
        return found

    # In threads

    async def _run(self, work: Callable[..., _T], *arguments: object) -> _T:
        try:
            return await asyncio.to_thread(work, *arguments)
        except OSError as exc:
            words = exc.strerror or str(exc)
            raise Unavailable("disk_failed", f"{self._directory}: {words}") from exc

    def _space(self) -> DiskSpace:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = os.statvfs(self._directory)
        return DiskSpace(
            total=found.f_blocks * found.f_frsize, free=found.f_bavail * found.f_frsize
        )

    def _recover(self, file: RecordFile) -> RecordFile | None:
        path = self._directory / file.path
        try:
            opened = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            found = scan(opened)
            finish(opened, found)
        except BoxError:
            path.unlink(missing_ok=True)
            return None
        finally:
            os.close(opened)
        first = found.stretches[0].begin
        return replace(
            file,
            state=RecordState.DAMAGED if found.left else RecordState.CLOSED,
            bytes=found.size,
            end=file.begin + timedelta(seconds=(found.end - first) / TICKS),
            head=file.head or found.head.digest,
            sha256="",
        )

    def _orphans(self, known: frozenset[str]) -> list[RecordFile]:
        today = self._wall().astimezone(UTC).date()
        days = {f"{today - timedelta(days=back):%Y%m%d}" for back in range(_DAYS_SEARCHED)}
        found = []
        for day in days:
            for path in self._directory.glob(f"*/*/{day}/*.mp4"):
                name = path.relative_to(self._directory).as_posix()
                place = parse_place(name)
                if place is not None and name not in known:
                    found.append(
                        RecordFile(
                            file_id=place.file_id,
                            device_id=place.device_id,
                            channel_id=place.channel_id,
                            stream=place.stream,
                            path=name,
                            begin=place.begin,
                            end=place.begin,
                        )
                    )
        return found

    def _remove(self, path: str) -> None:
        target = self._directory / path
        target.unlink(missing_ok=True)
        for parent in list(target.parents)[:3]:
            try:
                parent.rmdir()
            except OSError:
                # Other files are in it.
                break


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_DIGEST_PIECE):
            found.update(piece)
    return found.hexdigest()


def _unreadable(exc: Exception) -> Unavailable:
    return Unavailable(
        "recording_unreadable", f"A file of the recording cannot be read any more: {exc}"
    )
