"""Bodies of FLV tags made into media units (Adobe FLV 10.1 E.4; Enhanced RTMP 2).

::

    video tag : frame type(4) codec(4) | AVC packet type(8) composition time(24) | data
    enhanced  : 1 frame type(3) packet type(4) | FourCC(32) [composition time(24)] | data
    audio tag : format(4) rate(2) size(1) type(1) | AAC packet type(8) | data
    enhanced  : 9(4) packet type(4) | FourCC(32) | data
"""

import enum
from collections.abc import Sequence

from gateway.domain.source import TagKind
from gateway.media.ingest.shape import AudioShaper, VideoShaper
from gb28181.es.unit import Codec, MediaUnit

__all__ = ["FlvReader", "TagRole", "role_of"]

TICKS_PER_MS = 90
_WRAP = 1 << 32
_AVC, _HEVC_UNOFFICIAL = 7, 12
"""12 is what many encoders in China write for H.265 without the enhanced header."""
_FOURCC = {b"avc1": Codec.H264, b"hvc1": Codec.HEVC}
_LEGACY = {_AVC: Codec.H264, _HEVC_UNOFFICIAL: Codec.HEVC}
_ENHANCED = 0x80
_KEYFRAME, _COMMAND_FRAME = 1, 5
_AAC, _ALAW, _MULAW, _EX_AUDIO = 10, 7, 8, 9
_G711 = {_ALAW: Codec.PCM_ALAW, _MULAW: Codec.PCM_MULAW}
_MODIFIER = 7
"""Packet type behind which a time stamp offset and another header follow."""
_MULTITRACK = 6


class TagRole(enum.Enum):
    """What a tag is for whoever keeps tags."""

    VIDEO_CONFIG = enum.auto()
    AUDIO_CONFIG = enum.auto()
    KEYFRAME = enum.auto()
    PICTURE = enum.auto()
    SOUND = enum.auto()
    OTHER = enum.auto()


class _Packet(enum.IntEnum):
    """Packet types, of the enhanced header; the old one knows the first two and has a composition time in both."""

    CONFIG = 0
    FRAMES = 1
    END = 2
    FRAMES_X = 3
    """Without a composition time, which is 0."""


def role_of(kind: TagKind, body: bytes) -> TagRole:
    """Return what a tag is, from its first bytes."""
    if not body or kind is TagKind.SCRIPT:
        return TagRole.OTHER
    first = body[0]
    if kind is TagKind.AUDIO:
        if first >> 4 == _AAC:
            config = len(body) > 1 and body[1] == 0
        else:
            config = first >> 4 == _EX_AUDIO and first & 0x0F == _Packet.CONFIG
        return TagRole.AUDIO_CONFIG if config else TagRole.SOUND
    frame = first >> 4 & 7
    if frame == _COMMAND_FRAME:
        return TagRole.OTHER
    packet = first & 0x0F if first & _ENHANCED else body[1] if len(body) > 1 else 0
    if packet == _Packet.CONFIG:
        return TagRole.VIDEO_CONFIG
    if packet not in {_Packet.FRAMES, _Packet.FRAMES_X}:
        return TagRole.OTHER
    return TagRole.KEYFRAME if frame == _KEYFRAME else TagRole.PICTURE


