"""The registry's one face: devices, their presence, channels and timelines, each with its owner behind it.

    table            which devices are known            presence   who is registered where, who fell silent
    timelines        what happened to whom              catalogs   channels, and what is told of them
    administration   what operators decide              secret     who must prove what

Everything is decided in memory. What must survive a power failure before a REGISTER is answered (a first
registration, a changed address or transport, a logout) gives the caller a future to wait for; the rest reaches
the store in batches. All methods run on the event loop; `now` is monotonic seconds.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import structlog

from gateway.domain.clock import Clock
from gateway.domain.device import (
    CatalogDiff,
    Channel,
    ChannelKind,
    Device,
    DeviceAddress,
    DeviceSettings,
    Identity,
    Registration,
    TimelineEntry,
    TimelineKind,
)
from gateway.domain.store import DeviceStore
from gateway.registry.administration import DeviceAdministration
from gateway.registry.catalogs import CatalogBook, CatalogListener
from gateway.registry.entry import DeviceEntry
from gateway.registry.presence import DeviceListener, Presence
from gateway.registry.secret import SecretBook
from gateway.registry.settings import RegistrySettings
from gateway.registry.table import DeviceTable
from gateway.registry.timelines import TimelineBook
from gb28181.aio import clock as real_clock
from gb28181.sip.digest import Credential

__all__ = ["DeviceRegistry", "Identity", "Registration", "RegistrySettings"]

_TICK = 1.0
_LATE = 5.0

_log = structlog.get_logger()


class DeviceRegistry:
    """Devices by id.

    Args:
        store: Where it is kept; the registry goes on without it when it fails.
        settings: Values.
        clock: For what people read, and for `supervise`.
    """

    def __init__(
        self, store: DeviceStore, settings: RegistrySettings, *, clock: Clock = real_clock
    ) -> None:
        self._store = store
        self._clock = clock
        self._secrets = SecretBook(settings.realm, settings.password)
        self._table = DeviceTable(store, max_devices=settings.max_devices, adopt=self._adopt)
        self._timelines = TimelineBook(store, self._table, clock)
        self._presence = Presence(
            store, self._table, self._timelines, settings=settings, clock=clock
        )
        self._catalogs = CatalogBook(store, self._table, self._timelines, clock)
        self._administration = DeviceAdministration(
            store,
            table=self._table,
            presence=self._presence,
            secrets=self._secrets,
            catalogs=self._catalogs,
            timelines=self._timelines,
        )
        self.on_described: list[DeviceListener] = []
        """Called with a device that has told its name, maker or model."""

    # Life

    async def load(self) -> None:
        """Take over what the store has; before the first registration."""
        self._table.restore(await self._store.load_devices())
        self._presence.restore()
        secrets = await self._store.load_secrets()
        self._secrets.restore(secrets)
        for entry in self._table:
            entry.device.settings.has_secret = entry.device.device_id in secrets
        await self._catalogs.load()
        await self._timelines.load()
        known, online, channels = self.counts()
        _log.info(
            "registry_loaded", count=known, total=channels, detail=f"{online} devices valid at once"
        )

    async def supervise(self) -> None:
        """Take silent devices offline, until cancelled."""
        planned = self._clock.monotonic()
        while True:
            now = self._clock.monotonic()
            if now - planned > _LATE:
                # We stood still (a paused machine, say), not the devices: what they sent waits in the sockets.
                _log.warning("supervision_was_late", duration_s=round(now - planned, 1))
                self._presence.forgive(now - planned, now)
            self.handle_timer(now)
            self._catalogs.retry(now)
            due = self.next_timer()
            wait = _TICK if due is None else min(max(due - now, 0.0), _TICK)
            planned = self._clock.monotonic() + wait
            await asyncio.sleep(wait)

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is due."""
        return self._presence.supervisor.next_timer()

    def handle_timer(self, now: float) -> None:
        """Look at the devices that are due, at most a few hundred at once."""
        self._presence.handle_timer(now)

    @property
    def on_online(self) -> list[DeviceListener]:
        """Called with a device that went online; after its registration is durable."""
        return self._presence.on_online

    @property
    def on_offline(self) -> list[DeviceListener]:
        """Called with a device that went offline; `offline_reason` says why."""
        return self._presence.on_offline

    @property
    def on_rebooted(self) -> list[DeviceListener]:
        """Called with an online device that registered with a new Call-ID: its streams and subscriptions are gone."""
        return self._presence.on_rebooted

    @property
    def on_catalog(self) -> list[CatalogListener]:
        """Called with a device whose channels changed and how; also when it was forgotten."""
        return self._catalogs.on_changed

    # Devices

    def get(self, device_id: str) -> Device | None:
        """Return a device."""
        entry = self._table.get(device_id)
        return entry.device if entry is not None else None

    def devices(self) -> list[Device]:
        """Return all devices, by first registration."""
        return [entry.device for entry in self._table]

    def search(
        self, q: str = "", limit: int = 100, offset: int = 0, *, online: bool | None = None
    ) -> tuple[list[Device], int]:
        """Return a page of the devices that match, and how many there are in all; see `DeviceTable.search`."""
        return self._table.search(q, limit, offset, online=online)

    def counts(self) -> tuple[int, int, int]:
        """Return devices known, devices online, channels."""
        return len(self._table), self._presence.online, len(self._catalogs.index)

    def credential(self, device_id: str) -> Credential | None:
        """Return what an id must prove to register; None: it cannot."""
        device = self.get(device_id)
        if device is not None and device.local:
            return None
        return self._secrets.credential(device_id)

    def registered(self, registration: Registration, now: float) -> asyncio.Future[None] | None:
        """Take over an authenticated REGISTER.

        Returns:
            None if it may be answered at once, else a future to wait for; it fails with `Unavailable`.

        Raises:
            Unavailable: `too_many_devices`.
        """
        return self._presence.registered(registration, now)

    def unregistered(self, device_id: str) -> asyncio.Future[None] | None:
        """Take over an authenticated REGISTER with Expires 0; returns as `registered` does."""
        return self._presence.unregistered(device_id)

    def identify(self, device_id: str, address: DeviceAddress, now: float) -> Identity:
        """Judge a request outside REGISTER by where it came from; what the rule allows is taken over."""
        return self._presence.identify(device_id, address, now)

    def keepalive(self, device_id: str, ok: bool, faults: Collection[str], now: float) -> None:  # noqa: FBT001 - Status of the message
        """Take over a keepalive of an identified device.

        Args:
            device_id: Whose.
            ok: Its Status.
            faults: Ids it reports as faulty.
            now: Monotonic seconds.
        """
        self._presence.keepalive(device_id, ok, faults, now)

    def connection_lost(self, connection: int) -> None:
        """Take the devices of a closed TCP or TLS connection offline."""
        self._presence.connection_lost(connection)

    def set_info(
        self,
        device_id: str,
        *,
        name: str = "",
        manufacturer: str = "",
        model: str = "",
        firmware: str = "",
    ) -> None:
        """Take over an answer to DeviceInfo; empty values leave the known ones."""
        device = self._table.require(device_id).device
        device.name = name or device.name
        device.manufacturer = manufacturer or device.manufacturer
        device.model = model or device.model
        device.firmware = firmware or device.firmware
        self._store.touch_device(device)
        for listener in tuple(self.on_described):
            listener(device)

    # What operators decide; see `DeviceAdministration`

    async def add(self, device_id: str) -> Device:
        """Make a device known before it registers, durably; one already known stays as it is."""
        return await self._administration.add(device_id)

    async def add_local(self, device_id: str, *, name: str, model: str = "") -> Device:
        """Make a part of this gateway known as a device that is there while the gateway runs."""
        return await self._administration.add_local(device_id, name=name, model=model)

    async def remove_local(self, device_id: str) -> None:
        """Delete a device made by `add_local`, with its channels and timeline."""
        await self._administration.remove_local(device_id)

    async def forget(self, device_id: str) -> None:
        """Delete a device with its channels, secret and timeline; it may register again."""
        await self._administration.forget(device_id)

    async def set_secret(self, device_id: str, password: str | None) -> None:
        """Give a device a password of its own, or None to take it away; a device not yet known becomes known."""
        await self._administration.set_secret(device_id, password)

    async def set_settings(self, device_id: str, settings: DeviceSettings) -> None:
        """Replace a device's settings; `has_secret` stays as it is."""
        await self._administration.set_settings(device_id, settings)

    # Timelines

    def note(self, device_id: str, kind: TimelineKind, detail: str) -> None:
        """Add to the timeline of a device, or of an id that is none; repetitions are merged."""
        self._timelines.note(device_id, kind, detail)

    def timeline(self, device_id: str, limit: int = 100) -> list[TimelineEntry]:
        """Return what happened to a device or to an id that is none, newest first."""
        return self._timelines.newest(device_id, limit)

    async def history(self, device_id: str, limit: int = 200) -> list[TimelineEntry]:
        """Return as `timeline` does, with entries from before the last start."""
        return await self._timelines.history(device_id, limit)

    def strangers(self, limit: int = 100) -> list[tuple[str, TimelineEntry]]:
        """Return ids that tried and never registered, with the newest entry of each, most recent first."""
        return self._timelines.strangers(limit)

    # Channels

    async def replace_catalog(
        self,
        device_id: str,
        channels: Sequence[Channel],
        *,
        complete: bool,
        since: datetime | None = None,
    ) -> CatalogDiff:
        """Take over a catalogue answer; see `CatalogBook.replace`."""
        return await self._catalogs.replace(device_id, channels, complete=complete, since=since)

    async def patch_catalog(
        self,
        device_id: str,
        *,
        listed: Sequence[Channel] = (),
        removed: Collection[str] = (),
        statuses: Mapping[str, bool] | None = None,
    ) -> CatalogDiff:
        """Take over single changes of a catalogue; see `CatalogBook.patch`."""
        return await self._catalogs.patch(
            device_id, listed=listed, removed=removed, statuses=statuses or {}
        )

    def channels(self, device_id: str) -> list[Channel]:
        """Return a device's channels in the order of its catalogue."""
        return self._catalogs.index.all(device_id)

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        """Return one channel."""
        return self._catalogs.index.get(device_id, channel_id)

    def find_channel(self, channel_id: str) -> list[Channel]:
        """Return every channel with this id, whatever its device."""
        return self._catalogs.index.find(channel_id)

    def search_channels(
        self,
        q: str = "",
        *,
        device_id: str | None = None,
        kind: ChannelKind | None = None,
        online: bool | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[Channel], int]:
        """Return a page of the channels that match everything given, and how many there are in all.

        See `ChannelIndex.search`.
        """
        return self._catalogs.index.search(
            q, device_id=device_id, kind=kind, online=online, limit=limit, offset=offset
        )

    # Inside

    def _adopt(self, entry: DeviceEntry) -> None:
        device = entry.device
        device.settings.has_secret = self._secrets.has_own(device.device_id)
        self._timelines.adopt(entry)
