"""One platform's catalogue: what is in it, below what, with which status, under which code."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.cascade.catalog.item import SecrecyError
from gateway.cascade.catalog.own import OwnPlatform
from gateway.cascade.catalog.tree import MAX_LEVELS
from gateway.cascade.catalog.view import CODES_RETRY
from gateway.domain.device import Channel
from gateway.domain.platform import Edition, IdMode
from gateway.domain.policy import Decision
from gb28181.ids import DeviceId
from gb28181.manscdp import CatalogItem
from tests.support.catalog_town import (
    CAMERA,
    CAMERA_2,
    GROUP,
    ORG,
    RECORDER,
    SUB_ORG,
    TOWN,
    VILLAGE,
    VOICE,
    camera,
    hide,
    seen,
    show,
    town,
)
from tests.support.catalog_world import (
    ALLOW,
    CITY,
    COUNTY,
    NO_RULE,
    MemoryIds,
    TurnPolicy,
    World,
    channel,
    denied,
    make_view,
)

# What there is


async def test_our_own_platform_comes_first_and_has_no_parent() -> None:
    world = World()
    world.device(RECORDER, channel(RECORDER, CAMERA, parent_ids=(RECORDER,)))
    view = make_view(world)
    await view.load()
    first, recorder, found = view.items()
    assert (first.device_id, first.name, first.parent_id) == (COUNTY, "County", "")
    assert (first.civil_code, first.status, first.register_way) == ("371326", "ON", 1)
    assert (recorder.device_id, recorder.parent_id, recorder.parental) == (RECORDER, COUNTY, 1)
    assert (found.device_id, found.parent_id) == (CAMERA, RECORDER)


async def test_a_camera_that_registers_itself_appears_once() -> None:
    world = World()
    world.device(CAMERA, channel(CAMERA, CAMERA), channel(CAMERA, VOICE, parent_ids=(CAMERA,)))
    items = await seen(world)
    assert list(items) == [COUNTY, CAMERA, VOICE]
    assert items[CAMERA].parent_id == COUNTY
    assert items[VOICE].parent_id == CAMERA


async def test_a_camera_that_registers_under_another_code_than_it_lists_is_the_listed_one() -> None:
    world = World()
    world.device(CAMERA_2, channel(CAMERA_2, CAMERA, parent_ids=(CAMERA_2,)))
    items = await seen(world)
    assert list(items) == [COUNTY, CAMERA]
    assert items[CAMERA].parent_id == COUNTY


async def test_a_lower_platform_keeps_its_whole_tree() -> None:
    world = World()
    town(
        world,
        channel(TOWN, "371326", name="平邑县"),
        channel(TOWN, VILLAGE, parent_ids=(TOWN,), name="Village"),
        channel(TOWN, GROUP, parent_ids=(TOWN,)),
        channel(TOWN, ORG, business_group_id=GROUP),
        channel(TOWN, SUB_ORG, parent_ids=(ORG,), business_group_id=GROUP),
        channel(TOWN, RECORDER, parent_ids=(VILLAGE,)),
        camera(CAMERA, RECORDER, SUB_ORG, ORG, business_group_id=GROUP, civil_code="371326"),
        camera(VOICE, CAMERA),
    )
    items = await seen(world)
    assert {code: item.parent_id for code, item in items.items()} == {
        COUNTY: "",
        TOWN: COUNTY,
        VILLAGE: TOWN,
        "371326": "",
        GROUP: TOWN,
        ORG: "",
        SUB_ORG: ORG,
        RECORDER: VILLAGE,
        CAMERA: f"{RECORDER}/{SUB_ORG}/{ORG}",
        VOICE: CAMERA,
    }
    assert list(items)[:2] == [COUNTY, TOWN]
    assert items[ORG].business_group_id == items[SUB_ORG].business_group_id == GROUP
    assert items[CAMERA].business_group_id == GROUP
    assert items["371326"] == CatalogItem(device_id="371326", name="平邑县")


async def test_a_camera_without_a_system_belongs_to_the_platform_it_came_from() -> None:
    world = World()
    town(world, channel(TOWN, ORG, parent_ids=(TOWN,)), camera(CAMERA, ORG), camera(CAMERA_2))
    items = await seen(world)
    assert items[CAMERA].parent_id == f"{TOWN}/{ORG}"
    assert items[CAMERA_2].parent_id == TOWN


async def test_a_parent_nobody_sent_is_left_out_until_it_comes() -> None:
    world = World()
    town(world, camera(CAMERA, RECORDER, ORG))
    view = make_view(world)
    await view.load()
    assert {i.device_id: i.parent_id for i in view.items()}[CAMERA] == TOWN
    world.put(channel(TOWN, RECORDER, parent_ids=(TOWN,)))
    await view.refresh()
    assert {i.device_id: i.parent_id for i in view.items()}[CAMERA] == RECORDER


async def test_circles_are_cut_and_nothing_is_lost() -> None:
    world = World()
    third = "37132601002160000003"
    town(
        world,
        channel(TOWN, ORG, parent_ids=(third,)),
        channel(TOWN, SUB_ORG, parent_ids=(ORG,)),
        channel(TOWN, third, parent_ids=(SUB_ORG,)),
        camera(CAMERA, ORG),
        camera(CAMERA_2, CAMERA_2, VOICE),
        camera(VOICE, CAMERA_2),
    )
    items = await seen(world)
    assert {items[code].parent_id for code in (ORG, SUB_ORG, third)} == {TOWN}
    assert items[CAMERA].parent_id == f"{TOWN}/{ORG}"
    assert items[CAMERA_2].parent_id == items[VOICE].parent_id == TOWN


async def test_a_tree_of_absurd_depth_is_cut_and_nothing_is_lost() -> None:
    world = World()
    orgs = [f"3713260100216{number:07d}" for number in range(1, 101)]
    town(
        world,
        channel(TOWN, orgs[0], parent_ids=(TOWN,)),
        *(channel(TOWN, code, parent_ids=(above,)) for above, code in itertools.pairwise(orgs)),
    )
    items = await seen(world)
    assert items.keys() >= set(orgs)
    depths = {TOWN: 0}
    for code in orgs:
        depths[code] = depths[items[code].parent_id] + 1
    assert max(depths.values()) == MAX_LEVELS + 1


async def test_2011_platforms_get_systems_and_devices_only() -> None:
    world = World()
    town(
        world,
        channel(TOWN, "371326"),
        channel(TOWN, GROUP, parent_ids=(TOWN,)),
        channel(TOWN, ORG, business_group_id=GROUP),
        camera(CAMERA, TOWN, ORG, business_group_id=GROUP),
    )
    items = await seen(world, edition=Edition.V2011)
    assert list(items) == [COUNTY, TOWN, CAMERA]
    assert (items[CAMERA].parent_id, items[CAMERA].business_group_id) == (TOWN, "")


async def test_our_own_name_follows_what_is_configured() -> None:
    world, names = World(), ["County"]
    view = make_view(world)
    view._own_item = lambda: OwnPlatform(name=names[0], civil_code="3713")
    await view.load()
    names[0] = "New county"
    assert view.items()[0].name == "County"
    view.touch("")
    await view.refresh()
    assert view.items()[0].name == "New county"
    assert view.items()[0].civil_code == "3713"


# Loops


async def test_our_own_platform_never_comes_back_up_from_below() -> None:
    """A chain that closes: the town is below us, and we are below it."""
    world = World()
    town(
        world,
        channel(TOWN, COUNTY, parent_ids=(TOWN,)),
        # Our own code as parent is not kept, so all that came from us has none.
        camera(CAMERA_2),
        channel(TOWN, RECORDER),
        camera(VOICE, RECORDER),
        camera(CAMERA, TOWN),
    )
    assert list(await seen(world)) == [COUNTY, TOWN, CAMERA]


async def test_the_platforms_own_branch_never_goes_back_to_it() -> None:
    world = World()
    town(world, channel(TOWN, CITY, parent_ids=(TOWN,)), camera(CAMERA, CITY), camera(CAMERA_2))
    world.device(CITY, channel(CITY, "37130000001320000009", parent_ids=(CITY,)))
    assert list(await seen(world)) == [COUNTY, TOWN, CAMERA_2]
    assert "37130000001320000009" in await seen(world, platform_id="37140000002000000001")


async def test_we_are_not_sent_up_under_another_of_our_codes_either() -> None:
    other = "37132600002000000099"
    world = World()
    town(world, channel(TOWN, other, parent_ids=(TOWN,)), camera(CAMERA, other))
    own = OwnPlatform(name="County", codes=frozenset({other}))
    assert list(await seen(world, own=own)) == [COUNTY, TOWN]


async def test_a_recorder_that_lists_our_code_keeps_its_cameras() -> None:
    world = World()
    world.device(RECORDER, channel(RECORDER, COUNTY), channel(RECORDER, CAMERA))
    assert list(await seen(world)) == [COUNTY, RECORDER, CAMERA]


# Policy


async def test_what_policy_hides_is_not_there_and_what_hung_below_it_hangs_higher() -> None:
    world = World()
    town(
        world,
        channel(TOWN, VILLAGE, parent_ids=(TOWN,)),
        channel(TOWN, RECORDER, parent_ids=(VILLAGE,)),
        camera(CAMERA, RECORDER),
    )
    items = await seen(world, policy=hide(RECORDER))
    assert (RECORDER in items, items[CAMERA].parent_id) == (False, VILLAGE)
    items = await seen(world, policy=hide(RECORDER, VILLAGE, TOWN))
    assert list(items) == [COUNTY, CAMERA]
    assert items[CAMERA].parent_id == COUNTY


async def test_what_a_shown_camera_hangs_below_is_shown_unless_a_rule_denies_it() -> None:
    world = World()
    town(
        world,
        channel(TOWN, GROUP, parent_ids=(TOWN,)),
        channel(TOWN, ORG, business_group_id=GROUP),
        channel(TOWN, SUB_ORG, parent_ids=(ORG,)),
        channel(TOWN, VILLAGE, parent_ids=(TOWN,)),
        camera(CAMERA, TOWN, SUB_ORG),
        camera(CAMERA_2, VILLAGE),
    )
    assert list(await seen(world, policy=show(CAMERA))) == [
        *(COUNTY, TOWN, GROUP, ORG, SUB_ORG, CAMERA)
    ]
    assert list(await seen(world, policy=show())) == [COUNTY]

    def decide(item: Channel) -> Decision:
        if item.channel_id == ORG:
            return denied()
        return ALLOW if item.channel_id == CAMERA else NO_RULE

    items = await seen(world, policy=TurnPolicy(decide))
    assert list(items) == [COUNTY, TOWN, SUB_ORG, CAMERA]
    assert items[SUB_ORG].parent_id == TOWN


@pytest.mark.parametrize("reason", ["denied", "stopped", "secrecy", "zone", "audit_unavailable"])
async def test_what_is_denied_outright_is_not_even_shown_as_a_parent(reason: str) -> None:
    world = World()
    town(world, camera(CAMERA, TOWN))
    items = await seen(world, policy=hide(TOWN, reason=reason))
    assert list(items) == [COUNTY, CAMERA]


async def test_secrecy_is_stronger_than_any_rule() -> None:
    world = World()
    town(world, channel(TOWN, ORG, secrecy=1), camera(CAMERA, ORG), camera(CAMERA_2, secrecy=1))
    view = make_view(world)
    await view.load()
    assert [item.device_id for item in view.items()] == [COUNTY, TOWN, CAMERA]
    assert view.resolve(CAMERA_2) is None
    world.change(TOWN, CAMERA, secrecy=1)
    await view.refresh()
    assert [item.device_id for item in view.items()] == [COUNTY, TOWN]
    assert view.shared_id(TOWN, CAMERA) is None


async def test_something_made_secret_behind_the_registrys_back_is_refused_on_the_way_out() -> None:
    world = World()
    town(world, camera(CAMERA))
    view = make_view(world)
    await view.load()
    world.listed[TOWN][CAMERA].secrecy = 1
    with pytest.raises(SecrecyError):
        list(view.items())


async def test_a_decision_that_ends_by_itself_is_asked_again_at_its_end() -> None:
    at = [datetime(2026, 11, 21, 8, 0, tzinfo=UTC)]
    end = at[0] + timedelta(seconds=90)
    world, until = World(), Decision(allowed=True, reason="allowed", until=end)
    policy = TurnPolicy(lambda item: until if at[0] < end else NO_RULE)
    view = make_view(world, policy=policy)
    view._wall, view._now = lambda: at[0], lambda: 1000.0
    town(world, camera(CAMERA))
    await view.load()
    assert view.next_timer() == 1090.0
    view.handle_timer()
    assert view.is_current
    at[0] = end
    view.handle_timer()
    assert view.policy_pending
    await view.refresh()
    assert view.count() == 1
    assert view.next_timer() is None


# Status


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        (None, {TOWN: "ON", VILLAGE: "ON", RECORDER: "ON", CAMERA: "ON", VOICE: "ON"}),
        (TOWN, dict.fromkeys((TOWN, VILLAGE, RECORDER, CAMERA, VOICE), "OFF")),
        (VILLAGE, {TOWN: "ON", VILLAGE: "OFF", RECORDER: "OFF", CAMERA: "OFF", VOICE: "OFF"}),
        (RECORDER, {TOWN: "ON", VILLAGE: "ON", RECORDER: "OFF", CAMERA: "OFF", VOICE: "OFF"}),
        (CAMERA, {TOWN: "ON", VILLAGE: "ON", RECORDER: "ON", CAMERA: "OFF", VOICE: "OFF"}),
    ],
)
@pytest.mark.parametrize("hidden", [(), (RECORDER, VILLAGE)])
async def test_an_item_is_on_only_if_everything_above_it_is(
    off: str | None, expected: dict[str, str], hidden: tuple[str, ...]
) -> None:
    world = World()
    town(
        world,
        channel(TOWN, VILLAGE, parent_ids=(TOWN,)),
        channel(TOWN, RECORDER, parent_ids=(VILLAGE,)),
        camera(CAMERA, RECORDER),
        camera(VOICE, CAMERA),
    )
    view = make_view(world, policy=hide(*hidden))
    await view.load()

    def statuses() -> dict[str, str]:
        return {i.device_id: i.status for i in view.items() if i.device_id != COUNTY}

    shown = {code: status for code, status in expected.items() if code not in hidden}
    if off == TOWN:
        world.presence(TOWN, False)
    elif off is not None:
        world.change(TOWN, off, online=False)
    await view.refresh()
    assert statuses() == shown
    if off == TOWN:
        world.presence(TOWN, True)
    elif off is not None:
        world.change(TOWN, off, online=True)
    await view.refresh()
    assert set(statuses().values()) == {"ON"}


async def test_groups_and_organisations_have_no_status() -> None:
    world = World()
    town(world, channel(TOWN, GROUP, online=False), channel(TOWN, ORG, business_group_id=GROUP))
    items = await seen(world)
    assert items[GROUP].status == items[ORG].status == ""


# Codes


async def test_two_devices_with_the_same_channel_code_give_two_items() -> None:
    """Copied configurations: the last one must not silently take the first one's place."""
    world, ids = World(), MemoryIds()
    other = "37132601001180000002"
    world.device(RECORDER, channel(RECORDER, CAMERA, name="first"))
    world.device(other, channel(other, CAMERA, name="second"))
    items = await seen(world, ids=ids)
    named = {item.name: code for code, item in items.items()}
    assert named["first"] == CAMERA
    assert named["second"][:14] == COUNTY[:10] + CAMERA[10:14]
    assert items[named["second"]].parent_id == other
    world.by_id = dict(reversed(world.by_id.items()))
    again = await seen(world, ids=ids)
    assert {item.name: code for code, item in again.items()} == named


