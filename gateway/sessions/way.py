"""How a session's media is got: by INVITE from a device, or from a foreign source."""

import asyncio
from typing import Protocol

from gateway.domain.session import Ended, EndReason, SessionRecord, Stage
from gateway.domain.source import IngestEvents

__all__ = ["ForeignWays", "MediaWay", "SessionCore"]


class SessionCore(Protocol):
    """A session as its way sees it."""

    @property
    def record(self) -> SessionRecord:
        """The diagnosis, to be filled in."""

    @property
    def events(self) -> IngestEvents:
        """Takes what the media plane tells."""

    @property
    def ending(self) -> bool:
        """Whether it is on its way out: nothing more is to be begun."""

    def reach(self, stage: Stage) -> None:
        """Note a stage."""

    def finish(self, reason: EndReason, detail: str, sip_status: int | None = None) -> None:
        """Begin to end; the first reason stays."""

    async def until_reached(self, stage: Stage) -> None:
        """Wait until a stage is reached, or it ends."""

    async def until_ending(self, woken: asyncio.Event) -> None:
        """Wait until it ends, then set `woken`."""


class MediaWay(Protocol):
    """Gets the media of one session; used by one session, once."""

    @property
    def keeps(self) -> bool:
        """Whether the session goes on while nobody watches."""

    async def establish(self, session: SessionCore) -> None:
        """Return once media may come, or the session has been told to end.

        Raises:
            GatewayError: it cannot be begun.
        """

    def packet_came(self, session: SessionCore, ssrc: int, source: str) -> None:
        """Note where the first packet came from."""

    def no_packet(self, session: SessionCore, wait: float) -> tuple[EndReason, str]:
        """Return why a session without a packet ends `wait` seconds after it was established."""

    async def release(self, ended: Ended) -> None:
        """Give everything back; bounded in time, whatever has been begun."""


class ForeignWays(Protocol):
    """Knows the foreign sources."""

    def way(self, record: SessionRecord) -> MediaWay:
        """Return the way to a source's media, with `record.transport` filled in.

        Raises:
            NotFound: `channel_unknown`.
            Unavailable: `source_disabled`.
        """
