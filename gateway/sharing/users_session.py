"""Sessions of the console: who is logged in, since when, and for how long still."""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from gateway.domain.document import DocumentStore
from gateway.sharing.users import UserBook, UserChange
from gateway.sharing.users_model import User

__all__ = ["MAX_SESSIONS", "MAX_SESSIONS_PER_USER", "ConsoleSession", "SessionBook", "csrf_of"]

log = structlog.get_logger()

MAX_SESSIONS = 5_000
"""Sessions in all; beyond that the one unused for longest ends."""
MAX_SESSIONS_PER_USER = 16
"""Of one user, at several desks and in several browsers; beyond that the one unused for longest ends."""
MAX_AGENT = 120
"""Characters kept of what a browser says about itself."""
MAX_TOKEN = 64
"""Longest cookie looked at; ours have 43 characters."""
TOUCH = timedelta(seconds=60)
"""A session's last use is written down this often at most: a restart makes it that much older."""
_COLLECTION = "console_sessions"


@dataclass(slots=True, kw_only=True)
class ConsoleSession:
    """Somebody who is logged in; the token in their cookie is not in it."""

    session_id: str
    """For lists and the record; it lets nobody in."""
    name: str
    """Of the user."""
    epoch: int
    """Of the account."""
    created_at: datetime
    expires_at: datetime
    """Over then, whatever it does."""
    used_at: datetime
    source: str
    """Host that logged in."""
    agent: str = ""
    token_hash: str = field(repr=False)
    saved_at: datetime
    """The last use that was written down."""
    streams: int = 0
    """Open now; they are a use."""


