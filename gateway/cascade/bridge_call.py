"""One INVITE of an upper platform bridged to a camera's session: the actor that owns both ends (protocol 2.11, 8.2).

Callbacks of SIP, media and policy only leave the first reason to end and wake it; whatever happens, its task gives
the upper's dialog, the relay and the SSRC back.
"""

import asyncio
from collections.abc import Callable

import structlog

from gateway.cascade.bridge_admission import Admission, admit
from gateway.cascade.bridge_media import BridgeMedia
from gateway.cascade.bridge_ports import BridgeOwner
from gateway.cascade.bridge_terms import MediaTerms
from gateway.cascade.ports import CallLeg, IncomingCall, UpperLink, UpperRequester
from gateway.cascade.refusal import Refused, farewell, refusal_of
from gateway.domain.bridge import BridgeEnd, BridgeRecord
from gateway.domain.device import MediaTransport
from gateway.domain.errors import Conflict, GatewayError
from gateway.domain.media import Sender, SenderSpec
from gateway.domain.platform import Edition, IdMode, PlatformEvent
from gateway.domain.policy import Access
from gateway.domain.session import SessionRecord, Stage
from gb28181.errors import Gb28181Error, SdpError
from gb28181.ids import DeviceId, IdKind

__all__ = ["BridgedCall"]

log = structlog.get_logger()

ACK_DEADLINE = 40.0
"""Seconds after our 200 in which SIP must report an ACK or its absence (64*T1 is 32); a last resort."""
_LOST = {"source_ended": BridgeEnd.SOURCE_ENDED, "relay_failed": BridgeEnd.INTERNAL_ERROR}
"""What a relay's end means, by its code; any other is the receiver's doing."""


