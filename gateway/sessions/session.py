"""One live session: one INVITE, one receiver, however many viewers.

The session is an actor: `run` is its only task and owns the dialog, the receiver and the SSRC.
Callbacks from media and signalling only write facts into the record and wake it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from gateway.domain.device import Device, MediaTransport
from gateway.domain.errors import GatewayError, SessionFailed
from gateway.domain.media import MediaPlane, Receiver, ReceiverSpec
from gateway.domain.session import Ended, EndReason, SessionRecord, SessionState, Stage
from gateway.domain.signalling import InviteFailed, MediaDialog, Origin, Signaller
from gateway.sessions.ports import SessionSettings
from gb28181.errors import SdpError
from gb28181.flow.subject import build_subject
from gb28181.sdp.answer import LiveAnswer, read_answer
from gb28181.sdp.offer import build_live_offer

__all__ = ["LiveSession"]

_INTERNAL = Ended(
    EndReason.INTERNAL_ERROR, "The session failed inside the gateway; its log says more"
)


class LiveSession:
    """Brings one channel's stream here and keeps it while somebody watches.

    Args:
        record: The diagnosis, filled in as things happen.
        device: Where to send the INVITE.
        ssrc: SSRC leased for this session; the caller takes it back.
        now: Monotonic clock in seconds.
        origin: Who asked first, for a lower platform.
    """

    def __init__(
        self,
        record: SessionRecord,
        device: Device,
        *,
        ssrc: int,
        signaller: Signaller,
        media: MediaPlane,
        settings: SessionSettings,
        now: Callable[[], float],
        origin: Origin | None = None,
    ) -> None:
        self._origin = origin
        self.record = record
        self.device = device
        self.ssrc = ssrc
        self._signaller = signaller
        self._media = media
        self._settings = settings
        self._now = now
        self._began = now()
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._finished = asyncio.Event()
        self._ending: Ended | None = None
        self._receiver: Receiver | None = None
        self._dialog: MediaDialog | None = None
        self.claims = 0
        """Askers between their request and their answer."""
        self._idle_since: float | None = None
        self._answered_at = 0.0
        self._first_packet_at: float | None = None
        self._reach(Stage.REQUESTED)

    # What others may ask of it

    async def established(self) -> None:
        """Wait until the INVITE is answered usably.

        Raises:
            SessionFailed: it ended first.
        """
        await self._settled.wait()
        ended = self.record.ended or self._ending
        if ended is not None:
            raise SessionFailed(self.record.session_id, ended)

    async def finished(self) -> None:
        """Wait until everything it held is given back."""
        await self._finished.wait()

    def finish(self, reason: EndReason, detail: str, sip_status: int | None = None) -> None:
        """Begin to end; the first reason stays."""
        if self._ending is None:
            self._ending = Ended(reason, detail, sip_status)
        self._wake.set()

    @property
    def ending(self) -> bool:
        """Whether it is on its way out and must not be joined."""
        return self._ending is not None

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold it for somebody who is about to attach."""
        self.claims += 1
        try:
            yield
        finally:
            self.claims -= 1

    @property
    def idle_since(self) -> float | None:
        """Monotonic second since which nobody watches; None while somebody does, or before the answer."""
        return self._idle_since

    # Its one task

    async def run(self) -> None:
        """Live through all states; never raises for what a peer does."""
        try:
            await self._establish()
            self._settled.set()
            await self._supervise()
        except GatewayError as exc:
            self.finish(_reason_of(exc), exc.detail)
        except asyncio.CancelledError:
            self.finish(EndReason.SHUTDOWN, "The gateway is stopping")
            raise
        finally:
            self.record.state = SessionState.CLOSING
            self._settled.set()
            try:
                await self._release()
            finally:
                self._conclude()

    async def _establish(self) -> None:
        record = self.record
        record.state = SessionState.INVITING
        spec = ReceiverSpec(
            stream_id=record.stream_id,
            session_id=record.session_id,
            transport=MediaTransport(record.transport),
            ssrc=self.ssrc,
            device_host=self.device.address.host if self.device.address else "",
        )
        self._receiver = await self._media.open_receiver(spec, self)
        self._reach(Stage.PORT_LEASED)
        if self._ending is not None:
            return
        offer = build_live_offer(
            owner_id=self._settings.platform_id,
            host=self._signaller.local_host(self.device),
            port=self._receiver.port,
            transport=record.transport,
            ssrc=self.ssrc,
            gb_version=self.device.gb_version,
            # A line that older devices do not know they ignore (protocol 5.11).
            streamnumber=record.stream if record.stream or _is_2022(self.device) else None,
        )
        await self._invite(offer)
        if self._dialog is not None and self._ending is None:
            self._take_answer(self._dialog.answer.sdp)

    async def _invite(self, offer: bytes) -> None:
        """INVITE, unless something ends the session meanwhile; then the INVITE is cancelled."""
        woken = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            invite = group.create_task(self._call(offer), name=f"invite:{self.record.session_id}")
            invite.add_done_callback(lambda _: woken.set())
            ender = group.create_task(
                self._until_ending(woken), name=f"invite-guard:{self.record.session_id}"
            )
            await woken.wait()
            ender.cancel()
            if self._ending is not None:
                invite.cancel()

    async def _until_ending(self, woken: asyncio.Event) -> None:
        while self._ending is None:
            await self._wake.wait()
            self._wake.clear()
        woken.set()

    async def _call(self, offer: bytes) -> None:
        record = self.record
        self._reach(Stage.INVITED)
        try:
            self._dialog = await self._signaller.invite(
                self.device,
                record.channel_id,
                offer,
                subject=build_subject(record.channel_id, self.ssrc, self._settings.platform_id),
                timeout=self._settings.invite_timeout,
                on_trying=lambda: self._reach(Stage.TRYING),
                on_bye=self._device_said_bye,
                origin=self._origin,
            )
        except InviteFailed as exc:
            self.finish(_invite_reason(exc), exc.detail, exc.status)
            return
        except GatewayError as exc:
            # It went offline between the look at it and the INVITE.
            self.finish(_reason_of(exc), exc.detail)
            return
        record.call_id = self._dialog.call_id
        self._answered_at = self._now()
        self._reach(Stage.ANSWERED)

    def _device_said_bye(self) -> None:
        self.finish(EndReason.DEVICE_BYE, "The device ended the session with BYE")

    def _take_answer(self, sdp: bytes) -> None:
        try:
            answer: LiveAnswer = read_answer(sdp, transport=self.record.transport, ssrc=self.ssrc)
        except SdpError as exc:
            self.finish(EndReason.ANSWER_UNUSABLE, f"The device's answer cannot be used: {exc}")
            return
        self.record.remarks.extend(answer.remarks)
        if answer.ssrc is not None:
            self.record.ssrc.answered = f"{answer.ssrc:010d}"
        assert self._receiver is not None
        self._receiver.answered(ssrc=answer.ssrc, remote=answer.remote, payloads=answer.payloads)
        self.record.state = SessionState.RUNNING
        self._idle_since = self._now() if self.record.viewers == 0 else None

    async def _supervise(self) -> None:
        while self._ending is None:
            deadline = min(self._deadlines(), default=None, key=lambda item: item[0])
            wait = None if deadline is None else max(0.0, deadline[0] - self._now())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            self._wake.clear()
            for at, reason, detail in self._deadlines():
                if self._now() >= at:
                    self.finish(reason, detail)

    def _deadlines(self) -> list[tuple[float, EndReason, str]]:
        settings, stages = self._settings, self.record.stages
        found: list[tuple[float, EndReason, str]] = []
        if Stage.FIRST_PACKET not in stages:
            found.append((self._answered_at + settings.first_packet_timeout, *self._no_packet()))
        elif Stage.DECODABLE not in stages and self._first_packet_at is not None:
            found.append(
                (
                    self._first_packet_at + settings.decodable_timeout,
                    EndReason.NOT_DECODABLE,
                    (
                        f"RTP came, but no key frame with parameter sets within "
                        f"{settings.decodable_timeout:g} s"
                    ),
                )
            )
        if self._idle_since is not None:
            found.append(
                (
                    self._idle_since + settings.no_readers_grace,
                    EndReason.NO_READERS,
                    f"Nobody watched for {settings.no_readers_grace:g} s",
                )
            )
        return found

    def _no_packet(self) -> tuple[EndReason, str]:
        wait = f"{self._settings.first_packet_timeout:g} s"
        port = self._receiver.port if self._receiver else 0
        if self.record.transport == MediaTransport.UDP:
            return EndReason.NO_PACKET, (
                f"The device answered 200 but sent no RTP to UDP port {port} within {wait}"
            )
        if Stage.CONNECTED in self.record.stages:
            return EndReason.NO_PACKET, (
                f"The media connection stands but carried no RTP within {wait}"
            )
        who = (
            f"The device did not connect to TCP port {port}"
            if self.record.transport == MediaTransport.TCP_PASSIVE
            else "The device's media port did not accept our TCP connection"
        )
        return EndReason.CONNECT_FAILED, f"{who} within {wait}"

    async def _release(self) -> None:
        ended = self._ending or _INTERNAL
        try:
            if self._receiver is not None:
                await self._receiver.close(ended.reason.value, ended.detail)
        finally:
            if self._dialog is not None:
                await self._dialog.bye()

    def _conclude(self) -> None:
        self.record.state = SessionState.ENDED
        self.record.ended = self._ending or _INTERNAL
        self._finished.set()

    # MediaEvents: called on the loop by the receiver

    def media_connected(self) -> None:
        """Note the TCP connection."""
        self._reach(Stage.CONNECTED)

    def media_connect_failed(self, detail: str) -> None:
        """End: no media connection."""
        self.finish(EndReason.CONNECT_FAILED, detail)

    def media_first_packet(self, ssrc: int, source: str) -> None:
        """Note which SSRC really came."""
        self.record.ssrc.received = f"{ssrc:010d}"
        self._first_packet_at = self._now()
        self._reach(Stage.FIRST_PACKET)
        address = self.device.address
        host = source.rpartition(":")[0].strip("[]")
        if address is not None and host and host != address.host:
            self.record.remarks.append(
                f"media comes from {source}, the device is registered from {address.host}"
            )

    def media_decodable(self) -> None:
        """Note that a decoder could start."""
        self._reach(Stage.DECODABLE)

    def media_first_output(self) -> None:
        """Note that a viewer got bytes."""
        self._reach(Stage.FIRST_OUTPUT)

    def media_lost(self, detail: str) -> None:
        """End: the source went away."""
        self.finish(EndReason.SOURCE_LOST, detail)

    def media_unsupported(self, detail: str) -> None:
        """End: nobody could play it."""
        self.finish(EndReason.CODEC_UNSUPPORTED, detail)

    def media_viewers(self, count: int) -> None:
        """Start or stop the grace period."""
        self.record.viewers = count
        if count and self.record.first_reader is None:
            self.record.first_reader = self._now() - self._began
        self._idle_since = self._now() if count == 0 else None
        self._wake.set()

    def _reach(self, stage: Stage) -> None:
        # What still arrives while it ends is no progress.
        if stage not in self.record.stages and self._ending is None:
            self.record.stages[stage] = self._now() - self._began
            self._wake.set()


def _is_2022(device: Device) -> bool:
    return device.gb_version.startswith("3")


def _invite_reason(exc: InviteFailed) -> EndReason:
    if exc.transport:
        return EndReason.DEVICE_OFFLINE
    return EndReason.INVITE_TIMEOUT if exc.status is None else EndReason.INVITE_REFUSED


def _reason_of(exc: GatewayError) -> EndReason:
    try:
        return EndReason(exc.code)
    except ValueError:
        return EndReason.DEVICE_OFFLINE
