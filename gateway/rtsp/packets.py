"""RTP packets of one stream, built once for all its RTSP viewers, and its sender reports (RFC 3550).

All viewers of an output get the same SSRCs, numbers and time stamps; only the channel bytes of interleaved ones
differ, and players nearly all choose 0 to 3.
"""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from gateway.domain.rtp_out import RtpFrame, RtpTrack
from gb28181.rtp.packet import HEADER_SIZE
from gb28181.rtp.relay import MAX_RUN_PACKETS, FrameStart, RelayForm, RelayRun
from gb28181.rtp.rtcp import Bye, SenderReport, SourceDescription, serialize_rtcp

__all__ = ["PacketBook", "StreamPackets"]

HEADER = struct.Struct("!BBHII")
FRAMED_HEADER = struct.Struct("!BBHBBHII")
DOLLAR, VERSION, MARKER = 0x24, 0x80, 0x80
NTP_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)
CNAME = "gateway"
RATE_WINDOW = 2.0
MIN_LIMIT = 256 * 1024


class StreamPackets:
    """The packets of one output.

    Args:
        tracks: Of the output.
        new_number: Returns a random number below its argument.
        wall: Wall clock, timezone-aware.
    """

    def __init__(
        self,
        tracks: Sequence[RtpTrack],
        *,
        new_number: Callable[[int], int],
        wall: Callable[[], datetime],
    ) -> None:
        self.tracks = tracks
        self.users = 0
        self.ssrcs = [new_number(1 << 32) for _ in tracks]
        self.rate = 0.0
        """Bytes a second, over the last seconds."""
        self._sequences = [new_number(1 << 16) for _ in tracks]
        self._stamps = [new_number(1 << 32) for _ in tracks]
        self._wall = wall
        self._origin: tuple[float, datetime] | None = None
        """A time of the stream in seconds, and when that was."""
        self._newest = 0.0
        self._packets = [0] * len(tracks)
        self._octets = [0] * len(tracks)
        self._window: tuple[float, int] | None = None
        self._noted: Sequence[RtpFrame] = ()
        self._batch: Sequence[RtpFrame] = ()
        self._framed: dict[tuple[int, ...], bytes] = {}
        self._forms: dict[int, list[RelayForm]] = {}

    def note(self, batch: Sequence[RtpFrame], now: float) -> None:
        """Take note of what goes out; every viewer tells, the first one counts."""
        if batch is self._noted:
            return
        self._noted = batch
        size = 0
        for frame in batch:
            # A viewer that begins gets frames which others have had.
            if frame.sequence >= self._packets[frame.track]:
                self._packets[frame.track] = frame.sequence + len(frame.payloads)
                self._octets[frame.track] += frame.size
                size += frame.size
        newest = batch[-1]
        self._newest = max(self._newest, newest.timestamp / self.tracks[newest.track].clock_rate)
        if self._origin is None:
            self._origin = (self._newest, self._wall())
        self._measure(size, now)

    def limit(self, most: int, seconds: float) -> int:
        """Return how many bytes may wait for a viewer."""
        return min(most, max(MIN_LIMIT, int(self.rate * seconds)))

    # Packets

    def interleaved(self, batch: Sequence[RtpFrame], channels: tuple[int, ...]) -> bytes:
        """Return a batch as bytes for a connection (RFC 2326 10.12).

        Args:
            batch: Frames that go out together.
            channels: Of RTP by track, -1 for tracks that are not wanted.
        """
        self._keep(batch)
        data = self._framed.get(channels)
        if data is None:
            data = self._framed[channels] = self._frame(batch, channels)
        return data

    def datagrams(self, batch: Sequence[RtpFrame], track: int) -> list[RelayForm]:
        """Return one track's packets of a batch, as the system cuts them up."""
        self._keep(batch)
        forms = self._forms.get(track)
        if forms is None:
            forms = self._forms[track] = self._cut(batch, track)
        return forms

    # What is said about them

    def media_time(self, batch: Sequence[RtpFrame]) -> float:
        """Return the time of a batch's first frame, in seconds of the stream."""
        return batch[0].timestamp / self.tracks[batch[0].track].clock_rate

    def rtp_info(self, batch: Sequence[RtpFrame], track: int) -> str:
        """Return `seq` and `rtptime` of a track for a viewer that starts with this batch (RFC 2326 12.33).

        The time stamps of all tracks are those of one instant, that of the first frame.
        """
        stamp = self._stamp(track, self.media_time(batch))
        first = next((frame.sequence for frame in batch if frame.track == track), None)
        number = self._packets[track] if first is None else first
        return f"seq={(self._sequences[track] + number) & 0xFFFF};rtptime={stamp}"

    def report(self, track: int, media_time: float | None = None) -> bytes:
        """Return a sender report (RFC 3550 6.4.1) for a time of the stream; None is the newest.

        It says when the media was captured rather than when the report is sent: both tracks then agree however
        late the report is, and no player takes it for one of the future.
        """
        time = self._newest if media_time is None else media_time
        origin, at = self._origin if self._origin is not None else (time, self._wall())
        report = SenderReport(
            ssrc=self.ssrcs[track],
            ntp_time=int(((at - NTP_EPOCH).total_seconds() + time - origin) * (1 << 32)),
            rtp_time=self._stamp(track, time),
            packet_count=self._packets[track] & 0xFFFF_FFFF,
            octet_count=self._octets[track] & 0xFFFF_FFFF,
        )
        return serialize_rtcp(report, SourceDescription(names=((self.ssrcs[track], CNAME),)))

    def bye(self, track: int, reason: str) -> bytes:
        """Return the last report."""
        return self.report(track) + serialize_rtcp(Bye(sources=(self.ssrcs[track],), reason=reason))

    # Inside

    def _stamp(self, track: int, time: float) -> int:
        return (round(time * self.tracks[track].clock_rate) + self._stamps[track]) & 0xFFFF_FFFF

    def _keep(self, batch: Sequence[RtpFrame]) -> None:
        if batch is not self._batch:
            self._batch = batch
            self._framed = {}
            self._forms = {}

    def _frame(self, batch: Sequence[RtpFrame], channels: tuple[int, ...]) -> bytes:
        pack = FRAMED_HEADER.pack
        parts: list[bytes] = []
        for frame in batch:
            channel = channels[frame.track]
            if channel < 0:
                continue
            track = frame.track
            kind = self.tracks[track].payload_type
            ssrc = self.ssrcs[track]
            stamp = (frame.timestamp + self._stamps[track]) & 0xFFFF_FFFF
            number = self._sequences[track] + frame.sequence
            last = len(frame.payloads) - 1
            for position, payload in enumerate(frame.payloads):
                mark = kind | MARKER if position == last and self._marks(track) else kind
                size = len(payload) + HEADER_SIZE
                parts.append(
                    pack(DOLLAR, channel, size, VERSION, mark, number & 0xFFFF, stamp, ssrc)
                )
                parts.append(payload)
                number += 1
        return b"".join(parts)

    def _marks(self, track: int) -> bool:
        # RFC 3551 4.1: of G.711 the marker begins a talk spurt, and there is one only.
        return self.tracks[track].codec not in {"pcm_alaw", "pcm_mulaw"}

    def _cut(self, batch: Sequence[RtpFrame], track: int) -> list[RelayForm]:
        forms: list[RelayForm] = []
        draft = _Draft()
        kind, ssrc = self.tracks[track].payload_type, self.ssrcs[track]
        for frame in batch:
            if frame.track != track:
                continue
            stamp = (frame.timestamp + self._stamps[track]) & 0xFFFF_FFFF
            number = self._sequences[track] + frame.sequence
            last = len(frame.payloads) - 1
            for position, payload in enumerate(frame.payloads):
                mark = kind | MARKER if position == last and self._marks(track) else kind
                if draft.packets == MAX_RUN_PACKETS:
                    forms.append(draft.form())
                    draft = _Draft()
                draft.add(HEADER.pack(VERSION, mark, number & 0xFFFF, stamp, ssrc), payload)
                number += 1
        if draft.packets:
            forms.append(draft.form())
        return forms

    def _measure(self, size: int, now: float) -> None:
        if self._window is None:
            # What came first was a whole group of pictures.
            self._window = (now, 0)
            return
        began, total = self._window
        total += size
        if now - began >= RATE_WINDOW:
            self.rate = total / (now - began)
            began, total = now, 0
        self._window = (began, total)


