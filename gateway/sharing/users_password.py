"""Passwords of people: what may be one, and Argon2id (RFC 9106) over them."""

import asyncio
import base64
import os
import re
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gateway.domain.errors import Invalid, Unavailable

__all__ = ["MAX_PASSWORD", "MIN_PASSWORD", "PasswordHasher", "check_password", "plain_password"]

MIN_PASSWORD = 12
"""Characters. NIST SP 800-63B asks for 8 beside a second factor and for 15 without one in its fourth revision;
12 stands between: guesses on line are throttled, and those off line cost Argon2id each."""
MAX_PASSWORD = 256
"""Characters; more makes no password better and costs time."""

MEMORY_KIB = 46 * 1024
"""The first choice of the OWASP password storage cheat sheet: 46 MiB in one pass, some 55 ms of one core."""
PASSES = 1
LANES = 1
SALT = 16
LENGTH = 32
AT_ONCE = 2
"""Hashes computed at the same time: 92 MiB and two cores at most, so that a flood of logins starves no stream."""
MAX_WAITING = 32
"""Hashes that may wait, about a second's worth; beyond that logins are refused for the moment."""

_TRIED_FIRST = """
abcdef administrator admin asdfgh asdfghjkl baseball camera changeme china computer control default dragon football
gateway gb28181 guest hello hikvision dahua iloveyou letmein login master monitor monkey operator p@ssw0rd passw0rd
password qazwsx qazwsxedc qwerty qwertyuiop root secret security server shadow sunshine superman supervisor
surveillance system test trustno1 uniview user video viewer welcome woaini zaq12wsx 1q2w3e 1q2w3e4r 1q2w3e4r5t
1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 5201314 a1b2c3 a1b2c3d4 密码 管理员 摄像头
"""
_COMMON = frozenset(_TRIED_FIRST.split())
"""Beginnings that everybody tries; digits and signs around one, or the same again, do not make it a password."""
_LETTER = re.compile(r"[^\W\d_]")
_ROWS = ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")
_FEWEST = 5
"""Different characters."""


def plain_password(password: str) -> str:
    """Return a password in the form that is hashed: NFKC, as typed on any keyboard (SP 800-63B 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, name: str) -> str:
    """Return a password that may be one, in the form that is hashed.

    Args:
        password: As typed.
        name: Of its user, canonical.

    Raises:
        Invalid: `password_weak`, saying why.
    """
    plain = plain_password(password)
    why = _weakness(plain, name)
    if why:
        raise Invalid("password_weak", why)
    return plain


def _weakness(plain: str, name: str) -> str:
    if len(plain) < MIN_PASSWORD:
        return f"A password has at least {MIN_PASSWORD} characters; this one has {len(plain)}"
    if len(plain) > MAX_PASSWORD:
        return f"A password has at most {MAX_PASSWORD} characters"
    folded = plain.casefold()
    rest = folded.replace(name, "") if name else folded
    found = (
        (len(rest) < MIN_PASSWORD // 2, "The password is little more than the user's name"),
        (len(set(folded)) < _FEWEST, f"A password has {_FEWEST} different characters or more"),
        (_is_row(folded), "The password is a row of neighbouring characters"),
        (_is_common(folded), "The password is one of those that are tried first"),
    )
    return next((why for weak, why in found if weak), "")


def _is_row(folded: str) -> bool:
    return any(folded in row * 3 or folded in row[::-1] * 3 for row in _ROWS)


def _is_common(folded: str) -> bool:
    # "password2026!", "123admin123", "qwertyqwerty".
    return any(word in folded and not _LETTER.search(folded.replace(word, "")) for word in _COMMON)


class PasswordHasher:
    """Computes hashes in threads, a bounded number at a time.

    Args:
        memory_kib: What one costs.
    """

    def __init__(self, memory_kib: int = MEMORY_KIB) -> None:
        self._memory = memory_kib
        self._fresh = f"$argon2id$v=19$m={memory_kib},t={PASSES},p={LANES}$"
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        # Looks like a hash and fits no password: what a name nobody has is compared with.
        self._decoy = f"{self._fresh}{_encoded(SALT)}${_encoded(LENGTH)}"

    async def hash(self, plain: str) -> str:
        """Return the PHC string of a password in its hashed form.

        Raises:
            Unavailable: `logins_busy`.
        """
        async with self._slot():
            return await asyncio.to_thread(_derive, plain, self._memory)

    async def verify(self, plain: str, encoded: str | None) -> bool:
        """Whether a password fits; without a hash to compare with it takes as long and is False.

        Raises:
            Unavailable: `logins_busy`.
        """
        async with self._slot():
            fits = await asyncio.to_thread(_verify, plain, encoded or self._decoy)
        return fits and encoded is not None

    def is_outdated(self, encoded: str) -> bool:
        """Whether a hash was made with other parameters than those of now."""
        return not encoded.startswith(self._fresh)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("logins_busy", "Too many logins are being checked; try again soon")
        self._waiting += 1
        try:
            async with self._turn:
                yield
        finally:
            self._waiting -= 1


def _derive(plain: str, memory_kib: int) -> str:
    kdf = Argon2id(
        salt=os.urandom(SALT),
        length=LENGTH,
        iterations=PASSES,
        lanes=LANES,
        memory_cost=memory_kib,
    )
    return kdf.derive_phc_encoded(plain.encode("utf-8", "surrogatepass"))


def _verify(plain: str, encoded: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(plain.encode("utf-8", "surrogatepass"), encoded)
    except InvalidKey:
        return False
    return True


def _encoded(size: int) -> str:
    return base64.b64encode(os.urandom(size)).rstrip(b"=").decode()
