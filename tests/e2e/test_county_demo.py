"""`gateway demo --county` as a newcomer runs it, in both languages: its figures, its verdict, and nothing left."""

import asyncio
import re
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.gateway_process import free_port, gateway_environment

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.timeout(150)]

TOOK = 100
"""Seconds one run may take on a busy machine; on an idle one it takes fifteen."""


@dataclass(frozen=True)
class Camera:
    """A camera of the county, as it was laid out: told again here, so that nothing is counted by what it tests."""

    place: str
    point_class: int
    school: bool
    secret: bool


def laid_out() -> Iterator[Camera]:
    """Every camera: classes I, II and III in turn on each recorder, the third of Liushu's streets is secret."""
    for place, school, count in (
        ("liushu", False, 100),
        ("liushu", True, 50),
        ("shiqiao", False, 100),
        ("shiqiao", True, 50),
        ("township", False, 120),
        ("township", True, 80),
    ):
        for number in range(count):
            secret = (place, school, number) == ("liushu", False, 2)
            yield Camera(place, number % 3 + 1, school, secret)


def expected() -> dict[str, tuple[int, int, int, int]]:
    """Listed, watched, watched without a reason, moved: of the police, the governance centre, urban management,
    education."""
    shared = [camera for camera in laid_out() if not camera.secret]
    streets = [c for c in shared if not c.school and c.place in {"liushu", "township"}]
    schools = sum(camera.school for camera in shared)
    of_township = sum(camera.place == "township" for camera in shared)
    classes = sum(camera.point_class in {1, 2} for camera in streets)
    return {
        "police": (len(shared),) * 4,
        "governance": (len(shared), len(shared), 0, of_township),
        "urban": (len(streets), classes, 0, 0),
        "education": (schools,) * 4,
    }


def environment(language: str, folder: Path) -> dict[str, str]:
    # What is set for somebody's own gateway must not reach the four of the demo.
    own = gateway_environment(sip__port=free_port(), http__port=free_port(), sip__id="1" * 20)
    (folder / "tmp").mkdir()
    return own | {
        "LANG": f"{language}.UTF-8",
        "COLUMNS": "150",
        "TMPDIR": str(folder / "tmp"),
    }


