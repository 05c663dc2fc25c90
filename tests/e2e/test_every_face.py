"""One camera, every face at once, foreign players on each: the camera is asked once."""

import asyncio
import json
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from gateway.domain.policy import Subject
from gateway.simulator.simulator import Simulator
from tests.support.browser import Browser, chromium
from tests.support.gateway import SERVER_ID, eventually, running_gateway
from tests.support.hls_page import SAMPLE, START, hls_page, sample_of
from tests.support.levels import POLICY
from tests.support.upper_platform import PASSWORD, UpperPlatform
from tests.support.whep_page import WHEP_SCRIPT

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.timeout(110)]

ADMIN = Subject(role="admin")
FOR_US = 0
"""Packet type of AF_PACKET: arriving, of the two times that a packet passes on loopback."""
PATIENCE = 60.0
MASTER_CLOCK = re.compile(rb"\s*(-?[0-9.]+) (?:M-V|A-V|M-A)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


class Wire:
    """What goes over loopback, read below IP: INVITEs to one UDP port."""

    def __init__(self, port: int) -> None:
        self.invites: set[bytes] = set()
        """Call-IDs."""
        self._port = port.to_bytes(2, "big")
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self._socket.bind(("lo", 0x0800))
        self._socket.setblocking(False)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Wire"]:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._read)
        try:
            yield self
        finally:
            loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _read(self) -> None:
        for _ in range(256):
            try:
                data, (_, _, kind, _, _) = self._socket.recvfrom(65_535)
            except BlockingIOError:
                return
            start = (data[0] & 15) * 4
            udp, body = data[start : start + 8], data[start + 8 :]
            ours = kind == FOR_US and data[9] == socket.IPPROTO_UDP and udp[2:4] == self._port
            if ours and body.startswith(b"INVITE "):
                found = re.search(rb"(?im)^(?:Call-ID|i)\s*:\s*(\S+)", body)
                assert found is not None
                self.invites.add(found[1])


async def ffplay(url: str, transport: str) -> float:
    """Seconds of picture that FFplay has shown when its time is over."""
    process = await asyncio.create_subprocess_exec(
        *("ffplay", "-hide_banner", "-loglevel", "info", "-stats", "-autoexit", "-t", "6"),
        *("-rtsp_transport", transport, "-i", url),
        env=os.environ | {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said, clock = b"", []
    try:
        async with asyncio.timeout(PATIENCE):
            while part := await process.stderr.read(4096):
                said = (said + part)[-8192:]
                clock += [float(value) for value in MASTER_CLOCK.findall(part)]
                if len(clock) > 2 and clock[-1] - clock[0] > 3.0:
                    break
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    assert len(clock) > 2, said.decode(errors="replace")
    return clock[-1] - clock[0]


async def ffprobe(url: str) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        *("ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "json", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return sorted(item["codec_name"] for item in json.loads(out)["streams"])


async def by_hls(page: Page, url: str) -> float:
    """Seconds that hls.js has played, with a picture that moves."""
    await page.evaluate(START, {"url": url, "options": {}})
    await page.wait_for_function("document.getElementById('video').currentTime > 1", timeout=60_000)
    first = sample_of(await page.evaluate(SAMPLE))
    await page.wait_for_function(
        f"document.getElementById('video').currentTime > {first.time + 1}", timeout=60_000
    )
    last = sample_of(await page.evaluate(SAMPLE))
    assert [item for item in last.found["errors"] if item["fatal"]] == []
    assert last.differs(first) > 0.001
    return last.time - first.time


async def by_whep(page: Page, url: str) -> dict[str, Any]:
    """What the page got by WHEP, with a picture that moves."""
    await page.add_script_tag(content=WHEP_SCRIPT)
    found: dict[str, Any] = await page.evaluate("url => whep(url)", url)
    assert found["status"] == 201, found
    first = await page.evaluate("sums()")
    await page.wait_for_function(
        "first => JSON.stringify(sums()) !== JSON.stringify(first)", arg=first, timeout=60_000
    )
    return found


async def test_all_faces_share_one_invite(tmp_path: Path, browser: Browser) -> None:
    async with (
        UpperPlatform(lower_id=SERVER_ID) as upper,
        hls_page() as page,
        running_gateway(
            tmp_path,
            http={"cors_origins": (page,)},
            media={"first_packet_timeout": 15.0, "source_timeout": 15.0},
        ) as it,
        Simulator(it.simulator_options()) as simulator,
    ):
        async with asyncio.timeout(PATIENCE):
            await simulator.wait_registered()
        await it.gateway.policies.apply(POLICY, ADMIN, comment="share everything")
        device = simulator.devices[0].device_id
        (channel,) = await it.channels(device, 1)
        await it.gateway.platforms.save(upper.config(local_id=""), PASSWORD)
        await upper.registered()

        async def shared() -> list[str]:
            items = await upper.query_catalog()
            return [item.device_id for item in items if item.device_id[10:13] in {"131", "132"}]

        (code,) = await eventually(shared, PATIENCE, "the camera at the upper")
        known = it.gateway.registry.get(device)
        assert known is not None
        assert known.address is not None
        async with Wire(known.address.port).listening() as wire:
            urls = (await it.api.play(device, channel))["urls"]
            assert {"flv", "mp4", "ws_flv", "ws_mp4", "rtsp", "hls", "whep"} <= set(urls)
            async with asyncio.TaskGroup() as group:
                tcp = group.create_task(ffplay(urls["rtsp"], "tcp"))
                udp = group.create_task(ffplay(urls["rtsp"], "udp"))
                flv = group.create_task(ffprobe(urls["flv"]))
                hls = group.create_task(browser.on_page(page, lambda at: by_hls(at, urls["hls"])))
                whep = group.create_task(
                    browser.on_page(page, lambda at: by_whep(at, urls["whep"]))
                )
                call = await upper.invite(code)
                assert len(await call.packets(100)) >= 100
            await call.bye()
            assert min(tcp.result(), udp.result()) > 3.0
            assert flv.result() == ["aac", "h264"]
            assert hls.result() > 0.5
            assert whep.result()["width"] == 320
            assert len(wire.invites) == 1
            assert simulator.session_count == 1
        records = (await it.api.get("sessions"))["items"]
        assert len(records) == 1
        found = (await it.api.get("audit?action=live&result=allow"))["items"]
        faces = {record["via"] for record in found}
        assert faces >= {"http", "rtsp", "webrtc", "sip"}
