"""Foreign sources put together: the book, the service, and the server for publishers."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.app.base_url import base_url
from gateway.app.chance import new_id
from gateway.app.sharing import SharingParts
from gateway.config.model import Settings
from gateway.domain.document import DocumentStore
from gateway.media.plane import EmbeddedMedia
from gateway.registry.registry import DeviceRegistry
from gateway.rtmp.server import RtmpServer
from gateway.sessions.live import LiveSessions
from gateway.sessions.source_book import SourceBook
from gateway.sessions.source_ports import SourceSettings
from gateway.sessions.sources import ForeignSources
from gateway.sharing.changelog import ChangeLog
from gb28181.aio.clock import monotonic, utc_now
from gb28181.aio.tasks import TaskScope

__all__ = ["foreign_sources", "rtmp_base", "rtmp_parts"]


@asynccontextmanager
async def foreign_sources(
    settings: Settings,
    *,
    store: DocumentStore,
    registry: DeviceRegistry,
    sharing: SharingParts,
    sessions: LiveSessions,
    media: EmbeddedMedia,
    scope: TaskScope,
) -> AsyncIterator[ForeignSources]:
    """Build the service and make its channels; publishers end with the context.

    Args:
        settings: `[sources]` and `[sip] id`.
        store: Keeps them.
        registry: Holds their channels.
        sharing: The audit, the box for secrets.
        sessions: Get their media from here on.
        media: Fetches.
        scope: Owner of the tasks.

    Raises:
        Unavailable: the store failed.
    """
    chosen = settings.sources
    book = SourceBook(
        store,
        box=sharing.box,
        changes=ChangeLog(sharing.audit, wall=utc_now, new_id=new_id),
    )
    sources = ForeignSources(
        book,
        devices=registry,
        sessions=sessions,
        media=media,
        audit=sharing.audit,
        settings=SourceSettings(
            domain=settings.sip.id[:10],
            name=chosen.name,
            connect_timeout=chosen.connect_timeout,
            read_timeout=chosen.read_timeout,
            probe_interval=chosen.probe_interval,
        ),
        scope=scope,
        wall=utc_now,
        now=monotonic,
        new_id=new_id,
    )
    await sources.start()
    sessions.foreign = sources
    try:
        yield sources
    finally:
        sources.close()


def rtmp_base(settings: Settings, port: Callable[[], int]) -> Callable[[str], str] | None:
    """Return what makes the beginning of publish URLs from the host of a request; None without RTMP.

    Args:
        settings: `[rtmp]`.
        port: Returns the port as bound.
    """
    if not settings.rtmp.enabled:
        return None

    base = base_url("rtmp", settings.rtmp.public_host, port)
    return lambda host: f"{base(host)}/live"


@asynccontextmanager
async def rtmp_parts(
    settings: Settings, sources: ForeignSources
) -> AsyncIterator[RtmpServer | None]:
    """Yield the running server, None if it is switched off.

    Raises:
        Unavailable: `rtmp_not_listening`.
    """
    rtmp = settings.rtmp
    if not rtmp.enabled:
        yield None
        return
    async with RtmpServer(
        sources.desk,
        host=rtmp.host or settings.http.host,
        port=rtmp.port,
        max_connections=rtmp.max_connections,
    ) as server:
        yield server
