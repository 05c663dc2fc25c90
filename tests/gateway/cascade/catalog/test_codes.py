"""Codes given to a platform: one item, one code, for ever."""

import random
from pathlib import Path

import pytest

from gateway.cascade.catalog.codes import CodeTable
from gateway.domain.document import SharedId
from gateway.domain.errors import Unavailable
from gateway.domain.platform import IdMode
from gateway.observe.metrics import Metrics
from gateway.store.sql import SqlStore
from gb28181.ids import is_device_id
from tests.support.catalog_world import CITY, COUNTY, MemoryIds, World, channel, make_view

A = "37132601001180000001"
B = "37132602001180000002"
CAMERA = "37132601001320000001"
NODE = "37132600002160000001"


async def table(
    ids: MemoryIds,
    mode: IdMode = IdMode.KEEP,
    *,
    nodes: tuple[str, ...] = (),
    below: frozenset[str] = frozenset(),
) -> CodeTable:
    made = CodeTable(
        CITY,
        COUNTY,
        mode=mode,
        own={COUNTY, CITY, *nodes},
        store=ids,
        avoid=below.__contains__,
    )
    await made.load()
    return made


async def give(codes: CodeTable, device_id: str, channel_id: str) -> str:
    codes.assign(channel(device_id, channel_id))
    await codes.save()
    return codes.get(device_id, channel_id)


async def test_the_first_of_two_items_with_one_code_keeps_it_and_the_other_gets_a_new_one() -> None:
    codes = await table(MemoryIds())
    assert await give(codes, A, CAMERA) == CAMERA
    other = await give(codes, B, CAMERA)
    assert other != CAMERA
    assert other[:10] == COUNTY[:10]
    assert other[10:14] == CAMERA[10:14]
    assert codes.find(CAMERA) == (A, CAMERA)
    assert codes.find(other) == (B, CAMERA)


async def test_codes_are_the_same_after_a_restart_whoever_comes_first_then() -> None:
    ids = MemoryIds()
    codes = await table(ids)
    given = [await give(codes, device_id, CAMERA) for device_id in (A, B)]
    again = await table(ids)
    assert [await give(again, device_id, CAMERA) for device_id in (B, A)] == given[::-1]


async def test_a_new_code_depends_on_the_item_alone() -> None:
    codes, others = await table(MemoryIds(), IdMode.RENAME), await table(MemoryIds(), IdMode.RENAME)
    await give(others, A, "37132601001320000099")
    assert await give(codes, A, CAMERA) == await give(others, A, CAMERA)


async def test_a_code_is_never_given_to_another_item_even_when_its_own_is_long_gone() -> None:
    ids = MemoryIds()
    assert await give(await table(ids), A, CAMERA) == CAMERA
    later = await table(ids)
    assert await give(later, B, CAMERA) != CAMERA
    assert later.find(CAMERA) == (A, CAMERA)


@pytest.mark.parametrize("mode", list(IdMode))
async def test_own_codes_nodes_and_the_platforms_own_code_are_given_to_nobody(mode: IdMode) -> None:
    ids = MemoryIds()
    codes = await table(ids, mode, nodes=(NODE,))
    for taken in (NODE, COUNTY, CITY):
        assert await give(codes, A, taken) not in {NODE, COUNTY, CITY}
    without = await table(ids, mode)
    assert await give(without, B, NODE) != NODE


async def test_an_item_makes_way_for_a_node_that_is_given_its_code_later() -> None:
    ids = MemoryIds()
    assert await give(await table(ids), A, NODE) == NODE
    codes = await table(ids, nodes=(NODE,))
    assert codes.get(A, NODE) == ""
    assert codes.find(NODE) is None
    moved = await give(codes, A, NODE)
    assert moved != NODE
    assert (await table(ids, nodes=(NODE,))).get(A, NODE) == moved


@pytest.mark.parametrize(
    ("own", "digits"),
    [
        ("camera-7", "131"),
        ("371326010013100099", "131"),
        ("3713260100", "131"),
        ("37132601009990000001", "131"),
        ("37132601001370000001", "137"),
        ("37132601001450000001", "145"),
    ],
)
async def test_a_new_code_is_a_valid_one_of_the_true_type(own: str, digits: str) -> None:
    code = await give(await table(MemoryIds(), IdMode.RENAME), A, own)
    assert is_device_id(code)
    assert code[:10] == COUNTY[:10]
    assert code[10:13] == digits


