"""What a registration, a keepalive, a known device and a channel search cost.

Run: python -m tests.bench.bench_registry [--devices N] [--channels N] [--store]
"""

import argparse
import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import structlog

from gateway.domain.store import DeviceStore
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry, RegistrySettings
from gateway.store.sql import SqlStore
from gb28181.aio.clock import monotonic
from tests.support.registry import MemoryStore, address, camera, registration


def rss() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def timed(name: str, count: int, work: Callable[[], None]) -> None:
    start = time.process_time()
    work()
    print(f"{name:<46}{(time.process_time() - start) / count * 1e6:10.2f} us")


class NullStore(MemoryStore):
    """Costs nothing but the call."""

    def touch_device(self, device: object) -> None: ...

    def add_timeline(self, device_id: str, sequence: int, entry: object) -> None: ...


async def measure(store: DeviceStore, devices: int, channels: int) -> None:
    registry = DeviceRegistry(store, RegistrySettings(realm="3402000000", password="12345678"))
    ids = [f"3402000000132{number:07d}" for number in range(devices)]
    places = [address(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(devices)]
    before = rss()
    start = time.process_time()
    waiting = [
        registry.registered(
            registration(device_id, at=place, call_id=f"{device_id}@c"), monotonic()
        )
        for device_id, place in zip(ids, places, strict=True)
    ]
    print(
        f"{'first registration, until handed to the store':<46}{(time.process_time() - start) / devices * 1e6:10.2f} us"
    )
    begun = time.perf_counter()
    for future in waiting:
        assert future is not None
        await future
    print(f"{'all durable after':<46}{time.perf_counter() - begun:10.2f} s")
    del waiting, future
    refreshes = [
        registration(device_id, at=place, call_id=f"{device_id}@c")
        for device_id, place in zip(ids, places, strict=True)
    ]

    def refresh() -> None:
        for each in refreshes:
            registry.registered(each, monotonic())

    def keepalive() -> None:
        for device_id in ids:
            registry.keepalive(device_id, ok=True, faults=(), now=monotonic())

    def identify() -> None:
        for device_id, place in zip(ids, places, strict=True):
            registry.identify(device_id, place, monotonic())

    def credential() -> None:
        for device_id in ids:
            registry.credential(device_id)

    for name, work in {
        "registered() refresh": refresh,
        "keepalive()": keepalive,
        "identify()": identify,
        "credential() from the common password": credential,
    }.items():
        work()
        await asyncio.sleep(0)
        timed(name, devices, work)
    refreshes.clear()
    print(f"{'memory per 1,000 devices':<46}{(rss() - before) / devices * 1000 / 1e6:10.2f} MB")
    await measure_channels(registry, ids[0], channels)


async def measure_channels(registry: DeviceRegistry, device_id: str, channels: int) -> None:
    before = rss()
    listed = [camera(number, device_id, name=f"摄像机 {number} 东门") for number in range(channels)]
    start = time.perf_counter()
    await registry.replace_catalog(device_id, listed, complete=True)
    print(
        f"{f'catalogue of {channels:,} channels durable after':<46}{time.perf_counter() - start:10.2f} s"
    )
    del listed
    print(f"{'memory per 1,000 channels':<46}{(rss() - before) / channels * 1000 / 1e6:10.2f} MB")
    searches: dict[str, Callable[[], object]] = {
        "search by name, 1 match": lambda: registry.search_channels(f"摄像机 {channels - 1} "),
        "search by id, all match": lambda: registry.search_channels("34020000", limit=100),
        "no words, last page": lambda: registry.search_channels(offset=channels - 100),
        "online only": lambda: registry.search_channels(online=True),
    }
    for name, search in searches.items():
        start = time.perf_counter()
        search()
        print(f"{name:<46}{(time.perf_counter() - start) * 1000:10.2f} ms")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--channels", type=int, default=100_000)
    parser.add_argument("--store", action="store_true", help="with a SQLite store instead of none")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    print(
        f"{options.devices:,} devices, {'SQLite' if options.store else 'no'} store, pid {os.getpid()}"
    )
    if not options.store:
        await measure(NullStore(), options.devices, options.channels)
        return
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite+aiosqlite:///{Path(directory) / 'gateway.db'}"
        async with SqlStore(url, Metrics(process=False)) as store:
            await measure(store, options.devices, options.channels)
        await measure_load(url)


async def measure_load(url: str) -> None:
    start = time.perf_counter()
    async with SqlStore(url, Metrics(process=False)) as store:
        registry = DeviceRegistry(store, RegistrySettings(realm="3402000000", password="12345678"))
        await registry.load()
        print(f"{'start with all of this takes':<46}{time.perf_counter() - start:10.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
