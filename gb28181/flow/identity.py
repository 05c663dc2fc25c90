"""Monitor-User-Identity: which user, through which gateways, stands behind a request (GB/T 28181 8.3, 8.5).

    Monitor-User-Identity: <gateway n>-...-<gateway 1>-<user>

Gateway 1 is that of the domain the user belongs to; each later one puts its own code in front. The inner
layout of the user part (user, organisation, category, rank) is not defined, and it may hold hyphens. So the
codes in front are gateways as long as they look like gateways, and the last segment is the user's whatever
it looks like: a platform that asks for itself writes its own code there.
"""

import re
from dataclasses import dataclass

from gb28181.errors import LocalProtocolError, RemoteProtocolError
from gb28181.ids import DeviceId
from gb28181.limits import MAX_IDENTITY_HOPS, MAX_IDENTITY_LENGTH
from gb28181.sip.grammar import clip, encode

__all__ = ["MonitorIdentity", "is_gateway_code", "parse_monitor_identity"]

_GATEWAY_TYPES = frozenset({200, 211})
"""Platforms, which do it themselves in practice, and secure signalling routing gateways."""
# Bytes that are no UTF-8, as of names in GB 18030, arrive as surrogates from dc80 on; others cannot.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udc7f\udd00-\udfff]")


def is_gateway_code(text: str) -> bool:
    """Return whether a segment has the form of a gateway's code: 20 digits of type 211 or 200."""
    return DeviceId(text).type_code in _GATEWAY_TYPES


@dataclass(frozen=True, slots=True)
class MonitorIdentity:
    """A parsed header."""

    gateways: tuple[str, ...]
    """Codes of the gateways, the latest first; at least one."""
    user: str
    """User identity with its attributes, opaque, forwarded unchanged."""

    @classmethod
    def of(cls, gateway_id: str, user: str) -> "MonitorIdentity":
        """Return what the gateway of the user's own domain writes.

        Raises:
            LocalProtocolError: The code is no gateway's, or the user part could not be told from codes.
        """
        identity = cls((gateway_id,), user)
        try:
            same = parse_monitor_identity(identity.serialize()) == identity
        except RemoteProtocolError as error:
            raise LocalProtocolError(str(error)) from error
        if not same:
            raise LocalProtocolError(f"the user part begins with a gateway's code: {clip(user)!r}")
        return identity

    @property
    def origin(self) -> str:
        """The gateway of the user's own domain."""
        return self.gateways[-1]

    @property
    def latest(self) -> str:
        """The gateway it came from last."""
        return self.gateways[0]

    @property
    def looped(self) -> bool:
        """Whether some gateway has passed it on twice."""
        return len(set(self.gateways)) < len(self.gateways)

    @property
    def readable_user(self) -> str:
        """The user part for people and records: bytes that are no UTF-8 are read as GB 18030."""
        if self.user.isascii():
            return self.user
        data = encode(self.user)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("gb18030", "replace")

    def passed(self, gateway_id: str) -> bool:
        """Return whether a gateway has passed it on: then it must not do so again (482)."""
        return gateway_id in self.gateways

    def via(self, gateway_id: str) -> "MonitorIdentity":
        """Return it with a gateway's code put in front; the user stays as it is.

        Raises:
            RemoteProtocolError: It would come through that gateway a second time (482), or through more
                gateways, or get longer, than anybody accepts (483).
            LocalProtocolError: The code is no gateway's.
        """
        if not is_gateway_code(gateway_id):
            raise LocalProtocolError(f"no gateway's code: {clip(gateway_id)!r}")
        if self.passed(gateway_id):
            raise RemoteProtocolError(f"the identity came through {gateway_id} before", status=482)
        longer = MonitorIdentity((gateway_id, *self.gateways), self.user)
        if len(longer.gateways) > MAX_IDENTITY_HOPS:
            raise RemoteProtocolError(
                f"the identity came through {len(self.gateways)} gateways already", status=483
            )
        if len(longer.serialize()) > MAX_IDENTITY_LENGTH:
            raise RemoteProtocolError("the identity is too long to be passed on", status=483)
        return longer

    def serialize(self) -> str:
        """Return the header value."""
        return "-".join((*self.gateways, self.user))


def parse_monitor_identity(value: str) -> MonitorIdentity:
    """Parse the header strictly: it decides what somebody may see.

    A gateway that occurs twice is not an error here: see `MonitorIdentity.looped`.

    Raises:
        RemoteProtocolError: It is too long, has control characters, no gateway in front or no user, or comes
            through too many gateways.
    """
    if len(value) > MAX_IDENTITY_LENGTH:
        raise RemoteProtocolError(f"Monitor-User-Identity has {len(value)} characters")
    found = _FORBIDDEN.search(value)
    if found is not None:
        raise RemoteProtocolError(
            f"control character in Monitor-User-Identity: {clip(value)!r}", position=found.start()
        )
    segments = value.strip(" ").split("-")
    count = 0
    while count < len(segments) - 1 and is_gateway_code(segments[count]):
        count += 1
    if count == 0:
        raise RemoteProtocolError(
            f"expected a gateway's code and a user in Monitor-User-Identity, got {clip(value)!r}",
            position=0,
        )
    if count > MAX_IDENTITY_HOPS:
        raise RemoteProtocolError(f"Monitor-User-Identity came through {count} gateways")
    user = "-".join(segments[count:])
    if not user.strip("- "):
        raise RemoteProtocolError(f"no user in Monitor-User-Identity: {clip(value)!r}")
    return MonitorIdentity(tuple(segments[:count]), user)
