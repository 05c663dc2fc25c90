"""One answered INVITE of a simulated device: opens the media path, sends, reports, ends."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from gateway.simulator.encoder import EncoderPool
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.outgoing import MediaSink, OutgoingMedia, SendCounters, payload_type_of
from gateway.simulator.pan_tilt import PanTilt
from gateway.simulator.quirk import Quirk
from gateway.simulator.scene import SimulatedChannel
from gateway.simulator.sink import TcpDialer, TcpListener, TcpSink, UdpSink
from gb28181.aio.client import InviteDialog
from gb28181.aio.clock import monotonic
from gb28181.sdp.offer import LiveOffer
from gb28181.sdp.transport import Transport

__all__ = ["DeviceSession", "stream_of"]

_REPORT_INTERVAL = 5.0
_LISTEN_TIMEOUT = 10.0
"""Seconds for a receiver that connects to us."""


class DeviceSession:
    """A running session; the device owns it and `run` is its one task.

    Args:
        channel: The channel that is watched.
        offer: What the receiver offered.
        options: Stream and quirks.
        pool: Encoders.
        local_host: Address to send from and to answer.
        own_ssrc: SSRC that the device would choose itself.
        view: Motor of the channel's camera, if it has moved before.
    """

    def __init__(
        self,
        channel: SimulatedChannel,
        offer: LiveOffer,
        *,
        options: SimulatorOptions,
        pool: EncoderPool,
        local_host: str,
        own_ssrc: int,
        view: PanTilt | None = None,
    ) -> None:
        self.channel = channel
        self.offer = offer
        self.stream = stream_of(options, offer)
        self.dialog: InviteDialog | None = None
        self.end_reason = ""
        self._options = options
        self._local_host = local_host
        self._ended = asyncio.Event()
        self._connected = asyncio.Event()
        self._bye_received = False
        self._timers: list[asyncio.TimerHandle] = []
        self._own_ssrc = own_ssrc
        chooses = options.has(Quirk.OWN_SSRC) or offer.ssrc is None
        self.answered_ssrc = own_ssrc if chooses else int(offer.ssrc or 0)
        other = options.has(Quirk.OTHER_SSRC_IN_RTP)
        self._sink, self._dialer, self._listener = self._open_path()
        spec = options.stream_spec(channel.channel_id, sub=self.stream > 0)
        self.media = OutgoingMedia(
            spec if view is None else replace(spec, view=channel.channel_id),
            pool=pool,
            sink=self._sink,
            ssrc=(self.answered_ssrc ^ 0x5A5A) if other else self.answered_ssrc,
            quirks=options.quirks,
            mtu=options.mtu,
            seed=own_ssrc,
            view=view,
        )

    @property
    def counters(self) -> SendCounters:
        """What was sent so far."""
        return self.media.counters

    async def answer(self) -> bytes:
        """Bind the media sockets and return the SDP to answer with.

        Raises:
            OSError: no socket could be opened.
        """
        port = await self._bind()
        options = self._options
        if options.has(Quirk.ANSWER_WITHOUT_SDP):
            return b""
        sdp = self.offer.answer(
            owner_id=self.channel.channel_id,
            host=self._local_host,
            port=port,
            payload_type=payload_type_of(options.video, options.quirks),
            ssrc=self.answered_ssrc,
        )
        if options.has(Quirk.ANSWER_PORT_ZERO):
            sdp = sdp.replace(b"m=video %d " % port, b"m=video 0 ")
        if options.has(Quirk.NO_Y):
            sdp = b"".join(
                line for line in sdp.splitlines(keepends=True) if not line.startswith(b"y=")
            )
        return sdp

    async def run(self, dialog: InviteDialog) -> None:
        """Send until somebody ends the session; `end_reason` then says who, `hang_up` must follow."""
        self.dialog = dialog
        try:
            await self._connect()
            self.media.start()
            self._plan()
            await self._ended.wait()
        except OSError as error:
            self.end(f"media connection failed: {error}")
        finally:
            await self.close()

    async def hang_up(self) -> None:
        """Send the BYE, unless one was received."""
        if self.dialog is not None and not self._bye_received:
            await self.dialog.bye()

    def receive_bye(self) -> None:
        """The receiver hung up."""
        self._bye_received = True
        if self._options.has(Quirk.LOST_BYE):
            self._later(self._options.ghost_time, lambda: self.end("BYE lost, session cleaned up"))
        else:
            self.end("BYE received")

    def vanish(self, reason: str) -> None:
        """End without a BYE, as when the power goes."""
        self._bye_received = True
        self.end(reason)

    def end(self, reason: str) -> None:
        """Let `run` come to its end; the first reason counts."""
        self.end_reason = self.end_reason or reason
        self._ended.set()

    async def close(self) -> None:
        """Stop sending and give up the sockets; idempotent."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.media.stop()
        if self._listener is not None:
            self._listener.close()
        if self._dialer is not None:
            self._dialer.close()
        await self._sink.close()

    def _open_path(self) -> "tuple[MediaSink, TcpDialer | None, TcpListener | None]":
        offer = self.offer
        if offer.transport is Transport.UDP:
            sink = UdpSink(
                (offer.host, offer.port),
                self._local_host,
                segmentation=self._options.segmentation,
            )
            return sink, None, None
        tcp = TcpSink(
            quirks=self._options.quirks,
            on_connected=self._connected.set,
            on_closed=self._receiver_closed,
        )
        if offer.transport is Transport.TCP_PASSIVE:
            return tcp, TcpDialer(tcp, (offer.host, offer.port), self._local_host), None
        return tcp, None, TcpListener(tcp, self._local_host)

    def _receiver_closed(self, reason: str) -> None:
        self.end(f"media connection lost: {reason}")

    async def _bind(self) -> int:
        if isinstance(self._sink, UdpSink):
            return self._sink.bind()
        if self._listener is not None:
            return await self._listener.listen()
        assert self._dialer is not None
        return self._dialer.bind()

    async def _connect(self) -> None:
        if self._dialer is not None:
            await self._dialer.connect()
        elif self._listener is not None:
            async with asyncio.timeout(_LISTEN_TIMEOUT):
                await self._connected.wait()

    def _plan(self) -> None:
        options = self._options
        self._later(_REPORT_INTERVAL, self._report)
        if options.has(Quirk.BYE_MIDSTREAM):
            self._later(options.bye_after, lambda: self.end("ended by the device"))
        if options.has(Quirk.DROP_MEDIA):
            self._later(options.drop_after, self._drop)
        if options.has(Quirk.CODEC_CHANGE_MIDSTREAM):
            self._later(options.codec_change_after, self.media.change_codec)

    def _later(self, delay: float, action: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(delay, action))

    def _report(self) -> None:
        self._timers = [timer for timer in self._timers if timer.when() > monotonic()]
        self._later(_REPORT_INTERVAL, self._report)
        if self.counters.packets and self.media.running:
            self._sink.send_rtcp(self.media.sender_report())

    def _drop(self) -> None:
        self.media.stop()
        self._sink.abandon()


def stream_of(options: SimulatorOptions, offer: LiveOffer) -> int:
    """Return the stream a device sends on an offer: 0 main, 1 sub where it has one."""
    return 1 if offer.streamnumber and options.has_sub_stream else 0
