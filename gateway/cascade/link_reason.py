"""Why a registration at a platform failed, in a stable word and a sentence that says what to do."""

from dataclasses import dataclass

from gateway.domain.platform import PlatformConfig
from gb28181.flow.register_client import RegistrationFailed

__all__ = ["Cause", "cause_of"]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a link is down."""

    reason: str
    """Stable word, see `PlatformStatus.reason`."""
    detail: str
    """What came, and what to do about it."""


_WORDS = {
    401: "The platform wants credentials again after it was given some: the password, or the digest user, "
    "is not the one it expects",
    403: "The platform refuses us: it does not know our code, has blocked it, or (as many platforms say "
    "it) the password is wrong",
    404: "The platform does not know what was addressed: check its code, our own code and the SIP domain",
    405: "What listens there is no registrar: check the address and port",
    408: "The platform says that it timed out itself",
    423: "The platform wants a longer interval than any it named before: set expires",
    480: "The platform says that it is not available now",
    488: "The platform does not accept our registration's form",
    500: "The platform failed inside",
    503: "The platform is overloaded or being maintained",
}


def cause_of(
    failed: RegistrationFailed, config: PlatformConfig, *, has_password: bool, known: Cause | None
) -> Cause:
    """Put a failure into words.

    Args:
        failed: What the registration client reported.
        config: The platform's configuration.
        has_password: Whether there is a password at all.
        known: Why, if no answer to REGISTER was the reason.
    """
    status = failed.status
    if status is None:
        return known or Cause("no_answer", failed.detail)
    who = f"{config.local_id or 'our code'} at {config.platform_id}"
    said = f"{failed.detail} for {who}"
    if failed.authorized and not has_password:
        return Cause("no_password", f"{said}: it wants a password and none is configured")
    if status in {401, 407}:
        if failed.authorized:
            return Cause("wrong_password", f"{said}. {_WORDS[401]}")
        return Cause(
            "challenge_unusable", f"{said}: its challenge ({status}) is none we can answer"
        )
    if 300 <= status < 400:
        where = ", ".join(failed.contacts)[:200] or "nowhere"
        return Cause(
            "redirected",
            f"{said}: it sends us to {where}; set edition 2022 to follow, or configure that address",
        )
    words = _WORDS.get(status, "")
    return Cause(f"refused_{status}", f"{said}. {words}" if words else said)
