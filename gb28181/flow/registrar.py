"""What to answer to a REGISTER (GB/T 28181-2022 9.1, RFC 3261 section 10.3).

The registrar keeps nothing about devices: it decides from the request, the device's credential and the flood
control, and its owner carries the decision out. Whatever the Call-ID says, credentials are asked for each time:
a refresh without Authorization is challenged like a first registration.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gb28181.errors import SipParseError
from gb28181.flow.flood import FloodControl, FloodVerdict
from gb28181.sip.digest import Credential, DigestResult, DigestServer
from gb28181.sip.header.address import NameAddr
from gb28181.sip.header.date import serialize_gb_date
from gb28181.sip.header.value import MAX_SECONDS, parse_gb_version, parse_seconds
from gb28181.sip.message import Request

__all__ = [
    "GB_VERSION",
    "Accept",
    "Challenge",
    "Ignore",
    "Refuse",
    "RegisterDecision",
    "Registrar",
    "is_registrable",
    "ok_headers",
]

GB_VERSION = "3.0"
"""X-GB-Ver of our answers: GB/T 28181-2022."""

Headers = list[tuple[str, str]]

_REGISTRABLE = re.compile(r"[0-9]{18}(?:[0-9]{2})?")


@dataclass(frozen=True, slots=True)
class Challenge:
    """Answer 401, statelessly."""

    headers: Headers
    device_id: str
    failed: str | None
    """Why the credentials that came were not enough; None if none came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """The device has proved who it is: answer 200 with `ok_headers`."""

    device_id: str
    expires: int
    """Granted seconds, 0 for a logout."""
    contact: str
    """URI of its Contact, '' for none; often a private address, so never sent to (quirk 12)."""
    call_id: str
    gb_version: str
    """X-GB-Ver, '' when absent or malformed."""
    user_agent: str
    is_logout: bool


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with this final status."""

    status: int
    reason: str | None
    """Reason phrase, None for the standard one."""
    headers: Headers
    device_id: str | None
    """The claimed id where the refusal is news about that device."""
    detail: str


@dataclass(frozen=True, slots=True)
class Ignore:
    """Do not answer at all."""

    detail: str


RegisterDecision = Challenge | Accept | Refuse | Ignore


def is_registrable(device_id: str) -> bool:
    """Tell whether an id may register: 20 digits, or 18 as local systems of 2011-2016 had."""
    return _REGISTRABLE.fullmatch(device_id) is not None


class Registrar:
    """Decides on REGISTER requests.

    Args:
        digest: Issues challenges and checks answers.
        flood: Brake on devices that never succeed.
        min_expires: Shortest lifetime granted, in seconds. A shorter wish is raised, since devices do not
            understand 423 (protocol 3.3).
        max_expires: Longest lifetime granted.
        default_expires: Granted when the device does not say (quirk 1).
        retry_after: Seconds told to a device that is slowed.
        accepts_id: Whether an id has a shape that may register.
    """

    def __init__(
        self,
        *,
        digest: DigestServer,
        flood: FloodControl,
        min_expires: int = 60,
        max_expires: int = 604_800,
        default_expires: int = 86_400,
        retry_after: int = 60,
        accepts_id: Callable[[str], bool] = is_registrable,
    ) -> None:
        self._digest = digest
        self._flood = flood
        self._min_expires = min_expires
        self._max_expires = max_expires
        self._default_expires = default_expires
        self._retry_after = retry_after
        self._accepts_id = accepts_id
        self._nobody = digest.decoy()

    def handle(
        self,
        request: Request,
        source: tuple[str, int],
        credential_for: Callable[[str], Credential | None],
        now: float,
    ) -> RegisterDecision:
        """Decide on one REGISTER.

        Args:
            request: The request, parsed.
            source: Where it came from.
            credential_for: Gives a device's secret, None for a device that cannot register.
            now: Monotonic seconds.
        """
        device_id = request.from_.user
        refusal = self._examine(request, device_id)
        if refusal is not None:
            return refusal
        host = source[0]
        verdict = self._flood.came(host, device_id, now)
        authorization = _authorization(request)
        if authorization is None:
            # Sent in anybody's name by anybody: a device is never kept from its challenge because
            # of its id, whatever has been tried with it.
            if verdict is FloodVerdict.IGNORE:
                return _ignore(device_id, host)
            return self._challenge(device_id, now)
        ignored = verdict is FloodVerdict.IGNORE or self._flood.ignores(host, device_id, now)
        if ignored and not self._digest.issued(authorization, device_id):
            return _ignore(device_id, host)
        credential = credential_for(device_id)
        return self._verify(request, authorization, credential, verdict, host, now)

    def _verify(
        self,
        request: Request,
        authorization: str,
        credential: Credential | None,
        verdict: FloodVerdict,
        host: str,
        now: float,
    ) -> RegisterDecision:
        device_id = request.from_.user
        # An unknown device is measured against a secret nobody has, so it takes the same time.
        result = self._digest.verify(
            authorization, "REGISTER", device_id, credential or self._nobody, now
        )
        if credential is not None and result is DigestResult.OK:
            self._flood.succeeded(host, device_id, now)
            return self._accept(request, device_id)
        if credential is not None and result.retry:
            return self._challenge(device_id, now, failed=result)
        verdicts = (verdict, self._flood.failed(host, device_id, now))
        if FloodVerdict.IGNORE in verdicts:
            return _ignore(device_id, host)
        if FloodVerdict.SLOW in verdicts:
            return self._slow_down(device_id, host)
        # Known and unknown devices get the same answer, so that nobody can tell which ids exist.
        if result in _REPEATABLE:
            return self._challenge(device_id, now, failed=result)
        detail = result.value if credential is not None else "no password is set for this device"
        return Refuse(403, None, _version(), device_id, detail)

    def _examine(self, request: Request, device_id: str) -> Refuse | None:
        to = request.to
        if not to.uri.lower().startswith(("sip:", "sips:")):
            return Refuse(400, "Bad To", _version(), None, "To has no SIP URI")
        if not device_id or not self._accepts_id(device_id):
            detail = f"not an id that may register: {device_id[:40]!r}"
            return Refuse(403, None, _version(), None, detail)
        if to.user != device_id:
            detail = f"To names {to.user[:40]!r}, From {device_id!r}"
            return Refuse(400, "From And To Differ", _version(), None, detail)
        return None

    def _challenge(
        self, device_id: str, now: float, *, failed: DigestResult | None = None
    ) -> Challenge:
        stale = failed is not None and failed.retry
        headers = self._digest.challenge(device_id, now, stale=stale)
        headers += _version()
        return Challenge(headers, device_id, None if failed is None else failed.value)

    def _slow_down(self, device_id: str, host: str) -> Refuse:
        headers = [("Retry-After", str(self._retry_after)), *_version()]
        detail = f"{device_id} from {host} is slowed: too many attempts without success"
        return Refuse(503, None, headers, None, detail)

    def _accept(self, request: Request, device_id: str) -> Accept | Refuse:
        contact = request.contact
        expires = self._expires(request, contact)
        if contact is None and expires > 0:
            return Refuse(400, "Missing Contact", _version(), device_id, "REGISTER without Contact")
        return Accept(
            device_id=device_id,
            expires=expires,
            contact="" if contact is None else contact.uri,
            call_id=request.call_id,
            gb_version=_peer_version(request),
            user_agent=request.headers.get("User-Agent") or "",
            is_logout=expires == 0,
        )

    def _expires(self, request: Request, contact: NameAddr | None) -> int:
        """Return what is granted: Contact parameter before header before default (quirk 1)."""
        wish: int | None = None
        if contact is not None:
            parameter = contact.params.get("expires")
            if parameter is not None:
                wish = _seconds(parameter)
        if wish is None:
            wish = request.expires
        if wish is None:
            wish = self._default_expires
        return 0 if wish == 0 else max(self._min_expires, min(wish, self._max_expires))


def ok_headers(accept: Accept, date: datetime | None) -> Headers:
    """Build the headers of the 200: Expires, Date in the GB form unless None, X-GB-Ver.

    Contact is left out: some devices dislike seeing their own (quirk 12).
    """
    headers = [("Expires", str(accept.expires))]
    if date is not None:
        headers.append(("Date", serialize_gb_date(date)))
    return headers + _version()


def _ignore(device_id: str, host: str) -> Ignore:
    return Ignore(f"{device_id} from {host} registers too often without success")


_REPEATABLE = frozenset(
    {
        DigestResult.MALFORMED,
        DigestResult.OTHER_SCHEME,
        DigestResult.WRONG_ALGORITHM,
        DigestResult.WRONG_REALM,
    }
)
"""Credentials that say nothing about the password: a fresh challenge may help."""


def _version() -> Headers:
    # 2022 annex I: in every answer to REGISTER.
    return [("X-GB-Ver", GB_VERSION)]


def _authorization(request: Request) -> str | None:
    """Pick the Digest credentials among several, else the first ones."""
    values = request.headers.index.get("authorization")
    if values is None:
        return None
    return next((value for value in values if value[:6].lower() == "digest"), values[0])


def _peer_version(request: Request) -> str:
    value = request.headers.get("X-GB-Ver")
    if value is None:
        return ""
    try:
        return parse_gb_version(value)
    except SipParseError:
        return ""


def _seconds(text: str) -> int | None:
    """Parse `expires` of a Contact; a number beyond the range means as long as possible."""
    try:
        return parse_seconds(text, field="Contact")
    except SipParseError:
        return MAX_SECONDS if text.isascii() and text.isdigit() else None
