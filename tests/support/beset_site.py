"""A gateway with cameras, an upper platform that may misbehave, and a decent one beside it that must not notice."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.domain.platform import PlatformEvent
from gateway.domain.policy import Subject
from gateway.sharing.audit.search import AuditQuery, AuditRow
from gateway.simulator.simulator import Simulator
from gb28181.aio.clock import monotonic
from gb28181.manscdp import CatalogQuery, DeviceInfoQuery, serialize_message
from gb28181.rtp.packet import RtpPacket
from tests.support.gateway import SERVER_ID, RunningGateway, eventually, running_gateway
from tests.support.raw_sip import RawSip
from tests.support.upper_platform import PASSWORD, UPPER_ID, UpperCall, UpperPlatform

__all__ = [
    "HIDDEN",
    "NEIGHBOUR_ID",
    "NOBODY",
    "RECORDER",
    "SHARED",
    "STRANGER_ID",
    "BesetSite",
    "beset_site",
    "offer",
    "query",
]

NEIGHBOUR_ID = "37130000002000000002"
STRANGER_ID = "37130000002000000077"
RECORDER = "34020000001180000001"
SHARED = "34020000001320000001"
"""Everybody above may have it."""
HIDDEN = "34020000001320000003"
"""Only the neighbour may."""
NOBODY = "34020000001320009999"
"""No such camera."""
ADMIN = Subject(role="admin")

POLICY = f"""
version = 1
[[rule]]
id = "all-platforms"
effect = "allow"
subjects = {{ platforms = ["*"] }}
actions = ["catalog", "live", "ptz", "alarm", "config", "position"]

[[rule]]
id = "not-everything"
effect = "deny"
subjects = {{ platforms = ["{UPPER_ID}"] }}
objects = {{ channels = ["{HIDDEN}"] }}
actions = ["*"]
"""


class BesetSite:
    """All of them; the neighbour watches a camera all the time."""

    def __init__(
        self,
        gateway: RunningGateway,
        simulator: Simulator,
        upper: UpperPlatform,
        neighbour: UpperPlatform,
    ) -> None:
        self.gateway = gateway
        self.simulator = simulator
        self.upper = upper
        self.neighbour = neighbour
        self.watching: UpperCall | None = None

    def raw(self, host: str = "127.0.0.1", transport: str = "UDP") -> RawSip:
        """A socket to the gateway."""
        return RawSip(
            ("127.0.0.1", self.gateway.sip_port(transport)), host=host, transport=transport
        )

    def noted(
        self, platform_id: str = UPPER_ID, *, kind: PlatformEvent = PlatformEvent.REFUSED
    ) -> list[str]:
        """What the platform's timeline says, the newest first; as often as it came, in the latest one's words."""
        timeline = self.gateway.gateway.links.status(platform_id).timeline
        found = [entry for entry in timeline if entry.kind is kind]
        return [entry.detail for entry in found for _ in range(entry.count)]

    async def records(self, **query: Any) -> list[AuditRow]:
        """Records of accesses, the oldest first."""
        page = await self.gateway.gateway.sharing.audit.search(AuditQuery(limit=1000, **query))
        assert not page.more
        return list(reversed(page.rows))

    async def denied(self, platform_id: str = UPPER_ID) -> list[tuple[str, str, str]]:
        """(action, object, reason) of each refusal of a platform."""
        rows = await self.records(subject=f"platform:{platform_id}", result="deny")
        return [(row.entry.action, row.entry.object_id, row.entry.reason) for row in rows]

    async def unharmed(self) -> float:
        """The neighbour is served, its stream has no gap, and nothing has crashed; the seconds that took it."""
        began = monotonic()
        await self.neighbour.ask(DeviceInfoQuery(sn=self.neighbour.next_sn(), device_id=SERVER_ID))
        codes = {item.device_id for item in await self.neighbour.query_catalog()}
        seconds = monotonic() - began
        assert seconds < 15.0
        assert {SHARED, HIDDEN} <= codes
        assert self.watching is not None
        before = len(self.watching.received)
        await self.watching.packets(before + 5)
        numbers = [RtpPacket.parse(data).sequence for data in self.watching.received]
        assert all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(numbers))
        crashes = self.gateway.gateway.metrics.task_crashes
        assert sum(sample.value for metric in crashes.collect() for sample in metric.samples) == 0
        return seconds

    async def held(self, **wanted: int) -> None:
        """Wait until the gateway holds so many of these (sessions, bridges, ...)."""

        async def so_many() -> bool:
            counts = self.gateway.gateway.counts()
            return {name: counts[name] for name in wanted} == wanted

        await eventually(so_many, 10.0, f"{wanted}, now {self.gateway.gateway.counts()}")


def query(device_id: str = SERVER_ID, sn: int = 7) -> bytes:
    """A catalogue query."""
    return serialize_message(CatalogQuery(sn=sn, device_id=device_id))


def offer(port: int = 9, *, host: str = "127.0.0.1", name: str = "Play", **lines: str) -> bytes:
    """A sound offer, but for what the test says; `lines` replaces single ones."""
    usual = {
        "v": "0",
        "o": f"{UPPER_ID} 0 0 IN IP4 {host}",
        "s": name,
        "c": f"IN IP4 {host}",
        "t": "0 0",
        "m": f"video {port} RTP/AVP 96",
        "a": "rtpmap:96 PS/90000",
        "y": "0100000001",
    }
    return "".join(f"{key}={value}\r\n" for key, value in (usual | lines).items()).encode()


@asynccontextmanager
async def beset_site(
    folder: Path,
    *,
    upper: dict[str, Any] | None = None,
    cameras: dict[str, Any] | None = None,
    **sections: Any,
) -> AsyncIterator[BesetSite]:
    """Run it; at the end the neighbour must not have been harmed.

    Args:
        folder: For the gateway's data.
        upper: Configuration of the misbehaving platform.
        cameras: Options of the simulator.
        sections: Settings of the gateway.
    """
    recorder = {"channels": 3, "catalog_items": 3, "audio": None, **(cameras or {})}
    async with (
        UpperPlatform(lower_id=SERVER_ID) as bad,
        UpperPlatform(NEIGHBOUR_ID, lower_id=SERVER_ID, host="127.0.0.2") as neighbour,
        running_gateway(folder, **sections) as gateway,
        Simulator(gateway.simulator_options(**recorder)) as simulator,
    ):
        await gateway.gateway.policies.apply(POLICY, ADMIN)
        async with asyncio.timeout(10):
            await simulator.wait_registered()
        await gateway.channels(RECORDER, 3)
        for platform, config in ((bad, upper or {}), (neighbour, {})):
            saved = platform.config(local_id="", **config)
            await gateway.gateway.platforms.save(saved, PASSWORD)
            await platform.registered()
        site = BesetSite(gateway, simulator, bad, neighbour)
        site.watching = await neighbour.invite(SHARED)
        await site.watching.packets(5)
        yield site
        await site.unharmed()
        await site.watching.bye()
        await site.held(sessions=0, bridges=0, accesses=0, ssrcs=0)
