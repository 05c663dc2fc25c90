"""Registration and keepalive as the device does it (GB/T 28181-2016 9.1.1, 9.1.2.1, 9.6).

Sans-IO. The owner sends what `next_event` gives and reports what became of it:

1. `start(now)`; then until told otherwise:
2. `while (event := client.next_event()) is not None`: send a `SendRegister` or `SendKeepalive` as a
   SIP request; the other events are news.
3. `receive_register_response` or `register_failed`, `keepalive_answered` or `keepalive_failed`.
4. Call `handle_timer(now)` when `next_timer()` is due; go to 2 after each call.
"""

from collections import deque
from collections.abc import Callable

from gb28181.errors import RemoteProtocolError, SipParseError
from gb28181.flow.register_event import (
    Event,
    Offline,
    Online,
    RegisterClientConfig,
    RegisterClientState,
    RegistrationFailed,
    SendKeepalive,
    SendRegister,
    Stopped,
)
from gb28181.sip.digest import authorize
from gb28181.sip.header.auth import parse_auth
from gb28181.sip.message import Response

__all__ = [
    "Event",
    "Offline",
    "Online",
    "RegisterClient",
    "RegisterClientConfig",
    "RegisterClientState",
    "RegistrationFailed",
    "SendKeepalive",
    "SendRegister",
    "Stopped",
]


_State = RegisterClientState
_TIMER_REFRESH = "refresh"
_TIMER_RETRY = "retry"
_TIMER_KEEPALIVE = "keepalive"
_MAX_AUTHORIZATIONS = 2
_MAX_RETRY_AFTER = 3600.0
_ASSUMED_EXPIRES = 3600
"""Seconds, where neither side named an expiry."""
_MAX_CONTACTS = 8
"""Contacts of a redirection looked at; one is usual."""
_MAX_DIGITS = 10
"""Digits of an expiry; the longest that is not refused as absurd by the header parser."""
_MAX_RAISES = 3
"""423s obeyed in one try: a server that always asks for more would never be done with."""


