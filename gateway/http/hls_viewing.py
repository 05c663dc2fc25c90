"""Viewings of HLS: who watches without a connection, from the first playlist until nobody asks any more.

The address of a viewing is its credential, so that players need no other: it can be handed on. One viewing is one
viewer of the limits and of the audit, and must not serve a crowd. Two rules keep it to one:

- It answers `MAX_ASKING` requests at a time; a player has two or three under way.
- Of people outside it serves only the network it was opened from (an IPv4 address, an IPv6 /64): what they hand on to
  elsewhere stands on nobody's record. A phone that changes its network meanwhile opens `index.m3u8` again, which is
  decided on and recorded like the first time; a browser that still sends the cookie of the session in which the
  viewing was opened has proven who it is and goes on. Our own people are not bound: they may watch as often as they
  like anyway, and their phones change networks.
"""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.domain.errors import GatewayError, Gone, Unavailable
from gateway.domain.hls import HlsStream
from gateway.domain.session import EndReason
from gateway.domain.viewing import StreamEntry
from gateway.http.problem import ApiError
from gateway.sharing.failures import network_of

__all__ = ["HlsViewing", "HlsViewings"]

KEY_BYTES = 24
"""The address is the credential: 192 bits cannot be guessed."""
IDLE_TARGETS = 2
"""Target durations after which a player must have asked for the playlist again (RFC 8216 6.3.4: one)."""
IDLE_GRACE = 6.0
"""Seconds more, for slow networks."""
MAX_ASKING = 8
"""Requests of one viewing at a time: a player has a playlist that blocks and a few parts under way, a crowd has more."""
KEEP_REASON = 60.0
"""Seconds for which the reason of an end is told."""
MAX_ENDED = 10_000
"""Ended viewings whose reason is kept: as many as may be open; the oldest go first."""


class HlsViewing:
    """One viewer.

    Args:
        book: Told of the end.
        key: The unguessable part of its addresses.
        outside: Whether it is of another domain, which is told less.
        source: Host it is opened from.
        session_id: Session of the console it is opened in; empty without one.
    """

    def __init__(
        self, book: "HlsViewings", key: str, *, outside: bool, source: str, session_id: str
    ) -> None:
        self.key = key
        self.outside = outside
        self.session_id = session_id
        self._network = network_of(source)
        self.sent = 0
        """Bytes that went out."""
        self.error: GatewayError | None = None
        """What is answered once it is over."""
        self._book = book
        self._entry: StreamEntry | None = None
        self._stream: HlsStream | None = None
        self._busy = 0
        self._loop = asyncio.get_running_loop()
        self._seen = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def entered(self, entry: StreamEntry) -> None:
        """Note that it was let in."""
        self._entry = entry
        if self.error is not None:
            entry.end(self.error.code, self.error.detail)

    def carry(self, stream: HlsStream) -> None:
        """Begin with the stream; from now on it ends by idleness.

        Raises:
            GatewayError: It was stopped meanwhile.
        """
        if self.error is not None:
            stream.leave()
            raise self.error
        self._stream = stream
        self._seen = self._loop.time()
        self._arm(self._patience())

    def serves(self, source: str) -> bool:
        """Whether its address alone is good enough from a host."""
        return not self.outside or network_of(source) == self._network

    def check(self) -> None:
        """Raise if it is over.

        Raises:
            GatewayError: Why.
        """
        if self.error is not None:
            raise self.error

    @contextmanager
    def asked(self) -> Iterator[HlsStream]:
        """Count somebody as asking for as long as they do.

        Raises:
            GatewayError: It is over, or ends meanwhile; 429 `viewing_busy`: too many ask.
        """
        self.check()
        assert self._stream is not None
        if self._busy >= MAX_ASKING:
            raise ApiError(
                429,
                "viewing_busy",
                f"This viewing answers {MAX_ASKING} requests at a time; others open index.m3u8 themselves",
                headers={"Retry-After": "1"},
            )
        self._busy += 1
        try:
            yield self._stream
        except Gone:
            self.check()
            raise
        finally:
            self._busy -= 1
            self._seen = self._loop.time()

    def forbid(self, code: str, words: str) -> None:
        """End because the policy says so, or because the gateway stops."""
        if code == EndReason.SHUTDOWN:
            self.end(code, words, Unavailable(code, words))
        else:
            self.end(code, words, ApiError(403, code, words))

    def over(self, code: str, detail: str) -> None:
        """End with the stream."""
        self.end(code, detail, Gone(code, detail))

    def end(self, code: str, detail: str, error: GatewayError) -> None:
        """End; idempotent.

        Args:
            code: For the record.
            detail: For the record.
            error: What is answered from now on.
        """
        if self.error is not None:
            return
        self.error = error
        if self._timer is not None:
            self._timer.cancel()
        if self._stream is not None:
            self._stream.leave()
        if self._entry is not None:
            self._entry.end(code, detail, sent=self.sent)
        self._book.ended(self)

    def _patience(self) -> float:
        target = self._stream.target if self._stream is not None else 0
        return IDLE_TARGETS * target + IDLE_GRACE

    def _arm(self, wait: float) -> None:
        self._timer = self._loop.call_later(wait, self._look)

    def _look(self) -> None:
        patience = self._patience()
        left = patience if self._busy else self._seen + patience - self._loop.time()
        if left > 0:
            self._arm(left)
            return
        words = f"Nobody asked for the playlist for {patience:g} s; open index.m3u8 again"
        self.end("viewer_left", "", Gone("viewing_ended", words))


class HlsViewings:
    """All viewings by their key, and for a while those that ended."""

    def __init__(self) -> None:
        self._open: dict[str, HlsViewing] = {}
        self._ended: dict[str, tuple[HlsViewing, float]] = {}
        """With the loop's time at which they are forgotten."""

    def new(self, *, outside: bool, source: str, session_id: str = "") -> HlsViewing:
        """Return a viewing with a key of its own.

        Args:
            outside: Whether it is of another domain.
            source: Host it is opened from.
            session_id: Session of the console it is opened in.
        """
        self._purge()
        key = secrets.token_urlsafe(KEY_BYTES)
        viewing = HlsViewing(self, key, outside=outside, source=source, session_id=session_id)
        self._open[viewing.key] = viewing
        return viewing

    def find(self, key: str) -> HlsViewing | None:
        """Return a viewing, also one that has just ended."""
        # Keys are random: how long a dictionary takes tells nothing about the others.
        found = self._open.get(key)
        if found is None and key in self._ended:
            self._purge()
            found, _ = self._ended.get(key, (None, 0.0))
        return found

    def ended(self, viewing: HlsViewing) -> None:
        """Keep the reason of an end for a while."""
        self._open.pop(viewing.key, None)
        self._purge()
        until = asyncio.get_running_loop().time() + KEEP_REASON
        self._ended[viewing.key] = (viewing, until)

    def _purge(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._ended:
            key, (_, until) = next(iter(self._ended.items()))
            if until > now and len(self._ended) < MAX_ENDED:
                return
            del self._ended[key]
