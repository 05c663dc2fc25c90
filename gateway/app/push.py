"""Pushes put together."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.app.chance import new_id, spread
from gateway.app.sharing import SharingParts
from gateway.domain.document import DocumentStore
from gateway.media.plane import EmbeddedMedia
from gateway.media.push.media import EmbeddedPush
from gateway.registry.registry import DeviceRegistry
from gateway.sessions.live import LiveSessions
from gateway.sessions.pushes import PushService
from gateway.sharing.changelog import ChangeLog
from gb28181.aio.clock import monotonic, utc_now
from gb28181.aio.tasks import TaskScope

__all__ = ["push_service"]


@asynccontextmanager
async def push_service(
    *,
    store: DocumentStore,
    registry: DeviceRegistry,
    sharing: SharingParts,
    sessions: LiveSessions,
    media: EmbeddedMedia,
    scope: TaskScope,
) -> AsyncIterator[PushService]:
    """Build the pushes; end them with the context. `start` is to be called once all else serves.

    Args:
        store: Keeps them.
        registry: Knows the channels.
        sharing: The policy, the audit, the box for secrets.
        sessions: Starts streams.
        media: Has them.
        scope: Owner of the tasks.
    """
    service = PushService(
        store=store,
        box=sharing.box,
        departments=sharing.departments,
        channels=registry,
        sessions=sessions,
        media=EmbeddedPush(media, ffmpeg=await asyncio.to_thread(shutil.which, "ffmpeg")),
        access=sharing.access,
        changes=ChangeLog(sharing.audit, wall=utc_now, new_id=new_id),
        scope=scope,
        wall=utc_now,
        now=monotonic,
        new_id=lambda: secrets.token_hex(6),
        spread=spread,
    )
    try:
        yield service
    finally:
        await service.close()
