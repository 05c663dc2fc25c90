"""Pictures as the HTTP face sees them: a port that the test scripts."""

import asyncio

from gateway.domain.errors import GatewayError
from gateway.domain.snapshot import Snapshot

__all__ = ["JPEG", "ScriptedSnapshots"]

# SOI, a comment, the frame header of a picture of 320 by 240, EOI.
JPEG = bytes.fromhex("ffd8fffe00046869ffc0000b080 0f0014001011100ffd9".replace(" ", ""))


class ScriptedTask:
    """A picture in the making."""

    def __init__(self, plane: "ScriptedSnapshots") -> None:
        self._plane = plane
        self.left = False

    async def picture(self, width: int | None = None) -> Snapshot:
        self._plane.widths.append(width)
        await self._plane.ready.wait()
        if self._plane.fail is not None:
            raise self._plane.fail
        return Snapshot(jpeg=JPEG, width=320, height=240, behind=0.04)

    def leave(self) -> None:
        self.left = True


class ScriptedSnapshots:
    """Implements `gateway.domain.snapshot.SnapshotPlane`."""

    def __init__(self) -> None:
        self.fail: GatewayError | None = None
        self.ready = asyncio.Event()
        self.ready.set()
        self.streams: list[str] = []
        self.widths: list[int | None] = []
        self.tasks: list[ScriptedTask] = []

    def begin(self, stream_id: str) -> ScriptedTask:
        self.streams.append(stream_id)
        task = ScriptedTask(self)
        self.tasks.append(task)
        return task
