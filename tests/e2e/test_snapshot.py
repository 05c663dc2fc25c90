"""Pictures of a simulated camera that nobody watches, with the camera's own clock readable in them."""

import asyncio
import io
from pathlib import Path

import av
import pytest

from gateway.simulator.picture import PictureLayout, read_text
from gateway.simulator.simulator import Simulator
from gb28181.es.unit import Codec
from tests.support.gateway import RunningGateway, running_gateway

pytestmark = [pytest.mark.net, pytest.mark.timeout(60)]


async def jpeg(it: RunningGateway, channel: str, query: str = "") -> tuple[int, bytes]:
    url = f"{it.gateway.http_url}/api/v1/channels/{channel}/snapshot.jpg{query}"
    headers = {"Authorization": f"Bearer {it.gateway.cli_token}"}
    async with it.api._http.get(url, headers=headers) as answer:
        return answer.status, await answer.read()


def decoded(data: bytes) -> tuple[int, int, str]:
    """Size of a JPEG and the clock in it."""
    with av.open(io.BytesIO(data), "r", format="mjpeg") as source:
        frame = next(source.decode(video=0))
        assert isinstance(frame, av.VideoFrame)
        luma = frame.reformat(format="gray").planes[0]
        layout = PictureLayout(frame.width, frame.height)
        return (
            frame.width,
            frame.height,
            read_text(bytes(luma), stride=luma.line_size, layout=layout),
        )


@pytest.mark.parametrize("video", [Codec.H264, Codec.HEVC], ids=str)
async def test_a_picture_starts_the_camera_shows_its_clock_and_lets_it_stop(
    tmp_path: Path, video: Codec
) -> None:
    async with (
        running_gateway(tmp_path) as it,
        Simulator(it.simulator_options(video=video)) as simulator,
    ):
        async with asyncio.timeout(10):
            await simulator.wait_registered()
        device = simulator.devices[0].device_id
        channel = f"{device}/{(await it.channels(device, 1))[0]}"
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(jpeg(it, channel)) for _ in range(3)]
        assert [task.result()[0] for task in tasks] == [200] * 3
        assert simulator.session_count == 1
        width, height, clock = await asyncio.to_thread(decoded, tasks[0].result()[1])
        assert (width, height) == (320, 240)
        assert "?" not in clock
        await asyncio.sleep(0.3)
        (
            _,
            later,
        ) = await jpeg(it, channel)
        assert (await asyncio.to_thread(decoded, later))[2] > clock
        status, small = await jpeg(it, channel, "?width=160")
        assert status == 200
        assert (await asyncio.to_thread(decoded, small))[:2] == (160, 120)
        session = (await it.api.get("sessions"))["items"][0]
        ended = await it.ended(session["session_id"])
        assert ended["ended"]["reason"] == "no_readers"


async def test_a_camera_that_is_gone_is_the_reason_told(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as it:
        async with Simulator(it.simulator_options()) as simulator:
            async with asyncio.timeout(10):
                await simulator.wait_registered()
            device = simulator.devices[0].device_id
            channel = f"{device}/{(await it.channels(device, 1))[0]}"
        status, body = await jpeg(it, channel)
        assert status == 503
        assert b"device_offline" in body
