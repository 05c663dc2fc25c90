"""FLV and fragmented MP4 by PyAV: one header for all tracks, one muxer for each track.

FLV tags and MP4 fragments stand for themselves, so the bytes of the tracks' muxers can be
joined in any order behind a common header. FFmpeg's muxer for two tracks would hold back video
until the audio of the same moment has come. It also lets a viewer without sound share the
video bytes.

Opening and closing belong in a worker thread; `TrackMuxer.mux` is cheap enough for the loop.
"""

import io
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Stream

from gateway.domain.media import OutputFormat
from gb28181.es.unit import Codec

__all__ = ["AacTemplate", "MuxSet", "Muxed", "TrackMuxer", "VideoTemplate", "open_muxers"]

TIME_BASE = Fraction(1, 90_000)
VIDEO_ID = 1
AUDIO_ID = 2
SEQUENCE_OFFSET = 20
"""moof header, mfhd header, version and flags; then the fragment's number."""
FLV_TAG_HEADER = 11
FLV_TAG_TRAILER = 4
FLV_VIDEO = 9
FLV_METADATA = 0x84
"""Enhanced header flag and PacketTypeMetadata."""
IO_BUFFER = 256 * 1024

# Stamps must pass through as they are: they are shared by two muxers.
FLV_OPTIONS = {"flvflags": "no_duration_filesize", "avoid_negative_ts": "disabled"}
MP4_OPTIONS = {
    "movflags": "empty_moov+default_base_moof+frag_every_frame+frag_discont",
    "use_stream_ids_as_track_ids": "1",
    "use_editlist": "0",
    "avoid_negative_ts": "disabled",
}


@dataclass(frozen=True, slots=True)
class VideoTemplate:
    """A key frame, from which FFmpeg reads the parameter sets."""

    codec: Codec
    keyframe: bytes


@dataclass(frozen=True, slots=True)
class AacTemplate:
    """One ADTS frame and the AudioSpecificConfig of its stream."""

    adts: bytes
    config: bytes


class _Pipe:
    """Write-only file that keeps what FFmpeg wrote until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Called by FFmpeg."""
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return and forget all bytes written so far."""
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts = []
        return data


@dataclass(slots=True)
class Muxed:
    """Self-contained bytes of one frame: FLV tags or one fragment."""

    data: bytes
    keyframe: bool
    dts: int
    """As the frame was handed in."""


class TrackMuxer:
    """Muxes one track; packets in, tags or fragments out."""

    def __init__(
        self, container: OutputContainer, stream: Stream, pipe: _Pipe, *, late: bool
    ) -> None:
        self._container = container
        self._stream = stream
        self._pipe = pipe
        self._late = late
        self._last = (False, 0)
        """Key frame or not, and stamp, of the frame before."""
        self._first = True
        self._retired = False

    def mux(
        self, payload: bytes, *, pts: int, dts: int, duration: int, keyframe: bool
    ) -> Muxed | None:
        """Mux one frame; stamps in 90 kHz ticks.

        FFmpeg ends an MP4 fragment when the next frame comes, so MP4 is one frame late.

        Raises:
            ValueError: The muxer is retired, or the frame unusable.
            av.FFmpegError: FFmpeg refuses the frame.
        """
        if self._retired:
            # FFmpeg would write to freed memory.
            raise ValueError("the muxer is retired")
        packet = av.Packet(payload)
        packet.stream = self._stream
        packet.time_base = TIME_BASE
        packet.pts = pts
        packet.dts = dts
        packet.duration = duration
        packet.is_keyframe = keyframe
        self._container.mux_one(packet)
        data = self._pipe.take()
        if self._first:
            self._first = False
            if not self._late:
                data = _without_metadata(data)
        frame = (keyframe, dts)
        if self._late:
            frame, self._last = self._last, frame
        return Muxed(data, *frame) if data else None

    def retire(self) -> None:
        """Refuse all frames from now on; on the loop, before `close` is given to a worker."""
        self._retired = True

    def close(self) -> None:
        """Free FFmpeg's memory."""
        self._container.close()


