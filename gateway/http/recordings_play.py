"""Recordings as MP4: played, taken away, with ranges of bytes (RFC 9110 14)."""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

import structlog
from aiohttp import web

from gateway.domain.device import Channel
from gateway.domain.errors import Forbidden, Unavailable
from gateway.domain.policy import Action, Decision
from gateway.domain.recording import Clip
from gateway.http.deps import HttpDeps
from gateway.http.entrance import StreamEntrance
from gateway.http.entry import Entry
from gateway.http.gate import ChannelGate
from gateway.http.problem import ApiError
from gateway.http.recordings import BASE
from gateway.http.recordings_channel import RecordedChannels
from gateway.http.recordings_desk import RecordingDesk
from gateway.http.route import Access, Route, json_answer, query_of
from gateway.http.schemas.recording import ClipOut, ClipQuery
from gateway.recording.library import SUB_STREAM, main_stream_only

__all__ = ["RecordingPlayApi", "parse_range"]

log = structlog.get_logger()

MP4 = "video/mp4"
TAKE_TIMEOUT = 60.0
"""Seconds for which a player may take nothing; a paused one asks again for the range it needs."""
MAX_PARTS = 50
"""Parts told in a header; all of them are in the description."""
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class RecordingPlayApi:
    """Handlers that give pictures.

    Args:
        deps: Devices, clock.
        desk: The recordings.
        gate: Asks the sharing policy.
        entrance: Lets viewers in.
    """

    def __init__(
        self,
        deps: HttpDeps,
        desk: RecordingDesk,
        gate: ChannelGate,
        entrance: StreamEntrance,
    ) -> None:
        self._deps = deps
        self._library = desk.library
        self._gate = gate
        self._entrance = entrance
        self._channels = RecordedChannels(deps, gate)

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        tag, channel = "recordings", f"{BASE}/{{device_id}}/{{channel_id}}"
        clips = (
            (
                f"{channel}/play.mp4",
                self.play,
                "play_recording",
                "Play from an instant on, as fast as it is taken",
                Access.PLAYBACK,
                ClipQuery,
            ),
            (
                f"{channel}/download.mp4",
                self.download,
                "download_recording",
                "Take a time away as one MP4 file",
                Access.DOWNLOAD,
                ClipQuery,
            ),
            (
                f"{BASE}/files/{{file_id}}.mp4",
                self.file,
                "download_recording_file",
                "Take one file away as it is kept",
                Access.DOWNLOAD,
                None,
            ),
        )
        return (
            *(
                Route(
                    method=method,
                    path=path,
                    handler=handler,
                    name=name if method == "GET" else f"probe_{name}",
                    summary=summary if method == "GET" else f"{summary}: headers only",
                    tag=tag,
                    access=access,
                    query=query,
                    media=(MP4,),
                    errors=(404, 416, 422, 503),
                )
                for path, handler, name, summary, access, query in clips
                for method in ("GET", "HEAD")
            ),
            Route(
                method="GET",
                path=f"{channel}/play",
                handler=self.describe,
                name="describe_playback",
                summary="What play.mp4 would show: parts, gaps, codecs",
                tag=tag,
                access=Access.PLAYBACK,
                query=ClipQuery,
                answer=ClipOut,
                errors=(404, 422, 503),
            ),
        )

    async def describe(self, request: web.Request) -> web.Response:
        """Answer GET recordings/{device_id}/{channel_id}/play."""
        query = query_of(request, ClipQuery)
        names = request.match_info["device_id"], request.match_info["channel_id"]
        principal, channel, context = self._channels.find(request, *names, Action.PLAYBACK)
        decision = self._gate.check(principal, Action.PLAYBACK, channel, context, "describe")
        clip = await self._clip(request, channel, query, Action.PLAYBACK, decision)
        path = f"{BASE}/{channel.device_id}/{channel.channel_id}"
        # With an end what is played stays the same, and ranges of it can be asked for.
        end = query.end or clip.parts[-1].end
        words = urlencode({"start": query.start.isoformat(), "end": end.isoformat()})
        answer = ClipOut.of(clip, f"{path}/play.mp4?{words}", f"{path}/download.mp4?{words}")
        return json_answer(answer)

    async def play(self, request: web.Request) -> web.StreamResponse:
        """Answer GET recordings/{device_id}/{channel_id}/play.mp4."""
        return await self._give_clip(request, Action.PLAYBACK)

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Answer GET recordings/{device_id}/{channel_id}/download.mp4."""
        return await self._give_clip(request, Action.DOWNLOAD)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Answer GET recordings/files/{file_id}.mp4."""
        file = await self._library.find(request.match_info["file_id"])
        _, channel, _ = self._channels.find(
            request, file.device_id, file.channel_id, Action.DOWNLOAD
        )
        decision = self._decide(request, channel, Action.DOWNLOAD)
        is_main = file.stream != SUB_STREAM
        if decision.obligations.sub_stream and is_main:
            raise self._refused(request, channel, Action.DOWNLOAD, main_stream_only())
        clip = await self._library.whole(file)
        headers = {}
        if file.sha256:
            headers["Repr-Digest"] = f"sha-256=:{_base64(file.sha256)}:"
        return await self._give(request, channel, Action.DOWNLOAD, clip, headers, is_main=is_main)

    async def _give_clip(self, request: web.Request, action: Action) -> web.StreamResponse:
        query = query_of(request, ClipQuery)
        names = request.match_info["device_id"], request.match_info["channel_id"]
        _, channel, _ = self._channels.find(request, *names, action)
        # Those who may not are not told whether there is anything.
        decision = self._decide(request, channel, action)
        clip = await self._clip(request, channel, query, action, decision)
        is_main = not decision.obligations.sub_stream
        return await self._give(request, channel, action, clip, {}, is_main=is_main)

    async def _clip(
        self,
        request: web.Request,
        channel: Channel,
        query: ClipQuery,
        action: Action,
        decision: Decision,
    ) -> Clip:
        """Cut a clip of what the policy lets them see; that there is only more than that is on record."""
        try:
            return await self._library.clip(
                channel.device_id,
                channel.channel_id,
                query.start,
                query.end,
                sub_stream=decision.obligations.sub_stream,
            )
        except Forbidden as exc:
            raise self._refused(request, channel, action, exc) from None

    def _decide(self, request: web.Request, channel: Channel, action: Action) -> Decision:
        visit = self._entrance.visit(request)
        return self._gate.decide(visit.principal, action, channel, visit.context)

    def _refused(
        self, request: web.Request, channel: Channel, action: Action, error: Forbidden
    ) -> Forbidden:
        visit = self._entrance.visit(request)
        self._gate.refuse(visit.principal, action, channel, visit.context, error.code, error.detail)
        return error

    async def _give(
        self,
        request: web.Request,
        channel: Channel,
        action: Action,
        clip: Clip,
        extra: Mapping[str, str],
        *,
        is_main: bool,
    ) -> web.StreamResponse:
        """Send a clip or a range of it; a lasting access, which the policy may end."""
        headers = {
            "Content-Type": f'{MP4}; codecs="{clip.mime}"' if clip.mime else MP4,
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
            **_facts(clip),
            **extra,
        }
        if action is Action.DOWNLOAD:
            headers["Content-Disposition"] = f'attachment; filename="{_name(channel, clip)}"'
        if request.method == "HEAD":
            self._decide(request, channel, action)
            headers["Content-Length"] = str(clip.size)
            return web.Response(headers=headers)
        span = _span(request, clip)
        status, first, last = (200, 0, clip.size - 1) if span is None else (206, *span)
        if span is not None:
            headers["Content-Range"] = f"bytes {first}-{last}/{clip.size}"
        stopped = asyncio.Event()
        entry = self._entrance.visit(request).enter(
            channel,
            via="http",
            format="mp4",
            stop=lambda *_: stopped.set(),
            action=action,
        )
        if entry.stream != 0 and is_main:
            # The policy was changed while the clip was cut.
            error = main_stream_only()
            entry.end(error.code, error.detail)
            raise error
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = last - first + 1
        return await _Giving(request, response, entry, stopped).run(clip, first, last)


