"""DeviceControl of upper platforms on its way down, and the camera's answer on its way up (protocol 8.2)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from gateway.cascade.bridge_ports import ChannelResolver
from gateway.cascade.ports import IdentityPath, UpperLink, UpperRequester
from gateway.cascade.refusal import Refused
from gateway.domain.device import Channel
from gateway.domain.errors import Forbidden, GatewayError
from gateway.domain.platform import PlatformEvent
from gateway.domain.policy import AccessContext, AccessControl, AccessRequest, Action
from gateway.domain.signalling import Origin
from gateway.sessions.control import DeviceControls
from gb28181.aio.tasks import TaskScope
from gb28181.errors import RemoteProtocolError
from gb28181.manscdp.control import DeviceControl, SubCommand
from gb28181.manscdp.ptz import PtzCommand
from gb28181.manscdp.response import Response

__all__ = ["MAX_CONTROLS", "MAX_STOPS", "ControlDesk", "action_of"]

log = structlog.get_logger()

MAX_CONTROLS = 64
"""Controls of one platform that may be under way at once; more are refused with 486."""
MAX_STOPS = 256
"""The same for what only stops a camera: it must not go on moving because others are slow to answer."""

_ACTIONS = {
    SubCommand.PTZ: Action.PTZ,
    SubCommand.PTZ_PRECISE: Action.PTZ,
    SubCommand.DRAG_ZOOM_IN: Action.PTZ,
    SubCommand.DRAG_ZOOM_OUT: Action.PTZ,
    SubCommand.TARGET_TRACK: Action.PTZ,
    # Whoever may watch may ask for a picture to begin with.
    SubCommand.IFRAME: Action.LIVE,
}


_NEVER = frozenset({SubCommand.DEVICE_UPGRADE, SubCommand.FORMAT_SD_CARD})
"""What no right to configure includes: foreign firmware, and the loss of recordings."""


def action_of(control: DeviceControl) -> Action:
    """Return the right that a control needs: PTZ, live for a key frame, else configuration."""
    return _ACTIONS.get(control.sub_command, Action.CONFIG)


class ControlDesk:
    """Maps the code, asks the policy, passes the control on, and the answer back under the original SN.

    Args:
        identities: Puts our code in front of identities that go on.
        controls: Sends to devices.
        access: The sharing policy.
        views: Finds a platform's catalogue.
        scope: Owner of the tasks that wait for cameras.
        wall: Wall clock, timezone-aware.
    """

    def __init__(
        self,
        *,
        identities: IdentityPath,
        controls: DeviceControls,
        access: AccessControl,
        views: Callable[[str], ChannelResolver | None],
        scope: TaskScope,
        wall: Callable[[], datetime],
    ) -> None:
        self._identities = identities
        self._controls = controls
        self._access = access
        self._views = views
        self._scope = scope
        self._wall = wall
        self._under_way: dict[str, int] = {}

    def control(self, link: UpperLink, requester: UpperRequester, control: DeviceControl) -> int:
        """Take a control of an identified platform.

        Returns:
            The SIP status to answer the MESSAGE with: 200, 403, 404 (not shared, whether it exists or not),
            482 (loop), 486.
        """
        platform_id = link.config.platform_id
        view = self._views(platform_id)
        channel = None if view is None else view.resolve(control.device_id)
        request = AccessRequest(
            subject=requester.subject,
            action=action_of(control),
            channel=channel,
            object_id=control.device_id[:64],
            context=AccessContext(at=self._wall(), zone=link.config.zone, source=requester.source),
            via="sip",
            detail=f"{control.sub_command.value} {control.ptz_cmd}".strip()[:200],
        )
        try:
            origin, control = self._judge(request, requester, control, view)
        except Refused as exc:
            link.note(PlatformEvent.REFUSED, f"Control of {request.object_id}: {exc.detail}")
            return exc.status
        assert channel is not None
        self._under_way[platform_id] = self._under_way.get(platform_id, 0) + 1
        self._scope.spawn(
            self._pass_on(link, origin, control, channel),
            name=f"control:{control.device_id}",
        )
        return 200

    def _judge(
        self,
        request: AccessRequest,
        requester: UpperRequester,
        control: DeviceControl,
        view: ChannelResolver | None,
    ) -> tuple[Origin, DeviceControl]:
        """Allow a control or refuse it; either is put on record once."""

        def refuse(status: int, reason: str, detail: str) -> Refused:
            self._access.refuse(request, reason, detail)
            return Refused(status, detail)

        channel = request.channel
        if channel is None:
            reason, detail = "not_shared", "This platform has no catalogue"
            if view is not None:
                reason, detail = view.why_unknown(control.device_id)
            raise refuse(404, reason, detail)
        try:
            identity = self._identities.onward(requester.identity, requester.platform_id)
        except Forbidden as exc:
            raise refuse(exc.status, exc.code, exc.detail) from exc
        limit = MAX_STOPS if _is_stop(control) else MAX_CONTROLS
        if self._under_way.get(requester.platform_id, 0) >= limit:
            raise refuse(486, "too_many_controls", f"{limit} controls are under way already")
        if control.sub_command in _NEVER:
            name = control.sub_command.value
            raise refuse(403, "never_shared", f"{name} is for whoever owns the device")
        if control.device_id2:
            other = None if view is None else view.resolve(control.device_id2)
            if other is None or other.device_id != channel.device_id:
                raise refuse(404, "not_shared", "DeviceID2 is no camera this platform was given")
            control = replace(control, device_id2=other.channel_id)
        try:
            self._access.check(request)
        except Forbidden as exc:
            raise Refused(403, exc.detail) from exc
        return Origin(identity=identity.serialize() if identity is not None else ""), control

    def platform_offline(self, platform_id: str) -> None:
        """Stop what a platform set in motion: its link is gone."""
        self._controls.holder_gone(_holder(platform_id))

    async def _pass_on(
        self, link: UpperLink, origin: Origin, control: DeviceControl, channel: Channel
    ) -> None:
        platform_id = link.config.platform_id
        reason = ""
        try:
            result = await self._controls.control(
                _holder(platform_id),
                channel.device_id,
                channel.channel_id,
                control,
                origin=origin,
            )
        except GatewayError as exc:
            result, reason = "ERROR", exc.code
            link.note(PlatformEvent.MESSAGE_FAILED, f"Control of {control.device_id}: {exc.detail}")
        finally:
            left = self._under_way[platform_id] - 1
            if left:
                self._under_way[platform_id] = left
            else:
                del self._under_way[platform_id]
        if not control.wants_answer:
            return
        answer = Response(
            cmd_type="DeviceControl",
            sn=control.sn,
            device_id=control.device_id,
            result="OK" if result.upper() == "OK" else "ERROR",
            reason=reason,
        )
        try:
            await link.send(answer)
        except GatewayError as exc:
            log.info("control_answer_not_sent", platform_id=platform_id, detail=exc.detail)


def _is_stop(control: DeviceControl) -> bool:
    if control.sub_command is not SubCommand.PTZ:
        return False
    try:
        return PtzCommand.parse(control.ptz_cmd).is_stop
    except RemoteProtocolError:
        return False


def _holder(platform_id: str) -> str:
    return f"platform:{platform_id}"
