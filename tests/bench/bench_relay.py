"""CPU of streams relayed to upper platforms: the first of a camera with its ingest, and each further one.

    python tests/bench/bench_relay.py [--cameras 16] [--seconds 2] [--transport udp tcp]

Cameras send 4 Mbit/s PS in RTP at 25 pictures a second (357 packets a second) over loopback UDP
from another process; the uppers read in a third. Only this process, the gateway, is counted.
A further upper's cost is the difference between runs with more and with fewer uppers per camera.
"""

import argparse
import asyncio
import cProfile
import multiprocessing
import os
import pstats
import resource
import selectors
import socket
import statistics
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

import uvloop

from gateway.domain.device import MediaTransport
from gateway.domain.media import ReceiverSpec, Sender, SenderSpec
from gateway.media.plane import EmbeddedMedia
from gb28181.aio.clock import monotonic
from tests.bench.bench_viewers import cpu, send_streams
from tests.support.media import RecordingEvents
from tests.support.relay import RecordingSenderEvents

COUNTS = (0, 1, 2, 8)
WARM, SETTLE = 2.0, 0.5
ROUNDS = 2
"""Each number of uppers is measured twice in a round."""
PORTS = (16_000, 17_999)
NAMES = {"udp": MediaTransport.UDP, "tcp": MediaTransport.TCP_PASSIVE}


def sink_udp(count: int, pipe: Connection) -> None:
    """Bind `count` ports, tell them, and throw away what comes (another process)."""
    selector = selectors.DefaultSelector()
    ports = []
    for _ in range(count):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_194_304)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
        ports.append(sock.getsockname()[1])
    pipe.send(ports)
    _drain(selector, bytearray(65_536), pipe)


def sink_tcp(ports: list[int], pipe: Connection) -> None:
    """Connect to the ports and throw away what comes (another process)."""
    selector = selectors.DefaultSelector()
    for port in ports:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
    pipe.send([])
    _drain(selector, bytearray(1 << 20), pipe)


def _drain(selector: selectors.BaseSelector, buffer: bytearray, pipe: Connection) -> None:
    received = 0
    while not pipe.poll():
        for key, _ in selector.select(0.2):
            assert isinstance(key.fileobj, socket.socket)
            try:
                while size := key.fileobj.recv_into(buffer):
                    received += size
            except BlockingIOError:
                continue
    pipe.send(received)


class Uppers:
    """The process that receives."""

    def __init__(self) -> None:
        self.pipe, self._far = multiprocessing.Pipe()
        self._process: multiprocessing.Process | None = None

    def udp(self, count: int) -> list[int]:
        """Start, return the ports."""
        self._start(sink_udp, count)
        ports: list[int] = self.pipe.recv()
        return ports

    async def tcp(self, ports: list[int]) -> None:
        """Start, and wait until it has connected."""
        self._start(sink_tcp, ports)
        while not self.pipe.poll():
            await asyncio.sleep(0.01)
        self.pipe.recv()

    def end(self) -> None:
        """Stop."""
        self.pipe.send(None)
        self.pipe.recv()
        assert self._process is not None
        self._process.join()

    def _start(self, target: Callable[..., None], what: object) -> None:
        self._process = multiprocessing.Process(target=target, args=(what, self._far), daemon=True)
        self._process.start()