async def test_the_same_code_as_device_and_as_a_lower_platforms_item_gives_two_items() -> None:
    world = World()
    town(world, channel(TOWN, VILLAGE, parent_ids=(TOWN,), name="heard of"))
    world.device(VILLAGE, channel(VILLAGE, CAMERA, parent_ids=(VILLAGE,)), name="met")
    items = await seen(world)
    named = {item.name: code for code, item in items.items()}
    assert named["heard of"] == VILLAGE
    assert items[CAMERA].parent_id == named["met"] != VILLAGE


async def test_renamed_items_hang_together_under_their_new_codes() -> None:
    world = World()
    town(
        world,
        channel(TOWN, GROUP, parent_ids=(TOWN,)),
        channel(TOWN, ORG, business_group_id=GROUP),
        camera(CAMERA, TOWN, ORG, business_group_id=GROUP, civil_code="371326"),
        channel(TOWN, "371326"),
    )
    view = make_view(world, id_mode=IdMode.RENAME, edition=Edition.V2022)
    await view.load()
    items = {item.device_id: item for item in view.items()}
    codes = {key: view.shared_id(TOWN, key) for key in (TOWN, GROUP, ORG, CAMERA)}
    assert not codes.keys() & items.keys()
    assert all(code in items for code in codes.values())
    found = items[codes[CAMERA] or ""]
    assert found.parent_id == f"{codes[TOWN]}/{codes[ORG]}"
    assert found.business_group_id == codes[GROUP]
    assert found.civil_code == "371326"
    assert "371326" in items
    kinds = {key: DeviceId(code or "").type_code for key, code in codes.items()}
    assert kinds == {TOWN: 200, GROUP: 215, ORG: 216, CAMERA: 132}


