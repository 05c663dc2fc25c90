"""Real coded media made with FFmpeg's encoders, and doubles for the sides of the media plane."""

import asyncio
import io
import math
import subprocess
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av

from gb28181.es import aac, g711
from gb28181.es.unit import Codec, MediaUnit

__all__ = [
    "RecordingEvents",
    "RecordingSink",
    "aac_units",
    "ffprobe",
    "g711_units",
    "interleave",
    "read_back",
    "video_units",
]

ENCODERS = {Codec.H264: "libx264", Codec.HEVC: "libx265"}
FRAME = 3_600


@cache
def _encode_video(codec: Codec, count: int, width: int, height: int, gop: int) -> tuple[bytes, ...]:
    encoder: Any = av.CodecContext.create(ENCODERS[codec], "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), 25
    encoder.gop_size = gop
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    if codec is Codec.HEVC:
        encoder.options = {
            **encoder.options,
            "x265-params": f"log-level=none:keyint={gop}:min-keyint={gop}:repeat-headers=1",
        }
    packets = []
    for number in range(count):
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([number * 7 % 255]) * plane.buffer_size)
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return tuple(bytes(packet) for packet in packets)


def video_units(
    codec: Codec = Codec.H264,
    count: int = 50,
    *,
    width: int = 160,
    height: int = 128,
    gop: int = 25,
    start: int = 0,
) -> list[MediaUnit]:
    """Encode `count` pictures at 25 a second."""
    payloads = _encode_video(codec, count, width, height, gop)
    return [
        MediaUnit(codec, start + i * FRAME, start + i * FRAME, i % gop == 0, payload)
        for i, payload in enumerate(payloads)
    ]


@cache
def _encode_aac(count: int, rate: int) -> tuple[bytes, ...]:
    encoder: Any = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "fltp"
    encoder.bit_rate, encoder.time_base = 32_000, Fraction(1, rate)
    packets = []
    for number in range(count):
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate, frame.pts, frame.time_base = rate, number * 1024, Fraction(1, rate)
        frame.planes[0].update(bytes(4096))
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    config = aac.AudioSpecificConfig(sample_rate=rate, channels=1)
    return tuple(
        aac.build_adts_header(config, packet.size) + bytes(packet) for packet in packets[:count]
    )


def aac_units(count: int = 32, *, rate: int = 16_000, start: int = 0) -> list[MediaUnit]:
    """Encode `count` AAC frames of silence, one a unit."""
    step = 1024 * 90_000 // rate
    return [
        MediaUnit(Codec.AAC, start + i * step, start + i * step, True, payload)
        for i, payload in enumerate(_encode_aac(count, rate))
    ]


def g711_units(
    count: int = 50, *, codec: Codec = Codec.PCM_ALAW, start: int = 0
) -> list[MediaUnit]:
    """Encode `count` runs of 40 ms of a 440 Hz tone."""
    tone = [int(8000 * math.sin(2 * math.pi * 440 * i / 8000)) for i in range(320)]
    payload = g711.encode(tone, codec)
    return [
        MediaUnit(codec, start + i * FRAME, start + i * FRAME, True, payload) for i in range(count)
    ]


def interleave(*tracks: list[MediaUnit]) -> list[MediaUnit]:
    """Merge tracks in the order of their time stamps, video first."""
    return sorted(
        (unit for track in tracks for unit in track), key=lambda u: (u.dts, not u.is_video)
    )


def read_back(data: bytes) -> tuple[dict[str, list[tuple[float, float]]], int]:
    """Demux and decode: (dts, pts) in seconds by track type, and the number of decoded pictures."""
    stamps: dict[str, list[tuple[float, float]]] = {}
    with av.open(io.BytesIO(data), mode="r") as container:
        for packet in container.demux():
            if packet.size and packet.dts is not None and packet.pts is not None:
                base = float(packet.time_base or 0)
                stamps.setdefault(packet.stream.type, []).append(
                    (packet.dts * base, packet.pts * base)
                )
    with av.open(io.BytesIO(data), mode="r") as container:
        decoded = sum(1 for _ in container.decode(video=0))
    return stamps, decoded


def ffprobe(file: Path, entries: str) -> list[str]:
    """Ask the distribution's FFmpeg, which must have nothing to complain about."""
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-count_packets", "-show_entries", entries, "-of", "csv", file],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stderr == ""
    return shown.stdout.split()


class RecordingSink:
    """A sink that keeps what it got and pretends to have sent it, unless `stuck`."""

    def __init__(self, framing: str = "raw") -> None:
        self.framing = framing
        self.writes: list[bytes] = []
        self.closed: tuple[str, str] | None = None
        self.stuck = False
        self._sent = 0
        self._changed = asyncio.Event()

    @property
    def data(self) -> bytes:
        """All bytes so far."""
        return b"".join(self.writes)

    def write(self, data: bytes) -> None:
        """Keep the bytes."""
        assert self.closed is None
        self.writes.append(data)
        self._changed.set()

    def buffered(self) -> int:
        """Everything since the sink got stuck."""
        if not self.stuck:
            self._sent = len(self.writes)
        return sum(len(data) for data in self.writes[self._sent :])

    def close(self, code: str, detail: str) -> None:
        """Keep the reason."""
        assert self.closed is None
        self.closed = (code, detail)
        self._changed.set()

    async def until(self, condition: Callable[["RecordingSink"], bool]) -> None:
        """Wait until the condition holds."""
        async with asyncio.timeout(15):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()


class RecordingEvents:
    """Keeps what a receiver tells its session."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Any]] = []
        self._changed = asyncio.Event()

    def names(self) -> list[str]:
        """Names of the events so far, in order."""
        return [name for name, _ in self.log]

    def _note(self, name: str, value: Any = None) -> None:
        self.log.append((name, value))
        self._changed.set()

    def media_connected(self) -> None:
        self._note("connected")

    def media_connect_failed(self, detail: str) -> None:
        self._note("connect_failed", detail)

    def media_first_packet(self, ssrc: int, source: str) -> None:
        self._note("first_packet", (ssrc, source))

    def media_decodable(self) -> None:
        self._note("decodable")

    def media_first_output(self) -> None:
        self._note("first_output")

    def media_lost(self, detail: str) -> None:
        self._note("lost", detail)

    def media_unsupported(self, detail: str) -> None:
        self._note("unsupported", detail)

    def media_viewers(self, count: int) -> None:
        self._note("viewers", count)

    async def until(self, name: str, count: int = 1) -> Any:
        """Wait for the event and return its value."""
        async with asyncio.timeout(15):
            while self.names().count(name) < count:
                self._changed.clear()
                await self._changed.wait()
        return [value for event, value in self.log if event == name][count - 1]