class _Giving:
    """One answer under way."""

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        entry: Entry,
        stopped: asyncio.Event,
    ) -> None:
        self._request = request
        self._response = response
        self._entry = entry
        self._stopped = stopped
        self._sent = 0

    async def run(self, clip: Clip, first: int, last: int) -> web.StreamResponse:
        code, detail = "viewer_left", ""
        try:
            async with asyncio.TaskGroup() as group:
                # The policy's word ends a write to a client that takes nothing, too.
                guard = group.create_task(self._guard(), name="playback:guard")
                try:
                    await self._send(clip, first, last)
                    code = "completed"
                finally:
                    guard.cancel()
        except* Unavailable as group_error:
            error = group_error.exceptions[0]
            code, detail = "recording_unreadable", str(error)
            if self._request.transport is not None:
                self._request.transport.abort()
        except* ConnectionError:
            detail = "The player closed the connection"
        except* TimeoutError:
            code = "too_slow"
            detail = f"The player took nothing for {TAKE_TIMEOUT:g} s"
            if self._request.transport is not None:
                self._request.transport.abort()
        finally:
            self._entry.end(code, detail, sent=self._sent)
        return self._response

    async def _send(self, clip: Clip, first: int, last: int) -> None:
        response = self._response
        await response.prepare(self._request)
        pieces = clip.read(first, last)
        try:
            async for piece in pieces:
                async with asyncio.timeout(TAKE_TIMEOUT):
                    await response.write(piece)
                self._sent += len(piece)
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()
        async with asyncio.timeout(TAKE_TIMEOUT):
            await response.write_eof()

    async def _guard(self) -> None:
        await self._stopped.wait()
        if self._request.transport is not None:
            self._request.transport.abort()


