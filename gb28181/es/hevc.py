"""H.265 byte format: NAL unit types, parameter sets (ITU-T H.265 7.3, 7.4, Annex E).

::

    +---------------+---------------+
    |0|1|2|3|4|5|6|7|0|1|2|3|4|5|6|7|
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |F|   Type    |  LayerId  | TID |
    +-------------+-----------------+
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
    "parse_vps_id",
]

_EXTENDED_SAR = 255


class NalType(enum.IntEnum):
    """NAL unit types (table 7-1) that matter here."""

    TRAIL_N = 0
    BLA_W_LP = 16
    IDR_W_RADL = 19
    IDR_N_LP = 20
    CRA = 21
    RSV_IRAP_23 = 23
    LAST_VCL = 31
    VPS = 32
    SPS = 33
    PPS = 34
    AUD = 35
    PREFIX_SEI = 39
    SUFFIX_SEI = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Sps:
    """What a sequence parameter set tells about pictures."""

    set_id: int
    profile_space: int
    tier: int
    profile: int
    compatibility: int
    constraints: bytes
    level: int
    width: int
    height: int
    fps: float | None
    """Pictures per second from the VUI, or None if it does not say."""

    @property
    def mime_codec(self) -> str:
        """RFC 6381 string (ISO/IEC 14496-15 Annex E.3)."""
        space = ("", "A", "B", "C")[self.profile_space]
        reversed_flags = int(f"{self.compatibility:032b}"[::-1], 2)
        parts = [
            f"hvc1.{space}{self.profile}",
            f"{reversed_flags:X}",
            f"{'H' if self.tier else 'L'}{self.level}",
        ]
        parts += [f"{byte:X}" for byte in self.constraints.rstrip(b"\x00")]
        return ".".join(parts)


def nal_type(nal: bytes) -> int:
    """Return the NAL unit type from the first byte."""
    return (nal[0] >> 1) & 0x3F


def is_first_slice(nal: bytes) -> bool:
    """Whether a slice segment begins a picture: first_slice_segment_in_pic_flag."""
    return len(nal) > 2 and nal[2] & 0x80 != 0


def iter_picture_nal_types(data: bytes) -> list[int]:
    """List NAL unit types up to and with the first slice segment of an Annex B access unit."""
    types: list[int] = []
    position = data.find(b"\x00\x00\x01")
    while 0 <= position < len(data) - 3:
        kind = (data[position + 3] >> 1) & 0x3F
        types.append(kind)
        if kind <= NalType.LAST_VCL:
            break
        position = data.find(b"\x00\x00\x01", position + 3)
    return types


def is_keyframe(data: bytes) -> bool:
    """Whether an Annex B access unit brings VPS, SPS, PPS and an IRAP picture."""
    types = iter_picture_nal_types(data)
    return (
        bool(types)
        and NalType.BLA_W_LP <= types[-1] <= NalType.RSV_IRAP_23
        and {NalType.VPS, NalType.SPS, NalType.PPS}.issubset(types)
    )


def parse_vps_id(nal: bytes) -> int:
    """Return vps_video_parameter_set_id.

    Raises:
        ValueError: the NAL unit is cut off.
    """
    return BitReader(nal[2:4]).bits(4)


def parse_pps_id(nal: bytes) -> int:
    """Return pps_pic_parameter_set_id.

    Raises:
        ValueError: the NAL unit is cut off.
    """
    return BitReader(strip_emulation_prevention(nal[2:16])).ue()


def parse_sps(nal: bytes) -> Sps:
    """Parse a sequence parameter set (7.3.2.2).

    Raises:
        ValueError: the NAL unit is cut off or not plausible.
    """
    reader = BitReader(strip_emulation_prevention(nal[2:]))
    reader.bits(4)  # sps_video_parameter_set_id
    max_sub_layers = reader.bits(3)
    reader.flag()  # sps_temporal_id_nesting_flag
    space, tier, profile = reader.bits(2), reader.bits(1), reader.bits(5)
    compatibility = reader.bits(32)
    constraints = reader.bits(48).to_bytes(6)
    level = reader.bits(8)
    _skip_sub_layers(reader, max_sub_layers)
    set_id = reader.ue()
    chroma = reader.ue()
    planar = reader.flag() if chroma == 3 else chroma == 0
    width, height = reader.ue(), reader.ue()
    if reader.flag():
        crop_x = 2 if not planar and chroma in (1, 2) else 1
        crop_y = 2 if not planar and chroma == 1 else 1
        width -= crop_x * (reader.ue() + reader.ue())
        height -= crop_y * (reader.ue() + reader.ue())
    # A.3, A.4: what random bytes that begin like an SPS nearly never have.
    if max_sub_layers > 6 or chroma > 3 or profile > 11 or not 30 <= level <= 186:
        raise ValueError(f"not plausible as SPS: profile {profile}, level {level}")
    if set_id > 15 or not (0 < width <= 16384 and 0 < height <= 16384):
        raise ValueError(f"not plausible as SPS: id {set_id}, {width}x{height}")
    return Sps(
        set_id=set_id,
        profile_space=space,
        tier=tier,
        profile=profile,
        compatibility=compatibility,
        constraints=constraints,
        level=level,
        width=width,
        height=height,
        fps=_parse_fps(reader, max_sub_layers),
    )


def _skip_sub_layers(reader: BitReader, count: int) -> None:
    present = [(reader.flag(), reader.flag()) for _ in range(count)]
    if count > 0:
        reader.bits(2 * (8 - count))
    for has_profile, has_level in present:
        reader.bits((88 if has_profile else 0) + (8 if has_level else 0))


def _parse_fps(reader: BitReader, max_sub_layers: int) -> float | None:
    try:
        _skip_to_vui(reader, max_sub_layers)
        return _parse_vui_timing(reader) if reader.flag() else None
    except ValueError:  # pictures decode without a VUI; some encoders cut it off
        return None


def _skip_to_vui(reader: BitReader, max_sub_layers: int) -> None:
    reader.ue()  # bit_depth_luma_minus8
    reader.ue()  # bit_depth_chroma_minus8
    log2_max_poc = reader.ue() + 4
    all_layers = reader.flag()
    for _ in range(max_sub_layers + 1 if all_layers else 1):
        reader.ue()
        reader.ue()
        reader.ue()
    for _ in range(6):  # block and transform sizes, transform depths
        reader.ue()
    if reader.flag() and reader.flag():
        _skip_scaling_lists(reader)
    reader.bits(2)  # amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if reader.flag():  # pcm_enabled_flag
        reader.bits(8)
        reader.ue()
        reader.ue()
        reader.flag()
    _skip_reference_sets(reader)
    if reader.flag():  # long_term_ref_pics_present_flag
        for _ in range(_bounded(reader.ue(), 32)):
            reader.bits(log2_max_poc + 1)
    reader.bits(2)  # sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag


def _skip_scaling_lists(reader: BitReader) -> None:
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not reader.flag():
                reader.ue()
                continue
            if size > 1:
                reader.se()
            for _ in range(min(64, 1 << (4 + (size << 1)))):
                reader.se()


def _skip_reference_sets(reader: BitReader) -> None:
    pictures = 0
    for index in range(_bounded(reader.ue(), 64)):
        if index and reader.flag():  # inter_ref_pic_set_prediction_flag
            reader.flag()
            reader.ue()
            kept = 0
            for _ in range(pictures + 1):
                used = reader.flag()
                kept += 1 if used or reader.flag() else 0
            pictures = kept
            continue
        negative, positive = _bounded(reader.ue(), 16), _bounded(reader.ue(), 16)
        pictures = negative + positive
        for _ in range(pictures):
            reader.ue()
            reader.flag()


def _bounded(value: int, limit: int) -> int:
    if value > limit:
        raise ValueError(f"count {value} is over {limit}")
    return value


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
    reader.bits(3)  # neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    if reader.flag():
        for _ in range(4):
            reader.ue()
    if not reader.flag():
        return None
    units, scale = reader.bits(32), reader.bits(32)
    fps = scale / units if units else 0.0
    return fps if 0 < fps <= 1000 else None
