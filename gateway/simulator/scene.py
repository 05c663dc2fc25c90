"""Who is simulated: deterministic ids, and the Chinese names and places of the channels."""

from dataclasses import dataclass

from gateway.simulator.options import SimulatorOptions

__all__ = ["SimulatedChannel", "build_channels", "device_id_of", "device_name_of"]

_TYPE_RECORDER = "118"
_TYPE_CAMERA = "131"
_TYPE_IP_CAMERA = "132"
_CHANNELS_PER_DEVICE = 100
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
    """A channel as the catalogue tells it."""

    channel_id: str
    name: str
    address: str
    longitude: float
    latitude: float


def device_id_of(options: SimulatorOptions, index: int) -> str:
    """Return the id of device `index` (from 0): the base id with its type and a counted serial."""
    kind = _TYPE_RECORDER if options.recorder else _TYPE_IP_CAMERA
    serial = (int(options.base_id[14:]) + index) % 1_000_000
    return f"{options.base_id[:10]}{kind}{options.base_id[13]}{serial:06d}"


def device_name_of(options: SimulatorOptions, index: int) -> str:
    """Return the Chinese name of device `index`."""
    kind = "录像机" if options.recorder else "摄像机"
    return f"模拟{kind}{index + 1}"


def build_channels(options: SimulatorOptions, index: int) -> list[SimulatedChannel]:
    """Return the channels of device `index`; ids repeat only beyond a million channels."""
    count = options.channels if options.recorder else 1
    kind = _TYPE_IP_CAMERA if options.recorder else _TYPE_CAMERA
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
