"""Brings files into order that a crash left behind."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from gateway.domain.errors import Unavailable
from gateway.domain.recording import MAX_FILE_SPAN, RecordFile, RecordingFiles, RecordingIndex
from gateway.recording.keeper import IndexKeeper
from gb28181.aio.tasks import TaskScope

__all__ = ["recover"]

log = structlog.get_logger()

AT_ONCE = 4
RETRY = 30.0
PAGE = 1000


async def recover(
    index: RecordingIndex,
    files: RecordingFiles,
    keeper: IndexKeeper,
    scope: TaskScope,
    wall: Callable[[], datetime],
) -> None:
    """Find what was left open or is not in the index, then put it right in the background.

    Returns once it is known what that is: files that are begun afterwards are none of it. While store or disk
    fail it is tried again in the background, and what is being written then is left alone.

    Args:
        index: Rows.
        files: Files.
        keeper: Takes the rows.
        scope: Owner of the background task.
        wall: Wall clock.
    """
    try:
        left = await _left_over(index, files, keeper, wall)
    except Unavailable as exc:
        log.warning("recordings_not_recovered", detail=exc.detail)
        scope.spawn(_later(index, files, keeper, wall), name="recording:recovery")
        return
    if left:
        scope.spawn(_restore(left, files, keeper), name="recording:recovery")


async def _later(
    index: RecordingIndex,
    files: RecordingFiles,
    keeper: IndexKeeper,
    wall: Callable[[], datetime],
) -> None:
    while True:
        await asyncio.sleep(RETRY)
        try:
            left = await _left_over(index, files, keeper, wall)
        except Unavailable:
            continue
        await _restore(left, files, keeper)
        return


async def _left_over(
    index: RecordingIndex,
    files: RecordingFiles,
    keeper: IndexKeeper,
    wall: Callable[[], datetime],
) -> list[RecordFile]:
    left = await index.open_recordings()
    known = [file.path for file in left]
    since = wall() - timedelta(days=3, seconds=MAX_FILE_SPAN)
    offset = 0
    while True:
        page = await index.recordings(begin=since, limit=PAGE, offset=offset)
        known += [file.path for file in page]
        offset += PAGE
        if len(page) < PAGE:
            break
    left += await files.orphans(known)
    return [file for file in left if not keeper.is_open(file.file_id)]


async def _restore(left: list[RecordFile], files: RecordingFiles, keeper: IndexKeeper) -> None:
    waiting = iter(left)

    async def work() -> None:
        for file in waiting:
            await _restore_one(file, files, keeper)

    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(work(), name=f"recording:recovery:{number}")


async def _restore_one(file: RecordFile, files: RecordingFiles, keeper: IndexKeeper) -> None:
    try:
        found = await files.recover(file)
    except Unavailable as exc:
        # Its row stays open: the next start tries again.
        log.warning("recording_not_recovered", name=file.file_id, detail=exc.detail)
        return
    if found is None:
        log.info("recording_empty", name=file.file_id, device_id=file.device_id)
        keeper.removed(file.file_id)
        return
    keeper.closed(found)
    log.info(
        "recording_recovered",
        device_id=found.device_id,
        channel_id=found.channel_id,
        name=found.file_id,
        bytes=found.bytes,
    )
