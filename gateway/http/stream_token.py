"""Stream tokens: given out by `play`, read where a stream is opened."""

from math import ceil

from aiohttp import web

from gateway.domain.policy import AccessContext
from gateway.http.auth import Authenticator, unauthorized
from gateway.http.deps import HttpDeps
from gateway.http.options import HttpOptions
from gateway.http.principal import Principal
from gateway.http.tokens import StreamGrant, StreamSigner, TokenLedger, TokenState

__all__ = ["StreamTokens"]


class StreamTokens:
    """Binds streams to who asked for them, why, and for how long.

    A department's token opens one stream once and lives for a minute; those of our own people may be used until
    they expire.

    Args:
        deps: The keys and the clock.
        options: Lifetimes.
        signer: Signs.
        ledger: Knows which were used.
        authenticator: Looks after the keys.
    """

    def __init__(
        self,
        deps: HttpDeps,
        options: HttpOptions,
        signer: StreamSigner,
        ledger: TokenLedger,
        authenticator: Authenticator,
    ) -> None:
        self._keys = deps.sharing.keys
        self._logins = deps.sharing.logins
        self._wall = deps.wall
        self._options = options
        self._signer = signer
        self._ledger = ledger
        self._authenticator = authenticator

    def issue(
        self, principal: Principal, stream_id: str, stream: int, context: AccessContext
    ) -> tuple[str, int]:
        """Return a token and when it expires (UNIX seconds).

        Args:
            principal: Who asked.
            stream_id: `device_id/channel_id`.
            stream: 0 main, 1 sub stream.
            context: Purpose and ticket, which the stream is then opened with.

        Raises:
            Unavailable: `too_many_tokens`.
        """
        now = self._wall().timestamp()
        token_id, lifetime = "", self._options.token_ttl
        if not principal.is_local:
            lifetime = self._options.play_token_ttl
        # Rounded up: a token lives for as long as it was said, not up to a second less.
        expires = ceil(now) + lifetime
        if not principal.is_local:
            token_id = self._ledger.issue(principal.holder, expires, now)
        grant = StreamGrant(
            expires=expires,
            stream_id=stream_id,
            stream=stream,
            key_id=principal.key.key_id if principal.key else "",
            session_id=principal.session.session_id if principal.session else "",
            purpose=context.purpose,
            ticket=context.ticket,
            token_id=token_id,
        )
        return self._signer.sign_grant(grant), expires

    def pending(self, holder: str) -> int:
        """Return how many streams of a key or user are promised and not opened."""
        return self._ledger.pending(holder, self._wall().timestamp())

    def read(self, request: web.Request) -> tuple[Principal, StreamGrant]:
        """Return who a `?token=` belongs to and what it says; it is not used up.

        Raises:
            ApiError: 401 without a usable token, `token_expired` for one that was good, `key_disabled`,
                `key_expired`.
        """
        given = request.query.getall("token", [])
        if len(given) != 1 or not given[0]:
            raise unauthorized(
                "credential_missing",
                "Send exactly one ?token= from POST .../play, or Authorization: Bearer TOKEN",
                error=None,
            )
        return self.read_token(given[0], request.remote or "")

    def read_token(self, token: str, source: str) -> tuple[Principal, StreamGrant]:
        """Return who a stream token belongs to and what it says; it is not used up.

        Args:
            token: As given out.
            source: Host it came from.

        Raises:
            ApiError: 401, as :meth:`read`.
        """
        grant = self._signer.read(token, self._wall().timestamp())
        if grant.state is TokenState.EXPIRED:
            raise unauthorized(
                "token_expired", "This stream token has expired; POST .../play gives a new one"
            )
        if grant.state is TokenState.INVALID:
            raise unauthorized("token_invalid", "This is not a stream token of this gateway")
        if grant.session_id:
            found = self._logins.find_id(grant.session_id)
            if found is None:
                raise unauthorized(
                    "token_invalid", "The session this stream token was made in is over"
                )
            return self._authenticator.logged_in(*found, source), grant
        if not grant.key_id:
            return Principal.admin(source), grant
        key = self._keys.find(grant.key_id)
        if key is None:
            raise unauthorized("token_invalid", "The key this stream token was made for is gone")
        return self._authenticator.holder_of(key, source), grant

    def use(self, grant: StreamGrant) -> None:
        """Use a single-use token up; of several at once one gets through.

        Raises:
            ApiError: 401 `token_used`; `token_expired` if it was made before the gateway started anew.
        """
        if not grant.token_id:
            return
        used = self._ledger.use(grant.token_id, self._wall().timestamp())
        if used is None:
            raise unauthorized(
                "token_expired", "This stream token is from before the gateway's last start"
            )
        if not used:
            raise unauthorized(
                "token_used",
                "This stream token was used; POST .../play gives a new one",
                key_id=grant.key_id,
            )
