"""The desk with real catalogues and a real store: what an upper asks and is told, whole and in time."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.cascade.catalog.own import OwnPlatform
from gateway.cascade.catalog.platform import SharedCatalog
from gateway.cascade.catalog.sender import NotifierSettings
from gateway.cascade.catalog.view import CatalogView
from gateway.cascade.ports import UpperLink
from gateway.domain.device import Channel, ChannelKind, Device
from gateway.domain.platform import IdMode
from gateway.domain.policy import Subject
from gateway.observe.metrics import Metrics
from gateway.store.sql import SqlStore
from gb28181.aio import clock
from gb28181.manscdp import CatalogItem, DeviceInfoQuery, DeviceInfoResponse
from tests.support.platform_catalog import ServingGateway, serving
from tests.support.upper_platform import LOWER_ID, UPPER_ID, UpperPlatform, until

pytestmark = pytest.mark.net

RECORDER = "37132601001180000001"


def camera(number: int, recorder: str = RECORDER, **changes: Any) -> Channel:
    values: dict[str, Any] = {
        "device_id": recorder,
        "channel_id": f"3713260100132{number:07d}",
        "kind": ChannelKind.CAMERA,
        "name": f"北门枪机 {number}",
        "manufacturer": "ExampleVision",
        "model": "EV-B1",
        "civil_code": "371326",
        "address": "平邑县示例路1号",
    }
    return Channel(**(values | changes))


class LiveDirectory:
    """Devices and channels that a test changes."""

    def __init__(self, cameras: int) -> None:
        self.all: dict[str, Device] = {
            RECORDER: Device(device_id=RECORDER, online=True, name="Recorder")
        }
        self.listed: dict[str, dict[str, Channel]] = {RECORDER: {}}
        for number in range(cameras):
            channel = camera(number)
            self.listed[RECORDER][channel.channel_id] = channel

    def devices(self) -> Iterable[Device]:
        return list(self.all.values())

    def get(self, device_id: str) -> Device | None:
        return self.all.get(device_id)

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        return self.listed.get(device_id, {}).get(channel_id)

    def channels(self, device_id: str) -> Iterable[Channel]:
        return list(self.listed.get(device_id, {}).values())


@asynccontextmanager
async def catalogued(
    folder: Path, cameras: int, transport: str = "UDP", **config: Any
) -> AsyncIterator[tuple[UpperPlatform, ServingGateway, LiveDirectory]]:
    directory = LiveDirectory(cameras)
    url = f"sqlite+aiosqlite:///{folder / 'gateway.db'}"
    crashes: list[object] = []
    async with SqlStore(url, Metrics(process=False)) as store:

        def maker(served: ServingGateway, link: UpperLink) -> SharedCatalog:
            view = CatalogView(
                link.config,
                local_id=LOWER_ID,
                directory=directory,
                access=served.policy,
                ids=store,
                subject=Subject(platform=link.config.platform_id),
                wall=clock.utc_now,
                own_item=lambda: OwnPlatform(name="County"),
            )
            return SharedCatalog(
                view,
                link,
                on_crash=lambda name, error: crashes.append((name, error)),
                settings=NotifierSettings(delay=0.1),
            )

        async with (
            UpperPlatform(transport=transport) as upper,
            serving(upper.config(**config), maker=maker, directory=directory) as gateway,
        ):
            await gateway.online(UPPER_ID)
            await until(lambda: gateway.desk.view(UPPER_ID) is not None, 10, "the catalogue")
            yield upper, gateway, directory
    assert crashes == []


def told_apart(items: Iterable[CatalogItem]) -> dict[str, CatalogItem]:
    """Items by code, as far as a platform can tell them apart."""
    return {item.device_id: replace(item, event="", raw={}) for item in items}


@pytest.mark.parametrize("mode", IdMode)
async def test_what_is_told_adds_up_to_what_a_fresh_query_gives(
    tmp_path: Path, mode: IdMode
) -> None:
    async with catalogued(tmp_path, 20, id_mode=mode) as (upper, gateway, directory):
        mirror = told_apart(await upper.query_catalog())
        sub = await upper.subscribe_catalog()

        cameras = directory.listed[RECORDER]
        gone, changed, *_ = list(cameras)
        del cameras[gone]
        cameras[changed] = camera(1, name="Renamed", longitude=117.6)
        new = camera(900)
        cameras[new.channel_id] = new
        gateway.desk.touch(RECORDER, {gone, changed, new.channel_id})
        directory.all[RECORDER].online = False
        gateway.desk.touch(RECORDER)

        async def same() -> bool:
            view = dict(mirror)
            sub.apply_to(view)
            return told_apart(view.values()) == told_apart(await upper.query_catalog())

        async with asyncio.timeout(20):
            while not await same():
                await asyncio.sleep(0.1)
        view = dict(mirror)
        sub.apply_to(view)
        cameras_seen = [item for item in view.values() if item.device_id[10:13] == "132"]
        assert {item.status for item in cameras_seen} == {"OFF"}
        assert len(cameras_seen) == 20


async def test_codes_stay_over_a_restart_of_the_link(tmp_path: Path) -> None:
    async with catalogued(tmp_path, 10, id_mode=IdMode.RENAME) as (upper, gateway, _):
        before = [item.device_id for item in await upper.query_catalog()]
        old = gateway.desk.view(UPPER_ID)
        await gateway.book.save(upper.config(id_mode=IdMode.RENAME, expires=7200))
        await until(lambda: gateway.desk.view(UPPER_ID) not in {None, old}, 5, "the new catalogue")
        await gateway.online(UPPER_ID)
        assert [item.device_id for item in await upper.query_catalog()] == before
        assert not any(code.startswith("3713260100") for code in before)


async def test_device_info_counts_cameras_and_a_status_shows_all_items(tmp_path: Path) -> None:
    async with catalogued(tmp_path, 12) as (upper, gateway, _):
        info = (await upper.ask(DeviceInfoQuery(sn=1, device_id=LOWER_ID))).content
        assert isinstance(info, DeviceInfoResponse)
        assert info.channel == 12
        items = await upper.query_catalog()
        assert gateway.links.status(UPPER_ID).catalog_items == len(items)


@pytest.mark.slow
@pytest.mark.parametrize(("transport", "seconds"), [("TCP", 20.0), ("UDP", 60.0)])
@pytest.mark.timeout(120)
async def test_ten_thousand_channels_come_whole(
    tmp_path: Path, transport: str, seconds: float
) -> None:
    batch = 50 if transport == "UDP" else 0
    async with catalogued(tmp_path, 10_000, transport, catalog_batch=batch) as (upper, gateway, _):
        gateway.directory.device.online = True
        items = await upper.query_catalog(timeout=seconds)
        assert len(items) == 10_002
        assert items[0].device_id == LOWER_ID
        known: set[str] = set()
        for item in items:
            assert set(filter(None, item.parent_id.split("/"))) <= known
            known.add(item.device_id)