async def test_items_wait_for_their_codes_to_be_stored() -> None:
    world, ids, now = World(), MemoryIds(), [1000.0]
    view = make_view(world, ids=ids)
    view._now = lambda: now[0]
    await view.load()
    ids.broken = True
    town(world, camera(CAMERA))
    await view.refresh()
    assert view.count() == 1
    due = view.next_timer()
    assert due == 1000.0 + CODES_RETRY
    ids.broken = False
    now[0] = due
    view.handle_timer()
    await view.refresh()
    assert view.count() == 3
    assert view.next_timer() is None


async def test_while_codes_cannot_be_stored_what_is_known_still_goes_off_and_away() -> None:
    world, ids = World(), MemoryIds()
    town(world, camera(CAMERA), camera(CAMERA_2))
    view = make_view(world, ids=ids)
    await view.load()
    ids.broken = True
    world.put(camera(VOICE))
    world.change(TOWN, CAMERA, online=False)
    world.remove(TOWN, CAMERA_2)
    await view.refresh()
    assert {i.device_id: i.status for i in view.items()} == {
        COUNTY: "ON",
        TOWN: "ON",
        CAMERA: "OFF",
    }


async def test_a_code_that_may_not_be_seen_leads_nowhere_and_the_record_says_why() -> None:
    world, policy = World(), TurnPolicy()
    town(world, camera(CAMERA), camera(CAMERA_2))
    view = make_view(world, policy=policy)
    await view.load()
    assert view.resolve(CAMERA) is world.channel(TOWN, CAMERA)
    policy.turn(lambda item: denied("forced_stop"))
    for _ in range(2):
        # At once, and once the catalogue has followed.
        assert view.resolve(CAMERA) is None
        assert view.why_unknown(CAMERA)[0] == "forced_stop"
        assert not view.is_shown(CAMERA)
        await view.refresh()
    assert view.count() == 1
    assert view.shared_id(TOWN, CAMERA) is None
    assert view.why_unknown("37132601001320000099")[0] == "not_shared"
    policy.turn(lambda item: ALLOW)
    assert view.resolve(CAMERA) is world.channel(TOWN, CAMERA)
    world.change(TOWN, CAMERA, secrecy=1)
    assert view.resolve(CAMERA) is None
    assert view.why_unknown(CAMERA)[0] == "secrecy"
    world.change(TOWN, CAMERA, secrecy=0)
    assert view.resolve("37132601001320000099") is None
    world.remove(TOWN, CAMERA)
    await view.refresh()
    assert view.resolve(CAMERA) is None


