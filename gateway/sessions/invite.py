"""Media of a device: one INVITE, one receiver."""

import asyncio
from collections.abc import Callable

from gateway.domain.device import Device, MediaTransport
from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.media import MediaPlane, Receiver, ReceiverSpec
from gateway.domain.session import Ended, EndReason, SessionRecord, Stage
from gateway.domain.signalling import InviteFailed, MediaDialog, Origin, Signaller
from gateway.sessions.ports import SessionSettings
from gateway.sessions.way import SessionCore
from gb28181.errors import Gb28181Error, SdpError
from gb28181.flow.subject import build_subject
from gb28181.sdp.answer import LiveAnswer, read_answer
from gb28181.sdp.offer import build_live_offer
from gb28181.sdp.ssrc import SsrcPool

__all__ = ["DeviceInvite", "DeviceInvites", "reason_of"]


class DeviceInvites:
    """Makes the ways to devices' media.

    Args:
        ssrcs: Every session leases one.
        now: Monotonic clock in seconds.
    """

    def __init__(
        self,
        *,
        signaller: Signaller,
        media: MediaPlane,
        ssrcs: SsrcPool,
        settings: SessionSettings,
        now: Callable[[], float],
    ) -> None:
        self._signaller = signaller
        self._media = media
        self._ssrcs = ssrcs
        self._settings = settings
        self._now = now

    def way(
        self,
        record: SessionRecord,
        device: Device,
        transport: MediaTransport | None,
        origin: Origin | None,
    ) -> "DeviceInvite":
        """Return the way to a channel's media; fills in what the record says of it.

        Raises:
            Unavailable: `ssrc_exhausted`.
        """
        try:
            ssrc = self._ssrcs.lease(self._now())
        except Gb28181Error as exc:
            raise Unavailable("ssrc_exhausted", str(exc)) from exc
        chosen = transport or device.settings.media_transport or self._settings.transport
        record.transport = chosen.value
        record.ssrc.offered = f"{ssrc:010d}"
        return DeviceInvite(
            device,
            ssrc=ssrc,
            signaller=self._signaller,
            media=self._media,
            settings=self._settings,
            given_back=self._give_back,
            origin=origin,
        )

    def _give_back(self, ssrc: int) -> None:
        self._ssrcs.release(ssrc, self._now())


