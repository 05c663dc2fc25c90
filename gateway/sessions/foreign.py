"""Media of foreign sources: pulled from a URL, or taken from whoever publishes."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.domain.session import Ended, EndReason, SessionRecord, Stage
from gateway.domain.source import (
    Ingest,
    IngestPlane,
    IngestSpec,
    Inlet,
    PullSpec,
    SourceConfig,
    shown_url,
)
from gateway.sessions.way import SessionCore

__all__ = ["ForeignWay", "WayOwner", "pull_spec"]


class WayOwner(Protocol):
    """Who keeps the state of sources."""

    def session_began(self, source_id: str) -> None:
        """A session asks for its media."""

    def session_connected(self, source_id: str) -> None:
        """Its media can come."""

    def session_over(self, source_id: str, ended: Ended) -> None:
        """The session ended."""


def pull_spec(config: SourceConfig, connect_timeout: float, read_timeout: float) -> PullSpec:
    """Return how a source is fetched."""
    return PullSpec(
        url=config.url,
        rtsp_transport=config.rtsp_transport,
        tls_verify=config.tls_verify,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
    )


def transport_of(config: SourceConfig) -> str:
    """Return what stands as the transport in a session's record."""
    if not config.kind.is_pulled:
        return "rtmp_push"
    scheme = config.url.partition(":")[0].lower()
    return f"rtsp_{config.rtsp_transport}" if scheme == "rtsp" else scheme


class ForeignWay:
    """Implements `MediaWay` on an ingest.

    Args:
        config: Returns the source's settings as they are now.
        pull: What to fetch; None: it is taken from the inlet.
        inlet: Where it is published.
        owner: Told how it goes.
    """

    def __init__(
        self,
        config: Callable[[], SourceConfig | None],
        record: SessionRecord,
        *,
        media: IngestPlane,
        owner: WayOwner,
        pull: PullSpec | None = None,
        inlet: Inlet | None = None,
    ) -> None:
        self._config = config
        self._media = media
        self._owner = owner
        self._pull = pull
        self._inlet = inlet
        self._ingest: Ingest | None = None
        self._source_id = record.channel_id

    @property
    def keeps(self) -> bool:
        """Whether it is fetched also while nobody watches."""
        config = self._config()
        return config is not None and config.always and config.enabled

    async def establish(self, session: SessionCore) -> None:
        """Open an ingest and wait until its streams are known."""
        record = session.record
        self._owner.session_began(self._source_id)
        spec = IngestSpec(
            stream_id=record.stream_id,
            session_id=record.session_id,
            pull=self._pull,
            inlet=self._inlet,
        )
        self._ingest = await self._media.open_ingest(spec, session.events)
        wait = self._pull.connect_timeout if self._pull is not None else None
        try:
            async with asyncio.timeout(wait):
                await session.until_reached(Stage.CONNECTED)
        except TimeoutError:
            where = shown_url(self._pull.url) if self._pull is not None else ""
            session.finish(
                EndReason.SOURCE_UNREACHABLE, f"{where} gave no stream within {wait:g} s"
            )
            return
        if not session.ending:
            self._owner.session_connected(self._source_id)

    def packet_came(self, session: SessionCore, ssrc: int, source: str) -> None:
        """Nothing is to be noted: there is no SSRC, and where it comes from was configured."""

    def no_packet(self, session: SessionCore, wait: float) -> tuple[EndReason, str]:
        """Say who did not send."""
        who = "The source was reached" if self._pull is not None else "The publisher is connected"
        return EndReason.NO_PACKET, f"{who} but sent neither picture nor sound within {wait:g} s"

    async def release(self, ended: Ended) -> None:
        """Close the ingest."""
        try:
            if self._ingest is not None:
                await self._ingest.close(ended.reason.value, ended.detail)
        finally:
            self._owner.session_over(self._source_id, ended)
