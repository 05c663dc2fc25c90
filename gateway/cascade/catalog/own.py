"""What we say about ourselves in a catalogue."""

from dataclasses import dataclass

from gateway.cascade.catalog.loop_mark import marked
from gateway.cascade.catalog.node import division_of
from gateway.domain.device import Channel, ChannelKind

__all__ = ["OwnPlatform"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPlatform:
    """Our own platform, the first item of every catalogue."""

    name: str
    manufacturer: str = ""
    model: str = ""
    owner: str = ""
    civil_code: str = ""
    """Empty: the division in the first digits of our code."""
    address: str = ""
    codes: frozenset[str] = frozenset()
    """All codes under which we are known anywhere; what comes from below under one of them is a loop."""

    mark: str = ""
    """Ours among all gateways, in the model: what comes from below with it is a loop, whatever its code."""

    def channel(self, local_id: str) -> Channel:
        """Return it as an item without a device."""
        return Channel(
            device_id="",
            channel_id=local_id,
            kind=ChannelKind.PLATFORM,
            name=self.name or local_id,
            manufacturer=self.manufacturer,
            model=marked(self.model, self.mark),
            civil_code=self.civil_code or division_of(local_id),
            address=self.address,
            extra={"Owner": self.owner} if self.owner else {},
        )