async def test_an_odd_identifier_is_not_kept_even_where_codes_are() -> None:
    codes = await table(MemoryIds())
    assert is_device_id(await give(codes, A, "camera-7"))


async def test_renaming_gives_no_item_the_code_of_another_item_below() -> None:
    plain = await give(await table(MemoryIds(), IdMode.RENAME), A, CAMERA)
    codes = await table(MemoryIds(), IdMode.RENAME, below=frozenset({plain}))
    assert await give(codes, A, CAMERA) not in {plain, CAMERA}


async def test_codes_kept_before_are_not_known_once_the_platform_sees_new_ones_only() -> None:
    ids = MemoryIds()
    assert await give(await table(ids), A, CAMERA) == CAMERA
    renamed = await table(ids, IdMode.RENAME)
    assert renamed.find(CAMERA) is None
    new = await give(renamed, A, CAMERA)
    assert new != CAMERA
    kept = await table(ids)
    assert kept.get(A, CAMERA) == CAMERA
    assert kept.find(new) is None
    assert (await table(ids, IdMode.RENAME)).get(A, CAMERA) == new


async def test_codes_come_back_from_renaming_as_the_items_own() -> None:
    ids = MemoryIds()
    new = await give(await table(ids, IdMode.RENAME), A, CAMERA)
    kept = await table(ids)
    assert await give(kept, A, CAMERA) == CAMERA
    assert kept.find(new) is None
    assert await give(kept, B, CAMERA) not in {CAMERA, new}


async def test_a_code_does_not_count_before_it_is_on_disk() -> None:
    ids = MemoryIds()
    codes = await table(ids)
    ids.broken = True
    codes.assign(channel(A, CAMERA))
    with pytest.raises(Unavailable):
        await codes.save()
    assert codes.get(A, CAMERA) == ""
    assert codes.find(CAMERA) is None
    ids.broken = False
    await codes.save()
    assert codes.get(A, CAMERA) == CAMERA


async def test_what_another_owner_gave_meanwhile_is_respected() -> None:
    ids = MemoryIds()
    codes = await table(ids)
    ids.rows[CITY, CAMERA] = SharedId(
        platform_id=CITY, shared_id=CAMERA, device_id=B, channel_id=CAMERA
    )
    codes.assign(channel(A, CAMERA))
    with pytest.raises(Unavailable):
        await codes.save()
    await codes.save()
    assert codes.find(CAMERA) == (B, CAMERA)
    assert await give(codes, A, CAMERA) not in {"", CAMERA}


@pytest.mark.parametrize("mode", list(IdMode))
async def test_codes_stay_one_to_one_through_any_history(mode: IdMode) -> None:
    rng, ids = random.Random(7), MemoryIds()
    given: dict[tuple[str, str], str] = {}
    for _ in range(20):
        codes = await table(ids, mode, nodes=(NODE,))
        for _ in range(30):
            device_id = rng.choice((A, B, "x"))
            channel_id = rng.choice((NODE, COUNTY, "c", f"3713260100132000000{rng.randrange(9)}"))
            code = await give(codes, device_id, channel_id)
            assert given.setdefault((device_id, channel_id), code) == code
            assert codes.find(code) == (device_id, channel_id)
    assert len(set(given.values())) == len(given)


async def test_twenty_thousand_items_of_one_type_find_codes() -> None:
    codes = await table(MemoryIds(), IdMode.RENAME)
    for number in range(20_000):
        codes.assign(channel(A, f"c{number}"))
    await codes.save()
    assert len({codes.get(A, f"c{number}") for number in range(20_000)}) == 20_000


async def test_a_catalogue_has_the_same_codes_after_a_restart_with_a_real_store(
    tmp_path: Path,
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    world = World()
    for device_id in (A, B):
        cameras = [f"3713260100132{number:07d}" for number in range(1, 1201)]
        world.device(device_id, *(channel(device_id, code) for code in cameras))
    given: list[dict[str, str]] = []
    for _ in range(2):
        async with SqlStore(url, Metrics(process=False)) as store:
            view = make_view(world)
            view.codes._store = store
            await view.load()
            given.append(
                {
                    f"{placed.channel.device_id}/{placed.channel.channel_id}": placed.code
                    for placed in view.items().placed
                }
            )
        # Whoever is looked at first then must not get the other's codes.
        world.by_id = dict(reversed(world.by_id.items()))
    assert given[0] == given[1]
    assert len(set(given[0].values())) == len(given[0]) == 2403
    assert sum(key.endswith(code) for key, code in given[0].items()) == 1203
