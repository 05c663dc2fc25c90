"""What the registry keeps per device besides the device itself."""

import asyncio
import math
from datetime import datetime

from gateway.domain.device import Device, OfflineReason
from gateway.registry.timeline import Timeline

__all__ = ["DeviceEntry"]


class DeviceEntry:
    """One device in memory; times are monotonic seconds."""

    __slots__ = (
        "before",
        "device",
        "due",
        "expires",
        "heard",
        "missed",
        "registered",
        "saved",
        "timeline",
        "writing",
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
        self.writing: asyncio.Future[None] | None = None
        """The latest write of a registration that takes the device online."""
        self.before: tuple[OfflineReason | None, datetime | None] = (
            device.offline_reason,
            device.status_since,
        )
        """Why and since when it was offline before that; so it is again if the write fails."""
        self.saved = False
        """Whether what must be durable is."""
