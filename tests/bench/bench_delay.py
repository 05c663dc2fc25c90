"""Delay from the camera's clock to Chromium's screen, by WHEP and by fMP4 over WebSocket.

    python tests/bench/bench_delay.py [whep|ws|all] [--seconds 10] [--bitrate 2000000] [--gop 2] [--loss 0]

A simulated camera draws a clock with milliseconds into each picture; Chromium (headless, the same machine and clock)
reads it off the canvas at each frame it presents. Encoder, SIP, PS, gateway, network, jitter buffer and decoder are all
in it. The browser decodes and draws in software, which a desktop does faster.
"""

import argparse
import asyncio
import json
import random
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import uvloop
from playwright.async_api import Page

from gateway.media.webrtc.udp import PeerSocket
from gateway.simulator.picture import PictureLayout
from gateway.simulator.simulator import Simulator
from tests.support.browser import chromium
from tests.support.gateway import running_gateway
from tests.support.whep_page import WHEP_SCRIPT, WS_SCRIPT, clock_reader

BEIJING = timezone(timedelta(hours=8))


def lose(part: float) -> None:
    """Let so many of the media's packets be lost on their way out; what is sent again gets through."""
    send_all, dice = PeerSocket.send_all, random.Random(28181)

    def lossy(self: PeerSocket, packets: Sequence[memoryview], to: tuple[str, int]) -> None:
        send_all(self, [packet for packet in packets if dice.random() >= part], to)

    PeerSocket.send_all = lossy  # type: ignore[method-assign]


def delays(seen: list[tuple[float, str]]) -> list[float]:
    """Milliseconds from each readable clock to when it was shown."""
    found = []
    for shown, text in seen:
        at = datetime.fromtimestamp(shown / 1000, BEIJING)
        try:
            clock = datetime.strptime(text, "%H:%M:%S.%f").replace(tzinfo=BEIJING)
        except ValueError:
            continue
        clock = clock.replace(year=at.year, month=at.month, day=at.day)
        found.append((at - clock) / timedelta(milliseconds=1))
    return found


def spread(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile and largest."""
    ordered = sorted(values)
    return {
        "frames": len(ordered),
        "median_ms": round(ordered[len(ordered) // 2]),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)]),
        "max_ms": round(ordered[-1]),
    }


def caught_up(seen: list[tuple[float, str]]) -> int | None:
    """Milliseconds from the first picture to the first one that is live: less than 0.3 s old."""
    for shown, text in seen:
        if any(delay < 300 for delay in delays([(shown, text)])):
            return round(shown - seen[0][0])
    return None


async def measure(way: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Watch one camera one way."""
    layout = PictureLayout(1280, 720)
    with tempfile.TemporaryDirectory() as directory, chromium() as browser:
        # The camera runs on while the browser gets ready.
        async with running_gateway(Path(directory), media={"no_readers_grace": 30.0}) as it:
            options = it.simulator_options(
                width=1280, height=720, bitrate=arguments.bitrate, gop=arguments.gop
            )
            async with Simulator(options) as simulator:
                await simulator.wait_registered()
                device = simulator.devices[0].device_id
                channel = (await it.channels(device, 1))[0]
                urls = (await it.api.play(device, channel))["urls"]
                # A camera that runs already, somewhere within its group of pictures.
                await asyncio.sleep(0 if arguments.cold else 1.3)

                async def watch(page: Page) -> dict[str, Any]:
                    await page.evaluate(WHEP_SCRIPT + WS_SCRIPT + clock_reader(layout) + "null")
                    call = f"whep({json.dumps(urls['whep'])})"
                    if way == "ws":
                        call = f"wsfmp4({json.dumps(urls['ws_mp4'])})"
                    began = await page.evaluate(call)
                    count = int(arguments.seconds * 25)
                    first = await page.evaluate("clocks(view.video, 25)")
                    seen = await page.evaluate(f"clocks(view.video, {count})")
                    stats = await page.evaluate("stats()") if way == "whep" else {}
                    return {"began": began, "first": first, "seen": seen, "stats": stats}

                got = await browser.on_page(f"{it.gateway.http_url}/healthz", watch)
    video = got["stats"].get("video", {})
    return {
        "way": way,
        "first_picture_ms": round(got["began"]["first_ms"]),
        "caught_up_ms": caught_up(got["first"] + got["seen"]),
        "then": spread(delays(got["seen"])),
        "unreadable": len(got["seen"]) - len(delays(got["seen"])),
        **{
            name: video.get(name)
            for name in (
                "packetsLost",
                "nackCount",
                "pliCount",
                "framesDropped",
                "freezeCount",
                "framesDecoded",
            )
        },
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["whep", "ws", "all"], nargs="?", default="all")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--bitrate", type=int, default=2_000_000)
    parser.add_argument("--gop", type=float, default=2.0)
    parser.add_argument("--cold", action="store_true", help="let the viewer start the camera")
    parser.add_argument("--loss", type=float, default=0.0, help="part of WHEP's packets, 0 to 1")
    arguments = parser.parse_args()
    if arguments.loss:
        lose(arguments.loss)
    for way in ["whep", "ws"] if arguments.way == "all" else [arguments.way]:
        print(json.dumps(uvloop.run(measure(way, arguments)), indent=1))


if __name__ == "__main__":
    main()
