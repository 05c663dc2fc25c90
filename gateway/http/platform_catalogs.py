"""Previews of catalogues, kept for as long as somebody turns their pages."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from gateway.domain.platform import PlatformConfig
from gateway.http.shared import PlatformCatalogs
from gb28181.manscdp.item import CatalogItem

__all__ = ["PreviewCache"]

LIFETIME = 10.0
"""Seconds a preview is kept."""
KEPT = 4
"""Previews kept at once; each may hold a hundred thousand items."""


class PreviewCache:
    """Makes a preview once for several pages.

    Args:
        catalogs: Makes them.
        now: Monotonic seconds.
    """

    def __init__(self, catalogs: PlatformCatalogs, now: Callable[[], float]) -> None:
        self._catalogs = catalogs
        self._now = now
        self._kept: OrderedDict[
            tuple[PlatformConfig, str | None], tuple[float, Sequence[CatalogItem]]
        ] = OrderedDict()

    async def get(self, config: PlatformConfig, root: str | None) -> Sequence[CatalogItem]:
        """Return all items."""
        key = (config, root)
        until, found = self._kept.get(key, (0.0, ()))
        if self._now() < until:
            return found
        found = await self._catalogs.preview(config, root)
        self._kept[key] = (self._now() + LIFETIME, found)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    def clear(self) -> None:
        """Forget all: something else may be seen now."""
        self._kept.clear()
