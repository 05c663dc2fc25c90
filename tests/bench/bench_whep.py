"""CPU of one added WHEP viewer, ours against plain aiortc.

    python tests/bench/bench_whep.py [ours|aiortc|all] [--mbit 2 4] [--viewers 8] [--seconds 6]

One 25 fps H.264 stream with G.711 sound is sent over real loopback UDP, with DTLS and SRTP, to viewers in other
processes that decrypt nothing (they answer ICE, shake hands and report once a second, as a browser does). The cost of a
viewer is the difference between many viewers and one, by their number. `aiortc` is an RTCPeerConnection a viewer whose
track passes the coded frames through (`av.Packet`), which it packetizes and sends packet by packet.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
from collections.abc import Awaitable, Callable
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import Any

import av
import uvloop
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcrtpsender import RTCRtpSender

from gateway.media.webrtc.media import WebRtcOptions
from gb28181.aio.clock import monotonic
from gb28181.es.unit import Codec, MediaUnit
from tests.bench import bench_viewers
from tests.bench.bench_viewers import FPS, cpu, frames
from tests.support.media import g711_units
from tests.support.webrtc import STREAM, AiortcViewer, PeerEvents, webrtc_bench

WARM = 2.0
"""Seconds from the last connection to the first measurement."""
TIMEOUT = 60.0


async def _view(pipe: Connection, count: int) -> None:
    """Be so many viewers: offers out, answers in, until the pipe says that it is over."""
    viewers = [AiortcViewer(audio=True) for _ in range(count)]
    for viewer in viewers:
        pipe.send((await viewer.offer()).decode())
    loop = asyncio.get_running_loop()
    for viewer in viewers:
        await viewer.take(await loop.run_in_executor(None, pipe.recv))
        for transceiver in viewer.connection.getTransceivers():
            # Decoding is not what is measured, and there are two cores for all.
            transceiver.receiver._handle_rtp_packet = _ignore  # type: ignore[method-assign]
    await loop.run_in_executor(None, pipe.recv)
    for viewer in viewers:
        await viewer.close()


async def _ignore(*_: Any, **__: Any) -> None:
    return None


def view(pipe: Connection, count: int) -> None:
    """Another process."""
    uvloop.run(_view(pipe, count))


def stream(seconds: float, mbit: float) -> list[MediaUnit]:
    """Pictures and sound of a camera."""
    bench_viewers.BIT_RATE = int(mbit * 1_000_000)
    count = int(seconds * FPS) // 50 * 50
    units = [*frames(count), *g711_units(count)]
    return sorted(units, key=lambda unit: (unit.dts, not unit.is_video))


Answer = Callable[[str], Awaitable[str]]


async def measure(count: int, seconds: float, answer: Answer) -> float:
    """Return CPU seconds a second with so many viewers."""
    pipe, other = multiprocessing.Pipe()
    process = multiprocessing.Process(target=view, args=(other, count), daemon=True)
    process.start()
    loop = asyncio.get_running_loop()
    for _ in range(count):
        pipe.send(await answer(await loop.run_in_executor(None, pipe.recv)))
    await asyncio.sleep(WARM)
    started, used = monotonic(), cpu()
    await asyncio.sleep(seconds)
    cost = (cpu() - used) / (monotonic() - started)
    pipe.send("over")
    await loop.run_in_executor(None, process.join, TIMEOUT)
    return cost


async def ours(counts: list[int], seconds: float, mbit: float) -> dict[int, float]:
    """Our sender, with all that a stream costs."""
    costs = {}
    options = WebRtcOptions(ports=(41_000, 41_199))
    async with webrtc_bench(options=options) as (webrtc, camera), asyncio.TaskGroup() as group:
        playing = group.create_task(camera.play(stream(20, mbit)))
        await asyncio.sleep(1.5)
        for count in counts:
            peers: list[Any] = []

            async def answer(offer: str, peers: list[Any] = peers) -> str:
                peer = webrtc.open(offer.encode(), PeerEvents())
                peer.attach(STREAM)
                peers.append(peer)
                return await peer.answer()

            costs[count] = await measure(count, seconds, answer)
            connected = [peer.info() for peer in peers if peer.info().packets]
            assert len(connected) == count, f"{len(connected)} of {count} were served"
            for peer in peers:
                peer.close("viewer_left", "")
        playing.cancel()
    return costs


class PassThrough(MediaStreamTrack):
    """Coded frames on time, for aiortc to packetize."""

    def __init__(self, kind: str, units: list[MediaUnit]) -> None:
        super().__init__()
        self.kind = kind
        self._units = units
        self._began = monotonic()
        self._at = 0

    async def recv(self) -> Any:
        unit = self._units[self._at % len(self._units)]
        rate = FPS if self.kind == "video" else 25
        due = self._began + self._at / rate
        ticks = self._at * (90_000 if self.kind == "video" else 8_000) // rate
        self._at += 1
        await asyncio.sleep(max(0.0, due - monotonic()))
        packet: Any = av.Packet(unit.payload)
        packet.pts = packet.dts = ticks
        packet.time_base = Fraction(1, 90_000 if self.kind == "video" else 8_000)
        return packet


async def plain(counts: list[int], seconds: float, mbit: float) -> dict[int, float]:
    """One RTCPeerConnection a viewer."""
    units = stream(20, mbit)
    pictures = [unit for unit in units if unit.is_video]
    sounds = [unit for unit in units if unit.codec is Codec.PCM_ALAW]
    costs = {}
    for count in counts:
        connections: list[RTCPeerConnection] = []

        async def answer(offer: str, connections: list[RTCPeerConnection] = connections) -> str:
            connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            connections.append(connection)
            await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            for transceiver in connection.getTransceivers():
                kind = transceiver.kind
                name = "video/H264" if kind == "video" else "audio/PCMA"
                capabilities = RTCRtpSender.getCapabilities(kind)
                transceiver.setCodecPreferences(
                    [codec for codec in capabilities.codecs if codec.mimeType == name]
                )
            connection.addTrack(PassThrough("video", pictures))
            connection.addTrack(PassThrough("audio", sounds))
            await connection.setLocalDescription(await connection.createAnswer())
            return connection.localDescription.sdp

        costs[count] = await measure(count, seconds, answer)
        for connection in connections:
            senders = [transceiver.sender for transceiver in connection.getTransceivers()]
            sent = [sender._RTCRtpSender__octet_count for sender in senders]  # type: ignore[attr-defined]
            assert min(sent) > 0, "a viewer was not served"
            await connection.close()
    return costs


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["ours", "aiortc", "all"], nargs="?", default="all")
    parser.add_argument("--mbit", type=float, nargs="+", default=[2.0, 4.0])
    parser.add_argument("--viewers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=6.0)
    arguments = parser.parse_args()
    ways = {"ours": ours, "aiortc": plain}
    for mbit in arguments.mbit:
        for name in ways if arguments.way == "all" else [arguments.way]:
            counts = [1, arguments.viewers]
            costs = uvloop.run(ways[name](counts, arguments.seconds, mbit))
            added = (costs[counts[1]] - costs[1]) / (counts[1] - 1)
            result = {
                "way": name,
                "mbit": mbit,
                "cpu_percent": {count: round(cost * 100, 1) for count, cost in costs.items()},
                "us_per_viewer_frame": round(added / FPS * 1e6),
                "ms_per_viewer_second": round(added * 1000, 2),
            }
            print(json.dumps(result))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
