"""One source's packets to all its relays: made into batches once, sent by each."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from gateway.media.hub import Hub
from gateway.media.options import MediaOptions
from gateway.media.remux import Remuxer
from gb28181.rtp.depacketizer import Depacketizer
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.relay import MAX_RUN_PACKETS, FrameStart, RelayBatch, RelayPacker

__all__ = ["Relay", "RelayFan"]

GATHER = 0.005
"""Seconds that packets wait for the rest of their frame, so that it goes out in one call."""
PACE = 0.005
"""Seconds between batches (61 KB) of a burst: 98 Mbit/s, a large key frame in half its interval."""
PACE_SHARE = 8
"""Of what waits at least this part goes out at each step, so that nothing piles up."""
MAX_BEHIND = 10_000
"""Batches, mostly one frame each, that wait for all that catch up; beyond, who is new begins with
the present: a key frame comes soon, memory does not."""
KEY_PATIENCE = 10.0
"""Seconds without a recognised key frame after which any frame is as good to begin with."""
REMUXED = frozenset({"h264", "hevc", "aac", "pcm_alaw", "pcm_mulaw"})


class Relay(Protocol):
    """Who gets the batches."""

    def take(self, batch: RelayBatch) -> None:
        """Send a batch; it is stamped for others afterwards, so nothing of it may be kept."""

    def fail(self, exc: Exception) -> None:
        """End for a fault of the gateway's own; must not raise."""


