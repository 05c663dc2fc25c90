"""Foreign RTSP players that record, and what a recording says about continuity."""

import asyncio
import json
import signal
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

__all__ = ["Continuity", "continuity", "record_by_ffmpeg", "record_by_gstreamer", "run"]

PICTURE = 0.04
DEPAYS = {
    ("video", "h264"): "rtph264depay ! h264parse",
    ("video", "hevc"): "rtph265depay ! h265parse",
    ("audio", "pcm_alaw"): "rtppcmadepay",
    ("audio", "pcm_mulaw"): "rtppcmudepay",
    ("audio", "aac"): "rtpmp4gdepay ! aacparse",
}


async def run(
    *command: str, wait: float, interrupt_after: float | None = None, once: bytes = b""
) -> tuple[int, str]:
    """Run a program; exit status and everything it said.

    Args:
        command: Program and arguments.
        wait: Seconds after which it is killed.
        interrupt_after: Seconds after which it is asked to finish as by Ctrl-C.
        once: Words of its own from which on these count.
    """
    said = b""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(wait):
            if interrupt_after is not None:
                assert process.stdout is not None
                while once not in said and (line := await process.stdout.readline()):
                    said += line
                if once in said:
                    await asyncio.sleep(interrupt_after)
                    process.send_signal(signal.SIGINT)
            rest, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        rest, _ = await process.communicate()
        raise AssertionError(f"{command[0]} did not end: {(said + rest).decode()}") from None
    assert process.returncode is not None
    return process.returncode, (said + rest).decode(errors="replace")


async def record_by_ffmpeg(
    url: str, file: Path, seconds: float, *, transport: str
) -> tuple[int, str]:
    """Record with ffmpeg as the streams are; exit status and its warnings."""
    return await run(
        "ffmpeg", "-v", "warning", "-y", "-rtsp_transport", transport, "-timeout", "15000000",
        "-i", url, "-t", str(seconds), "-c", "copy", "-f", "matroska", str(file),
        wait=seconds + 40,
    )  # fmt: skip


async def record_by_gstreamer(
    url: str,
    file: Path,
    seconds: float,
    *,
    transport: str,
    codecs: tuple[str, str] = ("h264", "pcm_alaw"),
    source: str = "buffer-mode=none",
) -> tuple[int, str]:
    """Record with GStreamer's rtspsrc; exit status and what it said.

    Args:
        url: Of the stream.
        file: Matroska.
        seconds: About as long.
        transport: `tcp` or `udp`.
        codecs: Of video and audio, by FFmpeg's names.
        source: Further properties of rtspsrc. By default it takes the time stamps as they are sent; otherwise it
            guesses the sender's clock by when packets arrive, and bends the first second.
    """
    pipeline = f"matroskamux name=m ! filesink location={file} "
    pipeline += f"rtspsrc name=s location={url} protocols={transport} latency=800 {source} "
    for kind, codec in zip(("video", "audio"), codecs, strict=True):
        pipeline += (
            f"s. ! application/x-rtp,media={kind} ! queue ! {DEPAYS[kind, codec]} ! queue ! m. "
        )
    return await run(
        "gst-launch-1.0", "-e", *pipeline.split(),
        wait=seconds + 40, interrupt_after=seconds + 1, once=b"Sent PLAY request",
    )  # fmt: skip


@dataclass
class Continuity:
    """The time stamps of one track of a recording."""

    codec: str
    stamps: list[float]

    @property
    def seconds(self) -> float:
        """From the first to the last."""
        return self.stamps[-1] - self.stamps[0]

    @property
    def missing(self) -> int:
        """Pictures of 25 a second that are not there."""
        return round(self.seconds / PICTURE) + 1 - len(self.stamps)

    @property
    def widest(self) -> float:
        """The longest step, in seconds."""
        return max(b - a for a, b in pairwise(self.stamps))

    @property
    def narrowest(self) -> float:
        """The shortest step, in seconds."""
        return min(b - a for a, b in pairwise(self.stamps))


async def continuity(file: Path, *, by: str = "") -> dict[str, Continuity]:
    """Return the time stamps of a recording by kind of track, as ffprobe reads them.

    Args:
        file: The recording.
        by: Who made it. `ffmpeg` loses the time stamp of the first picture it gets by RTSP, from whatever server
            ("Timestamps are unset in a packet"): the second one stands for it.
    """
    status, said = await run(
        "ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_packets",
        "-show_entries", "packet=stream_index,pts_time:stream=index,codec_type,codec_name", str(file),
        wait=30,
    )  # fmt: skip
    assert status == 0, said
    found: dict[str, Any] = json.loads(said)
    result = {}
    for stream in found["streams"]:
        stamps = [
            float(packet["pts_time"])
            for packet in found["packets"]
            if packet["stream_index"] == stream["index"]
        ]
        kind = stream["codec_type"]
        first = 1 if by == "ffmpeg" and kind == "video" else 0
        result[kind] = Continuity(stream["codec_name"], stamps[first:])
    return result
