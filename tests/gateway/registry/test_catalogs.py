"""Catalogues: taken over, changed one by one, kept, and searched."""

import asyncio
from dataclasses import replace

import pytest

from gateway.domain.device import Channel, ChannelKind, TimelineKind
from gateway.domain.errors import NotFound, Unavailable
from gateway.registry.catalogs import PATCHES_FOR, PATCHES_KEPT
from gateway.registry.registry import DeviceRegistry
from tests.support.registry import (
    DEVICE,
    OTHER,
    ManualClock,
    MemoryStore,
    camera,
    register,
    restart,
)


async def test_a_catalogue_is_taken_over_and_survives_a_restart(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    listed = [camera(number) for number in range(3)]
    diff = await registry.replace_catalog(DEVICE, listed, complete=True)
    assert diff.added == tuple(channel.channel_id for channel in listed)
    assert diff.total == 3
    again = await restart(store, clock)
    for each in (registry, again):
        assert each.search_channels()[0] == listed
        device = each.get(DEVICE)
        assert device is not None
        assert device.channel_count == 3
        assert device.catalog_at == clock.utc_now()
    assert registry.timeline(DEVICE, 1)[0].kind is TimelineKind.CATALOG_SYNCED


async def test_a_short_answer_never_drops_channels_silently(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    await registry.replace_catalog(DEVICE, [camera(number) for number in range(10)], complete=True)
    diff = await registry.replace_catalog(
        DEVICE, [camera(0), camera(1, name="new name")], complete=False
    )
    assert diff.changed == (camera(1).channel_id,)
    assert len(diff.kept_missing) == 8
    assert diff.removed == ()
    assert diff.total == registry.search_channels()[1] == len(store.channels[DEVICE]) == 10
    newest = registry.timeline(DEVICE, 1)[0]
    assert newest.kind is TimelineKind.CATALOG_SHRUNK
    assert "8 missing in an incomplete answer and kept" in newest.detail


async def test_a_complete_answer_removes_what_it_lacks_and_says_so(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    await registry.replace_catalog(DEVICE, [camera(number) for number in range(10)], complete=True)
    diff = await registry.replace_catalog(DEVICE, [camera(3)], complete=True)
    assert len(diff.removed) == 9
    assert registry.search_channels() == ([camera(3)], 1)
    assert list(store.channels[DEVICE]) == [camera(3).channel_id]
    assert registry.channel(DEVICE, camera(4).channel_id) is None
    assert registry.find_channel(camera(4).channel_id) == []
    assert registry.timeline(DEVICE, 1)[0].kind is TimelineKind.CATALOG_SHRUNK


async def test_an_unchanged_catalogue_writes_no_channel(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    await registry.replace_catalog(DEVICE, [camera(1)], complete=True)
    before = store.durable_writes
    diff = await registry.replace_catalog(DEVICE, [camera(1), camera(1)], complete=True)
    assert (diff.added, diff.changed, diff.total) == ((), (), 1)
    assert store.durable_writes == before


async def test_a_catalogue_the_store_could_not_keep_is_used_and_written_later(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    store.broken = True
    await registry.replace_catalog(DEVICE, [camera(1), camera(2)], complete=True)
    assert registry.search_channels()[1] == 2
    assert store.channels == {}
    store.broken = False
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await registry.supervise()
    assert set(store.channels[DEVICE]) == {camera(1).channel_id, camera(2).channel_id}


async def test_two_catalogues_of_one_device_at_once_do_not_mix(registry: DeviceRegistry) -> None:
    one = [camera(number) for number in range(2500)]
    two = [camera(number) for number in range(1000, 4000)]
    async with asyncio.TaskGroup() as group:
        group.create_task(registry.replace_catalog(DEVICE, one, complete=True))
        group.create_task(registry.replace_catalog(DEVICE, two, complete=True))
    listed, total = registry.search_channels(limit=5000)
    assert total == len(listed)
    assert listed in (one, two)
    assert registry.counts()[2] == total


async def test_a_device_forgotten_while_its_catalogue_is_compared_leaves_no_channels(
    registry: DeviceRegistry,
) -> None:
    async with asyncio.TaskGroup() as group:
        replacing = group.create_task(
            expect_not_found(registry, [camera(number) for number in range(3000)])
        )
        await asyncio.sleep(0)
        await registry.forget(DEVICE)
    assert replacing.result()
    assert registry.counts() == (0, 0, 0)


async def expect_not_found(registry: DeviceRegistry, listed: list[Channel]) -> bool:
    with pytest.raises(NotFound):
        await registry.replace_catalog(DEVICE, listed, complete=True)
    return True


async def test_the_same_channel_id_below_two_devices_is_found_twice(
    registry: DeviceRegistry,
) -> None:
    await register(registry, OTHER)
    await registry.replace_catalog(DEVICE, [camera(1)], complete=True)
    await registry.replace_catalog(OTHER, [camera(1, OTHER)], complete=True)
    assert registry.find_channel(camera(1).channel_id) == [camera(1), camera(1, OTHER)]
    assert registry.channel(OTHER, camera(1).channel_id) == camera(1, OTHER)
    await registry.forget(DEVICE)
    assert registry.find_channel(camera(1).channel_id) == [camera(1, OTHER)]


async def test_channels_are_filtered_and_paged(registry: DeviceRegistry) -> None:
    await register(registry, OTHER)
    gate = camera(50, name="东门 Gate")
    gate.address = "North Road 7"
    region = camera(51, name="Region")
    region.kind = ChannelKind.REGION
    await registry.replace_catalog(
        DEVICE, [*(camera(n) for n in range(10)), gate, region], complete=True
    )
    await registry.replace_catalog(
        OTHER, [camera(n, OTHER, online=False) for n in range(10)], complete=True
    )

    def ids(page: tuple[list[Channel], int]) -> tuple[list[str], int]:
        return [channel.name for channel in page[0]], page[1]

    search = registry.search_channels
    assert ids(search("东门")) == (["东门 Gate"], 1)
    assert ids(search("north road")) == (["东门 Gate"], 1)
    assert ids(search("0000050")) == (["东门 Gate"], 1)
    assert ids(search("CAMERA", limit=2, offset=9)) == (["Camera 9", "Camera 0"], 20)
    assert ids(search("camera", device_id=OTHER, limit=1)) == (["Camera 0"], 10)
    assert ids(search(kind=ChannelKind.REGION)) == (["Region"], 1)
    assert ids(search(online=False, limit=1, offset=9)) == (["Camera 9"], 10)
    assert ids(search(limit=3, offset=11)) == (["Region", "Camera 0", "Camera 1"], 22)
    assert ids(search(device_id="unknown")) == ([], 0)
    assert ids(search(offset=100)) == ([], 22)
    assert ids(search(limit=0)) == ([], 22)


async def test_a_change_told_while_a_catalogue_was_under_way_wins_over_the_answer(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    first, second = camera(1), camera(2)
    await registry.replace_catalog(DEVICE, [first, second], complete=True)
    asked = clock.utc_now()
    await registry.patch_catalog(DEVICE, listed=[replace(first, secrecy=1)])
    await registry.patch_catalog(DEVICE, removed=[second.channel_id])
    await registry.replace_catalog(DEVICE, [first, second], complete=True, since=asked)
    known = registry.channel(DEVICE, first.channel_id)
    assert known is not None
    assert known.secrecy == 1
    assert registry.channel(DEVICE, second.channel_id) is None


async def test_a_device_deleted_while_the_store_fails_does_not_end_supervision(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    store.held = []
    async with asyncio.TaskGroup() as group:
        group.create_task(registry.replace_catalog(DEVICE, [camera(1)], complete=True))
        await asyncio.sleep(0.001)
        forgetting = group.create_task(expect_unavailable(registry))
        await asyncio.sleep(0.001)
        store.broken = True
        store.release()
    assert forgetting.done()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await registry.supervise()


async def expect_unavailable(registry: DeviceRegistry) -> None:
    with pytest.raises(Unavailable):
        await registry.forget(DEVICE)


async def test_a_device_deleted_while_its_catalogue_is_written_does_not_come_back(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    asked = clock.utc_now()
    await registry.patch_catalog(DEVICE, listed=[camera(2)])
    store.held = []
    async with asyncio.TaskGroup() as group:
        group.create_task(registry.replace_catalog(DEVICE, [camera(1)], complete=True, since=asked))
        await asyncio.sleep(0.001)
        group.create_task(registry.forget(DEVICE))
        await asyncio.sleep(0.001)
        store.release()
    assert (store.devices, store.channels) == ({}, {})


async def test_a_device_deleted_and_registered_anew_keeps_its_new_channels(
    registry: DeviceRegistry,
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(expect_not_found(registry, [camera(number) for number in range(3000)]))
        await asyncio.sleep(0)
        await registry.forget(DEVICE)
        await register(registry, DEVICE)
        await registry.replace_catalog(DEVICE, [camera(7)], complete=True)
    assert registry.channels(DEVICE) == [camera(7)]
    assert registry.counts() == (1, 1, 1)


async def test_channels_are_counted_as_they_are_while_an_answer_is_written(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    asked = clock.utc_now()
    await registry.patch_catalog(DEVICE, listed=[camera(2)])
    store.held = []
    async with asyncio.TaskGroup() as group:
        group.create_task(registry.replace_catalog(DEVICE, [camera(1)], complete=True, since=asked))
        await asyncio.sleep(0.001)
        group.create_task(registry.patch_catalog(DEVICE, listed=[camera(3)]))
        await asyncio.sleep(0.001)
        store.release()
    device = registry.get(DEVICE)
    assert device is not None
    assert device.channel_count == len(registry.channels(DEVICE)) == 3


async def test_single_changes_are_remembered_no_longer_than_an_answer_can_take(
    registry: DeviceRegistry, clock: ManualClock
) -> None:
    asked = clock.utc_now()
    for number in range(PATCHES_KEPT // 10):
        await registry.patch_catalog(DEVICE, statuses={camera(1).channel_id: bool(number % 2)})
    await registry.patch_catalog(DEVICE, listed=[camera(1)])
    clock.advance(PATCHES_FOR.total_seconds() + 1)
    await registry.patch_catalog(DEVICE, listed=[camera(2)])
    await registry.replace_catalog(DEVICE, [], complete=True, since=asked)
    assert registry.channels(DEVICE) == [camera(2)]
