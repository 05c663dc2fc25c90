"""Our answers to requests, each counted and with its one canonical line in the log."""

from collections.abc import Iterable

import structlog
from prometheus_client import Counter

from gateway.observe.metrics import Metrics
from gb28181.aio.incoming import IncomingRequest

__all__ = ["SipAnswers"]

log = structlog.get_logger()


class SipAnswers:
    """Gives them.

    Args:
        metrics: Counts them by method and status.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._counters: dict[tuple[str, int], Counter] = {}
        # Bound once: the module's logger would be bound anew for every message.
        self._log = log.bind()

    def answer(
        self,
        incoming: IncomingRequest,
        status: int,
        reason: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        detail: str = "",
        stateless: bool = False,
    ) -> None:
        """Answer and leave the request's canonical line: keepalives and challenges only at debug."""
        request = incoming.request
        incoming.respond(status, reason, headers=headers, stateless=stateless)
        counter = self._counters.get((request.method, status))
        if counter is None:
            counter = self._metrics.sip_requests.labels(request.method, str(status))
            self._counters[request.method, status] = counter
        counter.inc()
        usual = status == 401 or (request.method == "MESSAGE" and status == 200)
        (self._log.debug if usual else self._log.info)(
            "sip_request_handled",
            method=request.method,
            device_id=request.from_.user,
            source=incoming.flow.remote[0],
            transport=incoming.flow.transport,
            status=status,
            detail=detail,
        )
