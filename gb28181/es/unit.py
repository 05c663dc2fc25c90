"""The one media currency: a coded access unit on a 90 kHz clock."""

import enum
from dataclasses import dataclass

__all__ = ["AUDIO_CODECS", "VIDEO_CODECS", "Codec", "MediaUnit"]


class Codec(enum.StrEnum):
    """Codecs the gateway understands, named as FFmpeg names them."""

    H264 = "h264"
    HEVC = "hevc"
    AAC = "aac"
    PCM_ALAW = "pcm_alaw"
    PCM_MULAW = "pcm_mulaw"


VIDEO_CODECS = frozenset({Codec.H264, Codec.HEVC})
AUDIO_CODECS = frozenset({Codec.AAC, Codec.PCM_ALAW, Codec.PCM_MULAW})


@dataclass(slots=True)
class MediaUnit:
    """One video access unit (Annex B) or one run of audio frames; treated as frozen.

    The payload of AAC is one or more whole ADTS frames; that of G.711 is raw samples at 8 kHz mono.
    """

    codec: Codec
    pts: int
    """Presentation time in 90 kHz ticks, unwrapped: never jumps back at 2**32 or 2**33."""
    dts: int
    """Decoding time in 90 kHz ticks, unwrapped."""
    keyframe: bool
    """For video: starts with parameter sets and an IDR/IRAP picture. For audio always true."""
    payload: bytes

    @property
    def is_video(self) -> bool:
        """Whether this is a picture rather than sound."""
        return self.codec in VIDEO_CODECS
