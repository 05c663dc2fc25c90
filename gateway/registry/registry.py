"""The registry: the one owner of devices, their presence, channels and timelines.

Everything is decided in memory. What must survive a power failure before a REGISTER is answered (a first
registration, a changed address or transport, a logout) gives the caller a future to wait for; the rest reaches
the store in batches. All methods run on the event loop; `now` is monotonic seconds.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypedDict

import structlog

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
from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.domain.store import DeviceStore
from gateway.registry.channel import CatalogChange, ChannelIndex
from gateway.registry.entry import DeviceEntry
from gateway.registry.presence import Clock, DeviceListener, Presence
from gateway.registry.secret import SecretBook
from gateway.registry.settings import RegistrySettings
from gateway.registry.timeline import StrangerTable
from gateway.registry.words import check_settings, describe_diff, describe_settings, matches
from gb28181.aio import clock as real_clock
from gb28181.sip.digest import Credential

__all__ = ["DeviceRegistry", "Identity", "Registration", "RegistrySettings"]

TIMELINE_LOADED = 50
"""Entries per device held in memory after a start; older ones are read from the store when asked for."""

PATCHES_KEPT = 1_000
"""Single changes of one device remembered while a catalogue answer is under way; a change holds what was told at once."""

OWN_MANUFACTURER = "gb28181-gateway"

_TICK = 1.0
_CATALOG_RETRY = 10.0
_LATE = 5.0
_ID = re.compile(r"[0-9A-Za-z_.-]{1,64}")

_log = structlog.get_logger()


class _Patch(TypedDict):
    listed: Sequence[Channel]
    removed: Collection[str]
    statuses: Mapping[str, bool]


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
        self._presence = Presence(store, settings, clock, adopt=self._adopt)
        self._channels = ChannelIndex()
        self._secrets = SecretBook(settings.realm, settings.password)
        self._strangers = StrangerTable()
        self._unsaved_catalogs: set[str] = set()
        self._patches: dict[str, deque[tuple[datetime, _Patch]]] = {}
        """Newest single changes of each device, since its latest catalogue answer."""
        self.on_described: list[DeviceListener] = []
        """Called with a device that has told its name, maker or model."""
        self.on_catalog: list[Callable[[str, CatalogDiff], None]] = []
        """Called with a device whose channels changed and how; also when it was forgotten."""
        self._retry_catalogs_at = 0.0

    # Life

    async def load(self) -> None:
        """Take over what the store has; before the first registration."""
        self._presence.restore(await self._store.load_devices())
        secrets = await self._store.load_secrets()
        self._secrets.restore(secrets)
        for device_id, entry in self._presence.entries.items():
            entry.device.settings.has_secret = device_id in secrets
        async for channels in self._store.load_channels():
            self._channels.restore(
                [channel for channel in channels if channel.device_id in self._presence.entries]
            )
        await self._load_timelines()
        for device_id, entry in self._presence.entries.items():
            entry.device.channel_count = self._channels.count(device_id)
        _log.info(
            "registry_loaded",
            count=len(self._presence.entries),
            total=len(self._channels),
            detail=f"{self._presence.online} devices valid at once",
        )

    async def supervise(self) -> None:
        """Take silent devices offline, until cancelled."""
        planned = self._clock.monotonic()
        while True:
            now = self._clock.monotonic()
            if now - planned > _LATE:
                # We stood still (a paused machine, say), not the devices: what they sent waits in the sockets.
                _log.warning("supervision_was_late", duration_s=round(now - planned, 1))
                self._presence.forgive(now - planned)
            self.handle_timer(now)
            self._retry_catalogs(now)
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

    # Devices

    def get(self, device_id: str) -> Device | None:
        """Return a device."""
        entry = self._presence.entries.get(device_id)
        return entry.device if entry is not None else None

    def devices(self) -> list[Device]:
        """Return all devices, by first registration."""
        return [entry.device for entry in self._presence.entries.values()]

    def search(
        self, q: str = "", limit: int = 100, offset: int = 0, *, online: bool | None = None
    ) -> tuple[list[Device], int]:
        """Return a page of the devices that match, and how many there are in all.

        Args:
            q: Part of the id, name, manufacturer, model or IP address, in any case.
            limit: Length of the page.
            offset: Matches before the page.
            online: Only online or only offline ones.
        """
        words = q.strip().lower()
        found = [
            device
            for entry in self._presence.entries.values()
            if ((device := entry.device).online is online or online is None)
            and (not words or matches(device, words))
        ]
        offset = max(offset, 0)
        return found[offset : offset + max(limit, 0)], len(found)

    def counts(self) -> tuple[int, int, int]:
        """Return devices known, devices online, channels."""
        return len(self._presence.entries), self._presence.online, len(self._channels)

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

    def unregistered(self, device_id: str, now: float) -> asyncio.Future[None] | None:
        """Take over an authenticated REGISTER with Expires 0; returns as `registered` does."""
        return self._presence.unregistered(device_id, now)

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

    def connection_lost(self, connection: int, now: float) -> None:
        """Take the devices of a closed TCP or TLS connection offline."""
        self._presence.connection_lost(connection, now)

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
        device = self._require(device_id).device
        device.name = name or device.name
        device.manufacturer = manufacturer or device.manufacturer
        device.model = model or device.model
        device.firmware = firmware or device.firmware
        self._store.touch_device(device)
        for listener in tuple(self.on_described):
            listener(device)

    # What operators set

    async def add(self, device_id: str) -> Device:
        """Make a device known before it registers; one already known stays as it is.

        Raises:
            Invalid: `invalid_device_id`.
            Unavailable: `too_many_devices`, `store_unavailable`.
        """
        entry = self._presence.entries.get(device_id)
        if entry is None:
            if not _ID.fullmatch(device_id):
                raise Invalid(
                    "invalid_device_id", f"expected a code of 20 digits, got {device_id[:80]!r}"
                )
            entry = self._presence.admit(device_id)
            await self._presence.save(entry)
        return entry.device

    async def add_local(self, device_id: str, *, name: str, model: str = "") -> Device:
        """Make a part of this gateway known as a device that is there while the gateway runs.

        It has no SIP address and no secret, so nobody can register as it.

        Raises:
            Conflict: `device_exists`: a device of that id has registered.
            Unavailable: `too_many_devices`, `store_unavailable`.
        """
        entry = self._presence.entries.get(device_id)
        if entry is not None and entry.device.address is not None:
            raise Conflict("device_exists", f"A device {device_id} has registered here")
        fresh = entry is None
        entry = entry or self._presence.admit(device_id)
        self._secrets.put(device_id, None)
        entry.device.name = name
        entry.device.manufacturer = OWN_MANUFACTURER
        entry.device.model = model
        written = self._presence.begin_local(entry)
        if fresh:
            await written
        return entry.device

    async def remove_local(self, device_id: str) -> None:
        """Delete a device made by `add_local`, with its channels and timeline.

        Raises:
            NotFound: `device_unknown`.
            Unavailable: as `forget`.
        """
        self._require(device_id).device.local = False
        await self.forget(device_id)

    async def forget(self, device_id: str) -> None:
        """Delete a device with its channels, secret and timeline; it may register again.

        Raises:
            NotFound: `device_unknown`.
            Conflict: `device_is_local`.
            Unavailable: the store failed: the device may be back after a restart.
        """
        self._require_remote(device_id)
        gone = CatalogDiff(removed=tuple(item.channel_id for item in self._channels.all(device_id)))
        self._presence.remove(device_id)
        self._channels.remove(device_id)
        self._secrets.put(device_id, None)
        self._unsaved_catalogs.discard(device_id)
        self._patches.pop(device_id, None)
        _log.info("device_forgotten", device_id=device_id)
        for listener in tuple(self.on_catalog):
            listener(device_id, gone)
        await self._store.forget_device(device_id)

    async def set_secret(self, device_id: str, password: str | None) -> None:
        """Give a device a password of its own, or None to take it away; a device not yet known becomes known.

        Raises:
            Invalid: `invalid_device_id`, `empty_secret`.
            Conflict: `device_is_local`.
            Unavailable: the store failed; nothing was changed.
        """
        if password == "":
            raise Invalid(
                "empty_secret", "expected a password, got an empty one; remove the secret instead"
            )
        device = await self.add(device_id)
        self._require_remote(device_id)
        secret = None if password is None else self._secrets.hash(device_id, password)
        await self._store.save_secret(device, secret)
        self._secrets.put(device_id, secret)
        device.settings.has_secret = secret is not None
        self.note(
            device_id, TimelineKind.SETTINGS_CHANGED, "secret set" if secret else "secret removed"
        )

    async def set_settings(self, device_id: str, settings: DeviceSettings) -> None:
        """Replace a device's settings; `has_secret` stays as it is.

        Raises:
            NotFound: `device_unknown`.
            Invalid: `invalid_setting`.
            Conflict: `device_is_local`.
            Unavailable: the store failed; nothing was changed.
        """
        entry = self._require_remote(device_id)
        check_settings(settings)
        before = entry.device.settings
        entry.device.settings = replace(settings, has_secret=self._secrets.has_own(device_id))
        try:
            await self._presence.save(entry)
        except Unavailable:
            entry.device.settings = before
            raise
        if entry.device.online:
            self._presence.supervisor.watch(entry)
        self.note(
            device_id, TimelineKind.SETTINGS_CHANGED, describe_settings(entry.device.settings)
        )

    # Timelines

    def note(self, device_id: str, kind: TimelineKind, detail: str) -> None:
        """Add to the timeline of a device, or of an id that is none; repetitions are merged."""
        entry = self._presence.entries.get(device_id)
        at = self._clock.utc_now()
        if entry is None:
            self._strangers.add(device_id, kind, detail, at)
        else:
            self._presence.note(entry, kind, detail, at)

    def timeline(self, device_id: str, limit: int = 100) -> list[TimelineEntry]:
        """Return what happened to a device or to an id that is none, newest first."""
        entry = self._presence.entries.get(device_id)
        timeline = self._strangers.get(device_id) if entry is None else entry.timeline
        return timeline.newest(limit) if timeline is not None else []

    async def history(self, device_id: str, limit: int = 200) -> list[TimelineEntry]:
        """Return as `timeline` does, with entries from before the last start."""
        recent = self.timeline(device_id, limit)
        if len(recent) >= limit or self.get(device_id) is None:
            return recent
        oldest = min((entry.first_at or entry.at for entry in recent), default=None)
        stored = await self._store.timeline(device_id, limit)
        older = [entry for entry in stored if oldest is None or entry.at < oldest]
        return (recent + older)[:limit]

    def strangers(self, limit: int = 100) -> list[tuple[str, TimelineEntry]]:
        """Return ids that tried and never registered, with the newest entry of each, most recent first."""
        return self._strangers.recent(limit)

    # Channels

    async def replace_catalog(
        self,
        device_id: str,
        channels: Sequence[Channel],
        *,
        complete: bool,
        since: datetime | None = None,
    ) -> CatalogDiff:
        """Take over a catalogue answer; returns once it is durable or the store has failed (then it is retried).

        Args:
            device_id: Whose.
            channels: What it listed.
            complete: Whether the answer came whole. If not, channels it lacks stay listed.
            since: When it was asked for: single changes told since then are newer than the answer.

        Raises:
            NotFound: `device_unknown`.
        """
        entry = self._require(device_id)
        change = await self._channels.replace(device_id, channels, complete=complete)
        if self._presence.entries.get(device_id) is not entry:
            self._channels.remove(device_id)
            raise NotFound("device_unknown", f"device {device_id} was deleted meanwhile")
        kind, detail = describe_diff(change.diff)
        self.note(device_id, kind, detail)
        entry.device.catalog_at = self._clock.utc_now()
        newer = [patch for at, patch in self._patches.pop(device_id, ()) if since and at >= since]
        again = [self._channels.patch(device_id, **patch) for patch in newer]
        diff = await self._catalog_changed(entry.device, change)
        for later in again:
            await self._catalog_changed(entry.device, later)
        return diff

    async def patch_catalog(
        self,
        device_id: str,
        *,
        listed: Sequence[Channel] = (),
        removed: Collection[str] = (),
        statuses: Mapping[str, bool] | None = None,
    ) -> CatalogDiff:
        """Take over single changes, as a catalogue subscription reports them (protocol 7.3).

        Args:
            device_id: Whose.
            listed: Channels added or changed; what a known one now leaves out stays as it was.
            removed: Channels no longer listed.
            statuses: Channels that went on- or off-line.

        Raises:
            NotFound: `device_unknown`.
        """
        entry = self._require(device_id)
        patch: _Patch = {"listed": listed, "removed": removed, "statuses": statuses or {}}
        recent = self._patches.setdefault(device_id, deque(maxlen=PATCHES_KEPT))
        recent.append((self._clock.utc_now(), patch))
        change = self._channels.patch(device_id, **patch)
        return await self._catalog_changed(entry.device, change)

    async def _catalog_changed(self, device: Device, change: CatalogChange) -> CatalogDiff:
        diff, device_id = change.diff, device.device_id
        device.channel_count = diff.total
        if diff.added or diff.removed or diff.changed:
            for listener in tuple(self.on_catalog):
                listener(device_id, diff)
        try:
            if change.saved or diff.removed:
                await self._store.save_channels(device, change.saved, diff.removed)
            else:
                self._store.touch_device(device)
        except Unavailable as exc:
            self._unsaved_catalogs.add(device_id)
            _log.warning("catalog_not_stored", device_id=device_id, detail=exc.detail)
        return diff

    def channels(self, device_id: str) -> list[Channel]:
        """Return a device's channels in the order of its catalogue."""
        return self._channels.all(device_id)

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        """Return one channel."""
        return self._channels.get(device_id, channel_id)

    def find_channel(self, channel_id: str) -> list[Channel]:
        """Return every channel with this id, whatever its device."""
        return self._channels.find(channel_id)

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

        Args:
            q: Part of the name, the id or the address, in any case.
            device_id: Only this device's.
            kind: Only this kind.
            online: Only with this claimed status.
            limit: Length of the page.
            offset: Matches before the page.
        """
        return self._channels.search(
            q, device_id=device_id, kind=kind, online=online, limit=limit, offset=offset
        )

    # Inside

    def _adopt(self, entry: DeviceEntry) -> None:
        device = entry.device
        device.settings.has_secret = self._secrets.has_own(device.device_id)
        earlier = self._strangers.pop(device.device_id)
        if earlier is not None:
            for _, old in earlier.numbered():
                self._presence.note(entry, old.kind, old.detail, old.at)

    async def _load_timelines(self) -> None:
        found: dict[str, list[tuple[int, TimelineEntry]]] = {}
        async for part in self._store.load_timelines(TIMELINE_LOADED):
            for device_id, sequence, entry in part:
                found.setdefault(device_id, []).append((sequence, entry))
        for device_id, numbered in found.items():
            known = self._presence.entries.get(device_id)
            if known is not None:
                known.timeline.restore([entry for _, entry in numbered], numbered[-1][0])

    def _retry_catalogs(self, now: float) -> None:
        if not self._unsaved_catalogs or now < self._retry_catalogs_at:
            return
        self._retry_catalogs_at = now + _CATALOG_RETRY
        for device_id in sorted(self._unsaved_catalogs):
            entry = self._presence.entries[device_id]
            self._unsaved_catalogs.discard(device_id)

            def done(future: asyncio.Future[None], device_id: str = device_id) -> None:
                failed = future.cancelled() or future.exception() is not None
                if failed and device_id in self._presence.entries:
                    self._unsaved_catalogs.add(device_id)

            listed = self._channels.all(device_id)
            self._store.replace_channels(entry.device, listed).add_done_callback(done)

    def _require(self, device_id: str) -> DeviceEntry:
        entry = self._presence.entries.get(device_id)
        if entry is None:
            raise NotFound("device_unknown", f"no device {device_id[:64]} is known")
        return entry

    def _require_remote(self, device_id: str) -> DeviceEntry:
        entry = self._require(device_id)
        if entry.device.local:
            raise Conflict(
                "device_is_local",
                f"{device_id} holds foreign sources of this gateway; change the sources instead",
            )
        return entry
