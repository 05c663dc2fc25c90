"""WebRTC viewers that are not ours: aiortc as a browser would be, and a stream to watch in this process."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from gateway.domain.webrtc import WebRtcEvents, WebRtcPeer
from gateway.media.options import MediaOptions
from gateway.media.rtp_output import RtpOutputs
from gateway.media.stream import LiveStream
from gateway.media.webrtc.media import EmbeddedWebRtc, WebRtcOptions
from gateway.media.worker import MediaWorker
from gb28181.aio.clock import monotonic
from gb28181.aio.tasks import TaskScope
from gb28181.es.unit import MediaUnit
from tests.support.media import RecordingEvents

__all__ = ["AiortcViewer", "Camera", "PeerEvents", "free_range", "webrtc_bench"]

STREAM = "34020000001180000001/34020000001320000001"


def free_range(count: int) -> tuple[int, int]:
    """A range of UDP ports that nobody has at the moment."""
    for first in range(41_000, 60_000, 50):
        held = []
        try:
            for port in range(first, first + count):
                sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                held.append(sock)
                sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for sock in held:
                sock.close()
        return first, first + count - 1
    raise AssertionError("no free ports")


class Camera:
    """A stream in this process that is fed in real time, and the plane around it."""

    def __init__(self, spawn: Callable[[Any, str], None], options: MediaOptions) -> None:
        self.options = options
        self.worker = MediaWorker(2)
        self.spawn = spawn
        self.stream = LiveStream(
            STREAM,
            RecordingEvents(),
            worker=self.worker,
            options=options,
            clock=monotonic,
            spawn=spawn,
        )
        self.running = True

    def live(self, stream_id: str) -> LiveStream:
        """The stream, whatever its name."""
        return self.stream

    async def play(self, units: list[MediaUnit], *, speed: float = 1.0) -> None:
        """Feed units when they are due, and again with later stamps when they are used up."""
        began, shift = monotonic(), 0
        length = units[-1].dts - units[0].dts + 3_600
        while True:
            for unit in units:
                due = began + (unit.dts + shift - units[0].dts) / 90_000 / speed
                await asyncio.sleep(max(0.0, due - monotonic()))
                self.stream.feed(
                    [
                        MediaUnit(
                            unit.codec,
                            unit.pts + shift,
                            unit.dts + shift,
                            unit.keyframe,
                            unit.payload,
                        )
                    ],
                    monotonic(),
                )
            shift += length


class PeerEvents:
    """Keeps what a viewer's owner is told."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.over = asyncio.Event()
        self.ended: tuple[str, str] | None = None

    def webrtc_connected(self) -> None:
        self.connected.set()

    def webrtc_ended(self, code: str, detail: str) -> None:
        assert self.ended is None, "told twice"
        self.ended = (code, detail)
        self.over.set()


@asynccontextmanager
async def webrtc_bench(
    *, options: WebRtcOptions | None = None, media: MediaOptions | None = None
) -> AsyncIterator[tuple[EmbeddedWebRtc, Camera]]:
    """A camera in this process and the sender under test; nothing may be left at the end."""
    crashed: list[Exception] = []
    async with TaskScope(lambda name, exc: crashed.append(exc)) as scope:

        def spawn(coro: Any, name: str) -> None:
            scope.spawn(coro, name=name)

        camera = Camera(spawn, media or MediaOptions())
        # They need no more of a plane than the camera has.
        outputs = RtpOutputs(camera)  # type: ignore[arg-type]
        chosen = options or WebRtcOptions(ports=free_range(10))
        async with EmbeddedWebRtc(camera, outputs, chosen) as webrtc:  # type: ignore[arg-type]
            yield webrtc, camera
        assert webrtc.count() == 0
        await camera.stream.close("stopped", "")
        await camera.worker.close()
    assert crashed == []


class AiortcViewer:
    """A viewer made of aiortc, with loopback among its addresses."""

    def __init__(self, *, video: bool = True, audio: bool = True, host: str = "127.0.0.1") -> None:
        self._host = host
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.connection.on("track", self._track)
        if video:
            self.connection.addTransceiver("video", direction="recvonly")
        if audio:
            self.connection.addTransceiver("audio", direction="recvonly")

    def _track(self, track: MediaStreamTrack) -> None:
        self.tracks[track.kind] = track

    async def offer(self) -> bytes:
        """Gather and return the offer."""
        original = aioice.ice.get_host_addresses
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [self._host]
        try:
            await self.connection.setLocalDescription(await self.connection.createOffer())
        finally:
            aioice.ice.get_host_addresses = original
        return self.connection.localDescription.sdp.encode()

    async def take(self, answer: str) -> None:
        """Apply the answer."""
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def watch(self, webrtc: EmbeddedWebRtc, events: WebRtcEvents) -> WebRtcPeer:
        """Offer, attach, answer."""
        peer = webrtc.open(await self.offer(), events)
        peer.attach(STREAM)
        await self.take(await peer.answer())
        return peer

    async def frame(self, kind: str = "video") -> Any:
        """The next decoded frame."""
        async with asyncio.timeout(15):
            while kind not in self.tracks:
                await asyncio.sleep(0.01)
            return await self.tracks[kind].recv()

    async def until_over(self, kind: str = "video") -> None:
        """Take frames until there are no more."""
        async with asyncio.timeout(15):
            try:
                while True:
                    await self.tracks[kind].recv()
            except MediaStreamError:
                return

    async def close(self) -> None:
        """Leave."""
        await self.connection.close()
