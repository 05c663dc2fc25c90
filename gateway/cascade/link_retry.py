"""Which address of a platform is tried next, and when (protocol 3.3, 3.4)."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from gateway.domain.platform import PlatformAddress, PlatformConfig
from gb28181.errors import SipParseError
from gb28181.ids import is_device_id
from gb28181.sip.header.address import parse_name_addr_list

__all__ = ["FAILOVER_PAUSE", "MAX_DELAY", "RetryPlan", "redirection"]

MAX_DELAY: Final = 3600.0
"""Seconds between two rounds at most, chance included."""
FAILOVER_PAUSE: Final = 1.0
"""Seconds before the next address of the same round, at least; at most twice that."""
SPREAD: Final = 0.25
"""Share of a delay that chance adds, so that many links do not come at once."""
MAX_REDIRECTS: Final = 2
"""Redirections followed without a registration in between: servers may send us round in circles."""
DEFAULT_PORT: Final = {"UDP": 5060, "TCP": 5060, "TLS": 5061}


class RetryPlan:
    """Goes through the addresses of a platform; after the last one it waits, longer each time.

    Args:
        config: The platform's configuration.
        new_fraction: Makes numbers in [0, 1).
    """

    def __init__(self, config: PlatformConfig, new_fraction: Callable[[], float]) -> None:
        self.at: float | None = None
        """When the next try is due; monotonic seconds."""
        self._addresses = config.addresses
        self._least = config.retry_delay
        self._new_fraction = new_fraction
        self._index = 0
        self._rounds = 0
        self._wanted = 0.0
        self._redirects = 0
        self._since: float | None = None
        self._redirected: tuple[PlatformAddress, str] | None = None

    @property
    def target(self) -> tuple[PlatformAddress, str]:
        """Where to register, and the code of the server there if it is not the platform's own."""
        return self._redirected or (self._addresses[self._index], "")

    def due(self, now: float) -> bool:
        """Whether it is time for the next try; True once."""
        if self.at is None or self.at > now:
            return False
        self.at = None
        return True

    def succeeded(self, now: float) -> None:
        """A registration stands: start afresh when it is lost."""
        self._rounds = self._redirects = 0
        self._wanted = 0.0
        self._since = now

    def failed(self, now: float, retry_after: float = 0.0, *, reason: str = "") -> timedelta:
        """Plan the next try; returns how long until then.

        Args:
            now: Monotonic seconds.
            retry_after: Seconds the platform asked us to stay away; 0 if it did not.
            reason: `keepalive_refused` by a platform that is there but forgot us, and `connection_lost`, are
                tried again soon, unless the registration had not lasted even the usual wait.
        """
        lasted = self._since is not None and now - self._since >= self._least
        self._since = None
        if lasted and reason == "keepalive_refused":
            return self._plan(now, self._pause())
        # A server that we were sent to is not asked again: only the one that sent us knows a better one.
        self._redirected = None
        self._wanted = max(self._wanted, retry_after)
        self._index += 1
        if self._index < len(self._addresses):
            return self._plan(now, self._pause())
        self._index = 0
        soon = lasted and reason == "connection_lost"
        return self._plan(now, self._pause() if soon else self._between_rounds())

    def redirect(self, address: PlatformAddress, peer_id: str) -> bool:
        """Go where the platform sends us; False after too many redirections in a row."""
        if self._redirects >= MAX_REDIRECTS:
            return False
        self._redirects += 1
        self._redirected = (address, peer_id)
        return True

    def again_now(self, now: float) -> None:
        """Try at once, from the first address."""
        self._index = self._rounds = self._redirects = 0
        self._redirected = None
        self.at = now

    def _plan(self, now: float, delay: float) -> timedelta:
        self.at = now + delay
        return timedelta(seconds=delay)

    def _pause(self) -> float:
        return FAILOVER_PAUSE * (1 + self._new_fraction())

    def _between_rounds(self) -> float:
        # 2**12 times any delay allowed is above the maximum.
        delay = self._least * float(2 ** min(self._rounds, 12))
        self._rounds += 1
        self._redirects = 0
        delay, self._wanted = max(delay, self._wanted), 0.0
        most = max(self._least, MAX_DELAY / (1 + SPREAD))
        return min(delay, most) * (1 + SPREAD * self._new_fraction())


def redirection(
    contacts: Iterable[str], config: PlatformConfig
) -> tuple[PlatformAddress, str] | None:
    """Return where a 302 sends us and the code of the server there, None if it names no usable place."""
    for value in contacts:
        try:
            uri = parse_name_addr_list(value, field="Contact")[0].sip_uri
        except (SipParseError, IndexError):
            continue
        port = uri.port or DEFAULT_PORT[config.transport]
        if uri.host and port:
            peer_id = uri.user if is_device_id(uri.user) else ""
            return PlatformAddress(uri.host.strip("[]"), port), peer_id
    return None
