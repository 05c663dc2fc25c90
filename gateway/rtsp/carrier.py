"""The way of a stream's packets to one player: interleaved with the requests, or in datagrams."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from gateway.domain.rtp_out import RtpFrame
from gateway.rtsp.options import RtspOptions
from gateway.rtsp.packets import StreamPackets
from gb28181.aio.media_relay import UdpRelay
from gb28181.aio.ports import PortLease
from gb28181.rtp.packet import is_rtcp
from gb28181.rtp.relay import RelayForm

__all__ = ["Carrier", "CarrierUser", "TcpCarrier", "UdpCarrier"]

RTCP_BATCH = 64
"""Datagrams read at once."""
RTCP_SIZE = 2_048
PACE_BYTES = 49_152
"""Bytes of a key frame, or of the group of pictures at the beginning, that go out at once over UDP ..."""
PACE_INTERVAL = 0.004
"""... and seconds until more follow: 98 Mbit/s, since a player's socket buffer holds some 200 KB."""
SECOND_REPORT = 0.1
"""Seconds after the first, or the next tick: GStreamer makes no use of a report that comes before the packets, and
shifts the sound by a frame when it gets one."""
UNREACHABLE = 5.0
"""Seconds of refused datagrams after which a player is gone."""


class CarrierUser(Protocol):
    """Who has the carrier."""

    def skipped(self, frames: int) -> None:
        """The player was too slow for so many frames."""

    def lost(self, code: str, detail: str) -> None:
        """The player is gone, or too slow for good."""

    def alive(self) -> None:
        """The player sent something."""


class Carrier(Protocol):
    """The way to one player, whichever it is."""

    @property
    def sent(self) -> int:
        """Bytes so far."""

    @property
    def behind(self) -> bool:
        """Whether so much waits for the player that it begins with the next key frame only."""

    def start(self, batch: Sequence[RtpFrame], now: float) -> None:
        """Report, then send what a player begins with; nothing if it is behind."""

    def send(self, batch: Sequence[RtpFrame], now: float) -> None:
        """Send what goes out together."""

    def tick(self, now: float) -> None:
        """Report when it is time, look whether the player is there."""

    def stop(self) -> None:
        """Send nothing for the moment."""

    def close(self, reason: str) -> None:
        """Say good-bye and give everything back; idempotent."""