class Bench:
    """One gateway with cameras, and relays in changing numbers."""

    def __init__(self, media: EmbeddedMedia, transport: MediaTransport, cameras: int) -> None:
        self.lost = 0
        self.rates: list[float] = []
        """Packets a second of each relay, by phase."""
        self._media = media
        self._transport = transport
        self._cameras = cameras
        self._serial = 0

    async def receivers(self) -> list[int]:
        """Open a receiver for each camera, return the ports."""
        specs = [
            ReceiverSpec(
                stream_id=f"{number}",
                session_id=f"{number}",
                transport=MediaTransport.UDP,
                ssrc=number,
            )
            for number in range(1, self._cameras + 1)
        ]
        return [(await self._media.open_receiver(spec, RecordingEvents())).port for spec in specs]

    async def phase(self, each: int, seconds: float) -> float:
        """Return CPU seconds per second with so many uppers of every camera."""
        uppers = Uppers()
        senders = await self._open(each, uppers) if each else []
        await asyncio.sleep(SETTLE)
        before = sum(info.packets for info in self._media.senders())
        started, used = monotonic(), cpu()
        await asyncio.sleep(seconds)
        spent, span = cpu() - used, monotonic() - started
        infos = self._media.senders()
        if infos:
            sent = sum(info.packets for info in infos) - before
            self.rates.append(sent / span / len(infos))
            self.lost += sum(info.dropped for info in infos)
        for sender in senders:
            await sender.close()
        if each:
            await asyncio.to_thread(uppers.end)
        return spent / span

    async def _open(self, each: int, uppers: Uppers) -> list[Sender]:
        udp = self._transport is MediaTransport.UDP
        ports = uppers.udp(self._cameras * each) if udp else []
        senders = []
        for number in range(self._cameras * each):
            self._serial += 1
            spec = SenderSpec(
                sender_id=f"{self._serial}",
                stream_id=f"{number % self._cameras + 1}",
                transport=self._transport,
                ssrc=900_000_000 + number,
                remote=("127.0.0.1", ports[number]) if udp else None,
            )
            sender = await self._media.open_sender(spec, RecordingSenderEvents())
            sender.start()
            senders.append(sender)
        if not udp:
            await uppers.tcp([sender.port for sender in senders])
        return senders


async def measure(
    transport: MediaTransport, cameras: int, counts: Sequence[int], seconds: float
) -> dict[int, float]:
    """Return ms of CPU per second and camera by the number of uppers, the median of several phases.

    Numbers take turns, so that what else runs on the machine disturbs them alike.
    """
    async with EmbeddedMedia(host="127.0.0.1", ports=PORTS, drain=0.0) as media:
        bench = Bench(media, transport, cameras)
        ports = await bench.receivers()
        order = [*counts, *reversed(counts)] * ROUNDS
        total = len(order) * (seconds + SETTLE + 2) + WARM
        camera = multiprocessing.Process(target=send_streams, args=(ports, total), daemon=True)
        camera.start()
        await asyncio.sleep(WARM)
        found: dict[int, list[float]] = {count: [] for count in counts}
        for count in order:
            found[count].append(await bench.phase(count, seconds) / cameras * 1000)
        lost = sum(info.lost for info in media.streams()) + bench.lost
        camera.terminate()
        camera.join()
    print(
        f"  {min(bench.rates):.0f} to {max(bench.rates):.0f} packets/s each, {lost} lost",
        file=sys.stderr,
    )
    return {count: statistics.median(values) for count, values in found.items()}


def profile(transport: MediaTransport, cameras: int, each: int, seconds: float) -> None:
    """Print where the time goes."""
    profiler = cProfile.Profile()
    profiler.enable()
    uvloop.run(measure(transport, cameras, [each], seconds))
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--transport", nargs="+", choices=list(NAMES), default=list(NAMES))
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8_192)), hard))
    cameras, seconds = arguments.cameras, arguments.seconds
    if arguments.profile:
        profile(NAMES[arguments.transport[0]], cameras, 8, seconds)
        return
    print(f"ms of CPU per second and camera, {cameras} cameras, load {os.getloadavg()[0]:.1f}")
    print("transport   ingest   +1 upper   2nd   3rd..8th each   2nd..8th each")
    for name in arguments.transport:
        cost = uvloop.run(measure(NAMES[name], cameras, COUNTS, seconds))
        print(
            f"{name:9} {cost[0]:8.2f} {cost[1]:10.2f} {cost[2] - cost[1]:5.2f} "
            f"{(cost[8] - cost[2]) / 6:15.3f} {(cost[8] - cost[1]) / 7:15.3f}"
        )


if __name__ == "__main__":
    main()
