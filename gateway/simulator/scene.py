"""Who is simulated: deterministic ids, the Chinese names and places of channels, the tree of a platform."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from gateway.simulator.defect import Defect
from gateway.simulator.options import SimulatorOptions
from gb28181.ids import DeviceId, IdKind
from gb28181.manscdp.item import CatalogItem

__all__ = ["SimulatedChannel", "build_channels", "device_id_of", "device_name_of"]

_TYPE_RECORDER = "118"
_TYPE_CAMERA = "131"
_TYPE_IP_CAMERA = "132"
_TYPE_ALARM_INPUT = "134"
_TYPE_PLATFORM = "200"
_TYPE_GROUP = "215"
_TYPE_ORGANISATION = "216"
_CHANNELS_PER_DEVICE = 100
_NODES_PER_DEVICE = 10
_MANUFACTURER = "Simulator"
_PLACES = (
    "北门",
    "南门",
    "东门",
    "西门",
    "大厅",
    "走廊",
    "停车场",
    "电梯",
    "仓库",
    "广场",
    "学校",
    "医院",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedChannel:
    """An item of the catalogue: a camera, or something around it."""

    channel_id: str
    name: str
    address: str = ""
    longitude: float | None = None
    latitude: float | None = None
    online: bool = True
    """What the catalogue claims."""
    reachable: bool = True
    """Whether it can be watched, whatever the catalogue claims."""
    details: CatalogItem = field(default_factory=CatalogItem)
    """What further the catalogue says of it."""
    defects: frozenset[Defect] = frozenset()

    @property
    def is_camera(self) -> bool:
        """Whether it sends pictures."""
        return DeviceId(self.channel_id).kind is IdKind.CAMERA

    def item(self, on: str = "ON") -> CatalogItem:
        """Return the item; `on` is the word for a channel that works."""
        return replace(
            self.details,
            device_id=self.channel_id,
            name=self.name,
            address=self.address,
            longitude=self.longitude,
            latitude=self.latitude,
            status=on if self.online else "OFF",
        )


def device_id_of(options: SimulatorOptions, index: int) -> str:
    """Return the id of device `index` (from 0): the base id with its type and a counted serial."""
    kind = _TYPE_RECORDER if options.recorder else _TYPE_IP_CAMERA
    if options.platform:
        kind = _TYPE_PLATFORM
    serial = (int(options.base_id[14:]) + index) % 1_000_000
    return f"{options.base_id[:10]}{kind}{options.base_id[13]}{serial:06d}"


def device_name_of(options: SimulatorOptions, index: int) -> str:
    """Return the Chinese name of device `index`."""
    kind = "录像机" if options.recorder else "摄像机"
    return f"模拟{'平台' if options.platform else kind}{index + 1}"


def build_channels(options: SimulatorOptions, index: int) -> list[SimulatedChannel]:
    """Return what the catalogue of device `index` lists; ids repeat only beyond a million channels."""
    tree = _tree(options, index) if options.platform else []
    cameras = [
        replace(
            camera,
            details=_details(options, index, number, camera.channel_id, _place(tree, number)),
        )
        for number, camera in enumerate(_cameras(options, index))
    ]
    for defect, seed in _SEEDS.items():
        if defect in options.defects:
            seed(options, index, cameras)
    return [*tree, *cameras, *_alarm_inputs(options, index)]


def _cameras(options: SimulatorOptions, index: int) -> list[SimulatedChannel]:
    is_many = options.recorder or options.platform
    count = options.channels if is_many else 1
    kind = _TYPE_IP_CAMERA if is_many else _TYPE_CAMERA
    prefix = f"{options.base_id[:10]}{kind}{options.base_id[13]}"
    first = (int(options.base_id[14:]) - 1 + index) * max(count, _CHANNELS_PER_DEVICE)
    return [
        _channel(f"{prefix}{(first + number + 1) % 1_000_000:06d}", number, index)
        for number in range(count)
    ]


def _channel(channel_id: str, number: int, device: int) -> SimulatedChannel:
    place = _PLACES[number % len(_PLACES)]
    return SimulatedChannel(
        channel_id=channel_id,
        name=f"{place}摄像机{number + 1}",
        address=f"示例路{device + 1}号{place}",
        longitude=round(117.64 + device * 0.001 + number * 0.0001, 6),
        latitude=round(35.5063 + number * 0.0001, 6),
    )


def _details(
    options: SimulatorOptions,
    device: int,
    number: int,
    channel_id: str,
    place: tuple[str, str, str],
) -> CatalogItem:
    """Return the fields of all editions; each peer is sent those of its own."""
    organisation, group, civil_code = place
    parent = device_id_of(options, device)
    codes = options.civil_codes
    return CatalogItem(
        manufacturer=_MANUFACTURER,
        model="SIM-CAM",
        owner="示例单位",
        civil_code=civil_code or (codes[number % len(codes)] if codes else channel_id[:6]),
        parental=0,
        parent_id=f"{parent}/{organisation}" if organisation else parent,
        business_group_id=group,
        safety_way=0,
        register_way=1,
        secrecy=0,
        ptz_type=1 if number % 2 else 3,
        room_type=1,
        direction_type=number % 8 + 1,
        resolution="6/4",
        stream_number_list="0/1",
        photoelectric_imaging_type="1",
        grassroots_code=f"{number % 3 + 1:06d}",
        point_type=number % 3 + 1,
        point_common_name=_PLACES[number % len(_PLACES)],
        mac=f"02-00-5E-10-{number // 256 % 256:02X}-{number % 256:02X}",
        function_type="01/03",
        encode_type="2/5",
        install_time=datetime(2026, 5, 1, tzinfo=UTC),
        management_unit="示例单位",
        contact_info="0539-0000000",
        record_save_days=30,
        industrial_classification="S92",
    )


def _alarm_inputs(options: SimulatorOptions, index: int) -> list[SimulatedChannel]:
    parent = device_id_of(options, index)
    return [
        SimulatedChannel(
            channel_id=_node_id(options, _TYPE_ALARM_INPUT, index * _CHANNELS_PER_DEVICE + number),
            name=f"报警输入{number + 1}",
            details=CatalogItem(
                manufacturer=_MANUFACTURER,
                model="SIM-ALARM",
                owner="示例单位",
                civil_code=options.base_id[:6],
                parental=0,
                parent_id=parent,
                register_way=1,
                secrecy=0,
            ),
        )
        for number in range(options.alarm_inputs)
    ]


def _tree(options: SimulatorOptions, index: int) -> list[SimulatedChannel]:
    """Return a platform's own item, its divisions, a business group and two organisations in it."""
    system = device_id_of(options, index)
    group = _node_id(options, _TYPE_GROUP, index)
    outer, inner = (
        _node_id(options, _TYPE_ORGANISATION, index * _NODES_PER_DEVICE + number)
        for number in (0, 1)
    )
    county = options.base_id[:6]
    codes = options.civil_codes or (f"{county}01", f"{county}02")
    nodes = [
        SimulatedChannel(
            channel_id=system,
            name=device_name_of(options, index),
            address="示例路1号",
            details=CatalogItem(
                manufacturer=_MANUFACTURER,
                model="SIM-PLATFORM",
                owner="示例单位",
                civil_code=county,
                register_way=1,
                secrecy=0,
            ),
        )
    ]
    regions = dict.fromkeys((county, *codes))
    nodes += [
        SimulatedChannel(
            channel_id=code, name="示例县" if code == county else f"示例派出所{code[6:]}"
        )
        for code in regions
    ]
    for node, name, details in (
        (group, "重点部位", CatalogItem(civil_code=county, parent_id=system)),
        (outer, "广场", CatalogItem(business_group_id=group)),
        (inner, "中心广场", CatalogItem(business_group_id=group, parent_id=outer)),
    ):
        nodes.append(SimulatedChannel(channel_id=node, name=name, details=details))
    return nodes


