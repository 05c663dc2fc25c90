"""RTSP put together: the server, and the URLs under which others find it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.app.base_url import base_url
from gateway.config.model import Settings
from gateway.domain.rtp_out import RtpPublisher
from gateway.domain.viewing import StreamDoor
from gateway.rtsp.options import RtspOptions
from gateway.rtsp.server import RtspServer
from gateway.sessions.live import LiveSessions

__all__ = ["rtsp_base", "rtsp_parts"]


def rtsp_base(settings: Settings, port: Callable[[], int]) -> Callable[[str], str] | None:
    """Return what makes the beginning of stream URLs from the host of a request; None without RTSP.

    Args:
        settings: `[rtsp]`.
        port: Returns the port as bound.
    """
    if not settings.rtsp.enabled:
        return None

    return base_url("rtsp", settings.rtsp.public_host, port)


@asynccontextmanager
async def rtsp_parts(
    settings: Settings,
    door: StreamDoor,
    sessions: LiveSessions,
    outputs: RtpPublisher,
    on_crash: Callable[[str, Exception], None],
) -> AsyncIterator[RtspServer | None]:
    """Yield the running server, None if it is switched off.

    Raises:
        Unavailable: `rtsp_port_taken`.
    """
    rtsp = settings.rtsp
    if not rtsp.enabled:
        yield None
        return
    options = RtspOptions(
        host=rtsp.host or settings.http.host,
        port=rtsp.port,
        udp_ports=rtsp.ports,
        max_connections=rtsp.max_connections,
        max_connections_per_host=rtsp.max_connections_per_host,
        viewer_bytes=settings.media.viewer_buffer,
    )
    server = RtspServer(
        door=door, sessions=sessions, outputs=outputs, options=options, on_crash=on_crash
    )
    async with server:
        yield server
