"""`gateway snapshot` against a real HTTP server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.errors import Unavailable
from tests.gateway.cli.conftest import Run
from tests.support.http import CHANNEL, DEVICE, OTHER_DEVICE, SHARED_CHANNEL, HttpBench, http_bench
from tests.support.snapshots import JPEG, ScriptedSnapshots

pytestmark = pytest.mark.net


@pytest.fixture
async def plane() -> ScriptedSnapshots:
    return ScriptedSnapshots()


@pytest.fixture
async def office(tmp_path: Path, plain: None, plane: ScriptedSnapshots) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path, snapshots=plane) as running:
        yield running


@pytest.mark.parametrize("name", [CHANNEL, f"{DEVICE}/{CHANNEL}"])
@pytest.mark.parametrize(("lang", "said"), [("en", "Saved"), ("zh", "已保存截图")])
async def test_a_picture_is_saved_where_it_was_asked_for(
    run: Run, plane: ScriptedSnapshots, tmp_path: Path, name: str, lang: str, said: str
) -> None:
    file = tmp_path / "gate.jpg"
    result = await run("snapshot", name, "-o", str(file), "--width", "640", lang=lang)
    assert result.exit_code == 0, result.output
    assert said in result.stdout
    assert "320x240" in result.stdout
    assert file.read_bytes() == JPEG
    assert (plane.streams, plane.widths) == ([f"{DEVICE}/{CHANNEL}"], [640])


async def test_without_a_name_the_file_is_called_as_the_channel_and_the_time(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = await run("snapshot", CHANNEL)
    assert result.exit_code == 0
    [file] = await asyncio.to_thread(lambda: list(tmp_path.glob("*.jpg")))
    assert file.name.startswith(f"{CHANNEL}-20")
    assert file.read_bytes() == JPEG


async def test_a_dash_writes_the_picture_alone_to_standard_output(run: Run) -> None:
    result = await run("snapshot", CHANNEL, "--output", "-")
    assert result.stdout_bytes == JPEG


async def test_the_sub_stream_may_be_asked_for(run: Run, plane: ScriptedSnapshots) -> None:
    assert (await run("snapshot", CHANNEL, "--sub", "-o", "-")).exit_code == 0
    assert plane.streams == [f"{DEVICE}/{CHANNEL}~1"]


async def test_an_ambiguous_channel_is_answered_with_a_list(run: Run) -> None:
    result = await run("snapshot", SHARED_CHANNEL)
    assert result.exit_code == 2
    assert DEVICE in result.stderr
    assert OTHER_DEVICE in result.stderr


async def test_a_device_with_one_channel_is_enough(run: Run, plane: ScriptedSnapshots) -> None:
    assert (await run("snapshot", OTHER_DEVICE, "-o", "-")).exit_code == 0
    assert plane.streams == [f"{OTHER_DEVICE}/{SHARED_CHANNEL}"]


@pytest.mark.parametrize("lang", ["en", "zh"])
async def test_a_refusal_ends_with_its_words(run: Run, plane: ScriptedSnapshots, lang: str) -> None:
    plane.fail = Unavailable("no_picture", "The camera sent no key frame within 15 s")
    result = await run("snapshot", CHANNEL, lang=lang)
    assert result.exit_code == 1
    assert "no_picture" in result.stderr


async def test_a_file_that_cannot_be_written_is_said(run: Run, tmp_path: Path) -> None:
    result = await run("snapshot", CHANNEL, "-o", str(tmp_path / "missing" / "x.jpg"))
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


async def test_an_unknown_channel_is_said(run: Run) -> None:
    result = await run("snapshot", "34020000001320009999")
    assert result.exit_code == 1
    assert "device_unknown" in result.stderr
