"""Opens a stream URL as a player would and decodes it, in a worker thread."""

import threading
from dataclasses import dataclass, field
from typing import Any

import av
from av.error import FFmpegError

from gb28181.aio.clock import monotonic

__all__ = ["Decoded", "decode"]

OPEN_TIMEOUT = 20.0
READ_TIMEOUT = 10.0


@dataclass(slots=True)
class Decoded:
    """What came out; read by the loop while the worker still counts."""

    format: str
    codec: str = ""
    width: int = 0
    height: int = 0
    audio: str = ""
    frames: int = 0
    audio_frames: int = 0
    first_picture: float | None = None
    """Monotonic time of the first decoded picture."""
    last_picture: float | None = None
    error: str = ""
    fps: float = 0.0
    """Pictures a second by their time stamps."""
    enough: threading.Event = field(default_factory=threading.Event)
    """Set once `wanted` frames were decoded, or on failure."""


def decode(url: str, result: Decoded, *, wanted: int, stop: threading.Event) -> None:
    """Decode until told to stop or the stream ends; blocks."""
    try:
        # Not `nobuffer`: it throws away what was read to find the codecs, the key frame included.
        options = {"analyzeduration": "1000000", "fpsprobesize": "0"}
        with av.open(url, timeout=(OPEN_TIMEOUT, READ_TIMEOUT), options=options) as container:
            _decode(container, result, wanted, stop)
    except FFmpegError as exc:
        if not stop.is_set():
            result.error = exc.strerror or str(exc)
    finally:
        if not result.frames and not result.error:
            result.error = "no picture"
        result.enough.set()


def _decode(container: Any, result: Decoded, wanted: int, stop: threading.Event) -> None:  # noqa: ANN401
    times: list[float] = []
    if container.streams.audio:
        result.audio = container.streams.audio[0].codec_context.name
    for frame in container.decode():
        if stop.is_set():
            return
        if isinstance(frame, av.AudioFrame):
            result.audio_frames += 1
            continue
        if not isinstance(frame, av.VideoFrame):
            continue
        result.last_picture = monotonic()
        if result.first_picture is None:
            result.first_picture = result.last_picture
            result.codec = container.streams.video[0].codec_context.name
            result.width, result.height = frame.width, frame.height
        result.frames += 1
        if len(times) < 1000:
            times.append(float(frame.time or 0))
            if len(times) > 1 and times[-1] > times[0]:
                result.fps = (len(times) - 1) / (times[-1] - times[0])
        if result.frames >= wanted:
            result.enough.set()
