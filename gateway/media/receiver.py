"""One session's media: sockets, the SSRC gate, reordering, depacketizing, reports, watchdog."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, ParamSpec

import structlog

from gateway.domain.device import MediaTransport
from gateway.domain.media import MediaEvents, ReceiverSpec, StreamInfo
from gateway.domain.session import EndReason
from gateway.media.dialler import Dialler
from gateway.media.fan import RelayFan
from gateway.media.gate import Source, SsrcGate
from gateway.media.options import MediaOptions
from gateway.media.rate import RateMeter
from gateway.media.reports import ReceptionReports
from gateway.media.stream import LiveStream
from gb28181.aio.media_tcp import TcpMediaConnector, TcpMediaListener
from gb28181.aio.media_udp import UdpMedia, enlarge_buffer
from gb28181.aio.ports import PortLease
from gb28181.errors import RtpError
from gb28181.rtp.depacketizer import Depacketizer
from gb28181.rtp.packet import RtpPacket, is_rtcp
from gb28181.rtp.reorder import RtpReorderer

__all__ = ["MediaReceiver"]

log = structlog.get_logger()

P = ParamSpec("P")

PROBLEM_TICKS = 3
"""Ticks for which a stream must be unusable before its session is told."""
FIRST_RTCP_TYPE, LAST_RTCP_TYPE = 64, 95
"""RTCP looks like RTP with such a payload type (RFC 5761 4)."""


class MediaReceiver:
    """Receives one stream on a leased port; implements `gateway.domain.media.Receiver`.

    Args:
        lease: The port; released by `close`.
        stream: Gets the media units.
        spawn: Starts a named task.
        on_closed: Called when closing begins, with the reason in words.
    """

    def __init__(
        self,
        spec: ReceiverSpec,
        events: MediaEvents,
        lease: PortLease,
        stream: LiveStream,
        *,
        options: MediaOptions,
        clock: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
        on_closed: Callable[["MediaReceiver", str], None],
        receive_buffer: int,
    ) -> None:
        self.spec = spec
        self.stream_id = spec.stream_id
        self.stream = stream
        self._events = events
        self._lease = lease
        self._options = options
        self._clock = clock
        self._on_closed = on_closed
        self.fan = RelayFan(
            stream.hub,
            reliable=spec.transport is not MediaTransport.UDP,
            options=options,
            clock=clock,
            on_crash=self.fail,
        )
        """Where relays of this stream get its packets."""
        self._opened_at = clock()
        self._gate = SsrcGate(spec.ssrc, spec.device_host)
        self._reliable = spec.transport is not MediaTransport.UDP
        self._reorderer = RtpReorderer(options.reorder_packets, options.reorder_delay)
        self._payloads: Mapping[int, str] = {}
        self._depacketizer = Depacketizer(reliable=self._reliable)
        self._reports = ReceptionReports(
            (spec.ssrc + 1) & 0xFFFF_FFFF, interval=options.rtcp_interval
        )
        self._packets = 0
        self._bytes = 0
        self._garbage = 0
        self._last_packet: float | None = None
        self._problem_ticks = 0
        self._preempted = 0
        self._told_connected = False
        self._told_end = False
        self._failed = False
        self._end = (EndReason.STOPPED.value, "The stream was stopped")
        self._rates = RateMeter()
        self._udp: UdpMedia | None = None
        self._listener: TcpMediaListener | None = None
        self._dialler = Dialler(
            f"media:{spec.stream_id}",
            spawn=spawn,
            connected=lambda _: self._events.media_connected(),
            failed=self._connect_failed,
        )
        self._closed = False
        self._open(receive_buffer)

    @property
    def port(self) -> int:
        """Local RTP port."""
        return self._lease.port

    def answered(
        self, *, ssrc: int | None, remote: tuple[str, int] | None, payloads: Mapping[int, str]
    ) -> None:
        """Take over what the answer said; dial if TCP active."""
        now = self._clock()
        self._gate.answered(ssrc, remote[0] if remote else None, now)
        if payloads and not self.stream.hub.frames:
            self._payloads = dict(payloads)
            self._depacketizer = Depacketizer(payloads, reliable=self._reliable)
        self._release_held(now)
        active = self.spec.transport is MediaTransport.TCP_ACTIVE
        if active and remote is not None and self._dialler.connector is None and not self._closed:
            self._dialler.dial(
                TcpMediaConnector(
                    remote,
                    on_packets=self._guarded(self._on_packets),
                    on_closed=self._guarded(self._on_connection_closed),
                    ssrc=self.spec.ssrc if ssrc is None else ssrc,
                )
            )

    async def close(self, code: str = "", detail: str = "") -> None:
        """Stop receiving, end all viewers with this reason (or its own), give the port back; idempotent."""
        if code:
            self._end = (code, detail)
        if not self._closed:
            self._closed = True
            try:
                for part in (self._udp, self._listener, self._dialler):
                    if part is not None:
                        part.close()
            finally:
                self._lease.release()
                self._on_closed(self, self._end[1])
                self.fan.close()
        await self.stream.close(*self._end)

    def fail(self, exc: Exception) -> None:
        """End this stream for a fault of the gateway's own; never raises."""
        if self._failed or self._closed:
            return
        self._failed = True
        try:
            self._lose(
                f"The gateway failed on this stream ({type(exc).__name__}); its log says more"
            )
        except Exception:
            # A boundary: what the session does wrong must not reach other streams.
            log.exception("media_event_failed", stream=self.spec.stream_id)
        log.error("media_receiver_failed", stream=self.spec.stream_id, exc_info=exc)

    def tick(self, now: float) -> None:
        """Do what time asks for; called about twice a second."""
        if self._closed or self._failed:
            return
        self._release_held(now)
        self._note_foreign_connection(now)
        self._rates.mark(now, self._bytes, self.stream.hub.frames)
        self._deliver(self._reorderer.handle_timer(now), now)
        self.fan.tick(now)
        if self._last_packet is None or self._told_end:
            return
        if now - self._last_packet >= self._options.source_timeout:
            self._lose(f"No RTP packet for {self._options.source_timeout:g} s")
            return
        report = self._reports.next_report(now)
        if report:
            self._send_report(report)
        self._watch_problem()

    def info(self) -> StreamInfo:
        """Facts and counters of the stream."""
        stream, gate, counters = self.stream, self._gate, self._reorderer.counters
        fps = self._rates.fps()
        video = stream.video
        if video is not None and video.fps is None and fps:
            video = replace(video, fps=fps)
        return StreamInfo(
            stream_id=self.spec.stream_id,
            session_id=self.spec.session_id,
            video=video,
            audio=stream.audio,
            source="{}:{}".format(*gate.source) if gate.source else "",
            remark=self._gate.remark,
            payload=self._depacketizer.payload_kind,
            ssrc="" if gate.ssrc is None else f"{gate.ssrc:010d}",
            packets=self._packets,
            bytes=self._bytes,
            lost=counters.lost,
            reordered=counters.reordered,
            discarded=gate.discarded + self._garbage,
            bitrate_kbps=self._rates.kbps(),
            frames=stream.hub.frames,
            keyframes=stream.hub.keyframes,
            viewers=stream.viewers(),
            skipped=stream.skipped(),
            started_s=self._clock() - self._opened_at,
        )

    def _open(self, receive_buffer: int) -> None:
        if self.spec.transport is MediaTransport.UDP:
            self._udp = UdpMedia(
                self._lease,
                self._guarded(self._on_packets),
                on_rtcp=self._guarded(self._on_rtcp),
            )
            enlarge_buffer(self._lease.rtp, receive_buffer)
        elif self.spec.transport is MediaTransport.TCP_PASSIVE:
            self._listener = TcpMediaListener(
                self._lease,
                on_connected=self._guarded(self._on_connected),
                on_packets=self._guarded(self._on_packets),
                on_closed=self._guarded(self._on_candidate_closed),
                is_known=self._gate.knows,
                ssrc=self.spec.ssrc,
            )

    def _guarded(self, handler: Callable[P, None]) -> Callable[P, None]:
        """Wrap a socket's callback, so that what goes wrong in it ends this stream alone."""

        def call(*args: P.args, **kwargs: P.kwargs) -> None:
            if self._failed:
                return
            try:
                handler(*args, **kwargs)
            except Exception as exc:  # noqa: BLE001 - boundary between streams
                self.fail(exc)

        return call

    def _connect_failed(self, reason: str) -> None:
        self._told_end = True
        self._events.media_connect_failed(f"The device could not be connected to: {reason}")

    def _on_connected(self, source: Source) -> None:
        if self._gate.knows(source):
            self._tell_connected()
        else:
            log.warning(
                "media_connected_from_elsewhere",
                stream=self.spec.stream_id,
                source="{}:{}".format(*source),
            )

    def _tell_connected(self) -> None:
        if not self._told_connected:
            self._told_connected = True
            self._events.media_connected()

    def _note_foreign_connection(self, now: float) -> None:
        listener = self._listener
        if listener is None or self._told_connected or not listener.sources:
            return
        if self._gate.settled(now) or any(map(self._gate.knows, listener.sources)):
            self._tell_connected()

    def _on_connection_closed(self, reason: str) -> None:
        self._lose(f"The media connection was closed: {reason}")

    def _on_candidate_closed(self, reason: str, source: Source) -> None:
        gate, listener = self._gate, self._listener
        # Who has shown nothing may go without ado, and another may still be the device.
        ours = source == gate.source or gate.knows(source)
        if ours and listener is not None and not listener.sources:
            self._on_connection_closed(reason)

    def _on_packets(self, packets: list[bytes], source: Source) -> None:
        now = self._clock()
        gate, parse = self._gate, RtpPacket.parse
        reorder = self._reorderer.feed
        count_field = self._reports.stats.receive_fields
        ssrc = gate.ssrc if source == gate.source else None
        ready: list[RtpPacket] = []
        accepted = size = 0
        for data in packets:
            try:
                packet = parse(data)
            except RtpError:
                if is_rtcp(data):
                    self._on_rtcp(data, source)
                else:
                    self._garbage += 1
                continue
            if FIRST_RTCP_TYPE <= packet.payload_type <= LAST_RTCP_TYPE and packet.marker:
                self._on_rtcp(data, source)
                continue
            if packet.ssrc != ssrc:
                if not gate.accepts(packet.ssrc, source, data, now):
                    continue
                ssrc = packet.ssrc
                self._bound(source)
            accepted += 1
            size += len(data)
            count_field(packet.ssrc, packet.sequence, packet.timestamp, now)
            ready += reorder(packet, now)
        self._deliver(ready, now)
        if accepted:
            self._packets += accepted
            self._bytes += size
            self._last_packet = now
            gate.touch(now)

    def _deliver(self, packets: list[RtpPacket], now: float) -> None:
        """Hand on what is in order."""
        depacketize, feed = self._depacketizer.feed, self.stream.feed
        for packet in packets:
            units = depacketize(packet)
            if units:
                feed(units, now)
        if packets and self.fan.active:
            self.fan.receive(packets, self._depacketizer)

    def _bound(self, source: Source) -> None:
        gate = self._gate
        first = self._last_packet is None
        if self._udp is not None:
            self._udp.follow(source)
        if self._listener is not None:
            self._tell_connected()
            self._listener.choose(source, final=gate.locked)
        gate.drop_candidates()
        preempted = gate.preempted != self._preempted
        if preempted:
            self._preempted = gate.preempted
            self._start_over()
        if not (first or preempted):
            return
        self._last_packet = self._clock()
        assert gate.ssrc is not None
        if gate.foreign or preempted:
            log.warning(
                "media_source_replaced" if preempted else "media_came_from_elsewhere",
                stream=self.spec.stream_id,
                source="{}:{}".format(*source),
                ssrc=f"{gate.ssrc:010d}",
            )
        self._events.media_first_packet(gate.ssrc, "{}:{}".format(*source))

    def _start_over(self) -> None:
        """Forget what another sender left."""
        self._reorderer.flush()
        self._depacketizer = Depacketizer(self._payloads, reliable=self._reliable)
        self._problem_ticks = 0
        self.stream.hub.interrupt()
        self.fan.restart()

    def _release_held(self, now: float) -> None:
        released = self._gate.release(now)
        if released is not None:
            source, packets = released
            self._bound(source)
            self._on_packets(packets, source)

    def _on_rtcp(self, data: bytes, source: Source) -> None:
        if self._gate.source is None or source[0] != self._gate.source[0]:
            return
        try:
            self._reports.receive(data, self._gate.ssrc, self._clock())
        except RtpError:
            self._garbage += 1

    def _send_report(self, data: bytes) -> None:
        if self._udp is not None:
            self._udp.send_rtcp(data)
            return
        carrier = self._listener if self._listener is not None else self._dialler.connector
        if carrier is not None and carrier.connection is not None:
            carrier.connection.send([data])

    def _watch_problem(self) -> None:
        # A relay passes on what is in a program stream, whatever that is.
        fine = self.stream.hub.frames or (self._depacketizer.is_ps and self.fan.passing)
        problem = None if fine else self._depacketizer.problem
        self._problem_ticks = 0 if problem is None else self._problem_ticks + 1
        if problem is not None and self._problem_ticks >= PROBLEM_TICKS:
            self._told_end = True
            self._end = (EndReason.CODEC_UNSUPPORTED.value, problem)
            self._events.media_unsupported(problem)

    def _lose(self, detail: str) -> None:
        if not self._told_end and not self._closed:
            self._told_end = True
            remark = self._gate.remark
            detail = f"{detail}. {remark}" if remark else detail
            self._end = (EndReason.SOURCE_LOST.value, detail)
            self._events.media_lost(detail)
