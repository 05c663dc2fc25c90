"""RTP payloads to media units, whatever they turn out to be (GB Annex C, table of payload types).

Trusted in this order: the first bytes (`00 00 01 BA` is PS whatever the type says), the rtpmap,
the table of recommended payload types, and for unknown ones what the bytes look like.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from gb28181.es import aac
from gb28181.es.detect import detect_video
from gb28181.es.timeline import Timeline, TrackClock
from gb28181.es.unit import AUDIO_CODECS, Codec, MediaUnit
from gb28181.es.video import VideoTrack
from gb28181.ps.demuxer import PACK_START, PsDemuxer
from gb28181.rtp.audio import AacDepacketizer, G711Depacketizer
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.video import VideoDepacketizer

__all__ = ["Depacketizer"]

_RECOMMENDED = {
    0: "PCMU",
    4: "G723",
    8: "PCMA",
    9: "G722",
    18: "G729",
    20: "SVACA",
    96: "PS",
    97: "MPEG4",
    98: "H264",
    99: "H265",  # SVAC in the standard, H.265 in what platforms offer
    100: "H265",
    102: "AAC",
}
_UNSUPPORTED = {
    "MPEG4": "MPEG-4 video",
    "MP4V-ES": "MPEG-4 video",
    "SVAC": "SVAC video",
    "SVACA": "SVAC audio",
    "G723": "G.723.1",
    "G729": "G.729",
    "G722": "G.722.1",
    "G7221": "G.722.1",
    "MP2T": "MPEG-TS",
    "TS": "MPEG-TS",
}
_KINDS = {
    "PS": "ps",
    "H264": "h264",
    "H265": "hevc",
    "HEVC": "hevc",
    "PCMA": "pcm_alaw",
    "PCMU": "pcm_mulaw",
    "AAC": "aac",
    "MPEG4-GENERIC": "aac",
}
_VIDEO_KINDS = frozenset({"ps", "h264", "hevc"})
_TS_PACKET, _TS_SYNC = 188, 0x47
_TRIAL_PACKETS = 8
"""Packets without any sign of PS before something else is tried for a type that should be PS."""
_ANY_RTP_STREAM = 62
"""Bits of a timeline whose inputs are unwrapped already."""
_STREAK = 16
_STRAY_PACKETS = 2


class _Payload(Protocol):
    def feed(
        self, payload: bytes | memoryview, *, timestamp: int, marker: bool
    ) -> list[MediaUnit]: ...

    def flush(self) -> list[MediaUnit]: ...

    def loss(self) -> None: ...


class Depacketizer:
    """Takes RTP packets in order, one stream with all its payload types.

    Args:
        payloads: Encoding names by payload type from the SDP, as `{96: "PS"}` or `{96: "PS/90000"}`.
        fmtp: Format parameters by payload type; only `config=` of AAC is read.
        reliable: True on TCP, where gaps in the sequence numbers count as loss only from
            senders whose numbers are otherwise right.
        audio_override: Codec of audio in PS whatever its map says.
    """

    def __init__(
        self,
        payloads: Mapping[int, str] | None = None,
        *,
        fmtp: Mapping[int, str] | None = None,
        reliable: bool = False,
        audio_override: Codec | None = None,
    ) -> None:
        self.payload_kind = ""
        """How the video (or all) is packed: `ps`, `h264`, `hevc`, or only `pcm_alaw`, ..., `ts`."""
        self.gaps = 0
        """Times packets were missing."""
        self.ignored = 0
        """Packets of other payload types: too few of them, or beside PS that has the same."""
        self.ps: PsDemuxer | None = None
        """The demuxer with its counters, if the stream is PS."""
        self._names = {number: name.upper() for number, name in (payloads or {}).items()}
        self._fmtp = dict(fmtp or {})
        self._audio_override = audio_override
        self._timeline = Timeline(_ANY_RTP_STREAM, shared=False)
        self._video_clock = TrackClock(self._timeline, "video", pictures=True)
        self._audio_clock = TrackClock(self._timeline, "audio")
        self._handlers: dict[int, _Payload] = {}
        self._problems: dict[int, str] = {}
        self._tracks: dict[str, VideoDepacketizer | AacDepacketizer | G711Depacketizer] = {}
        self._expected = -1
        self._ssrc = -1
        self._streak = _STREAK if not reliable else 0
        self._reliable = reliable
        self._trials: dict[int, int] = {}
        self._packets: dict[int, int] = {}
        self._ps_seen = False

    @property
    def problem(self) -> str | None:
        """Why the stream cannot be passed on, or None while nothing is wrong or it still may work."""
        if self.ps is not None and (self._ps_seen or self.ps.problem):
            return self.ps.problem
        if self._tracks:
            return None
        return next(iter(self._problems.values()), None)

    @property
    def is_ps(self) -> bool:
        """Whether a pack header was seen."""
        return self._ps_seen

    def carries_ps(self, payload_type: int) -> bool:
        """Whether packets of this type are taken for parts of the program stream."""
        return self.ps is not None and self._handlers.get(payload_type) is self.ps

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """Codecs found so far, video first."""
        found = [track.codec for track in self._tracks.values()]
        if self.ps is not None and self._ps_seen:
            beside = [codec for codec in found if codec in AUDIO_CODECS]
            has_audio = not AUDIO_CODECS.isdisjoint(self.ps.codecs)
            return (*self.ps.codecs, *([] if has_audio else beside[:1]))
        return tuple(sorted(found, key=lambda codec: codec not in {Codec.H264, Codec.HEVC}))

    @property
    def video(self) -> VideoTrack | None:
        """The video track with its last sequence parameter set, once known."""
        if self.ps is not None and self._ps_seen:
            return self.ps.video
        for track in self._tracks.values():
            if isinstance(track, VideoDepacketizer):
                return track.track
        return None

    def feed(self, packet: RtpPacket) -> list[MediaUnit]:
        """Take the next packet in order, return the units it completes."""
        sequence = packet.sequence
        if sequence != self._expected or packet.ssrc != self._ssrc:
            self._note_gap(packet)
        elif self._reliable:
            self._streak += 1
        self._expected = (sequence + 1) & 0xFFFF
        handler = self._handlers.get(packet.payload_type)
        if handler is not self.ps or not self._ps_seen:
            handler = self._choose(packet)
        if handler is None:
            return []
        return handler.feed(packet.payload, timestamp=packet.timestamp, marker=packet.marker)

    def flush(self) -> list[MediaUnit]:
        """Return what is complete at the end of the stream."""
        handlers = dict.fromkeys(self._handlers.values())
        return [unit for handler in handlers for unit in handler.flush()]

    def loss(self) -> None:
        """Drop what is unfinished."""
        for handler in dict.fromkeys(self._handlers.values()):
            handler.loss()

    def _note_gap(self, packet: RtpPacket) -> None:
        if self._ssrc >= 0 and (packet.ssrc != self._ssrc or self._streak >= _STREAK):
            self.gaps += 1
            self.loss()
        if self._reliable:
            self._streak = 0
        self._ssrc = packet.ssrc

    def _choose(self, packet: RtpPacket) -> _Payload | None:
        number, payload = packet.payload_type, packet.payload
        if payload[:4] == PACK_START:
            ps = self._use_ps(number)
            self._trials.pop(number, None)
            if not self._ps_seen:
                self._ps_seen = True
                ps.timeline.align(self._timeline.newest)
            return ps
        handler = self._handlers.get(number)
        if handler is not None and handler is not self.ps:
            is_video = isinstance(handler, VideoDepacketizer)
            return handler if self._is_admitted(number, is_video=is_video) else None
        if handler is None:
            name = self._names.get(number) or _RECOMMENDED.get(number) or "PS"
            if "/" in name:
                name = name.partition("/")[0]
            if name in _UNSUPPORTED:
                self._problems[number] = (
                    f"{_UNSUPPORTED[name]} (payload type {number}) cannot be passed on"
                )
                return None
            kind = _KINDS.get(name, "ps")
            if kind != "ps":
                admitted = self._is_admitted(number, is_video=kind in _VIDEO_KINDS)
                return self._use(number, kind) if admitted else None
            handler = self._use_ps(number)
        return self._try_others(number, payload, handler)

    def _is_admitted(self, number: int, *, is_video: bool) -> bool:
        """Whether a payload type may be used beside others; beside PS only audio, if that has none."""
        ps = self.ps if self._ps_seen else None
        seen = self._packets[number] = self._packets.get(number, 0) + 1
        has_audio = ps is not None and not AUDIO_CODECS.isdisjoint(ps.codecs)
        # One packet with a damaged or foreign type must not become a track of its own; but the
        # first packets of the first video are its key frame.
        others = ps is not None or bool(self._tracks)
        first_video = is_video and self.video is None
        stray = others and not first_video and seen <= _STRAY_PACKETS
        stray = stray and number not in self._handlers
        if stray or has_audio or (ps is not None and is_video):
            self.ignored += 1
            return False
        if ps is not None:
            self._timeline.align(ps.timeline.newest)
        return True

    def _use_ps(self, number: int) -> PsDemuxer:
        if self.ps is None:
            self.ps = PsDemuxer(audio_override=self._audio_override)
            self.ps.timeline.align(self._timeline.newest)
        self.payload_kind = "ps"
        self._handlers[number] = self.ps
        self._problems.pop(number, None)
        return self.ps

    def _use(self, number: int, kind: str) -> _Payload:
        track = self._tracks.get(kind)
        if track is None:
            track = self._tracks[kind] = self._make(number, kind)
        if kind in _VIDEO_KINDS or not self.payload_kind:
            self.payload_kind = kind
        self._handlers[number] = track
        return track

    def _make(
        self, number: int, kind: str
    ) -> VideoDepacketizer | AacDepacketizer | G711Depacketizer:
        codec = Codec(kind)
        if codec in {Codec.H264, Codec.HEVC}:
            return VideoDepacketizer(codec, self._video_clock)
        if codec is Codec.AAC:
            rate = self._clock_rate(number)
            return AacDepacketizer(
                self._audio_clock, self._aac_config(number, rate), clock_rate=rate
            )
        return G711Depacketizer(codec, self._audio_clock)

    def _clock_rate(self, number: int) -> int:
        parts = self._names.get(number, "").split("/")
        rate = int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 8000
        return rate if 1000 <= rate <= 192_000 else 8000

    def _aac_config(self, number: int, rate: int) -> aac.AudioSpecificConfig:
        for field in self._fmtp.get(number, "").split(";"):
            key, _, value = field.strip().partition("=")
            if key.lower() == "config":
                try:
                    return aac.parse_audio_specific_config(bytes.fromhex(value.strip()))
                except ValueError:
                    break
        known = rate if rate in aac.SAMPLE_RATES else 8000
        return aac.AudioSpecificConfig(sample_rate=known, channels=1)

    def _try_others(self, number: int, payload: bytes | memoryview, ps: _Payload) -> _Payload:
        """Look whether a type that should be PS is something else; PS until that is proven."""
        if self._ps_seen:
            return ps
        head = bytes(payload[:512])
        if _is_ts(payload):
            self._problems[number] = f"MPEG-TS (payload type {number}) cannot be passed on"
            self.payload_kind = "ts"
            return ps
        trials = self._trials.get(number, 0) + 1
        self._trials[number] = trials
        if head[:3] == b"\x00\x00\x01" and len(head) > 3 and head[3] >= 0xB9:
            self._trials[number] = 0
            return ps
        if trials >= _TRIAL_PACKETS or _may_be_parameter_set(head):
            kind = _looks_like(head)
            if kind is not None:
                del self._handlers[number]
                return self._use(number, kind)
        return ps


def _is_ts(payload: bytes | memoryview) -> bool:
    size = len(payload)
    return (
        size >= _TS_PACKET
        and size % _TS_PACKET == 0
        and all(payload[at] == _TS_SYNC for at in range(0, size, _TS_PACKET))
    )


def _may_be_parameter_set(head: bytes) -> bool:
    if not head:
        return False
    return head[0] & 0x1F in {7, 24} or head[0] >> 1 in {32, 33, 48}


def _looks_like(head: bytes) -> str | None:
    """Recognise a payload of RFC 6184 or 7798 by a parameter set, alone or first in a packet."""
    looks: tuple[Callable[[bytes], bytes], ...] = (
        lambda data: data,
        lambda data: data[3:] if data[:1] and data[0] & 0x1F == 24 else b"",
        lambda data: data[4:] if data[:1] and data[0] >> 1 == 48 else b"",
    )
    for look in looks:
        nal = look(head)
        codec = detect_video(b"\x00\x00\x01" + nal) if nal else None
        if codec is not None:
            return codec.value
    return None
