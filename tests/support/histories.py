"""A county with its township and village, cameras that misbehave, two foreign cities above, and what people do to them."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import aiohttp

from gateway.domain.platform import LinkState
from gateway.domain.policy import Subject
from gateway.domain.selector import ChannelSelector
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.quirk import Quirk
from gateway.simulator.simulator import Simulator
from tests.support.gateway import RunningGateway, eventually
from tests.support.levels import COUNTY, POLICY, TOWNSHIP, VILLAGE, row_of_gateways
from tests.support.upper_platform import UpperPlatform

__all__ = ["CAMERAS", "LEVELS", "World", "world"]

ADMIN: Final = Subject(role="admin")
CITY, METRO = "37130000002000000001", "37130000002000000002"
LEVELS: Final = ("village", "township", "county")
CAMERAS: Final[dict[str, tuple[int, frozenset[Quirk]]]] = {
    "good": (10, frozenset()),
    "slow": (4, frozenset({Quirk.SLOW_ANSWER})),
    "busy": (2, frozenset({Quirk.ANSWER_4XX})),
    "broken": (2, frozenset({Quirk.ANSWER_5XX})),
    "mute": (3, frozenset({Quirk.NEVER_ANSWER_INVITE})),
    "dark": (3, frozenset({Quirk.SEND_NOTHING})),
    "leaving": (4, frozenset({Quirk.BYE_MIDSTREAM})),
    "dropping": (4, frozenset({Quirk.DROP_MEDIA})),
    "haunted": (2, frozenset({Quirk.LOST_BYE})),
}
"""Recorders of the village: how many cameras, and what they do wrong."""
NO_LIVE = f"""{POLICY}
[[rule]]
id = "nobody-watches"
effect = "deny"
subjects = {{ platforms = ["*"] }}
actions = ["live"]
"""
NOTHING = "version = 1\n"
CARRIERS = ("udp", "tcp_passive", "tcp_active")
GUEST = "371326010011800009"
"""Recorders that come and go; two digits follow."""


@dataclass(slots=True, repr=False)
class World:
    """Everything there is, and the disturbances that befall it, one at a time."""

    row: list[RunningGateway]
    http: aiohttp.ClientSession
    simulators: dict[str, Simulator]
    city: UpperPlatform
    metro: UpperPlatform
    """It speaks TCP, so that its going is noticed."""
    disturbing: asyncio.Lock
    failed_in_calm: list[str]
    """Histories that ended in a refusal though nothing disturbed them."""
    calm: bool = True
    """Whether nothing befalls everybody, so that a sound camera can be watched."""
    guests: int = 0

    def cameras(self, kind: str) -> list[str]:
        """Codes of the cameras of a kind."""
        return [channel.channel_id for channel in self.simulators[kind].devices[0].channels]

    def owner(self, level: int, kind: str) -> str:
        """Device that has the cameras of a kind at a level."""
        return (self.simulators[kind].devices[0].device_id, VILLAGE, TOWNSHIP)[level]

    @property
    def levels(self) -> list[tuple[str, RunningGateway]]:
        """The gateways with their names."""
        return list(zip(LEVELS, self.row, strict=True))

    # What is held

    def held(self) -> dict[str, Any]:
        """What is held anywhere and must be nothing in the end, but for subscriptions; only what is not zero."""
        found: dict[str, Any] = {}
        for name, level in self.levels:
            held = level.gateway.leftovers()
            held.pop("subscriptions", None)
            if held:
                found[name] = held
        for name, simulator in self.simulators.items():
            if simulator.session_count:
                found[f"cameras {name}"] = simulator.session_count
        for upper in (self.city, self.metro):
            if upper.driver.stats.dialogs:
                found[upper.platform_id] = upper.driver.stats.dialogs
        return found

    def lasting(self) -> dict[str, Any]:
        """What is there all the time and must be the same in the end: subscriptions, links, tasks, catalogues."""
        found: dict[str, Any] = {}
        for name, level in self.levels:
            gateway = level.gateway
            links = gateway.links.links()
            found[name] = {
                "ours": gateway.subscriptions.count,
                "dialogs": gateway.driver.stats.subscriptions,
                "links": {link.config.platform_id: link.online for link in links},
                "theirs": {
                    link.config.platform_id: sorted(
                        gateway.links.status(link.config.platform_id).subscriptions
                    )
                    for link in links
                },
                "shown": {
                    link.config.platform_id: gateway.links.status(
                        link.config.platform_id
                    ).catalog_items
                    for link in links
                },
            }
        tasks = (task.get_name() for task in asyncio.all_tasks())
        found["tasks"] = Counter(name.split(":")[0] for name in tasks if not _passing(name))
        return found

    def changed(self, before: dict[str, Any]) -> list[str]:
        """In what `lasting` differs from what it was."""
        now = _flat(self.lasting())
        old = _flat(before)
        return [
            f"{key}: {old.get(key)} before, {now.get(key)} now"
            for key in sorted(old.keys() | now.keys())
            if old.get(key) != now.get(key)
        ]

    def told_of(self, camera: str) -> list[str]:
        """How the latest sessions and bridges of a camera ended, level by level."""
        found = []
        for name, level in self.levels:
            gateway = level.gateway
            sessions = [
                f"{name} session {record.stages} {record.ended}"
                for record in gateway.sessions.sessions()
                if record.channel_id == camera
            ]
            bridges = [
                f"{name} bridge to {record.platform_id} {record.end} {record.status} {record.detail}"
                for record in gateway.cascade.bridges.bridges()
                if record.shared_id == camera
            ]
            found += [*sessions[:3], *bridges[:3]]
        return found

    # What befalls it

    async def drop_link(self, hop: int, *, gently: bool) -> None:
        """Register anew at the platform above a level, or be switched off there for a while."""
        gateway = self.row[hop].gateway
        upper = (TOWNSHIP, COUNTY, CITY)[hop]
        async with self.disturbing:
            if gently:
                gateway.links.reconnect(upper)
            else:
                config = gateway.platforms.get(upper)
                await gateway.platforms.save(replace(config, enabled=False))
                await asyncio.sleep(0.2)
                await gateway.platforms.save(replace(config, enabled=True))
            await self._online(hop, upper)

    async def stop_and_lift(self, level: int, camera: str) -> None:
        """Stop a camera by force, and lift that."""
        stops = self.row[level].gateway.sharing.stops
        async with self.disturbing:
            objects = ChannelSelector(channels=frozenset({camera}))
            order = await stops.order(objects=objects, reason="by order", by=ADMIN)
            await asyncio.sleep(0.3)
            await stops.lift(order.stop_id, ADMIN)

    async def change_policy(self, level: int, *, hide: bool) -> None:
        """Let nobody above watch any more, or see anything either; then everybody again."""
        policies = self.row[level].gateway.policies
        async with self.disturbing:
            await policies.apply(NOTHING if hide else NO_LIVE, ADMIN)
            await asyncio.sleep(0.2)
            await policies.apply(POLICY, ADMIN)

    async def change_carrier(self, level: int, kind: str, chance: random.Random) -> None:
        """Let media from below come over another transport from now on."""
        body = {"media_transport": chance.choice(CARRIERS)}
        async with self.disturbing:
            path = f"devices/{self.owner(level, kind)}"
            status, answer = await self.row[level].api.call("PATCH", path, json=body)
            assert status == 200, answer

    async def reboot(self, level: int, kind: str) -> None:
        """Restart a recorder from some level; it goes without a word and comes back."""
        camera = self.cameras(kind)[0]
        device = self.simulators[kind].devices[0]
        async with self.disturbing:
            before = device.registrations
            path = f"channels/{self.owner(level, kind)}/{camera}/control/reboot"
            status, answer = await self.row[level].api.call("POST", path)
            if status == 200:
                await eventually(
                    lambda: asyncio.sleep(0, device.registrations > before), 8.0, "the reboot"
                )
            else:
                assert status in {404, 502, 503}, answer

    async def replace_metro(self) -> None:
        """The metropolis vanishes without a word, and is back after a while."""
        async with self.disturbing:
            await self.metro.__aexit__(None, None, None)
            await asyncio.sleep(0.3)
            self.metro = await _metro(self.metro.port).__aenter__()
            await self._online(2, METRO)

    @asynccontextmanager
    async def guest(self) -> AsyncIterator[tuple[str, list[str]]]:
        """A recorder that registers at the village and logs out in the end; its code and its cameras."""
        self.guests = (self.guests + 1) % 100
        options = _options(self.row[0], f"{GUEST}{self.guests:02d}", 2, frozenset())
        async with Simulator(options) as simulator:
            async with asyncio.timeout(10):
                await simulator.wait_registered()
            device = simulator.devices[0].device_id
            yield device, await self.row[0].channels(device, 2)
        status, answer = await self.row[0].api.call("DELETE", f"devices/{device}")
        assert status == 204, answer

    async def _online(self, hop: int, upper: str) -> None:
        links = self.row[hop].gateway.links

        async def probe() -> bool:
            return links.status(upper).state is LinkState.ONLINE

        await eventually(probe, 20.0, f"the registration of {LEVELS[hop]} at {upper}")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = isinstance(value, dict)
        found |= _flat(value, f"{prefix}{name} ") if inner else {f"{prefix}{name}": value}
    return found


def _passing(name: str) -> bool:
    """Whether a task is one of the test, of a client or of a connection."""
    return name.startswith(("Task-", "history"))


def _options(
    gateway: RunningGateway, base_id: str, channels: int, quirks: frozenset[Quirk]
) -> SimulatorOptions:
    return gateway.simulator_options(
        server_id=VILLAGE,
        base_id=base_id,
        channels=channels,
        quirks=quirks,
        width=160,
        height=120,
        fps=5,
        bitrate=64_000,
        gop=0.4,
        audio=None,
        catalog_items=10,
        answer_delay=0.5,
        bye_after=0.4,
        drop_after=0.4,
        ghost_time=0.6,
        reboot_time=0.3,
        retry_delay=1.0,
        keepalive_interval=60.0,
    )


def _metro(port: int = 0) -> UpperPlatform:
    return UpperPlatform(METRO, lower_id=COUNTY, transport="TCP", port=port)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Build it, and wait until everybody sees every camera."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        # The cities are left last, and answer what the county says at its end.
        city = await enter(UpperPlatform(CITY, lower_id=COUNTY))
        metro = await _metro().__aenter__()
        made: World | None = None
        stack.push_async_callback(
            lambda: (made.metro if made else metro).__aexit__(None, None, None)
        )
        row = await enter(
            row_of_gateways(
                folder,
                link={"retry_delay": 1.0},
                media={
                    "invite_timeout": 3.0,
                    "first_packet_timeout": 2.5,
                    "decodable_timeout": 2.0,
                    "source_timeout": 3.0,
                    "no_readers_grace": 0.4,
                },
            )
        )
        simulators = {}
        for number, (kind, (count, quirks)) in enumerate(CAMERAS.items(), 1):
            options = _options(row[0], f"371326010011800001{number:02d}", count, quirks)
            simulators[kind] = await enter(Simulator(options))
        http = await enter(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)))
        made = World(row, http, simulators, city, metro, asyncio.Lock(), [])
        for simulator in simulators.values():
            await simulator.wait_registered()
        county = row[2].gateway
        await county.policies.apply(POLICY, ADMIN)
        for upper in (city, made.metro):
            await county.platforms.save(upper.config(retry_delay=1.0), upper.password)
            await upper.registered()
        cameras = sum(count for count, _ in CAMERAS.values())
        await eventually(lambda: _seen(made, cameras), 20.0, "all cameras in the cities")
        yield made


async def _seen(it: World, cameras: int) -> bool:
    """Whether the cities see so many cameras, hence everybody does."""
    lists = [await upper.query_catalog() for upper in (it.city, it.metro)]
    return all(sum(item.device_id[10:13] == "132" for item in items) >= cameras for items in lists)
