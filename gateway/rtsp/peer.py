"""One RTSP connection with its socket: carries out what the connection's state asks for."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never, cast

import structlog

from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.rtp_out import RtpFrame
from gateway.rtsp.address import StreamAddress
from gateway.rtsp.carrier import Carrier, TcpCarrier, UdpCarrier
from gateway.rtsp.connection import RtspConnection
from gateway.rtsp.description import describe
from gateway.rtsp.event import (
    Event,
    Feedback,
    OpenStream,
    PausePlaying,
    Release,
    SetUpTrack,
    StartPlaying,
)
from gateway.rtsp.limits import MAX_PENDING_RESPONSES
from gateway.rtsp.message import refusal
from gateway.rtsp.opener import OpenRefused, StreamOpener
from gateway.rtsp.options import RtspOptions
from gateway.rtsp.packets import PacketBook, StreamPackets
from gateway.rtsp.status import refusal_of
from gateway.rtsp.watch import Watch
from gb28181.aio.ports import PortPool, PortsExhausted
from gb28181.aio.tasks import TaskScope
from gb28181.errors import Gb28181Error

__all__ = ["PeerNeeds", "RtspPeer"]

log = structlog.get_logger()

CLOSE_PATIENCE = 3.0
"""Seconds a player gets to take its last bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerNeeds:
    """What all connections share."""

    opener: StreamOpener
    packets: PacketBook
    ports: PortPool | None
    """For UDP; None: TCP only."""
    scope: TaskScope
    options: RtspOptions
    clock: Callable[[], float]
    new_id: Callable[[], str]
    admitted: Callable[["RtspPeer"], bool]
    """Asked once, whether there is room for a connection."""
    gone: Callable[["RtspPeer"], None]


class _Player:
    """A stream that is set up for one player."""

    def __init__(self, watch: Watch, packets: StreamPackets, address: StreamAddress) -> None:
        self.watch = watch
        self.packets = packets
        self.address = address
        self.channels: dict[int, tuple[int, int]] = {}
        self.udp: UdpCarrier | None = None
        self.carrier: Carrier | None = None


