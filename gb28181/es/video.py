"""Access units of one video track: where they begin, and parameter sets for each key frame."""

import enum

from gb28181.es import h264, hevc
from gb28181.es.annexb import START_CODE
from gb28181.es.unit import Codec
from gb28181.limits import MAX_PARAMETER_SET, MAX_PARAMETER_SETS

__all__ = ["Beginning", "VideoTrack", "beginning", "has_picture"]

_PREFIX = b"\x00\x00\x01"
_H264_SETS = (h264.NalType.SPS, h264.NalType.PPS)
_HEVC_SETS = (hevc.NalType.VPS, hevc.NalType.SPS, hevc.NalType.PPS)


class Beginning(enum.Enum):
    """What the first NAL unit in some bytes says."""

    PICTURE = enum.auto()
    """An access unit begins here."""
    WITHIN = enum.auto()
    """Another slice of the same picture, or something that follows it."""
    NO_START_CODE = enum.auto()
    """The bytes do not begin with a start code."""


def beginning(codec: Codec, data: bytes, position: int = 0) -> Beginning:
    """Tell whether an access unit begins at `position` (H.264 7.4.1.2.3, H.265 7.4.2.4.4)."""
    if data[position : position + 3] == _PREFIX:
        position += 3
    elif data[position : position + 4] == START_CODE:
        position += 4
    else:
        return Beginning.NO_START_CODE
    header = data[position : position + 3].ljust(3, b"\x00")
    begins = _begins_h264(header) if codec is Codec.H264 else _begins_hevc(header)
    return Beginning.PICTURE if begins else Beginning.WITHIN


def _begins_h264(header: bytes) -> bool:
    kind = header[0] & 0x1F
    if kind <= h264.NalType.IDR:
        return kind in {1, 2, 5} and header[1] & 0x80 != 0
    return kind <= h264.NalType.AUD or 14 <= kind <= 18


def _begins_hevc(header: bytes) -> bool:
    kind = header[0] >> 1 & 0x3F
    if kind <= hevc.NalType.LAST_VCL:
        return header[2] & 0x80 != 0
    return kind <= hevc.NalType.AUD or kind == hevc.NalType.PREFIX_SEI or 41 <= kind <= 44


def has_picture(codec: Codec, data: bytes) -> bool:
    """Whether there is a slice in Annex B data."""
    if codec is Codec.H264:
        types = h264.iter_picture_nal_types(data)
        return bool(types) and h264.NalType.SLICE <= types[-1] <= h264.NalType.IDR
    types = hevc.iter_picture_nal_types(data)
    return bool(types) and types[-1] <= hevc.NalType.LAST_VCL


class VideoTrack:
    """Turns the bytes of access units into payloads of units, key frames with parameter sets."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self._set_types: tuple[int, ...] = _H264_SETS if codec is Codec.H264 else _HEVC_SETS
        self._sets: dict[tuple[int, int], bytes] = {}
        self.sps: h264.Sps | hevc.Sps | None = None
        """The last sequence parameter set that could be read."""

    def finish(self, data: bytes) -> tuple[bytes, bool] | None:
        """Return payload and key frame flag of an access unit, or None if it has no picture.

        Parameter sets are kept; a key frame that came without some gets the kept ones in front.
        """
        start = position = data.find(_PREFIX)
        present: set[int] = set()
        aud_end = 0
        is_h264 = self.codec is Codec.H264
        while 0 <= position < len(data) - 4:
            byte = data[position + 3]
            kind = byte & 0x1F if is_h264 else byte >> 1 & 0x3F
            if (1 <= kind <= 5) if is_h264 else kind <= 31:
                if (kind == 5) if is_h264 else (16 <= kind <= 23):
                    return self._key_picture(data, start, present, aud_end)
                return self._trim(data, start), False
            following = data.find(_PREFIX, position + 3)
            end = len(data) if following < 0 else following
            if kind in self._set_types:
                present.add(kind)
                self._keep(kind, data[position + 3 : end].rstrip(b"\x00"))
            elif position == start and kind == (9 if is_h264 else hevc.NalType.AUD):
                aud_end = end
            position = following
        return None

    def _key_picture(
        self, data: bytes, start: int, present: set[int], aud_end: int
    ) -> tuple[bytes, bool]:
        if len(present) == len(self._set_types):
            return self._trim(data, aud_end or start), True
        kept = {kind for kind, _ in self._sets}
        if not kept.issuperset(self._set_types):
            return self._trim(data, start), False
        parts: list[bytes] = []
        for _, nal in sorted(self._sets.items()):
            parts += (START_CODE, nal)
        parts.append(self._trim(data, aud_end or start))
        return b"".join(parts), True

    @staticmethod
    def _trim(data: bytes, start: int) -> bytes:
        # One zero before the prefix belongs to the start code; a unit always has it.
        if start == 1 and data[0] == 0:
            return data
        if start >= 1 and data[start - 1] == 0:
            return data[start - 1 :]
        return b"\x00" + data[start:]

    def _keep(self, kind: int, nal: bytes) -> None:
        if not 2 < len(nal) <= MAX_PARAMETER_SET or nal in self._sets.values():
            return
        try:
            set_id = self._read(kind, nal)
        except ValueError:  # a damaged set must not replace a good one
            return
        if (kind, set_id) in self._sets or len(self._sets) < MAX_PARAMETER_SETS:
            self._sets[kind, set_id] = nal

    def _read(self, kind: int, nal: bytes) -> int:
        if self.codec is Codec.H264:
            if kind == h264.NalType.PPS:
                return h264.parse_pps_id(nal)
            self.sps = h264.parse_sps(nal)
            return self.sps.set_id
        if kind == hevc.NalType.VPS:
            return hevc.parse_vps_id(nal)
        if kind == hevc.NalType.PPS:
            return hevc.parse_pps_id(nal)
        self.sps = hevc.parse_sps(nal)
        return self.sps.set_id
