"""Program stream of GB/T 28181: one frame becomes one PS packet (Annex C.1).

::

    key frame :  pack header | system header | PSM | PES video [PES video ...] | PES audio
    other     :  pack header | PES video [PES video ...] | PES audio
"""

from dataclasses import dataclass

from gb28181.errors import LocalProtocolError
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.pes import build_pes_header
from gb28181.ps.psm import STREAM_TYPE_BY_CODEC, build_psm

__all__ = [
    "AUDIO_ID",
    "MAX_PES_LENGTH",
    "VIDEO_ID",
    "PsMuxer",
    "PsQuirks",
    "build_pack_header",
    "build_system_header",
]

VIDEO_ID = 0xE0
AUDIO_ID = 0xC0
MAX_PES_LENGTH = 65_535
"""The length field counts the bytes behind it."""
_HEADER_PLAIN, _HEADER_PTS, _HEADER_DTS = 3, 8, 13
_PROGRAM_MUX_RATE = 50_000
"""In units of 50 bytes a second: 20 Mbit/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PsQuirks:
    """Deviations of real devices that a simulator shows."""

    no_psm: bool = False
    bad_psm_crc: bool = False
    no_system_header: bool = False
    pes_length_zero: bool = False
    """Video PES with length 0: until the next start code."""
    empty_pes_first: bool = False
    """A PES with only the time stamp, then the data in a PES without."""
    private_stream: bytes = b""
    """Sent as stream BD behind the headers of each key frame."""
    video_type: int | None = None
    """stream_type to claim for video instead of the right one."""
    max_pes_length: int = MAX_PES_LENGTH
    """Split frames over more PES than needed."""


class PsMuxer:
    """Wraps access units; `mux` of a key frame brings system header and map."""

    def __init__(
        self, video: Codec | None, audio: Codec | None = None, *, quirks: PsQuirks | None = None
    ) -> None:
        self._quirks = quirks or PsQuirks()
        if self._quirks.max_pes_length <= _HEADER_DTS:
            raise LocalProtocolError("a PES cannot be shorter than its header")
        self._video, self._audio = video, audio
        types: dict[int, int] = {}
        if video is not None:
            types[VIDEO_ID] = self._quirks.video_type or STREAM_TYPE_BY_CODEC[video]
        if audio is not None:
            types[AUDIO_ID] = STREAM_TYPE_BY_CODEC[audio]
        self._key_header = b""
        if not self._quirks.no_system_header:
            self._key_header += build_system_header()
        if not self._quirks.no_psm:
            self._key_header += build_psm(types, bad_crc=self._quirks.bad_psm_crc)
        if self._quirks.private_stream:
            private = self._quirks.private_stream
            self._key_header += b"\x00\x00\x01\xbd" + len(private).to_bytes(2) + private

    def mux(self, unit: MediaUnit, *audio: MediaUnit) -> bytes:
        """Build the PS packet of one unit, with audio units that belong to the same moment.

        A lone audio unit makes a PS packet of its own; with no video in the stream it brings
        system header and map along.
        """
        parts = [build_pack_header(unit.dts)]
        if unit.is_video:
            if unit.codec is not self._video:
                raise LocalProtocolError(f"the map says {self._video}, not {unit.codec}")
            if unit.keyframe:
                parts.append(self._key_header)
            self._add_video(parts, unit)
        else:
            if self._video is None:
                parts.append(self._key_header)
            audio = (unit, *audio)
        for sound in audio:
            if sound.codec is not self._audio:
                raise LocalProtocolError(f"the map says {self._audio}, not {sound.codec}")
            self._add_pes(parts, AUDIO_ID, sound, limit=MAX_PES_LENGTH)
        return b"".join(parts)

    def _add_video(self, parts: list[bytes], unit: MediaUnit) -> None:
        quirks = self._quirks
        dts = unit.dts if unit.dts != unit.pts else None
        if quirks.pes_length_zero:
            parts.append(build_pes_header(VIDEO_ID, 0, pts=unit.pts, dts=dts, length_zero=True))
            parts.append(unit.payload)
            return
        self._add_pes(
            parts,
            VIDEO_ID,
            unit,
            limit=min(quirks.max_pes_length, MAX_PES_LENGTH),
            empty_first=quirks.empty_pes_first,
        )

    @staticmethod
    def _add_pes(
        parts: list[bytes],
        stream_id: int,
        unit: MediaUnit,
        *,
        limit: int,
        empty_first: bool = False,
    ) -> None:
        dts = unit.dts if unit.dts != unit.pts else None
        room = 0 if empty_first else limit - (_HEADER_PTS if dts is None else _HEADER_DTS)
        chunk = unit.payload[:room]
        parts += (build_pes_header(stream_id, len(chunk), pts=unit.pts, dts=dts), chunk)
        for position in range(len(chunk), len(unit.payload), limit - _HEADER_PLAIN):
            chunk = unit.payload[position : position + limit - _HEADER_PLAIN]
            parts += (build_pes_header(stream_id, len(chunk)), chunk)


def build_pack_header(scr: int, *, mux_rate: int = _PROGRAM_MUX_RATE) -> bytes:
    """Build the 14-byte pack header for a system clock of `scr` 90 kHz ticks."""
    scr &= 0x1_FFFF_FFFF
    word = 0b01 << 46 | (scr >> 30) << 43 | 1 << 42 | (scr >> 15 & 0x7FFF) << 27 | 1 << 26
    word |= (scr & 0x7FFF) << 11 | 1 << 10 | 1
    rate = mux_rate << 2 | 3
    return b"\x00\x00\x01\xba" + word.to_bytes(6) + rate.to_bytes(3) + b"\xf8"


def build_system_header(*, rate_bound: int = _PROGRAM_MUX_RATE) -> bytes:
    """Build the system header that announces video E0 and audio C0."""
    bounds = (1 << 23 | rate_bound << 1 | 1).to_bytes(3)
    # One audio and one video stream, both locked; buffers of 2048 x 1024 and 512 x 128 bytes.
    body = bounds + b"\x04\xe1\x7f" + b"\xe0\xe8\x00" + b"\xc0\xc2\x00"
    return b"\x00\x00\x01\xbb" + len(body).to_bytes(2) + body