class RtspPeer(asyncio.Protocol):
    """One connection; made by the server's listener.

    Args:
        needs: What it works with.
        number: Its number.
    """

    def __init__(self, needs: PeerNeeds, number: int) -> None:
        self.host = ""
        """Where it comes from."""
        self._needs = needs
        self._number = number
        self._transport: asyncio.Transport | None = None
        self._core: RtspConnection | None = None
        self._player: _Player | None = None
        self._opening: asyncio.Task[object] | None = None
        self._lost = False
        self._abort_at: float | None = None
        self._unread = 0
        """Bytes of answers that may still wait; more than really do, when media waits with them."""

    # The transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if there is room."""
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self.host = str(name[0]) if name else ""
        if not self._needs.admitted(self):
            self._write(
                refusal(503, "too_many_connections", "Too many connections").serialize(None)
            )
            self._close()
            return
        now = self._needs.clock()
        udp = self._needs.ports is not None
        self._core = RtspConnection(now=now, udp=udp, new_id=self._needs.new_id)

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        if self._core is not None and not self._lost:
            self._core.receive(data, self._needs.clock())
            self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back."""
        self._lost = True
        if self._opening is not None:
            self._opening.cancel()
        self._release("viewer_left", "")
        self._needs.gone(self)

    # The server tells

    def tick(self, now: float) -> None:
        """Look at the deadlines."""
        transport, core = self._transport, self._core
        if transport is None or self._lost:
            return
        if self._abort_at is not None:
            if now >= self._abort_at:
                transport.abort()
            return
        if self._player is not None and self._player.carrier is not None:
            self._player.carrier.tick(now)
        if core is not None and now >= core.next_timer():
            core.handle_timer(now)
            self._pump()

    def close(self, code: str, detail: str) -> None:
        """End what is watched, say good-bye and close the connection."""
        self._release(code, detail)
        self._close()

    def abort(self) -> None:
        """Close the connection without waiting for the player."""
        if self._transport is not None:
            self._transport.abort()

    # What the state asks for

    def _pump(self) -> None:
        core = self._core
        assert core is not None
        while events := core.take_events():
            for event in events:
                self._carry_out(core, event)
        self._flush(core)
        if core.hang_up:
            self.close("viewer_left", "")

    def _flush(self, core: RtspConnection) -> None:
        """Send the answers; hang up on a peer that asks and does not read.

        Media that waits for a player has its own rule (`carrier`), also while it pauses: only answers count then.
        """
        data = core.data_to_send()
        transport = self._transport
        if transport is None:
            return
        self._unread = min(self._unread, transport.get_write_buffer_size()) + len(data)
        if data:
            self._write(data)
        waiting = transport.get_write_buffer_size()
        pending = waiting if self._player is None else min(self._unread, waiting)
        if pending > MAX_PENDING_RESPONSES:
            transport.abort()

    def _carry_out(self, core: RtspConnection, event: Event) -> None:
        match event:
            case OpenStream():
                self._needs.scope.spawn(self._open(core, event), name=f"rtsp:{self._number}")
            case SetUpTrack():
                self._set_up(core, event)
            case StartPlaying():
                self._play(core)
            case PausePlaying():
                if self._player is not None:
                    self._player.watch.pause()
            case Release(code, detail):
                self._release(code, detail)
            case Feedback():
                # A sign of life, noted already.
                pass
            case _:
                assert_never(event)

    async def _open(self, core: RtspConnection, event: OpenStream) -> None:
        if self._lost:
            return
        self._opening = asyncio.current_task()
        try:
            watch = await self._needs.opener.open(
                event, source=self.host, connection=self._number, on_end=self._ended
            )
            self._opened(core, event, watch)
        except OpenRefused as exc:
            core.refuse(exc.response, self._needs.clock())
        except Exception as exc:
            # A boundary between connections: this one would wait for ever, without a deadline.
            log.exception("rtsp_open_failed", source=self.host)
            core.hang_up = True
            detail = f"The gateway failed on this ({type(exc).__name__})"
            core.refuse(refusal(500, "internal_error", detail), self._needs.clock())
        finally:
            self._opening = None
        self._pump()

    def _opened(self, core: RtspConnection, event: OpenStream, watch: Watch) -> None:
        try:
            packets = self._needs.packets.take(watch.tracks)
        except BaseException:
            watch.release("internal_error", "The stream's packets could not be made")
            raise
        self._player = _Player(watch, packets, event.address)
        sdp = describe(watch.tracks, name=event.address.channel_id, number=packets.ssrcs[0])
        core.opened(sdp, len(watch.tracks), self._needs.clock())

    def _set_up(self, core: RtspConnection, event: SetUpTrack) -> None:
        player, now = self._player, self._needs.clock()
        if player is None:
            core.refuse(refusal(454, "session_unknown", "The stream is over"), now)
            return
        ssrc = f"ssrc={player.packets.ssrcs[event.track]:08X}"
        pair = event.choice.pair
        assert pair is not None
        if event.choice.tcp:
            player.channels[event.track] = pair
            core.set_up(ssrc, now)
            return
        try:
            port = self._lease(player, event.track, pair)
        except GatewayError as exc:
            core.refuse(refusal_of(exc, exc.detail), now)
        else:
            core.set_up(f"server_port={port}-{port + 1};{ssrc}", now)

    def _lease(self, player: _Player, track: int, pair: tuple[int, int]) -> int:
        pool = self._needs.ports
        assert pool is not None
        try:
            lease = pool.lease()
        except PortsExhausted as exc:
            raise Unavailable("rtp_ports_exhausted", "No port is free for RTP over UDP") from exc
        if player.udp is None:
            player.udp = UdpCarrier(
                self.host, player.packets, options=self._needs.options, user=self._user(player)
            )
        try:
            player.udp.add(track, lease, pair)
        except (OSError, Gb28181Error) as exc:
            raise Unavailable("unreachable", f"Media cannot be sent to {self.host}") from exc
        return lease.port

    def _play(self, core: RtspConnection) -> None:
        player, transport = self._player, self._transport
        if player is None or transport is None:
            detail = "The stream is over"
            core.refuse(refusal(454, "session_unknown", detail), self._needs.clock())
            return
        watch = player.watch
        again = watch.playing
        carrier = player.carrier
        if carrier is None:
            carrier = player.udp or TcpCarrier(
                transport,
                player.packets,
                player.channels,
                options=self._needs.options,
                user=self._user(player),
            )
            player.carrier = carrier
        later = again or player.address.from_next or carrier.behind
        frames = () if later else watch.first_frames()
        core.playing(self._rtp_info(player, frames) if frames else "", self._needs.clock())
        self._flush(core)
        if not again:
            watch.play(carrier, frames)
            log.debug("rtsp_playing", source=self.host, transport="udp" if player.udp else "tcp")

    @staticmethod
    def _rtp_info(player: _Player, frames: Sequence[RtpFrame]) -> str:
        tracks = player.udp.tracks if player.udp is not None else player.channels
        return ",".join(
            f"url={player.address.base}trackID={track};{player.packets.rtp_info(frames, track)}"
            for track in sorted(tracks)
        )

    def _user(self, player: _Player) -> "_CarrierUser":
        return _CarrierUser(player.watch, self._alive)

    def _alive(self) -> None:
        if self._core is not None:
            self._core.alive(self._needs.clock())

    def _ended(self, code: str, detail: str) -> None:
        """The stream is over for this player."""
        # Not at once: it may be the stream's own loop over its viewers that says so.
        asyncio.get_running_loop().call_soon(self.close, code, detail)

    def _release(self, code: str, detail: str) -> None:
        player, self._player = self._player, None
        if player is None:
            return
        if player.carrier is not None:
            player.carrier.close(code)
        elif player.udp is not None:
            player.udp.close(code)
        player.watch.release(code, detail)
        self._needs.packets.give_back(player.packets)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None and self._abort_at is None:
            self._abort_at = self._needs.clock() + CLOSE_PATIENCE
            self._transport.close()


class _CarrierUser:
    """Tells the watch and the connection what happens on the way."""

    def __init__(self, watch: Watch, alive: Callable[[], None]) -> None:
        self._watch = watch
        self.alive = alive

    def skipped(self, frames: int) -> None:
        self._watch.skipped(frames)

    def lost(self, code: str, detail: str) -> None:
        self._watch.lost(code, detail)
