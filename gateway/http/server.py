"""The HTTP server: puts the route table behind log, errors and credentials, and listens."""

import asyncio
import os
import secrets
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.domain.errors import Unavailable
from gateway.http.audit import AuditApi
from gateway.http.auth import Authenticator, has_credential
from gateway.http.bridges import BridgeApi
from gateway.http.channels import ChannelApi
from gateway.http.console import ConsoleApi
from gateway.http.controls import ControlApi
from gateway.http.departments import DepartmentApi
from gateway.http.deps import HttpDeps
from gateway.http.devices import DeviceApi
from gateway.http.entrance import StreamEntrance
from gateway.http.forwarded import Forwarded
from gateway.http.gate import ChannelGate
from gateway.http.grants import GrantApi
from gateway.http.hls import HlsApi
from gateway.http.keys import KeyApi
from gateway.http.logged import is_viewing, logged_path
from gateway.http.openapi import describe_bytes
from gateway.http.options import HttpOptions
from gateway.http.origin import Origins
from gateway.http.overview import OverviewApi
from gateway.http.platforms import PlatformApi
from gateway.http.policy import PolicyApi
from gateway.http.principal import authorise, received_from
from gateway.http.problem import ApiError, problem_middleware
from gateway.http.pushes import PushApi
from gateway.http.recordings import RecordingApi
from gateway.http.recordings_plans import RecordPlanApi
from gateway.http.recordings_play import RecordingPlayApi
from gateway.http.route import ROUTE, Access, Route
from gateway.http.sessions import SessionApi
from gateway.http.snapshots import SnapshotApi
from gateway.http.sources import SourceApi
from gateway.http.stops import StopApi
from gateway.http.stream_token import StreamTokens
from gateway.http.streams import StreamApi
from gateway.http.system import SystemApi
from gateway.http.tokens import TokenLedger, Tokens
from gateway.http.tree import TreeApi
from gateway.http.users import UserApi
from gateway.http.visible import VisibleChannels
from gateway.http.web import StaticPages
from gateway.http.whep import WhepApi
from gateway.observe.log import RateLimitedCounter
from gateway.sharing.changelog import ChangeLog
from gb28181.aio.clock import monotonic

__all__ = ["HttpServer"]

log = structlog.get_logger()


