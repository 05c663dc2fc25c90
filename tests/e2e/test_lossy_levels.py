"""Village, township and county on hosts of their own, over links that lose 3 % of all packets, or reorder them."""

import asyncio
import contextlib
import itertools
import random
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import av
import pytest

from gateway.domain.errors import GatewayError
from gateway.domain.platform import LinkState
from gateway.simulator.device import SimulatedDevice
from gateway.simulator.scene import SimulatedChannel
from gateway.simulator.simulator import Simulator
from gb28181.aio.clock import monotonic
from gb28181.manscdp.ptz import PtzCommand
from tests.support.gateway import RunningGateway, eventually
from tests.support.level_process import LevelProcess, SimulatorProcess, soon
from tests.support.levels import COUNTY, TOWNSHIP, VILLAGE, connect, row_of_gateways
from tests.support.netns import DelayRelay, Network

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.timeout(150)]

LOSS = 3
"""Percent, on each of the two links, each way."""
PLATFORM, RECORDER = "37132601002000000009", "37132601001180000005"
SIZES = {PLATFORM: 6 + 6, RECORDER: 3}
"""Items of their catalogues: three divisions, a group, two organisations, and cameras."""
PICTURE = ("--size", "320x240", "--bitrate", "600000")
HELD = (
    "gateway_sessions",
    "gateway_bridges",
    "gateway_accesses",
    "gateway_ssrcs",
    "gateway_streams",
)
HELD_PORTS = 'gateway_rtp_port_pairs{state="leased"}'


class LossyLevels:
    """Three gateways, each a process on a host of its own; a lower platform and a recorder in the village."""

    def __init__(self, network: Network, folder: Path, stack: ExitStack) -> None:
        self.network = network
        hosts = [network.host(name) for name in ("village", "township", "county")]
        network.link("village", "township")
        network.link("township", "county")
        network.lose(LOSS)
        self.row = [
            stack.enter_context(LevelProcess(host, code, folder))
            for host, code in zip(hosts, (VILLAGE, TOWNSHIP, COUNTY), strict=True)
        ]
        self.village, self.township, self.county = self.row
        self.platform, self.recorder = (
            stack.enter_context(SimulatorProcess(hosts[0], folder, name))
            for name in ("platform", "recorder")
        )

    def start(self) -> None:
        """Start everything, register each at the next, and wait until the county lists the village's cameras."""
        for level in self.row:
            level.start()
        for level in self.row:
            level.ready()
        self.start_recorder()
        self.platform.start(
            VILLAGE, "--platform", "--base-id", PLATFORM, "--channels", "6", *PICTURE
        )
        for lower, upper, name in zip(
            self.row, self.row[1:], ("village", "township"), strict=False
        ):
            lower.register_at(upper, upper.host.addresses[name])
        soon(self.catalogued, 30.0, "the catalogues of the village's devices")

    def start_recorder(self) -> None:
        """Let the recorder register."""
        self.recorder.start(VILLAGE, "--base-id", RECORDER, "--channels", "3", *PICTURE)

    def catalogued(self) -> bool:
        """Whether the village has all of its devices' catalogues."""
        return all(len(self.village.channels(code)) == size for code, size in SIZES.items())

    def cameras(self, device_id: str) -> list[str]:
        """Cameras of a device in the village."""
        found = self.village.channels(device_id)
        return [code for code, channel in found.items() if channel["kind"] == "camera"]

    def carry(self, transport: str) -> None:
        """Let media between the levels go over a transport from now on; of the receiving level's role."""
        for upper, lower in ((self.county, TOWNSHIP), (self.township, VILLAGE)):
            upper.call("PATCH", f"devices/{lower}", {"media_transport": transport})

    def held(self) -> list[dict[str, float]]:
        """What each level holds, only what is not zero."""
        found = []
        for level in self.row:
            figures = level.figures()
            found.append({name: figures[name] for name in (*HELD, HELD_PORTS) if figures.get(name)})
        return found

    def idle(self) -> None:
        """Wait until no level holds anything and no camera sends."""

        def free() -> bool:
            sent = [
                len(site.told("session_started")) - len(site.told("session_ended"))
                for site in (self.platform, self.recorder)
            ]
            return not any(self.held()) and not any(sent)

        soon(free, 20.0, f"the end of all streams: {self.held()}")


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LossyLevels]:
    """One row for all tests: it takes seconds to start."""
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        found = LossyLevels(network, tmp_path_factory.mktemp("levels"), stack)
        found.start()
        yield found


