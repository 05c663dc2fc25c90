"""One viewer that was let in."""

import asyncio
from collections.abc import Callable

import structlog

from gateway.domain.device import Channel
from gateway.domain.policy import Access
from gateway.domain.signalling import Origin
from gateway.http.language import Language
from gateway.http.principal import Principal
from gateway.http.problem import end_words, stop_words

__all__ = ["Entry"]

log = structlog.get_logger()


class Entry:
    """Somebody who was let in and watches.

    Args:
        principal: Who.
        channel: What.
        stream: 0 main, 1 first sub stream.
        what: Face and format, for logs.
        language: Of what they are told.
        stop: Called with (code, words) when it must end.
        on_end: Called once.
    """

    def __init__(
        self,
        principal: Principal,
        channel: Channel,
        stream: int,
        what: str,
        *,
        language: Language,
        stop: Callable[[str, str], None],
        on_end: Callable[["Entry"], None],
    ) -> None:
        self.principal = principal
        self.language = language
        self.channel = channel
        self.stream = stream
        self.origin = Origin(asker=principal.subject.label)
        self.access: Access | None = None
        self.expiry: asyncio.TimerHandle | None = None
        self._what = what
        self._stop = stop
        self._on_end = on_end
        self._stopped: tuple[str, str] | None = None
        self._ended = False

    @property
    def label(self) -> str:
        """Who it is, in one word for logs."""
        return self.principal.subject.label

    @property
    def stream_id(self) -> str:
        """The channel, for counting."""
        return f"{self.channel.device_id}/{self.channel.channel_id}"

    def forbid(self, code: str, detail: str) -> None:
        """Stop this viewer; it is told less than the record."""
        if self._stopped is None and not self._ended:
            self._stopped = (code, detail)
            words = stop_words(
                code, detail, outside=not self.principal.is_local, language=self.language
            )
            self._stop(code, words)

    def told(self, code: str, detail: str) -> str:
        """Return what this viewer is told of the end of the stream."""
        return end_words(code, detail, outside=not self.principal.is_local, language=self.language)

    def end(self, code: str, detail: str = "", *, sent: int = 0) -> None:
        """It is over; writes result and duration. Idempotent."""
        if self._ended:
            return
        self._ended = True
        if self._stopped is not None:
            code, detail = self._stopped
        if self.expiry is not None:
            self.expiry.cancel()
        self._on_end(self)
        if self.access is not None:
            self.access.end(code, detail)
        log.info(
            "viewer_disconnected",
            stream_id=self.stream_id,
            format=self._what,
            name=self.label,
            bytes=sent,
            reason=code,
        )
