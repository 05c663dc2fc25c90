"""What was recorded: `/api/v1/recordings`, lists, stretches of time, days, files, locks."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from aiohttp import web

from gateway.domain.errors import Invalid
from gateway.domain.policy import Action
from gateway.domain.recording import RecordFile
from gateway.http.deps import HttpDeps
from gateway.http.gate import ChannelGate
from gateway.http.principal import caller_of
from gateway.http.recordings_channel import RecordedChannels
from gateway.http.recordings_desk import RecordingDesk
from gateway.http.route import Access, Route, body_of, json_answer, query_of
from gateway.http.schemas.base import PageQuery
from gateway.http.schemas.recording import (
    DayList,
    DayQuery,
    FileQuery,
    LockIn,
    RangeList,
    RangeQuery,
    RecordedChannelList,
    RecordedChannelOut,
    RecordingList,
    RecordingOut,
    recording_list,
)
from gateway.recording.week import zone_of

__all__ = ["BASE", "RecordingApi"]

BASE = "/api/v1/recordings"
MAX_RANGE = timedelta(days=62)


class RecordingApi:
    """Handlers that look at recordings and lock them.

    Args:
        deps: Devices, clock.
        desk: The recordings.
        gate: Asks the sharing policy.
    """

    def __init__(self, deps: HttpDeps, desk: RecordingDesk, gate: ChannelGate) -> None:
        self._deps = deps
        self._desk = desk
        self._channels = RecordedChannels(deps, gate)

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (*self._list_routes(), *self._file_routes())

    def _list_routes(self) -> Sequence[Route]:
        tag, channel = "recordings", f"{BASE}/{{device_id}}/{{channel_id}}"
        return (
            Route(
                method="GET",
                path=BASE,
                handler=self.list_files,
                name="list_recordings",
                summary="List the files of a channel, oldest first",
                tag=tag,
                access=Access.PLAYBACK,
                query=FileQuery,
                answer=RecordingList,
                errors=(404, 422, 503),
            ),
            Route(
                method="GET",
                path=f"{BASE}/channels",
                handler=self.list_channels,
                name="list_recorded_channels",
                summary="List the channels of which something is kept",
                tag=tag,
                access=Access.PLAYBACK,
                query=PageQuery,
                answer=RecordedChannelList,
                errors=(503,),
            ),
            Route(
                method="GET",
                path=f"{channel}/ranges",
                handler=self.ranges,
                name="list_recorded_ranges",
                summary="When a channel was recorded, and when not",
                tag=tag,
                access=Access.PLAYBACK,
                query=RangeQuery,
                answer=RangeList,
                errors=(404, 422, 503),
            ),
            Route(
                method="GET",
                path=f"{channel}/days",
                handler=self.days,
                name="list_recorded_days",
                summary="On which days a channel was recorded, for a calendar",
                tag=tag,
                access=Access.PLAYBACK,
                query=DayQuery,
                answer=DayList,
                errors=(404, 422, 503),
            ),
        )

    def _file_routes(self) -> Sequence[Route]:
        tag, channel = "recordings", f"{BASE}/{{device_id}}/{{channel_id}}"
        locks = [
            Route(
                method="POST",
                path=f"{path}/{verb}",
                handler=handler,
                name=f"{verb}_{name}",
                summary=f"{verb.capitalize()} {words}",
                tag=tag,
                access=Access.OPERATOR if verb == "lock" else Access.ADMIN,
                body=body,
                answer=answer,
                errors=(404, 409, 422, 503),
            )
            for verb, by_id, by_time in (
                ("lock", self.lock_file, self.lock_range),
                ("unlock", self.unlock_file, self.unlock_range),
            )
            for path, handler, name, words, body, answer in (
                (
                    f"{BASE}/files/{{file_id}}",
                    by_id,
                    "recording",
                    "one file: retention leaves locked ones",
                    None,
                    RecordingOut,
                ),
                (channel, by_time, "recordings", "all files of a time", LockIn, RecordingList),
            )
        ]
        return (
            Route(
                method="GET",
                path=f"{BASE}/files/{{file_id}}",
                handler=self.show,
                name="get_recording",
                summary="Show one file, with its SHA-256",
                tag=tag,
                access=Access.PLAYBACK,
                answer=RecordingOut,
                errors=(404, 503),
            ),
            Route(
                method="DELETE",
                path=f"{BASE}/files/{{file_id}}",
                handler=self.delete,
                name="delete_recording",
                summary="Delete one file that is not locked",
                tag=tag,
                access=Access.ADMIN,
                status=204,
                errors=(404, 409, 503),
            ),
            *locks,
        )

    async def list_files(self, request: web.Request) -> web.Response:
        """Answer GET recordings."""
        query = query_of(request, FileQuery)
        channel = self._channels.check(
            request, query.device_id, query.channel_id, Action.PLAYBACK, "list"
        )
        found = await self._desk.library.files(
            channel.device_id,
            channel.channel_id,
            begin=query.begin,
            end=query.end,
            limit=query.offset + query.limit + 1,
        )
        page = found[query.offset : query.offset + query.limit]
        return json_answer(recording_list(page, more=len(found) > query.offset + query.limit))

    async def list_channels(self, request: web.Request) -> web.Response:
        """Answer GET recordings/channels."""
        query = query_of(request, PageQuery)
        kept = await self._channels.kept(request, await self._desk.library.usage())
        items = [
            RecordedChannelOut(
                device_id=usage.device_id,
                channel_id=usage.channel_id,
                name=name,
                files=usage.files,
                bytes=usage.bytes,
                begin=usage.begin,
                end=usage.end,
            )
            for usage in kept[query.offset : query.offset + query.limit]
            if (name := self._channels.name(request, usage)) is not None
        ]
        self._channels.look(request, len(items), len(kept))
        return json_answer(RecordedChannelList(items=items, total=len(kept)))

    async def ranges(self, request: web.Request) -> web.Response:
        """Answer GET recordings/{device_id}/{channel_id}/ranges."""
        query = query_of(request, RangeQuery)
        end = query.end or self._deps.wall()
        begin = query.begin or end - timedelta(days=1)
        if not timedelta() < end - begin <= MAX_RANGE:
            raise Invalid(
                "invalid_range", f"The time ends after its begin, {MAX_RANGE.days} days at most"
            )
        channel = self._checked(request, "ranges")
        found = await self._desk.library.ranges(*channel, begin, end)
        return json_answer(RangeList.of(begin, end, found))

    async def days(self, request: web.Request) -> web.Response:
        """Answer GET recordings/{device_id}/{channel_id}/days."""
        query = query_of(request, DayQuery)
        try:
            zone = await asyncio.to_thread(zone_of, query.zone)
        except ValueError as exc:
            raise Invalid("invalid_zone", str(exc)) from None
        channel = self._checked(request, "days")
        try:
            found = await self._desk.library.days(*channel, query.first, query.last, zone)
        except OverflowError:
            raise Invalid("invalid_range", "No calendar goes that far") from None
        return json_answer(DayList.of(found))

    async def show(self, request: web.Request) -> web.Response:
        """Answer GET recordings/files/{file_id}."""
        return json_answer(RecordingOut.model_validate(await self._file(request)))

    async def delete(self, request: web.Request) -> web.Response:
        """Answer DELETE recordings/files/{file_id}."""
        file = await self._file(request)
        await self._desk.service.delete(file, by=caller_of(request), source=request.remote or "")
        return web.Response(status=204)

    async def lock_file(self, request: web.Request) -> web.Response:
        """Answer POST recordings/files/{file_id}/lock."""
        return await self._lock_file(request, locked=True)

    async def unlock_file(self, request: web.Request) -> web.Response:
        """Answer POST recordings/files/{file_id}/unlock."""
        return await self._lock_file(request, locked=False)

    async def lock_range(self, request: web.Request) -> web.Response:
        """Answer POST recordings/{device_id}/{channel_id}/lock."""
        return await self._lock_range(request, locked=True)

    async def unlock_range(self, request: web.Request) -> web.Response:
        """Answer POST recordings/{device_id}/{channel_id}/unlock."""
        return await self._lock_range(request, locked=False)

    async def _lock_file(self, request: web.Request, *, locked: bool) -> web.Response:
        (file,) = await self._lock(request, [await self._file(request)], locked=locked)
        return json_answer(RecordingOut.model_validate(file))

    async def _lock_range(self, request: web.Request, *, locked: bool) -> web.Response:
        body = await body_of(request, LockIn)
        _require_order(body.start, body.end)
        channel = self._checked(request, "lock" if locked else "unlock")
        files = await self._desk.library.files(*channel, begin=body.start, end=body.end)
        changed = await self._lock(request, files, locked=locked)
        return json_answer(recording_list(changed, more=False))

    async def _lock(
        self, request: web.Request, files: Sequence[RecordFile], *, locked: bool
    ) -> list[RecordFile]:
        return await self._desk.service.lock(
            files, locked=locked, by=caller_of(request), source=request.remote or ""
        )

    async def _file(self, request: web.Request) -> RecordFile:
        file = await self._desk.library.find(request.match_info["file_id"])
        self._channels.check(request, file.device_id, file.channel_id, Action.PLAYBACK, "file")
        return file

    def _checked(self, request: web.Request, what: str) -> tuple[str, str]:
        names = request.match_info["device_id"], request.match_info["channel_id"]
        channel = self._channels.check(request, *names, Action.PLAYBACK, what)
        return channel.device_id, channel.channel_id


def _require_order(begin: datetime, end: datetime) -> None:
    if not timedelta() < end - begin <= MAX_RANGE:
        raise Invalid(
            "invalid_range", f"The time ends after its begin, {MAX_RANGE.days} days at most"
        )
