"""What a key frame tells: parameter sets, picture size, codec string."""

from gateway.domain.media import TrackInfo
from gb28181.es import h264, hevc
from gb28181.es.annexb import iter_nals
from gb28181.es.unit import Codec

__all__ = ["parameter_sets", "video_facts"]

H264_SETS = frozenset({h264.NalType.SPS, h264.NalType.PPS})
HEVC_SETS = frozenset({hevc.NalType.VPS, hevc.NalType.SPS, hevc.NalType.PPS})
HEVC_FIRST_NON_VCL = 32


def parameter_sets(codec: Codec, keyframe: bytes) -> tuple[bytes, ...]:
    """List the different parameter sets in front of the picture, in order; they identify a configuration."""
    sets: dict[bytes, None] = {}
    for nal in iter_nals(keyframe):
        if codec is Codec.HEVC:
            kind = hevc.nal_type(nal)
            wanted, picture = kind in HEVC_SETS, kind < HEVC_FIRST_NON_VCL
        else:
            kind = h264.nal_type(nal)
            wanted, picture = kind in H264_SETS, 1 <= kind <= 5
        if picture:
            break
        if wanted:
            sets[bytes(nal)] = None
    return tuple(sets)


def video_facts(codec: Codec, sets: tuple[bytes, ...]) -> TrackInfo | None:
    """Read the first SPS; None if there is none that can be read."""
    for nal in sets:
        try:
            sps = _sps(codec, nal)
        except ValueError:
            continue
        if sps is not None:
            return TrackInfo(
                codec=codec.value,
                width=sps.width,
                height=sps.height,
                fps=sps.fps,
                mime_codec=sps.mime_codec,
            )
    return None


def _sps(codec: Codec, nal: bytes) -> h264.Sps | hevc.Sps | None:
    if codec is Codec.HEVC:
        return hevc.parse_sps(nal) if hevc.nal_type(nal) == hevc.NalType.SPS else None
    return h264.parse_sps(nal) if h264.nal_type(nal) == h264.NalType.SPS else None
