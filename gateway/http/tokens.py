"""Credentials of the HTTP face: admin token, this start's CLI token, and signed stream tokens."""

import base64
import binascii
import enum
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.errors import Unavailable

__all__ = [
    "ADMIN_HASH_FILE",
    "CLI_TOKEN_FILE",
    "CLI_URL_FILE",
    "STREAM_KEY_FILE",
    "StreamGrant",
    "StreamSigner",
    "TokenLedger",
    "TokenState",
    "Tokens",
    "ensure_admin_token",
]

ADMIN_HASH_FILE = "admin.token.hash"
CLI_TOKEN_FILE = "cli.token"  # noqa: S105 - a file name
CLI_URL_FILE = "cli.url"
STREAM_KEY_FILE = "stream.key"

MAX_TOKEN = 512
"""Longest bearer token looked at; ours have under 100 characters."""
MAX_STREAM_TOKEN = 2048
"""Longest stream token looked at: purpose and ticket are in it."""
MAX_OPEN_TOKENS = 50_000
"""Single-use tokens that may wait to be used; they live for a minute, and quotas keep each key far below."""
_KEY_SIZE = 32
_PURPOSE = b"stream-token-3:"
_FIELDS = (
    "expires",
    "stream_id",
    "stream",
    "key_id",
    "session_id",
    "purpose",
    "ticket",
    "token_id",
)
_MAC_SIZE = 16
"""Bytes kept of the HMAC-SHA256: 128 bits, so that URLs stay short enough to be copied."""


def ensure_admin_token(data_dir: Path, configured: str = "") -> str | None:
    """Make the first start's admin token and keep its hash; return the token that time only.

    Blocks on files. With a configured token there is nothing to make.
    """
    path = data_dir / ADMIN_HASH_FILE
    if configured or path.is_file():
        return None
    token = secrets.token_urlsafe(32)
    write_private(path, _hash(token).hex().encode() + b"\n")
    return token


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, all of it or nothing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class TokenState(enum.Enum):
    """What a stream token is worth."""

    VALID = enum.auto()
    EXPIRED = enum.auto()
    INVALID = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamGrant:
    """What a stream token says."""

    state: TokenState = TokenState.VALID
    expires: int = 0
    """UNIX seconds."""
    stream_id: str = ""
    """`device_id/channel_id`; empty if the signature is not ours."""
    stream: int = 0
    """0 main, 1 first sub stream."""
    key_id: str = ""
    """Whose; empty: the admin's, or a user's."""
    session_id: str = ""
    """Of the console, of the user it was given to: it is worthless once that is over."""
    purpose: str = ""
    ticket: str = ""
    token_id: str = ""
    """Of a token that opens one stream once; empty: it may be used until it expires."""


class StreamSigner:
    """Makes and checks tokens bound to one stream, its asker and an expiry.

    A token is `base64url(JSON) "." base64url(HMAC-SHA256)`.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, stream_id: str, expires: int) -> str:
        """Return an admin's token for `stream_id` until `expires` (UNIX seconds)."""
        return self.sign_grant(StreamGrant(stream_id=stream_id, expires=expires))

    def sign_grant(self, grant: StreamGrant) -> str:
        """Return a token that says what `grant` says."""
        fields = [getattr(grant, name) for name in _FIELDS]
        payload = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
        return f"{_encode(payload)}.{_encode(self._mac(payload))}"

    def read(self, token: str, now: float) -> StreamGrant:
        """Check a token at `now` (UNIX seconds)."""
        body, _, signature = token.partition(".")
        if len(token) > MAX_STREAM_TOKEN:
            return StreamGrant(state=TokenState.INVALID)
        try:
            payload, mac = _decode(body), _decode(signature)
        except (ValueError, binascii.Error):
            return StreamGrant(state=TokenState.INVALID)
        if not hmac.compare_digest(mac, self._mac(payload)):
            return StreamGrant(state=TokenState.INVALID)
        fields = dict(zip(_FIELDS, json.loads(payload), strict=True))
        state = TokenState.VALID if now < fields["expires"] else TokenState.EXPIRED
        return StreamGrant(state=state, **fields)

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self._key, _PURPOSE + payload, hashlib.sha256).digest()[:_MAC_SIZE]