class _Draft:
    """Packets that become a form, in runs of one size."""

    def __init__(self) -> None:
        self.packets = 0
        self._parts: list[bytes | memoryview] = []
        self._runs: list[RelayRun] = []
        self._size = 0
        self._open = False

    def add(self, header: bytes, payload: bytes) -> None:
        """Add one packet."""
        size = HEADER_SIZE + len(payload)
        if self._open and size <= self._runs[-1].size:
            self._runs[-1].count += 1
            self._open = size == self._runs[-1].size
        else:
            self._runs.append(RelayRun(self._size, size, 1, 0, FrameStart.NONE))
            self._open = True
        self._parts += (header, payload)
        self._size += size
        self.packets += 1

    def form(self) -> RelayForm:
        """Return them end to end."""
        return RelayForm(bytearray().join(self._parts), self._runs, 0, 0)


class PacketBook:
    """The packets of all streams that RTSP viewers play.

    Args:
        new_number: Returns a random number below its argument.
        wall: Wall clock, timezone-aware.
    """

    def __init__(self, *, new_number: Callable[[int], int], wall: Callable[[], datetime]) -> None:
        self._new_number = new_number
        self._wall = wall
        self._streams: dict[int, StreamPackets] = {}
        """By the identity of the tracks, which an output shares among its viewers."""

    def __len__(self) -> int:
        return len(self._streams)

    def take(self, tracks: Sequence[RtpTrack]) -> StreamPackets:
        """Return the packets of the output with these tracks; `give_back` must follow."""
        packets = self._streams.get(id(tracks))
        if packets is None:
            packets = StreamPackets(tracks, new_number=self._new_number, wall=self._wall)
            self._streams[id(tracks)] = packets
        packets.users += 1
        return packets

    def give_back(self, packets: StreamPackets) -> None:
        """One viewer needs them no more."""
        packets.users -= 1
        if not packets.users:
            del self._streams[id(packets.tracks)]
