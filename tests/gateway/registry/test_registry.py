"""Secrets, settings, timelines, search and catalogues of the registry."""

import asyncio
from dataclasses import replace

import pytest

from gateway.domain.device import Channel, ChannelKind, DeviceSettings, OfflineReason, TimelineKind
from gateway.domain.errors import Invalid, NotFound, Unavailable
from gateway.domain.store import DeviceSecret
from gateway.registry.registry import DeviceRegistry, RegistrySettings
from gb28181.sip.digest import Credential
from tests.support.registry import DEVICE, ManualClock, MemoryStore, camera, registration

REALM = "3402000000"
OTHER = "34020000001320000002"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def registry(store: MemoryStore, clock: ManualClock) -> DeviceRegistry:
    registry = build(store, clock)
    await register(registry, DEVICE)
    return registry


def build(store: MemoryStore, clock: ManualClock, password: str = "common") -> DeviceRegistry:
    return DeviceRegistry(store, RegistrySettings(realm=REALM, password=password), clock=clock)


async def register(registry: DeviceRegistry, device_id: str) -> None:
    durable = registry.registered(registration(device_id), 1000.0)
    assert durable is not None
    await durable


async def restart(store: MemoryStore, clock: ManualClock) -> DeviceRegistry:
    again = build(store, clock)
    await again.load()
    return again


# Secrets


def test_without_an_own_secret_the_common_password_counts(
    store: MemoryStore, clock: ManualClock
) -> None:
    assert build(store, clock).credential(DEVICE) == Credential.from_password(
        DEVICE, REALM, "common"
    )


def test_without_any_password_nobody_can_register(store: MemoryStore, clock: ManualClock) -> None:
    assert build(store, clock, password="").credential(DEVICE) is None