class TokenLedger:
    """Knows which single-use tokens were given out and which were used.

    Args:
        new_id: Makes random identifiers.
    """

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._open: dict[str, tuple[str, float]] = {}
        """Holder and expiry of the tokens given out and not used, by their identifier."""
        self._used: dict[str, float] = {}

    def issue(self, holder: str, expires: float, now: float) -> str:
        """Return the identifier of a new token.

        Raises:
            Unavailable: `too_many_tokens`.
        """
        self._purge(now)
        if len(self._open) >= MAX_OPEN_TOKENS:
            raise Unavailable("too_many_tokens", f"{MAX_OPEN_TOKENS} stream tokens are unused")
        token_id = self._new_id()
        self._open[token_id] = (holder, expires)
        return token_id

    def use(self, token_id: str, now: float) -> bool | None:
        """Use a token up: True the first time, False when it was used, None if it is of an earlier start."""
        self._purge(now)
        found = self._open.pop(token_id, None)
        if found is not None:
            self._used[token_id] = found[1]
            return True
        return False if token_id in self._used else None

    def known(self, token_id: str) -> bool:
        """Whether a token is still unused."""
        return token_id in self._open

    def pending(self, holder: str, now: float) -> int:
        """Return how many tokens of a key or user are unused and good."""
        return sum(whose == holder and expires > now for whose, expires in self._open.values())

    def _purge(self, now: float) -> None:
        # Both are in the order of issue or use and nearly in that of expiry: what is late goes a little later.
        for table in (self._open, self._used):
            while table:
                first = next(iter(table))
                value = table[first]
                if (value[1] if isinstance(value, tuple) else value) > now:
                    break
                del table[first]


@dataclass(frozen=True, slots=True)
class Tokens:
    """All credentials of one run."""

    admin_hash: bytes
    cli_token: str
    streams: StreamSigner
    new_admin_token: str | None
    """Set on the very first start: the only time it can be shown."""

    @classmethod
    def open(cls, data_dir: Path, configured: str = "") -> "Tokens":
        """Read or make what is needed and write a fresh CLI token; blocks on files."""
        new = ensure_admin_token(data_dir, configured)
        if configured:
            admin_hash = _hash(configured)
        else:
            admin_hash = bytes.fromhex((data_dir / ADMIN_HASH_FILE).read_text().strip())
        cli_token = secrets.token_urlsafe(32)
        write_private(data_dir / CLI_TOKEN_FILE, cli_token.encode() + b"\n")
        return cls(admin_hash, cli_token, StreamSigner(_stream_key(data_dir)), new)

    def announce(self, data_dir: Path, url: str) -> None:
        """Tell local commands where this run listens; blocks on files."""
        write_private(data_dir / CLI_URL_FILE, url.encode() + b"\n")

    def withdraw(self, data_dir: Path) -> None:
        """Delete the CLI's files if they are still this run's; blocks on files."""
        path = data_dir / CLI_TOKEN_FILE
        try:
            if path.read_text().strip() == self.cli_token:
                path.unlink()
                (data_dir / CLI_URL_FILE).unlink(missing_ok=True)
        except OSError:
            return

    def accepts(self, bearer: str) -> bool:
        """Return whether this is the admin or the CLI token, in constant time."""
        given = _hash(bearer[:MAX_TOKEN])
        admin = hmac.compare_digest(given, self.admin_hash)
        cli = hmac.compare_digest(given, _hash(self.cli_token))
        return admin or cli


def _stream_key(data_dir: Path) -> bytes:
    path = data_dir / STREAM_KEY_FILE
    if path.is_file():
        key = path.read_bytes()
        if len(key) == _KEY_SIZE:
            return key
    key = secrets.token_bytes(_KEY_SIZE)
    write_private(path, key)
    return key


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
