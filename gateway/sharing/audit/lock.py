"""Being the only process that writes an audit, before anything of it is read; and what to say where that fails."""

import asyncio

from gateway.domain.audit import AuditFiles
from gateway.domain.errors import Unavailable
from gb28181.aio.clock import monotonic

__all__ = ["LOCK_TIMEOUT", "lock_files", "unusable"]

LOCK_TIMEOUT = 10.0
"""Seconds for which the start waits for another process to finish writing, as in a restart."""
_PAUSE = 0.1


async def lock_files(files: AuditFiles, timeout: float) -> None:
    """Lock the files; a disk that refuses does not stop the start, for the writer tells of it.

    Raises:
        BlockingIOError: another process still writes here.
    """
    give_up = monotonic() + timeout
    while True:
        try:
            await asyncio.to_thread(files.lock)
        except BlockingIOError:
            if monotonic() >= give_up:
                raise
        except OSError:
            return
        else:
            return
        await asyncio.sleep(_PAUSE)


def unusable(files: AuditFiles, exc: OSError) -> Unavailable:
    """Return the error that says which files cannot be used, and why."""
    detail = f"the audit in {files.directory} cannot be used: {exc.strerror or exc}"
    return Unavailable("audit_unavailable", detail)
