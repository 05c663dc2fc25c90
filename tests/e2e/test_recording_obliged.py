"""Recordings for people outside whom a rule obliges: names that are masked, the sub stream and nothing else."""

import asyncio
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from gateway.simulator.simulator import Simulator
from tests.e2e.test_recording import recorded
from tests.support.gateway import eventually, running_gateway
from tests.support.recordings import probe

pytestmark = [pytest.mark.net, pytest.mark.timeout(90)]

POLICY = """
version = 1
[[rule]]
id = "obliged"
effect = "allow"
actions = ["catalog", "playback", "download"]
subjects = { departments = ["urban"] }
obligations = { OBLIGATIONS }
"""


async def test_what_a_rule_masks_and_limits_is_masked_and_limited_for_recordings(  # noqa: PLR0915 - one story
    tmp_path: Path,
) -> None:
    async with (
        running_gateway(tmp_path / "data") as it,
        Simulator(
            it.simulator_options(
                channels=3, width=640, height=480, bitrate=300_000, gb_version="3.0"
            )
        ) as simulator,
    ):
        await simulator.wait_registered()
        device = simulator.devices[0].device_id
        main, sub, _ = [f"{device}/{code}" for code in await it.channels(device, 3)]
        for channel, stream in ((main, 0), (sub, 1)):
            plan = {"mode": "always", "stream": stream}
            status, answer = await it.api.call("PUT", f"recordings/plans/{channel}", json=plan)
            assert status == 200, answer
        files = {channel: (await recorded(it.api, channel, 2.0))[0] for channel in (main, sub)}
        assert [file["stream"] for file in files.values()] == [0, 1]
        await it.api.call("PUT", "departments/urban", json={"name": "Urban"})
        scopes = {"department": "urban", "scopes": ["catalog", "playback", "download"]}
        _, key = await it.api.call("POST", "keys", json=scopes)

        async def apply(obligations: str) -> None:
            text = POLICY.replace("OBLIGATIONS", obligations)
            status, answer = await it.api.call("PUT", "policy", json={"text": text})
            assert status in {200, 201}, answer

        headers = {"Authorization": f"Bearer {key['bearer']}"}
        base = f"{it.gateway.http_url}/api/v1/recordings"
        async with aiohttp.ClientSession(headers=headers) as urban:

            async def get(path: str) -> tuple[int, str, bytes]:
                async with urban.get(f"{base}{path}") as answer:
                    body = await answer.read()
                    if answer.content_type != "application/problem+json":
                        return answer.status, "", body
                    return answer.status, (await answer.json())["code"], body

            def paths(channel: str) -> list[str]:
                words = f"?start={quote(files[channel]['begin'])}"
                verbs = ("play", "play.mp4", "download.mp4")
                return [
                    *(f"/{channel}/{verb}{words}" for verb in verbs),
                    f"/files/{files[channel]['file_id']}.mp4",
                ]

            await apply("notify_owner = true")
            assert [(await get(path))[0] for path in paths(main)] == [200] * 4
            await apply('sub_stream = true, mask_name = "MASKED"')

            async with urban.get(f"{base}/channels") as answer:
                listed = await answer.json()
            assert {item["name"] for item in listed["items"]} == {"MASKED"}
            assert listed["total"] == len(listed["items"]) == 2
            async with urban.get(f"{base}/channels?limit=1&offset=1") as answer:
                page = await answer.json()
            assert (page["items"], page["total"]) == (listed["items"][1:], 2)
            own = (await it.api.get("recordings/channels"))["items"]
            assert "MASKED" not in {item["name"] for item in own}

            for path in paths(main):
                assert (await get(path))[:2] == (403, "sub_stream_only")
                async with urban.head(f"{base}{path}") as probed:
                    assert probed.status == (405 if "/play?" in path else 403)
            for path in paths(sub):
                status, code, body = await get(path)
                assert (status, code) == (200, "")
                if ".mp4" in path:
                    file = tmp_path / "clip.mp4"
                    await asyncio.to_thread(file.write_bytes, body)
                    assert (await asyncio.to_thread(probe, file)).width < 640

        async def on_record() -> bool:
            found = (await it.api.get("audit?limit=500"))["items"]
            mine = [item for item in found if item["subject"].get("department") == "urban"]
            denied = [item["action"] for item in mine if item["reason"] == "sub_stream_only"]
            looked = [item["detail"] for item in mine if item["object_id"] == "recordings/channels"]
            return looked == ["1 of 2 items", "2 of 2 items"] and set(denied) == {
                "playback",
                "download",
            }

        await eventually(on_record, 10.0, "the refusals and the two lists on record")