def _without_metadata(tags: bytes) -> bytes:
    """Leave out enhanced FLV's colour tag, for which some players give up; the SPS tells the same."""
    kept, position = [], 0
    while position + FLV_TAG_HEADER < len(tags):
        size = int.from_bytes(tags[position + 1 : position + 4], "big")
        end = position + FLV_TAG_HEADER + size + FLV_TAG_TRAILER
        first = tags[position + FLV_TAG_HEADER]
        if not (tags[position] == FLV_VIDEO and first & 0x8F == FLV_METADATA):
            kept.append(tags[position:end])
        position = end
    return b"".join(kept)


@dataclass(slots=True)
class MuxSet:
    """The open muxers of one output."""

    header: bytes
    """What every viewer gets first."""
    header_video: bytes
    """The same for a viewer without sound."""
    video: TrackMuxer
    audio: TrackMuxer | None
    numbered: bool
    """Whether the parts carry fragment numbers (MP4)."""
    number: int = 0

    def numbered_part(self, data: bytes) -> bytes:
        """Number one fragment in the order in which the tracks' fragments are joined."""
        if not self.numbered:
            return data
        self.number += 1
        part = bytearray(data)
        struct.pack_into(">I", part, SEQUENCE_OFFSET, self.number & 0xFFFFFFFF)
        return bytes(part)

    def retire(self) -> None:
        """Refuse all frames from now on."""
        self.video.retire()
        if self.audio is not None:
            self.audio.retire()

    def close(self) -> None:
        """Close all muxers; for a worker thread."""
        self.video.close()
        if self.audio is not None:
            self.audio.close()


@dataclass(frozen=True, slots=True)
class _Track:
    number: int
    codec: Codec
    template: Stream
    config: bytes | None = None


def open_muxers(output: OutputFormat, video: VideoTemplate, audio: AacTemplate | None) -> MuxSet:
    """Open the muxers of an output; blocking, for a worker thread.

    Raises:
        av.FFmpegError: The templates hold nothing that FFmpeg can mux.
    """
    late = output is OutputFormat.MP4
    with av.open(io.BytesIO(video.keyframe), format=video.codec.value) as video_input:
        picture = _Track(VIDEO_ID, video.codec, video_input.streams.video[0])
        header_video = _header(output, [picture])
        video_muxer = _muxer(output, picture, late=late)
        if audio is None:
            return MuxSet(header_video, header_video, video_muxer, None, numbered=late)
        with av.open(io.BytesIO(audio.adts), format="aac") as audio_input:
            sound = _Track(AUDIO_ID, Codec.AAC, audio_input.streams.audio[0], audio.config)
            header = _header(output, [picture, sound])
            audio_muxer = _muxer(output, sound, late=late)
    return MuxSet(header, header_video, video_muxer, audio_muxer, numbered=late)


def _header(output: OutputFormat, tracks: list[_Track]) -> bytes:
    pipe = _Pipe()
    container = _open(output, pipe)
    for track in tracks:
        _add(container, output, track)
    container.start_encoding()
    header = pipe.take()
    container.close()
    return header


def _muxer(output: OutputFormat, track: _Track, *, late: bool) -> TrackMuxer:
    pipe = _Pipe()
    container = _open(output, pipe)
    stream = _add(container, output, track)
    container.start_encoding()
    pipe.take()
    return TrackMuxer(container, stream, pipe, late=late)


def _open(output: OutputFormat, pipe: _Pipe) -> OutputContainer:
    options = MP4_OPTIONS if output is OutputFormat.MP4 else FLV_OPTIONS
    return av.open(pipe, "w", format=output.value, options=dict(options), buffer_size=IO_BUFFER)


def _add(container: OutputContainer, output: OutputFormat, track: _Track) -> Stream:
    stream: Any = container.add_stream_from_template(track.template)
    stream.time_base = TIME_BASE
    if track.config is not None:
        stream.codec_context.extradata = track.config
    if output is OutputFormat.MP4:
        stream.id = track.number
        if track.codec is Codec.HEVC:
            # Safari plays HEVC only as hvc1; FFmpeg's default is hev1.
            stream.codec_context.codec_tag = "hvc1"
    result: Stream = stream
    return result
