"""How many items a catalogue has, counted as they change."""

from gateway.cascade.catalog.item import Placed, is_camera

__all__ = ["Tally"]


class Tally:
    """Counts ahead of what is published, and shows what was counted once it is."""

    def __init__(self) -> None:
        self.items = 0
        self.cameras = 0
        self._items = 0
        self._cameras = 0

    def count(self, before: Placed | None, after: Placed | None) -> None:
        """Note that an item comes, goes or changes."""
        self._items += (after is not None) - (before is not None)
        self._cameras += is_camera(after) - is_camera(before)

    def publish(self) -> None:
        """Show what was counted."""
        self.items, self.cameras = self._items, self._cameras
