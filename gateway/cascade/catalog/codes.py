"""Under which code one platform knows each of our items (protocol 8.5).

A code stands for one item for ever: it is on disk before it is first sent, an item that comes back gets its old
one, and no other item ever gets it.
"""

import asyncio
from collections.abc import Callable, Iterable
from hashlib import blake2b
from itertools import islice
from typing import Final

from gateway.domain.device import Channel, ChannelKind
from gateway.domain.document import SharedId, SharedIdStore
from gateway.domain.errors import Unavailable
from gateway.domain.platform import IdMode
from gb28181.ids import DeviceId, IdKind, is_device_id

__all__ = ["CodeTable", "new_code"]

SERIALS: Final = 1_000_000
"""Serial numbers (digits 15-20) of one domain, type and network."""
PROBES: Final = 2_000
"""Serials tried for one item, a few milliseconds. They are spread, so that even with 99 of 100 serials taken
a free one is found."""

SAVED: Final = 1_000
"""Codes written together; they take a few milliseconds of the loop."""

_TYPES: Final = {
    ChannelKind.CAMERA: "131",
    ChannelKind.AUDIO: "137",
    ChannelKind.ALARM: "134",
    ChannelKind.DEVICE: "118",
    ChannelKind.PLATFORM: "200",
    ChannelKind.GROUP: "215",
    ChannelKind.ORGANISATION: "216",
    ChannelKind.REGION: "216",
    ChannelKind.OTHER: "139",
}
"""Type codes of items whose own code has none that anybody assigned."""


class CodeTable:
    """Codes of one platform; one (device, channel) has one code and the reverse.

    Args:
        platform_id: The platform.
        local_id: Our code there; new codes begin with its first ten digits.
        mode: Which codes it sees.
        own: Codes of our own items (our platform, nodes of its tree) and of the platform itself: nobody else's.
        store: Where codes are kept.
        avoid: Whether a code is somebody's own code below; no new one may look like it.
    """

    def __init__(
        self,
        platform_id: str,
        local_id: str,
        *,
        mode: IdMode,
        own: Iterable[str],
        store: SharedIdStore,
        avoid: Callable[[str], bool],
    ) -> None:
        self._platform_id = platform_id
        self._local_id = local_id
        self._mode = mode
        self._own = frozenset(own)
        self._store = store
        self._avoid = avoid
        self._codes: dict[str, dict[str, str]] = {}
        """Of items that have another code than their own, by device and channel."""
        # The device alone where the item keeps its code: most do, and there may be 100,000.
        self._owners: dict[str, str | tuple[str, str]] = {}
        self._retired: set[str] = set()
        self._unsaved: dict[tuple[str, str], str] = {}
        self._unsaved_codes: set[str] = set()
        self._stale = False
        self.former: set[str] = set()
        """Codes the platform was given before this process or this configuration; whoever tells it empties it."""

    def __len__(self) -> int:
        return len(self._owners)

    async def load(self) -> None:
        """Take over the codes given so far, and put our own ones on record.

        All of them count as `former`: what the platform still believes of them, nobody here knows.

        Raises:
            Unavailable: the store failed.
        """
        self._codes, self._owners, self._retired = {}, {}, set()
        given: dict[str, list[SharedId]] = {}
        taken: set[str] = set()
        async for part in self._store.load_shared_ids(self._platform_id):
            for shared in part:
                taken.add(shared.shared_id)
                if not shared.device_id or shared.shared_id in self._own:
                    self._retired.add(shared.shared_id)
                else:
                    given.setdefault(shared.device_id, []).append(shared)
        for shared_ids in given.values():
            self._choose(shared_ids, taken)
        self.former |= taken - self._own
        missing = [
            SharedId(platform_id=self._platform_id, shared_id=code, device_id="", channel_id=code)
            for code in sorted(self._own - taken)
        ]
        if missing:
            await self._store.save_shared_ids(missing)
        self._stale = False

    def get(self, device_id: str, channel_id: str) -> str:
        """Return the code of an item; empty while it has none on disk."""
        codes = self._codes.get(device_id)
        if codes is not None and channel_id in codes:
            return codes[channel_id]
        return channel_id if self._owners.get(channel_id) == device_id else ""

    def find(self, code: str) -> tuple[str, str] | None:
        """Return (device id, channel id) of a code the platform was given."""
        owner = self._owners.get(code)
        return (owner, code) if isinstance(owner, str) else owner

    def assign(self, channel: Channel) -> None:
        """Choose a code for an item that has none; `save` makes it count.

        Raises:
            Unavailable: `codes_exhausted`.
        """
        key = (channel.device_id, channel.channel_id)
        if key in self._unsaved or self.get(*key):
            return
        code = channel.channel_id
        if self._mode is IdMode.RENAME or not is_device_id(code) or self._is_taken(code):
            code = new_code(self._local_id, channel, is_taken=self._is_unfit)
        self._unsaved[key] = code
        self._unsaved_codes.add(code)

    async def save(self) -> None:
        """Put the codes chosen on disk; only then do they count.

        Raises:
            Unavailable: the store failed; call again later.
        """
        if self._stale:
            await self._reload()
        while self._unsaved:
            part = list(islice(self._unsaved.items(), SAVED))
            saved = [
                SharedId(
                    platform_id=self._platform_id,
                    shared_id=code,
                    device_id=device_id,
                    channel_id=channel_id,
                )
                for (device_id, channel_id), code in part
            ]
            try:
                await self._store.save_shared_ids(saved)
            except Unavailable:
                # Some may be on disk, or another owner has given some meanwhile: look before the next attempt.
                self._stale = True
                raise
            for (device_id, channel_id), code in part:
                del self._unsaved[device_id, channel_id]
                self._unsaved_codes.discard(code)
                self._put(device_id, channel_id, code)
            await asyncio.sleep(0)

    async def _reload(self) -> None:
        wanted = dict(self._unsaved)
        self._unsaved.clear()
        self._unsaved_codes.clear()
        try:
            await self.load()
        except Unavailable:
            self._unsaved = wanted
            self._unsaved_codes = set(wanted.values())
            raise
        for key, code in wanted.items():
            if not self.get(*key) and not self._is_taken(code):
                self._unsaved[key] = code
                self._unsaved_codes.add(code)

    def _choose(self, shared_ids: list[SharedId], taken: set[str]) -> None:
        """Take over a device's codes; an item may have several, from the times of another mode."""
        codes: dict[str, str] = {}
        for shared in shared_ids:
            channel_id, code = shared.channel_id, shared.shared_id
            known = codes.get(channel_id)
            kept = code == channel_id
            if kept and self._mode is IdMode.RENAME:
                self._retired.add(code)
            elif known is None or kept or (known != channel_id and code < known):
                codes[channel_id] = code
                if known is not None:
                    self._retired.add(known)
            else:
                self._retired.add(code)
        for channel_id, code in codes.items():
            own_is_free = is_device_id(channel_id) and not (
                channel_id in taken or channel_id in self._own
            )
            if self._mode is IdMode.KEEP and own_is_free:
                self._retired.add(code)
            else:
                self._put(shared_ids[0].device_id, channel_id, code)

    def _put(self, device_id: str, channel_id: str, code: str) -> None:
        if code == channel_id:
            self._owners[channel_id] = device_id
        else:
            self._codes.setdefault(device_id, {})[channel_id] = code
            self._owners[code] = (device_id, channel_id)

    def _is_taken(self, code: str) -> bool:
        return (
            code in self._owners
            or code in self._own
            or code in self._retired
            or code in self._unsaved_codes
        )

    def _is_unfit(self, code: str) -> bool:
        return self._is_taken(code) or self._avoid(code)


