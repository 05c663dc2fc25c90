"""Where a viewer's bytes go: straight to the transport, one write a chunk."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from typing import cast

from gateway.domain.media import OutputFormat, StreamInfo
from gateway.domain.session import EndReason

__all__ = [
    "CLOSE_TRY_LATER",
    "CONTENT_TYPES",
    "ConnectionTap",
    "HttpSink",
    "Sink",
    "WsSink",
    "info_frame",
    "response_head",
]

CONTENT_TYPES = {OutputFormat.FLV: "video/x-flv", OutputFormat.MP4: "video/mp4"}

CLOSE_GOING_AWAY = 1001
CLOSE_TRY_LATER = 1013
CLOSE_STREAM_OVER = 4000
"""Private use (RFC 6455 7.4.2): the reason text is `code: detail`."""
_MAX_REASON = 123
_WS_TEXT = 0x81


class Sink:
    """What both kinds of viewer share.

    Args:
        transport: Of the viewer's connection.
        prologue: Gives what goes out before the first chunk.
    """

    framing = "raw"

    def __init__(self, transport: asyncio.Transport, prologue: Callable[[], bytes]) -> None:
        self.transport = transport
        self._prologue: Callable[[], bytes] | None = prologue
        self.sent = 0
        """Bytes of stream written."""
        self.ended: tuple[str, str] | None = None
        """Code and detail once the stream is over for this viewer."""
        self.forbidden = False
        """Whether it is over because this viewer may not watch any more."""
        self.told = False
        """Whether the detail is in the viewer's words already."""
        self.begun = asyncio.Event()
        """Set by the first chunk, and by the end."""
        self.over = asyncio.Event()

    @property
    def started(self) -> bool:
        """Whether bytes went out."""
        return self._prologue is None

    def write(self, data: bytes) -> None:
        """Send a chunk; one for a connection that is going already is dropped."""
        if self.ended is not None or self.transport.is_closing():
            return
        if self._prologue is not None:
            data = self._prologue() + data
            self._prologue = None
            self.begun.set()
        self.sent += len(data)
        self.transport.write(data)

    def buffered(self) -> int:
        """Return bytes accepted and not yet taken by the network."""
        return self.transport.get_write_buffer_size()

    def close(self, code: str, detail: str) -> None:
        """Note that the stream is over; the first call counts."""
        if self.ended is None:
            self.ended = (code, detail)
            self.begun.set()
            self.over.set()

    def forbid(self, code: str, detail: str) -> None:
        """Note that this viewer may not watch any more, or that the gateway stops."""
        if self.ended is None:
            self.forbidden = code != EndReason.SHUTDOWN
            self.told = True
        self.close(code, detail)


class HttpSink(Sink):
    """A plain HTTP viewer."""


class WsSink(Sink):
    """A WebSocket viewer; its chunks come with their frame headers."""

    framing = "ws"

    def closing(self, told: Callable[[str, str], str]) -> tuple[int, bytes]:
        """Return close code and reason.

        Args:
            told: Returns the viewer's words for code and detail of a stream's end.
        """
        code, detail = self.ended or ("stopped", "")
        if not self.told:
            detail = told(code, detail)
        number = {"shutdown": CLOSE_GOING_AWAY, "too_slow": CLOSE_TRY_LATER}.get(
            code, CLOSE_STREAM_OVER
        )
        reason = f"{code}: {detail}".encode("utf-8", "replace")[:_MAX_REASON]
        # A cut must not leave half a character: browsers fail the connection over it.
        return number, reason.decode("utf-8", "ignore").encode()


class ConnectionTap(asyncio.Protocol):
    """Sits between a transport and its protocol to learn at once that the viewer left.

    Args:
        transport: The connection.
        forward: Whether what the peer sends is still passed on; a streaming HTTP client has nothing more to say.
    """

    def __init__(self, transport: asyncio.Transport, *, forward: bool) -> None:
        self._transport = transport
        self._inner = cast("asyncio.Protocol", transport.get_protocol())
        self._forward = forward
        self._task: asyncio.Task[object] | None = asyncio.current_task()
        self.lost = asyncio.Event()
        transport.set_protocol(self)

    def release(self) -> None:
        """Let the connection's loss cancel nothing from now on."""
        self._task = None

    def remove(self) -> None:
        """Put the old protocol back."""
        self._task = None
        if not self.lost.is_set():
            self._transport.set_protocol(self._inner)

    def data_received(self, data: bytes) -> None:
        """Pass on, or drop."""
        if self._forward:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Let the transport close."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Pass on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on, and stop the handler that serves this viewer."""
        self.lost.set()
        self._inner.connection_lost(exc)
        if self._task is not None:
            self._task.cancel()


def response_head(output: OutputFormat, now: datetime, headers: dict[str, str]) -> bytes:
    """Return status line and headers of an endless response."""
    lines = [
        "HTTP/1.1 200 OK",
        f"Content-Type: {CONTENT_TYPES[output]}",
        f"Date: {format_datetime(now, usegmt=True)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def info_frame(info: StreamInfo | None) -> bytes:
    """Return a text frame that names the codecs, so that a page can say that its browser lacks one."""
    video = info.video.mime_codec if info and info.video else ""
    audio = info.audio.mime_codec if info and info.audio else ""
    codecs = ",".join(codec for codec in (video, audio) if codec)
    mime = f'video/mp4; codecs="{codecs}"' if codecs else "video/mp4"
    text = json.dumps({"type": "info", "video": video, "audio": audio, "mime": mime}).encode()
    if len(text) < 126:
        return bytes((_WS_TEXT, len(text))) + text
    return bytes((_WS_TEXT, 126)) + len(text).to_bytes(2, "big") + text
