"""All channels in memory: found by id, and searched by words among a hundred thousand."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from gateway.domain.device import CatalogDiff, Channel, ChannelKind

__all__ = ["CatalogChange", "ChannelIndex", "merged_channel"]

_SLICE = 1000
"""Channels compared before the loop gets its turn."""
_ATTEMPTS = 4
"""Comparisons begun anew because of other changes; the last one is made in one go."""


@dataclass(slots=True)
class _Catalog:
    """One device's channels in order, each with the lower-case text that is searched."""

    channels: dict[str, Channel] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    next_position: int = 0
    version: int = 0
    """Counts changes in place."""


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """A difference and what it means for the store."""

    diff: CatalogDiff
    saved: list[tuple[int, Channel]]
    """(position, channel) added or changed."""


class ChannelIndex:
    """Channels of all devices, device by device in the order they were catalogued."""

    def __init__(self) -> None:
        self._catalogs: dict[str, _Catalog] = {}
        # Nearly every channel id is unique: a plain string then, a tuple otherwise.
        self._owners: dict[str, str | tuple[str, ...]] = {}
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def count(self, device_id: str) -> int:
        """Return how many channels a device has."""
        catalog = self._catalogs.get(device_id)
        return len(catalog.channels) if catalog is not None else 0

    def get(self, device_id: str, channel_id: str) -> Channel | None:
        """Return one channel."""
        catalog = self._catalogs.get(device_id)
        return catalog.channels.get(channel_id) if catalog is not None else None

    def all(self, device_id: str) -> list[Channel]:
        """Return all channels of a device."""
        catalog = self._catalogs.get(device_id)
        return list(catalog.channels.values()) if catalog is not None else []

    def find(self, channel_id: str) -> list[Channel]:
        """Return every channel with this id, whatever its device."""
        owners = self._owners.get(channel_id, ())
        if isinstance(owners, str):
            owners = (owners,)
        return [self._catalogs[owner].channels[channel_id] for owner in owners]

    def restore(self, channels: Sequence[Channel]) -> None:
        """Take over stored channels, each device's in order."""
        for channel in channels:
            _share_words(channel)
            catalog = self._catalogs.setdefault(channel.device_id, _Catalog())
            if channel.channel_id not in catalog.channels:
                self._own(channel)
            catalog.positions[channel.channel_id] = catalog.next_position
            catalog.next_position += 1
            catalog.channels[channel.channel_id] = channel
            catalog.texts[channel.channel_id] = _text(channel)

    def remove(self, device_id: str) -> None:
        """Forget all channels of a device."""
        catalog = self._catalogs.pop(device_id, None)
        if catalog is not None:
            for channel_id in catalog.channels:
                self._disown(channel_id, device_id)

    async def replace(
        self,
        device_id: str,
        channels: Sequence[Channel],
        *,
        complete: bool,
        wanted: Callable[[], bool] = lambda: True,
    ) -> CatalogChange | None:
        """Take over a catalogue answer; of channels listed twice the last one counts.

        Args:
            device_id: Whose.
            channels: The answer.
            complete: Whether the answer is whole, so that what it lacks is gone.
            wanted: Asked before anything is changed, for comparing takes its time.

        Returns:
            What changed; None if it was not wanted any more, then nothing did.
        """
        attempt = 0
        while True:
            attempt += 1
            base = self._catalogs.get(device_id)
            version = base.version if base is not None else 0
            # The last time nothing else is let in between.
            pause = _SLICE if attempt < _ATTEMPTS else 0
            change, catalog = await self._compare(
                base or _Catalog(), channels, complete=complete, pause=pause
            )
            if not wanted():
                return None
            # Other work ran in between; if that was another answer or a change of this device, begin again.
            now = self._catalogs.get(device_id)
            if now is base and (base is None or base.version == version):
                break
        self._catalogs[device_id] = catalog
        for channel_id in change.diff.added:
            self._own(catalog.channels[channel_id])
        for channel_id in change.diff.removed:
            self._disown(channel_id, device_id)
        return change

    def patch(
        self,
        device_id: str,
        *,
        listed: Sequence[Channel],
        removed: Iterable[str],
        statuses: Mapping[str, bool],
    ) -> CatalogChange:
        """Take over single changes, as a catalogue subscription reports them.

        Args:
            device_id: Whose.
            listed: Channels added or changed; what a known one now leaves out stays as it was.
            removed: Channels no longer listed.
            statuses: Channels that went on- or off-line; unknown ones are passed over.
        """
        catalog = self._catalogs.setdefault(device_id, _Catalog())
        catalog.version += 1
        gone = tuple(code for code in dict.fromkeys(removed) if code in catalog.channels)
        for channel_id in gone:
            for table in (catalog.channels, catalog.texts, catalog.positions):
                del table[channel_id]
            self._disown(channel_id, device_id)
        added: list[str] = []
        changed: list[str] = []
        for channel in listed:
            old = catalog.channels.get(channel.channel_id)
            if old is None:
                self._put(catalog, channel)
                self._own(channel)
                added.append(channel.channel_id)
            elif (merged := merged_channel(old, channel)) != old:
                self._put(catalog, merged)
                changed.append(channel.channel_id)
        for channel_id, online in statuses.items():
            known = catalog.channels.get(channel_id)
            if known is not None and known.online is not online:
                text = "ON" if online else "OFF"
                self._put(catalog, replace(known, online=online, status_text=text))
                changed.append(channel_id)
        saved = [
            (catalog.positions[code], catalog.channels[code])
            for code in dict.fromkeys((*added, *changed))
        ]
        return CatalogChange(
            CatalogDiff(
                added=tuple(dict.fromkeys(added)),
                removed=gone,
                changed=tuple(dict.fromkeys(code for code in changed if code not in added)),
                total=len(catalog.channels),
            ),
            saved,
        )

    def _put(self, catalog: _Catalog, channel: Channel) -> None:
        _share_words(channel)
        code = channel.channel_id
        if code not in catalog.positions:
            catalog.positions[code] = catalog.next_position
            catalog.next_position += 1
        catalog.channels[code] = channel
        catalog.texts[code] = _text(channel)

    def search(
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
        catalogs = self._catalogs.values() if device_id is None else self._one(device_id)
        limit, offset = max(limit, 0), max(offset, 0)
        words = q.strip().lower()
        if not words and kind is None and online is None:
            return _page(catalogs, limit, offset)
        page: list[Channel] = []
        total = 0
        for catalog in catalogs:
            if words:
                matches = [
                    channel
                    for channel, text in zip(
                        catalog.channels.values(), catalog.texts.values(), strict=True
                    )
                    if words in text
                ]
            else:
                matches = list(catalog.channels.values())
            if kind is not None:
                matches = [channel for channel in matches if channel.kind is kind]
            if online is not None:
                matches = [channel for channel in matches if channel.online is online]
            if len(page) < limit:
                page += matches[max(offset - total, 0) :][: limit - len(page)]
            total += len(matches)
        return page, total

    async def _compare(
        self, base: _Catalog, channels: Sequence[Channel], *, complete: bool, pause: int
    ) -> tuple[CatalogChange, _Catalog]:
        latest = {channel.channel_id: channel for channel in channels}
        added: list[str] = []
        changed: list[str] = []
        saved: list[tuple[int, Channel]] = []
        fresh = _Catalog(next_position=base.next_position)
        for number, (channel_id, channel) in enumerate(latest.items(), start=1):
            if pause and number % pause == 0:
                await asyncio.sleep(0)
            old = base.channels.get(channel_id)
            kept = channel
            if old is None:
                position = fresh.next_position
                fresh.next_position += 1
                added.append(channel_id)
            else:
                position = base.positions[channel_id]
                if old == channel:
                    kept = old
                else:
                    changed.append(channel_id)
            if kept is channel:
                _share_words(channel)
                saved.append((position, channel))
            fresh.positions[channel_id] = position
            fresh.channels[channel_id] = kept
            fresh.texts[channel_id] = _text(kept)
        missing = tuple(channel_id for channel_id in base.channels if channel_id not in latest)
        if not complete:
            for channel_id in missing:
                fresh.channels[channel_id] = base.channels[channel_id]
                fresh.positions[channel_id] = base.positions[channel_id]
                fresh.texts[channel_id] = base.texts[channel_id]
        diff = CatalogDiff(
            added=tuple(added),
            removed=missing if complete else (),
            changed=tuple(changed),
            kept_missing=() if complete else missing,
            total=len(fresh.channels),
        )
        return CatalogChange(diff, saved), fresh

    def _one(self, device_id: str) -> tuple[_Catalog, ...]:
        catalog = self._catalogs.get(device_id)
        return () if catalog is None else (catalog,)

    def _own(self, channel: Channel) -> None:
        self._total += 1
        owners = self._owners.get(channel.channel_id)
        if owners is None:
            self._owners[channel.channel_id] = channel.device_id
        else:
            earlier = (owners,) if isinstance(owners, str) else owners
            self._owners[channel.channel_id] = (*earlier, channel.device_id)

    def _disown(self, channel_id: str, device_id: str) -> None:
        self._total -= 1
        owners = self._owners.pop(channel_id)
        if isinstance(owners, tuple):
            rest = tuple(owner for owner in owners if owner != device_id)
            self._owners[channel_id] = rest[0] if len(rest) == 1 else rest


def merged_channel(old: Channel, new: Channel) -> Channel:
    """Return a known channel after an UPDATE: what the update does not say stays (absent is not zero)."""
    return replace(
        new,
        name=new.name or old.name,
        manufacturer=new.manufacturer or old.manufacturer,
        model=new.model or old.model,
        civil_code=new.civil_code or old.civil_code,
        address=new.address or old.address,
        parent_ids=new.parent_ids or old.parent_ids,
        business_group_id=new.business_group_id or old.business_group_id,
        online=new.online if new.status_text else old.online,
        status_text=new.status_text or old.status_text,
        longitude=old.longitude if new.longitude is None else new.longitude,
        latitude=old.latitude if new.latitude is None else new.latitude,
        ptz_type=old.ptz_type if new.ptz_type is None else new.ptz_type,
        extra={**old.extra, **new.extra},
    )


def _page(catalogs: Iterable[_Catalog], limit: int, offset: int) -> tuple[list[Channel], int]:
    page: list[Channel] = []
    total = 0
    for catalog in catalogs:
        first = max(offset - total, 0)
        if len(page) < limit and first < len(catalog.channels):
            page += islice(catalog.channels.values(), first, first + limit - len(page))
        total += len(catalog.channels)
    return page, total


def _text(channel: Channel) -> str:
    return f"{channel.name}\n{channel.channel_id}\n{channel.address}".lower()


def _share_words(channel: Channel) -> None:
    """Keep one copy of the words that thousands of channels have in common."""
    intern = sys.intern
    channel.device_id = intern(channel.device_id)
    channel.manufacturer = intern(channel.manufacturer)
    channel.model = intern(channel.model)
    channel.civil_code = intern(channel.civil_code)
    channel.status_text = intern(channel.status_text)
    channel.business_group_id = intern(channel.business_group_id)
    if channel.extra:
        channel.extra = {intern(name): intern(value) for name, value in channel.extra.items()}
