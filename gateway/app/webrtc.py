"""WebRTC put together: viewers on the media plane, and key frames asked of cameras for them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from gateway.config.model import Settings
from gateway.domain.errors import GatewayError
from gateway.domain.rtp_out import RtpPublisher
from gateway.media.plane import EmbeddedMedia
from gateway.media.webrtc.media import EmbeddedWebRtc, WebRtcOptions
from gateway.sessions.control import DeviceControls
from gb28181.aio.tasks import TaskScope

__all__ = ["webrtc_parts"]

log = structlog.get_logger()


@asynccontextmanager
async def webrtc_parts(
    settings: Settings,
    media: EmbeddedMedia,
    outputs: RtpPublisher,
    controls: DeviceControls,
    scope: TaskScope,
) -> AsyncIterator[EmbeddedWebRtc | None]:
    """Yield the sender for WebRTC viewers, None if it is switched off."""
    if not settings.webrtc.enabled:
        yield None
        return
    options = WebRtcOptions(
        host=settings.webrtc.host or settings.http.host,
        ports=settings.webrtc.ports,
        advertise=settings.webrtc.advertise,
    )
    async with EmbeddedWebRtc(media, outputs, options) as webrtc:
        webrtc.on_keyframe_wanted = _asker(controls, scope)
        yield webrtc


def _asker(controls: DeviceControls, scope: TaskScope) -> Callable[[str], None]:
    async def ask(device_id: str, channel_id: str) -> None:
        try:
            await controls.key_frame(device_id, channel_id)
        except GatewayError as exc:
            # The next key frame comes anyway.
            log.info("keyframe_not_asked", device_id=device_id, reason=exc.code)

    def wanted(stream_id: str) -> None:
        device_id, _, name = stream_id.partition("/")
        channel_id = name.partition("~")[0]
        scope.spawn(ask(device_id, channel_id), name=f"keyframe:{channel_id}")

    return wanted