async def test_a_recorders_code_leads_to_the_recorder_itself() -> None:
    world = World()
    world.device(RECORDER, channel(RECORDER, CAMERA))
    view = make_view(world)
    await view.load()
    found = view.resolve(RECORDER)
    assert found is not None
    assert (found.device_id, found.channel_id) == (RECORDER, RECORDER)
    assert view.is_mine(COUNTY)
    assert not view.is_mine(RECORDER)
    assert not view.is_mine(CAMERA)


# Upkeep


async def test_what_was_read_does_not_change_afterwards() -> None:
    world = World()
    town(world, camera(CAMERA, name="old"), camera(CAMERA_2))
    view = make_view(world)
    await view.load()
    before = view.items()
    texts = [(item.device_id, item.name) for item in before]
    world.change(TOWN, CAMERA, name="new")
    world.remove(TOWN, CAMERA_2)
    await view.refresh()
    assert [(item.device_id, item.name) for item in before] == texts
    assert len(before) == view.count() + 1
    assert [item.name for item in before[2:4]] == ["old", "n0000002"]


async def test_a_mark_is_kept_when_the_work_is_cancelled() -> None:
    world = World()
    view = make_view(world)
    await view.load()
    town(world, *(camera(f"3713260100132{number:07d}") for number in range(3000)))
    try:
        async with asyncio.timeout(0):
            await view.refresh()
    except TimeoutError:
        pass
    assert not view.is_current
    await view.refresh()
    assert view.count() == 3002


