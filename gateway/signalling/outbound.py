"""Our requests to devices: queries, controls and INVITEs, sent to where a device is registered."""

import re
from collections.abc import Callable
from dataclasses import replace

import structlog

from gateway.domain.device import Device
from gateway.domain.errors import Unavailable
from gateway.domain.signalling import InviteFailed, Origin
from gateway.signalling.address import flow_of
from gateway.signalling.device_dialog import DeviceDialog
from gateway.signalling.journal import GHOST_CSEQ, DialogJournal, OpenDialog
from gateway.signalling.pending import PendingAnswers
from gb28181.aio.client import InviteRefused, SipClient
from gb28181.aio.errors import SipTimeout, SipTransportError
from gb28181.aio.incoming import IncomingRequest
from gb28181.aio.subscription import SubscribedDialog
from gb28181.flow.identity import MonitorIdentity, is_gateway_code
from gb28181.ids import DeviceId, IdKind
from gb28181.manscdp.control import DeviceControl
from gb28181.manscdp.message import Content, serialize_message
from gb28181.manscdp.query import CatalogQuery, DeviceInfoQuery, DeviceStatusQuery
from gb28181.sip.endpoint import Flow
from gb28181.sip.message import Response

__all__ = ["SipSignaller", "edition_of"]

log = structlog.get_logger()

MAX_ASKER = 64
"""Characters of our own people's names in identities."""
_USER = re.compile(r"[^A-Za-z0-9_.:@]")

MANSCDP = "Application/MANSCDP+xml"
"""The capital A is what some vendors insist on (quirk 21)."""


