"""CPU of one added RTSP viewer, over TCP and UDP.

    BENCH_MBIT=4 python tests/bench/bench_rtsp.py [--seconds 8] [--viewers 1,50,100]

One 25 fps H.264 stream with G.711 sound is fed to a real RTSP server on loopback under uvloop; the players are
another process. The cost of a viewer is the difference between many viewers and few, by their number.
"""

import argparse
import asyncio
import json
import multiprocessing
import selectors
import socket
import sys
from typing import Any

import structlog
import uvloop

from gateway.media.options import MediaOptions
from gb28181.aio.clock import monotonic
from tests.bench.bench_viewers import BIT_RATE, FPS, cpu, frames
from tests.support.media import g711_units
from tests.support.rtsp import RtspBench, rtsp_bench


class Player:
    """Asks for a stream, blocking."""

    def __init__(self, port: int, url: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.url = url
        self.datagrams: list[socket.socket] = []
        self._session = ""
        self._number = 0

    def ask(self, method: str, url: str, **headers: str) -> None:
        """Send a request and wait for its answer, which must be good."""
        self._number += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._number}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Session: {self._session}"] if self._session else []
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.sock.recv(65_536)
        head, _, rest = data.partition(b"\r\n\r\n")
        assert head.startswith(b"RTSP/1.0 200"), head
        for line in head.decode().split("\r\n"):
            if line.startswith("Session: "):
                self._session = line[9:].partition(";")[0]
            if line.startswith("Content-Length: "):
                while len(rest) < int(line[16:]):
                    rest += self.sock.recv(65_536)

    def play(self, *, udp: bool) -> None:
        """Set both tracks up and play."""
        self.ask("DESCRIBE", self.url)
        base = self.url.partition("?")[0]
        for track in range(2):
            transport = f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}"
            if udp:
                sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sock.bind(("127.0.0.1", 0))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                self.datagrams.append(sock)
                port = sock.getsockname()[1]
                # Reports go to the same socket, which nobody looks into here.
                transport = f"RTP/AVP;unicast;client_port={port}-{port - 1}"
            self.ask("SETUP", f"{base}/trackID={track}", Transport=transport)
        self.ask("PLAY", base)


def watch(port: int, url: str, count: int, udp: bool, ready: Any) -> None:
    """Play so often and throw away what comes (another process)."""
    selector = selectors.DefaultSelector()
    players = [Player(port, url) for _ in range(count)]
    for player in players:
        player.play(udp=udp)
        for sock in player.datagrams if udp else [player.sock]:
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ)
    ready.set()
    buffer = bytearray(1 << 20)
    while True:
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            if not key.fileobj.recv_into(buffer) and not udp:
                return


async def feed(bench: RtspBench, seconds: float, start: int) -> int:
    """Feed pictures and sound when they are due; return the time stamp after them."""
    assert bench.receiver is not None
    count = int(seconds * FPS)
    began = monotonic()
    pictures, sound = frames(count), g711_units(count)
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / FPS - monotonic()))
        for unit in (sound[number], pictures[number]):
            unit.pts += start
            unit.dts += start
            bench.receiver.stream.feed([unit], monotonic())
    return start + count * 3_600


async def measure(counts: list[int], seconds: float, *, udp: bool) -> dict[str, Any]:
    """Measure CPU with different numbers of viewers."""
    costs: dict[int, float] = {}
    ports = (46_000, 46_000 + 4 * max(counts) + 40)
    limits = {"max_connections_per_host": 4_000, "udp_ports": ports}
    async with rtsp_bench(media=MediaOptions(audio_wait=0.2), **limits) as bench:
        await bench.start_camera()
        at = 0
        for count in counts:
            ready = multiprocessing.Event()
            reader = multiprocessing.Process(
                target=watch,
                args=(bench.server.port, bench.open_url, count, udp, ready),
                daemon=True,
            )
            reader.start()
            while not ready.is_set():
                at = await feed(bench, 0.2, at)
            at = await feed(bench, 2.0, at)
            began, used = monotonic(), cpu()
            at = await feed(bench, seconds, at)
            costs[count] = (cpu() - used) / (monotonic() - began)
            reader.kill()
            reader.join()
            await bench.settled(lambda: bench.server.connections == 0, "the end")
    few, many = min(counts), max(counts)
    cost = (costs[many] - costs[few]) / (many - few)
    return {
        "transport": "udp" if udp else "tcp",
        "mbit": BIT_RATE / 1e6,
        "cpu_percent": {count: round(cost * 100, 2) for count, cost in costs.items()},
        "ms_per_viewer_second": round(cost * 1000, 3),
        "us_per_viewer_frame": round(cost * 1e6 / FPS, 1),
        "viewers_per_core": round(1 / cost) if cost > 0 else None,
    }


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--viewers", default="1,50,100")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    counts = [int(text) for text in chosen.viewers.split(",")]
    for udp in (False, True):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(json.dumps(runner.run(measure(counts, chosen.seconds, udp=udp))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
