"""The channel index: single changes, as catalogue subscriptions report them."""

import asyncio
from dataclasses import replace

from gateway.domain.device import Channel, ChannelKind
from gateway.registry.channel import ChannelIndex

DEVICE = "37132600001180000001"


def camera(number: int, **fields: object) -> Channel:
    base = Channel(
        device_id=DEVICE,
        channel_id=f"3713260000132{number:07d}",
        kind=ChannelKind.CAMERA,
        name=f"camera {number}",
        civil_code="371326",
        longitude=117.64,
        latitude=35.5,
        status_text="ON",
    )
    return replace(base, **fields)  # type: ignore[arg-type]


async def filled(count: int) -> ChannelIndex:
    index = ChannelIndex()
    await index.replace(DEVICE, [camera(number) for number in range(count)], complete=True)
    return index


async def test_a_patch_adds_changes_and_removes_single_channels() -> None:
    index = await filled(3)
    change = index.patch(
        DEVICE,
        listed=[camera(7), camera(1, name="gate")],
        removed=[camera(0).channel_id, "unknown"],
        statuses={camera(2).channel_id: False, "unknown": True},
    )
    assert change.diff.added == (camera(7).channel_id,)
    assert change.diff.removed == (camera(0).channel_id,)
    assert set(change.diff.changed) == {camera(1).channel_id, camera(2).channel_id}
    assert change.diff.total == index.count(DEVICE) == 3
    assert [channel.name for channel in index.all(DEVICE)] == ["gate", "camera 2", "camera 7"]
    second = index.get(DEVICE, camera(2).channel_id)
    assert second is not None
    assert not second.online
    assert index.search("gate")[1] == 1
    assert index.search("camera 0")[1] == 0
    assert {channel.channel_id for _, channel in change.saved} == {
        camera(1).channel_id,
        camera(2).channel_id,
        camera(7).channel_id,
    }


async def test_an_update_that_leaves_coordinates_out_keeps_the_last_known_ones() -> None:
    index = await filled(1)
    update = camera(
        0, name="new name", longitude=None, latitude=None, civil_code="", status_text=""
    )
    index.patch(DEVICE, listed=[update], removed=(), statuses={})
    kept = index.get(DEVICE, update.channel_id)
    assert kept is not None
    assert (kept.longitude, kept.latitude) == (117.64, 35.5)
    assert kept.civil_code == "371326"
    assert kept.name == "new name"
    assert kept.status_text == "ON"


async def test_a_patch_that_repeats_what_is_known_changes_nothing() -> None:
    index = await filled(2)
    change = index.patch(
        DEVICE, listed=[camera(0)], removed=(), statuses={camera(1).channel_id: True}
    )
    assert change.saved == []
    assert change.diff.changed == ()


async def test_positions_stay_unique_after_removals_and_additions() -> None:
    index = await filled(3)
    index.patch(DEVICE, listed=(), removed=[camera(2).channel_id], statuses={})
    change = index.patch(DEVICE, listed=[camera(9)], removed=(), statuses={})
    assert [position for position, _ in change.saved] == [3]


async def test_a_change_during_a_long_comparison_is_neither_lost_nor_breaks_the_index() -> None:
    index = await filled(5_000)
    listed = [camera(number, address="x") for number in range(5_000)]
    task = asyncio.ensure_future(index.replace(DEVICE, listed, complete=True))  # noqa: TID251 - awaited below
    for _ in range(3):
        await asyncio.sleep(0)
    index.patch(DEVICE, listed=(), removed=[camera(5).channel_id], statuses={})
    await task
    # The answer lists it still; whoever asked for it knows that the change is newer.
    assert index.find(camera(5).channel_id)
    change = index.patch(DEVICE, listed=(), removed=[camera(5).channel_id], statuses={})
    assert change.diff.removed == (camera(5).channel_id,)
    assert index.find(camera(5).channel_id) == []
    assert index.count(DEVICE) == len(index) == 4_999


async def test_changes_that_never_cease_do_not_keep_an_answer_out() -> None:
    index = await filled(3_000)
    task = asyncio.ensure_future(  # noqa: TID251 - awaited below
        index.replace(
            DEVICE, [camera(number, name="new") for number in range(3_000)], complete=True
        )
    )
    while not task.done():
        index.patch(DEVICE, listed=(), removed=(), statuses={camera(1).channel_id: False})
        await asyncio.sleep(0)
    change = await task
    assert change is not None
    assert change.diff.total == 3_000
