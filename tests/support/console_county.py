"""A county of a hundred thousand cameras in a gateway's registry, for pages that must find one of them."""

import asyncio
from collections.abc import Iterator, Sequence

from gateway.domain.device import Channel, ChannelKind, DeviceAddress, Registration
from gateway.registry.registry import DeviceRegistry
from gb28181.aio.clock import monotonic, utc_now

__all__ = ["COUNTY", "PLATFORM", "RECORDER", "seed_county"]

COUNTY = "371326"
PLATFORM = "37132600002000000001"
"""A lower platform whose catalogue is a tree of regions and organisations."""
RECORDER = "37132601001110000001"
"""The first of the recorders; it is online."""
_TOWNS = (
    "平邑街道",
    "仲村镇",
    "武台镇",
    "保太镇",
    "柏林镇",
    "卞桥镇",
    "地方镇",
    "铜石镇",
    "温水镇",
    "流峪镇",
    "郑城镇",
    "白彦镇",
    "临涧镇",
    "丰阳镇",
)
_PLACES = (
    "人民路与兴水路路口",
    "汽车站广场",
    "实验小学门口",
    "中心卫生院",
    "政务服务中心",
    "农贸市场东门",
    "蒙阳湖公园",
    "国道327收费站",
)
_SIDES = ("东向", "西向", "南向", "北向")


async def seed_county(
    registry: DeviceRegistry, *, recorders: int = 300, on_platform: int = 70_000, each: int = 100
) -> int:
    """Register a lower platform and recorders with their catalogues, in memory only; return the number of channels."""
    durable = [_register(registry, PLATFORM, "平邑县公安局视频平台")]
    _list(registry, PLATFORM, list(_tree(on_platform)))
    for number in range(recorders):
        town = number % len(_TOWNS)
        device_id = f"{COUNTY}{town + 1:02d}00111{number + 1:07d}" if number else RECORDER
        durable.append(_register(registry, device_id, f"{_TOWNS[town]}派出所录像机 {number + 1}"))
        _list(registry, device_id, list(_cameras(device_id, number, each)))
        await asyncio.sleep(0)
    for future in durable:
        if future is not None:
            await future
    return registry.counts()[2]


def _list(registry: DeviceRegistry, device_id: str, channels: Sequence[Channel]) -> None:
    # As after a start: the store, which would take its time, is not asked to keep them.
    registry._catalogs.index.restore(channels)
    device = registry.get(device_id)
    assert device is not None
    device.channel_count = len(channels)
    device.catalog_at = utc_now()


def _register(registry: DeviceRegistry, device_id: str, name: str) -> asyncio.Future[None] | None:
    host = f"10.71.{int(device_id[-4:]) // 250}.{int(device_id[-4:]) % 250 + 1}"
    address = DeviceAddress(
        transport="UDP", host=host, port=5060, local_host="127.0.0.1", local_port=5060
    )
    durable = registry.registered(
        Registration(device_id=device_id, address=address, expires=86_400, call_id=device_id),
        monotonic(),
    )
    registry.set_info(
        device_id, name=name, manufacturer="示例科技", model="NVR-3216", firmware="V4.30.110"
    )
    return durable


def _tree(count: int) -> Iterator[Channel]:
    def item(code: str, kind: ChannelKind, name: str, *parents: str) -> Channel:
        return Channel(
            device_id=PLATFORM, channel_id=code, kind=kind, name=name, parent_ids=parents
        )

    yield item(COUNTY, ChannelKind.REGION, "平邑县")
    stations = []
    for town, name in enumerate(_TOWNS, 1):
        yield item(f"{COUNTY}{town:02d}", ChannelKind.REGION, name, COUNTY)
        station = f"{COUNTY}{town:02d}002160000001"
        stations.append(station)
        yield item(station, ChannelKind.ORGANISATION, f"{name}派出所", f"{COUNTY}{town:02d}")
    for number in range(count - 1 - 2 * len(_TOWNS)):
        yield _camera(
            PLATFORM, f"{COUNTY}{number % len(_TOWNS) + 1:02d}001320{number:06d}", number, stations
        )


def _cameras(device_id: str, recorder: int, count: int) -> Iterator[Channel]:
    for number in range(count):
        code = f"{device_id[:8]}00132{recorder % 1000:03d}{number + 1:04d}"
        yield _camera(device_id, code, recorder * count + number, ())


def _camera(device_id: str, code: str, number: int, stations: Sequence[str]) -> Channel:
    town = number % len(_TOWNS)
    place = _PLACES[number // len(_TOWNS) % len(_PLACES)]
    return Channel(
        device_id=device_id,
        channel_id=code,
        kind=ChannelKind.CAMERA,
        name=f"{place}{_SIDES[number % 4]} {number}",
        manufacturer="示例科技",
        model="DS-2CD",
        civil_code=f"{COUNTY}{town + 1:02d}",
        address=f"平邑县{_TOWNS[town]}{place}",
        parent_ids=(stations[town],) if stations else (device_id,),
        online=number % 17 != 3,
        status_text="ON" if number % 17 != 3 else "OFF",
        ptz_type=1 if number % 3 == 0 else 3,
        longitude=117.6 + number % 100 / 1000,
        latitude=35.5 + number % 80 / 1000,
    )