async def test_work_that_takes_long_lets_others_run() -> None:
    world = World()
    view = make_view(world)
    await view.load()
    town(world, *(camera(f"3713260100132{number:07d}") for number in range(3000)))
    turns = 0
    work = asyncio.ensure_future(view.refresh())  # noqa: TID251 - the turns in between are the point
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 5
    assert view.count() == 3002


async def test_unchanged_items_stay_the_same_objects() -> None:
    world = World()
    town(world, camera(CAMERA), camera(CAMERA_2))
    view = make_view(world)
    await view.load()
    told: list[Any] = []
    view.on_changes.append(told.extend)
    world.touch(TOWN)
    world.touch(TOWN, [CAMERA])
    view.policy_changed()
    await view.refresh()
    assert told == []


async def test_devices_that_are_known_to_be_meant_are_judged_before_all_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    devices = [f"3713000000118{number:07}" for number in range(40)]
    for number, device_id in enumerate(devices):
        world.device(device_id, channel(device_id, f"3713000000131{number:07}"))
    view = make_view(world)
    await view.load()
    asked: list[str] = []
    decide = view._access.decide

    def listening(subject: Any, action: Any, item: Channel, context: Any) -> Any:
        asked.append(item.device_id)
        if len(asked) == 5:
            # News while older marks are being worked off.
            view.policy_changed([devices[-2]])
        return decide(subject, action, item, context)

    monkeypatch.setattr(view._access, "decide", listening)
    view.policy_changed([devices[-1]])
    await view.refresh()
    assert asked[0] == devices[-1]
    assert asked.index(devices[-2]) < 8
    assert view.policy_pending
    await view.refresh()
    assert view.is_current
    assert set(asked) == set(devices)
