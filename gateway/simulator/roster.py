"""The channels of a simulated device while it lives: they go off-line, come, change and go."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.simulator.scene import SimulatedChannel
from gb28181.manscdp.notify import CatalogEvent

__all__ = ["Roster"]


class Roster:
    """The one list of a device's channels; whoever wants to know of changes sets `on_change`."""

    def __init__(self, channels: Sequence[SimulatedChannel]) -> None:
        self.channels: list[SimulatedChannel] = list(channels)
        self.on_change: Callable[[CatalogEvent, SimulatedChannel], None] = _nobody

    def find(self, channel_id: str) -> SimulatedChannel | None:
        """Return the first channel of this id."""
        return next((item for item in self.channels if item.channel_id == channel_id), None)

    def set_status(self, channel_id: str, *, online: bool) -> None:
        """Let a channel fail or work again, as far as the catalogue says and in fact.

        Raises:
            KeyError: there is no such channel.
        """
        changed = self._change(channel_id, online=online, reachable=online)
        self.on_change(CatalogEvent.ON if online else CatalogEvent.OFF, changed)

    def lose_video(self, channel_id: str) -> None:
        """Let a channel have no video signal any more.

        Raises:
            KeyError: there is no such channel.
        """
        self.on_change(CatalogEvent.VLOST, self._change(channel_id, reachable=False))

    def add(self, channel: SimulatedChannel) -> None:
        """List one more.

        Raises:
            ValueError: its id is there already.
        """
        if self.find(channel.channel_id) is not None:
            raise ValueError(f"channel {channel.channel_id} is there already")
        self.channels.append(channel)
        self.on_change(CatalogEvent.ADD, channel)

    def update(self, channel: SimulatedChannel) -> None:
        """Put another description in the place of the channel with the same id.

        Raises:
            KeyError: there is no such channel.
        """
        self._put(channel.channel_id, channel)
        self.on_change(CatalogEvent.UPDATE, channel)

    def remove(self, channel_id: str) -> None:
        """List a channel no more.

        Raises:
            KeyError: there is no such channel.
        """
        channel = self._get(channel_id)
        self.channels.remove(channel)
        self.on_change(CatalogEvent.DEL, channel)

    def _change(
        self, channel_id: str, *, reachable: bool, online: bool | None = None
    ) -> SimulatedChannel:
        channel = self._get(channel_id)
        changed = replace(
            channel, reachable=reachable, online=channel.online if online is None else online
        )
        self._put(channel_id, changed)
        return changed

    def _get(self, channel_id: str) -> SimulatedChannel:
        channel = self.find(channel_id)
        if channel is None:
            raise KeyError(channel_id)
        return channel

    def _put(self, channel_id: str, channel: SimulatedChannel) -> None:
        self.channels[self.channels.index(self._get(channel_id))] = channel


def _nobody(_: CatalogEvent, __: SimulatedChannel) -> None:
    """Nobody wants to know."""
