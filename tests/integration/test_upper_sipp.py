"""sipp as an upper platform: it registers us, asks for the catalogue and subscribes to it."""

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.domain.platform import PlatformAddress, PlatformConfig, PlatformEvent
from gb28181.manscdp import CatalogItem
from tests.support.platform_catalog import SHARED, FixedCatalog, ServingGateway, serving
from tests.support.sipp import until_listening
from tests.support.upper_platform import LOWER_ID, PASSWORD, UPPER_ID, until

pytestmark = [
    pytest.mark.net,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed"),
]

SCENARIOS = Path(__file__).parent / "scenarios"


class Sipp:
    """One run of sipp; its log of messages can be read after its end."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @classmethod
    async def start(cls, scenario: str, calls: int, *arguments: str, folder: Path) -> "Sipp":
        log = folder / f"{scenario}.log"
        process = await asyncio.create_subprocess_exec(
            *("sipp", "-sf", str(SCENARIOS / scenario), "-i", "127.0.0.1", "-nostdin"),
            *("-timeout", "20s", "-timeout_error", "-m", str(calls)),
            *("-trace_msg", "-message_file", str(log)),
            *arguments,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return cls(process, log)

    async def finish(self) -> str:
        """Wait for the end and return its log of messages; the test fails if a call failed."""
        output, _ = await self._process.communicate()
        if self._process.returncode:
            pytest.fail(f"sipp: {self._process.returncode}\n{output.decode()[-3000:]}")
        return self._log.read_text("latin-1")

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def upper(calls: int, folder: Path, port: int) -> AsyncIterator[Sipp]:
    """The registrar, until it has had so many calls."""
    sipp = await Sipp.start(
        "upper_registrar.xml",
        calls,
        *("-p", str(port), "-key", "password", PASSWORD),
        folder=folder,
    )
    try:
        await until_listening(port)
        yield sipp
    finally:
        await sipp.stop()


def config(port: int, **changes: object) -> PlatformConfig:
    values: dict[str, object] = {
        "platform_id": UPPER_ID,
        "addresses": (PlatformAddress("127.0.0.1", port),),
        "local_id": LOWER_ID,
        "keepalive_interval": 3600.0,
    }
    return PlatformConfig(**(values | changes))  # type: ignore[arg-type]


async def ask(gateway: ServingGateway, scenario: str, folder: Path, *arguments: str) -> Sipp:
    _, port = next(iter(gateway.driver._udp))
    return await Sipp.start(
        scenario,
        1,
        *("-s", LOWER_ID, "-key", "upper", UPPER_ID, *arguments, f"127.0.0.1:{port}"),
        folder=folder,
    )


async def test_sipp_checks_our_digest_and_hears_our_keepalives(tmp_path: Path) -> None:
    port = free_port()
    async with (
        upper(3, tmp_path, port) as sipp,
        serving(config(port, keepalive_interval=5.0)) as gateway,
    ):
        await gateway.online(UPPER_ID)
        link = gateway.links.find(UPPER_ID)
        assert link is not None
        for _ in range(2):
            link._client.send_keepalive(asyncio.get_running_loop().time())
            link._wake.set()
            await asyncio.sleep(0.1)
        log = await sipp.finish()
        assert log.count("<CmdType>Keepalive</CmdType>") == 2
        assert f"<DeviceID>{LOWER_ID}</DeviceID>" in log
        assert link.status().misses == 0


async def test_sipp_refuses_a_wrong_password(tmp_path: Path) -> None:
    port = free_port()
    async with upper(1, tmp_path, port) as sipp, serving() as gateway:
        await gateway.book.save(config(port), "not this one")
        await sipp.finish()
        await until(
            lambda: gateway.links.status(UPPER_ID).reason == "refused_403", 3, "the refusal"
        )


async def test_sipp_gets_the_catalogue_where_it_registered_us(tmp_path: Path) -> None:
    port = free_port()
    async with (
        upper(1 + 5, tmp_path, port) as sipp,
        serving(config(port, catalog_batch=5), catalog=FixedCatalog(20)) as gateway,
    ):
        await gateway.online(UPPER_ID)
        query = await ask(gateway, "upper_query.xml", tmp_path, "-key", "target", LOWER_ID)
        await query.finish()
        log = await sipp.finish()
        assert log.count("<SN>4711</SN>") == 5
        assert log.count("<SumNum>21</SumNum>") == 5
        codes = re.findall(r"<Item>\s*<DeviceID>([0-9]{20})</DeviceID>", log)
        assert codes == [item.device_id for item in gateway.catalog.listed]


async def test_sipp_subscribes_is_told_refreshes_and_cancels(tmp_path: Path) -> None:
    port = free_port()
    async with upper(1, tmp_path, port) as sipp, serving(config(port)) as gateway:
        await gateway.online(UPPER_ID)
        await sipp.finish()
        subscriber = await ask(gateway, "upper_subscribe.xml", tmp_path)
        try:
            await until(lambda: gateway.catalog.notifier.added, 5, "the subscription")
            assert await gateway.catalog.notifier.tell(
                CatalogItem(device_id=SHARED, event="OFF")
            ) == [True]
            await subscriber.finish()
        finally:
            await subscriber.stop()
        assert gateway.links.status(UPPER_ID).subscriptions == {}
        told = [str(e.kind) for e in gateway.links.status(UPPER_ID).timeline]
        assert PlatformEvent.UNSUBSCRIBED in told