def _place(tree: list[SimulatedChannel], number: int) -> tuple[str, str, str]:
    """Return the organisation, group and division of a camera; empty outside a platform."""
    kinds = {channel.channel_id: DeviceId(channel.channel_id).kind for channel in tree}
    found = {kind: [code for code, of in kinds.items() if of is kind] for kind in kinds.values()}
    if not tree:
        return "", "", ""
    organisations, regions = found[IdKind.ORGANISATION], found[IdKind.REGION][1:]
    return (
        organisations[number % len(organisations)],
        found[IdKind.BUSINESS_GROUP][0],
        regions[number % len(regions)] if regions else "",
    )


def _node_id(options: SimulatorOptions, kind: str, number: int) -> str:
    serial = (int(options.base_id[14:]) * _NODES_PER_DEVICE + number) % 1_000_000
    return f"{options.base_id[:10]}{kind}{options.base_id[13]}{serial:06d}"


def _mark(cameras: list[SimulatedChannel], number: int, defect: Defect, **changes: object) -> None:
    if 0 <= number < len(cameras):
        camera = cameras[number]
        marked = camera.defects | {defect}
        cameras[number] = replace(camera, defects=marked, **changes)  # type: ignore[arg-type]


def _seed_duplicate(options: SimulatorOptions, index: int, cameras: list[SimulatedChannel]) -> None:
    if options.devices > 1:
        others = _cameras(options, index - 1) if index % 2 else []
    else:
        others = cameras[:1] if len(cameras) > 1 else []
    if others:
        _mark(cameras, len(cameras) - 1, Defect.DUPLICATE_CODE, channel_id=others[-1].channel_id)


def _seed_zero(_: SimulatorOptions, __: int, cameras: list[SimulatedChannel]) -> None:
    _mark(cameras, 1, Defect.ZERO_COORDINATES, longitude=0.0, latitude=0.0)


def _seed_secret(_: SimulatorOptions, __: int, cameras: list[SimulatedChannel]) -> None:
    if len(cameras) > 2:
        details = replace(cameras[2].details, secrecy=1)
        _mark(cameras, 2, Defect.SECRET_CHANNEL, details=details)


def _seed_unreachable(_: SimulatorOptions, __: int, cameras: list[SimulatedChannel]) -> None:
    _mark(cameras, 3, Defect.OFFLINE_CLAIMS_ON, reachable=False)


_SEEDS: dict[Defect, Callable[[SimulatorOptions, int, list[SimulatedChannel]], None]] = {
    Defect.ZERO_COORDINATES: _seed_zero,
    Defect.SECRET_CHANNEL: _seed_secret,
    Defect.OFFLINE_CLAIMS_ON: _seed_unreachable,
    Defect.DUPLICATE_CODE: _seed_duplicate,
}
