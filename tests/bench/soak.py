"""Soak: 200 devices of 5 channels, 20 streams of 2 Mbit/s, viewers coming and going, then kill -9 and restart.

`python tests/bench/soak.py --seconds 600`. The gateway runs in a process of its own. The last line is the
verdict; the exit status is 0 only when nothing failed, nothing was left over and memory stood still.
"""

import argparse
import asyncio
import os
import random
import re
import signal
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from gateway.simulator.options import SimulatorOptions
from gateway.simulator.simulator import Simulator

SERVER = "34020000002000000001"
PASSWORD = "soak-common-password"
HTTP, SIP = 28_080, 28_060
KEEPALIVE = 10.0


@dataclass
class Tally:
    """What happened."""

    viewed: int = 0
    bytes: int = 0
    failures: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)


class Gateway:
    """The process under test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait until it is ready."""
        environment = os.environ | {
            "GATEWAY__DATA_DIR": str(self._folder),
            "GATEWAY__SIP__ID": SERVER,
            "GATEWAY__SIP__PASSWORD": PASSWORD,
            "GATEWAY__SIP__HOST": "127.0.0.1",
            "GATEWAY__SIP__PORT": str(SIP),
            "GATEWAY__SIP__KEEPALIVE_INTERVAL": str(KEEPALIVE),
            "GATEWAY__HTTP__PORT": str(HTTP),
            "GATEWAY__RTSP__PORT": "0",
            "GATEWAY__RTP__HOST": "127.0.0.1",
            "GATEWAY__MEDIA__NO_READERS_GRACE": "2",
            "GATEWAY__LOG__LEVEL": "warning",
        }
        log = (self._folder / "gateway.log").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "serve", env=environment, stdout=log, stderr=log
        )
        async with aiohttp.ClientSession() as http, asyncio.timeout(30):
            while True:
                try:
                    async with http.get(f"http://127.0.0.1:{HTTP}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def token(self) -> str:
        """The CLI token of this start."""
        return (self._folder / "cli.token").read_text().strip()

    def memory_mib(self) -> float:
        """Resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        return int(found[1]) / 1024 if found else 0.0

    async def stop(self, number: int) -> None:
        """Signal and wait."""
        assert self._process is not None
        self._process.send_signal(number)
        async with asyncio.timeout(20):
            await self._process.wait()

    async def end(self) -> None:
        """Make sure that it is gone, whatever happened."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def log_tail(self) -> str:
        """The last lines of its log."""
        lines = (self._folder / "gateway.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-15:])


class Operator:
    """Uses the API."""

    def __init__(self, http: aiohttp.ClientSession, gateway: Gateway) -> None:
        self._http = http
        self._gateway = gateway

    async def call(self, method: str, path: str) -> tuple[int, Any]:
        """One request."""
        headers = {"Authorization": f"Bearer {self._gateway.token}"}
        url = f"http://127.0.0.1:{HTTP}{path}"
        async with self._http.request(method, url, headers=headers) as answer:
            if answer.content_type.endswith("json"):
                return answer.status, await answer.json()
            return answer.status, await answer.text()

    async def metric(self, name: str) -> float:
        """Sum of a metric over its labels."""
        _, text = await self.call("GET", "/metrics")
        pattern = rf"^gateway_{name}(?:\{{[^}}]*\}})? ([0-9.e+-]+)$"
        return sum(float(value) for value in re.findall(pattern, text, re.MULTILINE))


async def view(
    operator: Operator, http: aiohttp.ClientSession, stream: str, seconds: float, tally: Tally
) -> None:
    """Watch one stream for a while; silence or an early end is a failure."""
    status, answer = await operator.call("POST", f"/api/v1/channels/{stream}/play")
    if status >= 300:
        tally.failures.append(f"play {stream}: {status} {answer}")
        return
    kind = random.choice(["flv", "mp4", "ws_mp4", "ws_flv"])
    url, until, got = answer["urls"][kind], time.monotonic() + seconds, 0
    try:
        if kind.startswith("ws"):
            async with http.ws_connect(url, max_msg_size=0) as socket:
                while time.monotonic() < until:
                    message = await socket.receive(timeout=8)
                    if message.type is aiohttp.WSMsgType.BINARY:
                        got += len(message.data)
                    elif message.type is not aiohttp.WSMsgType.TEXT:
                        raise ConnectionError(f"{message.type} {message.data} {message.extra}")
        else:
            async with http.get(url) as body:
                if body.status != 200:
                    raise ConnectionError(f"{body.status} {await body.text()}")
                while time.monotonic() < until:
                    async with asyncio.timeout(8):
                        chunk = await body.content.readany()
                    if not chunk:
                        raise ConnectionError("the stream ended early")
                    got += len(chunk)
    except (TimeoutError, ConnectionError, aiohttp.ClientError) as exc:
        tally.failures.append(f"{kind} {stream} after {got} bytes: {exc!r}")
    tally.viewed += 1
    tally.bytes += got


async def audience(
    operator: Operator, streams: list[str], seconds: float, gateway: Gateway, tally: Tally
) -> None:
    """Keep 20 places filled with viewers who come and go, and note the memory."""
    begin = time.monotonic()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as group:

        async def place(number: int) -> None:
            mine = streams[number::20]
            while (left := seconds - (time.monotonic() - begin)) > 1:
                duration = min(left, random.uniform(4, 25))
                await view(operator, http, random.choice(mine), duration, tally)

        async def note() -> None:
            while (at := time.monotonic() - begin) < seconds:
                tally.memory.append((at, gateway.memory_mib()))
                if len(tally.memory) % 12 == 0:
                    running = await operator.metric("sessions")
                    print(
                        f"{at:5.0f} s: {gateway.memory_mib():.1f} MiB, {running:.0f} streams, "
                        f"{tally.viewed} views, {len(tally.failures)} failures",
                        flush=True,
                    )
                await asyncio.sleep(5)

        for number in range(20):
            group.create_task(place(number))
        group.create_task(note())


async def leftovers(operator: Operator, tasks_before: float) -> list[str]:
    """What is still held once everybody is gone."""
    await asyncio.sleep(12)
    held = []
    for name in ("sessions", "streams", "sip_dialogs", "ssrcs", "viewers"):
        if value := await operator.metric(name):
            held.append(f"{name}={value:.0f}")
    _, text = await operator.call("GET", "/metrics")
    if not re.search(r'rtp_port_pairs\{state="leased"\} 0', text):
        held.append("ports")
    tasks = await operator.metric("tasks")
    if tasks > tasks_before:
        held.append(f"tasks={tasks:.0f} (before: {tasks_before:.0f})")
    return held


async def all_online(operator: Operator, wanted: int, timeout: float) -> float:
    """Seconds until so many devices are online."""
    begin = time.monotonic()
    async with asyncio.timeout(timeout):
        while True:
            _, found = await operator.call("GET", "/api/v1/devices?online=true&limit=1")
            if found["total"] >= wanted:
                return time.monotonic() - begin
            await asyncio.sleep(0.2)


async def soak(seconds: float, devices: int, folder: Path) -> int:
    """The whole course."""
    tally, gateway = Tally(), Gateway(folder)
    common: dict[str, Any] = {
        "server_port": SIP, "server_id": SERVER, "password": PASSWORD, "local_host": "127.0.0.1",
        "channels": 5, "bitrate": 2_000_000, "keepalive_interval": KEEPALIVE, "retry_delay": 5.0,
    }  # fmt: skip
    udp = SimulatorOptions(devices=devices * 3 // 4, **common)
    tcp = SimulatorOptions(
        devices=devices - udp.devices, transport="TCP", base_id="34020000001189000001", **common
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(gateway.end)
        await gateway.start()
        http = await stack.enter_async_context(aiohttp.ClientSession())
        operator = Operator(http, gateway)
        simulators = [await stack.enter_async_context(Simulator(item)) for item in (udp, tcp)]
        print(f"{devices} devices online after {await all_online(operator, devices, 60):.1f} s")
        streams: list[str] = []
        async with asyncio.timeout(60):
            while len(streams) < devices * 5:
                _, found = await operator.call("GET", "/api/v1/channels?limit=1000")
                streams = [f"{i['device_id']}/{i['channel_id']}" for i in found["items"]]
                await asyncio.sleep(0.5)
        print(f"{len(streams)} channels catalogued", flush=True)
        tasks_before = await operator.metric("tasks")
        await audience(operator, streams, seconds, gateway, tally)
        held = await leftovers(operator, tasks_before)
        print(f"left over: {held or 'nothing'}", flush=True)

        registered = sum(device.registrations for device in simulators[0].devices)
        await gateway.stop(signal.SIGKILL)
        await gateway.start()
        _, known = await operator.call("GET", "/api/v1/devices?limit=1")
        print(f"after kill -9: {known['total']} devices known at once")
        await asyncio.sleep(KEEPALIVE + 1)
        anew = sum(device.registrations for device in simulators[0].devices) - registered
        await view(operator, http, streams[0], 3, tally)
        back = await all_online(operator, devices, 60)
        print(f"UDP devices that registered anew: {anew}; all online {back:.1f} s later")
        await gateway.stop(signal.SIGTERM)
    warm = [mib for at, mib in tally.memory if at > min(120, seconds / 3)]
    half = len(warm) // 2
    growth = statistics.mean(warm[half:]) - statistics.mean(warm[:half]) if half else 0.0
    print(
        f"{tally.viewed} views, {tally.bytes / 1e9:.2f} GB, {len(tally.failures)} failures; memory "
        f"{statistics.mean(warm):.1f} MiB, second half {growth:+.2f} MiB against the first"
    )
    for failure in tally.failures[:20]:
        print("  ", failure)
    bad = bool(tally.failures or held or known["total"] < devices or anew or growth > 8)
    if bad:
        print(gateway.log_tail())
    print("FAILED" if bad else "PASSED")
    return int(bad)


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--devices", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(soak(options.seconds, options.devices, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
