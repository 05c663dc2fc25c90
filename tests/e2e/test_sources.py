"""Foreign sources from end to end: published by FFmpeg and GStreamer, pulled from them, watched and cascaded."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.domain.policy import Subject
from gb28181.rtp.packet import RtpPacket
from tests.support.foreign_sources import (
    H265,
    decoded,
    free_port,
    gst_publisher,
    gst_rtsp_server,
    hevc_publisher,
    publisher,
    rtmp_listener,
    running,
)
from tests.support.gateway import SERVER_ID, RunningGateway, eventually, running_gateway
from tests.support.levels import POLICY
from tests.support.offers import offer
from tests.support.tls_front import tls_front
from tests.support.upper_platform import PASSWORD, UpperPlatform

pytestmark = [pytest.mark.net, pytest.mark.slow]

ADMIN = Subject(role="admin")
SOURCES: dict[str, dict[str, Any]] = {
    "rtmp": {"enabled": True, "port": 0},
    "sources": {"connect_timeout": 15, "read_timeout": 5},
}


@asynccontextmanager
async def gateway_with_sources(
    folder: Path, **sections: dict[str, Any]
) -> AsyncIterator[RunningGateway]:
    async with running_gateway(folder, **(SOURCES | sections)) as gateway:
        yield gateway


async def add(gateway: RunningGateway, kind: str, **settings: Any) -> dict[str, Any]:
    status, added = await gateway.api.call("POST", "sources", json={"kind": kind, **settings})
    assert status == 201, added
    return dict(added)


async def in_state(gateway: RunningGateway, source_id: str, *states: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        source = await gateway.api.get(f"sources/{source_id}")
        return dict(source) if source["state"] in states else None

    return dict(await eventually(there, 25.0, f"{' or '.join(states)} of {source_id}"))


async def watched(gateway: RunningGateway, source: dict[str, Any]) -> dict[str, int]:
    playing = await gateway.api.play(source["device_id"], source["source_id"])
    return await decoded(playing["urls"]["flv"])


async def answered_by_whep(gateway: RunningGateway, source: dict[str, Any]) -> tuple[int, str]:
    playing = await gateway.api.play(source["device_id"], source["source_id"])
    headers = {"Content-Type": "application/sdp"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(playing["urls"]["whep"], data=offer(), headers=headers) as answer,
    ):
        return answer.status, str((await answer.json())["code"])


@pytest.mark.parametrize("encoder", ["ffmpeg", "rtmp2sink", "rtmpsink"])
async def test_whoever_has_the_key_publishes_and_is_watched(tmp_path: Path, encoder: str) -> None:
    async with gateway_with_sources(tmp_path) as gateway:
        added = await add(gateway, "push_rtmp", name="drone")
        url, source = added["publish_url"], added["source"]
        command = (
            publisher(url) if encoder == "ffmpeg" else gst_publisher(f"{encoder} location={url}")
        )
        async with running(*command):
            shown = await in_state(gateway, source["source_id"], "running")
            assert shown["publisher"].startswith("127.0.0.1:")
            found = await watched(gateway, source)
            assert found["h264"] > 20
            assert found["aac"] > 20
            stages = (await gateway.api.get("sessions"))["items"][0]["stages"]
            assert {"connected", "first_packet", "decodable", "first_output"} <= set(stages)
            if encoder == "ffmpeg":
                # It sends B-frames, of which browsers would show four pictures a second.
                assert await answered_by_whep(gateway, source) == (406, "codec_not_supported")
            assert not {"invited", "answered", "port_leased"} & set(stages)
        await in_state(gateway, source["source_id"], "waiting_publisher")


async def test_hevc_is_published_with_the_enhanced_header(tmp_path: Path) -> None:
    async with gateway_with_sources(tmp_path) as gateway:
        added = await add(gateway, "push_rtmp")
        source = added["source"]
        async with running(*hevc_publisher(added["publish_url"])):
            await in_state(gateway, source["source_id"], "running")
            playing = await gateway.api.play(source["device_id"], source["source_id"])
            assert (await decoded(playing["urls"]["mp4"]))["hevc"] > 20


async def test_a_wrong_key_is_refused_counted_and_on_record(tmp_path: Path) -> None:
    async with gateway_with_sources(tmp_path) as gateway:
        added = await add(gateway, "push_rtmp", name="drone")
        source_id, base = added["source"]["source_id"], added["source"]["publish_url"]
        for url in (f"{base}?key=wrong", base, base.replace(source_id, "34020000001320999999")):
            async with running(*publisher(url, seconds=2)) as process:
                async with asyncio.timeout(20):
                    out, _ = await process.communicate()
            assert process.returncode != 0
            assert b"wrong stream key" in out
            assert added["key"].encode() not in out
        assert (await in_state(gateway, source_id, "waiting_publisher"))["publisher"] == ""
        records = (await gateway.api.get("audit?limit=50"))["items"]
        denied = [record for record in records if record["via"] == "rtmp"]
        assert {record["object_id"] for record in denied} == {
            f"source:{source_id}",
            "source:34020000001320999999",
        }
        assert all(record["result"] == "deny" for record in denied)
        assert added["key"] not in str(records)


async def test_a_drone_is_cascaded_to_an_upper_platform_as_a_program_stream(tmp_path: Path) -> None:
    async with (
        UpperPlatform(lower_id=SERVER_ID) as upper,
        gateway_with_sources(tmp_path) as gateway,
    ):
        await gateway.gateway.policies.apply(POLICY, ADMIN, comment="share everything")
        added = await add(gateway, "push_rtmp", name="drone", longitude=117.6, latitude=35.5)
        await gateway.gateway.platforms.save(upper.config(local_id=""), PASSWORD)
        await upper.registered()
        source_id = added["source"]["source_id"]

        async def listed(status: str) -> Any:
            items = {item.device_id: item for item in await upper.query_catalog()}
            item = items.get(source_id)
            return item if item is not None and item.status == status else None

        item = await eventually(lambda: listed("OFF"), 10.0, "the drone in the upper's catalogue")
        assert (item.name, item.longitude) == ("drone", 117.6)
        async with running(*publisher(added["publish_url"])):
            await eventually(lambda: listed("ON"), 20.0, "ON of the drone")
            call: Any = await upper.invite(source_id)
            packets = [RtpPacket.parse(data) for data in await call.packets(120, timeout=15.0)]
            await call.bye()
        taken = tmp_path / "upper.ps"
        await asyncio.to_thread(taken.write_bytes, b"".join(one.payload for one in packets))
        found = await decoded("-f", "mpeg", str(taken), seconds=60)
        assert found["h264"] > 10
        assert found["aac"] > 10


async def test_a_second_publisher_is_refused_and_a_new_key_ends_the_first(tmp_path: Path) -> None:
    async with gateway_with_sources(tmp_path) as gateway:
        added = await add(gateway, "push_rtmp")
        source_id = added["source"]["source_id"]
        async with running(*publisher(added["publish_url"])) as first:
            await in_state(gateway, source_id, "running")
            async with running(*publisher(added["publish_url"], seconds=2)) as second:
                async with asyncio.timeout(20):
                    out, _ = await second.communicate()
            assert b"publishes to" in out
            assert second.returncode != 0
            assert (await gateway.api.get(f"sources/{source_id}"))["state"] == "running"
            status, issued = await gateway.api.call("POST", f"sources/{source_id}/key")
            assert (status, issued["key"] != added["key"]) == (200, True)
            async with asyncio.timeout(20):
                await first.communicate()
        async with running(*publisher(issued["publish_url"])):
            await in_state(gateway, source_id, "running")


async def test_an_rtsp_camera_is_pulled_for_all_viewers_at_once(tmp_path: Path) -> None:
    async with (
        gst_rtsp_server(user="admin", password="p@ss word") as (port, _),
        gateway_with_sources(tmp_path) as gateway,
    ):
        url = f"rtsp://admin:p%40ss%20word@127.0.0.1:{port}/cam"
        source = (await add(gateway, "pull_rtsp", url=url, name="gate"))["source"]
        assert source["url"] == f"rtsp://127.0.0.1:{port}/cam"
        status, report = await gateway.api.call("POST", f"sources/{source['source_id']}/test")
        assert (status, report["ok"]) == (200, True), report
        assert "h264 320x240" in report["tracks"]
        async with asyncio.TaskGroup() as group:
            both = [group.create_task(watched(gateway, source)) for _ in range(2)]
        assert all(one.result()["h264"] > 20 and one.result()["aac"] > 0 for one in both)
        sessions = (await gateway.api.get("sessions"))["items"]
        assert len(sessions) == 1
        assert sessions[0]["transport"] == "rtsp_tcp"
        ended = await gateway.ended(sessions[0]["session_id"])
        assert ended["ended"]["reason"] == "no_readers"
        assert "p@ss" not in str(await gateway.api.get("sources"))


async def test_a_source_by_tls_must_show_a_certificate_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        gst_rtsp_server() as (port, _),
        tls_front(tmp_path, port) as front,
        gateway_with_sources(tmp_path) as gateway,
    ):
        url = f"rtsps://127.0.0.1:{front.port}/cam"
        source = (await add(gateway, "pull_rtsp", url=url))["source"]
        path = f"channels/{source['device_id']}/{source['source_id']}/play"
        status, problem = await gateway.api.call("POST", path)
        assert (status, problem["code"]) == (502, "source_refused")
        assert "trusted" in problem["detail"]
        assert front.passed == 0
        with monkeypatch.context() as trusted:
            trusted.setenv("SSL_CERT_FILE", str(front.certificate))
            assert (await watched(gateway, source))["h264"] > 20
        # Without asking for a certificate, as the operator says.
        changes = {"tls_verify": False}
        status, changed = await gateway.api.call(
            "PATCH", f"sources/{source['source_id']}", json=changes
        )
        assert (status, changed["tls_verify"]) == (200, False)
        assert (await watched(gateway, source))["h264"] > 20


async def test_a_source_that_dies_says_so_and_comes_back_when_watched_again(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with gateway_with_sources(tmp_path) as gateway:
        url = f"rtsp://127.0.0.1:{port}/cam"
        drone = await add(gateway, "push_rtmp")
        source = (await add(gateway, "pull_rtsp", url=url, rtsp_transport="udp"))["source"]
        async with (
            running(*publisher(drone["publish_url"])),
            gst_rtsp_server(H265, port=port) as (_, server),
            asyncio.TaskGroup() as group,
        ):
            await in_state(gateway, drone["source"]["source_id"], "running")
            other = await gateway.api.play(
                drone["source"]["device_id"], drone["source"]["source_id"]
            )
            steady = group.create_task(decoded(other["urls"]["flv"], seconds=5))
            playing = await gateway.api.play(source["device_id"], source["source_id"])
            assert (await decoded(playing["urls"]["mp4"]))["hevc"] > 20
            server.kill()
            await in_state(gateway, source["source_id"], "failed")
            status, problem = await gateway.api.call(
                "POST", f"channels/{source['device_id']}/{source['source_id']}/play"
            )
            assert (status, problem["code"]) == (504, "source_unreachable")
            assert (await steady)["h264"] > 100
        async with gst_rtsp_server(H265, port=port):
            playing = await gateway.api.play(source["device_id"], source["source_id"])
            assert (await decoded(playing["urls"]["mp4"]))["hevc"] > 20


async def test_what_cannot_be_pulled_says_why_without_its_password(tmp_path: Path) -> None:
    sections = {"sources": {"connect_timeout": 2, "read_timeout": 2}}
    # The kernel takes connections, nobody answers.
    silent = socket.create_server(("127.0.0.1", 0))
    deaf = silent.getsockname()[1]
    async with (
        gst_rtsp_server(user="admin", password="right") as (port, _),
        gateway_with_sources(tmp_path, **sections) as gateway,
    ):
        for url, status, code in (
            (f"rtsp://admin:sesame@127.0.0.1:{port}/cam", 502, "source_refused"),
            (f"rtsp://admin:right@127.0.0.1:{port}/sesame", 502, "source_refused"),
            (f"rtsp://admin:sesame@127.0.0.1:{free_port()}/cam", 504, "source_unreachable"),
            (f"rtsp://admin:sesame@127.0.0.1:{deaf}/cam", 504, "source_unreachable"),
            ("rtsp://admin:sesame@no-such-host.invalid/cam", 504, "source_unreachable"),
        ):
            source = (await add(gateway, "pull_rtsp", url=url))["source"]
            path = f"channels/{source['device_id']}/{source['source_id']}/play"
            answered, problem = await gateway.api.call("POST", path)
            assert (answered, problem["code"]) == (status, code), (url, problem)
            assert "sesame@" not in str(problem)
            shown = await in_state(gateway, source["source_id"], "failed")
            assert shown["reason"] == code
            assert "admin:" not in str(shown)
    silent.close()


async def test_a_source_that_never_answers_holds_up_no_end(tmp_path: Path) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam"
    sections = {"sources": {"connect_timeout": 60, "read_timeout": 60, "max_pulls": 1}}
    # Less than the source is given to answer.
    async with asyncio.timeout(45), gateway_with_sources(tmp_path, **sections) as gateway:
        source = (await add(gateway, "pull_rtsp", url=url, always=True))["source"]
        await in_state(gateway, source["source_id"], "connecting")
        other = (await add(gateway, "pull_rtsp", url=url))["source"]
        path = f"channels/{other['device_id']}/{other['source_id']}/play"
        status, problem = await gateway.api.call("POST", path)
        assert (status, problem["code"]) == (503, "too_many_pulls")
    silent.close()


async def test_an_rtmp_server_is_pulled(tmp_path: Path) -> None:
    port = free_port()
    sections = {"sources": {"connect_timeout": 15, "probe_interval": 0}}
    async with (
        gateway_with_sources(tmp_path, **sections) as gateway,
        running(*rtmp_listener(port)) as process,
    ):
        assert process.stdout is not None
        async with asyncio.timeout(20):
            while b"Output #0" not in (line := await process.stdout.readline()):
                # It listens once it has opened its inputs.
                if b"sine" in line:
                    break
        await asyncio.sleep(1.0)
        url = f"rtmp://127.0.0.1:{port}/live/cam"
        source = (await add(gateway, "pull_rtmp", url=url))["source"]
        found = await watched(gateway, source)
        assert found["h264"] > 20
        assert found["aac"] > 20


async def test_a_source_fetched_always_is_there_before_anybody_watches(tmp_path: Path) -> None:
    async with (
        gst_rtsp_server() as (port, _),
        gateway_with_sources(tmp_path) as gateway,
    ):
        url = f"rtsp://127.0.0.1:{port}/cam"
        source = (await add(gateway, "pull_rtsp", url=url, always=True))["source"]
        await in_state(gateway, source["source_id"], "running")
        # Longer than a stream that nobody watches is kept.
        await asyncio.sleep(1.6)
        session = (await gateway.api.get("sessions"))["items"][0]
        assert (session["state"], session["viewers"]) == ("running", 0)
        status, _ = await gateway.api.call(
            "PATCH", f"sources/{source['source_id']}", json={"always": False}
        )
        assert status == 200
        await gateway.ended(session["session_id"])


async def test_sources_are_channels_like_any_other_also_after_a_restart(tmp_path: Path) -> None:
    async with gateway_with_sources(tmp_path) as gateway:
        drone = await add(gateway, "push_rtmp", name="drone", civil_code="371326")
        camera = await add(gateway, "pull_rtsp", url="rtsp://u:p@127.0.0.1:9/x", enabled=False)
        device_id = drone["source"]["device_id"]
        found = await gateway.api.get("channels?q=drone")
        assert [item["channel_id"] for item in found["items"]] == [drone["source"]["source_id"]]
        channel = f"{device_id}/{drone['source']['source_id']}"
        status, problem = await gateway.api.call("POST", f"channels/{channel}/play")
        assert (status, problem["code"]) == (503, "no_publisher")
        body = {"direction": "left", "speed": 50}
        for method, path, options in (
            ("POST", f"channels/{channel}/ptz", {"json": body}),
            ("POST", f"devices/{device_id}/sync", {}),
            ("DELETE", f"devices/{device_id}", {}),
            ("PUT", f"devices/{device_id}/secret", {"json": {"password": "long enough"}}),
            ("PATCH", f"devices/{device_id}", {"json": {"follow_address": True}}),
        ):
            status, problem = await gateway.api.call(method, path, **options)
            assert status in {409, 422}, (path, problem)
    async with gateway_with_sources(tmp_path) as gateway:
        device = await gateway.api.get(f"devices/{device_id}")
        assert (device["online"], device["channel_count"]) == (True, 2)
        listed = (await gateway.api.get("sources"))["items"]
        assert [item["source_id"] for item in listed] == [
            drone["source"]["source_id"],
            camera["source"]["source_id"],
        ]
        assert [item["state"] for item in listed] == ["waiting_publisher", "disabled"]
        async with running(
            *publisher(
                drone["publish_url"].replace(
                    drone["publish_url"].split("/")[2],
                    f"127.0.0.1:{gateway.gateway.rtmp.port}",  # type: ignore[union-attr]
                )
            )
        ):
            await in_state(gateway, drone["source"]["source_id"], "running")
        for source in (drone, camera):
            status, _ = await gateway.api.call("DELETE", f"sources/{source['source']['source_id']}")
            assert status == 204
        status, _ = await gateway.api.call("GET", f"devices/{device_id}")
        assert status == 404
