"""A camera registers, is catalogued and watched: every codec, transport and output, judged by ffprobe."""

import asyncio
import json
from pathlib import Path
from typing import Any

import av
import pytest

from gateway.simulator.simulator import Simulator
from gb28181.es.unit import Codec
from tests.support.gateway import RunningGateway, running_gateway

pytestmark = [pytest.mark.net, pytest.mark.timeout(60)]


async def ffprobe(url: str) -> dict[str, dict[str, Any]]:
    """Streams of a URL by kind, as Debian's ffprobe sees them."""
    process = await asyncio.create_subprocess_exec(
        "ffprobe", "-v", "error", "-of", "json", "-show_streams", "-analyzeduration", "3000000",
        "-rw_timeout", "10000000", url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return {item["codec_type"]: item for item in json.loads(out)["streams"]}


def decode(url: str, frames: int) -> tuple[str, int, int, int]:
    """Codec, size and number of frames that PyAV decodes from a URL."""
    with av.open(url, timeout=10) as source:
        video = source.streams.video[0]
        count = 0
        for _ in source.decode(video):
            count += 1
            if count >= frames:
                break
        return video.codec_context.name, video.width, video.height, count


async def start(it: RunningGateway, simulator: Simulator, **body: str) -> dict[str, Any]:
    async with asyncio.timeout(15):
        await simulator.wait_registered()
    device = simulator.devices[0].device_id
    channels = await it.channels(device, 1)
    return await it.api.play(device, channels[0], **body)


@pytest.mark.parametrize("transport", ["udp", "tcp_passive", "tcp_active"])
@pytest.mark.parametrize("audio", [Codec.PCM_ALAW, Codec.AAC], ids=str)
async def test_h264_is_watched_as_flv_and_fragmented_mp4(
    tmp_path: Path, transport: str, audio: Codec
) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(audio=audio)) as simulator,
    ):
        played = await start(it, simulator, transport=transport)
        for output in ("flv", "mp4"):
            streams = await ffprobe(played["urls"][output])
            video, sound = streams["video"], streams["audio"]
            assert (video["codec_name"], video["width"], video["height"]) == ("h264", 320, 240)
            assert sound["codec_name"] == "aac"
        record = await it.api.get(f"sessions/{played['session_id']}")
        assert record["stage"] == "first_output"
        assert ("connected" in record["stages"]) == (transport != "udp")
        assert len({record["ssrc"][side] for side in ("offered", "answered", "received")}) == 1
        assert simulator.session_count == 1


@pytest.mark.parametrize("audio", [Codec.PCM_MULAW, Codec.AAC], ids=str)
async def test_h265_is_hvc1_in_both_containers(tmp_path: Path, audio: Codec) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(video=Codec.HEVC, audio=audio)) as simulator,
    ):
        played = await start(it, simulator)
        streams = await ffprobe(played["urls"]["mp4"])
        assert streams["video"]["codec_name"] == "hevc"
        assert streams["video"]["codec_tag_string"] == "hvc1"
        assert streams["audio"]["codec_name"] == "aac"
        # Debian's ffprobe 5.1 does not know enhanced FLV; PyAV does.
        decoded = await asyncio.to_thread(decode, played["urls"]["flv"], 10)
        assert decoded == ("hevc", 320, 240, 10)


async def test_many_viewers_cost_one_invite_and_leaving_stops_the_camera(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options()) as simulator,
    ):
        played = await start(it, simulator)
        async with asyncio.TaskGroup() as group:
            for output in ("flv", "mp4", "flv", "mp4"):
                group.create_task(asyncio.to_thread(decode, played["urls"][output], 30))
        assert simulator.devices[0].invites_received == 1
        record = await it.ended(played["session_id"])
        assert record["ended"]["reason"] == "no_readers"
        assert simulator.session_count == 0


async def test_signalling_over_tcp_is_asked_on_the_device_s_own_connection(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(transport="TCP", channels=2)) as simulator,
    ):
        played = await start(it, simulator)
        decoded = await asyncio.to_thread(decode, played["urls"]["flv"], 10)
        assert decoded == ("h264", 320, 240, 10)