def watch(url: str, frames: int) -> list[float]:
    """Decode so many frames, damaged ones too, and return when each came."""
    times: list[float] = []
    with av.open(url, timeout=15) as source:
        for packet in source.demux(source.streams.video[0]):
            with contextlib.suppress(av.error.InvalidDataError):
                times.extend(monotonic() for _ in packet.decode())
            if len(times) >= frames:
                break
    return times


def described(channel: dict[str, Any]) -> dict[str, Any]:
    """What must be the same at every level."""
    return {
        name: set(value) if name == "parent_ids" else value
        for name, value in channel.items()
        if name != "device_id"
    }


def test_the_county_s_tree_below_the_township_is_the_village_s(levels: LossyLevels) -> None:
    village = levels.village.channels()
    devices = {PLATFORM, RECORDER}
    expected = {*village, *devices, VILLAGE}
    assert len(village) == sum(SIZES.values())

    def arrived() -> dict[str, dict[str, Any]] | None:
        found = levels.county.channels(TOWNSHIP)
        return found if expected <= set(found) else None

    county = soon(arrived, 25.0, "the village's catalogue at the county")
    assert set(county) == expected
    for code, channel in village.items():
        assert described(county[code]) == described(channel), code
    assert county[VILLAGE]["parent_ids"] == [TOWNSHIP]
    for device in devices:
        assert county[device]["parent_ids"] == [VILLAGE]
    # Nothing was lost or doubled half way either.
    assert set(levels.township.channels(VILLAGE)) == expected - {VILLAGE}


@pytest.mark.parametrize("transport", ["udp", "tcp_passive", "tcp_active"])
def test_a_stream_goes_on_at_the_county_whatever_is_lost(
    levels: LossyLevels, transport: str
) -> None:
    levels.carry(transport)
    camera = levels.cameras(PLATFORM)[0]
    lost = levels.network.lost()
    played = levels.county.call("POST", f"channels/{TOWNSHIP}/{camera}/play")
    times = watch(played["urls"]["flv"], 100)
    assert len(times) >= 100
    longest = max(b - a for a, b in itertools.pairwise(times))
    # A group of pictures is 2 s: after a loss the next one is whole again at the latest.
    assert longest < 4.0
    assert levels.network.lost() > lost
    if transport != "udp":
        # 4 s of pictures; TCP makes up for what was lost, at a price in time.
        assert times[-1] - times[0] < 8.0
    levels.idle()


def test_controls_from_the_county_reach_the_village_camera_byte_for_byte(
    levels: LossyLevels,
) -> None:
    camera = levels.cameras(RECORDER)[1]

    def command(**body: Any) -> str:
        answer = levels.county.call("POST", f"channels/{TOWNSHIP}/{camera}/ptz", body)
        return f"{camera}: PTZCmd {answer['frame']}"

    def told() -> list[str]:
        return levels.recorder.told("controlled")

    sent = []
    for number in range(1, 9):
        sent.append(command(command="preset_call", number=number))
        soon(lambda: told() == sent, 10.0, f"preset {number}, once")
    # A joystick: what a lost packet holds up is overruled by what follows, the end never.
    moves = [command(command="move", pan=speed * 10, tilt=-speed) for speed in range(1, 21)]
    stop = command(command="stop")
    soon(lambda: told()[-1] == stop, 10.0, "the stop")
    came = told()[len(sent) : -1]
    assert came
    assert came == [move for move in moves if move in set(came)]
    assert stop.endswith(PtzCommand.stop().serialize())


def test_a_recorder_that_goes_and_comes_does_so_at_the_county(levels: LossyLevels) -> None:
    cameras = set(levels.cameras(RECORDER))

    def online() -> set[str]:
        found = levels.county.channels(TOWNSHIP)
        return {code for code, channel in found.items() if channel["online"]} & cameras

    soon(lambda: online() == cameras, 10.0, "the recorder's cameras")
    assert levels.recorder.end() == 0
    soon(lambda: not online(), 15.0, "OFF at the county")
    others = levels.county.channels(TOWNSHIP)
    assert all(others[code]["online"] for code in levels.cameras(PLATFORM))
    levels.start_recorder()
    soon(lambda: online() == cameras, 20.0, "ON at the county")


def test_every_level_ends_well_and_has_lost_packets_all_the_while(levels: LossyLevels) -> None:
    assert levels.network.lost() > 20
    levels.idle()
    for level in levels.row:
        others = [upper.code for upper in levels.row if upper is not level]
        links = level.call("GET", "platforms")["items"]
        assert all(link["status"]["state"] == "online" for link in links), (level.code, others)
    for level in reversed(levels.row):
        assert level.end() == 0
        said = level.said()
        assert '"gateway_stopped"' in said
        assert not re.findall(r".*(?:crashed|failed inside|Traceback).*", said)