class DeviceInvite:
    """Implements `MediaWay` on the signaller and a receiver.

    Args:
        device: Where to send the INVITE.
        ssrc: SSRC leased for the session.
        given_back: Called at the end: the SSRC is free again.
        origin: Who asked first, for a lower platform.
    """

    keeps = False

    def __init__(
        self,
        device: Device,
        *,
        ssrc: int,
        signaller: Signaller,
        media: MediaPlane,
        settings: SessionSettings,
        given_back: Callable[[int], None],
        origin: Origin | None = None,
    ) -> None:
        self._device = device
        self._ssrc = ssrc
        self._signaller = signaller
        self._media = media
        self._settings = settings
        self._given_back = given_back
        self._origin = origin
        self._receiver: Receiver | None = None
        self._dialog: MediaDialog | None = None

    async def establish(self, session: SessionCore) -> None:
        """Open a receiver, INVITE, and take over the answer."""
        record, device = session.record, self._device
        spec = ReceiverSpec(
            stream_id=record.stream_id,
            session_id=record.session_id,
            transport=MediaTransport(record.transport),
            ssrc=self._ssrc,
            device_host=device.address.host if device.address else "",
        )
        self._receiver = await self._media.open_receiver(spec, session.events)
        session.reach(Stage.PORT_LEASED)
        if session.ending:
            return
        offer = build_live_offer(
            owner_id=self._settings.platform_id,
            host=self._signaller.local_host(device),
            port=self._receiver.port,
            transport=record.transport,
            ssrc=self._ssrc,
            gb_version=device.gb_version,
            # A line that older devices do not know they ignore (protocol 5.11).
            streamnumber=record.stream if record.stream or device.is_2022 else None,
        )
        await self._invite(session, offer)
        if self._dialog is not None and not session.ending:
            self._take_answer(session, self._dialog.answer.sdp)

    def packet_came(self, session: SessionCore, ssrc: int, source: str) -> None:
        """Note which SSRC really came, and whether from elsewhere."""
        record, address = session.record, self._device.address
        record.ssrc.received = f"{ssrc:010d}"
        host = source.rpartition(":")[0].strip("[]")
        if address is not None and host and host != address.host:
            record.remarks.append(
                f"media comes from {source}, the device is registered from {address.host}"
            )

    def no_packet(self, session: SessionCore, wait: float) -> tuple[EndReason, str]:
        """Say who did not send."""
        record = session.record
        port = self._receiver.port if self._receiver else 0
        if record.transport == MediaTransport.UDP:
            return EndReason.NO_PACKET, (
                f"The device answered 200 but sent no RTP to UDP port {port} within {wait:g} s"
            )
        if Stage.CONNECTED in record.stages:
            return EndReason.NO_PACKET, (
                f"The media connection stands but carried no RTP within {wait:g} s"
            )
        who = (
            f"The device did not connect to TCP port {port}"
            if record.transport == MediaTransport.TCP_PASSIVE
            else "The device's media port did not accept our TCP connection"
        )
        return EndReason.CONNECT_FAILED, f"{who} within {wait:g} s"

    async def release(self, ended: Ended) -> None:
        """Close the receiver, say BYE, give the SSRC back."""
        try:
            if self._receiver is not None:
                await self._receiver.close(ended.reason.value, ended.detail)
        finally:
            try:
                if self._dialog is not None:
                    await self._dialog.bye()
            finally:
                self._given_back(self._ssrc)

    async def _invite(self, session: SessionCore, offer: bytes) -> None:
        """INVITE, unless something ends the session meanwhile; then the INVITE is cancelled."""
        name, woken = session.record.session_id, asyncio.Event()
        async with asyncio.TaskGroup() as group:
            invite = group.create_task(self._call(session, offer), name=f"invite:{name}")
            invite.add_done_callback(lambda _: woken.set())
            ender = group.create_task(session.until_ending(woken), name=f"invite-guard:{name}")
            await woken.wait()
            ender.cancel()
            if session.ending:
                invite.cancel()

    async def _call(self, session: SessionCore, offer: bytes) -> None:
        record = session.record
        session.reach(Stage.INVITED)
        try:
            self._dialog = await self._signaller.invite(
                self._device,
                record.channel_id,
                offer,
                subject=build_subject(record.channel_id, self._ssrc, self._settings.platform_id),
                timeout=self._settings.invite_timeout,
                on_trying=lambda: session.reach(Stage.TRYING),
                on_bye=lambda why: session.finish(
                    EndReason.DEVICE_BYE,
                    "The device ended the session with BYE" + (f": {why}" if why else ""),
                ),
                origin=self._origin,
            )
        except InviteFailed as exc:
            session.finish(_invite_reason(exc), exc.detail, exc.status)
            return
        except GatewayError as exc:
            # It went offline between the look at it and the INVITE.
            session.finish(reason_of(exc), exc.detail)
            return
        record.call_id = self._dialog.call_id
        session.reach(Stage.ANSWERED)

    def _take_answer(self, session: SessionCore, sdp: bytes) -> None:
        record = session.record
        try:
            answer: LiveAnswer = read_answer(sdp, transport=record.transport, ssrc=self._ssrc)
        except SdpError as exc:
            session.finish(EndReason.ANSWER_UNUSABLE, f"The device's answer cannot be used: {exc}")
            return
        record.remarks.extend(answer.remarks)
        if answer.ssrc is not None:
            record.ssrc.answered = f"{answer.ssrc:010d}"
        assert self._receiver is not None
        self._receiver.answered(ssrc=answer.ssrc, remote=answer.remote, payloads=answer.payloads)


def reason_of(exc: GatewayError) -> EndReason:
    """Return the end that an error means for a session."""
    try:
        return EndReason(exc.code)
    except ValueError:
        return EndReason.DEVICE_OFFLINE


def _invite_reason(exc: InviteFailed) -> EndReason:
    if exc.transport:
        return EndReason.DEVICE_OFFLINE
    return EndReason.INVITE_TIMEOUT if exc.status is None else EndReason.INVITE_REFUSED
