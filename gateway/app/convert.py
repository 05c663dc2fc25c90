"""Configuration sections as the values the parts are built from."""

from gateway.config.model import Settings
from gateway.registry.settings import RegistrySettings
from gb28181.flow.flood import FloodLimits

__all__ = ["flood_limits", "registry_settings"]


def registry_settings(settings: Settings) -> RegistrySettings:
    """Return what the registry is told."""
    sip = settings.sip
    return RegistrySettings(
        realm=sip.domain,
        password=sip.password,
        follow_any=sip.follow_address == "any",
        keepalive_interval=sip.keepalive_interval,
        keepalive_misses=sip.keepalive_misses,
        max_devices=settings.limits.max_devices,
    )


def flood_limits(settings: Settings) -> FloodLimits:
    """Failures a minute as levels of leaking buckets: slowed at the configured number, then ignored."""
    pair = settings.limits.register_failures
    host = settings.limits.register_failures_per_address
    return FloodLimits(
        pair_slow=pair,
        pair_ignore=2.5 * pair,
        pair_leak=pair / 60,
        host_slow=host,
        host_ignore=3 * host,
        host_leak=host / 60,
        ignore_for=settings.limits.register_ban,
    )
