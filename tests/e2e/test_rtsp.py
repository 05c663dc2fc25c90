"""Streams by RTSP, judged by players that are not ours: ffmpeg and GStreamer record without a gap."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator.simulator import Simulator
from gb28181.es.unit import Codec
from tests.support.gateway import RunningGateway, eventually, running_gateway
from tests.support.rtsp_record import continuity, record_by_ffmpeg, record_by_gstreamer, run

pytestmark = [pytest.mark.net, pytest.mark.timeout(90)]


@dataclass
class Site:
    """A gateway with one camera."""

    it: RunningGateway
    simulator: Simulator
    device: str
    channel: str

    async def url(self) -> str:
        """The stream's URL with a token, as POST play gives it."""
        return str((await self.it.api.play(self.device, self.channel))["urls"]["rtsp"])

    def plain(self, user: str = "") -> str:
        """The stream's URL without a token."""
        port = self.it.gateway.rtsp.port if self.it.gateway.rtsp else 0
        return f"rtsp://{user}127.0.0.1:{port}/live/{self.device}/{self.channel}"

    async def key(self) -> tuple[str, str]:
        """Id and secret of a new key of an operator."""
        body = {"role": "operator", "name": "wang", "scopes": ["live"]}
        status, key = await self.it.api.call("POST", "keys", json=body)
        assert status == 201, key
        return key["key"]["key_id"], key["secret"]


@asynccontextmanager
async def site(folder: Path, **options: Any) -> AsyncIterator[Site]:
    async with (
        # Over TCP the camera loses nothing either, and it waits for players that are slow to start.
        running_gateway(folder, media={"transport": "tcp_passive", "no_readers_grace": 8.0}) as it,
        Simulator(it.simulator_options(**options)) as simulator,
    ):
        async with asyncio.timeout(10):
            await simulator.wait_registered()
        device = simulator.devices[0].device_id
        channels = await it.channels(device, 1)
        yield Site(it, simulator, device, channels[0])


CODECS = [(Codec.H264, Codec.PCM_ALAW), (Codec.HEVC, Codec.AAC)]
TROUBLE = ("missed", "max delay", "Non-monoton", "corrupt", "rror", "ERROR", "WARN")


@pytest.mark.parametrize(("video", "audio"), CODECS)
async def test_ffmpeg_and_gstreamer_record_side_by_side_without_a_gap(
    tmp_path: Path, video: Codec, audio: Codec
) -> None:
    async with site(tmp_path, video=video, audio=audio) as it:
        url, codecs = await it.url(), (video.value, audio.value)
        runs: dict[str, asyncio.Task[tuple[int, str]]] = {}
        async with asyncio.TaskGroup() as group:
            for transport in ("tcp", "udp"):
                runs[f"ffmpeg-{transport}"] = group.create_task(
                    record_by_ffmpeg(
                        url, tmp_path / f"ffmpeg-{transport}.mkv", 6, transport=transport
                    )
                )
                runs[f"gstreamer-{transport}"] = group.create_task(
                    record_by_gstreamer(
                        url,
                        tmp_path / f"gstreamer-{transport}.mkv",
                        6,
                        transport=transport,
                        codecs=codecs,
                    )
                )
        assert it.simulator.devices[0].invites_received == 1
        for name, task in runs.items():
            status, said = task.result()
            assert (name, status) == (name, 0), said
            assert not [trouble for trouble in TROUBLE if trouble in said], (name, said)
            tracks = await continuity(tmp_path / f"{name}.mkv", by=name.partition("-")[0])
            pictures, sound = tracks["video"], tracks["audio"]
            assert (name, pictures.codec, sound.codec) == (name, *codecs)
            assert (name, pictures.seconds > 5, sound.seconds > 5) == (name, True, True)
            assert (name, pictures.missing) == (name, 0)
            assert 0.035 < pictures.narrowest <= pictures.widest < 0.045, name
            assert sound.widest < 0.13, name
            assert abs(sound.stamps[0] - pictures.stamps[0]) < 0.2, name

        async def stopped() -> bool:
            return it.simulator.session_count == 0

        await eventually(stopped, 10, "the end of the session")
        counts = it.it.gateway.counts()
        assert (counts["rtsp"], counts["accesses"]) == (0, 0)


async def test_gstreamer_records_as_it_does_by_default(tmp_path: Path) -> None:
    async with site(tmp_path, audio=Codec.PCM_MULAW) as it:
        file = tmp_path / "recording.mkv"
        # Its jitter buffer would squeeze the pictures that come at once with the last key frame.
        status, said = await record_by_gstreamer(
            f"{await it.url()}&start=next",
            file,
            2,
            transport="tcp",
            codecs=("h264", "pcm_mulaw"),
            source="",
        )
        assert status == 0, said
        tracks = await continuity(file)
        assert tracks["audio"].codec == "pcm_mulaw"
        # It bends the stamps by how packets arrive; a picture that is missing would be a step of 80 ms.
        assert 0.02 < tracks["video"].narrowest <= tracks["video"].widest < 0.06


async def test_ffmpeg_and_gstreamer_log_in_with_a_key(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        name, secret = await it.key()
        probe = ("ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-show_entries")
        asked = (*probe, "stream=codec_name", "-of", "csv=p=0")
        status, said = await run(*asked, it.plain(f"{name}:{secret}@"), wait=30)
        assert (status, said.split()) == (0, ["h264", "pcm_alaw"])
        status, said = await run(*asked, it.plain(f"{name}:{secret[:-1]}x@"), wait=30)
        assert (status != 0, "401" in said) == (True, True)
        status, said = await run(*asked, it.plain(), wait=30)
        assert (status != 0, "401" in said) == (True, True)
        source = f"user-id={name} user-pw={secret}"
        file = tmp_path / "recording.mkv"
        status, said = await record_by_gstreamer(
            it.plain(), file, 2, transport="tcp", source=f"buffer-mode=none {source}"
        )
        assert status == 0, said
        assert (await continuity(file))["video"].missing == 0
        records = await it.it.api.get("audit?limit=100")
        refused = [r for r in records["items"] if r["reason"] == "credential_wrong"]
        assert [(r["via"], r["object_id"]) for r in refused] == [("rtsp", f"key:{name}")]


async def test_an_operator_who_ends_a_viewing_ends_the_recording(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        url = await it.url()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(
                record_by_ffmpeg(url, tmp_path / "recording.mkv", 30, transport="tcp")
            )
            access = None

            async def watching() -> Any:
                found = await it.it.api.get("accesses")
                return found["items"] and found["items"][0]

            access = await eventually(watching, 10, "the access")
            assert access["via"] == "rtsp"
            await asyncio.sleep(2)
            status, _ = await it.it.api.call("DELETE", f"accesses/{access['access_id']}")
            assert status in {200, 204}
        assert task.result()[0] == 0
        assert (await continuity(tmp_path / "recording.mkv"))["video"].seconds < 25


async def test_an_offline_camera_is_a_reason_in_the_players_own_message(tmp_path: Path) -> None:
    async with site(tmp_path) as it:
        url = await it.url()
        await it.simulator.__aexit__(None, None, None)
        status, said = await run("ffprobe", "-v", "error", url, wait=30)
        assert status != 0
        assert "503" in said
        assert "offline" in said