class RelayFan:
    """Gathers, packs and hands on; whether the source is PS or has to be made into it.

    Packets are taken in order, behind the reordering: what a relay sends is in order with the true
    gaps in it, and the price is that packets behind a lost one wait until it is given up.

    Nothing waits longer than `GATHER`, or in a burst than some steps of `PACE`.

    Args:
        hub: The source for remuxing.
        reliable: Whether the source comes over TCP.
        made: Whether there are no packets to pass on, only units: PS is made here for whoever relays.
        on_crash: Told of a fault that concerns the whole stream.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        reliable: bool,
        options: MediaOptions,
        clock: Callable[[], float],
        on_crash: Callable[[Exception], None],
        made: bool = False,
    ) -> None:
        self._made = made
        self.relays: tuple[Relay, ...] = ()
        """Those that get batches as they come."""
        self._hub = hub
        self._options = options
        self._clock = clock
        self._on_crash = on_crash
        self._packer = RelayPacker(reliable=reliable)
        self._pending: list[RtpPacket] = []
        self._source: Depacketizer | None = None
        self._gathering: asyncio.TimerHandle | None = None
        self._burst: deque[RelayBatch] = deque()
        self._behind: dict[Relay, deque[RelayBatch]] = {}
        """Relays that still get what came since the last key frame, and what waits for them."""
        self._pacing: asyncio.TimerHandle | None = None
        self._remuxer: Remuxer | None = None
        self._key_at: float | None = None

    @property
    def active(self) -> bool:
        """Whether anybody wants packets."""
        return bool(self.relays or self._behind)

    @property
    def passing(self) -> bool:
        """Whether relays get the source's own PS, whatever is in it."""
        return self.active and self._remuxer is None

    @property
    def remuxed(self) -> bool:
        """Whether PS is made here."""
        return self._remuxer is not None

    def has_keyframes(self) -> bool:
        """Whether key frames are told apart in this source."""
        return self._key_at is not None and self._clock() - self._key_at < KEY_PATIENCE

    def add(self, relay: Relay) -> None:
        """Give the relay everything from now on; if PS is made here, from the last key frame on."""
        if self._remuxer is not None:
            full = sum(map(len, self._behind.values())) >= MAX_BEHIND
            batches = [] if full else self._remuxer.since_keyframe()
            # What waits to be paced is among them.
            self._emit_all()
            if batches:
                self._behind[relay] = deque(batches)
                self._pace()
                return
        self.relays = (*self.relays, relay)
        if self._made and self._remuxer is None:
            self._start_remuxer()

    def remove(self, relay: Relay) -> None:
        """Stop; idempotent."""
        self.relays = tuple(other for other in self.relays if other is not relay)
        self._behind.pop(relay, None)
        if not self.active:
            self._rest()

    def receive(self, packets: list[RtpPacket], source: Depacketizer) -> None:
        """Take packets in order, after the depacketizer has seen them."""
        pending = self._pending
        pending += packets
        self._source = source
        if pending[-1].marker or len(pending) >= MAX_RUN_PACKETS:
            self._flush()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER, self._gathered)

    def restart(self) -> None:
        """Forget what another sender left."""
        self._pending.clear()
        self._packer.restart()
        if self._remuxer is not None:
            self._remuxer.stop()
            self._remuxer = None

    def tick(self, now: float) -> None:
        """Do what time asks for; called about twice a second."""
        if self._remuxer is not None:
            self._remuxer.tick(now)

    def fail(self, exc: Exception) -> None:
        """End all relays for a fault of the gateway's own."""
        for relay in (*self.relays, *self._behind):
            relay.fail(exc)

    def close(self) -> None:
        """Forget the relays; idempotent."""
        self.relays = ()
        self._behind.clear()
        self._rest()

    def _rest(self) -> None:
        self.restart()
        self._burst.clear()
        for timer in (self._gathering, self._pacing):
            if timer is not None:
                timer.cancel()
        self._gathering = self._pacing = None

    def _gathered(self) -> None:
        self._gathering = None
        try:
            self._flush()
        except Exception as exc:  # noqa: BLE001 - boundary between streams
            self._on_crash(exc)

    def _flush(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        source, packets = self._source, self._pending
        if source is None or not packets:
            return
        self._pending = []
        # Frames are proof as well, for a source whose packets never begin with a pack header.
        if source.is_ps or (source.payload_kind == "ps" and self._hub.frames):
            if self._remuxer is not None:
                self.restart()
            self._emit(self._packer.pack(packets, source.carries_ps))
        elif self._remuxer is None and source.payload_kind in REMUXED:
            self._start_remuxer()

    def _start_remuxer(self) -> None:
        self._packer.restart()
        self._remuxer = Remuxer(
            self._hub,
            self._packer,
            options=self._options,
            clock=self._clock,
            emit=self._emit,
            on_crash=self.fail,
        )
        self._remuxer.start()

    def _emit(self, batches: list[RelayBatch]) -> None:
        for batch in batches:
            if batch.begins is FrameStart.KEY:
                self._key_at = self._clock()
        if self._burst:
            self._burst += batches
            return
        if batches:
            self._hand_on(batches[0])
        if len(batches) > 1:
            self._burst.extend(batches[1:])
            self._pace()

    def _emit_all(self) -> None:
        while self._burst:
            self._hand_on(self._burst.popleft())

    def _hand_on(self, batch: RelayBatch) -> None:
        for relay in self.relays:
            try:
                relay.take(batch)
            except Exception as exc:  # noqa: BLE001 - boundary between relays
                relay.fail(exc)
        for waiting in self._behind.values():
            waiting.append(batch)

    def _pace(self) -> None:
        if self._pacing is None:
            self._pacing = asyncio.get_running_loop().call_later(PACE, self._step)

    def _step(self) -> None:
        self._pacing = None
        for _ in range(1 + len(self._burst) // PACE_SHARE):
            if self._burst:
                self._hand_on(self._burst.popleft())
        for relay, waiting in tuple(self._behind.items()):
            self._catch_up(relay, waiting)
        if self._burst or self._behind:
            self._pace()

    def _catch_up(self, relay: Relay, waiting: deque[RelayBatch]) -> None:
        size = 0
        # Frames are far smaller than a batch may be; as many as fill one go together.
        while waiting and size <= MAX_RUN_PACKETS * (1 + len(waiting) // PACE_SHARE**2):
            batch = waiting.popleft()
            size += batch.packets
            try:
                relay.take(batch)
            except Exception as exc:  # noqa: BLE001 - boundary between relays
                relay.fail(exc)
                return
        if not waiting and relay in self._behind:
            del self._behind[relay]
            self.relays = (*self.relays, relay)
