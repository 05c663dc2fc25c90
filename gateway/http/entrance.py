"""The one way in for whoever watches: implements `gateway.domain.viewing.StreamDoor` for every face."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from gateway.domain.device import Channel
from gateway.domain.errors import GatewayError, NotFound, Unavailable
from gateway.domain.policy import AccessContext, Action
from gateway.domain.session import EndReason
from gateway.http.auth import Authenticator
from gateway.http.deps import HttpDeps
from gateway.http.entry import Entry
from gateway.http.gate import ChannelGate
from gateway.http.language import Language, language_of
from gateway.http.options import HttpOptions
from gateway.http.principal import (
    PRINCIPAL,
    Principal,
    authorise,
    context_of,
    principal_of,
    received_from,
)
from gateway.http.problem import ApiError, words_of
from gateway.http.route import Access
from gateway.http.stream_token import StreamTokens
from gateway.http.tokens import StreamGrant
from gateway.sharing.keys import ApiKey, Scope
from gateway.sharing.users_session import ConsoleSession

__all__ = ["StreamEntrance", "Visit"]

SHUTDOWN = EndReason.SHUTDOWN.value
_EXPIRED = {
    False: ("key_expired", "The key has expired"),
    True: ("session_expired", "The session is over: log in again"),
}
_OVER = {
    "logged_out": "The session this was opened in was logged out",
    "session_expired": "The session is over: log in again",
    "too_many_sessions": "The user has logged in elsewhere too often",
    "user_disabled": "The account was disabled",
    "user_removed": "The account was removed",
    "user_changed": "What the account may do was changed",
    "password_changed": "The password was changed: log in again",
}
"""Why what a session had open ends."""


class Visit:
    """Somebody with a credential, at the address of a stream.

    Args:
        entrance: Where.
        principal: Who.
        grant: What the stream token said; empty without one.
        context: The circumstances.
        language: Of what they are told.
    """

    def __init__(
        self,
        entrance: "StreamEntrance",
        principal: Principal,
        grant: StreamGrant,
        context: AccessContext,
        language: Language = "en",
    ) -> None:
        self.language: Language = language
        self.principal = principal
        self.grant = grant
        self.context = context
        self._entrance = entrance

    @property
    def label(self) -> str:
        """Who it is, in one word for logs."""
        return self.principal.subject.label

    @property
    def is_local(self) -> bool:
        """Whether they are of our own domain."""
        return self.principal.is_local

    def find(self, device_id: str | None, channel_id: str) -> Channel:
        """Return the channel an address names.

        Raises:
            GatewayError: 404, 409 `channel_ambiguous`, 403 `token_for_other_stream`.
        """
        return self._entrance.find(self, device_id, channel_id)

    def enter(
        self,
        channel: Channel,
        *,
        via: str,
        format: str,  # noqa: A002 - the domain's word
        stop: Callable[[str, str], None],
        action: Action = Action.LIVE,
    ) -> Entry:
        """Count, decide, record.

        Raises:
            GatewayError: 401, 403, 429, 503; recorded.
        """
        return self._entrance.enter(self, channel, via, format, stop, action)


class StreamEntrance:
    """Implements `gateway.domain.viewing.StreamDoor`; owner of all entries.

    Args:
        deps: Devices, keys, clocks.
        options: Limits.
        gate: Asks the sharing policy.
        tokens: Reads stream tokens.
        authenticator: Looks after keys.
    """

    def __init__(
        self,
        deps: HttpDeps,
        options: HttpOptions,
        gate: ChannelGate,
        tokens: StreamTokens,
        authenticator: Authenticator,
    ) -> None:
        self._deps = deps
        self._options = options
        self._gate = gate
        self._tokens = tokens
        self._authenticator = authenticator
        self._entries: set[Entry] = set()
        self._viewers: Counter[str] = Counter()
        self._of_holder: dict[str, set[Entry]] = {}
        self._of_session: dict[str, set[Entry]] = {}
        deps.sharing.keys.on_changed.append(self._key_changed)
        deps.sharing.logins.on_ended.append(self._session_ended)

    @property
    def viewers(self) -> int:
        """Viewers let in, those still waiting for their first picture included."""
        return len(self._entries)

    def open_by(self, holder: str) -> int:
        """Return how many streams a key or user (`Principal.holder`) has open."""
        return len(self._of_holder.get(holder, ()))

    def close(self) -> None:
        """Tell every viewer that the gateway stops."""
        for entry in list(self._entries):
            entry.forbid(SHUTDOWN, "The gateway is stopping")

    # Who it is

    def visit(self, request: web.Request) -> Visit:
        """Return the visit of an HTTP request, by its credential or its `?token=`.

        Raises:
            ApiError: 401, 403 `scope_missing`.
        """
        grant = StreamGrant()
        if PRINCIPAL in request:
            principal = principal_of(request)
        else:
            principal, grant = self._tokens.read(request)
            received_from(request, principal)
            authorise(principal, Access.STREAM)
        context = context_of(
            principal, self._deps.wall, request, purpose=grant.purpose, ticket=grant.ticket
        )
        return Visit(self, principal, grant, context, language_of(request))

    def by_token(self, token: str, source: str) -> Visit:
        """Return the visit of a stream token.

        Raises:
            ApiError: 401, 403 `scope_missing`.
        """
        principal, grant = self._tokens.read_token(token, source)
        authorise(principal, Access.STREAM)
        return self._visit(principal, grant)

    def secret_of(self, name: str) -> str | None:
        """Return the secret of an API key."""
        keys = self._deps.sharing.keys
        key = keys.find(name)
        return None if key is None else keys.secret(key)

    def by_name(self, name: str, source: str) -> Visit:
        """Return the visit of a key whose secret was proven.

        Raises:
            ApiError: 401 `key_disabled`, `key_expired`; 403 `scope_missing`; 429 `quota_exceeded`.
        """
        principal = self._authenticator.proven(name, source)
        authorise(principal, Access.STREAM)
        return self._visit(principal, StreamGrant())

    def refused(self, error: GatewayError, *, source: str, claimed: str, what: str) -> GatewayError:
        """Count a 401 against its source and put it on record; return what is to be answered."""
        if error.status != 401:
            return error
        if not isinstance(error, ApiError):
            error = ApiError(401, error.code, error.detail)
        return self._authenticator.note_refusal(
            error, source=source, claimed=claimed, what=what, via="rtsp"
        )

    def words(self, error: GatewayError, *, outside: bool) -> str:
        """Return the sentence of an error for whoever is told it."""
        return words_of(error, outside=outside)

    def _visit(self, principal: Principal, grant: StreamGrant) -> Visit:
        context = AccessContext(
            at=self._deps.wall(),
            zone=principal.zone,
            purpose=grant.purpose,
            ticket=grant.ticket,
            source=principal.source,
        )
        return Visit(self, principal, grant, context)

    # What they ask for

    def find(self, visit: Visit, device_id: str | None, channel_id: str) -> Channel:
        """Return the channel an address names, as :meth:`Visit.find`."""
        grant = visit.grant
        if grant.stream_id:
            granted_device, _, granted_channel = grant.stream_id.partition("/")
            if channel_id != granted_channel or device_id not in {None, granted_device}:
                raise ApiError(
                    403, "token_for_other_stream", "This stream token was made for another stream"
                )
            device_id = granted_device
        elif device_id is None:
            device_id = self._unique(visit, channel_id)
        return self._gate.find(visit.principal, device_id, channel_id, Action.LIVE, visit.context)

    def _unique(self, visit: Visit, channel_id: str) -> str:
        found = self._gate.named(visit.principal, channel_id, visit.context)
        if len(found) == 1:
            return found[0].device_id
        if found:
            candidates = sorted(f"{item.device_id}/{item.channel_id}" for item in found)
            raise ApiError(
                409,
                "channel_ambiguous",
                f"{len(found)} devices have a channel {channel_id}; ask for one of the candidates",
                extra={"candidates": candidates[:100]},
            )
        if visit.is_local and self._deps.devices.get(channel_id) is None:
            raise NotFound("channel_unknown", f"No device has a channel {channel_id[:64]}")
        return channel_id

    # Letting in

    def enter(
        self,
        visit: Visit,
        channel: Channel,
        via: str,
        format: str,  # noqa: A002 - the domain's word
        stop: Callable[[str, str], None],
        action: Action = Action.LIVE,
    ) -> Entry:
        """Count, decide, record, as :meth:`Visit.enter`.

        Nothing waits in here: of several who come at once each is judged by those before.
        """
        principal, context = visit.principal, visit.context
        self._admit(f"{channel.device_id}/{channel.channel_id}")
        self._admit_holder(visit, channel, action)
        try:
            self._tokens.use(visit.grant)
        except ApiError as exc:
            self._gate.refuse(principal, action, channel, context, exc.code, exc.detail)
            raise
        entry = Entry(
            principal,
            channel,
            visit.grant.stream,
            format,
            language=visit.language,
            stop=stop,
            on_end=self._forget,
        )
        access = self._gate.open(principal, action, channel, context, entry.forbid, via=via)
        entry.access = access
        if access.decision.obligations.sub_stream:
            entry.stream = 1
        self._count(entry)
        return entry

    def _count(self, entry: Entry) -> None:
        self._entries.add(entry)
        self._viewers[entry.stream_id] += 1
        principal = entry.principal
        if principal.holder:
            self._of_holder.setdefault(principal.holder, set()).add(entry)
        session = principal.session
        if session is not None:
            self._of_session.setdefault(session.session_id, set()).add(entry)
            self._deps.sharing.logins.hold(session.session_id)
        self._expire(entry, principal.expires_at)

    def _expire(self, entry: Entry, at: datetime | None) -> None:
        """End it when its credential does, and no longer when it was to end before; None: never."""
        if entry.expiry is not None:
            entry.expiry.cancel()
            entry.expiry = None
        if at is not None:
            code, words = _EXPIRED[entry.principal.session is not None]
            wait = max(0.0, (at - self._deps.wall()).total_seconds())
            entry.expiry = asyncio.get_running_loop().call_later(wait, entry.forbid, code, words)

    def _forget(self, entry: Entry) -> None:
        self._entries.discard(entry)
        self._viewers[entry.stream_id] -= 1
        if not self._viewers[entry.stream_id]:
            del self._viewers[entry.stream_id]
        principal = entry.principal
        _discard(self._of_holder, principal.holder, entry)
        if principal.session is not None:
            _discard(self._of_session, principal.session.session_id, entry)
            self._deps.sharing.logins.release(principal.session.session_id)

    def _admit(self, stream_id: str) -> None:
        limits = (
            (len(self._entries), self._options.max_viewers, "in all"),
            (self._viewers[stream_id], self._options.max_viewers_per_stream, "of this stream"),
        )
        for count, limit, words in limits:
            if count >= limit:
                self._deps.metrics.viewers_refused.labels("too_many_viewers").inc()
                raise Unavailable(
                    "too_many_viewers", f"{count} viewers {words}, the limit is {limit}"
                )

    def _admit_holder(self, visit: Visit, channel: Channel, action: Action) -> None:
        limit, holder = visit.principal.max_streams, visit.principal.holder
        if limit is None or self.open_by(holder) < limit:
            return
        self._deps.metrics.viewers_refused.labels("too_many_streams").inc()
        whose = "key" if visit.principal.key is not None else "user"
        detail = f"This {whose} may have {limit} streams open at once"
        self._gate.refuse(
            visit.principal, action, channel, visit.context, "too_many_streams", detail
        )
        raise ApiError(429, "too_many_streams", detail, headers={"Retry-After": "10"})

    def _key_changed(self, key: ApiKey) -> None:
        unusable = key.unusable(self._deps.wall())
        for entry in list(self._of_holder.get(key.key_id, ())):
            access = entry.access
            needed = Scope.LIVE if access is None else Scope(access.request.action.value)
            why = unusable or ("scope_missing" if needed not in key.scopes else None)
            if why is not None:
                entry.forbid(why, "The key this stream was opened with may not open it any more")
            else:
                self._expire(entry, key.settings.expires_at)

    def _session_ended(self, session: ConsoleSession, reason: str) -> None:
        for entry in list(self._of_session.get(session.session_id, ())):
            entry.forbid(reason, _OVER.get(reason, _OVER["user_changed"]))


def _discard(table: dict[str, set[Entry]], name: str, entry: Entry) -> None:
    mine = table.get(name)
    if mine is not None:
        mine.discard(entry)
        if not mine:
            del table[name]
