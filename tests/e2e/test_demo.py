"""`gateway demo` as the README's first command runs it: with its figures, and with the reason when no picture comes."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.support.gateway_process import free_port, gateway_environment
from tests.support.ports import MANY, as_text

pytestmark = [pytest.mark.net, pytest.mark.timeout(90)]


async def demo(folder: Path, *arguments: str, **settings: object) -> tuple[int, str]:
    """Run the demo to its end; exit status and what it printed."""
    environment = gateway_environment(
        sip__port=free_port(),
        http__port=free_port(),
        rtp__port_range=as_text(MANY, 100),
        **settings,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "--lang", "en", "--data-dir", str(folder / "data"),
        "demo", *arguments,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_the_demo_ends_with_a_verdict_and_its_figures(tmp_path: Path) -> None:
    status, said = await demo(tmp_path, "--duration", "2")
    assert status == 0, said
    lines = said.splitlines()
    steps = ("Gateway up", "is online", "Catalogue synchronised: 4 channels", "Stream URLs")
    places = [next(i for i, line in enumerate(lines) if step in line) for step in steps]
    assert places == sorted(places)
    stages = re.findall(r"stage (\w+): \d+ ms", said)
    assert stages[0] == "requested"
    assert {"invited", "answered", "first_packet", "decodable", "first_output"} <= set(stages)
    urls = re.findall(
        r"(\w+) +((?:http|ws)://127\.0\.0\.1:\d+/live/\S+\.(?:flv|mp4)\?token=\S+)", said
    )
    assert {name for name, _ in urls} == {"flv", "mp4", "ws_flv", "ws_mp4"}
    assert re.search(r"http://127\.0\.0\.1:\d+/player#url=ws", said)
    assert re.search(r"Console: http://127\.0\.0\.1:\d+/console/ ", said)
    assert re.search(r"rtsp +rtsp://127\.0\.0\.1:\d+/live/\S+\?token=", said)
    for container, sound in (("FLV", "aac"), ("fMP4", "aac"), ("RTSP", "pcm_alaw"), ("HLS", "aac")):
        figures = re.search(
            rf"{container}: h264 1280x720, (\S+) fps, audio {sound}, \d+ frames decoded, "
            r"first picture after (\d+) ms",
            said,
        )
        assert figures, said
        assert 20 < float(figures[1]) < 30
        assert 0 < int(figures[2]) < 20_000
    assert "Verdict: it works, frames were decoded" in said
    assert re.search(r"\d+ kbit/s +\d+ frames +lost 0 +viewers 4", lines[-1])


@pytest.mark.parametrize(
    ("quirk", "reason", "words"),
    [
        ("send_nothing", "no_packet", "sent no RTP to UDP port"),
        ("send_garbage", "", "RTP"),
        ("answer_4xx", "invite_refused", "486 Busy Here: the device is at its limit of streams"),
    ],
)
async def test_without_a_picture_the_demo_fails_and_says_why(
    tmp_path: Path, quirk: str, reason: str, words: str
) -> None:
    status, said = await demo(
        tmp_path,
        "--quirk",
        quirk,
        media__first_packet_timeout=1,
        media__decodable_timeout=2,
    )
    assert status == 1, said
    verdict = said.splitlines()[-1]
    assert verdict.startswith("Verdict: it failed, ")
    assert words in verdict
    assert f"{reason}]" in verdict
    assert "Likely causes and what to do:" in said
    assert "Traceback" not in said


async def test_an_unknown_quirk_is_refused_by_name_and_help_lists_them_all(tmp_path: Path) -> None:
    status, said = await demo(tmp_path, "--quirk", "blue_smoke")
    assert status == 2
    assert "blue_smoke" in said
    status, said = await demo(tmp_path, "--quirk", "help")
    assert status == 0
    assert {"send_nothing", "lost_bye", "no_psm"} <= set(said.split())
