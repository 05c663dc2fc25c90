"""The values the registry is tuned by."""

from dataclasses import dataclass, field

__all__ = ["RegistrySettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """Taken from `[sip]` and `[limits]`."""

    realm: str
    """Digest realm: the SIP domain."""
    password: str = field(default="", repr=False)
    """Common password; empty: only devices with a secret of their own may register."""
    follow_any: bool = False
    """Whether a MESSAGE may move a device to a new IP address."""
    keepalive_interval: float = 60.0
    """Seconds."""
    keepalive_misses: int = 3
    max_devices: int = 100_000