class _Backlog:
    """What a player gets when it is slow.

    Overflow rule: one that has more than the limit waiting loses frames until a key frame finds it at half the
    limit; one that stays behind too long is closed as `too_slow`.
    """

    def __init__(self, packets: StreamPackets, options: RtspOptions, user: CarrierUser) -> None:
        self.awaiting = False
        self._packets = packets
        self._options = options
        self._user = user
        self._behind_since: float | None = None
        self._burst = 0

    @property
    def limit(self) -> int:
        """Bytes above which a player is behind."""
        return self._packets.limit(self._options.viewer_bytes, self._options.viewer_seconds)

    def begun(self, size: int, *, awaiting: bool) -> None:
        """The start, of so many bytes, may exceed the limit without the player being slow."""
        self._burst = size
        self.awaiting = awaiting
        self._behind_since = None

    def begun_behind(self, now: float) -> None:
        """Nothing goes out at the start: what it did not take before a pause still waits."""
        self._burst = 0
        self.awaiting = True
        self._behind_since = now

    def admit(
        self, batch: Sequence[RtpFrame], waiting: int, now: float
    ) -> Sequence[RtpFrame] | None:
        """Return what of a batch is to be sent while so many bytes wait; None for nothing."""
        limit = self.limit
        if self.awaiting:
            at = next((n for n, frame in enumerate(batch) if frame.keyframe), None)
            if at is None or (self._behind_since is not None and waiting > limit // 2):
                self._skip(batch, now)
                return None
            self.awaiting = False
            self._behind_since = None
            return batch[at:] if at else batch
        if waiting > limit + self._burst:
            self.awaiting = True
            self._behind_since = now
            self._skip(batch, now)
            return None
        if self._burst and waiting <= limit // 2:
            self._burst = 0
        return batch

    def _skip(self, batch: Sequence[RtpFrame], now: float) -> None:
        if self._behind_since is None:
            return
        self._user.skipped(len(batch))
        patience = self._options.viewer_patience
        if now - self._behind_since > patience:
            self._user.lost(
                "too_slow", f"This viewer was too slow for the stream for {patience:g} s"
            )


class TcpCarrier:
    """Packets between the answers, one write for each picture.

    Args:
        transport: The connection.
        packets: Of the stream.
        ways: Channels of RTP and RTCP by track.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        packets: StreamPackets,
        ways: dict[int, tuple[int, int]],
        *,
        options: RtspOptions,
        user: CarrierUser,
    ) -> None:
        self.sent = 0
        self._transport = transport
        self._packets = packets
        self._ways = ways
        self._channels = tuple(
            ways[track][0] if track in ways else -1 for track in range(len(packets.tracks))
        )
        self._interval = options.report_interval
        self._report_at: float | None = None
        """When the next report is due; None: with the next packet."""
        self._backlog = _Backlog(packets, options, user)
        self._closed = False
        self._running = False

    @property
    def behind(self) -> bool:
        """Whether so much waits for the player that it begins with the next key frame only."""
        return self._transport.get_write_buffer_size() > self._backlog.limit

    def start(self, batch: Sequence[RtpFrame], now: float) -> None:
        """Report, then send what a player begins with; nothing if it is behind."""
        self._running = True
        self._report_at = None
        if self.behind:
            self._backlog.begun_behind(now)
            return
        waiting = self._transport.get_write_buffer_size()
        if batch:
            self._packets.note(batch, now)
            self._write_out(batch, now)
        burst = max(0, self._transport.get_write_buffer_size() - waiting)
        self._backlog.begun(burst, awaiting=not batch)

    def send(self, batch: Sequence[RtpFrame], now: float) -> None:
        """Send what goes out together, unless the player is behind."""
        if not self._running:
            return
        self._packets.note(batch, now)
        admitted = self._backlog.admit(batch, self._transport.get_write_buffer_size(), now)
        if admitted is not None and not self._closed:
            self._write_out(admitted, now)

    def tick(self, now: float) -> None:
        """Report when it is time."""
        if self._running and self._report_at is not None and now >= self._report_at:
            self._report(now)

    def stop(self) -> None:
        """Send nothing for the moment."""
        self._running = False

    def close(self, reason: str) -> None:
        """Say good-bye; idempotent."""
        if not self._closed and self._report_at is not None:
            for track, (_, channel) in self._ways.items():
                self._write(_framed(channel, self._packets.bye(track, reason)))
        self._closed = True
        self._running = False

    def _write_out(self, batch: Sequence[RtpFrame], now: float) -> None:
        if self._report_at is None:
            # Players put the tracks in step by reports: one is there before the first packet.
            self._report(now, self._packets.media_time(batch))
            self._report_at = now + min(SECOND_REPORT, self._interval)
        self._write(self._packets.interleaved(batch, self._channels))

    def _report(self, now: float, media_time: float | None = None) -> None:
        self._report_at = now + self._interval
        for track, (_, channel) in self._ways.items():
            self._write(_framed(channel, self._packets.report(track, media_time)))

    def _write(self, data: bytes) -> None:
        if data and not self._transport.is_closing():
            self.sent += len(data)
            self._transport.write(data)


class UdpCarrier:
    """Datagrams from leased ports to the host that the connection comes from, and to no other.

    Args:
        host: Of the player.
        packets: Of the stream.
        user: Told of what the player sends, and of its end.
    """

    def __init__(
        self, host: str, packets: StreamPackets, *, options: RtspOptions, user: CarrierUser
    ) -> None:
        self.sent = 0
        self._host = host
        self._packets = packets
        self._user = user
        self._ways: dict[int, tuple[PortLease, UdpRelay]] = {}
        self._interval = options.report_interval
        self._report_at: float | None = None
        """When the next report is due; None: with the next packet."""
        self._backlog = _Backlog(packets, options, user)
        self._queue: deque[tuple[UdpRelay, RelayForm]] = deque()
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._running = False

    def add(self, track: int, lease: PortLease, ports: tuple[int, int]) -> None:
        """Let a track go from a lease, which is this object's from now on, to the player's ports.

        Raises:
            OSError: there is no way to the player.
            NoSuchReceiver: its address cannot be one.
        """
        relay = UdpRelay(lease.rtp)
        try:
            relay.connect((self._host, ports[0]))
            lease.rtcp.connect((self._host, ports[1]))
        except BaseException:
            lease.release()
            raise
        self._ways[track] = (lease, relay)
        lease.poller.add(lease.rtcp, lambda: self._drain(lease))

    @property
    def tracks(self) -> list[int]:
        """The tracks that have a way."""
        return list(self._ways)

    @property
    def behind(self) -> bool:
        """Never: a pause throws away what waits."""
        return False

    def start(self, batch: Sequence[RtpFrame], now: float) -> None:
        """Report, then send what a player begins with."""
        self._running = True
        self._report_at = None
        if batch:
            self._packets.note(batch, now)
            self._queue_up(batch, now)
        self._backlog.begun(self._waiting, awaiting=not batch)

    def send(self, batch: Sequence[RtpFrame], now: float) -> None:
        """Send what goes out together, as fast as players take it."""
        if not self._running:
            return
        self._packets.note(batch, now)
        admitted = self._backlog.admit(batch, self._waiting, now)
        if admitted is not None and not self._closed:
            self._queue_up(admitted, now)

    def tick(self, now: float) -> None:
        """Report when it is time; give up a player whose host refuses."""
        if not self._running:
            return
        if any(relay.refused_for(now) > UNREACHABLE for _, relay in self._ways.values()):
            detail = f"The player's host has refused media for {UNREACHABLE:g} s"
            self._user.lost("unreachable", detail)
        elif self._report_at is not None and now >= self._report_at:
            self._report(now)

    def stop(self) -> None:
        """Send nothing for the moment."""
        self._running = False
        self._forget_queue()

    def close(self, reason: str) -> None:
        """Say good-bye and give the ports back; idempotent."""
        if self._closed:
            return
        if self._report_at is not None:
            for track, (lease, _) in self._ways.items():
                _send(lease, self._packets.bye(track, reason))
        self._closed = True
        self._running = False
        self._forget_queue()
        for lease, _ in self._ways.values():
            lease.poller.remove(lease.rtcp)
            lease.release()

    def _queue_up(self, batch: Sequence[RtpFrame], now: float) -> None:
        if self._report_at is None:
            self._report(now, self._packets.media_time(batch))
            self._report_at = now + min(SECOND_REPORT, self._interval)
        for track, (_, relay) in self._ways.items():
            for form in self._packets.datagrams(batch, track):
                self._queue.append((relay, form))
                self._waiting += len(form.data)
        if self._timer is None:
            self._pump()

    def _pump(self) -> None:
        self._timer = None
        room = PACE_BYTES
        while self._queue and room > 0:
            relay, form = self._queue.popleft()
            size = len(form.data)
            relay.send(form)
            self.sent += size
            self._waiting -= size
            room -= size
        if self._queue:
            self._timer = asyncio.get_running_loop().call_later(PACE_INTERVAL, self._pump)

    def _forget_queue(self) -> None:
        self._queue.clear()
        self._waiting = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _report(self, now: float, media_time: float | None = None) -> None:
        self._report_at = now + self._interval
        for track, (lease, _) in self._ways.items():
            _send(lease, self._packets.report(track, media_time))

    def _drain(self, lease: PortLease) -> None:
        for _ in range(RTCP_BATCH):
            try:
                data = lease.rtcp.recv(RTCP_SIZE)
            except OSError:
                # Nothing more, or the answer to a report that nobody took.
                return
            if is_rtcp(data):
                self._user.alive()


def _send(lease: PortLease, data: bytes) -> None:
    with contextlib.suppress(OSError):
        lease.rtcp.send(data)


def _framed(channel: int, data: bytes) -> bytes:
    return bytes((0x24, channel)) + len(data).to_bytes(2) + data
