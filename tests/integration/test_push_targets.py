"""Channels pushed to targets that know nothing of us: FFmpeg as RTMP, RTSP and SRT server."""

import asyncio
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator.quirk import Quirk
from gateway.simulator.simulator import Simulator
from tests.support.gateway import RunningGateway, eventually, running_gateway
from tests.support.tls_front import tls_front

pytestmark = [pytest.mark.net, pytest.mark.slow]

SECONDS = 30.0
"""Within which things must have happened, on the slowest machine."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Receiver:
    """FFmpeg as a server that takes one publisher and writes what comes."""

    url: str
    arguments: tuple[str, ...]
    file: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            "ffmpeg",
            *("-nostdin", "-loglevel", "error", "-y", *self.arguments),
            *("-c", "copy", "-flush_packets", "1", "-f", "matroska", str(self.file)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def stop(self) -> None:
        if self.process is not None:
            if self.process.returncode is None:
                self.process.kill()
            await self.process.wait()

    async def frames(self) -> dict[str, int]:
        """Packets received so far, by codec."""
        process = await asyncio.create_subprocess_exec(
            *("ffprobe", "-v", "error", "-count_packets", "-show_entries"),
            *("stream=codec_name,nb_read_packets", "-of", "json", str(self.file)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        out, _ = await process.communicate()
        found = json.loads(out or b"{}").get("streams", [])
        return {item["codec_name"]: int(item.get("nb_read_packets", 0)) for item in found}


def receiver(kind: str, folder: Path, secret: str = "") -> Receiver:
    file = folder / f"{kind}.mkv"
    if kind == "rtmp":
        url = f"rtmp://127.0.0.1:{free_port()}/live/{secret or 'name'}"
        return Receiver(url, ("-listen", "1", "-i", url), file)
    if kind == "rtsp":
        url = f"rtsp://127.0.0.1:{free_port()}/live/{secret or 'name'}"
        return Receiver(url, ("-rtsp_flags", "listen", "-i", url), file)
    url = f"srt://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    return Receiver(url, ("-i", f"{url}?mode=listener"), file)


@asynccontextmanager
async def camera(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[RunningGateway, str, str]]:
    assert shutil.which("ffmpeg")
    async with (
        running_gateway(tmp_path / "data") as it,
        Simulator(it.simulator_options(**options)) as simulator,
    ):
        async with asyncio.timeout(SECONDS):
            await simulator.wait_registered()
        device = simulator.devices[0].device_id
        (channel,) = await it.channels(device, 1)
        yield it, device, channel


async def added(it: RunningGateway, **body: Any) -> dict[str, Any]:
    status, push = await it.api.call("POST", "pushes", json=body)
    assert status == 201, push
    return dict(push)


async def in_state(it: RunningGateway, push_id: str, *states: str) -> dict[str, Any]:
    async def reached() -> dict[str, Any] | None:
        push = await it.api.get(f"pushes/{push_id}")
        return push if push["state"] in states else None

    return dict(await eventually(reached, SECONDS, f"state {states}"))


@pytest.mark.parametrize("kind", ["rtmp", "rtsp", "srt"])
async def test_a_channel_arrives_with_picture_and_sound_at_a_target(
    tmp_path: Path, kind: str
) -> None:
    target = receiver(kind, tmp_path)
    async with camera(tmp_path) as (it, device, channel):
        await target.start()
        try:
            push = await added(it, device_id=device, channel_id=channel, url=target.url)
            running = await in_state(it, push["push_id"], "running")
            assert running["kind"] == kind

            async def enough() -> bool:
                found = await target.frames()
                return found.get("h264", 0) > 40 and found.get("aac", 0) > 10

            await eventually(enough, SECONDS, "picture and sound")
            record = (await it.api.get("sessions"))["items"][0]
            assert (record["viewers"], record["state"]) == (1, "running")
            assert (await it.api.get(f"pushes/{push['push_id']}"))["bytes"] > 10_000
            (access,) = (await it.api.get("accesses"))["items"]
            assert access["via"] == "push"
            status, _ = await it.api.call("DELETE", f"pushes/{push['push_id']}")
            assert status == 204
            await it.ended(record["session_id"])
            assert (await it.api.get("accesses"))["items"] == []
        finally:
            await target.stop()


@pytest.mark.parametrize("kind", ["rtmp", "rtsp"])
async def test_a_target_by_tls_must_show_a_certificate_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    target = receiver(kind, tmp_path)
    plain = int(target.url.split(":")[2].partition("/")[0])
    async with camera(tmp_path) as (it, device, channel), tls_front(tmp_path, plain) as front:
        await target.start()
        try:
            url = f"{kind}s://127.0.0.1:{front.port}/live/name"
            push = await added(it, device_id=device, channel_id=channel, url=url)
            assert push["tls_verify"] is True
            push = await in_state(it, push["push_id"], "waiting")
            assert push["reason"] == "push_refused"
            # Nothing of the stream went to a host that may be anybody.
            assert front.passed == 0
            monkeypatch.setenv("SSL_CERT_FILE", str(front.certificate))
            await it.api.call("POST", f"pushes/{push['push_id']}/retry")
            await in_state(it, push["push_id"], "running")

            async def enough() -> bool:
                return (await target.frames()).get("h264", 0) > 20

            await eventually(enough, SECONDS, "the picture")
        finally:
            await target.stop()


async def test_an_srt_passphrase_reaches_the_target_and_no_list_of_processes(
    tmp_path: Path,
) -> None:
    target = receiver("srt", tmp_path)
    secret = "passphrase=correcthorsebattery"
    target.arguments = ("-i", f"{target.url}?mode=listener&{secret}")
    async with camera(tmp_path) as (it, device, channel):
        await target.start()
        assert target.process is not None
        try:
            url = f"{target.url}?{secret}"
            push = await added(it, device_id=device, channel_id=channel, url=url)
            await in_state(it, push["push_id"], "running")

            async def enough() -> bool:
                return (await target.frames()).get("h264", 0) > 20

            await eventually(enough, SECONDS, "the picture")
            ours = await asyncio.to_thread(_command_lines, f"/proc/{os.getpid()}/task")
            senders = [line for line in ours if b"mpegts" in line]
            assert senders
            assert not any(b"correcthorse" in line for line in senders)
        finally:
            await target.stop()


def _command_lines(tasks: str) -> list[bytes]:
    """Arguments of the processes that this one has started."""
    children = [
        number
        for task in Path(tasks).iterdir()
        for number in (task / "children").read_text().split()
    ]
    return [Path(f"/proc/{number}/cmdline").read_bytes() for number in children]


async def test_the_certificate_of_a_target_may_be_left_unverified(tmp_path: Path) -> None:
    target = receiver("rtmp", tmp_path)
    plain = int(target.url.split(":")[2].partition("/")[0])
    async with camera(tmp_path) as (it, device, channel), tls_front(tmp_path, plain) as front:
        await target.start()
        try:
            url = f"rtmps://127.0.0.1:{front.port}/live/name"
            wanted = {"device_id": device, "channel_id": channel, "url": url}
            push = await added(it, **wanted, tls_verify=False)
            running = await in_state(it, push["push_id"], "running")
            assert running["tls_verify"] is False
        finally:
            await target.stop()


async def test_a_target_that_is_not_there_is_tried_again_until_it_is(tmp_path: Path) -> None:
    target = receiver("rtmp", tmp_path, secret="a-stream-key?pass=word")
    async with camera(tmp_path) as (it, device, channel):
        push = await added(it, device_id=device, channel_id=channel, url=target.url)
        waiting = await in_state(it, push["push_id"], "waiting")
        assert waiting["reason"] == "push_refused"
        assert "refused" in waiting["detail"]
        assert waiting["next_try_at"] > waiting["since"]
        shown = json.dumps(await it.api.get("pushes"))
        assert "pass" not in shown
        assert "a-stream-key" not in shown
        await target.start()
        try:
            status, _ = await it.api.call("POST", f"pushes/{push['push_id']}/retry")
            assert status == 200
            await in_state(it, push["push_id"], "running")
            assert target.process is not None
            target.process.kill()
            lost = await in_state(it, push["push_id"], "waiting")
            assert lost["reason"] == "push_lost"
            status, off = await it.api.call(
                "PATCH", f"pushes/{push['push_id']}", json={"enabled": False}
            )
            assert (status, off["state"]) == (200, "disabled")
        finally:
            await target.stop()


async def test_a_target_that_never_answers_ends_at_the_deadline_and_holds_nobody_up(
    tmp_path: Path,
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with camera(tmp_path) as (it, device, channel):
        it.gateway.pushes.connect_timeout = 2.0
        url = f"rtmp://127.0.0.1:{port}/live/name"
        push = await added(it, device_id=device, channel_id=channel, url=url)
        waiting = await in_state(it, push["push_id"], "waiting")
        assert waiting["reason"] == "push_timeout"
        assert f"rtmp://127.0.0.1:{port}/live/*** did not take the stream" in waiting["detail"]
        # Others watch meanwhile.
        played = await it.api.play(device, channel)
        assert played["session_id"]
    server.close()


async def test_the_policy_decides_for_a_department_and_secrecy_for_all(tmp_path: Path) -> None:
    async with camera(tmp_path) as (it, device, channel):
        url = f"rtmp://127.0.0.1:{free_port()}/live/name"
        body = {"device_id": device, "channel_id": channel, "url": url, "department": "urban"}
        status, problem = await it.api.call("POST", "pushes", json=body)
        assert (status, problem["code"]) == (404, "department_unknown")
        status, _ = await it.api.call("PUT", "departments/urban", json={"name": "城管局"})
        assert status in {200, 201}
        push = await added(it, **body)
        denied = await in_state(it, push["push_id"], "denied")
        assert denied["reason"] == "no_rule"
        found = it.gateway.registry.channel(device, channel)
        assert found is not None
        found.secrecy = 1
        own = await added(it, device_id=device, channel_id=channel, url=url)
        refused = await in_state(it, own["push_id"], "denied")
        assert refused["reason"] == "secrecy"
        records = (await it.api.get("audit?result=deny"))["items"]
        assert {item["reason"] for item in records} >= {"no_rule", "secrecy"}
        # Tried again, it is refused again, and that is on record already.
        status, _ = await it.api.call("POST", f"pushes/{push['push_id']}/retry")
        again = await in_state(it, push["push_id"], "denied")
        assert again["tries"] >= 1
        known = [item for item in records if item["reason"] == "no_rule"]
        records = (await it.api.get("audit?result=deny"))["items"]
        assert len([item for item in records if item["reason"] == "no_rule"]) == len(known) == 1
        status, problem = await it.api.call("DELETE", "departments/urban")
        assert (status, problem["code"]) == (409, "department_in_use")


async def test_a_forced_stop_holds_for_a_push_whose_camera_is_slow_and_for_one_that_runs(
    tmp_path: Path,
) -> None:
    target = receiver("rtmp", tmp_path)
    slow = {"quirks": frozenset({Quirk.SLOW_ANSWER}), "answer_delay": 2.0}
    async with camera(tmp_path, **slow) as (it, device, channel):
        await target.start()
        try:
            push = await added(it, device_id=device, channel_id=channel, url=target.url)
            assert push["state"] == "starting"
            body = {"reason": "by order", "subject": {"any": True}, "everything": True}
            status, stop = await it.api.call("POST", "stops", json=body)
            assert status == 201, stop
            refused = await in_state(it, push["push_id"], "denied")
            assert refused["reason"] == "stopped"
            assert (await it.api.get("accesses"))["items"] == []
            status, _ = await it.api.call("POST", f"stops/{stop['stop_id']}/lift")
            assert status == 200
            await in_state(it, push["push_id"], "running")
            status, stop = await it.api.call("POST", "stops", json=body)
            assert status == 201, stop
            refused = await in_state(it, push["push_id"], "denied")
            assert refused["reason"] == "stopped"
            assert (await it.api.get("accesses"))["items"] == []
        finally:
            await target.stop()


async def test_a_push_is_deleted_once_however_many_ask(tmp_path: Path) -> None:
    async with camera(tmp_path) as (it, device, channel):
        url = "rtmp://127.0.0.1:1/live/name"
        push = await added(it, device_id=device, channel_id=channel, url=url, enabled=False)
        async with asyncio.TaskGroup() as group:
            calls = [
                group.create_task(it.api.call("DELETE", f"pushes/{push['push_id']}"))
                for _ in range(3)
            ]
        assert sorted(call.result()[0] for call in calls) == [204, 404, 404]


async def test_a_gateway_that_stops_ends_a_push_whose_target_is_silent(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    # That nothing is held afterwards is checked when the gateway has stopped.
    async with camera(tmp_path) as (it, device, channel):
        url = f"rtmp://127.0.0.1:{port}/live/name"
        push = await added(it, device_id=device, channel_id=channel, url=url)

        async def begun() -> bool:
            return bool((await it.api.get("accesses"))["items"])

        await eventually(begun, SECONDS, "the push's access")
        assert (await it.api.get(f"pushes/{push['push_id']}"))["state"] == "starting"
    server.close()


BAD: list[tuple[dict[str, str], str]] = [
    ({"url": "http://127.0.0.1/x"}, "invalid_push"),
    ({"url": "rtmp:///nothing"}, "invalid_push"),
    ({"url": "rtsp://host:99999/x"}, "invalid_push"),
    ({"url": "srt://127.0.0.1:1/ -i /etc/passwd"}, "invalid_push"),
    ({"channel_id": "34020000001320000099"}, "channel_unknown"),
]


async def test_what_cannot_work_is_refused_with_a_reason(tmp_path: Path) -> None:
    async with camera(tmp_path) as (it, device, channel):
        good = {"device_id": device, "channel_id": channel, "url": "rtmp://127.0.0.1:1/a/b"}
        for change, code in BAD:
            status, problem = await it.api.call("POST", "pushes", json=good | change)
            assert status in {404, 422}, change
            assert problem["code"] == code, change
        assert (await it.api.get("pushes"))["total"] == 0


async def test_pushes_are_there_again_after_a_restart(tmp_path: Path) -> None:
    url = "rtmp://user:secret@127.0.0.1:1/live/name"
    async with camera(tmp_path) as (it, device, channel):
        push = await added(it, device_id=device, channel_id=channel, url=url, name="城管")
        assert push["target"] == "rtmp://127.0.0.1:1/live/***"
    kept = (tmp_path / "data" / "gateway.db").read_bytes()
    assert b"secret@" not in kept
    async with running_gateway(tmp_path / "data") as it:
        found = await it.api.get(f"pushes/{push['push_id']}")
        assert (found["name"], found["target"]) == ("城管", push["target"])
        waiting = await in_state(it, push["push_id"], "waiting")
        assert waiting["reason"] == "device_offline"