class HttpServer:
    """API, streams, health and test player on one port; use as an async context manager or start and stop.

    Args:
        deps: What the handlers work with.
        options: Values.
    """

    def __init__(self, deps: HttpDeps, options: HttpOptions) -> None:
        self._deps = deps
        self._options = options
        self._runner: web.AppRunner | None = None
        self._entrance: StreamEntrance | None = None
        self._tokens: Tokens | None = None
        self.routes: Sequence[Route] = ()
        """All operations, once started."""
        self.port = 0
        """As bound."""

    @property
    def url(self) -> str:
        """Base URL for this machine."""
        host = self._options.host
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - a comparison
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"http://{host}:{self.port}"

    @property
    def cli_token(self) -> str:
        """This start's token for the local CLI."""
        return self.tokens.cli_token

    @property
    def new_admin_token(self) -> str | None:
        """The admin token if this start made it: show it now, it is not kept."""
        return self.tokens.new_admin_token

    @property
    def tokens(self) -> Tokens:
        """All credentials of this run."""
        if self._tokens is None:
            raise RuntimeError("the HTTP server is not started")
        return self._tokens

    @property
    def entrance(self) -> StreamEntrance:
        """The way in for viewers of every face, once started."""
        if self._entrance is None:
            raise RuntimeError("the HTTP server is not started")
        return self._entrance

    @property
    def viewers(self) -> int:
        """Viewers connected."""
        return self._entrance.viewers if self._entrance else 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make the tokens and listen.

        Raises:
            Unavailable: `http_not_listening`: the port is taken or the address is not ours.
        """
        options = self._options
        self._tokens = await asyncio.to_thread(Tokens.open, options.data_dir, options.admin_token)
        pages = await asyncio.to_thread(StaticPages.read)
        application = self._build(self._tokens, pages)
        runner = web.AppRunner(
            application,
            access_log=None,
            auto_decompress=False,
            shutdown_timeout=options.close_timeout,
        )
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, options.host, options.port, backlog=1024).start()
        except OSError as exc:
            await self.stop()
            raise Unavailable(
                "http_not_listening",
                f"Cannot listen on {options.host}:{options.port}: "
                f"{os.strerror(exc.errno) if exc.errno else exc}",
            ) from exc
        self.port = int(runner.addresses[0][1])
        await asyncio.to_thread(self._tokens.announce, options.data_dir, self.url)
        log.info("http_listening", url=self.url)

    async def stop(self) -> None:
        """End all streams and requests; bounded by `close_timeout`."""
        if self._entrance is not None:
            self._entrance.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._tokens is not None:
            await asyncio.to_thread(self._tokens.withdraw, self._options.data_dir)

    def _build(self, tokens: Tokens, pages: StaticPages) -> web.Application:
        deps, options = self._deps, self._options
        origins = Origins(options.cors_origins, options.public_url)
        sharing = deps.sharing
        authenticator = Authenticator(
            tokens=tokens,
            keys=sharing.keys,
            audit=sharing.audit,
            wall=deps.wall,
            now=deps.now,
            new_id=_new_id,
            skew=options.signature_skew,
            failures=options.auth_failures,
            users=sharing.users,
            logins=sharing.logins,
            origins=origins,
        )
        changes = ChangeLog(sharing.audit, wall=deps.wall, new_id=_new_id)
        gate = ChannelGate(sharing.access, deps.devices, deps.wall)
        visible = VisibleChannels(sharing.access, deps.devices, deps.wall, deps.now)
        issued = StreamTokens(deps, options, tokens.streams, TokenLedger(_new_id), authenticator)
        entrance = StreamEntrance(deps, options, gate, issued, authenticator)
        streams = StreamApi(deps, options, gate, origins, entrance)
        self._entrance = entrance
        self.routes = (
            *DeviceApi(deps, gate, visible).routes(),
            *ChannelApi(
                deps,
                options,
                gate=gate,
                visible=visible,
                tokens=issued,
                open_by=entrance.open_by,
            ).routes(),
            *SessionApi(deps, gate, visible).routes(),
            *TreeApi(deps, gate, visible).routes(),
            *OverviewApi(deps, options, visible).routes(),
            *DepartmentApi(deps, entrance.open_by).routes(),
            *KeyApi(deps, entrance.open_by).routes(),
            *UserApi(deps, entrance.open_by, changes).routes(),
            *ConsoleApi(
                deps,
                options,
                origins=origins,
                is_admin_token=tokens.accepts,
                changes=changes,
                limited=RateLimitedCounter(log.warning, "logins_limited"),
            ).routes(),
            *ControlApi(deps, gate).routes(),
            *PlatformApi(deps).routes(),
            *BridgeApi(deps).routes(),
            *PolicyApi(deps).routes(),
            *GrantApi(deps).routes(),
            *StopApi(deps).routes(),
            *AuditApi(deps, gate).routes(),
            *(PushApi(deps, deps.pushes).routes() if deps.pushes else ()),
            *(SourceApi(deps, deps.sources).routes() if deps.sources else ()),
            *SystemApi(deps, lambda: description).routes(),
            *streams.routes(),
            *(WhepApi(deps, deps.webrtc, origins, entrance).routes() if deps.webrtc else ()),
            *(HlsApi(deps, deps.hls, gate, origins, entrance).routes() if deps.hls else ()),
            *(SnapshotApi(deps, deps.snapshots, gate).routes() if deps.snapshots else ()),
            *_recording_routes(deps, gate, entrance),
            *pages.routes(),
        )
        description = describe_bytes(self.routes, version=deps.version or "0")
        application = web.Application(
            client_max_size=1,  # bodies are read by raw_body, each route with its own limit
            middlewares=[
                Forwarded(options.trusted_proxies).middleware(),
                self._record(),
                origins.middleware(),
                problem_middleware,
                _guard(self.routes, authenticator),
            ],
        )
        for route in self.routes:
            application.router.add_route(route.method, route.path, route.handler)
        return application

    def _record(self) -> Middleware:
        requests = self._deps.metrics.http_requests

        @web.middleware
        async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
            began, status = monotonic(), 0
            try:
                response = await handler(request)
                status = response.status
                return response
            finally:
                requests.labels(str(status or 499)).inc()
                often = request.path in {"/healthz", "/readyz", "/metrics"} or is_viewing(request)
                # A page of the console asks for some forty files.
                often = often or request.path.startswith("/console/")
                quiet = often and status < 400
                (log.debug if quiet else log.info)(
                    "http_request_handled",
                    method=request.method,
                    path=logged_path(request),
                    status=status or 499,
                    source=request.remote,
                    duration_ms=round((monotonic() - began) * 1000, 2),
                )

        return record


def _new_id() -> str:
    return secrets.token_hex(8)


def _recording_routes(
    deps: HttpDeps, gate: ChannelGate, entrance: StreamEntrance
) -> Sequence[Route]:
    desk = deps.recordings
    if desk is None:
        return ()
    return (
        # The first that fits a path answers: `files/ID.mp4` before `files/ID`.
        *RecordingPlayApi(deps, desk, gate, entrance).routes(),
        *RecordPlanApi(deps, desk, gate).routes(),
        *RecordingApi(deps, desk, gate).routes(),
    )


def _guard(routes: Sequence[Route], authenticator: Authenticator) -> Middleware:
    table = {(route.method, route.path): route for route in routes}

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = table.get((request.method, resource.canonical)) if resource else None
        # Strangers are not told what is not served (404, 405).
        access = route.access if route else Access.ANY
        request[ROUTE] = route
        if access in {Access.OPEN, Access.VIEWING}:
            return await handler(request)
        try:
            # A stream token is for the handler to read: it is bound to the stream.
            if access is not Access.STREAM or has_credential(request):
                principal = await authenticator.identify(request)
                received_from(request, principal)
                authorise(principal, access)
            return await handler(request)
        except ApiError as exc:
            if exc.status != 401:
                raise
            raise authenticator.refused(request, exc) from None

    return guard
