"""Operations on devices."""

from collections import Counter
from collections.abc import Sequence

from aiohttp import web

from gateway.domain.device import Device
from gateway.domain.errors import NotFound
from gateway.http.deps import HttpDeps
from gateway.http.gate import ChannelGate
from gateway.http.principal import context_of, principal_of
from gateway.http.route import Access, Route, body_of, json_answer, query_of
from gateway.http.schemas.device import (
    DeviceList,
    DeviceOut,
    DeviceQuery,
    DeviceStatusOut,
    SecretIn,
    SettingsIn,
    SyncOut,
    TimelineList,
    TimelineOut,
    TimelineQuery,
)
from gateway.http.visible import SeenChannel, VisibleChannels, sliced

__all__ = ["DeviceApi"]

_BASE = "/api/v1/devices"
_ONE = f"{_BASE}/{{device_id}}"


class DeviceApi:
    """Handlers under `/api/v1/devices`.

    Args:
        deps: What the handlers work with.
        gate: Puts on record what people outside look at.
        visible: What they see.
    """

    def __init__(self, deps: HttpDeps, gate: ChannelGate, visible: VisibleChannels) -> None:
        self._deps = deps
        self._gate = gate
        self._visible = visible

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        tag = "devices"
        return (
            Route(
                method="GET",
                path=_BASE,
                handler=self.list_devices,
                name="list_devices",
                summary="List devices",
                tag=tag,
                access=Access.CATALOG,
                query=DeviceQuery,
                answer=DeviceList,
            ),
            Route(
                method="GET",
                path=_ONE,
                handler=self.get_device,
                name="get_device",
                summary="Show one device",
                tag=tag,
                access=Access.CATALOG,
                answer=DeviceOut,
                errors=(404,),
            ),
            Route(
                method="PATCH",
                path=_ONE,
                handler=self.change_settings,
                name="change_device_settings",
                summary="Change a device's settings",
                tag=tag,
                body=SettingsIn,
                answer=DeviceOut,
                errors=(404, 413, 415, 422, 503),
            ),
            Route(
                method="DELETE",
                path=_ONE,
                handler=self.forget,
                name="delete_device",
                summary="Forget a device with its channels, secret and timeline",
                tag=tag,
                status=204,
                errors=(404, 503),
            ),
            *self._further_routes(tag),
        )

    def _further_routes(self, tag: str) -> Sequence[Route]:
        return (
            Route(
                method="GET",
                path=f"{_ONE}/timeline",
                handler=self.timeline,
                name="get_device_timeline",
                summary="Show what happened to a device, or to an id that never registered",
                tag=tag,
                access=Access.LOCAL,
                query=TimelineQuery,
                answer=TimelineList,
                errors=(404, 503),
            ),
            Route(
                method="PUT",
                path=f"{_ONE}/secret",
                handler=self.set_secret,
                name="set_device_secret",
                summary="Give a device a password of its own; an unknown id becomes known",
                tag=tag,
                body=SecretIn,
                status=204,
                errors=(413, 415, 422, 503),
            ),
            Route(
                method="DELETE",
                path=f"{_ONE}/secret",
                handler=self.remove_secret,
                name="remove_device_secret",
                summary="Let a device use the common password again",
                tag=tag,
                status=204,
                errors=(404, 503),
            ),
            Route(
                method="POST",
                path=f"{_ONE}/sync",
                handler=self.sync,
                name="sync_catalog",
                summary="Ask a device for its catalogue",
                tag=tag,
                access=Access.OPERATOR,
                status=202,
                answer=SyncOut,
                errors=(404, 503),
            ),
            Route(
                method="GET",
                path=f"{_ONE}/sync",
                handler=self.sync_progress,
                name="get_sync_progress",
                summary="Show how far the catalogue synchronisation is",
                tag=tag,
                access=Access.LOCAL,
                answer=SyncOut,
                errors=(404,),
            ),
            Route(
                method="POST",
                path=f"{_ONE}/status",
                handler=self.query_status,
                name="query_device_status",
                summary="Ask a device for its status",
                tag=tag,
                access=Access.OPERATOR,
                answer=DeviceStatusOut,
                errors=(404, 503),
            ),
        )

    async def list_devices(self, request: web.Request) -> web.Response:
        """Answer GET devices."""
        query = query_of(request, DeviceQuery)
        if not principal_of(request).is_local:
            answer = await self._list_visible(request, query)
            self._look(request, "devices", f"{len(answer.items)} of {answer.total} devices")
            return json_answer(answer)
        devices, total = self._deps.devices.search(
            query.q, query.limit, query.offset, online=query.online
        )
        items = [DeviceOut.model_validate(device) for device in devices]
        return json_answer(DeviceList(items=items, total=total))

    async def get_device(self, request: web.Request) -> web.Response:
        """Answer GET devices/{device_id}."""
        principal, device_id = principal_of(request), request.match_info["device_id"]
        if principal.is_local:
            return json_answer(DeviceOut.model_validate(self._device(request)))
        seen = await self._seen(request, device_id)
        self._look(request, f"devices/{device_id[:64]}", f"{len(seen)} channels")
        if not seen:
            raise NotFound("device_unknown", f"No device {device_id[:64]} is known here")
        return json_answer(DeviceOut.outside(seen[0].device, len(seen)))

    async def change_settings(self, request: web.Request) -> web.Response:
        """Answer PATCH devices/{device_id}."""
        device = self._device(request)
        body = await body_of(request, SettingsIn)
        await self._deps.devices.set_settings(device.device_id, body.merged(device.settings))
        return json_answer(DeviceOut.model_validate(self._device(request)))

    async def forget(self, request: web.Request) -> web.Response:
        """Answer DELETE devices/{device_id}."""
        await self._deps.devices.forget(self._device(request).device_id)
        return web.Response(status=204)

    async def timeline(self, request: web.Request) -> web.Response:
        """Answer GET devices/{device_id}/timeline."""
        query = query_of(request, TimelineQuery)
        device_id = request.match_info["device_id"]
        entries = await self._deps.devices.history(device_id, query.limit)
        if not entries:
            self._device(request)
        items = [TimelineOut.model_validate(entry) for entry in entries]
        return json_answer(TimelineList(items=items, total=len(items)))

    async def set_secret(self, request: web.Request) -> web.Response:
        """Answer PUT devices/{device_id}/secret."""
        body = await body_of(request, SecretIn)
        await self._deps.devices.set_secret(request.match_info["device_id"], body.password)
        return web.Response(status=204)

    async def remove_secret(self, request: web.Request) -> web.Response:
        """Answer DELETE devices/{device_id}/secret."""
        await self._deps.devices.set_secret(self._device(request).device_id, None)
        return web.Response(status=204)

    async def sync(self, request: web.Request) -> web.Response:
        """Answer POST devices/{device_id}/sync."""
        progress = await self._deps.catalog.sync(self._device(request).device_id)
        return json_answer(SyncOut.model_validate(progress), 202)

    async def sync_progress(self, request: web.Request) -> web.Response:
        """Answer GET devices/{device_id}/sync."""
        device = self._device(request)
        progress = self._deps.catalog.progress(device.device_id)
        if progress is None:
            raise NotFound(
                "sync_unknown",
                f"The catalogue of {device.device_id} was not asked for since the gateway started; "
                "POST to the same path asks",
            )
        return json_answer(SyncOut.model_validate(progress))

    async def query_status(self, request: web.Request) -> web.Response:
        """Answer POST devices/{device_id}/status."""
        device = self._device(request)
        fields = await self._deps.queries.query_device_status(device)
        return json_answer(DeviceStatusOut(device_id=device.device_id, fields=fields))

    async def _list_visible(self, request: web.Request, query: DeviceQuery) -> DeviceList:
        counts: Counter[str] = Counter()

        def count(item: SeenChannel) -> bool:
            counts[item.device.device_id] += 1
            return counts[item.device.device_id] == 1

        words = query.q.strip().lower()
        devices = [item.device for item in await sliced(await self._seen(request), count)]
        found = [
            (device, counts[device.device_id])
            for device in devices
            if query.online in {None, device.online}
            and (words in device.device_id or words in device.name.lower())
        ]
        page = found[query.offset : query.offset + query.limit]
        items = [DeviceOut.outside(device, count) for device, count in page]
        return DeviceList(items=items, total=len(found))

    async def _seen(self, request: web.Request, device_id: str | None = None) -> list[SeenChannel]:
        principal = principal_of(request)
        context = context_of(principal, self._deps.wall, request)
        return await self._visible.channels(principal.subject, context, device_id)

    def _look(self, request: web.Request, object_id: str, detail: str) -> None:
        principal = principal_of(request)
        context = context_of(principal, self._deps.wall, request)
        self._gate.look(principal, object_id, context, detail)

    def _device(self, request: web.Request) -> Device:
        device_id = request.match_info["device_id"]
        device = self._deps.devices.get(device_id)
        if device is None:
            raise NotFound("device_unknown", f"No device {device_id[:64]} has ever registered here")
        return device
