"""WHEP sessions: a viewer's connection by its unguessable address, and for a while why it ended."""

import asyncio
import secrets

from gateway.domain.errors import GatewayError
from gateway.domain.session import EndReason
from gateway.domain.webrtc import PeerState, WebRtcPeer
from gateway.http.entry import Entry
from gateway.http.problem import END_STATUS, ApiError

__all__ = ["WhepSession", "WhepSessions"]

KEY_BYTES = 24
"""The address is the credential: 192 bits cannot be guessed."""
KEEP_REASON = 60.0
"""Seconds for which the reason of an end is told."""
MAX_ENDED = 10_000
"""Ended sessions whose reason is kept; the oldest go first."""
_END_STATUS = END_STATUS | {"no_output": 504}


class WhepSession:
    """One viewer; implements `gateway.domain.webrtc.WebRtcEvents`.

    Args:
        book: Told of the end.
        key: The unguessable part of its address.
    """

    def __init__(self, book: "WhepSessions", key: str) -> None:
        self.key = key
        self.etag = f'"{secrets.token_hex(8)}"'
        """Of its ICE session, which never changes."""
        self.ended: tuple[str, str] | None = None
        """Code and words for the viewer."""
        self.peer: WebRtcPeer | None = None
        self._book = book
        self._entry: Entry | None = None
        self._forbidden = False

    @property
    def state(self) -> PeerState:
        """How far it is."""
        if self.ended is not None or self.peer is None:
            return PeerState.ENDED
        return self.peer.info().state

    def opened(self, peer: WebRtcPeer) -> None:
        """Note its connection."""
        self.peer = peer

    def entered(self, entry: Entry) -> None:
        """Note that it was let in."""
        self._entry = entry
        if self.ended is not None:
            entry.end(*self.ended)

    def check(self) -> None:
        """Raise if it is over.

        Raises:
            ApiError: Why.
        """
        if self.ended is not None:
            code, words = self.ended
            raise ApiError(403 if self._forbidden else _END_STATUS.get(code, 502), code, words)

    def forbid(self, code: str, words: str) -> None:
        """End because this viewer may not watch any more, or because the gateway stops."""
        self._forbidden = code != EndReason.SHUTDOWN
        self.close(code, words)

    def close(self, code: str, detail: str) -> None:
        """End; idempotent."""
        if self.peer is not None:
            self.peer.close(code, detail)
        self.webrtc_ended(code, detail)

    def webrtc_connected(self) -> None:
        """Media flows."""

    def webrtc_ended(self, code: str, detail: str) -> None:
        """It is over."""
        if self.ended is not None:
            return
        entry, words = self._entry, detail
        if entry is not None:
            if not self._forbidden:
                words = entry.told(code, detail)
            entry.end(code, detail, sent=self.peer.info().sent if self.peer is not None else 0)
        self.ended = (code, words)
        self._book.ended(self)

    def failed(self, error: GatewayError) -> None:
        """End with the error that is answered."""
        self.close(error.code, error.detail)


class WhepSessions:
    """All sessions by their key, and for a while those that ended."""

    def __init__(self) -> None:
        self._open: dict[str, WhepSession] = {}
        self._ended: dict[str, tuple[WhepSession, float]] = {}
        """With the loop's time at which they are forgotten."""

    def new(self) -> WhepSession:
        """Return a session with a key of its own."""
        self._purge()
        session = WhepSession(self, secrets.token_urlsafe(KEY_BYTES))
        self._open[session.key] = session
        return session

    def find(self, key: str) -> WhepSession | None:
        """Return a session, also one that has just ended."""
        # Keys are random: how long a dictionary takes tells nothing about the others.
        found = self._open.get(key)
        if found is None and key in self._ended:
            self._purge()
            found, _ = self._ended.get(key, (None, 0.0))
        return found

    def ended(self, session: WhepSession) -> None:
        """Keep the reason of an end for a while."""
        if self._open.pop(session.key, None) is None:
            return
        self._purge()
        until = asyncio.get_running_loop().time() + KEEP_REASON
        self._ended[session.key] = (session, until)

    def _purge(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._ended:
            key, (_, until) = next(iter(self._ended.items()))
            if until > now and len(self._ended) < MAX_ENDED:
                return
            del self._ended[key]
