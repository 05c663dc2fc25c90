"""A reader of a stream's units that counts as a viewer."""

from collections.abc import Callable

from gateway.media.hub import HubReader
from gb28181.es.unit import MediaUnit

__all__ = ["StreamReader"]


class StreamReader:
    """Units of one stream, from its last key frame on.

    Bounded as every :class:`HubReader`: one that does not keep up loses frames up to the next key frame.

    Args:
        kind: Under which name it counts as a viewer.
        reader: The queue.
        on_end: Called once with (code, detail) when the stream is over; not after `detach`.
        on_detach: Called once when the reader is gone.
    """

    def __init__(
        self,
        kind: str,
        reader: HubReader,
        *,
        on_end: Callable[[str, str], None],
        on_detach: Callable[["StreamReader"], None],
    ) -> None:
        self.kind = kind
        self.reader = reader
        self._on_end = on_end
        self._on_detach: Callable[[StreamReader], None] | None = on_detach

    @property
    def dropped(self) -> int:
        """Video frames lost because this reader was too slow."""
        return self.reader.dropped

    def take(self) -> MediaUnit | None:
        """Return the next unit, or none."""
        return self.reader.take()

    def detach(self) -> None:
        """Stop; idempotent."""
        if self._on_detach is not None:
            on_detach, self._on_detach = self._on_detach, None
            on_detach(self)

    def end(self, code: str, detail: str) -> None:
        """Stop and tell whoever reads why."""
        if self._on_detach is not None:
            self.detach()
            self._on_end(code, detail)
