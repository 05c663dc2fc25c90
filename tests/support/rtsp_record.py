"""Foreign RTSP players that record, and what a recording says about continuity."""

import asyncio
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tests.support.foreign_sources import SYSTEM_PYTHON

__all__ = ["Continuity", "continuity", "record_by_ffmpeg", "record_by_gstreamer", "run"]

PICTURE = 0.04
DEPAYS = {
    ("video", "h264"): "rtph264depay ! h264parse",
    ("video", "hevc"): "rtph265depay ! h265parse",
    ("audio", "pcm_alaw"): "rtppcmadepay",
    ("audio", "pcm_mulaw"): "rtppcmudepay",
    ("audio", "aac"): "rtpmp4gdepay ! aacparse",
}
# An application of its own, for gst-launch links the two pads of rtspsrc in two threads at once and now and then loses one.
_RECORDER: Final = """
import sys, gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst, GLib
Gst.init(None)
seconds, launch = float(sys.argv[1]), sys.argv[2]
pipeline, loop, status = Gst.parse_launch(launch), GLib.MainLoop(), [1]

def added(source, pad):
    media = (pad.get_current_caps() or pad.query_caps()).get_structure(0).get_string("media")
    queue = pipeline.get_by_name(media)
    result = pad.link(queue.get_static_pad("sink")) if queue else "no such queue"
    print("linked", media, result, flush=True)

def enough():
    pipeline.send_event(Gst.Event.new_eos())
    return False

def said(bus, message):
    if message.type is Gst.MessageType.ERROR:
        print("ERROR", *message.parse_error(), flush=True)
        loop.quit()
    elif message.type is Gst.MessageType.WARNING:
        print("WARNING", *message.parse_warning(), flush=True)
    elif message.type is Gst.MessageType.EOS:
        status[0] = 0
        loop.quit()
    elif message.type is Gst.MessageType.PROGRESS:
        kind, code, text = message.parse_progress()
        print(text, flush=True)
        if text == "Sent PLAY request":
            GLib.timeout_add(round(1000 * seconds), enough)

pipeline.get_by_name("s").connect("pad-added", added)
bus = pipeline.get_bus()
bus.add_signal_watch()
bus.connect("message", said)
pipeline.set_state(Gst.State.PLAYING)
loop.run()
pipeline.set_state(Gst.State.NULL)
sys.exit(status[0])
"""


async def run(*command: str, wait: float) -> tuple[int, str]:
    """Run a program; exit status and everything it said. After `wait` seconds it is killed, and that is a failure."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(wait):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        said, _ = await process.communicate()
        raise AssertionError(f"{command[0]} did not end: {said.decode()}") from None
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


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
        pipeline += f"queue name={kind} ! {DEPAYS[kind, codec]} ! queue ! m. "
    return await run(SYSTEM_PYTHON, "-c", _RECORDER, str(seconds + 1), pipeline, wait=seconds + 40)


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
