"""The county while it runs: four gateways in this process, the cameras below them, and who may call them."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from gateway.cli.api import Api
from gateway.cli.county_plan import COUNTY, LEVELS, RECORDERS, Department, Level, Recorder
from gateway.config.model import Settings
from gateway.domain.device import ChannelKind
from gateway.simulator import Defect, SimulatedChannel, SimulatedDevice, Simulator, SimulatorOptions
from gb28181.es.unit import Codec

if TYPE_CHECKING:
    from gateway.app import Gateway

__all__ = ["Caller", "Node", "Site", "SiteOptions", "until"]

HOST = "127.0.0.1"
PASSWORD = "county-demo"  # noqa: S105 - of gateways on loopback that live for a minute
EDITION = "2022"
RTP_PORTS = 400
"""Ports of each gateway's range; those that somebody has are skipped."""
FIRST_RTP_PORT = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """How to run it."""

    folder: Path
    """For the gateways' data, one directory each."""
    codec: str = "h264"
    transport: str = "udp"
    """How media goes from level to level, and from the cameras."""


class _OwnSettings(Settings):
    """Settings that the environment does not touch: it would give four gateways the same port."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is written here and nothing else."""
        return (init_settings,)


@dataclass(slots=True)
class Node:
    """One gateway of the county."""

    level: Level
    gateway: "Gateway"
    api: Api
    """With all rights."""
    folder: Path

    @property
    def sip_port(self) -> int:
        """Its port for UDP and TCP."""
        return self.gateway.sip_addresses[0][2]

    @property
    def cameras(self) -> int:
        """Cameras in its catalogue, of all that registered with it."""
        # Not asked over HTTP: each look would stand in the audit.
        return self.gateway.registry.search_channels(kind=ChannelKind.CAMERA, limit=1)[1]


@dataclass(slots=True)
class Caller:
    """A department with its key."""

    department: Department
    bearer: str
    api: Api
    """Says what it asks for, if the department does."""
    silent: Api
    """Never says why."""

    @property
    def key_id(self) -> str:
        """Name of its key."""
        return self.bearer.partition(".")[0]


class Site:
    """Everything that runs; use as an async context manager, then call the steps in their order.

    Args:
        options: How to run it.
    """

    def __init__(self, options: SiteOptions) -> None:
        self.nodes: dict[str, Node] = {}
        """By code, the highest first."""
        self.simulators: list[tuple[Recorder, Simulator]] = []
        self.callers: dict[str, Caller] = {}
        self._options = options
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def county(self) -> Node:
        """The highest gateway."""
        return self.nodes[COUNTY.code]

    @property
    def recorder(self) -> SimulatedDevice:
        """The village recorder whose camera is watched."""
        return self.simulators[0][1].devices[0]

    def simulated(self, level: Level) -> int:
        """Cameras simulated below a gateway itself."""
        return sum(recorder.cameras for recorder, _ in self.simulators if recorder.level is level)

    def find(self, defect: Defect) -> tuple[SimulatedDevice, SimulatedChannel]:
        """Return the camera with a defect."""
        for _, simulator in self.simulators:
            if found := simulator.find(defect):
                return found[0]
        raise LookupError(defect)

    # Steps

    async def start_gateway(self, level: Level) -> Node:
        """Start a level's gateway on free ports of loopback."""
        from gateway.app import Gateway  # noqa: PLC0415 - only this command needs it

        folder = self._options.folder / level.code
        settings = _settings(level, folder, self._options)
        gateway = await self._stack.enter_async_context(Gateway(settings))
        api = await self._stack.enter_async_context(Api(gateway.http_url, gateway.cli_token))
        node = self.nodes[level.code] = Node(level, gateway, api, folder)
        return node

    async def start_cameras(self) -> None:
        """Let all recorders begin to register."""
        for recorder in RECORDERS:
            node = self.nodes[recorder.level.code]
            options = _camera_options(recorder, node.sip_port, self._options)
            simulator = await self._stack.enter_async_context(Simulator(options))
            if recorder.last_carries:
                _copy_code(simulator.devices[0], recorder.last_carries)
            self.simulators.append((recorder, simulator))

    async def registered(self) -> None:
        """Wait for all recorders; put a timeout around it."""
        for _, simulator in self.simulators:
            await simulator.wait_registered()

    async def connect(self, level: Level, policy: str) -> None:
        """Make a gateway the lower platform of the one above, with a policy for it."""
        lower, upper = self.nodes[level.code], self.nodes[level.upper]
        await lower.api.put("policy", {"text": policy, "comment": "demo"})
        await lower.api.put(
            f"platforms/{level.upper}",
            {
                "name": upper.level.name,
                "addresses": [{"host": HOST, "port": upper.sip_port}],
                "transport": "TCP",
                "password": PASSWORD,
                "edition": EDITION,
            },
        )

    async def add_department(self, department: Department, purpose: str) -> Caller:
        """Register a department at the county and make a key for it.

        Args:
            department: Which.
            purpose: What it says it watches for; empty if it does not.
        """
        api = self.county.api
        await api.put(f"departments/{department.code}", {"name": department.name})
        issued = await api.post(
            "keys",
            {
                "department": department.code,
                "name": f"{department.code} demo",
                "scopes": ["catalog", "live", "ptz", "audit.own"],
            },
        )
        bearer, enter = issued["bearer"], self._stack.enter_async_context
        own = await enter(Api(api.url, bearer, purpose=purpose))
        silent = await enter(Api(api.url, bearer))
        caller = self.callers[department.code] = Caller(department, bearer, own, silent)
        return caller

    def leftovers(self) -> dict[str, int]:
        """What the gateways still hold, summed up."""
        held: dict[str, int] = {}
        for node in self.nodes.values():
            for name, count in node.gateway.leftovers().items():
                held[name] = held.get(name, 0) + count
        return held


