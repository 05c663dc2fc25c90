"""Status, diagnosis, health, metrics and the API's own description."""

from collections.abc import Callable, Sequence

from aiohttp import web

from gateway.domain.errors import NotFound
from gateway.http.deps import HttpDeps
from gateway.http.problem import ApiError
from gateway.http.report import status_report
from gateway.http.route import Access, Route, body_of, json_answer
from gateway.http.schemas.session import SessionOut
from gateway.http.schemas.system import CauseOut, DiagnosisOut, ExplainIn, StatusOut, Words
from gateway.observe.metrics import CONTENT_TYPE
from gateway.sessions import diagnosis

__all__ = ["SystemApi"]


class SystemApi:
    """Handlers that are about the gateway itself.

    Args:
        description: Gives the OpenAPI document.
    """

    def __init__(self, deps: HttpDeps, description: Callable[[], bytes]) -> None:
        self._deps = deps
        self._description = description

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (
            Route(
                method="GET",
                path="/api/v1/status",
                handler=self.status,
                name="get_status",
                summary="Counts, what is wrong and since when",
                tag="system",
                access=Access.LOCAL,
                answer=StatusOut,
            ),
            Route(
                method="POST",
                path="/api/v1/doctor/explain",
                handler=self.explain,
                name="explain_session",
                summary="Say which stage a session failed at, and the likely causes",
                tag="system",
                access=Access.LOCAL,
                body=ExplainIn,
                body_required=False,
                answer=DiagnosisOut,
                errors=(404, 413, 415, 422),
            ),
            Route(
                method="GET",
                path="/api/openapi.json",
                handler=self.openapi,
                name="get_openapi",
                summary="This description",
                tag="system",
                access=Access.ANY,
                media=("application/json",),
            ),
            Route(
                method="GET",
                path="/metrics",
                handler=self.metrics,
                name="get_metrics",
                summary="Metrics in Prometheus form",
                tag="system",
                access=Access.LOCAL,
                media=("text/plain",),
            ),
            Route(
                method="GET",
                path="/healthz",
                handler=self.healthz,
                name="get_health",
                summary="Whether the process lives",
                tag="system",
                access=Access.OPEN,
                media=("text/plain",),
            ),
            Route(
                method="GET",
                path="/readyz",
                handler=self.readyz,
                name="get_readiness",
                summary="Whether the gateway can serve",
                tag="system",
                access=Access.OPEN,
                media=("text/plain",),
                errors=(503,),
            ),
        )

    async def status(self, request: web.Request) -> web.Response:
        """Answer GET status."""
        return json_answer(status_report(self._deps))

    async def explain(self, request: web.Request) -> web.Response:
        """Answer POST doctor/explain."""
        body = await body_of(request, ExplainIn, required=False)
        if body.session_id is not None:
            record = self._deps.sessions.get(body.session_id)
        else:
            latest = diagnosis.latest_failure(list(self._deps.sessions.sessions()))
            if latest is None:
                raise NotFound(
                    "no_failed_session", "No session has failed since the gateway started"
                )
            record = latest
        found = diagnosis.explain(record)
        answer = DiagnosisOut(
            session=SessionOut.of(record),
            failed_stage=found.failed_stage.value if found.failed_stage else None,
            summary=Words.model_validate(found.summary),
            observations=[Words.model_validate(words) for words in found.observations],
            causes=[CauseOut.model_validate(cause) for cause in found.causes],
        )
        return json_answer(answer)

    async def openapi(self, request: web.Request) -> web.Response:
        """Answer GET openapi.json."""
        return web.Response(
            body=self._description(), content_type="application/json", charset="utf-8"
        )

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer GET metrics."""
        return web.Response(
            body=self._deps.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE}
        )

    async def healthz(self, request: web.Request) -> web.Response:
        """Answer GET healthz."""
        return web.Response(text="ok\n")

    async def readyz(self, request: web.Request) -> web.Response:
        """Answer GET readyz."""
        missing = self._deps.ready()
        if missing is not None:
            raise ApiError(503, "not_ready", missing)
        return web.Response(text="ready\n")
