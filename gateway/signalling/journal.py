"""Dialogs that outlive a crash: after `kill -9` the cameras still send, and count the stream against their limit.

Each open dialog stands in a small file. After a restart its device gets the BYE that the crash has swallowed, as
soon as it can be reached (quirks 27 and 115).
"""

import asyncio
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from gb28181.aio.tasks import TaskScope

__all__ = ["DialogJournal", "OpenDialog"]

log = structlog.get_logger()

WRITE_DELAY = 0.1
"""Seconds in which changes are gathered into one write."""
MAX_GHOSTS = 10_000
"""Dialogs taken over from a former run; more than a gateway has streams is no journal of ours."""
GHOST_CSEQ = 1_000
"""CSeq of such a BYE: above all that the dialog has seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDialog:
    """What a BYE needs."""

    device_id: str
    channel_id: str
    call_id: str
    local_tag: str
    remote_tag: str


class DialogJournal:
    """Keeps the open dialogs in a file.

    Args:
        path: The file.
        scope: Owner of the writes.
    """

    def __init__(self, path: Path, scope: TaskScope) -> None:
        self._path = path
        self._scope = scope
        self._open: dict[str, OpenDialog] = {}
        self._ghosts: dict[str, list[OpenDialog]] = {}
        self._writing = False

    async def load(self) -> int:
        """Take over what a former run left; return how many dialogs that are."""
        for entry in await asyncio.to_thread(self._read):
            self._ghosts.setdefault(entry.device_id, []).append(entry)
        return sum(map(len, self._ghosts.values()))

    def has_ghosts(self, device_id: str) -> bool:
        """Whether a former run left anything open with a device."""
        return device_id in self._ghosts

    def ghosts(self, device_id: str) -> list[OpenDialog]:
        """Take out what a former run left open with a device."""
        found = self._ghosts.pop(device_id, [])
        if found:
            self._changed()
        return found

    def opened(self, dialog: OpenDialog) -> None:
        """Note a dialog."""
        self._open[dialog.call_id] = dialog
        self._changed()

    def closed(self, call_id: str) -> None:
        """Forget a dialog."""
        if self._open.pop(call_id, None) is not None:
            self._changed()

    def _changed(self) -> None:
        if not self._writing:
            self._writing = True
            self._scope.spawn(self._write(), name="dialog-journal")

    async def flush(self) -> None:
        """Write what is open now; the last act of a clean end."""
        waiting = [entry for entries in self._ghosts.values() for entry in entries]
        entries = [asdict(entry) for entry in (*waiting, *self._open.values())]
        await asyncio.to_thread(self._store, json.dumps(entries))

    async def _write(self) -> None:
        await asyncio.sleep(WRITE_DELAY)
        self._writing = False
        await self.flush()

    def _store(self, text: str) -> None:
        temporary = self._path.with_suffix(".new")
        try:
            temporary.write_text(text)
            os.replace(temporary, self._path)  # noqa: PTH105 - atomic on one file system
        except OSError as exc:
            log.warning("dialog_journal_not_written", detail=str(exc))

    def _read(self) -> list[OpenDialog]:
        try:
            entries = json.loads(self._path.read_text())
            return [OpenDialog(**entry) for entry in entries[:MAX_GHOSTS]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as exc:
            log.warning("dialog_journal_unreadable", detail=str(exc))
            return []