def _settings(level: Level, folder: Path, options: SiteOptions) -> Settings:
    number = LEVELS.index(level)
    first = FIRST_RTP_PORT + number * RTP_PORTS
    values: dict[str, Any] = {
        "data_dir": folder,
        "sip": {"id": level.code, "password": PASSWORD, "host": HOST, "port": 0},
        "http": {"host": HOST, "port": 0},
        "rtsp": {"port": 0},
        "rtp": {"host": HOST, "port_range": f"{first}-{first + RTP_PORTS - 1}"},
        "media": {"transport": options.transport, "no_readers_grace": 1.0},
        # Changes are told at once: whoever watches the demo does not want to wait a second for each level.
        "cascade": {"name": level.name, "civil_code": level.civil_code, "notify_delay": 0.1},
        "audit": {"checkpoint_interval": 5.0},
    }
    return _OwnSettings(**values)


def _camera_options(recorder: Recorder, port: int, options: SiteOptions) -> SimulatorOptions:
    return SimulatorOptions(
        server_host=HOST,
        server_port=port,
        server_id=recorder.level.code,
        password=PASSWORD,
        local_host=HOST,
        base_id=recorder.base_id,
        platform=recorder.platform,
        channels=recorder.cameras,
        civil_codes=recorder.civil_codes,
        defects=recorder.defects,
        # 2022: its catalogues carry point classes, and its cameras have a sub stream.
        gb_version="3.0",
        charset="GB18030",
        gop=1.0,
        video=Codec(options.codec),
    )


def _copy_code(device: SimulatedDevice, code: str) -> None:
    """Give the last camera somebody else's code; nobody has been told of it yet."""
    last = device.channels[-1]
    device.remove_channel(last.channel_id)
    defects = last.defects | {Defect.DUPLICATE_CODE}
    device.add_channel(replace(last, channel_id=code, defects=defects))


async def until(probe: Callable[[], Any], seconds: float, pause: float = 0.1) -> Any:  # noqa: ANN401 - whatever the probe gives
    """Return the first result that is true.

    Raises:
        TimeoutError: there was none in time.
    """
    async with asyncio.timeout(seconds):
        while not (found := await probe()):  # noqa: ASYNC110 - it is elsewhere
            await asyncio.sleep(pause)
        return found
