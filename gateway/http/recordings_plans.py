"""What is to be recorded: plans, commands, and how it goes."""

from collections.abc import Sequence

from aiohttp import web

from gateway.domain.errors import NotFound
from gateway.domain.policy import Action
from gateway.http.deps import HttpDeps
from gateway.http.gate import ChannelGate
from gateway.http.principal import caller_of
from gateway.http.recordings import BASE
from gateway.http.recordings_channel import RecordedChannels
from gateway.http.recordings_desk import RecordingDesk
from gateway.http.route import Access, Route, body_of, json_answer, query_of
from gateway.http.schemas.base import PageQuery
from gateway.http.schemas.recording import (
    EventIn,
    PlanIn,
    PlanList,
    PlanOut,
    RecordStatusList,
    RecordStatusOut,
)

__all__ = ["RecordPlanApi"]


class RecordPlanApi:
    """Handlers of plans and commands.

    Args:
        deps: Devices, clock.
        desk: The recordings.
        gate: Asks the sharing policy.
    """

    def __init__(self, deps: HttpDeps, desk: RecordingDesk, gate: ChannelGate) -> None:
        self._service = desk.service
        self._channels = RecordedChannels(deps, gate)
        self._gate = gate

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (*self._plan_routes(), *self._command_routes())

    def _plan_routes(self) -> Sequence[Route]:
        tag, plan = "recordings", f"{BASE}/plans/{{device_id}}/{{channel_id}}"
        return (
            Route(
                method="GET",
                path=f"{BASE}/plans",
                handler=self.list_plans,
                name="list_record_plans",
                summary="List what is to be recorded",
                tag=tag,
                access=Access.LOCAL,
                query=PageQuery,
                answer=PlanList,
            ),
            Route(
                method="GET",
                path=plan,
                handler=self.get_plan,
                name="get_record_plan",
                summary="Show what is to be recorded of a channel",
                tag=tag,
                access=Access.LOCAL,
                answer=PlanOut,
                errors=(404,),
            ),
            Route(
                method="PUT",
                path=plan,
                handler=self.put_plan,
                name="put_record_plan",
                summary="Say what is to be recorded of a channel",
                tag=tag,
                access=Access.ADMIN,
                body=PlanIn,
                answer=PlanOut,
                errors=(404, 409, 422, 503),
            ),
            Route(
                method="DELETE",
                path=plan,
                handler=self.delete_plan,
                name="delete_record_plan",
                summary="Record a channel no more; what was recorded stays",
                tag=tag,
                access=Access.ADMIN,
                status=204,
                errors=(404, 503),
            ),
        )

    def _command_routes(self) -> Sequence[Route]:
        tag, channel = "recordings", f"{BASE}/{{device_id}}/{{channel_id}}"
        return (
            Route(
                method="GET",
                path=f"{BASE}/status",
                handler=self.statuses,
                name="get_recording_status",
                summary="How recording goes: all channels, and the disk",
                tag=tag,
                access=Access.LOCAL,
                query=PageQuery,
                answer=RecordStatusList,
            ),
            Route(
                method="GET",
                path=f"{channel}/status",
                handler=self.status,
                name="get_channel_recording_status",
                summary="How the recording of a channel goes",
                tag=tag,
                access=Access.LOCAL,
                answer=RecordStatusOut,
                errors=(404,),
            ),
            Route(
                method="POST",
                path=f"{channel}/start",
                handler=self.start,
                name="start_recording",
                summary="Record a channel now, for a while",
                tag=tag,
                access=Access.OPERATOR,
                body=EventIn,
                body_required=False,
                answer=RecordStatusOut,
                errors=(404, 409, 422, 503),
            ),
            Route(
                method="POST",
                path=f"{channel}/stop",
                handler=self.stop,
                name="stop_recording",
                summary="End what a command or an alarm began; a plan goes on",
                tag=tag,
                access=Access.OPERATOR,
                answer=RecordStatusOut,
                errors=(404,),
            ),
        )

    async def list_plans(self, request: web.Request) -> web.Response:
        """Answer GET recordings/plans."""
        query = query_of(request, PageQuery)
        plans = self._service.plans.all()
        page = plans[query.offset : query.offset + query.limit]
        items = [PlanOut.model_validate(plan) for plan in page]
        return json_answer(PlanList(items=items, total=len(plans)))

    async def get_plan(self, request: web.Request) -> web.Response:
        """Answer GET recordings/plans/{device_id}/{channel_id}."""
        names = _names(request)
        plan = self._service.plans.find(*names)
        if plan is None:
            raise NotFound("plan_unknown", f"Channel {names[0][:64]}/{names[1][:64]} has no plan")
        return json_answer(PlanOut.model_validate(plan))

    async def put_plan(self, request: web.Request) -> web.Response:
        """Answer PUT recordings/plans/{device_id}/{channel_id}."""
        body = await body_of(request, PlanIn)
        channel = self._channels.known(request, *_names(request))
        plan = body.plan(channel.device_id, channel.channel_id)
        await self._service.save_plan(plan, by=caller_of(request), source=request.remote or "")
        return json_answer(PlanOut.model_validate(plan))

    async def delete_plan(self, request: web.Request) -> web.Response:
        """Answer DELETE recordings/plans/{device_id}/{channel_id}."""
        await self._service.delete_plan(
            *_names(request), by=caller_of(request), source=request.remote or ""
        )
        return web.Response(status=204)

    async def statuses(self, request: web.Request) -> web.Response:
        """Answer GET recordings/status."""
        query = query_of(request, PageQuery)
        found = self._service.statuses()
        page = found[query.offset : query.offset + query.limit]
        return json_answer(RecordStatusList.of(page, len(found), self._service.disk()))

    async def status(self, request: web.Request) -> web.Response:
        """Answer GET recordings/{device_id}/{channel_id}/status."""
        channel = self._channels.known(request, *_names(request))
        found = self._service.status(channel.device_id, channel.channel_id)
        return json_answer(RecordStatusOut.of(found))

    async def start(self, request: web.Request) -> web.Response:
        """Answer POST recordings/{device_id}/{channel_id}/start."""
        body = await body_of(request, EventIn, required=False)
        channel = self._channels.check(request, *_names(request), Action.CONFIG, "record now")
        self._channels.known(request, channel.device_id, channel.channel_id)
        found = self._service.trigger(
            channel.device_id, channel.channel_id, seconds=body.seconds, cause="manual"
        )
        await self._service.keep_events()
        return json_answer(RecordStatusOut.of(found))

    async def stop(self, request: web.Request) -> web.Response:
        """Answer POST recordings/{device_id}/{channel_id}/stop."""
        channel = self._channels.check(request, *_names(request), Action.CONFIG, "stop recording")
        found = self._service.end_event(channel.device_id, channel.channel_id)
        await self._service.keep_events()
        return json_answer(RecordStatusOut.of(found))


def _names(request: web.Request) -> tuple[str, str]:
    return request.match_info["device_id"], request.match_info["channel_id"]
