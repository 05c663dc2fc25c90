"""How often somebody may ask: requests of a key, failures of a source address."""

from gateway.sharing.failures import MAX_SOURCES, FailureLimit, network_of

__all__ = ["MAX_SOURCES", "FailureLimit", "RateQuota", "network_of"]


class RateQuota:
    """A bucket of requests per key, full at first and refilled evenly over a minute."""

    def __init__(self) -> None:
        self._levels: dict[str, tuple[float, float]] = {}
        """Requests left and when, by key; as many as there are keys in use."""

    def take(self, key_id: str, per_minute: int, now: float) -> float:
        """Count a request; return 0 if it may pass, else the seconds until one may."""
        level, at = self._levels.get(key_id, (float(per_minute), now))
        level = min(float(per_minute), level + max(0.0, now - at) * per_minute / 60)
        passes = level >= 1
        self._levels[key_id] = (level - 1 if passes else level, now)
        return 0.0 if passes else (1 - level) * 60 / per_minute

    def forget(self, key_id: str) -> None:
        """Forget a key that is gone."""
        self._levels.pop(key_id, None)
