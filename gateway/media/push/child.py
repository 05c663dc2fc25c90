"""The child process: fragmented MP4 from standard input to one RTMP or RTSP target, by PyAV.

Run as `python -m gateway.media.push.child`. The first line of standard input is a JSON object with `url`, `kind` and
`tls_verify`, which thus appear in no list of processes; the stream follows until its end. Tells its progress on standard
output as JSON lines: `{"state": "connected"}`, `{"state": "failed", "detail": ...}`.
"""

import json
import os
import sys
from typing import Any

import av
import av.logging

from gateway.media.tls import tls_options

__all__ = ["main"]

MAX_LINE = 8_192
"""Bytes of the first line; a URL has under 4,096 characters."""
TIMEOUT_US = "15000000"
"""Microseconds FFmpeg waits for the target's socket."""

_RTSP = ("rtsp", {"rtsp_transport": "tcp", "timeout": TIMEOUT_US})
_FORMATS: dict[str, tuple[str, dict[str, str]]] = {
    "rtmp": ("flv", {"flvflags": "no_duration_filesize"}),
    "rtsp": _RTSP,
    "rtsps": _RTSP,
}


def _first_line() -> dict[str, Any]:
    # Byte by byte: what follows belongs to FFmpeg, which reads the same descriptor.
    line = bytearray()
    while len(line) < MAX_LINE:
        byte = os.read(0, 1)
        if byte in {b"", b"\n"}:
            break
        line += byte
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def _tell(**words: str) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Copy the stream to the target; returns the exit code."""
    av.logging.set_level(av.logging.ERROR)
    spec = _first_line()
    muxer, options = _FORMATS[spec["kind"]]
    if spec["kind"] == "rtsps":
        options = options | tls_options(verify=spec["tls_verify"])
    try:
        # The header tells all about the tracks: nothing needs to be looked for in the stream.
        probe = {"probesize": "32", "analyzeduration": "0"}
        with (
            av.open("pipe:0", format="mp4", options=probe) as source,
            av.open(spec["url"], "w", format=muxer, options=options) as target,
        ):
            tracks = {
                stream.index: target.add_stream_from_template(stream)
                for stream in (*source.streams.video, *source.streams.audio)
            }
            target.start_encoding()
            _tell(state="connected")
            for packet in source.demux():
                if packet.dts is None:
                    continue
                packet.stream = tracks[packet.stream.index]
                target.mux(packet)
    except (av.FFmpegError, OSError, ValueError) as exc:
        _tell(state="failed", detail=str(exc))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
