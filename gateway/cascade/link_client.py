"""How we register at a platform, in the terms of the registration client."""

from dataclasses import replace
from typing import Final

from gateway.domain.platform import Edition, PlatformConfig
from gb28181.flow.register_client import RegisterClientConfig, RegisterClientState

__all__ = ["FORGOTTEN", "MAX_GRANTED", "MIN_GRANTED", "SETTLING", "client_config", "peer_of"]

FORGOTTEN: Final = frozenset({401, 403, 404})
"""Answers to a keepalive that say that we are not registered; any other is a miss like silence."""
SETTLING: Final = frozenset(
    {
        RegisterClientState.REGISTERING,
        RegisterClientState.AUTHORIZING,
        RegisterClientState.REGISTERED,
    }
)
"""States in which a platform may have granted what has not been acted on yet."""

MIN_GRANTED: Final = 60.0
"""Seconds; a platform that grants 1 would be asked every second otherwise."""
MAX_GRANTED: Final = 604_800.0
"""Seconds; whoever grants a century is asked again within a week."""


def client_config(config: PlatformConfig, password: str, *, own_id: str) -> RegisterClientConfig:
    """Return how the registration client is to register at a platform; the link retries by itself."""
    return RegisterClientConfig(
        device_id=config.local_id or own_id,
        server_id=config.platform_id,
        domain=config.sip_domain,
        password=password,
        username=config.username,
        expires=config.expires,
        # Platforms of 2011 and 2016 know no version and are sent none (protocol 2.8).
        gb_version=config.edition.gb_version if config.edition is Edition.V2022 else "",
        keepalive_interval=config.keepalive_interval,
        keepalive_misses=config.keepalive_misses,
        min_granted=MIN_GRANTED,
        max_granted=MAX_GRANTED,
        retries=False,
    )


def peer_of(config: PlatformConfig, peer_id: str) -> PlatformConfig:
    """Return how a server is addressed that a redirection names; the platform itself without one.

    The domain stays that of the platform whichever of its servers it is.
    """
    return replace(config, platform_id=peer_id, domain=config.sip_domain) if peer_id else config