class FlvReader:
    """Reads the tags of one publisher; what cannot be used is left out and said in `problems`."""

    def __init__(self) -> None:
        self.problems: dict[TagKind, str] = {}
        """Why a track cannot be used, by its kind of tag."""
        self.damaged = 0
        """Tags that could not be read."""
        self._video: VideoShaper | None = None
        self._audio: AudioShaper | None = None
        self._audio_config = b""
        self._wraps = 0
        self._last = 0

    def read(self, kind: TagKind, timestamp: int, body: bytes) -> Sequence[MediaUnit]:
        """Return the units of one tag."""
        dts = self._unwrap(timestamp) * TICKS_PER_MS
        try:
            if kind is TagKind.VIDEO:
                unit = self._read_video(body, dts)
            elif kind is TagKind.AUDIO:
                unit = self._read_audio(body, dts)
            else:
                unit = None
        except ValueError as exc:
            self.damaged += 1
            self.problems.setdefault(kind, f"damaged: {exc}")
            return ()
        if unit is None:
            return ()
        self.problems.pop(kind, None)
        return (unit,)

    def _unwrap(self, timestamp: int) -> int:
        if timestamp < self._last and self._last - timestamp > _WRAP // 2:
            self._wraps += 1
        elif timestamp > self._last and timestamp - self._last > _WRAP // 2 and self._wraps:
            # Sound from just before the wrap.
            return timestamp + (self._wraps - 1) * _WRAP
        self._last = timestamp
        return timestamp + self._wraps * _WRAP

    def _read_video(self, body: bytes, dts: int) -> MediaUnit | None:
        if not body or body[0] >> 4 & 7 == _COMMAND_FRAME:
            return None
        enhanced = body[0] & _ENHANCED
        read = self._enhanced_video if enhanced else self._plain_video
        codec, packet, composition, data = read(body)
        if codec is None:
            return None
        if packet == _Packet.CONFIG:
            self._configure_video(codec, data)
            return None
        if packet not in {_Packet.FRAMES, _Packet.FRAMES_X}:
            return None
        if self._video is None or self._video.codec is not codec:
            # Encoders that leave the configuration out write Annex B or nothing usable.
            self._video = VideoShaper(codec)
        return self._video.shape(data, dts + composition * TICKS_PER_MS, dts)

    def _plain_video(self, body: bytes) -> tuple[Codec | None, int, int, bytes]:
        codec = _LEGACY.get(body[0] & 0x0F)
        if codec is None:
            self.problems[TagKind.VIDEO] = f"video codec {body[0] & 0x0F} of FLV is not supported"
            return None, 0, 0, b""
        if len(body) < 5:
            raise ValueError(f"expected 5 bytes of video header, got {len(body)}")
        return codec, body[1], _signed24(body[2:5]), body[5:]

    def _enhanced_video(self, body: bytes) -> tuple[Codec | None, int, int, bytes]:
        packet = body[0] & 0x0F
        if packet in {_MODIFIER, _MULTITRACK}:
            self.problems[TagKind.VIDEO] = "several video tracks in one are not supported"
            return None, packet, 0, b""
        if len(body) < 5:
            raise ValueError(f"expected 5 bytes of enhanced video header, got {len(body)}")
        codec = _FOURCC.get(body[1:5])
        if codec is None:
            self.problems[TagKind.VIDEO] = f"video codec {body[1:5]!r} is not supported"
            return None, packet, 0, b""
        if packet != _Packet.FRAMES:
            return codec, packet, 0, body[5:]
        if len(body) < 8:
            raise ValueError(f"expected 8 bytes of enhanced video header, got {len(body)}")
        return codec, packet, _signed24(body[5:8]), body[8:]

    def _configure_video(self, codec: Codec, data: bytes) -> None:
        if self._video is not None and self._video.codec is codec:
            self._video.configure(data)
        else:
            self._video = VideoShaper(codec, data)

    def _read_audio(self, body: bytes, dts: int) -> MediaUnit | None:
        if len(body) < 2:
            return None
        sound = body[0] >> 4
        if sound in _G711:
            if self._audio is None or self._audio.codec is not _G711[sound]:
                self._audio = AudioShaper(_G711[sound])
            return self._audio.shape(body[1:], dts)
        if sound == _AAC:
            return self._read_aac(body[1], body[2:], dts)
        if sound == _EX_AUDIO and body[1:5] == b"mp4a":
            return self._read_aac(body[0] & 0x0F, body[5:], dts)
        name = repr(body[1:5]) if sound == _EX_AUDIO else f"{sound} of FLV"
        self.problems[TagKind.AUDIO] = f"audio codec {name} is not supported"
        return None

    def _read_aac(self, packet: int, data: bytes, dts: int) -> MediaUnit | None:
        if packet == _Packet.CONFIG:
            self._configure_audio(data)
            return None
        if packet != _Packet.FRAMES or self._audio is None or self._audio.codec is not Codec.AAC:
            return None
        return self._audio.shape(data, dts)

    def _configure_audio(self, data: bytes) -> None:
        known = self._audio is not None and self._audio.codec is Codec.AAC
        if data and not (known and data == self._audio_config):
            self._audio = None
            self._audio = AudioShaper(Codec.AAC, data)
            self._audio_config = data


def _signed24(data: bytes) -> int:
    return int.from_bytes(data, signed=True)
