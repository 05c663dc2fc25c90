"""Simulated devices against sipp: as their registrar, and as a platform that watches a channel."""

import asyncio
import shutil
import socket
from pathlib import Path

import pytest

from gateway.simulator import Simulator, SimulatorOptions
from gb28181.es.unit import Codec
from tests.support.sipp import until_listening

pytestmark = [
    pytest.mark.net,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed"),
]

SCENARIOS = Path(__file__).parent / "scenarios"
CHANNEL = "34020000001320000001"


class Sipp:
    """One run of sipp with a scenario, ended by its calls or with the test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, scenario: str, *arguments: str, folder: Path) -> "Sipp":
        return cls(
            await asyncio.create_subprocess_exec(
                "sipp",
                "-sf",
                str(SCENARIOS / scenario),
                "-i",
                "127.0.0.1",
                "-nostdin",
                "-timeout",
                "20s",
                "-timeout_error",
                *arguments,
                cwd=folder,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        )

    async def finish(self) -> None:
        """Wait for the end; the test fails with sipp's last lines if a call failed."""
        output, _ = await self._process.communicate()
        if self._process.returncode:
            pytest.fail(f"sipp: {self._process.returncode}\n{output.decode()[-3000:]}")

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def options(port: int, **changes: object) -> SimulatorOptions:
    values: dict[str, object] = {
        "server_port": port,
        "password": "12345678",
        "local_host": "127.0.0.1",
        "width": 320,
        "height": 180,
        "bitrate": 256_000,
        "logout_timeout": 0.2,
    }
    return SimulatorOptions(**(values | changes))  # type: ignore[arg-type]


async def registrar(port: int, calls: int, folder: Path) -> Sipp:
    sipp = await Sipp.start(
        "simulator_registrar.xml",
        *("-p", str(port), "-m", str(calls)),
        *("-key", "password", "12345678"),
        folder=folder,
    )
    await until_listening(port)
    return sipp


async def test_sipp_grants_the_digest_of_ten_devices(tmp_path: Path) -> None:
    port = free_port()
    sipp = await registrar(port, 10, tmp_path)
    try:
        async with Simulator(options(port, devices=10)) as simulator:
            async with asyncio.timeout(10):
                await simulator.wait_registered()
            await sipp.finish()
            assert simulator.registered_count == 10
    finally:
        await sipp.stop()


async def test_sipp_refuses_a_wrong_password(tmp_path: Path) -> None:
    port = free_port()
    sipp = await registrar(port, 1, tmp_path)
    try:
        async with Simulator(options(port, password="other")) as simulator:
            await sipp.finish()
            assert simulator.registered_count == 0
    finally:
        await sipp.stop()


async def receive(sock: socket.socket, stream: bytearray) -> None:
    loop = asyncio.get_running_loop()
    while True:
        stream += (await loop.sock_recv(sock, 2000))[12:]


@pytest.mark.slow
@pytest.mark.parametrize(("video", "name"), [(Codec.H264, b"h264"), (Codec.HEVC, b"hevc")])
async def test_sipp_watches_a_channel_and_ffprobe_reads_what_came(
    tmp_path: Path, video: Codec, name: bytes
) -> None:
    port = free_port()
    media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    media.setblocking(False)
    media.bind(("127.0.0.1", 0))
    media_port = media.getsockname()[1]
    stream = bytearray()
    granting = await registrar(port, 1, tmp_path)
    try:
        async with Simulator(options(port, video=video, audio=Codec.AAC)) as simulator:
            await granting.finish()
            async with asyncio.timeout(10):
                await simulator.wait_registered()
            address = simulator.devices[0].local_address
            assert address is not None
            async with asyncio.TaskGroup() as group:
                receiving = group.create_task(receive(media, stream))
                watching = await Sipp.start(
                    "simulator_invite.xml",
                    *("-s", CHANNEL, "-m", "1", "-key", "receiver_port", str(media_port)),
                    f"127.0.0.1:{address[1]}",
                    folder=tmp_path,
                )
                await watching.finish()
                receiving.cancel()
            assert simulator.session_count == 0
            assert simulator.devices[0].invites_received == 1
    finally:
        await granting.stop()
        media.close()

    probe = await asyncio.create_subprocess_exec(
        *("ffprobe", "-v", "error", "-f", "mpeg", "-count_frames"),
        *("-show_entries", "stream=codec_name,width,height,nb_read_frames"),
        *("-of", "default=noprint_wrappers=1", "-"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    found, _ = await probe.communicate(bytes(stream))
    assert b"codec_name=" + name in found
    assert b"codec_name=aac" in found
    assert b"width=320" in found
    frames = [int(line.split(b"=")[1]) for line in found.split() if line.startswith(b"nb_read")]
    assert frames[0] >= 40
