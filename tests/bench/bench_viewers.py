"""CPU of one added FLV or fMP4 viewer, and of one received stream nobody watches.

    BENCH_FORMAT=mp4 BENCH_MBIT=2 python tests/bench/bench_viewers.py [viewers|ingest] [--seconds 10]

Viewers: one 4 Mbit/s 25 fps H.264 stream with G.711 sound is muxed once and written to real
loopback TCP sockets as aiohttp does (`transport.write`), under uvloop; the readers are another
process. The cost of a viewer is the difference between many viewers and one, by their number.

Ingest: many streams as PS in RTP over loopback UDP, sent packet by packet from another process.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import selectors
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import uvloop

from gateway.domain.device import MediaTransport
from gateway.domain.media import OutputFormat, ReceiverSpec
from gateway.media.options import MediaOptions
from gateway.media.plane import EmbeddedMedia
from gateway.media.stream import LiveStream
from gateway.media.worker import MediaWorker
from gb28181.aio.clock import monotonic
from gb28181.aio.tasks import TaskScope
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.muxer import PsMuxer
from gb28181.rtp.packetizer import packetize
from tests.support.media import RecordingEvents, g711_units, video_units

FPS = 25
BIT_RATE = int(float(os.environ.get("BENCH_MBIT", "4")) * 1_000_000)
FORMAT = OutputFormat(os.environ.get("BENCH_FORMAT", "flv"))
GOP = 50
STEP = 90_000 // FPS


def frames(count: int) -> list[MediaUnit]:
    """Build pictures of the right size: real parameter sets and key frames, filler for the rest."""
    key = video_units(Codec.H264, 1, width=1280, height=720)[0].payload
    size = BIT_RATE // 8 // FPS
    filler = os.urandom(8 * size).replace(b"\x00", b"\x01")
    key = key + b"\x00\x00\x01\x65" + filler[: 4 * size - len(key)]
    inner = b"\x00\x00\x00\x01\x41" + filler[: int(size * (GOP - 4) / (GOP - 1))]
    return [
        MediaUnit(Codec.H264, i * STEP, i * STEP, i % GOP == 0, inner if i % GOP else key)
        for i in range(count)
    ]


def cpu() -> float:
    """Return the CPU seconds of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Sink(asyncio.Protocol):
    """One viewer's connection, seen from the gateway."""

    framing = "raw"

    def __init__(self, ready: Callable[["Sink"], None]) -> None:
        self._ready = ready

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.write = transport.write
        self.buffered = transport.get_write_buffer_size
        self._ready(self)

    def close(self, code: str, detail: str) -> None:
        self.transport.close()


def read_all(port: int, count: int) -> None:
    """Open `count` connections and throw away what comes (another process)."""
    selector = selectors.DefaultSelector()
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
    buffer = bytearray(1 << 20)
    while selector.get_map():
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            if not key.fileobj.recv_into(buffer):
                selector.unregister(key.fileobj)


async def play(stream: LiveStream, units: list[MediaUnit], began: float, offset: int) -> None:
    """Feed units when they are due."""
    for unit in units:
        due = began + (unit.dts - offset) / 90_000
        await asyncio.sleep(max(0.0, due - monotonic()))
        stream.feed([unit], monotonic())


async def viewers(counts: list[int], seconds: float) -> dict[str, Any]:
    """Measure CPU with different numbers of viewers."""
    loop = asyncio.get_running_loop()
    total = int(seconds + 1) * FPS * len(counts)
    units = sorted(
        [*frames(total), *g711_units(total)], key=lambda unit: (unit.dts, not unit.is_video)
    )
    share = len(units) // len(counts)
    costs: dict[int, float] = {}
    joins: list[float] = []
    worker = MediaWorker(2)
    async with TaskScope(lambda name, exc: sys.exit(f"{name}: {exc!r}")) as scope:
        stream = LiveStream(
            "bench",
            RecordingEvents(),
            worker=worker,
            options=MediaOptions(),
            clock=monotonic,
            spawn=lambda coro, name: scope.spawn(coro, name=name),
        )
        for number, count in enumerate(counts):
            part = units[number * share : (number + 1) * share]
            sinks: list[Sink] = []
            server = await loop.create_server(partial(Sink, sinks.append), "127.0.0.1", 0)
            reader = multiprocessing.Process(
                target=read_all, args=(server.sockets[0].getsockname()[1], count), daemon=True
            )
            reader.start()
            while len(sinks) < count:
                await asyncio.sleep(0.05)
            warm = FPS * 2
            began = monotonic()
            await play(stream, part[:2], began, part[0].dts)
            for sink in sinks:
                stream.attach(FORMAT, sink, audio=True)
            await play(stream, part[2:warm], began, part[0].dts)
            started, used = monotonic(), cpu()
            await play(stream, part[warm:], began, part[0].dts)
            costs[count] = (cpu() - used) / (monotonic() - started)
            joins.append(await join(stream))
            for sink in sinks:
                sink.transport.close()
            for feed in [f for output in stream._outputs for f in output._feeds]:
                feed.detach()
            server.close()
            reader.terminate()
            reader.join()
        await stream.close("stopped", "")
        await worker.close()
    few, many = sorted(counts)[-2:]
    return {
        "cpu_percent": {count: round(cost * 100, 2) for count, cost in costs.items()},
        "ms_to_first_picture_of_a_further_viewer": round(min(joins), 2),
        "ms_per_viewer_second": round((costs[many] - costs[few]) / (many - few) * 1000, 3),
    }


