"""Sources and publishers that are not ours: GStreamer's RTSP server, FFmpeg as RTMP server and publisher."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = [
    "H264_WITH_SOUND",
    "H265",
    "decoded",
    "free_port",
    "gst_publisher",
    "gst_rtsp_server",
    "hevc_publisher",
    "publisher",
    "rtmp_listener",
    "running",
]

SYSTEM_PYTHON = "/usr/bin/python3"
"""GObject introspection is Debian's."""

_RTSP_SERVER = """
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0"); gi.require_version("GstRtsp", "1.0")
from gi.repository import Gst, GstRtsp, GstRtspServer, GLib
Gst.init(None)
pipeline, user, password, digest, port = sys.argv[1:6]
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1"); server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( " + pipeline + " )"); factory.set_shared(True)
if user:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", user)
    if digest == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role(user, "media.factory.access", True)
    permissions.add_permission_for_role(user, "media.factory.construct", True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/cam", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""

_HEVC_PUBLISHER = """
import sys, time, av
with av.open(sys.argv[1], "w", format="flv", options={"rtmp_enhanced_codecs": "hvc1"}) as output:
    stream = output.add_stream("libx265", rate=25)
    stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
    stream.options = {"preset": "ultrafast", "x265-params": "keyint=25:bframes=2:log-level=0"}
    for number in range(1500):
        frame = av.VideoFrame(320, 240, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([number % 256]) * plane.buffer_size)
        frame.pts = number
        output.mux(stream.encode(frame))
        time.sleep(0.04)
"""

H264_WITH_SOUND = (
    "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=400"
    " ! rtph264pay name=pay0 pt=96 config-interval=-1"
    " audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8"
)
H265 = (
    "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1"
    " ! x265enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=400"
    " ! rtph265pay name=pay0 pt=96 config-interval=-1"
)


def free_port() -> int:
    """Return a TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program, kill it at the end; its output can be read."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"GST_DEBUG": "1"},
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@asynccontextmanager
async def gst_rtsp_server(
    pipeline: str = H264_WITH_SOUND,
    *,
    user: str = "",
    password: str = "",
    digest: bool = True,
    port: int = 0,
) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """Run GStreamer's RTSP server; yields its port. The stream is at `/cam`."""
    method = "digest" if digest else "basic"
    arguments = (
        SYSTEM_PYTHON, "-c", _RTSP_SERVER, pipeline, user, password, method, str(port)
    )  # fmt: skip
    async with running(*arguments) as process:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            line = await process.stdout.readline()
        yield int(line), process


def _picture(codec: str, seconds: float | None = None) -> list[str]:
    length = [] if seconds is None else ["-t", str(seconds)]
    return [
        "ffmpeg", "-hide_banner", "-loglevel", "info", "-re",
        "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25",
        "-f", "lavfi", "-i", "sine=440", *length,
        "-c:v", codec, "-preset", "ultrafast", "-bf", "2", "-g", "25", "-b:v", "400k",
        "-c:a", "aac", "-ar", "44100", "-f", "flv",
    ]  # fmt: skip


def publisher(url: str, *, seconds: float | None = None) -> tuple[str, ...]:
    """Return the command of an FFmpeg that publishes H.264 with B-frames and AAC."""
    return (*_picture("libx264", seconds), url)


def rtmp_listener(port: int) -> tuple[str, ...]:
    """Return the command of an FFmpeg that plays to the first RTMP client."""
    return (*_picture("libx264"), "-listen", "1", f"rtmp://127.0.0.1:{port}/live/cam")


def gst_publisher(sink: str) -> tuple[str, ...]:
    """Return the command of a GStreamer that publishes H.264 and AAC.

    Args:
        sink: Element with its location: `rtmp2sink location=...`.
    """
    pipeline = (
        "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1"
        " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=400 ! h264parse ! mux."
        " audiotestsrc is-live=true ! audio/x-raw,rate=44100,channels=1 ! voaacenc ! aacparse ! mux."
        f" flvmux name=mux streamable=true ! {sink}"
    )
    return ("gst-launch-1.0", "-q", *pipeline.split())


async def decoded(*source: str, seconds: float = 1.5, timeout: float = 30.0) -> dict[str, int]:
    """Let ffprobe decode a stream; frames by codec.

    Args:
        source: Options and URL or file.
        seconds: How much of it.
        timeout: Seconds to wait for all that.
    """
    process = await asyncio.create_subprocess_exec(
        "ffprobe", "-v", "error", "-read_intervals", f"%+{seconds:g}", "-count_frames",
        "-show_entries", "stream=codec_name,nb_read_frames", "-of", "csv=p=0", *source,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(timeout):
            out, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    rows = (line.split(",") for line in out.decode().splitlines() if "," in line)
    return {codec: int(frames) for codec, frames, *_ in rows if frames.isdigit()}


def hevc_publisher(url: str) -> tuple[str, ...]:
    """Return the command of a publisher of H.265 with the header of Enhanced RTMP: the FFmpeg in PyAV, Debian's is older.

    In a process of its own: PyAV holds the interpreter's lock while it connects.
    """
    return (sys.executable, "-c", _HEVC_PUBLISHER, url)