def new_code(local_id: str, channel: Channel, *, is_taken: Callable[[str], bool]) -> str:
    """Make a code of our own domain for an item from below; the same whenever it is asked, if it is free.

    Digits 1-10 are those of our own code, 11-13 the item's true type, 14 its network, then a serial.

    Args:
        local_id: Our own code.
        channel: The item.
        is_taken: Whether a code cannot be used.

    Raises:
        Unavailable: `codes_exhausted`: the serials of this type are taken.
    """
    old = DeviceId(channel.channel_id)
    whole = is_device_id(old.value)
    kind = _TYPES[channel.kind] if old.kind in _VAGUE else old.value[10:13]
    network = old.value[13] if whole else (local_id[13] if is_device_id(local_id) else "0")
    domain = local_id[:10] if is_device_id(local_id) else "0" * 10
    name = f"{channel.device_id}/{channel.channel_id}".encode("utf-8", "surrogatepass")
    digest = blake2b(name, digest_size=8).digest()
    first = int.from_bytes(digest, "big")
    # Without a common factor with the number of serials, so that no serial comes twice.
    stride = 10 * (first >> 40) + 1
    for step in range(PROBES):
        code = f"{domain}{kind}{network}{(first + step * stride) % SERIALS:06d}"
        if not is_taken(code):
            return code
    raise Unavailable(
        "codes_exhausted", f"Codes {domain}{kind}{network} followed by six digits are taken"
    )


_VAGUE: Final = frozenset({IdKind.UNKNOWN, IdKind.REGION})
