"""What one platform's catalogue of 100,000 channels costs: time, longest hold of the loop, memory.

    python -m tests.bench.bench_catalog [CHANNELS] [--platform]

With `--platform` all channels belong to one lower platform, else to recorders of 50 channels each.
"""

import asyncio
import gc
import resource
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable

from gateway.app.run import GC_THRESHOLDS
from gateway.domain.platform import IdMode
from gb28181.manscdp import CatalogItem, CatalogResponse, serialize_message
from gb28181.manscdp.paging import TCP_PAGE_BYTES, pages
from tests.support.catalog_world import (
    ALLOW,
    MemoryIds,
    TurnPolicy,
    World,
    channel,
    denied,
    make_view,
)

TOWN = "37132601002000000001"


def world_of(count: int, *, platform: bool) -> World:
    """Return a world of cameras."""
    world = World()
    per_device = count if platform else 50
    for number in range(0, count, per_device):
        device_id = TOWN if platform else f"3713260100118{number // per_device:07d}"
        items = [
            channel(
                device_id,
                f"3713260100132{serial:07d}",
                name=f"Camera {serial}",
                manufacturer="ExampleVision",
                model="EV-B2",
                civil_code="37132601",
                address="Example road 1",
                parent_ids=(device_id,),
                longitude=117.64,
                latitude=35.5,
                extra={"Block": "371326000000", "RegisterWay": "1", "Info.RoomType": "1"},
            )
            for serial in range(number, min(number + per_device, count))
        ]
        world.device(device_id, *items)
    return world


async def timed(name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Run something beside a ticker, and print how long it took and the longest hold of the loop.

    Holds are processor time, so that other programs on the machine do not count.
    """
    gaps: list[float] = []
    done = asyncio.Event()

    async def tick() -> None:
        last = time.thread_time()
        while not done.is_set():
            await asyncio.sleep(0)
            now = time.thread_time()
            gaps.append(now - last)
            last = now

    async with asyncio.TaskGroup() as group:
        group.create_task(tick())
        await asyncio.sleep(0.01)
        gaps.clear()
        started = time.perf_counter()
        await work()
        took = time.perf_counter() - started
        done.set()
    gaps.sort()
    late = sum(gap > 0.010 for gap in gaps)
    print(
        f"{name:44} {took * 1000:9.1f} ms, longest hold {gaps[-1] * 1000:6.1f} ms, "
        f"99.9 % {gaps[int(len(gaps) * 0.999)] * 1000:5.1f} ms, over 10 ms: {late}"
    )


async def main(count: int, *, platform: bool) -> None:
    world, policy = world_of(count, platform=platform), TurnPolicy()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    if "--no-gc" in sys.argv:
        gc.disable()
    if "--memory" in sys.argv:
        tracemalloc.start()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ids = MemoryIds()
    view = make_view(world, ids=ids, policy=policy, id_mode=IdMode.KEEP, transport="TCP")
    await timed("load", view.load)
    if "--memory" in sys.argv:
        current, _ = tracemalloc.get_traced_memory()
        stored = sum(sys.getsizeof(row) + sys.getsizeof(key) for key, row in ids.rows.items())
        print(
            f"memory of the view: {(current - stored) / 1e6:.1f} MB with the test's store left out"
        )
        tracemalloc.stop()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{view.count()} items, resident + {(after - before) / 1024:.0f} MB")
    device_id = next(iter(world.by_id))
    code = next(iter(world.listed[device_id]))
    view.on_changes.append(lambda changes: None)

    async def one() -> None:
        world.change(device_id, code, online=not world.listed[device_id][code].online)
        await view.refresh()

    async def many() -> None:
        for number, item in enumerate(list(world.listed[device_id].values())):
            if number % 10 == 0:
                world.change(device_id, item.channel_id, online=not item.online)
        await view.refresh()

    async def presence() -> None:
        world.presence(device_id, not world.by_id[device_id].online)
        await view.refresh()

    async def stop() -> None:
        policy.turn(lambda item: denied("stopped") if item.channel_id == code else ALLOW)
        await view.refresh()

    async def nothing() -> None:
        policy.turn(lambda item: denied())
        await view.refresh()

    async def everything() -> None:
        policy.turn(lambda item: ALLOW)
        await view.refresh()

    async def part() -> None:
        await view.select("37132601")

    async def answer() -> None:
        async with view.answer() as items:

            def make(part: tuple[CatalogItem, ...]) -> CatalogResponse:
                return CatalogResponse(sn=1, device_id=TOWN, sum_num=len(items), items=part)

            for content in pages(items[:10_000], make=make, max_bytes=TCP_PAGE_BYTES):
                serialize_message(content)
                await asyncio.sleep(0)

    await timed("one channel's status", one)
    await timed("every tenth channel of a device", many)
    await timed("a device goes off-line", presence)
    await timed("the policy changes for one channel", stop)
    await timed("the policy hides everything", nothing)
    await timed("the policy shows everything", everything)
    await timed("a division's part", part)
    await timed("10,000 items written as XML, twice", answer)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    asyncio.run(main(numbers[0] if numbers else 100_000, platform="--platform" in sys.argv))