async def test_over_a_link_that_delays_and_reorders_both_sides_agree_all_the_same(
    tmp_path: Path,
) -> None:
    chance = random.Random(28181)
    async with AsyncExitStack() as stack:
        codes = (VILLAGE, TOWNSHIP)
        row = row_of_gateways(tmp_path, codes, connected=False)
        lower, upper = await stack.enter_async_context(row)
        relay = DelayRelay(("127.0.0.1", upper.sip_port()), delay=(0.02, 0.12))
        await stack.enter_async_context(relay)
        options = lower.simulator_options(
            server_id=VILLAGE, base_id=RECORDER, channels=20, audio=None
        )
        simulator = await stack.enter_async_context(Simulator(options))
        await simulator.wait_registered()
        await connect(lower, upper, via=relay.address)
        recorder = simulator.devices[0]
        cameras = [channel.channel_id for channel in recorder.channels]
        await upper.channels(VILLAGE, len(cameras) + 1)

        await change_at_random(recorder, chance)
        await call_at_random(upper, cameras, chance)
        await move_at_random(upper, recorder, cameras[0], chance)

        async def agreed() -> bool:
            seen = (await upper.api.get(f"channels?device_id={VILLAGE}&limit=100"))["items"]
            online = {item["channel_id"]: item["online"] for item in seen}
            online.pop(RECORDER)
            return online == {item.channel_id: item.online for item in recorder.channels}

        await eventually(agreed, 15.0, "one and the same catalogue on both sides")

        async def idle() -> bool:
            held = [level.gateway.leftovers() for level in (lower, upper)]
            return simulator.session_count == 0 and all(set(x) <= {"subscriptions"} for x in held)

        await eventually(idle, 15.0, "the end of all calls")
        assert relay.overtaken > relay.carried / 10
        assert lower.gateway.links.status(TOWNSHIP).state is LinkState.ONLINE
        # It deregisters while there is still a way.
        await lower.gateway.platforms.delete(TOWNSHIP)

        async def gone() -> bool:
            return not (await upper.api.get(f"devices/{VILLAGE}"))["online"]

        await eventually(gone, 5.0, "the deregistration")
        # The answer to it is still under way.
        await asyncio.sleep(0.3)


async def change_at_random(recorder: SimulatedDevice, chance: random.Random) -> None:
    """Let cameras fail, recover, go and come back, faster than notifications travel."""
    gone: list[SimulatedChannel] = []
    for _ in range(60):
        channel = chance.choice(recorder.channels)
        if gone and chance.random() < 0.3:
            recorder.add_channel(gone.pop())
        elif chance.random() < 0.3:
            recorder.remove_channel(channel.channel_id)
            gone.append(channel)
        else:
            recorder.set_channel_status(channel.channel_id, not channel.online)
        await asyncio.sleep(chance.uniform(0.0, 0.05))
    for channel in gone:
        recorder.add_channel(channel)
    for channel in recorder.channels:
        recorder.set_channel_status(channel.channel_id, online=True)


async def call_at_random(upper: RunningGateway, cameras: list[str], chance: random.Random) -> None:
    """Begin calls, and end each at a moment of its own: before its answer, with it, or after."""
    sessions = upper.gateway.sessions
    played = 0

    async def call(camera: str, patience: float) -> None:
        nonlocal played
        with contextlib.suppress(GatewayError, TimeoutError):
            async with asyncio.timeout(patience):
                await sessions.play(VILLAGE, camera)
                played += 1
        record = sessions.running(VILLAGE, camera)
        if record is not None:
            await sessions.stop(record.session_id)

    async with asyncio.TaskGroup() as group:
        for camera in cameras * 3:
            group.create_task(call(camera, chance.uniform(0.0, 0.6)))
            await asyncio.sleep(chance.uniform(0.0, 0.06))
    assert 0 < played < 3 * len(cameras)


async def move_at_random(
    upper: RunningGateway, recorder: SimulatedDevice, camera: str, chance: random.Random
) -> None:
    """Move a camera by a joystick; what it does last is stop."""
    controls = upper.gateway.controls
    async with asyncio.TaskGroup() as group:
        for _ in range(30):
            command = PtzCommand.move(pan=chance.randint(-255, 255), tilt=chance.randint(-255, 255))
            group.create_task(controls.ptz("joystick", VILLAGE, camera, command))
            await asyncio.sleep(0.02)
        group.create_task(controls.ptz("joystick", VILLAGE, camera, PtzCommand.stop()))

    async def stopped() -> bool:
        return bool(recorder.controls) and recorder.controls[-1].command == PtzCommand.stop()

    await eventually(stopped, 5.0, "the stop")
    await asyncio.sleep(0.3)
    assert await stopped()
