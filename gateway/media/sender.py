"""One relay: a leased port, a way to the receiver, its own SSRC and sequence numbers."""

from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from gateway.domain.device import MediaTransport
from gateway.domain.media import SenderEvents, SenderInfo, SenderSpec
from gateway.media.link import Link, LinkOwner, UdpLink
from gateway.media.options import MediaOptions
from gateway.media.rate import RateMeter
from gateway.media.reports import RelayReports
from gateway.media.source import StreamSource
from gateway.media.tcp_link import ActiveLink, PassiveLink
from gb28181.aio.clock import utc_now
from gb28181.aio.ports import PortLease
from gb28181.rtp.packet import HEADER_SIZE
from gb28181.rtp.relay import RelayBatch, RelayStamp

__all__ = ["MediaSender"]

log = structlog.get_logger()

START_PATIENCE = 1.0
"""Seconds without a recognised start of a frame after which any packet will do to begin with."""


class MediaSender:
    """Sends a stream's packets to one receiver; implements `gateway.domain.media.Sender`.

    Begins with the next frame of a PS source, or the last key frame where PS is made here.

    Args:
        lease: The port; released by `close`.
        source: The stream; this counts as one of its viewers from `start` to `close`.
        sequence: Sequence number to begin with.
        local: Host to dial from; None if any will do.
        spawn: Starts a named task.
        on_closed: Called when closing begins.
    """

    def __init__(
        self,
        spec: SenderSpec,
        events: SenderEvents,
        lease: PortLease,
        source: StreamSource,
        *,
        sequence: int,
        local: str | None,
        options: MediaOptions,
        clock: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
        on_closed: Callable[["MediaSender"], None],
    ) -> None:
        self.spec = spec
        self.source = source
        self._events = events
        self._lease = lease
        self._options = options
        self._clock = clock
        self._on_closed = on_closed
        self._remote = spec.remote
        self._stamp = RelayStamp(ssrc=spec.ssrc, payload_type=spec.payload_type, offset=0)
        self._sequence = sequence
        self._reports = (
            RelayReports(spec.ssrc, interval=options.rtcp_interval, wall=utc_now)
            if spec.rtcp
            else None
        )
        self._rates = RateMeter()
        self._started = False
        self._joined = False
        self._flowing = False
        self._waiting_since: float | None = None
        self._told_first = False
        self._told_connected = False
        self._over = False
        """Nothing is sent any more: lost, or closed."""
        self._closed = False
        self._link = self._open_link(local, spawn)

    @property
    def port(self) -> int:
        """Local RTP port."""
        return self._lease.port

    def start(
        self, remote: tuple[str, int] | None = None, *, payload_type: int | None = None
    ) -> None:
        """Begin after the ACK; with another address or type also later."""
        if self._over:
            return
        changed = remote is not None and remote != self._remote
        self._remote = remote or self._remote
        if payload_type is not None:
            self._stamp.payload_type = payload_type
        if self._started and not changed:
            return
        if not self._started:
            self._started = True
            self.source.stream.relay_began()
        self._link.start(self._remote)

    def take(self, batch: RelayBatch) -> None:
        """Send a batch, from the start of a frame on if it is the first; implements `Relay`."""
        first = 0
        if not self._flowing:
            found = self._find_start(batch)
            if found is None:
                return
            first = found
        self._link.send(batch, self._stamp, first)
        if self._reports is not None:
            self._reports.note_sent(batch.timestamp, self._clock())
        if not self._told_first and self._link.packets:
            self._told_first = True
            self.source.stream.relay_sent()
            self._events.sender_first_packet()

    def fail(self, exc: Exception) -> None:
        """End this relay for a fault of the gateway's own; never raises."""
        if self._over:
            return
        self._lose(
            "relay_failed",
            f"The gateway failed on this relay ({type(exc).__name__}); its log says more",
        )
        log.error("relay_failed", sender=self.spec.sender_id, exc_info=exc)

    def end(self, detail: str) -> None:
        """The source is gone."""
        self._lose("source_ended", detail or "The source ended")

    def tick(self, now: float) -> None:
        """Do what time asks for; called about twice a second."""
        if self._over or not self._started:
            return
        link, reports = self._link, self._reports
        self._rates.mark(now, self._sent_bytes())
        link.tick(now)
        if reports is None or self._over:
            return
        data = reports.next_report(now, packets=link.packets, octets=link.octets)
        if data:
            link.send_report(data)
        timeout = self._options.relay_report_timeout
        if reports.last_report is not None and now - reports.last_report >= timeout:
            self._lose(
                "no_receiver_reports", f"No receiver report from {link.remote} for {timeout:g} s"
            )

    def info(self) -> SenderInfo:
        """Facts."""
        return SenderInfo(
            sender_id=self.spec.sender_id,
            stream_id=self.spec.stream_id,
            transport=self.spec.transport.value,
            remote=self._link.remote,
            ssrc=f"{self.spec.ssrc:010d}",
            packets=self._link.packets,
            bytes=self._sent_bytes(),
            dropped=self._link.dropped,
            remuxed=self._joined and self.source.fan.remuxed,
            bitrate_kbps=self._rates.kbps(),
        )

    async def close(self) -> None:
        """Stop sending and give the port back; idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self._leave()
        finally:
            self._lease.release()
            self._on_closed(self)

    def _open_link(
        self, local: str | None, spawn: Callable[[Coroutine[Any, Any, None], str], None]
    ) -> Link:
        spec, options = self.spec, self._options
        owner = LinkOwner(
            name=spec.sender_id,
            ready=self._ready,
            lost=self._lose,
            report=self._report,
            has_keyframes=self.source.fan.has_keyframes,
        )
        match spec.transport:
            case MediaTransport.UDP:
                return UdpLink(self._lease, owner, options, rtcp=spec.rtcp)
            case MediaTransport.TCP_PASSIVE:
                hosts = {spec.remote[0]} if spec.remote else set[str]()
                return PassiveLink(self._lease, owner, options, hosts | set(spec.hosts))
            case MediaTransport.TCP_ACTIVE:
                return ActiveLink(self._lease, owner, options, local=local, spawn=spawn)

    def _sent_bytes(self) -> int:
        return self._link.octets + HEADER_SIZE * self._link.packets

    def _ready(self) -> None:
        if self._over:
            return
        if self.spec.transport is not MediaTransport.UDP and not self._told_connected:
            self._told_connected = True
            self._events.sender_connected()
        # Another receiver, or the same after a break, begins with a frame as well.
        self._flowing = False
        self._waiting_since = None
        if not self._joined:
            self._joined = True
            self.source.fan.add(self)

    def _report(self, data: bytes) -> None:
        if self._reports is not None:
            self._reports.receive(data, self._clock())

    def _find_start(self, batch: RelayBatch) -> int | None:
        runs = batch.datagrams.runs
        first = next((number for number, run in enumerate(runs) if run.begins), None)
        if first is None:
            now = self._clock()
            if self._waiting_since is None:
                self._waiting_since = now
            if now - self._waiting_since < START_PATIENCE:
                return None
            first = 0
        if not self._told_first:
            self._stamp.offset = self._sequence - runs[first].sequence
        self._flowing = True
        return first

    def _lose(self, code: str, detail: str) -> None:
        if self._over:
            return
        self._leave()
        try:
            self._events.sender_lost(code, detail)
        except Exception:
            # A boundary: what the owner does wrong must not reach other relays.
            log.exception("relay_event_failed", sender=self.spec.sender_id)

    def _leave(self) -> None:
        if self._over:
            return
        self._over = True
        self.source.fan.remove(self)
        self._link.close()
        if self._started:
            self.source.stream.relay_ended()