def csrf_of(token: str) -> str:
    """Return what a page must send beside the cookie to change anything: only pages of ours are told it."""
    mac = hmac.new(token.encode("utf-8", "replace"), b"gbgw csrf", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


class SessionBook:
    """All sessions; they survive a restart.

    Args:
        store: Where they are kept.
        users: Whose they are; a change of an account may end its sessions.
        wall: Wall clock, timezone-aware.
        idle: How long one may be unused; a stream that is watched is a use.
        longest: How long one lasts at most.
    """

    def __init__(
        self,
        store: DocumentStore,
        users: UserBook,
        *,
        wall: Callable[[], datetime],
        idle: timedelta,
        longest: timedelta,
    ) -> None:
        self._store = store
        self._users = users
        self._wall = wall
        self._idle = idle
        self._longest = longest
        self._by_hash: dict[str, ConsoleSession] = {}
        self._by_id: dict[str, ConsoleSession] = {}
        self.on_ended: list[Callable[[ConsoleSession, str], None]] = []
        """Called with a session that is over and why: `logged_out`, `session_expired`, `too_many_sessions`, or the
        reason of a change of its account."""
        users.on_changed.append(self._user_changed)

    async def load(self) -> None:
        """Read all from the store."""
        for token_hash, body in (await self._store.load_documents(_COLLECTION)).items():
            try:
                session = _from_document(token_hash, body)
            except (KeyError, TypeError, ValueError) as exc:
                log.error("console_session_unreadable", error=repr(exc))  # noqa: TRY400 - no trace needed
                continue
            self._add(session)
        self.sweep()

    # Reading

    def find(self, token: str) -> tuple[User, ConsoleSession] | None:
        """Return whose cookie this is; None if the session is over. Counts as a use."""
        if not 0 < len(token) <= MAX_TOKEN:
            return None
        session = self._by_hash.get(_hash(token))
        if session is None:
            return None
        user = self._alive(session)
        if user is None:
            self._end(session, "session_expired")
            return None
        self._touch(session)
        return user, session

    def find_id(self, session_id: str) -> tuple[User, ConsoleSession] | None:
        """Return who a stream token was given to; None if the session is over."""
        session = self._by_id.get(session_id)
        user = self._alive(session) if session is not None else None
        return (user, session) if user is not None and session is not None else None

    def of(self, name: str) -> list[ConsoleSession]:
        """Return a user's sessions, the one used last first."""
        self.sweep()
        found = [session for session in self._by_id.values() if session.name == name]
        return sorted(found, key=lambda session: session.used_at, reverse=True)

    def counts(self) -> Counter[str]:
        """Return how many sessions each user has."""
        self.sweep()
        return Counter(session.name for session in self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    # Changing

    def begin(self, user: User, *, source: str, agent: str = "") -> tuple[str, ConsoleSession]:
        """Let somebody in who proved to be a user; return the token for their cookie and the session."""
        self.sweep()
        self._make_room(user.name)
        token, now = secrets.token_urlsafe(32), self._wall()
        session = ConsoleSession(
            session_id=secrets.token_hex(8),
            name=user.name,
            epoch=user.epoch,
            created_at=now,
            expires_at=now + self._longest,
            used_at=now,
            source=source,
            agent=agent[:MAX_AGENT],
            token_hash=_hash(token),
            saved_at=now,
        )
        self._add(session)
        self._save(session)
        return token, session

    def end(self, session_id: str, reason: str = "logged_out") -> None:
        """End one; nothing happens if it is over already."""
        session = self._by_id.get(session_id)
        if session is not None:
            self._end(session, reason)

    def end_all(self, name: str, reason: str = "logged_out", *, keep: str = "") -> int:
        """End a user's sessions, except one; return how many."""
        ending = [
            session
            for session in self._by_id.values()
            if session.name == name and session.session_id != keep
        ]
        for session in ending:
            self._end(session, reason)
        return len(ending)

    def hold(self, session_id: str) -> None:
        """A stream was opened: until its end the session does not idle."""
        if (session := self._by_id.get(session_id)) is not None:
            session.streams += 1
            self._touch(session)

    def release(self, session_id: str) -> None:
        """A stream has ended."""
        if (session := self._by_id.get(session_id)) is not None:
            session.streams -= 1
            self._touch(session)

    def sweep(self) -> None:
        """End what is over by the clock."""
        for session in list(self._by_id.values()):
            if self._alive(session) is None:
                self._end(session, "session_expired")

    # Inside

    def _alive(self, session: ConsoleSession) -> User | None:
        """Return whose it is if it is not over.

        The account's epoch is compared too: the end of a session may not have reached the disk.
        """
        user, now = self._users.find(session.name), self._wall()
        if user is None or user.settings.disabled or user.epoch != session.epoch:
            return None
        idle = session.streams <= 0 and now - session.used_at >= self._idle
        return None if idle or now >= session.expires_at else user

    def _touch(self, session: ConsoleSession) -> None:
        session.used_at = self._wall()
        if session.used_at - session.saved_at >= TOUCH:
            self._save(session)

    def _make_room(self, name: str) -> None:
        mine = [session for session in self._by_id.values() if session.name == name]
        for pool, limit in ((mine, MAX_SESSIONS_PER_USER), (self._by_id.values(), MAX_SESSIONS)):
            if len(pool) >= limit:
                self._end(min(pool, key=lambda session: session.used_at), "too_many_sessions")

    def _user_changed(self, change: UserChange) -> None:
        if not change.reason:
            return
        self.end_all(change.user.name, change.reason, keep=change.keep)
        kept = self._by_id.get(change.keep)
        if kept is not None:
            kept.epoch = change.user.epoch
            self._save(kept)

    def _add(self, session: ConsoleSession) -> None:
        self._by_hash[session.token_hash] = session
        self._by_id[session.session_id] = session

    def _end(self, session: ConsoleSession, reason: str) -> None:
        if self._by_id.pop(session.session_id, None) is None:
            return
        self._by_hash.pop(session.token_hash, None)
        for call in self.on_ended:
            call(session, reason)
        deleting = self._store.delete_document(_COLLECTION, session.token_hash)
        deleting.add_done_callback(_note_failure)

    def _save(self, session: ConsoleSession) -> None:
        session.saved_at = session.used_at
        saving = self._store.save_document(_COLLECTION, session.token_hash, _to_document(session))
        saving.add_done_callback(_note_failure)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _to_document(session: ConsoleSession) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "name": session.name,
        "epoch": session.epoch,
        "created_at": session.created_at.isoformat(),
        "expires_at": session.expires_at.isoformat(),
        "used_at": session.used_at.isoformat(),
        "source": session.source,
        "agent": session.agent,
    }


def _from_document(token_hash: str, body: Mapping[str, Any]) -> ConsoleSession:
    used = datetime.fromisoformat(body["used_at"])
    return ConsoleSession(
        session_id=str(body["session_id"]),
        name=str(body["name"]),
        epoch=int(body["epoch"]),
        created_at=datetime.fromisoformat(body["created_at"]),
        expires_at=datetime.fromisoformat(body["expires_at"]),
        used_at=used,
        source=str(body["source"]),
        agent=str(body["agent"]),
        token_hash=token_hash,
        saved_at=used,
    )


def _note_failure(writing: "asyncio.Future[None]") -> None:
    # It goes on without: a restart then ends it, or the account's epoch does.
    if not writing.cancelled() and (error := writing.exception()) is not None:
        log.warning("console_session_not_saved", error=repr(error))
