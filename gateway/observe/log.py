"""Logs: structlog to one stream, JSON or console, secrets removed.

Event names are snake_case past tense and constant. Keys that mean the same have the same name everywhere:
`KEYS` is the list to pick from.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any, Literal, TextIO

import structlog

from gateway.observe.redact import redact
from gb28181.aio.clock import monotonic

__all__ = ["KEYS", "RateLimitedCounter", "configure_logging"]

KEYS = frozenset({
    "device_id", "channel_id", "session_id", "platform_id", "stream_id", "viewer_id",
    "source", "local", "transport", "connection", "method", "status", "reason", "detail", "call_id", "cseq",
    "cmd_type", "sn", "expires_s", "user_agent", "gb_version", "stage", "ssrc", "port", "format", "count", "total",
    "duration_s", "duration_ms", "bytes", "path", "url", "revision", "error", "task", "kind", "name", "version",
})  # fmt: skip
"""Keys of log records; take one of these before inventing another."""

_NOISY = ("alembic", "aiosqlite", "sqlalchemy", "asyncio", "aiohttp.access", "libav")


def configure_logging(
    format: Literal["auto", "json", "console"] = "auto",  # noqa: A002 - the option's name
    level: str = "info",
    *,
    stream: TextIO | None = None,
) -> None:
    """Set up structlog and route the standard library's logging into it; call once, before the first log.

    Args:
        format: `auto` is console on a terminal, else JSON.
        level: Lowest level written.
        stream: Where to; None is standard error.
    """
    stream = sys.stderr if stream is None else stream
    console = format == "console" or (format == "auto" and stream.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, *_ending(console=console, stream=stream)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _route_standard_logging(shared, number, console=console, stream=stream)


class RateLimitedCounter:
    """Turns a flood of equal facts into at most one log line a second.

    Args:
        emit: A bound log method, e.g. `log.warning`.
        event: Event name; the line carries `count` (since the last line) and `total`.
        interval: Seconds between lines.
        clock: Monotonic seconds.
    """

    __slots__ = ("_clock", "_emit", "_event", "_fields", "_interval", "_last", "_pending", "total")

    def __init__(
        self,
        emit: Callable[..., object],
        event: str,
        *,
        interval: float = 1.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._emit = emit
        self._event = event
        self._interval = interval
        self._clock = clock
        self._last = float("-inf")
        self._pending = 0
        self._fields: dict[str, Any] = {}
        self.total = 0

    def add(self, count: int = 1, **fields: object) -> None:
        """Count; the fields of the latest call go into the line."""
        self.total += count
        self._pending += count
        self._fields = fields
        if self._clock() - self._last >= self._interval:
            self._write()

    def flush(self) -> None:
        """Write what was counted since the last line, if anything; call when the flood may be over."""
        if self._pending and self._clock() - self._last >= self._interval:
            self._write()

    def close(self) -> None:
        """Write what is left, whenever the last line was."""
        if self._pending:
            self._write()

    def _write(self) -> None:
        self._last = self._clock()
        pending, self._pending = self._pending, 0
        self._emit(self._event, count=pending, total=self.total, **self._fields)


def _ending(*, console: bool, stream: TextIO) -> list[structlog.typing.Processor]:
    if console:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        # Exceptions are turned to text first so that secrets in them are removed too.
        return [structlog.processors.format_exc_info, redact, renderer, _encodable]
    return [
        structlog.processors.format_exc_info,
        redact,
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        _encodable,
    ]


def _encodable(_logger: object, _method: str, line: Any) -> str:  # noqa: ANN401 - rendered text or bytes
    # surrogateescape'd header bytes would make the stream raise.
    return str(line).encode("utf-8", "replace").decode()


def _route_standard_logging(
    shared: list[structlog.typing.Processor], number: int, *, console: bool, stream: TextIO
) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_ending(console=console, stream=stream),
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