async def test_an_own_secret_wins_survives_a_restart_and_is_kept_as_hashes_only(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    await registry.set_secret(DEVICE, "own")
    again = await restart(store, clock)
    for each in (registry, again):
        assert each.credential(DEVICE) == Credential.from_password(DEVICE, REALM, "own")
        device = each.get(DEVICE)
        assert device is not None
        assert device.settings.has_secret
    assert set(store.secrets[DEVICE].ha1) >= {"MD5", "SHA-256"}
    assert "own" not in repr(store.secrets)
    assert registry.timeline(DEVICE, 1)[0].detail == "secret set"


async def test_removing_an_own_secret_brings_the_common_password_back(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    await registry.set_secret(DEVICE, "own")
    await registry.set_secret(DEVICE, None)
    assert registry.credential(DEVICE) == Credential.from_password(DEVICE, REALM, "common")
    assert store.secrets == {}


async def test_a_secret_can_be_set_before_the_device_registers(registry: DeviceRegistry) -> None:
    await registry.set_secret(OTHER, "own")
    device = registry.get(OTHER)
    assert device is not None
    assert device.offline_reason is OfflineReason.NEVER_REGISTERED
    assert registry.credential(OTHER) == Credential.from_password(OTHER, REALM, "own")


@pytest.mark.parametrize("device_id", ["", "a b", "x" * 65, "3402\r\nVia:", "设备"])
async def test_an_impossible_id_gets_no_secret(device_id: str, registry: DeviceRegistry) -> None:
    with pytest.raises(Invalid) as caught:
        await registry.set_secret(device_id, "own")
    assert caught.value.code == "invalid_device_id"


async def test_an_empty_secret_is_refused(registry: DeviceRegistry) -> None:
    with pytest.raises(Invalid, match="remove the secret"):
        await registry.set_secret(DEVICE, "")


async def test_a_secret_the_store_could_not_keep_is_not_used(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    store.broken = True
    with pytest.raises(Unavailable):
        await registry.set_secret(DEVICE, "own")
    assert registry.credential(DEVICE) == Credential.from_password(DEVICE, REALM, "common")


async def test_a_secret_made_for_another_realm_fails_instead_of_falling_back(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    foreign = {"MD5": "0" * 32}
    store.secrets[DEVICE] = DeviceSecret("4401000000", foreign)
    again = await restart(store, clock)
    assert again.credential(DEVICE) == Credential(foreign)


# Settings and information


async def test_settings_survive_a_restart(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    await registry.set_settings(DEVICE, DeviceSettings(charset="UTF-8", keepalive_interval=30))
    device = (await restart(store, clock)).get(DEVICE)
    assert device is not None
    assert device.settings == DeviceSettings(charset="UTF-8", keepalive_interval=30)
    assert (
        registry.timeline(DEVICE, 1)[0].detail == "settings: charset=UTF-8, keepalive_interval=30"
    )


@pytest.mark.parametrize(
    "settings",
    [
        DeviceSettings(charset="EBCDIC"),
        DeviceSettings(keepalive_interval=0),
        DeviceSettings(keepalive_interval=float("nan")),
        DeviceSettings(keepalive_misses=-1),
    ],
)
async def test_settings_that_cannot_work_are_refused(
    settings: DeviceSettings, registry: DeviceRegistry
) -> None:
    with pytest.raises(Invalid):
        await registry.set_settings(DEVICE, settings)
    device = registry.get(DEVICE)
    assert device is not None
    assert device.settings == DeviceSettings()


async def test_settings_the_store_could_not_keep_are_not_used(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    store.broken = True
    with pytest.raises(Unavailable):
        await registry.set_settings(DEVICE, DeviceSettings(charset="UTF-8"))
    device = registry.get(DEVICE)
    assert device is not None
    assert device.settings.charset is None


async def test_information_about_a_device_fills_what_is_known(registry: DeviceRegistry) -> None:
    registry.set_info(DEVICE, name="NVR", manufacturer="Acme")
    registry.set_info(DEVICE, model="M1", firmware="V2")
    device = registry.get(DEVICE)
    assert device is not None
    assert (device.name, device.manufacturer, device.model, device.firmware) == (
        "NVR",
        "Acme",
        "M1",
        "V2",
    )


async def test_what_is_not_known_is_not_found(registry: DeviceRegistry) -> None:
    with pytest.raises(NotFound):
        registry.set_info(OTHER, name="x")
    with pytest.raises(NotFound):
        await registry.set_settings(OTHER, DeviceSettings())
    with pytest.raises(NotFound):
        await registry.forget(OTHER)
    with pytest.raises(NotFound):
        await registry.replace_catalog(OTHER, [], complete=True)


async def test_a_forgotten_device_is_gone_with_everything_and_may_register_again(
    registry: DeviceRegistry, store: MemoryStore
) -> None:
    offline: list[str] = []
    registry.on_offline.append(lambda device: offline.append(device.device_id))
    await registry.set_secret(DEVICE, "own")
    await registry.replace_catalog(DEVICE, [camera(1)], complete=True)
    await registry.forget(DEVICE)
    assert offline == [DEVICE]
    assert registry.counts() == (0, 0, 0)
    assert registry.timeline(DEVICE) == []
    assert registry.find_channel(camera(1).channel_id) == []
    assert (store.devices, store.secrets, store.channels) == ({}, {}, {})
    await register(registry, DEVICE)
    assert registry.counts() == (1, 1, 0)


# Timelines


async def test_failed_digests_of_an_id_never_registered_leave_a_reason(
    registry: DeviceRegistry,
) -> None:
    for _ in range(3):
        registry.note(OTHER, TimelineKind.AUTH_FAILED, "wrong_response (from 10.0.0.9:5060)")
    (entry,) = registry.timeline(OTHER)
    assert (entry.kind, entry.count) == (TimelineKind.AUTH_FAILED, 3)
    assert registry.strangers() == [(OTHER, entry)]
    await register(registry, OTHER)
    assert [found.kind for found in registry.timeline(OTHER)] == [
        TimelineKind.REGISTERED,
        TimelineKind.AUTH_FAILED,
    ]
    assert registry.strangers() == []


async def test_ids_that_never_registered_cannot_fill_the_memory(registry: DeviceRegistry) -> None:
    for number in range(3000):
        registry.note(f"{number:020d}", TimelineKind.AUTH_FAILED, "wrong_response")
    registry.note("9" * 5000, TimelineKind.AUTH_FAILED, "x" * 5000)
    assert len(registry.strangers(5000)) == 1000
    device_id, entry = registry.strangers(1)[0]
    assert device_id == "9" * 64
    assert len(entry.detail) == 500


async def test_a_timeline_survives_a_restart_and_goes_on(
    registry: DeviceRegistry, store: MemoryStore, clock: ManualClock
) -> None:
    for number in range(100):
        registry.note(DEVICE, TimelineKind.SESSION_ENDED, f"session {number}")
        clock.advance(1)
    again = await restart(store, clock)
    assert len(again.timeline(DEVICE, 200)) == 50
    again.note(DEVICE, TimelineKind.SESSION_ENDED, "session 100")
    history = await again.history(DEVICE)
    assert [entry.detail for entry in history[:3]] == ["session 100", "session 99", "session 98"]
    assert len(history) == 102
    assert history[-1].kind is TimelineKind.REGISTERED
    assert await again.history(OTHER) == []


# Search


async def test_devices_are_searched_by_what_people_know_of_them(registry: DeviceRegistry) -> None:
    await register(registry, OTHER)
    registry.set_info(OTHER, name="East Gate NVR", manufacturer="Dahua")
    assert [device.device_id for device in registry.search("east")[0]] == [OTHER]
    assert [device.device_id for device in registry.search("DAHUA")[0]] == [OTHER]
    assert registry.search("10.0.0.7")[1] == 2
    assert registry.search("0000002")[1] == 1
    assert registry.search("nothing") == ([], 0)
    assert registry.search(limit=1, offset=1)[0] == [registry.get(OTHER)]
    assert registry.search(online=True)[1] == 2
    assert registry.search(online=False)[1] == 0
    assert len(registry.devices()) == 2


# Catalogues


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