class SipSignaller:
    """Implements the domain's Signaller on the SIP client.

    Args:
        platform_id: Our 20-digit id (From).
        domain: Our SIP domain.
        charset: Charset of MANSCDP bodies towards devices without a setting of their own.
        timeout: Seconds to wait for the answer to a MESSAGE.
        media_host: `[rtp] advertise`; empty for the local address of the device's registration.
        find: Gives a device as it is now.
        journal: Keeps the open dialogs over a crash.
    """

    def __init__(
        self,
        client: SipClient,
        pending: PendingAnswers,
        *,
        platform_id: str,
        domain: str,
        charset: str,
        timeout: float,
        media_host: str = "",
        find: Callable[[str], Device | None],
        journal: DialogJournal | None = None,
    ) -> None:
        self._client = client
        self._journal = journal
        self._pending = pending
        self._platform_id = platform_id
        self._domain = domain
        self._charset = charset
        self._timeout = timeout
        self._media_host = media_host
        self._find = find

    def local_host(self, device: Device) -> str:
        """Address to write into SDP for this device."""
        if self._media_host:
            return self._media_host
        if device.address is None:
            raise Unavailable("device_offline", f"Device {device.device_id} has no address")
        return device.address.local_host

    async def invite(
        self,
        device: Device,
        channel_id: str,
        sdp: bytes,
        *,
        subject: str,
        timeout: float,
        on_trying: Callable[[], None],
        on_bye: Callable[[str], None],
        origin: Origin | None = None,
    ) -> DeviceDialog:
        """INVITE a channel (protocol 5.1, practice)."""
        flow, uri = self._route(device, channel_id)
        try:
            dialog = await self._client.invite(
                uri,
                flow=flow,
                from_=self._name(self._platform_id),
                to=self._name(channel_id),
                sdp=sdp,
                headers=[("Subject", subject), *self._identity(device, origin)],
                timeout=timeout,
                on_provisional=lambda _: on_trying(),
                on_bye=lambda dialog: on_bye(dialog.peer_reason),
                # It streams on meanwhile; a BYE goes out on the connection it comes back on.
                outlives_connection=True,
            )
        except InviteRefused as exc:
            raise InviteFailed(exc.response.status, _refusal(device, exc.response)) from exc
        except SipTimeout as exc:
            raise InviteFailed(
                None, f"Device {device.device_id} gave no final answer to INVITE in {timeout:g} s"
            ) from exc
        except SipTransportError as exc:
            raise InviteFailed(
                None, f"INVITE could not be sent to {device.device_id}: {exc}", transport=True
            ) from exc
        call_id, journal = dialog.call_id, self._journal
        if journal is not None:
            response = dialog.response
            journal.opened(
                OpenDialog(
                    device_id=device.device_id,
                    channel_id=channel_id,
                    call_id=call_id,
                    local_tag=response.from_.tag or "",
                    remote_tag=response.to.tag or "",
                )
            )
        return DeviceDialog(
            dialog,
            self._timeout,
            invited=flow,
            locate=lambda: self._locate(device.device_id),
            closed=lambda: None if journal is None else journal.closed(call_id),
        )

    async def end_ghosts(self, device: Device) -> None:
        """BYE the dialogs that a former run of the gateway left open with a device."""
        ghosts = [] if self._journal is None else self._journal.ghosts(device.device_id)
        for ghost in ghosts:
            try:
                flow, uri = self._route(device, ghost.channel_id)
                response = await self._client.request(
                    "BYE",
                    uri,
                    flow=flow,
                    from_=self._name(self._platform_id),
                    to=f"{self._name(ghost.channel_id)};tag={ghost.remote_tag}",
                    call_id=ghost.call_id,
                    from_tag=ghost.local_tag,
                    cseq=GHOST_CSEQ,
                    timeout=self._timeout,
                )
                outcome = str(response.status)
            except (Unavailable, SipTimeout, SipTransportError) as exc:
                outcome = str(exc)
            log.info(
                "ghost_dialog_ended",
                device_id=device.device_id,
                channel_id=ghost.channel_id,
                call_id=ghost.call_id,
                detail=outcome,
            )

    async def query_catalog(self, device: Device, sn: int) -> None:
        """Send a Catalog query (protocol 4.7.3)."""
        await self.send(device, CatalogQuery(sn=sn, device_id=device.device_id))

    async def query_device_info(self, device: Device) -> None:
        """Send a DeviceInfo query (protocol 4.7.2)."""
        sn = self._pending.next_sn(device.device_id)
        await self.send(device, DeviceInfoQuery(sn=sn, device_id=device.device_id))

    async def query_device_status(self, device: Device, target: str = "") -> dict[str, str]:
        """Send a DeviceStatus query and wait for its answer (protocol 4.7.1).

        Args:
            device: Where it goes.
            target: Code of a channel; empty: the device itself.
        """
        code = target or device.device_id
        sn = self._pending.next_sn(device.device_id)
        async with self._pending.expect(device.device_id, "DeviceStatus", sn) as answer:
            await self.send(device, DeviceStatusQuery(sn=sn, device_id=code), target=code)
            try:
                return await answer(self._timeout)
            except TimeoutError:
                raise Unavailable(
                    "device_silent",
                    f"Device {device.device_id} acknowledged the DeviceStatus query but sent no "
                    f"answer in {self._timeout:g} s",
                ) from None

    async def control(
        self,
        device: Device,
        channel_id: str,
        command: DeviceControl,
        *,
        origin: Origin | None = None,
    ) -> str:
        """Send a DeviceControl under an SN of our own and wait for the answer where there is one (protocol 4.5)."""
        sn = self._pending.next_sn(device.device_id)
        message = replace(command, sn=sn)
        if not command.wants_answer:
            await self.send(device, message, target=channel_id, origin=origin)
            return ""
        async with self._pending.expect(device.device_id, "DeviceControl", sn) as answer:
            await self.send(device, message, target=channel_id, origin=origin)
            try:
                return (await answer(self._timeout)).get("Result", "")
            except TimeoutError:
                raise Unavailable(
                    "device_silent",
                    f"Device {device.device_id} acknowledged {command.sub_command.value} but sent no "
                    f"answer in {self._timeout:g} s",
                ) from None

    def next_sn(self, device_id: str) -> int:
        """The next SN towards a device."""
        return self._pending.next_sn(device_id)

    async def subscribe(
        self,
        device: Device,
        body: Content,
        *,
        event: str,
        expires: int,
        timeout: float,
        on_notify: Callable[[IncomingRequest], None],
        on_end: Callable[[str], None],
    ) -> SubscribedDialog[IncomingRequest]:
        """SUBSCRIBE to a device (protocol 7.1).

        Raises:
            SubscribeRefused: Its answer was not a 2xx.
            SipTimeout: No answer.
            SipTransportError: It could not be sent.
            Unavailable: `device_offline`.
        """
        flow, uri = self._route(device, device.device_id)
        return await self._client.subscribe(
            uri,
            flow=flow,
            from_=self._name(self._platform_id),
            to=self._name(device.device_id),
            event=event,
            expires=expires,
            body=serialize_message(
                body,
                charset=device.settings.charset or self._charset,
                edition=edition_of(device.gb_version),
            ),
            content_type=MANSCDP,
            headers=self._identity(device, None),
            timeout=timeout,
            on_notify=on_notify,
            on_end=on_end,
        )

    async def send(
        self,
        device: Device,
        message: Content,
        *,
        target: str = "",
        origin: Origin | None = None,
    ) -> None:
        """Send a MANSCDP message by MESSAGE and wait for its 200.

        Args:
            device: Where it goes.
            message: What.
            target: Code in Request-URI and To; empty: the device's.
            origin: Who stands behind it, for a lower platform.

        Raises:
            Unavailable: `device_offline`, `device_unreachable` or `device_refused`.
        """
        target = target or device.device_id
        flow, uri = self._route(device, target)
        body = serialize_message(
            message,
            charset=device.settings.charset or self._charset,
            edition=edition_of(device.gb_version),
        )
        try:
            response = await self._client.request(
                "MESSAGE",
                uri,
                flow=flow,
                from_=self._name(self._platform_id),
                to=self._name(target),
                headers=self._identity(device, origin),
                body=body,
                content_type=MANSCDP,
                timeout=self._timeout,
            )
        except (SipTimeout, SipTransportError) as exc:
            raise Unavailable(
                "device_unreachable", f"Device {device.device_id} did not take the query: {exc}"
            ) from exc
        if response.status >= 300:
            raise Unavailable("device_refused", _refusal(device, response))

    def _identity(self, device: Device, origin: Origin | None) -> list[tuple[str, str]]:
        """Return Monitor-User-Identity for a lower platform; cameras are told nothing (protocol 2.9)."""
        if DeviceId(device.device_id).kind is not IdKind.PLATFORM:
            return []
        if origin is not None and origin.identity:
            return [("Monitor-User-Identity", origin.identity)]
        if not is_gateway_code(self._platform_id):
            # Only gateways (200, 211) may write one.
            return []
        asker = origin.asker if origin is not None else ""
        user = _USER.sub("_", asker)[:MAX_ASKER] or self._platform_id
        return [("Monitor-User-Identity", MonitorIdentity.of(self._platform_id, user).serialize())]

    def _route(self, device: Device, target: str) -> tuple[Flow, str]:
        address = device.address
        if device.local:
            raise Unavailable(
                "not_controllable",
                f"{target} is a foreign source of this gateway: it takes no queries and no controls",
            )
        if not device.online or address is None:
            reason = device.offline_reason.value if device.offline_reason else "no address"
            raise Unavailable("device_offline", f"Device {device.device_id} is offline ({reason})")
        flow = flow_of(address)
        host = f"[{address.host}]" if ":" in address.host else address.host
        return flow, f"sip:{target}@{host}:{address.port}"

    def _locate(self, device_id: str) -> Flow | None:
        device = self._find(device_id)
        if device is None or not device.online or device.address is None:
            return None
        return flow_of(device.address)

    def _name(self, user: str) -> str:
        return f"<sip:{user}@{self._domain}>"


def edition_of(gb_version: str) -> str:
    """Return the edition of the standard an X-GB-Ver means; without the header it is 2016 (protocol 2.8)."""
    match gb_version.partition(".")[0]:
        case "3":
            return "2022"
        case "1":
            return "2011"
        case _:
            return "2016"


def _refusal(device: Device, response: Response) -> str:
    hint = {
        403: "the device does not count us as its platform (server ID, domain or registration)",
        404: "the device does not know this channel; sync its catalogue",
        408: "the device says it timed out",
        415: "the device dislikes the SDP's form",
        480: "the device says the channel is off-line",
        486: "the device is at its limit of streams, or still holds one that has ended",
        488: "the device cannot send what was asked for",
    }.get(response.status)
    said = f"Device {device.device_id} answered {response.status} {response.reason}".rstrip()
    return f"{said}: {hint}" if hint else said
