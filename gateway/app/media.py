"""The media plane and the live sessions, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.app.chance import new_id
from gateway.app.gauges import SessionMetrics
from gateway.config.model import Settings
from gateway.domain.device import MediaTransport
from gateway.domain.signalling import Signaller
from gateway.media.options import MediaOptions
from gateway.media.plane import EmbeddedMedia
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry
from gateway.sessions.live import LiveSessions
from gateway.sessions.ports import SessionSettings
from gb28181.aio.clock import monotonic, utc_now
from gb28181.aio.tasks import TaskScope
from gb28181.sdp.ssrc import SsrcPool

__all__ = ["live_sessions", "media_plane"]


def media_plane(settings: Settings) -> EmbeddedMedia:
    """Return the media plane of this process, to be entered."""
    rtp, media, limits = settings.rtp, settings.media, settings.limits
    return EmbeddedMedia(
        host=rtp.host,
        ports=rtp.ports,
        drain=rtp.drain,
        receive_buffer=rtp.receive_buffer,
        options=MediaOptions(
            source_timeout=media.source_timeout,
            viewer_bytes=media.viewer_buffer,
            gop_bytes=media.gop_cache,
            audio=media.audio,
            max_viewers=limits.max_viewers,
            max_viewers_per_stream=limits.max_viewers_per_stream,
            max_pulls=settings.sources.max_pulls,
        ),
    )


@asynccontextmanager
async def live_sessions(
    settings: Settings,
    *,
    registry: DeviceRegistry,
    signaller: Signaller,
    media: EmbeddedMedia,
    ssrcs: SsrcPool,
    scope: TaskScope,
    metrics: Metrics,
) -> AsyncIterator[LiveSessions]:
    """Build the live sessions; every camera gets its BYE at the end of the context.

    Args:
        settings: `[media]`, `[sip]`, `[limits]`.
        registry: Knows the devices.
        signaller: Asks them.
        media: Receives.
        ssrcs: Numbers of the streams.
        scope: Owner of the tasks.
        metrics: Counts.
    """
    media_settings = settings.media
    sessions = LiveSessions(
        devices=registry,
        signaller=signaller,
        media=media,
        ssrcs=ssrcs,
        settings=SessionSettings(
            platform_id=settings.sip.id,
            transport=MediaTransport(media_settings.transport),
            invite_timeout=media_settings.invite_timeout,
            first_packet_timeout=media_settings.first_packet_timeout,
            decodable_timeout=media_settings.decodable_timeout,
            no_readers_grace=media_settings.no_readers_grace,
            max_sessions=settings.limits.max_sessions,
        ),
        scope=scope,
        now=monotonic,
        wall=utc_now,
        new_id=new_id,
        observer=SessionMetrics(metrics),
    )
    try:
        yield sessions
    finally:
        await sessions.close()
