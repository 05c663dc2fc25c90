"""What comes of the requests of a model upper platform: registrations seen, subscriptions, calls."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from gb28181.aio.driver import IncomingRequest
from gb28181.manscdp import (
    AlarmNotify,
    CatalogItem,
    CatalogNotify,
    CatalogResponse,
    parse_message,
)
from gb28181.sdp.offer import LiveAnswer
from gb28181.sip.endpoint import Flow
from gb28181.sip.message import Request, Response
from tests.support.patience import PATIENCE
from tests.support.upper_media import MediaSink

__all__ = ["Register", "UpperCall", "UpperSub", "apply", "until"]


@dataclass
class Register:
    """One REGISTER that came."""

    request: Request
    flow: Flow
    at: float
    status: int
    """What it was answered with."""

    @property
    def user(self) -> str:
        return self.request.from_.user

    @property
    def expires(self) -> int | None:
        return self.request.expires


@dataclass
class UpperCall:
    """An accepted INVITE of the upper."""

    shared_id: str
    ssrc: int
    sink: MediaSink
    dialog: Any
    answer: LiveAnswer
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """The gateway sent BYE."""

    @property
    def received(self) -> list[bytes]:
        """RTP packets so far."""
        return self.sink.packets

    async def packets(self, count: int, timeout: float = PATIENCE) -> list[bytes]:
        """The first so many RTP packets."""
        return await self.sink.wait(count, timeout)

    async def bye(self) -> None:
        """Hang up and close the sink."""
        await self.dialog.bye()
        await self.sink.close()


class UpperSub:
    """A subscription of the upper."""

    def __init__(self, cmd_type: str) -> None:
        self.cmd_type = cmd_type
        self.dialog: Any = None
        self.notifies: list[CatalogNotify | AlarmNotify] = []
        """What came with a body, in order."""
        self.states: list[str] = []
        """Subscription-State of every NOTIFY."""
        self.events: list[str] = []
        """Event of every NOTIFY."""
        self.sizes: list[int] = []
        self.notify_status = 200
        self._taken = 0

    @property
    def granted(self) -> int:
        """Seconds granted."""
        return int(self.dialog.granted)

    async def next(self, timeout: float = 5.0) -> Any:
        """The next notification not yet taken."""
        await until(lambda: len(self.notifies) > self._taken, timeout, f"NOTIFY {self.cmd_type}")
        self._taken += 1
        return self.notifies[self._taken - 1]

    async def refresh(self, expires: int = 600) -> Response:
        """SUBSCRIBE again in the dialog."""
        response: Response = await self.dialog.refresh(expires=expires)
        return response

    async def cancel(self) -> Response:
        """Unsubscribe."""
        return await self.refresh(0)

    def take(self, incoming: IncomingRequest) -> None:
        """Note one NOTIFY."""
        request = incoming.request
        self.states.append(request.headers.get("Subscription-State") or "")
        self.events.append(request.headers.get("Event") or "")
        self.sizes.append(len(request.body))
        if request.body.strip():
            content = parse_message(request.body).content
            assert isinstance(content, CatalogNotify | AlarmNotify | CatalogResponse), content
            self.notifies.append(content)  # type: ignore[arg-type]
        incoming.respond(self.notify_status)

    def apply_to(self, view: dict[str, CatalogItem]) -> None:
        """Bring a catalogue, by code, to where all notifications so far lead."""
        for notify in self.notifies:
            assert isinstance(notify, CatalogNotify)
            for item in notify.items:
                apply(view, item)


def apply(view: dict[str, CatalogItem], item: CatalogItem) -> None:
    """Apply one event to a catalogue by code, as an upper platform does."""
    event = item.event.upper()
    if event == "DEL":
        view.pop(item.device_id, None)
    elif event in {"ADD", "UPDATE"}:
        view[item.device_id] = item
    elif item.device_id in view:
        status = "ON" if event == "ON" else "OFF"
        view[item.device_id] = replace(view[item.device_id], status=status)


async def until(probe: Callable[[], object], timeout: float, what: str) -> None:
    """Wait for a condition; fails naming what did not come.

    Args:
        probe: The condition.
        timeout: Seconds that an idle machine needs at most; a loaded one gets `PATIENCE`.
        what: What should come.
    """
    patience = max(timeout, PATIENCE)
    try:
        async with asyncio.timeout(patience):
            while not probe():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"{what} did not come within {patience} s") from None