class Joiner:
    """A viewer who only wants to know when its first bytes come: header and the last key frame on."""

    framing = "raw"

    def __init__(self) -> None:
        self.got = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.got.set()

    def buffered(self) -> int:
        return 0

    def close(self, code: str, detail: str) -> None: ...


async def join(stream: LiveStream) -> float:
    """Milliseconds until one more viewer has its first picture."""
    joiner, began = Joiner(), time.perf_counter()
    viewer = stream.attach(FORMAT, joiner, audio=True)
    async with asyncio.timeout(2):
        await joiner.got.wait()
    took = time.perf_counter() - began
    viewer.detach()
    return took * 1000


def send_streams(ports: list[int], seconds: float) -> None:
    """Send one camera's packets to every port, packet by packet, on time (another process)."""
    muxer = PsMuxer(Codec.H264, Codec.PCM_ALAW)
    sound = g711_units(1)[0]
    sequence = 0
    group: list[tuple[int, list[bytes]]] = []
    for unit in frames(GOP):
        heard = MediaUnit(sound.codec, unit.pts, unit.dts, True, sound.payload)
        data = muxer.mux(unit, heard)
        packets = packetize(data, payload_type=96, ssrc=0, sequence=sequence, timestamp=unit.pts)
        sequence += len(packets)
        group.append((unit.pts, packets))
    per_group = sequence
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    began = time.monotonic()
    for number in range(int(seconds * FPS)):
        round_, index = divmod(number, GOP)
        pts, packets = group[index]
        stamp = (pts + round_ * GOP * STEP).to_bytes(4)
        for ssrc, port in enumerate(ports, 1):
            # Cameras do not send at the same instant.
            due = began + number / FPS + ssrc / len(ports) / FPS
            time.sleep(max(0.0, due - time.monotonic()))
            for packet in packets:
                real = (int.from_bytes(packet[2:4]) + round_ * per_group) & 0xFFFF
                head = packet[:2] + real.to_bytes(2) + stamp + ssrc.to_bytes(4)
                sender.sendto(head + packet[12:], ("127.0.0.1", port))


async def ingest(streams: int, seconds: float) -> dict[str, Any]:
    """Measure CPU of received streams that nobody watches."""
    async with EmbeddedMedia(host="127.0.0.1", ports=(16_000, 17_999), drain=0.0) as media:
        receivers = [
            await media.open_receiver(
                ReceiverSpec(
                    stream_id=str(number),
                    session_id=str(number),
                    transport=MediaTransport.UDP,
                    ssrc=number,
                ),
                RecordingEvents(),
            )
            for number in range(1, streams + 1)
        ]
        sender = multiprocessing.Process(
            target=send_streams, args=([r.port for r in receivers], seconds + 3), daemon=True
        )
        sender.start()
        await asyncio.sleep(2)
        before = sum(info.packets for info in media.streams())
        started, used = monotonic(), cpu()
        await asyncio.sleep(seconds)
        spent, span = cpu() - used, monotonic() - started
        infos = media.streams()
        packets = sum(info.packets for info in infos) - before
        sender.terminate()
        sender.join()
    return {
        "streams": streams,
        "packets_per_second": round(packets / span),
        "lost": sum(info.lost for info in infos),
        "frames": sum(info.frames for info in infos),
        "ms_per_stream_second": round(spent / span / streams * 1000, 3),
        "us_per_packet": round(spent / packets * 1e6, 2),
    }


def main() -> None:
    """Run what was asked for and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["viewers", "ingest"], nargs="?", default="viewers")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--streams", type=int, default=40)
    arguments = parser.parse_args()
    if arguments.what == "viewers":
        result = uvloop.run(viewers([0, 1, 100], arguments.seconds))
    else:
        result = uvloop.run(ingest(arguments.streams, arguments.seconds))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
