"""The static pages: a test player, without any build step."""

from collections.abc import Sequence
from functools import partial
from importlib import resources

from aiohttp import web

from gateway.http.route import Access, Route

__all__ = ["StaticPages"]

_FILES = {
    "/player": ("player.html", "text/html"),
    "/player.js": ("player.js", "text/javascript"),
    "/player.css": ("player.css", "text/css"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; media-src blob:; "
    "connect-src 'self' ws: wss: http: https:; base-uri 'none'; form-action 'none'"
)


class StaticPages:
    """Files of `gateway/web`, read once."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self._contents = contents

    @classmethod
    def read(cls) -> "StaticPages":
        """Read the files; blocks."""
        folder = resources.files("gateway") / "web"
        return cls({name: (folder / name).read_bytes() for name, _ in _FILES.values()})

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return [
            Route(
                method="GET",
                path=path,
                handler=partial(self.page, name, kind),
                name="get_" + name.replace(".", "_"),
                summary=f"The test player's {name}",
                tag="player",
                access=Access.OPEN,
                media=(kind,),
            )
            for path, (name, kind) in _FILES.items()
        ]

    async def page(self, name: str, kind: str, request: web.Request) -> web.Response:
        """Answer GET of one file."""
        return web.Response(
            body=self._contents[name],
            content_type=kind,
            charset="utf-8",
            headers={
                "Content-Security-Policy": _POLICY,
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
                "Cache-Control": "no-cache",
            },
        )
