"""Judging Monitor-User-Identity: believed, looped, too far, from a gateway nobody trusts (GB/T 28181 8.3, 8.5)."""

from collections.abc import Callable

from gateway.domain.errors import Forbidden
from gateway.domain.platform import PlatformConfig
from gateway.domain.policy import Subject
from gateway.sharing.policy.model import IdentityRules, Policy, user_type
from gb28181.errors import RemoteProtocolError
from gb28181.flow.identity import (
    MonitorIdentity,
    is_gateway_code,
    parse_monitor_identity,
)

__all__ = ["IdentityGate", "IdentityRefused", "subject_of"]


class IdentityRefused(Forbidden):
    """A request whose identity is missing or not to be believed.

    Args:
        code: `identity_required`, `identity_malformed`, `identity_loop`, `identity_hops`, `identity_untrusted`,
            `identity_user`.
        detail: What was expected and what came.
        status: SIP status to answer with: 400, 403, 482 or 483.
    """

    def __init__(self, code: str, detail: str, *, status: int = 403) -> None:
        super().__init__(code, detail, rule="builtin:identity")
        self.status = status


class IdentityGate:
    """Decides whether the identity that a platform's request carries is taken for true.

    Args:
        own_id: Our code; an identity that came through us before is a loop.
        rules: Returns the policy in force, whose `[identity]` table says what is demanded of everybody.
    """

    def __init__(self, own_id: str, rules: Callable[[], Policy]) -> None:
        self._own_id = own_id
        self._rules = rules

    def check(self, config: PlatformConfig, value: str | None) -> MonitorIdentity | None:
        """Return the identity a request carries, None if it has none and needs none.

        Args:
            config: The platform that sent it, already recognised by its address and code.
            value: The header as sent, None if absent.

        Raises:
            IdentityRefused: it is missing where it is demanded, or not to be believed.
        """
        rules = self._rules().identity
        if value is None:
            if config.require_identity or rules.required:
                raise IdentityRefused(
                    "identity_required", "expected Monitor-User-Identity, the header is missing"
                )
            return None
        try:
            identity = parse_monitor_identity(value)
        except RemoteProtocolError as exc:
            raise IdentityRefused("identity_malformed", str(exc), status=400) from exc
        self._check_path(identity, config, rules)
        _check_trust(identity, config, rules)
        _check_user(identity, rules)
        return identity

    def onward(self, identity: MonitorIdentity | None, asker: str) -> MonitorIdentity | None:
        """Return what goes on with a request to the next level; None if our own code is no gateway's.

        Args:
            identity: As it came in and was judged; None: the request carried none.
            asker: Who asked then: the platform's code, or one of our own people.

        Raises:
            IdentityRefused: it cannot be passed on: a loop, or too many gateways.
        """
        if not is_gateway_code(self._own_id):
            return None
        if identity is None:
            return MonitorIdentity.of(self._own_id, asker)
        try:
            return identity.via(self._own_id)
        except RemoteProtocolError as exc:
            code = "identity_loop" if exc.status == 482 else "identity_hops"
            raise IdentityRefused(code, str(exc), status=exc.status) from exc

    def _check_path(
        self, identity: MonitorIdentity, config: PlatformConfig, rules: IdentityRules
    ) -> None:
        passed = {self._own_id, config.local_id or self._own_id}.intersection(identity.gateways)
        if passed:
            raise IdentityRefused(
                "identity_loop", f"the identity came through us ({min(passed)}) before", status=482
            )
        if identity.looped:
            raise IdentityRefused(
                "identity_loop", "the identity came through one gateway twice", status=482
            )
        hops = len(identity.gateways)
        if hops > rules.max_hops:
            raise IdentityRefused(
                "identity_hops",
                f"expected at most {rules.max_hops} gateways in the identity, got {hops}",
                status=483,
            )


def subject_of(config: PlatformConfig, identity: MonitorIdentity | None) -> Subject:
    """Return who stands behind a platform's request, for the policy."""
    if identity is None:
        return Subject(platform=config.platform_id)
    return Subject(
        platform=config.platform_id,
        identity=identity.readable_user,
        gateways=identity.gateways,
    )


def _check_trust(identity: MonitorIdentity, config: PlatformConfig, rules: IdentityRules) -> None:
    trusted = {config.platform_id, *rules.trusted_gateways, *config.trusted_gateways}
    # Without a list of its own a platform answers for what it passes on; with one every gateway counts.
    asked = identity.gateways if config.trusted_gateways else (identity.latest,)
    for gateway in asked:
        if gateway not in trusted:
            raise IdentityRefused(
                "identity_untrusted",
                f"gateway {gateway} is not trusted to name users for {config.platform_id}",
            )


def _check_user(identity: MonitorIdentity, rules: IdentityRules) -> None:
    if not rules.user_types:
        return
    code = user_type(identity.user)
    if code is None or not any(low <= code <= high for low, high in rules.user_types):
        wanted = ", ".join(f"{low:03}-{high:03}" for low, high in rules.user_types)
        raise IdentityRefused(
            "identity_user",
            f"expected a user's code of type {wanted}, got {identity.readable_user[:40]!r}",
        )
