"""A platform's catalogue and who tells of its changes, as one."""

from collections.abc import Callable

from gateway.cascade.catalog.notifier import CatalogNotifier
from gateway.cascade.catalog.sender import NotifierSettings
from gateway.cascade.catalog.view import CatalogView
from gateway.cascade.ports import UpperLink

__all__ = ["SharedCatalog"]


class SharedCatalog:
    """What the desk holds for each platform.

    Args:
        view: The catalogue.
        link: The platform.
        on_crash: Told of a crash of a subscription's task.
        settings: How changes are told.
    """

    def __init__(
        self,
        view: CatalogView,
        link: UpperLink,
        *,
        on_crash: Callable[[str, Exception], None],
        settings: NotifierSettings | None = None,
    ) -> None:
        self.view = view
        self.notifier = CatalogNotifier(view, link, on_crash=on_crash, settings=settings)

    async def load(self) -> None:
        """Read the codes given out and build the catalogue; before anything else.

        Raises:
            Unavailable: the store cannot be read.
        """
        await self.view.load()

    async def run(self) -> None:
        """Follow changes and notify, until cancelled."""
        await self.notifier.run()
