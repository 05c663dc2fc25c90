"""The web console and the test player: files of `gateway/web` as they are, without any build step."""

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.domain.errors import NotFound
from gateway.http.route import Access, Route

__all__ = ["StaticFile", "StaticPages"]

CONSOLE = "/console/"
_PLAYER = ("player.html", "player.js", "player.css")
_TYPES: Mapping[str, str] = {
    "html": "text/html",
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
    "png": "image/png",
    "webp": "image/webp",
    "ico": "image/x-icon",
    "json": "application/json",
    "webmanifest": "application/manifest+json",
}
"""What is served; other files of the folder are not."""
_TEXT = frozenset({"text/html", "text/javascript", "text/css"})
_WORTH_PACKING = 1024
"""Bytes from which on compressing saves a packet."""
_PLAYER_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; media-src blob:; "
    "connect-src 'self' ws: wss: http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CONSOLE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'{sockets}; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_BELOW = {
    "{file}": "console_file",
    "{folder}/{file}": "console_folder_file",
    "{folder}/{part}/{file}": "console_part_file",
}
"""How deep the folders of the console may be."""
_HOST = re.compile(r"[0-9A-Za-z.\-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # A new gateway brings new files under the same names: asked for each time, sent only when they differ.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, ready to be sent."""

    kind: str
    """Content type."""
    body: bytes
    packed: bytes | None
    """The same with gzip, if that is shorter."""
    etag: str

    @classmethod
    def of(cls, kind: str, body: bytes) -> "StaticFile":
        """Prepare a file."""
        packed = gzip.compress(body, 9, mtime=0) if len(body) >= _WORTH_PACKING else body
        return cls(
            kind=kind,
            body=body,
            packed=packed if len(packed) < len(body) else None,
            etag=hashlib.sha256(body).hexdigest()[:32],
        )


class StaticPages:
    """Files of `gateway/web`, read once.

    Args:
        files: By path below the folder: `css/tokens.css`.
    """

    def __init__(self, files: Mapping[str, StaticFile]) -> None:
        self._files = files

    @classmethod
    def read(cls) -> "StaticPages":
        """Read the files; blocks."""
        return cls(dict(_walk(resources.files("gateway") / "web")))

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        player = [
            _route("/" + name.removesuffix(".html"), partial(self.file, name), name, "player")
            for name in _PLAYER
        ]
        ways = [
            _route("/", self.to_console, "root", "console", status=302),
            _route("/console", self.to_console, "console_root", "console", status=302),
            _route(CONSOLE, partial(self.file, "index.html"), "console", "console"),
        ]
        below = [
            _route(CONSOLE + path, self.below, name, "console", errors=(404,))
            for path, name in _BELOW.items()
        ]
        return [*player, *ways, *below]

    async def below(self, request: web.Request) -> web.Response:
        """Answer GET of a file of the console."""
        name = "/".join(request.match_info.values())
        # The dictionary is what is served: no path leads from here to the disk.
        if name not in self._files or name in _PLAYER:
            raise NotFound("file_unknown", f"The console has no file {name[:80]}")
        return await self.file(name, request)

    async def file(self, name: str, request: web.Request) -> web.Response:
        """Answer GET of one file."""
        file = self._files[name]
        headers = {
            **_HEADERS,
            "Content-Security-Policy": (
                _PLAYER_POLICY if name in _PLAYER else _console_policy(request.host)
            ),
        }
        if any(tag.value in {file.etag, "*"} for tag in request.if_none_match or ()):
            response = web.Response(status=304, headers=headers)
        else:
            packed = file.packed if _takes_gzip(request) else None
            response = web.Response(
                body=file.body if packed is None else packed,
                content_type=file.kind,
                charset="utf-8" if file.kind in _TEXT else None,
                headers=headers,
            )
            if packed is not None:
                response.headers["Content-Encoding"] = "gzip"
        response.headers["ETag"] = f'W/"{file.etag}"'
        return response

    async def to_console(self, request: web.Request) -> web.Response:
        """Answer GET of what leads to the console."""
        return web.Response(status=302, headers={"Location": CONSOLE, **_HEADERS})


def _route(
    path: str,
    handler: Handler,
    name: str,
    tag: str,
    *,
    status: int = 200,
    errors: tuple[int, ...] = (),
) -> Route:
    kinds = tuple(sorted(_TYPES.values())) if "{" in path else (_type_of(name),)
    return Route(
        method="GET",
        path=path,
        handler=handler,
        name="get_" + name.replace(".", "_"),
        summary=f"The web console ({path})" if tag == "console" else f"The test player's {name}",
        tag=tag,
        access=Access.OPEN,
        media=kinds if status == 200 else (),
        status=status,
        errors=errors,
    )


def _walk(folder: Traversable, above: str = "") -> Iterator[tuple[str, StaticFile]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        name = above + item.name
        if item.name.startswith((".", "_")):
            continue
        if item.is_dir():
            yield from _walk(item, name + "/")
        elif item.name.rpartition(".")[2] in _TYPES:
            yield name, StaticFile.of(_type_of(name), item.read_bytes())


def _type_of(name: str) -> str:
    return _TYPES.get(name.rpartition(".")[2], "text/html")


def _console_policy(host: str) -> str:
    # Older browsers do not count ws: as 'self'. The host is the client's word: only a plain one is repeated.
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return _CONSOLE_POLICY.format(sockets=sockets)


def _takes_gzip(request: web.Request) -> bool:
    offered = request.headers.get("Accept-Encoding", "")
    return any(
        part.partition(";")[0].strip() == "gzip" and "q=0" not in part.replace(" ", "").split(";")
        for part in offered.lower().split(",")
    )
