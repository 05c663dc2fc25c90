"""Delay that each level of a cascade adds to the start of a stream.

    PYTHONPATH=. python tests/bench/bench_cascade.py [--times 10]

A village, its township and their county run in this process on loopback, each registered at the next; a simulated
camera answers in the village. The same camera is started from each level in turn: `answered` is when the device below
had answered that level's INVITE, `first_packet` when its media came, `first_byte` when a viewer's first byte of FLV did.
"""

import argparse
import json
import logging
import statistics
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import structlog
import uvloop

from gateway.simulator.simulator import Simulator
from gb28181.aio.clock import monotonic
from tests.support.gateway import RunningGateway, eventually
from tests.support.levels import TOWNSHIP, VILLAGE, row_of_gateways

LEVELS = ("village", "township", "county")


async def started(it: RunningGateway, device: str, camera: str) -> dict[str, float]:
    """Start the camera at one level; milliseconds of what was reached."""
    began = monotonic()
    played = await it.api.play(device, camera)
    async with aiohttp.ClientSession() as http, http.get(played["urls"]["flv"]) as answer:
        await answer.content.read(3)
        first = monotonic() - began
        stages = (await it.api.get(f"sessions/{played['session_id']}"))["stages"]
    return {
        "answered": stages["answered"] * 1000,
        "first_packet": stages["first_packet"] * 1000,
        "first_byte": first * 1000,
    }


async def idle(row: list[RunningGateway]) -> None:
    """Wait until no level holds a stream."""

    async def over() -> bool:
        return all(not it.gateway.media.streams() for it in row)

    await eventually(over, 10.0, "the end of the streams")


async def run(times: int) -> dict[str, Any]:
    """Start the camera so many times from each level."""
    found: dict[str, list[dict[str, float]]] = {level: [] for level in LEVELS}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            row_of_gateways(Path(folder), media={"no_readers_grace": 0.2}) as row,
            Simulator(row[0].simulator_options()) as simulator,
        ):
            await simulator.wait_registered()
            own = simulator.devices[0].device_id
            (camera,) = await row[0].channels(own, 1)
            devices = (own, VILLAGE, TOWNSHIP)
            for it, device in zip(row, devices, strict=True):

                async def listed(it: RunningGateway = it, device: str = device) -> bool:
                    return it.gateway.registry.channel(device, camera) is not None

                await eventually(listed, 20.0, f"the camera below {device}")
            for number in range(times + 1):
                for level, it, device in zip(LEVELS, row, devices, strict=True):
                    taken = await started(it, device, camera)
                    await idle(row)
                    if number:
                        # The first time warms up.
                        found[level].append(taken)
    return {
        level: {
            name: round(statistics.median(item[name] for item in taken), 1) for name in taken[0]
        }
        for level, taken in found.items()
    }


def main() -> None:
    """Print medians in milliseconds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(json.dumps(uvloop.run(run(arguments.times)), indent=2))


if __name__ == "__main__":
    main()