class RegisterClient:
    """Keeps one device registered and tells its server that it lives.

    Args:
        config: Identity and times.
        new_token: Gives a fresh random token; used for Call-ID, From tag and cnonce.
        new_fraction: Gives a random number in [0, 1) that spreads retries (7.1: random delay).
    """

    def __init__(
        self,
        config: RegisterClientConfig,
        *,
        new_token: Callable[[], str],
        new_fraction: Callable[[], float],
    ) -> None:
        self.config = config
        self._new_token = new_token
        self._new_fraction = new_fraction
        self._state = _State.IDLE
        self._events: deque[Event] = deque()
        self._timers: dict[str, float] = {}
        self._call_id = ""
        self._from_tag = ""
        self._cseq = 0
        self._sn = 0
        self._expires = config.expires
        self._authorizations = 0
        self._raises = 0
        self._missed = 0
        self._keepalive_at = 0.0
        self._granted = 0.0
        self._is_online = False
        self._contact = ""

    @property
    def state(self) -> RegisterClientState:
        """Where the registration stands."""
        return self._state

    @property
    def is_online(self) -> bool:
        """Whether the server counts as on-line: it granted a registration and answers keepalives."""
        return self._is_online

    @property
    def granted(self) -> float:
        """Seconds for which the newest registration was granted, within the limits."""
        return self._granted

    @property
    def missed(self) -> int:
        """Keepalives in a row that were not answered."""
        return self._missed

    def start(self, now: float, *, contact: str) -> None:
        """Register, as after power on: with a new Call-ID; `contact` is the Contact URI."""
        self._contact = contact
        self._begin(now)

    def refresh(self, now: float) -> None:
        """Refresh now instead of later; nothing happens unless registered."""
        if self._state is _State.REGISTERED:
            self._refresh(now)

    def send_keepalive(self, now: float) -> None:
        """Send a keepalive now (9.6: at once on a fault); the next follows an interval later."""
        self._keepalive_at = now
        self._keepalive(now)

    def stop(self, now: float) -> None:
        """Log out: Expires 0 if a registration may stand, else just stop."""
        if self._state in {_State.STOPPED, _State.LEAVING}:
            return
        had_contact_with_server = self._state not in {_State.IDLE, _State.WAITING}
        self._timers.clear()
        if had_contact_with_server:
            self._state = _State.LEAVING
            self._authorizations = 0
            self._send_register(expires=0)
        else:
            self._left(confirmed=False)

    def connection_lost(self, now: float, detail: str) -> None:
        """The connection to the server is gone: off-line, registration after the retry delay."""
        if self._state not in {_State.IDLE, _State.STOPPED, _State.WAITING}:
            if self._state is _State.LEAVING:
                self._left(confirmed=False)
            else:
                self._fail(now, None, detail)

    def receive_register_response(self, response: Response, now: float) -> None:
        """The final response to the newest REGISTER; a late one is absorbed."""
        if self._state not in _CHALLENGED:
            return
        status = response.status
        if 200 <= status < 300:
            self._accepted(response, now)
        elif status in {401, 407}:
            self._challenged(response, now)
        elif status == 423 and self._raise_expires(response):
            self._send_register(expires=self._expires)
        else:
            self._refused(response, now)

    def register_failed(self, now: float, detail: str) -> None:
        """The newest REGISTER got no answer or could not be sent."""
        if self._state is _State.LEAVING:
            self._left(confirmed=False)
        elif self._state in _CHALLENGED:
            self._fail(now, None, detail)

    def keepalive_answered(self, status: int, now: float) -> None:
        """The final response to a keepalive."""
        if 200 <= status < 300:
            self._missed = 0
        elif status in {401, 403, 404} and self._state is _State.REGISTERED:
            # The server does not know us (any more): no use in waiting for two more misses.
            self._fail(now, None, f"keepalive answered {status}")
        else:
            self.keepalive_failed(now, f"keepalive answered {status}")

    def keepalive_failed(self, now: float, detail: str) -> None:
        """A keepalive got no answer."""
        self._missed += 1
        if self._missed >= self.config.keepalive_misses and self._state is _State.REGISTERED:
            self._fail(now, None, f"{detail}, {self._missed} in a row")

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; None while nothing is due."""
        return min(self._timers.values(), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for name in [name for name, due in self._timers.items() if due <= now]:
            del self._timers[name]
            self._ON_TIMER[name](self, now)

    def next_event(self) -> Event | None:
        """Return the next thing to send or to know, None if there is none."""
        return self._events.popleft() if self._events else None

    def _begin(self, now: float) -> None:
        self._timers.clear()
        self._call_id = self._new_token()
        self._from_tag = self._new_token()
        self._cseq = 0
        self._authorizations = 0
        self._raises = 0
        self._missed = 0
        self._state = _State.REGISTERING
        self._send_register(expires=self._expires)

    def _refresh(self, now: float) -> None:
        self._timers.pop(_TIMER_REFRESH, None)
        self._authorizations = 0
        self._raises = 0
        self._state = _State.REFRESHING
        self._send_register(expires=self._expires)

    def _send_register(self, *, expires: int | None, authorization: str | None = None) -> None:
        config = self.config
        self._cseq += 1
        headers = [("Contact", f"<{self._contact}>")]
        if authorization is not None:
            headers.append(("Authorization", authorization))
        if expires is not None:
            headers.append(("Expires", str(expires)))
        if config.gb_version:
            headers.append(("X-GB-Ver", config.gb_version))
        self._events.append(
            SendRegister(
                uri=self._server_uri,
                call_id=self._call_id,
                from_tag=self._from_tag,
                cseq=self._cseq,
                address=f"<sip:{config.device_id}@{config.domain}>",
                headers=tuple(headers),
                expires=expires,
            )
        )

    @property
    def _server_uri(self) -> str:
        return self.config.server_uri or f"sip:{self.config.server_id}@{self.config.domain}"

    def _challenged(self, response: Response, now: float) -> None:
        challenges = response.headers.get_all("WWW-Authenticate")
        is_refresh = self._state is _State.REFRESHING
        if is_refresh and not self.config.answer_refresh_challenge:
            self._registered(now, float(self._expires or _ASSUMED_EXPIRES))
            return
        # A second challenge is fair only when the first nonce had expired (stale=true).
        is_stale = any(map(_is_stale, challenges))
        limit = _MAX_AUTHORIZATIONS if is_stale else 1
        if self._authorizations >= limit or not challenges:
            self._refused(response, now)
            return
        try:
            authorization = authorize(
                challenges,
                method="REGISTER",
                uri=self._server_uri,
                username=self.config.username or self.config.device_id,
                password=self.config.password,
                cnonce=self._new_token(),
            )
        except RemoteProtocolError as error:
            self._fail(now, response.status, str(error))
            return
        self._authorizations += 1
        self._state = _CHALLENGED[self._state]
        leaving = self._state is _State.LEAVING
        self._send_register(expires=0 if leaving else self._expires, authorization=authorization)

    def _accepted(self, response: Response, now: float) -> None:
        if self._state is _State.LEAVING:
            self._left(confirmed=True)
        else:
            granted = _granted(response)
            self._registered(now, float(granted or self._expires or _ASSUMED_EXPIRES))

    def _registered(self, now: float, expires: float) -> None:
        config = self.config
        self._state = _State.REGISTERED
        self._missed = 0
        self._granted = expires = min(max(expires, config.min_granted), config.max_granted)
        self._timers[_TIMER_REFRESH] = now + max(1.0, expires * config.refresh_share)
        if config.keepalive_interval is not None and _TIMER_KEEPALIVE not in self._timers:
            self._keepalive_at = now + config.keepalive_interval
            self._timers[_TIMER_KEEPALIVE] = self._keepalive_at
        if not self._is_online:
            self._is_online = True
            self._events.append(Online(expires))

    def _raise_expires(self, response: Response) -> bool:
        least = response.headers.get("Min-Expires") or ""
        if not least.strip().isdecimal() or self._expires is None:
            return False
        wanted = int(least)
        if wanted <= self._expires or wanted >= 2**31 or self._raises >= _MAX_RAISES:
            return False
        self._raises += 1
        self._expires = wanted
        self._authorizations = 0
        return True

    def _refused(self, response: Response, now: float) -> None:
        if self._state is _State.LEAVING:
            self._left(confirmed=False)
            return
        detail = f"REGISTER answered {response.status} {response.reason}"
        moved = 300 <= response.status < 400
        contacts = tuple(response.headers.get_all("Contact"))[:_MAX_CONTACTS] if moved else ()
        self._fail(now, response.status, detail, _retry_after(response), contacts)

    def _fail(
        self,
        now: float,
        status: int | None,
        detail: str,
        retry_after: float | None = None,
        contacts: tuple[str, ...] = (),
    ) -> None:
        config = self.config
        authorized = status is not None and self._authorizations > 0
        self._timers.clear()
        self._state = _State.WAITING
        if config.retries:
            delay = config.retry_delay if retry_after is None else retry_after
            delay *= 1 + self._new_fraction()
            self._timers[_TIMER_RETRY] = now + delay
        else:
            delay = retry_after or 0.0
        if self._is_online:
            self._is_online = False
            self._events.append(Offline(detail))
        self._events.append(RegistrationFailed(status, detail, delay, authorized, contacts))

    def _left(self, *, confirmed: bool) -> None:
        self._timers.clear()
        self._state = _State.STOPPED
        self._is_online = False
        self._events.append(Stopped(confirmed))

    def _keepalive(self, now: float) -> None:
        self._sn += 1
        self._events.append(SendKeepalive(self._sn))
        interval = self.config.keepalive_interval
        if interval is not None and self._state in _ALIVE:
            # From when it was due, not from now: lateness must not add up. After a standstill one is enough.
            late = max(0.0, now - self._keepalive_at)
            self._keepalive_at += interval * (late // interval + 1)
            self._timers[_TIMER_KEEPALIVE] = self._keepalive_at

    _ON_TIMER = {  # noqa: RUF012 - a table, written once
        _TIMER_REFRESH: _refresh,
        _TIMER_RETRY: _begin,
        _TIMER_KEEPALIVE: _keepalive,
    }


def _granted(response: Response) -> int | None:
    """Seconds granted: Expires, as GB has it, else the expires of the Contact (RFC 3261 10.3)."""
    if response.expires is not None or response.contact is None:
        return response.expires
    try:
        value = response.contact.params.get("expires") or ""
    except SipParseError:
        return None
    return int(value) if value.isdecimal() and len(value) <= _MAX_DIGITS else None


def _is_stale(challenge: str) -> bool:
    """Whether only the nonce was too old; some platforms quote the word."""
    try:
        value = parse_auth(challenge, field="WWW-Authenticate").params.get("stale")
    except SipParseError:
        return False
    return (value or "").lower() == "true"


def _retry_after(response: Response) -> float | None:
    value = (response.headers.get("Retry-After") or "").split(";")[0].split("(")[0].strip()
    return min(float(value), _MAX_RETRY_AFTER) if value.isdecimal() else None


_ALIVE = frozenset({_State.REGISTERED, _State.REFRESHING, _State.REAUTHORIZING})

# State in which a challenge is answered -> state in which the answer is awaited. Any other state has
# no REGISTER out, so a response that still arrives is late and absorbed.
_CHALLENGED = {
    _State.REGISTERING: _State.AUTHORIZING,
    _State.AUTHORIZING: _State.AUTHORIZING,
    _State.REFRESHING: _State.REAUTHORIZING,
    _State.REAUTHORIZING: _State.REAUTHORIZING,
    _State.LEAVING: _State.LEAVING,
}
