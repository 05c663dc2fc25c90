"""Operations on API keys."""

from collections.abc import Callable, Sequence

from aiohttp import web

from gateway.http.deps import HttpDeps
from gateway.http.principal import caller_of
from gateway.http.route import Route, body_of, json_answer, query_of
from gateway.http.schemas.department import (
    KeyChangeIn,
    KeyIn,
    KeyIssuedOut,
    KeyList,
    KeyOut,
    KeyQuery,
)
from gateway.sharing.keys import ApiKey

__all__ = ["KeyApi"]

_KEYS = "/api/v1/keys"


class KeyApi:
    """Handlers under `/api/v1/keys`.

    Args:
        deps: What the handlers work with.
        open_by: How many streams a key has open.
    """

    def __init__(self, deps: HttpDeps, open_by: Callable[[str], int]) -> None:
        self._keys = deps.sharing.keys
        self._wall = deps.wall
        self._open_by = open_by

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        tag, one = "keys", f"{_KEYS}/{{key_id}}"
        return (
            Route(
                method="GET",
                path=_KEYS,
                handler=self.list_keys,
                name="list_keys",
                summary="List keys",
                tag=tag,
                query=KeyQuery,
                answer=KeyList,
            ),
            Route(
                method="POST",
                path=_KEYS,
                handler=self.create_key,
                name="create_key",
                summary="Make a key; its secret is shown this once",
                tag=tag,
                body=KeyIn,
                answer=KeyIssuedOut,
                status=201,
                errors=(404, 409, 503),
            ),
            Route(
                method="GET",
                path=one,
                handler=self.get_key,
                name="get_key",
                summary="Show one key",
                tag=tag,
                answer=KeyOut,
                errors=(404,),
            ),
            Route(
                method="PATCH",
                path=one,
                handler=self.change_key,
                name="change_key",
                summary="Change a key; disabling it ends what it has open",
                tag=tag,
                body=KeyChangeIn,
                answer=KeyOut,
                errors=(404, 503),
            ),
            Route(
                method="POST",
                path=f"{one}/rotate",
                handler=self.rotate_key,
                name="rotate_key",
                summary="Give a key a new secret; the old one is worthless at once",
                tag=tag,
                answer=KeyIssuedOut,
                errors=(404, 503),
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.delete_key,
                name="delete_key",
                summary="Delete a key; what it has open ends",
                tag=tag,
                status=204,
                errors=(404, 503),
            ),
        )

    async def list_keys(self, request: web.Request) -> web.Response:
        """Answer GET keys."""
        query = query_of(request, KeyQuery)
        items = [self._key_out(key) for key in self._keys.all(query.department)]
        return json_answer(KeyList(items=items, total=len(items)))

    async def create_key(self, request: web.Request) -> web.Response:
        """Answer POST keys."""
        body = await body_of(request, KeyIn)
        issued = await self._keys.create(
            body.settings(),
            department=body.department,
            role=body.role.value if body.role else "",
            by=caller_of(request),
        )
        return json_answer(KeyIssuedOut.of_issued(issued, now=self._wall()), 201)

    async def get_key(self, request: web.Request) -> web.Response:
        """Answer GET keys/{key_id}."""
        return json_answer(self._key_out(self._keys.get(request.match_info["key_id"])))

    async def change_key(self, request: web.Request) -> web.Response:
        """Answer PATCH keys/{key_id}."""
        body = await body_of(request, KeyChangeIn)
        key = self._keys.get(request.match_info["key_id"])
        settings = body.merged(key.settings)
        changed = await self._keys.change(key.key_id, settings, by=caller_of(request))
        return json_answer(self._key_out(changed))

    async def rotate_key(self, request: web.Request) -> web.Response:
        """Answer POST keys/{key_id}/rotate."""
        issued = await self._keys.rotate(request.match_info["key_id"], by=caller_of(request))
        return json_answer(KeyIssuedOut.of_issued(issued, now=self._wall()))

    async def delete_key(self, request: web.Request) -> web.Response:
        """Answer DELETE keys/{key_id}."""
        await self._keys.delete(request.match_info["key_id"], by=caller_of(request))
        return web.Response(status=204)

    def _key_out(self, key: ApiKey) -> KeyOut:
        return KeyOut.of(key, now=self._wall(), open_streams=self._open_by(key.key_id))
