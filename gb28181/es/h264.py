"""H.264 byte format: NAL unit types, parameter sets (ITU-T H.264 7.3, 7.4, Annex E).

::

    +---------------+
    |0|1|2|3|4|5|6|7|
    +-+-+-+-+-+-+-+-+
    |F|NRI|  Type   |
    +---------------+
"""

import enum
from dataclasses import dataclass

from gb28181.es.bits import BitReader, strip_emulation_prevention

__all__ = [
    "NalType",
    "Sps",
    "is_first_slice",
    "is_keyframe",
    "iter_picture_nal_types",
    "nal_type",
    "parse_pps_id",
    "parse_sps",
]

_PROFILES = frozenset({66, 77, 88, 44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_EXTENDED_SAR = 255


class NalType(enum.IntEnum):
    """NAL unit types (table 7-1) that matter here."""

    SLICE = 1
    PARTITION_C = 4
    IDR = 5
    SEI = 6
    SPS = 7
    PPS = 8
    AUD = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Sps:
    """What a sequence parameter set tells about pictures."""

    set_id: int
    profile: int
    constraints: int
    level: int
    width: int
    height: int
    fps: float | None
    """Pictures per second from the VUI, or None if it does not say."""

    @property
    def mime_codec(self) -> str:
        """RFC 6381 string."""
        return f"avc1.{self.profile:02x}{self.constraints:02x}{self.level:02x}"


def nal_type(nal: bytes) -> int:
    """Return the NAL unit type from the first byte."""
    return nal[0] & 0x1F


def is_first_slice(nal: bytes) -> bool:
    """Whether a slice begins a picture: first_mb_in_slice is 0, coded as a single 1 bit."""
    return len(nal) > 1 and nal[1] & 0x80 != 0


def iter_picture_nal_types(data: bytes) -> list[int]:
    """List NAL unit types up to and with the first slice of an Annex B access unit."""
    types: list[int] = []
    position = data.find(b"\x00\x00\x01")
    while 0 <= position < len(data) - 3:
        kind = data[position + 3] & 0x1F
        types.append(kind)
        if NalType.SLICE <= kind <= NalType.IDR:
            break
        position = data.find(b"\x00\x00\x01", position + 3)
    return types


def is_keyframe(data: bytes) -> bool:
    """Whether an Annex B access unit brings SPS, PPS and an IDR picture."""
    types = iter_picture_nal_types(data)
    return NalType.IDR in types and NalType.SPS in types and NalType.PPS in types


def parse_pps_id(nal: bytes) -> int:
    """Return pic_parameter_set_id.

    Raises:
        ValueError: the NAL unit is cut off.
    """
    return BitReader(strip_emulation_prevention(nal[1:16])).ue()


def parse_sps(nal: bytes) -> Sps:
    """Parse a sequence parameter set (7.3.2.1.1).

    Raises:
        ValueError: the NAL unit is cut off or not plausible.
    """
    reader = BitReader(strip_emulation_prevention(nal[1:]))
    profile, constraints, level = reader.bits(8), reader.bits(8), reader.bits(8)
    set_id = reader.ue()
    chroma, separate_planes = 1, False
    if profile in _HIGH_PROFILES:
        chroma, separate_planes = _parse_chroma(reader)
    _skip_picture_order(reader)
    reference_frames = reader.ue()
    reader.flag()  # gaps_in_frame_num_value_allowed_flag
    width_mbs, height_units = reader.ue() + 1, reader.ue() + 1
    frame_mbs_only = reader.flag()
    if not frame_mbs_only:
        reader.flag()  # mb_adaptive_frame_field_flag
    reader.flag()  # direct_8x8_inference_flag
    left = right = top = bottom = 0
    if reader.flag():
        left, right, top, bottom = reader.ue(), reader.ue(), reader.ue(), reader.ue()
    # 7.4.2.1.1: crop units depend on chroma sampling and on field coding.
    planar = separate_planes or chroma == 0
    crop_x = 1 if planar or chroma == 3 else 2
    crop_y = (1 if planar or chroma != 1 else 2) * (1 if frame_mbs_only else 2)
    width = width_mbs * 16 - crop_x * (left + right)
    height = height_units * 16 * (1 if frame_mbs_only else 2) - crop_y * (top + bottom)
    # A.2, A.3: what random bytes that begin like an SPS nearly never have.
    if profile not in _PROFILES or constraints & 3 or not 9 <= level <= 62:
        raise ValueError(f"not plausible as SPS: profile {profile}, level {level}")
    if reference_frames > 16:
        raise ValueError(f"not plausible as SPS: {reference_frames} reference frames")
    if set_id > 31 or not (0 < width <= 16384 and 0 < height <= 16384):
        raise ValueError(f"not plausible as SPS: id {set_id}, {width}x{height}")
    return Sps(
        set_id=set_id,
        profile=profile,
        constraints=constraints,
        level=level,
        width=width,
        height=height,
        fps=_parse_fps(reader),
    )


def _parse_chroma(reader: BitReader) -> tuple[int, bool]:
    chroma = reader.ue()
    separate_planes = reader.flag() if chroma == 3 else False
    reader.ue()  # bit_depth_luma_minus8
    reader.ue()  # bit_depth_chroma_minus8
    reader.flag()  # qpprime_y_zero_transform_bypass_flag
    if reader.flag():
        for index in range(12 if chroma == 3 else 8):
            if reader.flag():
                _skip_scaling_list(reader, 16 if index < 6 else 64)
    return chroma, separate_planes


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following != 0:
            following = (last + reader.se()) % 256
        last = following or last


def _skip_picture_order(reader: BitReader) -> None:
    reader.ue()  # log2_max_frame_num_minus4
    order_type = reader.ue()
    if order_type == 0:
        reader.ue()
    elif order_type == 1:
        reader.flag()
        reader.se()
        reader.se()
        cycle = reader.ue()
        if cycle > 255:
            raise ValueError(f"num_ref_frames_in_pic_order_cnt_cycle {cycle} is over 255")
        for _ in range(cycle):
            reader.se()


def _parse_fps(reader: BitReader) -> float | None:
    try:
        return _parse_vui_timing(reader) if reader.flag() else None
    except ValueError:  # pictures decode without a VUI; some encoders cut it off
        return None


def _parse_vui_timing(reader: BitReader) -> float | None:
    if reader.flag() and reader.bits(8) == _EXTENDED_SAR:
        reader.bits(32)
    if reader.flag():
        reader.flag()
    if reader.flag():
        reader.bits(4)
        if reader.flag():
            reader.bits(24)
    if reader.flag():
        reader.ue()
        reader.ue()
    if not reader.flag():
        return None
    units, scale = reader.bits(32), reader.bits(32)
    # E.2.1: a tick is a field, so a frame lasts two.
    fps = scale / (2 * units) if units else 0.0
    return fps if 0 < fps <= 1000 else None
