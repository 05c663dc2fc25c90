"""What the running gateway holds, by name, as its parts say."""

from collections.abc import Callable

__all__ = ["Holdings"]

Count = Callable[[], int]


class Holdings:
    """Counts of what is held now; each part is noted where it is started."""

    def __init__(self) -> None:
        self._shown: dict[str, Count] = {}
        self._given_back: dict[str, Count] = {}

    def show(self, name: str, count: Count) -> None:
        """Take in something whose number is a figure of the gateway."""
        self._shown[name] = count

    def give_back(self, name: str, count: Count) -> None:
        """Take in something that must be nothing once all is over."""
        self._given_back[name] = count

    def add(self, name: str, count: Count) -> None:
        """Take in something that is both."""
        self.show(name, count)
        self.give_back(name, count)

    def counts(self) -> dict[str, int]:
        """Return the figures."""
        return {name: count() for name, count in self._shown.items()}

    def leftovers(self) -> dict[str, int]:
        """Return what is held and must be nothing after the end; only what is not zero."""
        held = {name: count() for name, count in self._given_back.items()}
        return {name: count for name, count in held.items() if count}
