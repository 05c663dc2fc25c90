"""Two gateways in a row with cameras below the lower one, and sipp as the platform above the upper one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from gateway.domain.platform import LinkState, PlatformAddress, PlatformConfig
from gateway.domain.policy import Subject
from gateway.simulator.simulator import Simulator
from tests.support.gateway import RunningGateway, eventually
from tests.support.levels import POLICY, row_of_gateways
from tests.support.sipp import Sipp, free_sip_port, read_xml

__all__ = ["HEIGHT", "LOWER", "MIDDLE", "RECORDER", "TOPS", "WIDTH", "Foreign", "foreign"]

LOWER = "37132601002000000001"
MIDDLE = "37132600002000000001"
RECORDER = "37132601001180000001"
PASSWORD = "upper-password"
TOPS = {"UDP": "37130000002000000001", "TCP": "37130000002000000002"}
"""The same sipp twice: as a platform reached by UDP, and as one reached by TCP."""
WIDTH, HEIGHT = 352, 288


class Foreign:
    """The row, with sipp on top."""

    def __init__(
        self,
        row: list[RunningGateway],
        simulator: Simulator,
        uppers: dict[str, tuple[Sipp, int]],
        folder: Path,
    ) -> None:
        self.lower, self.middle = row
        self.simulator = simulator
        self.recorder = simulator.devices[0]
        self.folder = folder
        self._uppers = uppers

    @property
    def cameras(self) -> list[str]:
        """Codes of the recorder's cameras."""
        return [channel.channel_id for channel in self.recorder.channels]

    def upper(self, transport: str) -> Sipp:
        """sipp where the middle gateway registers."""
        return self._uppers[transport][0]

    async def catalogued(self) -> None:
        """Wait until the middle gateway knows all: the recorder and its cameras."""

        async def enough() -> bool:
            page = await self.middle.api.get(f"channels?device_id={LOWER}&limit=1")
            return bool(page["total"] >= len(self.cameras) + 1)

        await eventually(enough, 40.0, "the catalogue at the middle gateway")

    async def register(self, transport: str, **platform: Any) -> None:
        """Let the middle gateway register at sipp."""
        config = PlatformConfig(
            platform_id=TOPS[transport],
            addresses=(PlatformAddress("127.0.0.1", self._uppers[transport][1]),),
            transport=transport,
            **platform,
        )
        await self.middle.gateway.platforms.save(config, PASSWORD)

        async def online() -> bool:
            return self.middle.gateway.links.status(TOPS[transport]).state is LinkState.ONLINE

        await eventually(online, 10.0, f"the registration over {transport}")

    async def run(
        self,
        scenario: str,
        *arguments: str,
        transport: str = "UDP",
        service: str = MIDDLE,
        name: str = "",
        **keys: str,
    ) -> Sipp:
        """Start a scenario in which sipp asks the middle gateway for something."""
        return await Sipp.start(
            scenario,
            self.folder,
            *("-s", service, *arguments),
            f"127.0.0.1:{self.middle.sip_port(transport)}",
            transport=transport,
            keys={"upper": TOPS[transport], **keys},
            name=name,
        )

    async def ask(self, calls: Sequence[tuple[str, ...]], transport: str = "UDP") -> None:
        """Send queries and controls (root, CmdType, SN, target, more), one by one; each must get its 200."""
        listed = "\n".join(["SEQUENTIAL", *(";".join(call) for call in calls)])
        file = self.folder / "calls.csv"
        await asyncio.to_thread(file.write_text, f"{listed}\n")
        many = ("-inf", str(file), "-m", str(len(calls)), "-l", "1", "-r", "50")
        await (await self.run("upper_ask.xml", *many, transport=transport)).finish()

    def told(self, cmd_type: str, sn: str, transport: str = "UDP") -> list[Element]:
        """The business answers that came so far."""
        bodies = [read_xml(m.body) for m in self.upper(transport).received("MESSAGE")]
        return [x for x in bodies if (x.findtext("CmdType"), x.findtext("SN")) == (cmd_type, sn)]

    async def answer(self, cmd_type: str, sn: str, transport: str = "UDP") -> Element:
        """The business answer with this SN."""

        async def came() -> list[Element]:
            return self.told(cmd_type, sn, transport)

        found: list[Element] = await eventually(came, 8.0, f"{cmd_type} with SN {sn}")
        assert len(found) == 1
        return found[0]

    async def idle(self) -> None:
        """Wait until nobody holds a stream any more."""

        async def free() -> bool:
            held = [level.gateway.counts() for level in (self.lower, self.middle)]
            busy = any(x["sessions"] + x["bridges"] + x["ssrcs"] for x in held)
            return not busy and not self.simulator.session_count

        await eventually(free, 15.0, "the end of all streams")


@asynccontextmanager
async def foreign(
    folder: Path, *transports: str, channels: int = 2, **options: Any
) -> AsyncIterator[Foreign]:
    """Gateways and cameras, catalogued; nobody is registered at sipp yet."""
    async with AsyncExitStack() as stack:
        uppers = {}
        for transport in transports:
            port = free_sip_port()
            sipp = await stack.enter_async_context(
                Sipp.serving(
                    *("upper_registrar.xml", folder),
                    port=port,
                    transport=transport,
                    keys={"password": PASSWORD},
                    name=f"registrar-{transport}",
                )
            )
            uppers[transport] = (sipp, port)
        row = await stack.enter_async_context(
            row_of_gateways(
                *(folder, (LOWER, MIDDLE)),
                link={"transport": "TCP"},
                cascade={"subscribe_catalog": "all"},
            )
        )
        await row[1].gateway.policies.apply(POLICY, Subject(role="admin"))
        values = {
            "server_id": LOWER,
            "base_id": RECORDER,
            "channels": channels,
            "width": WIDTH,
            "height": HEIGHT,
            "catalog_items": 100,
            "transport": "TCP",
        }
        simulator = await stack.enter_async_context(
            Simulator(row[0].simulator_options(**(values | options)))
        )
        it = Foreign(row, simulator, uppers, folder)
        await it.catalogued()
        yield it
