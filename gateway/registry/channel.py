"""All channels in memory: found by id, and searched by words among a hundred thousand."""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from gateway.domain.device import CatalogDiff, Channel, ChannelKind

__all__ = ["CatalogChange", "ChannelIndex"]

_SLICE = 1000
"""Channels compared before the loop gets its turn."""


@dataclass(slots=True)
class _Catalog:
    """One device's channels in order, each with the lower-case text that is searched."""

    channels: dict[str, Channel] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    next_position: int = 0


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
            catalog.texts.append(_text(channel))

    def remove(self, device_id: str) -> None:
        """Forget all channels of a device."""
        catalog = self._catalogs.pop(device_id, None)
        if catalog is not None:
            for channel_id in catalog.channels:
                self._disown(channel_id, device_id)

    async def replace(
        self, device_id: str, channels: Sequence[Channel], *, complete: bool
    ) -> CatalogChange:
        """Take over a catalogue answer; of channels listed twice the last one counts.

        Args:
            device_id: Whose.
            channels: The answer.
            complete: Whether the answer is whole, so that what it lacks is gone.
        """
        while True:
            base = self._catalogs.get(device_id)
            change, catalog = await self._compare(base or _Catalog(), channels, complete=complete)
            # Other work ran in between; if that was another answer of this device, begin again.
            if self._catalogs.get(device_id) is base:
                break
        self._catalogs[device_id] = catalog
        for channel_id in change.diff.added:
            self._own(catalog.channels[channel_id])
        for channel_id in change.diff.removed:
            self._disown(channel_id, device_id)
        return change

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
                    for channel, text in zip(catalog.channels.values(), catalog.texts, strict=True)
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
        self, base: _Catalog, channels: Sequence[Channel], *, complete: bool
    ) -> tuple[CatalogChange, _Catalog]:
        latest = {channel.channel_id: channel for channel in channels}
        added: list[str] = []
        changed: list[str] = []
        saved: list[tuple[int, Channel]] = []
        fresh = _Catalog(next_position=base.next_position)
        for number, (channel_id, channel) in enumerate(latest.items(), start=1):
            if number % _SLICE == 0:
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
            fresh.texts.append(_text(kept))
        missing = tuple(channel_id for channel_id in base.channels if channel_id not in latest)
        if not complete:
            for channel_id in missing:
                fresh.channels[channel_id] = base.channels[channel_id]
                fresh.positions[channel_id] = base.positions[channel_id]
                fresh.texts.append(_text(base.channels[channel_id]))
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