def parse_range(value: str, size: int) -> tuple[int, int] | None:
    """Return first and last byte of a Range header; None if it is to be ignored.

    Raises:
        ApiError: 416 `range_not_satisfiable`.
    """
    match = _RANGE.fullmatch(value.strip())
    if match is None or not (match[1] or match[2]):
        # Several ranges, other units, nonsense: the whole is a right answer to all of them.
        return None
    if match[1]:
        first = int(match[1])
        last = min(int(match[2]), size - 1) if match[2] else size - 1
        if match[2] and int(match[2]) < first:
            return None
    else:
        first, last = max(0, size - int(match[2])), size - 1
    if first > last:
        raise ApiError(
            416,
            "range_not_satisfiable",
            f"There are {size} bytes, {value[:60]} asks for others",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return first, last


def _span(request: web.Request, clip: Clip) -> tuple[int, int] | None:
    value, known = request.headers.get("Range"), request.headers.get("If-Range")
    # What still grows has other bytes each time.
    if value is None or not clip.etag or known not in {None, f'"{clip.etag}"'}:
        return None
    return parse_range(value, clip.size)


def _facts(clip: Clip) -> dict[str, str]:
    parts = [
        {"begin": part.begin.isoformat(), "end": part.end.isoformat(), "at": round(part.at, 3)}
        for part in clip.parts[:MAX_PARTS]
    ]
    headers = {
        "X-Recording-Begin": clip.parts[0].begin.isoformat(),
        "X-Recording-End": clip.parts[-1].end.isoformat(),
        "X-Recording-Parts": json.dumps(parts, separators=(",", ":")),
    }
    if clip.next is not None:
        headers["X-Recording-Next"] = clip.next.isoformat()
    if clip.etag:
        headers |= {"ETag": f'"{clip.etag}"', "Accept-Ranges": "bytes"}
    else:
        headers["Accept-Ranges"] = "none"
    return headers


def _name(channel: Channel, clip: Clip) -> str:
    begin, end = _stamp(clip.parts[0].begin), _stamp(clip.parts[-1].end)
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", channel.channel_id)
    return f"{safe}_{begin}_{end}.mp4"


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _base64(digest: str) -> str:
    return b64encode(bytes.fromhex(digest)).decode()
