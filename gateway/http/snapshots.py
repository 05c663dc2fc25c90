"""A picture of a channel, now: `/api/v1/channels/{device_id}/{channel_id}/snapshot.jpg`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from aiohttp import web
from pydantic import Field

from gateway.domain.device import Channel
from gateway.domain.errors import Gone
from gateway.domain.policy import AccessContext, Action, Decision
from gateway.domain.signalling import Origin
from gateway.domain.snapshot import SnapshotPlane
from gateway.http.deps import HttpDeps
from gateway.http.gate import ChannelGate
from gateway.http.principal import Principal, context_of, principal_of
from gateway.http.problem import END_STATUS, ApiError, words_of
from gateway.http.route import Access, Route, query_of
from gateway.http.schemas.base import MAX_PURPOSE, MAX_TICKET, InModel

__all__ = ["SnapshotApi", "SnapshotQuery"]

JPEG = "image/jpeg"
MAX_AT_ONCE = 4
"""Pictures one key or user may have made at a time: all wait for the same worker, and others want theirs too."""


class SnapshotQuery(InModel):
    """Which picture."""

    width: int | None = Field(default=None, ge=16, le=8192)
    """Pixels; never more than the camera sends. Without it: as the camera sends."""
    stream: Literal["0", "1"] = "0"
    """0 the main stream, 1 the first sub stream; policy may allow the sub stream only."""
    purpose: str = Field(default="", max_length=MAX_PURPOSE)
    """Why; policy may demand it, and it stands in the audit. X-Gb-Purpose says the same."""
    ticket: str = Field(default="", max_length=MAX_TICKET)
    """Number of the case or order behind it."""


class SnapshotApi:
    """Handler of snapshots.

    Args:
        deps: Sessions.
        plane: Makes the pictures.
        gate: Asks the sharing policy.
    """

    def __init__(self, deps: HttpDeps, plane: SnapshotPlane, gate: ChannelGate) -> None:
        self._deps = deps
        self._plane = plane
        self._gate = gate
        self._making: Counter[str] = Counter()
        """Pictures in the making, by key or user."""

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (
            Route(
                method="GET",
                path="/api/v1/channels/{device_id}/{channel_id}/snapshot.jpg",
                handler=self.snapshot,
                name="get_snapshot",
                summary="Take a picture now; starts the camera if nobody is watching",
                tag="channels",
                access=Access.LIVE,
                query=SnapshotQuery,
                media=(JPEG,),
                errors=(404, 409, 429, 502, 503, 504),
            ),
        )

    async def snapshot(self, request: web.Request) -> web.Response:
        """Answer GET of a picture."""
        query = query_of(request, SnapshotQuery)
        principal = principal_of(request)
        context = context_of(
            principal, self._deps.wall, request, purpose=query.purpose, ticket=query.ticket
        )
        names = request.match_info["device_id"], request.match_info["channel_id"]
        channel = self._gate.find(principal, *names, Action.LIVE, context)
        with self._counted(principal, channel, context):
            decision = self._gate.check(principal, Action.LIVE, channel, context, "snapshot")
            return await self._picture(principal, channel, decision, query)

    async def _picture(
        self, principal: Principal, channel: Channel, decision: Decision, query: SnapshotQuery
    ) -> web.Response:
        stream = 1 if decision.obligations.sub_stream else int(query.stream)
        _, task = await self._deps.sessions.join(
            channel.device_id,
            channel.channel_id,
            lambda record: self._plane.begin(record.stream_id),
            stream=stream,
            origin=Origin(asker=principal.subject.label),
        )
        try:
            picture = await task.picture(query.width)
        except Gone as exc:
            words = words_of(exc, outside=not principal.is_local)
            raise ApiError(END_STATUS.get(exc.code, 502), exc.code, words) from None
        finally:
            task.leave()
        taken = self._deps.wall().strftime("%Y%m%dT%H%M%SZ")
        return web.Response(
            body=picture.jpeg,
            content_type=JPEG,
            headers={
                "Cache-Control": "no-store",
                "Content-Disposition": f'inline; filename="{channel.channel_id}-{taken}.jpg"',
                "X-Content-Type-Options": "nosniff",
                "X-Picture-Behind": f"{picture.behind:.3f}",
            },
        )

    @contextmanager
    def _counted(
        self, principal: Principal, channel: Channel, context: AccessContext
    ) -> Iterator[None]:
        """Count a picture as long as it is in the making.

        Raises:
            ApiError: 429 `too_many_snapshots`; recorded.
        """
        # The admin and the CLI token are nobody's in particular.
        holder = principal.holder
        if not holder:
            yield
            return
        if self._making[holder] >= MAX_AT_ONCE:
            whose = "key" if principal.key is not None else "user"
            detail = f"This {whose} may have {MAX_AT_ONCE} pictures made at once"
            code = "too_many_snapshots"
            self._gate.refuse(principal, Action.LIVE, channel, context, code, detail)
            raise ApiError(429, code, detail, headers={"Retry-After": "1"})
        self._making[holder] += 1
        try:
            yield
        finally:
            self._making[holder] -= 1
            if not self._making[holder]:
                del self._making[holder]
