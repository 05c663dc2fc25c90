"""A media plane with one stream that a test feeds with units, as if a camera sent them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from gateway.domain.device import MediaTransport
from gateway.domain.media import ReceiverSpec
from gateway.media.options import MediaOptions
from gateway.media.plane import EmbeddedMedia
from gateway.media.receiver import MediaReceiver
from gb28181.es.unit import MediaUnit
from tests.support.media import RecordingEvents
from tests.support.ports import PLANES, own_ports

__all__ = ["STREAM", "PlaneBench", "plane_bench"]

STREAM = "34020000001180000001/34020000001320000001"
FIRST_PORT = own_ports(PLANES, 300)[0]


class PlaneBench:
    """The plane and its stream."""

    def __init__(self, plane: EmbeddedMedia, receiver: MediaReceiver, clock: list[float]) -> None:
        self.plane = plane
        self._receiver = receiver
        self._clock = clock

    @property
    def now(self) -> float:
        """The plane's time: that of the newest unit."""
        return self._clock[0]

    def feed(self, units: Iterable[MediaUnit]) -> None:
        """Feed units, each at the time of its stamp."""
        for unit in units:
            self._clock[0] = max(self.now, unit.dts / 90_000)
            self._receiver.stream.feed([unit], self.now)

    def viewers(self) -> dict[str, int]:
        """Viewers by kind."""
        return self._receiver.stream.viewers()

    async def close(self, code: str, detail: str) -> None:
        """End the stream."""
        await self._receiver.close(code, detail)


@asynccontextmanager
async def plane_bench(stream_id: str = STREAM, **options: Any) -> AsyncIterator[PlaneBench]:
    """Open a plane and a stream that nothing comes for by itself."""
    clock = [0.0]
    async with EmbeddedMedia(
        clock=lambda: clock[0],
        host="127.0.0.1",
        ports=(FIRST_PORT, FIRST_PORT + 3),
        drain=0.0,
        options=MediaOptions(source_timeout=60.0, **options),
    ) as plane:
        receiver = await plane.open_receiver(
            ReceiverSpec(
                stream_id=stream_id, session_id="s1", transport=MediaTransport.UDP, ssrc=100_000_001
            ),
            RecordingEvents(),
        )
        assert isinstance(receiver, MediaReceiver)
        yield PlaneBench(plane, receiver, clock)
