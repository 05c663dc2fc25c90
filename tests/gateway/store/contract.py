"""What every durable store must do; run for each database by the test modules beside it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from gateway.domain.device import (
    Channel,
    ChannelKind,
    Device,
    DeviceAddress,
    DeviceSettings,
    MediaTransport,
    OfflineReason,
    TimelineEntry,
    TimelineKind,
)
from gateway.domain.errors import Unavailable
from gateway.domain.store import TIMELINE_KEPT, DeviceSecret
from gateway.observe.metrics import Metrics
from gateway.store.database import connect
from gateway.store.sql import SqlStore
from tests.support.registry import DEVICE, camera

AT = datetime(2026, 11, 21, 8, 30, 15, 123456, tzinfo=UTC)
OTHER = "34020000001320000002"


def device(device_id: str = DEVICE) -> Device:
    return Device(
        device_id=device_id,
        address=DeviceAddress(
            transport="UDP", host="10.0.0.7", port=5060, local_host="10.0.0.1", local_port=5060
        ),
        contact="sip:x@192.168.1.64",
        offline_reason=OfflineReason.KEEPALIVE_MISSED,
        status_since=AT,
        registered_at=AT - timedelta(hours=1),
        expires_at=AT + timedelta(hours=1),
        last_keepalive_at=AT - timedelta(microseconds=1),
        call_id="c@h",
        gb_version="3.0",
        user_agent="Hik",
        name="东门",
        manufacturer="Acme",
        model="M",
        firmware="V1",
        catalog_at=AT,
        settings=DeviceSettings(
            media_transport=MediaTransport.TCP_PASSIVE,
            charset="UTF-8",
            follow_address=True,
            keepalive_interval=12.5,
            keepalive_misses=4,
        ),
    )


def entry(number: int) -> TimelineEntry:
    return TimelineEntry(AT + timedelta(seconds=number), TimelineKind.REGISTERED, f"entry {number}")


async def channels_of(store: SqlStore) -> list[Channel]:
    return [channel async for part in store.load_channels() for channel in part]


async def timelines_of(store: SqlStore, limit: int = 1000) -> list[tuple[str, int, TimelineEntry]]:
    return [item async for part in store.load_timelines(limit) for item in part]


def commits(metrics: Metrics, kind: str, result: str = "ok") -> float:
    labels = {"kind": kind, "result": result}
    return metrics.registry.get_sample_value("gateway_store_commits_total", labels) or 0.0


__all__ = ["DEVICE", "StoreContract", "entry", "timelines_of"]


class StoreContract:
    """Mixed into one class per database, which gives `url`."""

    @pytest.fixture
    def metrics(self) -> Metrics:
        return Metrics(process=False)

    @pytest.fixture
    def opened(self, url: str, metrics: Metrics) -> Callable[[], SqlStore]:
        return lambda: SqlStore(url, metrics, group_commit=0.005, batch_interval=0.05)

    async def test_a_new_store_is_empty(self, opened: Callable[[], SqlStore]) -> None:
        async with opened() as store:
            assert await store.load_devices() == []
            assert await store.load_secrets() == {}
            assert await channels_of(store) == []
            assert await timelines_of(store) == []
            assert store.health().ok

    async def test_a_device_comes_back_as_it_was(self, opened: Callable[[], SqlStore]) -> None:
        async with opened() as store:
            await store.save_device(device())
            await store.save_device(Device(device_id=OTHER))
        async with opened() as store:
            assert {found.device_id: found for found in await store.load_devices()} == {
                DEVICE: device(),
                OTHER: Device(device_id=OTHER),
            }

    async def test_a_durable_write_is_there_for_others_when_its_future_is_done(
        self, opened: Callable[[], SqlStore]
    ) -> None:
        async with opened() as store, opened() as reader:
            await store.save_device(device())
            assert await reader.load_devices() == [device()]

    async def test_batched_writes_follow_within_the_interval_and_the_newest_wins(
        self, opened: Callable[[], SqlStore], metrics: Metrics
    ) -> None:
        async with opened() as store:
            touched = device()
            for number in range(50):
                touched.user_agent = f"agent {number}"
                store.touch_device(touched)
                store.add_timeline(DEVICE, 1, entry(number))
            async with asyncio.timeout(15):
                while store.health().pending:
                    await asyncio.sleep(0.01)
            assert [found.user_agent for found in await store.load_devices()] == ["agent 49"]
            assert await store.timeline(DEVICE, 10) == [entry(49)]
            assert commits(metrics, "batch") == 1

    async def test_closing_writes_what_waits(self, opened: Callable[[], SqlStore]) -> None:
        async with opened() as store:
            saved = store.save_device(Device(device_id=OTHER))
            store.touch_device(device())
            store.add_timeline(DEVICE, 0, entry(0))
        assert saved.done()
        async with opened() as store:
            assert len(await store.load_devices()) == 2
            assert await timelines_of(store) == [(DEVICE, 0, entry(0))]

    async def test_many_durable_writes_share_commits(
        self, opened: Callable[[], SqlStore], metrics: Metrics
    ) -> None:
        async with opened() as store:
            futures = [
                store.save_device(Device(device_id=f"3402000000132{number:07d}"))
                for number in range(1000)
            ]
            for future in futures:
                await future
            assert len(await store.load_devices()) == 1000
            assert commits(metrics, "durable") <= 3

    async def test_a_secret_is_replaced_and_removed(self, opened: Callable[[], SqlStore]) -> None:
        async with opened() as store:
            both = DeviceSecret("3402000000", {"MD5": "a" * 32, "SHA-256": "b" * 64})
            await store.save_secret(device(), both)
            assert await store.load_secrets() == {DEVICE: both}
            one = DeviceSecret("3402000000", {"MD5": "c" * 32})
            await store.save_secret(device(), one)
            assert await store.load_secrets() == {DEVICE: one}
            await store.save_secret(device(), None)
            assert await store.load_secrets() == {}
            assert await store.load_devices() == [device()]

    async def test_channels_come_back_in_order(self, opened: Callable[[], SqlStore]) -> None:
        full = Channel(
            device_id=DEVICE,
            channel_id="34020000001310009999",
            kind=ChannelKind.ORGANISATION,
            name="停车场 <1>",
            civil_code="340200",
            address="1 Road",
            parent_ids=("3402", "340200"),
            business_group_id="34020000002150000001",
            online=False,
            status_text="OFF",
            longitude=117.25,
            latitude=-31.5,
            secrecy=1,
            ptz_type=2,
            extra={"Info.Resolution": "6/4", "IPAddress": "192.168.1.64", "odd": "\x00\ud800"},
        )
        listed = [full, *(camera(number) for number in range(1200, 0, -1))]
        async with opened() as store:
            await store.save_channels(device(), list(enumerate(listed)), [])
            await store.save_channels(device(OTHER), [(0, camera(1, OTHER))], [])
        async with opened() as store:
            assert await channels_of(store) == [*listed, camera(1, OTHER)]

    async def test_channels_are_changed_removed_and_written_anew(
        self, opened: Callable[[], SqlStore]
    ) -> None:
        async with opened() as store:
            await store.save_channels(device(), [(n, camera(n)) for n in range(4)], [])
            renamed = camera(2, name="renamed")
            await store.save_channels(device(), [(2, renamed)], [camera(1).channel_id])
            assert await channels_of(store) == [camera(0), renamed, camera(3)]
            await store.replace_channels(device(), [camera(9), camera(3)])
            assert await channels_of(store) == [camera(9), camera(3)]

    async def test_a_long_catalogue_does_not_hold_up_registrations(
        self, opened: Callable[[], SqlStore]
    ) -> None:
        async with opened() as store:
            catalogue = store.save_channels(device(), [(n, camera(n)) for n in range(6000)], [])
            await asyncio.sleep(0.02)
            await store.save_device(Device(device_id=OTHER))
            assert not catalogue.done()
            await catalogue
            assert len(await channels_of(store)) == 6000

    async def test_a_timeline_keeps_the_newest_entries(
        self, opened: Callable[[], SqlStore]
    ) -> None:
        merged = TimelineEntry(
            AT + timedelta(days=1), TimelineKind.REFRESHED, "again", 7, AT + timedelta(seconds=449)
        )
        async with opened() as store:
            for number in range(450):
                store.add_timeline(DEVICE, number, entry(number))
            store.add_timeline(OTHER, 5, entry(5))
            store.add_timeline(DEVICE, 449, merged)
        async with opened() as store:
            kept = [item for item in await timelines_of(store) if item[0] == DEVICE]
            assert [number for _, number, _ in kept] == list(range(450 - TIMELINE_KEPT, 450))
            assert kept[-1] == (DEVICE, 449, merged)
            assert await timelines_of(store, 2) == [
                (DEVICE, 448, entry(448)), (DEVICE, 449, merged), (OTHER, 5, entry(5)),
            ]  # fmt: skip
            assert await store.timeline(DEVICE, 2) == [merged, entry(448)]

    async def test_a_forgotten_device_leaves_nothing_behind(
        self, opened: Callable[[], SqlStore]
    ) -> None:
        async with opened() as store:
            await store.save_secret(device(), DeviceSecret("r", {"MD5": "a"}))
            await store.save_channels(device(), [(0, camera(0))], [])
            store.touch_device(device())
            store.add_timeline(DEVICE, 0, entry(0))
            unwritten = store.save_channels(device(), [(1, camera(1))], [])
            await store.forget_device(DEVICE)
            assert isinstance(unwritten.exception(), Unavailable)
            store.touch_device(device(OTHER))
        async with opened() as store:
            assert await store.load_devices() == [device(OTHER)]
            assert await store.load_secrets() == {}
            assert await channels_of(store) == []
            assert await timelines_of(store) == []

    async def test_a_forgotten_device_can_come_back(self, opened: Callable[[], SqlStore]) -> None:
        async with opened() as store:
            await store.save_device(device())
            forgotten = store.forget_device(DEVICE)
            back = store.save_device(device())
            await forgotten
            await back
            assert await store.load_devices() == [device()]

    async def test_values_no_database_likes_are_made_harmless(
        self, opened: Callable[[], SqlStore]
    ) -> None:
        odd = device()
        odd.user_agent = "a\0b" + b"\xc4\xe3".decode("utf-8", "surrogateescape")
        channel = camera(1, name="x\0y\ud800")
        channel.secrecy = 10**30
        async with opened() as store:
            await store.save_device(odd)
            await store.save_channels(odd, [(0, channel)], [])
            (found,) = await store.load_devices()
            assert found.user_agent == "ab??"
            (listed,) = await channels_of(store)
            assert (listed.name, listed.secrecy) == ("xy?", 2**31 - 1)

    async def test_one_unwritable_value_does_not_fail_the_others(
        self, opened: Callable[[], SqlStore]
    ) -> None:
        broken = device(OTHER)
        broken.settings.follow_address = None  # type: ignore[assignment]
        async with opened() as store:
            bad, good = store.save_device(broken), store.save_device(device())
            await good
            assert isinstance(bad.exception(), Unavailable)
            assert store.health().ok
            store.touch_device(broken)
            touched = device("34020000001320000003")
            store.touch_device(touched)
        assert store.health().dropped == 1
        async with opened() as store:
            assert len(await store.load_devices()) == 2

    async def test_a_failing_database_fails_durable_writes_keeps_batches_and_recovers(
        self, opened: Callable[[], SqlStore], break_: "Break"
    ) -> None:
        async with opened() as store:
            await break_("ALTER TABLE devices RENAME TO away")
            with pytest.raises(Unavailable) as caught:
                await store.save_device(device())
            assert caught.value.code == "store_unavailable"
            health = store.health()
            assert not health.ok
            assert health.since is not None
            assert "devices" in health.detail
            at_once = store.save_device(device())
            assert at_once.done()
            assert isinstance(at_once.exception(), Unavailable)
            store.touch_device(device())
            await asyncio.sleep(0.1)
            assert store.health().pending == 1
            await break_("ALTER TABLE away RENAME TO devices")
            async with asyncio.timeout(15):
                while not store.health().ok or store.health().pending:
                    await asyncio.sleep(0.02)
            assert await store.load_devices() == [device()]
            await store.save_device(device(OTHER))

    async def test_closing_does_not_wait_for_a_failing_database(
        self, opened: Callable[[], SqlStore], break_: "Break"
    ) -> None:
        async with asyncio.timeout(5), opened() as store:
            await break_("ALTER TABLE devices RENAME TO away")
            store.touch_device(device())
            future = store.save_device(device(OTHER))
        assert isinstance(future.exception(), Unavailable)

    async def test_reading_from_a_failing_database_is_reported(
        self, opened: Callable[[], SqlStore], break_: "Break"
    ) -> None:
        async with opened() as store:
            await break_("ALTER TABLE devices RENAME TO away")
            with pytest.raises(Unavailable, match="cannot be read"):
                await store.load_devices()

    async def test_a_crashed_writer_is_reported_and_nobody_waits_for_it(
        self, url: str, metrics: Metrics
    ) -> None:
        crashes: list[str] = []
        crashing = SqlStore(url, metrics, on_crash=lambda name, exc: crashes.append(name))
        impossible = device()
        impossible.name = None  # type: ignore[assignment]
        async with asyncio.timeout(5), crashing as store:
            first = store.save_device(impossible)
            second = store.save_device(device(OTHER))
            with pytest.raises(Unavailable):
                await second
            assert isinstance(first.exception(), Unavailable)
            assert isinstance(store.save_device(device(OTHER)).exception(), Unavailable)
            assert not store.health().ok
        assert crashes == ["store"]

    async def test_a_closed_store_refuses_writes(self, opened: Callable[[], SqlStore]) -> None:
        async with opened() as store:
            pass
        assert isinstance(store.save_device(device()).exception(), Unavailable)

    async def test_a_database_of_a_newer_gateway_is_refused(
        self, opened: Callable[[], SqlStore], break_: "Break"
    ) -> None:
        async with opened():
            pass
        await break_("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(Unavailable, match=r"revision 9999.*knows up to 0004") as caught:
            await opened().__aenter__()
        assert caught.value.code == "store_newer"

    @pytest.fixture
    def break_(self, url: str) -> "Break":
        async def execute(statement: str) -> None:
            engine = await connect(url)
            async with engine.begin() as connection:
                await connection.execute(text(statement))
            await engine.dispose()

        return execute


Break = Callable[[str], Awaitable[None]]
