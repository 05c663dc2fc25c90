"""CPU of one added low-latency HLS viewer, and of one picture.

    python -m tests.bench.bench_hls [--seconds 10] [--viewers 1 50 100]

One 25 fps H.264 stream (BENCH_MBIT, default 4) with G.711 sound is cut once; players in another process reload the
playlist by blocking, and load each part, over the real HTTP server under uvloop. The cost of a viewer is the
difference between many viewers and the fewest, by their number.
"""

import argparse
import asyncio
import json
import multiprocessing
import re
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import structlog
import uvloop

from gateway.media.hls.options import HlsOptions
from gateway.media.hls.plane import HlsMedia
from gateway.media.snapshot import make_jpeg
from gb28181.es.unit import Codec
from tests.bench.bench_viewers import GOP, frames
from tests.support.http import CHANNEL, DEVICE, HttpBench, http_bench
from tests.support.media import g711_units, interleave
from tests.support.plane import PlaneBench, plane_bench
from tests.support.samples import units as picture_units

PART = re.compile(r'#EXT-X-PART:.*URI="(part-(\d+)\.(\d+)\.m4s)"')


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def player(http: aiohttp.ClientSession, index: str, until: float) -> int:
    async with http.get(index) as answer:
        base = str(answer.url.join(answer.url.__class__((await answer.text()).split()[-1])))
    query, taken = "", 0
    while time.monotonic() < until:
        async with http.get(base + query) as answer:
            text = await answer.text()
            assert PART.search(text), text
            name, number, part = PART.findall(text)[-1]
        async with http.get(base.replace("live.m3u8", name)) as answer:
            taken += len(await answer.read())
        query = f"?_HLS_msn={number}&_HLS_part={int(part) + 1}"
    return taken


def play(index: str, count: int, seconds: float, results: Any) -> None:
    async def main() -> int:
        connector = aiohttp.TCPConnector(limit=0)
        until = time.monotonic() + seconds
        async with aiohttp.ClientSession(connector=connector) as http:
            return sum(await asyncio.gather(*(player(http, index, until) for _ in range(count))))  # noqa: TID251 - a bench

    results.put(uvloop.run(main()))


async def feed(bench: PlaneBench) -> None:
    pictures = frames(GOP * 40)
    units = interleave(pictures, g711_units(len(pictures)))
    began = time.monotonic()
    for unit in units:
        ahead = unit.dts / 90_000 - (time.monotonic() - began)
        if ahead > 0:
            await asyncio.sleep(ahead)
        bench.feed([unit])


async def measure(http: HttpBench, count: int, seconds: float) -> tuple[float, float, float]:
    index = f"{http.url}/live/{DEVICE}/{CHANNEL}/index.m3u8?token={http.stream_token(ttl=600)}"
    results: Any = multiprocessing.Queue()
    process = multiprocessing.Process(target=play, args=(index, count, seconds, results))
    process.start()
    await asyncio.sleep(min(2.0, seconds / 4))
    used, began = cpu(), time.monotonic()
    await asyncio.sleep(seconds / 2)
    used, took = cpu() - used, time.monotonic() - began
    taken = await asyncio.to_thread(results.get)
    await asyncio.to_thread(process.join)
    return used / took, took, taken * 8 / seconds / count / 1e6


async def main(counts: list[int], seconds: float) -> dict[str, Any]:
    shares: dict[int, float] = {}
    rates: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with plane_bench(f"{DEVICE}/{CHANNEL}", audio_wait=0.5) as plane:
            hls = HlsMedia(plane.plane, HlsOptions(idle=60.0))
            async with asyncio.TaskGroup() as group, http_bench(Path(folder), hls=hls) as http:
                feeding = group.create_task(feed(plane))
                await asyncio.sleep(1.0)
                for count in counts:
                    shares[count], _, rates[count] = await measure(http, count, seconds)
                feeding.cancel()
            hls.close()
    fewest, most = min(counts), max(counts)
    per_viewer = (shares[most] - shares[fewest]) / (most - fewest)
    clip = picture_units(Codec.H264, frames=50, gop=50, size="1920x1080", rate="4M")
    began = cpu()
    make_jpeg(clip)
    return {
        "cores_by_viewers": {count: round(share, 4) for count, share in shares.items()},
        "mbit_per_viewer": {count: round(rate, 2) for count, rate in rates.items()},
        "ms_cpu_per_viewer_second": round(per_viewer * 1000, 3),
        "snapshot_1080p_50_frames_cpu_ms": round((cpu() - began) * 1000, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--viewers", type=int, nargs="+", default=[1, 50])
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    print(json.dumps(uvloop.run(main(arguments.viewers, arguments.seconds)), indent=1))
