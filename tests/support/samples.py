"""Coded media made by ffmpeg at test time, and what ffmpeg says about ours."""

import subprocess
from functools import cache

from gb28181.es.splitter import AccessUnitSplitter
from gb28181.es.unit import Codec, MediaUnit
from gb28181.es.video import VideoTrack

__all__ = ["FRAME", "adts", "ffmpeg", "packet_sizes", "sound", "stream", "units"]

FRAME = 3600
"""Ticks between pictures at 25 a second."""
_FORMATS = {Codec.H264: "h264", Codec.HEVC: "hevc"}


def ffmpeg(*arguments: str, data: bytes = b"") -> bytes:
    """Run ffmpeg with `data` on standard input, return its standard output."""
    command = ["ffmpeg", "-v", "error", "-nostdin" if not data else "-y", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=30).stdout


def packet_sizes(data: bytes, container: str) -> list[int]:
    """Sizes of the first stream's video packets as ffprobe cuts them."""
    command = ["ffprobe", "-v", "error", "-f", container, "-i", "-", "-select_streams", "v:0"]
    command += ["-show_entries", "packet=size", "-of", "csv=p=0"]
    run = subprocess.run(command, input=data, capture_output=True, check=True, timeout=30)
    return [int(line.strip(",")) for line in run.stdout.decode().split()]


@cache
def adts(rate: int = 16000, channels: int = 1) -> bytes:
    """A second of AAC with ADTS headers."""
    return ffmpeg(
        *("-f", "lavfi", "-i", f"sine=r={rate}", "-t", "1", "-ac", str(channels)),
        *("-c:a", "aac", "-f", "adts", "-"),
    )


@cache
def stream(
    codec: Codec,
    *,
    frames: int = 30,
    gop: int = 10,
    size: str = "320x240",
    b_frames: int = 0,
    slices: int = 1,
    rate: str = "600k",
) -> bytes:
    """An elementary stream of a moving test picture, 25 pictures a second."""
    source = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r=25", "-frames:v", str(frames)]
    if codec is Codec.H264:
        coder = ["-c:v", "libx264", "-preset", "ultrafast", "-slices", str(slices)]
        coder += ["-bf", str(b_frames), "-g", str(gop), "-x264-params", "threads=1:scenecut=0"]
    else:
        options = f"log-level=none:pools=1:keyint={gop}:min-keyint={gop}:scenecut=0"
        options += f":bframes={b_frames}:slices={slices}:repeat-headers=1:open-gop=0"
        coder = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", options]
    return ffmpeg(*source, *coder, "-b:v", rate, "-f", _FORMATS[codec], "-")


def units(codec: Codec, *, first: int = 0, **options: int | str) -> list[MediaUnit]:
    """The access units of `stream` as a demuxer should return them, from PTS `first` on."""
    splitter, track = AccessUnitSplitter(codec), VideoTrack(codec)
    data = stream(codec, **options)
    result: list[MediaUnit] = []
    for cut in splitter.feed(data) + splitter.flush():
        finished = track.finish(cut.payload)
        assert finished is not None
        time = first + len(result) * FRAME
        result.append(MediaUnit(codec, time, time, keyframe=finished[1], payload=finished[0]))
    return result


def sound(codec: Codec, count: int, *, first: int = 0) -> list[MediaUnit]:
    """Units of 40 ms of G.711 that differ from each other."""
    return [
        MediaUnit(codec, first + i * FRAME, first + i * FRAME, True, bytes([i % 200 + 3]) * 320)
        for i in range(count)
    ]
