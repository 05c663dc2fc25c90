"""What the desk for upper platforms needs of the catalogue, the controls and the devices."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gateway.cascade.ports import UpperLink, UpperRequester, UpperSubscription
from gateway.domain.device import Channel
from gb28181.manscdp import CatalogItem, DeviceControl

__all__ = [
    "CatalogMaker",
    "ChangeNotifier",
    "Controls",
    "PlatformCatalog",
    "PlatformView",
    "StatusSource",
]


class PlatformView(Protocol):
    """One platform's catalogue; `gateway.cascade.catalog` implements it."""

    @property
    def version(self) -> int:
        """A number that rises with every change of what is shown."""

    def answer(self, root: str | None = None) -> AbstractAsyncContextManager[Sequence[CatalogItem]]:
        """Give all items, or those of a part, parents before children; the block is the time they are sent in."""

    def count(self, root: str | None = None) -> int:
        """How many there are."""

    def cameras(self) -> int:
        """How many of all items are cameras."""

    def codes_of(self, root: str) -> Collection[str]:
        """The codes of the items of a part; may take some milliseconds."""

    def resolve(self, shared_id: str) -> Channel | None:
        """The channel a platform knows under a code; None if it was never given it, or may not see it now."""

    def why_unknown(self, shared_id: str) -> tuple[str, str]:
        """Why `resolve` gives nothing, for the record: a reason and a sentence."""

    def is_shown(self, shared_id: str) -> bool:
        """Whether something stands under a code that may be seen at this moment."""

    def shared_id(self, device_id: str, channel_id: str) -> str | None:
        """The code under which a channel is shown now; None if it is not."""

    def is_mine(self, shared_id: str) -> bool:
        """Whether a code is our own platform or a node of the tree."""

    def touch(self, device_id: str, channel_ids: Collection[str] | None = None) -> None:
        """A device, or some of its channels, changed."""

    def policy_changed(self, first: Collection[str] = ()) -> None:
        """Decisions may have changed, on items of some devices for certain."""


class ChangeNotifier(Protocol):
    """Tells a platform's subscriptions what changed in its catalogue."""

    def add(
        self,
        subscription: UpperSubscription,
        *,
        root: str | None,
        remaining: Callable[[], int],
        gone: Callable[[], None],
    ) -> None:
        """Begin to notify a subscription; the initial report goes out soon.

        Args:
            subscription: Takes the NOTIFYs.
            root: What of the catalogue was subscribed; None is all of it.
            remaining: Seconds the subscription lasts from now, for Subscription-State.
            gone: To be called once when a NOTIFY was not taken: the subscription is no more.
        """

    def remove(self, subscription: UpperSubscription) -> None:
        """Notify it no more; idempotent. Sends nothing."""


class PlatformCatalog(Protocol):
    """A platform's catalogue and who tells of its changes."""

    @property
    def view(self) -> PlatformView:
        """The catalogue."""

    @property
    def notifier(self) -> ChangeNotifier:
        """Tells of changes."""

    async def load(self) -> None:
        """Read the codes given out and build the tree; before anything else.

        Raises:
            Unavailable: the store cannot be read.
        """

    async def run(self) -> None:
        """Follow changes and notify, until cancelled."""


CatalogMaker = Callable[[UpperLink], PlatformCatalog]
"""Makes the catalogue of a platform when its link is made."""


class Controls(Protocol):
    """Takes DeviceControl; `gateway.cascade.control` implements it."""

    def control(self, link: UpperLink, requester: UpperRequester, control: DeviceControl) -> int:
        """Take a control and return the SIP status to answer with."""


StatusSource = Callable[[str, str], Awaitable[Mapping[str, str]]]
"""Asks a channel (device id, channel id) for its DeviceStatus: fields by their standard names.

Raises Unavailable when there is no answer; the desk then answers from what the catalogue says.
"""