async def start(language: str, folder: Path, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-m", "gateway", "demo", "--county", *options,
        cwd=folder,
        env=environment(language, folder),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> str:
    """What it says until it ends."""
    try:
        async with asyncio.timeout(TOOK):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    return said.decode()


def rows(said: str, names: dict[str, str]) -> dict[str, tuple[int, ...]]:
    """The four figures of each department."""
    found = {}
    for code, name in names.items():
        row = re.search(rf"^ +{re.escape(name)} +(\d+) +(\d+) +(\d+) +(\d+) ", said, re.MULTILINE)
        assert row, said
        found[code] = tuple(map(int, row.groups()))
    return found


def assert_nothing_left(said: str, folder: Path) -> None:
    """No port is open any more, and no file is left."""
    ports = [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", said)]
    ports += [int(port) for port in re.findall(r"http://\S+ +(\d+) *$", said, re.MULTILINE)]
    assert len(set(ports)) == 8
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, port
    assert list((folder / "tmp").iterdir()) == []


async def test_in_english_every_step_succeeds_and_nothing_is_left(tmp_path: Path) -> None:
    process = await start("en_US", tmp_path)
    said = await ended(process)
    assert process.returncode == 0, said
    names = {
        "police": "Police",
        "governance": "Governance",
        "urban": "Urban mgmt",
        "education": "Education",
    }
    assert rows(said, names) == expected()
    steps = re.findall(r"^ ?(\d+) \S", said, re.MULTILINE)
    assert steps == [str(number) for number in range(1, 12)]
    for level, cameras in (("Liushu village", 150), ("Shiqiao village", 150), ("Township", 200)):
        assert f"{level}: catalogue synchronised, {cameras} cameras" in said
    shared = sum(not camera.secret for camera in laid_out())
    assert re.search(rf"Township → County: {shared} cameras within", said)
    assert_findings(said)
    assert_watched(said)
    assert_stopped(said)
    assert_recorded(said)
    verdict = said.splitlines()[-1]
    assert verdict.startswith("Verdict: it works. Three levels as one, 4 departments")
    assert_nothing_left(said, tmp_path)


def assert_findings(said: str) -> None:
    secret, copied = "37132601001320000003", "37132601001320000005"
    assert f"The secret camera {secret} is in nobody's list; asking for it gives 404" in said
    codes = re.findall(r"^ +(?:Liushu|Shiqiao) village: (\d{20}) *$", said, re.MULTILINE)
    assert codes[0] == copied
    assert len(set(codes)) == 2
    assert re.search(r"Zero coordinates: 37132601001320000002 ", said)
    assert re.search(r"claims ON: 37132602001320000004 \S+ is listed as ON, .* answers 480", said)


def assert_watched(said: str) -> None:
    main = re.search(
        r"Police, main stream: h264 1280x720, \d+ fps, first picture (\S+) s, (\d+) dec", said
    )
    sub = re.search(r"Urban mgmt, sub stream: h264 640x360, \d+ fps, first picture (\S+) s", said)
    assert main
    assert sub
    assert 0 < float(main[1]) < 15
    assert int(main[2]) >= 25
    assert "3 viewers, and the camera sends 2 streams" in said
    sent = re.search(r"up at speed 16; frame (A50F[0-9A-F]{12})", said)
    assert sent
    assert re.search(rf"The camera got {sent[1]} after \d+ ms", said)
    pan = re.search(r"pan 0\.0° → (\S+)°, tilt 0\.0° → (\S+)°", said)
    assert pan
    assert float(pan[1]) > 5
    assert float(pan[2]) > 0.5


def assert_stopped(said: str) -> None:
    assert "403 denied: “A rule of the sharing policy denies this”" in said
    assert "rule urban-never-moves (line 51), Urban management watches and never moves" in said
    assert "403 purpose_required: “This needs a purpose: say what it is for”" in said
    assert "rule governance-watch (line 15), Rule governance-watch demands a purpose" in said
    closed = re.search(r"The viewer at the county: .* closed after (\d+) ms", said)
    gone = re.search(r"catalogue loses the camera after (\d+) ms", said)
    back = re.search(r"back in the county's catalogue after (\d+) ms", said)
    for found in (closed, gone, back):
        assert found
        assert int(found[1]) < 5000


def assert_recorded(said: str) -> None:
    audits = re.findall(r"^ +\S.*? +(\d+) +(\d+) +(\d+) +whole +\d+ ms", said, re.MULTILINE)
    assert len(audits) == 4
    assert all(int(checkpoints) > 0 and unsigned == "0" for _, checkpoints, unsigned in audits)
    total = sum(int(records) for records, _, _ in audits)
    assert f"{total} records made by this demo" in said
    assert f"{total} audit records verified" in said
    assert re.search(r"✗ governance-watch +refused", said)
    assert re.search(r"Urban mgmt +✓ urban-watch +street vendors +level below", said)
    # The village knows through whom and by which department it was watched.
    who = r"Township ← County ← (?:Police|Urban mgmt)"
    assert len(re.findall(rf"{who} +✓ upper-platform +forced stop", said)) == 2
    assert re.search(r"the offline verifier names record \d+", said)


async def test_in_chinese_the_same_figures_and_no_english_sentence_of_its_own(
    tmp_path: Path,
) -> None:
    process = await start("zh_CN", tmp_path, "--duration", "3")
    said = await ended(process)
    assert process.returncode == 0, said
    names = {"police": "公安局", "governance": "综治中心", "urban": "城管局", "education": "教育局"}
    assert rows(said, names) == expected()
    assert re.search(r"^结论: 成功。三级贯通, 4 个部门各得其所, 500 台摄像机", said, re.MULTILINE)
    assert "规则 urban-never-moves (策略第 51 行), 城管局只看不控" in said
    assert re.search(r"综治中心 +✓ governance-watch +广场人员聚集处置 +下级停送", said)
    # After the verdict: keys to try with, a link to watch, a line of figures.
    keys = re.findall(r"^ +(gbk[0-9a-f]{12}\.[0-9a-f]{64})$", said, re.MULTILINE)
    assert len(set(keys)) == 4
    assert re.search(r"http://127\.0\.0\.1:\d+/player#url=ws://\S+\.mp4\?token=\S+", said)
    assert re.search(r"剩 +3 秒 +县目录 499 台 +级联 3/3 ", said)
    # What the API says is English, and quoted or said of a rule.
    own = "".join(line for line in said.splitlines() if not re.search("“|规则 ", line))
    assert re.findall(r"(?:[a-z]+ ){3,}", own) == []
    assert_nothing_left(said, tmp_path)


async def test_ctrl_c_in_the_middle_ends_it_cleanly(tmp_path: Path) -> None:
    process = await start("en_US", tmp_path)
    assert process.stdout is not None
    before: list[str] = []
    async with asyncio.timeout(TOOK):
        while "Police, main stream" not in "".join(before[-1:]):
            before.append((await process.stdout.readline()).decode())
            assert before[-1], before
    process.send_signal(signal.SIGINT)
    said = "".join(before) + await ended(process)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert said.rstrip().endswith("Interrupted")
    assert_nothing_left(said, tmp_path)


async def test_a_place_that_cannot_hold_data_is_named(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "taken").write_text("a file")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "--lang", "en", "--data-dir", str(tmp_path / "taken"),
        "demo", "--county",
        env=gateway_environment() | {"COLUMNS": "500"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = await ended(process)
    assert process.returncode == 1
    last, remedy = said.splitlines()[-2:]
    assert last.startswith("Cannot start: data_dir ")
    assert last.endswith("Not a directory [data_dir_not_writable]")
    assert remedy.startswith("What to do: set data_dir")
    assert "Traceback" not in said


async def test_quirks_are_not_for_the_county(tmp_path: Path) -> None:
    process = await start("en_US", tmp_path, "--quirk", "no_psm")
    said = await ended(process)
    assert process.returncode == 2
    assert "--county | --quirk" in said