class BridgedCall:
    """One of them; implements SenderEvents."""

    def __init__(
        self,
        owner: BridgeOwner,
        record: BridgeRecord,
        link: UpperLink,
        call: IncomingCall,
        requester: UpperRequester,
    ) -> None:
        self.record = record
        self.finished = asyncio.Event()
        self._owner = owner
        self._link = link
        self._call = call
        self._requester = requester
        self._began = owner.now()
        self._wake = asyncio.Event()
        self._end: tuple[BridgeEnd, str] | None = None
        self._leg: CallLeg | None = None
        self._sender: Sender | None = None
        self._access: Access | None = None
        self._ssrc: int | None = None
        self._media: BridgeMedia | None = None
        self._acked = False
        self._joined = False
        """Whether the camera's stream ran already."""
        call.on_cancel = self._cancelled

    def finish(self, end: BridgeEnd, detail: str) -> None:
        """Begin to end; the first reason stays."""
        if self._end is None:
            self._end = (end, detail)
        self._wake.set()

    async def run(self) -> None:
        """Live from the INVITE to the end of both legs; never raises for what a peer does."""
        try:
            if self._call.cancelled:
                self._cancelled()
            await self._establish()
            await self._stay()
        except Refused as exc:
            self._refuse(exc)
        except asyncio.CancelledError:
            self.finish(BridgeEnd.SHUTDOWN, "The gateway is stopping")
            raise
        except Exception as exc:
            # A boundary: the upper gets an answer and the camera is let go, whatever broke here.
            self.finish(BridgeEnd.INTERNAL_ERROR, f"Failed inside the gateway: {exc!r}")
            log.exception("bridge_failed", bridge_id=self.record.bridge_id)
        finally:
            await self._release()

    # Setting up

    async def _establish(self) -> None:
        owner, record = self._owner, self.record
        admission = admit(
            owner, record, self._link, self._call, self._requester, on_stop=self._stopped
        )
        self._access = admission.access
        terms = admission.terms
        record.transport = terms.transport.value
        offer = terms.offer
        wanted = offer.ssrc if offer is not None and self._link.config.echo_ssrc else None
        try:
            ssrc = self._ssrc = owner.lease_ssrc(wanted)
        except Gb28181Error as exc:
            raise Refused(486, f"No SSRC is free: {exc}") from exc
        record.ssrc = f"{ssrc:010d}"

        def make(session: SessionRecord) -> SenderSpec:
            record.session_id = session.session_id
            self._joined = Stage.FIRST_PACKET in session.stages
            return SenderSpec(
                sender_id=record.bridge_id,
                stream_id=session.stream_id,
                transport=terms.transport,
                ssrc=ssrc,
                payload_type=terms.target.payload_type,
                remote=terms.target.remote,
                # Behind NAT media comes from where signalling comes from, whatever the offer says.
                hosts=frozenset({self._requester.source}),
                rtcp=self._link.config.rtcp,
            )

        await self._open(admission, make)
        if self._end is not None:
            end, detail = self._end
            # An upper that cancelled has had its 487; to whoever may no longer, or is to be let go, that is said.
            status = {BridgeEnd.UPPER_CANCELLED: 487, BridgeEnd.STOPPED: 403}.get(end, 480)
            raise Refused(status, detail)
        assert self._sender is not None
        self._accept(terms, self._sender)

    async def _open(
        self, admission: Admission, make: Callable[[SessionRecord], SenderSpec]
    ) -> None:
        """Start or join the camera's stream, unless the upper cancels meanwhile."""
        channel, offer = admission.channel, admission.terms.offer
        asked = offer.streamnumber if offer is not None else None
        stream = 1 if admission.access.decision.obligations.sub_stream else 0
        if asked and self._owner.sources.has_stream(channel.device_id, channel.channel_id, 1):
            stream = 1
        done = asyncio.Event()

        async def start() -> None:
            _, self._sender = await self._owner.sources.relay(
                channel.device_id,
                channel.channel_id,
                make,
                self,
                stream=stream,
                origin=admission.origin,
            )

        try:
            async with asyncio.TaskGroup() as group:
                name = f"bridge-source:{self.record.bridge_id}"
                task = group.create_task(start(), name=name)
                task.add_done_callback(lambda _: done.set())
                guard = group.create_task(self._until_ending(done), name=f"{name}:guard")
                await done.wait()
                guard.cancel()
                if self._end is not None and not task.done():
                    task.cancel()
        except* GatewayError as exc_group:
            lower = DeviceId(channel.device_id).kind is IdKind.PLATFORM
            raise refusal_of(_first(exc_group), lower=lower) from exc_group

    async def _until_ending(self, done: asyncio.Event) -> None:
        while self._end is None:
            await self._wake.wait()
            self._wake.clear()
        done.set()

    def _accept(self, terms: MediaTerms, sender: Sender) -> None:
        """Answer 200: the answer to the offer, or our own offer."""
        route = self._link.route
        if route is None:
            raise Refused(480, "The link to the platform is gone")
        record = self.record
        sdp = terms.describe(
            owner_id=self._call.target,
            host=self._owner.local_host(route),
            port=sender.port,
            ssrc=self._ssrc,
        )
        try:
            leg = self._leg = self._call.accept(sdp, headers=self._route_headers())
        except Conflict as exc:
            self._cancelled()
            raise Refused(487, "Cancelled meanwhile") from exc
        media = self._media = BridgeMedia(terms, sender, record, self._remark)
        leg.on_ack, leg.on_bye = self._ack, self._bye
        leg.on_reinvite, leg.on_answer = media.reinvited, media.answered_again
        record.call_id = leg.call_id
        record.established_after = self._owner.now() - self._began
        if not terms.is_late and record.transport != MediaTransport.UDP:
            # Whoever connects may do so before its ACK has come through.
            sender.start()

    def _route_headers(self) -> list[tuple[str, str]]:
        if self._link.config.edition is not Edition.V2022:
            return []
        config = self._link.config
        if config.id_mode is IdMode.RENAME:
            # Which platform it came from is a lower-level code.
            return [("X-RoutePath", config.local_id or self._owner.own_id)]
        lower = self.record.device_id
        path = self._owner.own_id
        if DeviceId(lower).kind is IdKind.PLATFORM:
            path = f"{path}-{lower}"
        return [("X-RoutePath", path)]

    # While it runs

    async def _stay(self) -> None:
        ack_due = self._owner.now() + ACK_DEADLINE
        while self._end is None:
            wait = None if self._acked else max(ack_due - self._owner.now(), 0.0)
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                self.finish(BridgeEnd.NO_ACK, f"No ACK within {ACK_DEADLINE:g} s of our 200")
            self._wake.clear()

    def _ack(self, body: bytes) -> None:
        if self._media is None or self._acked:
            return
        self._acked = True
        self._wake.set()
        try:
            self._media.acknowledged(body)
        except SdpError as exc:
            detail = f"The answer in the ACK cannot be used: {exc}"
            self.finish(BridgeEnd.ANSWER_UNUSABLE, detail)

    def _bye(self, why: str) -> None:
        match why:
            case "no_ack":
                self.finish(BridgeEnd.NO_ACK, "The upper never acknowledged our 200")
            case "connection_lost":
                self.finish(BridgeEnd.UPPER_LOST, "The connection to the upper was lost")
            case _:
                said = self._leg.peer_reason if self._leg is not None else ""
                self.finish(BridgeEnd.UPPER_BYE, _quoting("The upper ended it with BYE", said))

    def _cancelled(self) -> None:
        if self._call.peer_lost:
            detail = "The upper could not be reached any more before its INVITE was answered"
            self.finish(BridgeEnd.UPPER_LOST, detail)
        else:
            detail = _quoting("The upper cancelled its INVITE", self._call.cancel_reason)
            self.finish(BridgeEnd.UPPER_CANCELLED, detail)

    def _remark(self, detail: str) -> None:
        self._link.note(PlatformEvent.REMARK, detail)

    def _stopped(self, code: str, detail: str) -> None:
        self.finish(BridgeEnd.STOPPED, f"{code}: {detail}")

    def sender_connected(self) -> None:
        """The media connection stands."""

    def sender_first_packet(self) -> None:
        """Media flows."""
        self.record.first_packet_after = self._owner.now() - self._began
        if self._joined:
            self._owner.ask_key_frame(self.record)

    def sender_lost(self, code: str, detail: str) -> None:
        """The camera's stream or the upper's receiver is gone."""
        end = _LOST.get(code, BridgeEnd.UPPER_LOST)
        self.finish(end, detail if end is BridgeEnd.SOURCE_ENDED else f"{code}: {detail}")

    # The end

    def _refuse(self, exc: Refused) -> None:
        self.record.status = exc.status
        self._call.refuse(exc.status, exc.reason, headers=[*exc.headers, *self._route_headers()])
        self.finish(BridgeEnd.REFUSED, exc.detail)
        detail = f"INVITE {self.record.shared_id}: {exc.status}, {exc.detail}"
        self._link.note(PlatformEvent.REFUSED, detail)

    async def _release(self) -> None:
        """End both legs and give everything back, each whatever becomes of the others."""
        end, detail = self._end or (BridgeEnd.INTERNAL_ERROR, "Ended without a reason")
        self.record.end, self.record.detail = end, detail
        try:
            if self._sender is not None:
                await self._sender.close()
        finally:
            if self._access is not None:
                self._access.end(end.value, detail)
            if self._ssrc is not None:
                self._owner.release_ssrc(self._ssrc)
            self._report(end, detail)
            if self._leg is not None:
                await self._leg.bye(farewell(end))
            elif not self._call.cancelled:
                self._call.refuse(self.record.status or 500)

    def _report(self, end: BridgeEnd, detail: str) -> None:
        record = self.record
        (log.warning if end.is_failure else log.info)(
            "bridge_ended",
            bridge_id=record.bridge_id,
            platform_id=record.platform_id,
            shared_id=record.shared_id,
            device_id=record.device_id,
            channel_id=record.channel_id,
            session_id=record.session_id,
            transport=record.transport,
            reason=end.value,
            detail=detail,
            status=record.status,
            established_s=record.established_after,
            first_packet_s=record.first_packet_after,
        )
        if end.is_failure:
            self._link.note(
                PlatformEvent.SESSION_ENDED, f"{record.shared_id}: {end.value}: {detail}"
            )


def _quoting(sentence: str, said: str) -> str:
    """Return a sentence with the Reason that the upper gave."""
    return f"{sentence}: {said}" if said else sentence


def _first(group: BaseExceptionGroup[GatewayError]) -> GatewayError:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, GatewayError)
    return found
