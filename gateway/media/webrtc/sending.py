"""Media to one connected viewer: the group of pictures it begins with, live frames, repairs and reports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.domain.rtp_out import RtpFrame
from gateway.media.webrtc.pacer import Pacer, Run
from gateway.media.webrtc.srtp import SrtpSender
from gateway.media.webrtc.track import TrackSender
from gb28181.rtp.feedback import LostPackets, PictureWanted, parse_feedback
from gb28181.rtp.rtcp import Bye, ReceiverReport, RtcpPacket, SenderReport, serialize_rtcp

__all__ = ["Group", "MediaSending", "SendPorts"]

VIDEO_TICKS = 90_000
SPEED = 8
"""So many times faster than live goes out what a viewer has to catch up with."""
SLOWEST, FASTEST = 1_500_000, 8_000_000
"""Limits of that, in bytes a second."""
STEP = 450.0
"""Least ticks between two pictures that a viewer begins with: browsers decode no faster than one in 5 ms."""
AFTER = 1_500
"""Ticks between a live picture and the next one that stamps of a repeated group are fitted into."""
REPORT_INTERVAL = 1.0
ADRIFT = 2.0
"""Seconds by which stream and wall clock may disagree before reports follow the stream anew."""
REPLAY_INTERVAL = 2.0
"""Seconds between two key frames that a viewer is sent for its own sake."""
MAX_REPLAY = 2 * 1024 * 1024
"""Bytes of the last group of pictures up to which it is sent again at once; beyond, the camera is asked."""
MIN_RESENDS = 200
"""Packets that may be sent again in one interval between reports; more if more were sent."""


class Group:
    """Frames since the last key frame, for whoever has to begin with them.

    Overflow rule: a group that grows too big is forgotten; the next key frame begins a new one.

    Args:
        max_frames: Frames that are kept.
        max_bytes: Bytes of them.
    """

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self.frames: list[RtpFrame] = []
        self.size = 0
        self._max_frames = max_frames
        self._max_bytes = max_bytes

    def take(self, frames: Sequence[RtpFrame]) -> None:
        """Keep frames as they come."""
        for frame in frames:
            if frame.keyframe:
                self.frames, self.size = [frame], frame.size
            elif self.frames:
                self.frames.append(frame)
                self.size += frame.size
        if len(self.frames) > self._max_frames or self.size > self._max_bytes:
            self.frames, self.size = [], 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPorts:
    """What sending needs of its surroundings."""

    send_all: Callable[[Sequence[memoryview]], None]
    """Sends packets of media."""
    send: Callable[[bytes | memoryview], None]
    """Sends one packet."""
    call_later: Callable[[float, Callable[[], None]], None]
    clock: Callable[[], float]
    wall: Callable[[], float]
    """UNIX seconds."""
    keyframe_wanted: Callable[[], None]
    """Asks the camera; whoever it is bounds the rate."""


class MediaSending:
    """Sends to one viewer from the moment its keys are there.

    Args:
        srtp: Protects.
        video: The track of pictures.
        audio: That of sound, if the viewer gets any.
        video_track: Position of the pictures among the stream's tracks.
        audio_track: Position of the sound; None if it is none of the stream's own.
        ports: The surroundings.
        cname: For reports.
    """

    def __init__(
        self,
        srtp: SrtpSender,
        video: TrackSender,
        audio: TrackSender | None,
        *,
        video_track: int,
        audio_track: int | None,
        ports: SendPorts,
        cname: str,
    ) -> None:
        self.skipped = 0
        """Frames dropped because the viewer's way was too slow."""
        self.fraction_lost = 0.0
        self.left = False
        """Whether the viewer said BYE."""
        self.video = video
        self.audio = audio
        self._srtp = srtp
        self._video_track = video_track
        self._audio_track = audio_track
        self._ports = ports
        self._cname = cname
        self._pacer = Pacer(self._send_run, call_later=ports.call_later, clock=ports.clock)
        self._closed = False
        self._awaiting = True
        self._newest: int | None = None
        """Latest time stamp of a picture so far."""
        self._floor: int | None = None
        """Time stamp that the next pictures must be after, if theirs may not be."""
        self._anchor: float | None = None
        """UNIX time of the stream's zero."""
        self._report_at = ports.clock()
        self._replayed_at: float | None = None
        self._resends = MIN_RESENDS
        self._sent_before = 0

    # Frames

    def begin(self, group: Group) -> None:
        """Send the last group of pictures, faster than it was made and with stamps as close together.

        The viewer shows its first picture at once and is at the live one as soon as everything has arrived: stamps as
        they were would have it play the group at normal speed and stay behind for good.
        """
        pictures = [frame for frame in group.frames if frame.track == self._video_track]
        if not pictures:
            return
        self._awaiting = False
        newest = pictures[-1].timestamp
        span = max((newest - pictures[0].timestamp) / VIDEO_TICKS, 1.0)
        self._pacer.rate = min(max(SPEED * group.size / span, SLOWEST), FASTEST)
        # Stamps as far apart as the pictures go out.
        ticks, least = VIDEO_TICKS / self._pacer.rate, STEP
        if self._newest is not None:
            # After what was shown, and before the next live picture.
            ticks, least = min(ticks, AFTER / max(group.size, 1)), 1.0
            newest = max(newest, self._newest) + int(ticks * group.size) + len(pictures)
            self._floor = newest
        behind, stamps = 0.0, []
        for frame in reversed(pictures):
            stamps.append(newest - int(behind))
            behind += max(frame.size * ticks, least)
        for frame, stamp in zip(pictures, reversed(stamps), strict=True):
            self._push(frame, stamp)

    def frames(self, frames: Sequence[RtpFrame]) -> None:
        """Send what goes out together."""
        for frame in frames:
            if frame.track == self._video_track:
                if self._awaiting:
                    if not frame.keyframe:
                        continue
                    self._awaiting = False
                self._push(frame, self._place(frame.timestamp))
            elif frame.track == self._audio_track:
                self.sound(frame.payloads, frame.timestamp)

    def sound(self, payloads: Sequence[bytes], timestamp: int) -> None:
        """Send sound at once."""
        if self.audio is not None and not self._closed:
            packets = self.audio.make(self._srtp, payloads, timestamp, marker=False)
            self._ports.send_all(packets)

    def close(self) -> None:
        """Say BYE and send no more; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._pacer.clear()
        for track in self._tracks():
            bye = serialize_rtcp(ReceiverReport(ssrc=track.ssrc), Bye(sources=(track.ssrc,)))
            self._ports.send(self._srtp.protect_rtcp(bye))

    def _place(self, timestamp: int) -> int:
        if self._floor is not None:
            if timestamp > self._floor:
                self._floor = None
            else:
                self._floor = timestamp = self._floor + 1
        return timestamp

    def _push(self, frame: RtpFrame, timestamp: int) -> None:
        if self._newest is None or timestamp > self._newest:
            self._newest = timestamp
        dropped = self._pacer.push(frame.payloads, timestamp, frame.size)
        if dropped:
            self.skipped += dropped
            if not frame.keyframe:
                self._pacer.clear()
                self._awaiting = True

    def _send_run(self, run: Run, start: int, end: int) -> None:
        if self._closed:
            return
        payloads, last = run.payloads, len(run.payloads)
        if end - start != last:
            payloads = payloads[start:end]
        for part in self.video.parts(payloads):
            start += len(part)
            packets = self.video.make(self._srtp, part, run.timestamp, marker=start == last)
            self._ports.send_all(packets)

    def _tracks(self) -> list[TrackSender]:
        return [self.video] if self.audio is None else [self.video, self.audio]

    # Reports

    def tick(self, now: float, newest: tuple[int, float] | None) -> None:
        """Send reports when they are due.

        Args:
            now: Monotonic seconds.
            newest: Time stamp of the last live picture, and when it came.
        """
        if now < self._report_at or newest is None or self._closed:
            return
        self._report_at = now + REPORT_INTERVAL
        stamp, came = newest
        seconds, wall = stamp / VIDEO_TICKS + (now - came), self._ports.wall()
        anchor = wall - seconds
        # One straight line for both tracks; it follows only a stream whose clock runs differently.
        if self._anchor is None or abs(anchor - self._anchor) > ADRIFT:
            self._anchor = anchor
        for track in self._tracks():
            report = track.report(wall - self._anchor, wall, self._cname)
            self._ports.send(self._srtp.protect_rtcp(report))
        packets = self.video.packets
        self._resends = max(MIN_RESENDS, packets - self._sent_before)
        self._sent_before = packets

    def feedback(self, data: bytes, packets: Sequence[RtcpPacket], group: Group) -> None:
        """Act on a compound packet of the viewer.

        Args:
            data: Decrypted.
            packets: What `parse_rtcp` made of it.
            group: What to begin anew with.

        Raises:
            RtpError: it cannot be read.
        """
        for packet in packets:
            if isinstance(packet, ReceiverReport | SenderReport):
                for block in packet.reports:
                    if block.ssrc == self.video.ssrc:
                        self.fraction_lost = block.fraction_lost / 256
            elif isinstance(packet, Bye):
                self.left = True
        for wish in parse_feedback(data):
            if wish.ssrc != self.video.ssrc:
                continue
            if isinstance(wish, LostPackets):
                self._resend(wish)
            elif isinstance(wish, PictureWanted):
                self._replay(group)

    def _resend(self, lost: LostPackets) -> None:
        for number in lost.sequences:
            if self._resends <= 0:
                return
            packet = self.video.remake(self._srtp, number)
            if packet is not None:
                self._resends -= 1
                self._ports.send(packet)

    def _replay(self, group: Group) -> None:
        now = self._ports.clock()
        if self._pacer.waiting or (
            self._replayed_at is not None and now - self._replayed_at < REPLAY_INTERVAL
        ):
            return
        self._replayed_at = now
        if group.frames and group.size <= MAX_REPLAY:
            self.begin(group)
        else:
            self._ports.keyframe_wanted()
