"""Moving and controlling cameras."""

from collections.abc import Callable, Sequence
from functools import partial

from aiohttp import web

from gateway.domain.device import Channel
from gateway.domain.errors import Invalid
from gateway.domain.policy import Action
from gateway.domain.signalling import Origin
from gateway.http.deps import HttpDeps
from gateway.http.gate import ChannelGate
from gateway.http.principal import Principal, context_of, principal_of
from gateway.http.route import Access, Route, body_of, json_answer
from gateway.http.schemas.control import (
    AlarmResetIn,
    ControlOut,
    DragZoomIn,
    GuardIn,
    HomePositionIn,
    PlainControlIn,
    PtzIn,
    PtzOut,
    RecordIn,
    WhyIn,
)
from gb28181.errors import LocalProtocolError
from gb28181.manscdp.control import DeviceControl

__all__ = ["ControlApi"]

_ONE = "/api/v1/channels/{device_id}/{channel_id}"


def _iframe(_body: WhyIn) -> DeviceControl:
    return DeviceControl(iframe_cmd="Send")


def _reboot(_body: WhyIn) -> DeviceControl:
    return DeviceControl(tele_boot="Boot")


def _own(
    body: RecordIn | GuardIn | AlarmResetIn | DragZoomIn | HomePositionIn,
) -> DeviceControl:
    return body.control()


_CONTROLS: tuple[
    tuple[str, str, Access, Action, type[WhyIn], Callable[..., DeviceControl]], ...
] = (
    ("iframe", "Ask for a key frame", Access.LIVE, Action.LIVE, PlainControlIn, _iframe),
    ("drag_zoom", "Zoom to a box in the picture", Access.PTZ, Action.PTZ, DragZoomIn, _own),
    ("reboot", "Restart the device", Access.CONFIG, Action.CONFIG, PlainControlIn, _reboot),
    ("record", "Record, or stop recording", Access.CONFIG, Action.CONFIG, RecordIn, _own),
    ("guard", "Guard, or end guarding", Access.CONFIG, Action.CONFIG, GuardIn, _own),
    ("alarm_reset", "Reset alarms", Access.CONFIG, Action.CONFIG, AlarmResetIn, _own),
    (
        "home_position",
        "Set where the camera returns to when nobody moves it",
        Access.CONFIG,
        Action.CONFIG,
        HomePositionIn,
        _own,
    ),
)
"""Word, summary, scope, what the policy is asked for, body, and what is sent."""


class ControlApi:
    """Handlers under `/api/v1/channels/{device_id}/{channel_id}/ptz` and `control`.

    Args:
        deps: What the handlers work with.
        gate: Asks the sharing policy.
    """

    def __init__(self, deps: HttpDeps, gate: ChannelGate) -> None:
        self._controls = deps.sharing.controls
        self._gate = gate
        self._wall = deps.wall

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        tag = "controls"
        return (
            Route(
                method="POST",
                path=f"{_ONE}/ptz",
                handler=self.ptz,
                name="move_camera",
                summary="Move a camera; a motion stops by itself unless it is commanded anew",
                tag=tag,
                access=Access.PTZ,
                body=PtzIn,
                answer=PtzOut,
                errors=(404, 503),
            ),
            *(
                Route(
                    method="POST",
                    path=f"{_ONE}/control/{word}",
                    handler=partial(self.control, word, action, body, make),
                    name=f"control_{word}",
                    summary=summary,
                    tag=tag,
                    access=access,
                    body=body,
                    body_required=body is not PlainControlIn,
                    answer=ControlOut,
                    errors=(404, 503),
                )
                for word, summary, access, action, body, make in _CONTROLS
            ),
        )

    async def ptz(self, request: web.Request) -> web.Response:
        """Answer POST channels/{device_id}/{channel_id}/ptz."""
        body = await body_of(request, PtzIn)
        try:
            command = body.frame()
        except LocalProtocolError as exc:
            raise Invalid("ptz_invalid", str(exc)) from None
        frame = command.serialize()
        detail = f"{command.describe()} ({frame})"
        principal, channel = self._allowed(request, Action.PTZ, body.purpose, body.ticket, detail)
        await self._controls.ptz(
            principal.subject.label,
            channel.device_id,
            channel.channel_id,
            command,
            hold=body.hold_s,
            origin=Origin(asker=principal.subject.label),
        )
        stops_after = body.hold_s if command.is_motion else None
        return json_answer(PtzOut(frame=frame, stops_after_s=stops_after))

    async def control(
        self,
        word: str,
        action: Action,
        model: type[WhyIn],
        make: Callable[..., DeviceControl],
        request: web.Request,
    ) -> web.Response:
        """Answer POST channels/{device_id}/{channel_id}/control/..."""
        body = await body_of(request, model, required=model is not PlainControlIn)
        said = body.model_dump_json(exclude={"purpose", "ticket"})
        detail = word if said == "{}" else f"{word} {said}"
        principal, channel = self._allowed(request, action, body.purpose, body.ticket, detail)
        result = await self._controls.control(
            principal.subject.label,
            channel.device_id,
            channel.channel_id,
            make(body),
            origin=Origin(asker=principal.subject.label),
        )
        return json_answer(ControlOut(result=result))

    def _allowed(
        self, request: web.Request, action: Action, purpose: str, ticket: str, detail: str
    ) -> tuple[Principal, Channel]:
        principal = principal_of(request)
        context = context_of(principal, self._wall, request, purpose=purpose, ticket=ticket)
        channel = self._gate.find(
            principal,
            request.match_info["device_id"],
            request.match_info["channel_id"],
            action,
            context,
        )
        self._gate.check(principal, action, channel, context, detail)
        return principal, channel
