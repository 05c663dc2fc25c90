"""What the registry keeps per device besides the device itself."""

import math

from gateway.domain.device import Device
from gateway.registry.timeline import Timeline

__all__ = ["DeviceEntry"]


class DeviceEntry:
    """One device in memory; times are monotonic seconds."""

    __slots__ = (
        "device",
        "due",
        "expires",
        "heard",
        "missed",
        "registered",
        "saved",
        "timeline",
    )

    def __init__(self, device: Device) -> None:
        self.device = device
        self.timeline = Timeline()
        self.expires = -math.inf
        """End of the registration."""
        self.registered = -math.inf
        """Last REGISTER."""
        self.heard = -math.inf
        """Last REGISTER or keepalive."""
        self.missed = 0
        """Keepalives missed since then."""
        self.due = math.inf
        """This device's place in the supervision heap."""
        self.saved = False
        """Whether what must be durable is."""
