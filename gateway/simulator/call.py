"""A simulated device as the callee of INVITEs."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine

from gateway.simulator.encoder import EncoderPool
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.pan_tilt import PanTilt
from gateway.simulator.quirk import Quirk
from gateway.simulator.roster import Roster
from gateway.simulator.scene import SimulatedChannel
from gateway.simulator.session import DeviceSession, stream_of
from gb28181.aio.client import InviteDialog
from gb28181.aio.driver import IncomingRequest, SipDriver
from gb28181.aio.errors import CallCancelled
from gb28181.errors import SdpError
from gb28181.sdp.offer import LiveOffer, read_offer
from gb28181.sip.build import build_response
from gb28181.sip.serializer import serialize
from gb28181.sip.uri import user_of

__all__ = ["DeviceCalls"]

_MAX_OWN_SSRC = 200_000_000


class DeviceCalls:
    """Answers INVITEs and owns the sessions, one for a channel's stream at most.

    Args:
        options: Behaviour.
        roster: What can be watched.
        pool: Encoders.
        local_host: Address of the media.
        new_random: Gives a random number from a range.
        spawn: Starts a task of the device.
        tell: Reports what happens.
        view: Gives the motor of a channel's camera; None if it never moved.
    """

    def __init__(
        self,
        options: SimulatorOptions,
        roster: Roster,
        *,
        pool: EncoderPool,
        local_host: str,
        new_random: Callable[[int, int], int],
        spawn: Callable[[Coroutine[object, object, None], str], None],
        tell: Callable[[str, str], None],
        view: Callable[[str], PanTilt | None] = lambda _: None,
    ) -> None:
        self.sessions: dict[str, DeviceSession] = {}
        """Running sessions by channel id; that of a sub stream by id and `/1`."""
        self.invites_received = 0
        """INVITEs that came, refused ones included."""
        self.driver: SipDriver | None = None
        self._options = options
        self._roster = roster
        self._view = view
        self._pool = pool
        self._local_host = local_host
        self._new_random = new_random
        self._spawn = spawn
        self._tell = tell
        self._packets_of_ended = 0
        self._session_ended = asyncio.Event()

    @property
    def sent_packets(self) -> int:
        """RTP packets sent since the start."""
        running = sum(session.counters.packets for session in self.sessions.values())
        return self._packets_of_ended + running

    def end_all(self, reason: str) -> None:
        """End all sessions; `wait_idle` waits until that is done."""
        for session in self.sessions.values():
            session.end(reason)

    def vanish(self, reason: str) -> None:
        """End all sessions without a BYE, as when the power goes."""
        for session in self.sessions.values():
            session.vanish(reason)

    def of_channel(self, channel_id: str) -> list[DeviceSession]:
        """Return the sessions of a channel, main and sub stream."""
        return [item for item in self.sessions.values() if item.channel.channel_id == channel_id]

    async def wait_idle(self) -> None:
        """Return once no session is left."""
        while self.sessions:
            self._session_ended.clear()
            await self._session_ended.wait()

    def receive_invite(self, incoming: IncomingRequest) -> None:
        """Refuse, or start to serve."""
        self.invites_received += 1
        channel = self._channel_of(incoming)
        if channel is None or not channel.reachable or self._is_full():
            incoming.respond(404 if channel is None else 486 if channel.reachable else 480)
            return
        options = self._options
        try:
            offer = _live_offer(incoming.request.body)
        except SdpError as error:
            incoming.respond(error.status)
            return
        key = _key(channel, stream_of(options, offer))
        if key in self.sessions:
            incoming.respond(486)
            return
        incoming.respond(100)
        if options.has(Quirk.ANSWER_4XX) or options.has(Quirk.ANSWER_5XX):
            incoming.respond(options.refuse_status if options.has(Quirk.ANSWER_4XX) else 500)
            return
        self._tell("invited", f"{channel.channel_id}, {offer.transport} {offer.host}:{offer.port}")
        if not options.has(Quirk.NEVER_ANSWER_INVITE):
            self._start(incoming, channel, offer)

    def _channel_of(self, incoming: IncomingRequest) -> SimulatedChannel | None:
        request = incoming.request
        for user in (user_of(request.uri), request.to.user):
            channel = self._roster.find(user or "")
            if channel is not None and channel.is_camera:
                return channel
        return None

    def _is_full(self) -> bool:
        return 0 < self._options.max_sessions <= len(self.sessions)

    def _start(
        self, incoming: IncomingRequest, channel: SimulatedChannel, offer: LiveOffer
    ) -> None:
        session = DeviceSession(
            channel,
            offer,
            options=self._options,
            pool=self._pool,
            local_host=self._local_host,
            own_ssrc=self._new_random(1, _MAX_OWN_SSRC),
            view=self._view(channel.channel_id),
        )
        self.sessions[_key(session.channel, session.stream)] = session
        self._spawn(self._serve(incoming, session), f"session:{channel.channel_id}")

    async def _serve(self, incoming: IncomingRequest, session: DeviceSession) -> None:
        cancelled = asyncio.Event()
        incoming.on_cancel = cancelled.set
        try:
            sdp = await session.answer()
            if self._options.has(Quirk.SLOW_ANSWER):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._options.answer_delay):
                        await cancelled.wait()
            dialog = incoming.accept_invite(sdp)
            dialog.on_bye = session.receive_bye
            if self._options.has(Quirk.DOUBLE_200):
                self._repeat_200(incoming, dialog, sdp)
            self._tell("session_started", session.channel.channel_id)
            await session.run(dialog)
        except CallCancelled:
            session.end("INVITE cancelled")
        except OSError as error:
            incoming.respond(500)
            session.end(f"no media socket: {error}")
        finally:
            await session.close()
            self._forget(session)
        await session.hang_up()

    def _forget(self, session: DeviceSession) -> None:
        sent = session.counters
        self._packets_of_ended += sent.packets
        del self.sessions[_key(session.channel, session.stream)]
        self._session_ended.set()
        why = session.end_reason or "cancelled"
        self._tell(
            "session_ended",
            f"{session.channel.channel_id}: {why}, {sent.packets} packets, {sent.frames} frames",
        )

    def _repeat_200(self, incoming: IncomingRequest, dialog: InviteDialog, sdp: bytes) -> None:
        assert self.driver is not None
        endpoint = self.driver.endpoint
        answer = build_response(
            incoming.request,
            200,
            to_tag=dialog._session.dialog.local_tag,  # noqa: SLF001 - a deliberate repetition
            headers=[("Contact", endpoint.user_agent.contact(incoming.flow, None))],
            body=sdp,
            content_type="application/sdp",
        )
        endpoint.transactions.send_stateless(serialize(answer), incoming.flow)
        self.driver.transmit()


def _key(channel: SimulatedChannel, stream: int) -> str:
    return f"{channel.channel_id}/{stream}" if stream else channel.channel_id


def _live_offer(body: bytes) -> LiveOffer:
    if not body.strip():
        # Third-party control, where the offer would be ours.
        raise SdpError("an INVITE without an offer is not served", status=488)
    offer = read_offer(body)
    if offer.name.strip().lower() != "play":
        raise SdpError("there are no recordings in here", status=488)
    return offer
