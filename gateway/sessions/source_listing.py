"""Sources as channels: one local device in the registry lists them, and follows what they do."""

import asyncio
from collections.abc import Mapping

import structlog

from gateway.domain.device import TimelineKind
from gateway.domain.errors import Conflict
from gateway.domain.source import SourceState
from gateway.sessions.source_book import SourceBook
from gateway.sessions.source_live import LiveSource, channel_of
from gateway.sessions.source_ports import LocalDevices, SourceSettings

__all__ = ["SourceListing"]

log = structlog.get_logger()

FIRST_SERIAL = 900_001
"""Serial numbers of codes made here begin high, away from those that people count up."""
LAST_SERIAL = 999_999
DEVICE_TYPE, CAMERA_TYPE = "118", "132"


class SourceListing:
    """Keeps the local device and its channels as the sources are.

    Args:
        book: The sources as configured, and which device holds them.
        sources: The sources at run time.
        devices: The registry.
        settings: Name of the device, and the beginning of codes.
        changing: Held by whoever adds or takes away sources.
    """

    def __init__(
        self,
        book: SourceBook,
        sources: Mapping[str, LiveSource],
        *,
        devices: LocalDevices,
        settings: SourceSettings,
        changing: asyncio.Lock,
    ) -> None:
        self._book = book
        self._sources = sources
        self._devices = devices
        self._settings = settings
        self._changing = changing
        self._dirty = asyncio.Event()

    def new_source_code(self) -> str:
        """Return a code for a source that nothing has.

        Raises:
            Conflict: `no_code_left`.
        """
        return self._new_code(CAMERA_TYPE)

    def check_free(self, source_id: str) -> None:
        """Look whether a code may become a source's.

        Raises:
            Conflict: `channel_exists`: something else has it.
        """
        others = [
            channel
            for channel in self._devices.find_channel(source_id)
            if channel.device_id != self._book.device_id
        ]
        if others or self._devices.get(source_id) is not None:
            where = others[0].device_id if others else "the devices"
            raise Conflict("channel_exists", f"{source_id} is a channel of {where} already")

    async def write(self) -> None:
        """Make the channels of the local device those of the sources; without sources there is no such device.

        Raises:
            Unavailable: the store failed.
        """
        device_id = self._book.device_id
        if not self._sources:
            if device_id and self._devices.get(device_id) is not None:
                await self._devices.remove_local(device_id)
            return
        if not device_id:
            device_id = self._new_code(DEVICE_TYPE)
            await self._book.choose_device(device_id)
        await self._devices.add_local(device_id, name=self._settings.name, model="foreign sources")
        channels = [
            channel_of(self._sources[config.source_id], device_id) for config in self._book.all()
        ]
        await self._devices.replace_catalog(device_id, channels, complete=True)

    def settle(self, source: LiveSource, detail: str = "") -> None:
        """Tell of a state that may have changed; the channel follows soon.

        Args:
            source: Whose.
            detail: A sentence about what happened, for the timeline; empty: only a change is told.
        """
        if not source.settle() and not detail:
            return
        status = source.status()
        source_id = source.config.source_id
        if status.state is SourceState.FAILED or detail:
            words = detail or f"{source_id}: {status.reason}: {status.detail}"
            self._devices.note(self._book.device_id, TimelineKind.SOURCE_CHANGED, words)
        log.info(
            "source_changed", channel_id=source_id, kind=status.state.value, reason=status.reason
        )
        if self._is_stale(source):
            self._dirty.set()

    async def run(self) -> None:
        """Bring on- and offline into the catalogue, until cancelled; what changes meanwhile follows in the next round."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            async with self._changing:
                statuses = {
                    source_id: source.usable
                    for source_id, source in self._sources.items()
                    if self._is_stale(source)
                }
                if statuses:
                    await self._devices.patch_catalog(self._book.device_id, statuses=statuses)

    def _is_stale(self, source: LiveSource) -> bool:
        channel = self._devices.channel(self._book.device_id, source.config.source_id)
        return channel is not None and channel.online is not source.usable

    def _new_code(self, kind: str) -> str:
        for serial in range(FIRST_SERIAL, LAST_SERIAL + 1):
            code = f"{self._settings.domain}{kind}0{serial}"
            taken = self._devices.get(code) is not None or self._devices.find_channel(code)
            if not taken and self._book.find(code) is None:
                return code
        raise Conflict("no_code_left", f"All codes {self._settings.domain}{kind}0... are taken")
