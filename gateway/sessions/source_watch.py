"""Looks after sources while nobody watches: tries them now and then, and keeps fetching those that are to be."""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from gateway.domain.errors import GatewayError
from gateway.domain.source import IngestPlane, ProbeReport
from gateway.sessions.foreign import pull_spec
from gateway.sessions.source_live import LiveSource
from gateway.sessions.source_ports import SourceSessions, SourceSettings
from gb28181.aio.tasks import TaskScope

__all__ = ["SourceWatch"]

log = structlog.get_logger()

MAX_PROBES = 4
"""Sources looked at at once when nobody asked; each takes a thread and a connection."""
TICK = 1.0
KEEP_AGAIN = (1.0, 60.0)
"""Seconds before a source that is always fetched is tried again: at first, and at most; doubled each time."""


class SourceWatch:
    """Probes and keeps.

    Args:
        sources: All of them, as they are now.
        device_id: Returns the local device that holds their channels.
        changed: Called with a source whose state may have changed.
    """

    def __init__(
        self,
        sources: Mapping[str, LiveSource],
        *,
        device_id: Callable[[], str],
        changed: Callable[[LiveSource], None],
        sessions: SourceSessions,
        media: IngestPlane,
        settings: SourceSettings,
        scope: TaskScope,
        now: Callable[[], float],
    ) -> None:
        self._sources = sources
        self._device_id = device_id
        self._changed = changed
        self._sessions = sessions
        self._media = media
        self._settings = settings
        self._scope = scope
        self._now = now
        self._free = asyncio.Semaphore(MAX_PROBES)
        self._keeping: set[str] = set()

    async def run(self) -> None:
        """Look after them, until cancelled."""
        while True:
            now = self._now()
            for source_id, source in tuple(self._sources.items()):
                if source.inlet is not None or not source.config.enabled:
                    continue
                if source.config.always:
                    if source_id not in self._keeping:
                        self._keeping.add(source_id)
                        self._scope.spawn(self._keep(source_id), name=f"source:{source_id}:keep")
                elif self._is_due(source, now):
                    source.probing = True
                    self._scope.spawn(self._probe(source), name=f"source:{source_id}:probe")
            await asyncio.sleep(TICK)

    async def look(self, source: LiveSource) -> ProbeReport:
        """Try a source now.

        Raises:
            Unavailable: `too_many_pulls`, `shutdown`.
        """
        config, settings = source.config, self._settings
        spec = pull_spec(config, settings.connect_timeout, settings.read_timeout)
        wait = settings.connect_timeout + settings.read_timeout
        try:
            async with asyncio.timeout(wait):
                report = await self._media.probe(spec)
        except TimeoutError:
            report = ProbeReport(
                ok=False,
                code="source_unreachable",
                detail=f"The source gave no stream within {wait:g} s",
                seconds=wait,
            )
        # What was found at an address it no longer has says nothing.
        if source.config.url == config.url and not source.watched:
            source.probed(report)
            self._changed(source)
        return report

    def _is_due(self, source: LiveSource, now: float) -> bool:
        return (
            self._settings.probe_interval > 0
            and not source.watched
            and not source.probing
            and now >= source.probe_at
        )

    async def _probe(self, source: LiveSource) -> None:
        try:
            async with self._free:
                if not source.watched:
                    await self.look(source)
        except GatewayError as exc:
            log.debug("source_not_probed", channel_id=source.config.source_id, detail=exc.detail)
        finally:
            source.probing = False
            source.probe_at = self._now() + source.look_after(self._settings.probe_interval)

    async def _keep(self, source_id: str) -> None:
        """Keep a source's session, until that is no longer wanted."""
        first, most = KEEP_AGAIN
        wait = first
        try:
            while (source := self._sources.get(source_id)) is not None:
                if not (source.config.always and source.config.enabled):
                    return
                try:
                    await self._sessions.play(self._device_id(), source_id)
                    while self._sessions.running(self._device_id(), source_id) is not None:
                        wait = first
                        await asyncio.sleep(TICK)
                except GatewayError as exc:
                    log.debug("source_not_kept", channel_id=source_id, detail=exc.detail)
                await asyncio.sleep(wait)
                wait = min(2 * wait, most)
        finally:
            self._keeping.discard(source_id)
