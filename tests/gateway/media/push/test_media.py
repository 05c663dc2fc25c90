"""A push whose sound comes late, on a real plane, with a program that keeps what it is given."""

import asyncio
import os
from pathlib import Path

import pytest

from gateway.domain.push import PushKind, PushSpec
from gateway.media.push.media import EmbeddedPush
from gateway.media.push.process import PushProcess
from tests.support.foreign_sources import decoded
from tests.support.gateway import eventually
from tests.support.media import aac_units, interleave, video_units
from tests.support.plane import STREAM, plane_bench

KEEPER = """#!/bin/sh
printf 'total_size=1\\n'
exec cat > "{folder}/$$.mp4"
"""


class Owner:
    """Hears of the push."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def push_connected(self) -> None:
        self.told.append("connected")

    def push_ended(self, code: str, detail: str) -> None:
        assert detail
        self.told.append(code)


def keeper(folder: Path) -> str:
    program = folder / "ffmpeg"
    program.write_text(KEEPER.format(folder=folder))
    program.chmod(0o700)
    return str(program)


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.mp4"), key=os.path.getmtime)


@pytest.mark.net
async def test_a_push_begins_anew_with_sound_that_came_late_and_once_only(tmp_path: Path) -> None:
    video, sound = video_units(count=200), aac_units(300)
    owner = Owner()

    async def told(count: int) -> None:
        async def enough() -> bool:
            return len(owner.told) >= count

        await eventually(enough, 20.0, f"{count} events")

    async with plane_bench(audio_wait=0.2) as bench:
        pushes = EmbeddedPush(bench.plane, ffmpeg=await asyncio.to_thread(keeper, tmp_path))
        spec = PushSpec(push_id="1", kind=PushKind.SRT, url="srt://h:1", connect_timeout=20.0)
        bench.feed(video[:30])
        push = pushes.push(STREAM, spec, owner)
        await told(1)
        bench.feed(video[30:60])
        late = [unit for unit in sound if unit.dts >= video[60].dts]
        rest = interleave(video[60:], late)
        for start in range(0, len(rest), 10):
            bench.feed(rest[start : start + 10])
            # Somebody watches all the time: the camera must not be let go.
            assert bench.viewers() == {"push": 1}
            await asyncio.sleep(0.02)
        await told(2)
        assert owner.told == ["connected", "connected"]
        assert push.sent > 10_000
        push.close("stopped", "The push was changed, disabled or deleted")
        await told(3)
        assert owner.told[2:] == ["stopped"]
        assert bench.viewers() == {}
    files = await asyncio.to_thread(kept, tmp_path)
    found = [await decoded(str(file), seconds=100.0) for file in files]
    assert [set(one) for one in found] == [{"h264"}, {"h264", "aac"}]
    # What waits for the process when it ends is lost.
    assert found[0]["h264"] >= 20


@pytest.mark.net
async def test_a_push_that_is_stopped_while_it_ends_for_its_sound_stays_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, sound = video_units(count=200), aac_units(300)
    owner = Owner()
    closed: list[str] = []
    close = PushProcess.close

    def noted(process: PushProcess, code: str, detail: str) -> None:
        close(process, code, detail)
        closed.append(code)
        if code == "sound_came":
            # The very moment at which the owner stops it: the child still has to end.
            push.close("stopped", "The push was disabled")

    monkeypatch.setattr(PushProcess, "close", noted)
    async with plane_bench(audio_wait=0.2) as bench:
        pushes = EmbeddedPush(bench.plane, ffmpeg=await asyncio.to_thread(keeper, tmp_path))
        spec = PushSpec(push_id="1", kind=PushKind.SRT, url="srt://h:1", connect_timeout=20.0)
        bench.feed(video[:30])
        push = pushes.push(STREAM, spec, owner)

        async def connected() -> bool:
            return bool(owner.told)

        async def ended() -> bool:
            return len(owner.told) >= 2

        await eventually(connected, 20.0, "the first process")
        late = [unit for unit in sound if unit.dts >= video[30].dts]
        rest = interleave(video[30:], late)
        for start in range(0, len(rest), 10):
            bench.feed(rest[start : start + 10])
            await asyncio.sleep(0.02)
        await eventually(ended, 20.0, "the end")
        assert closed[:2] == ["sound_came", "stopped"]
        assert owner.told == ["connected", "stopped"]
        assert bench.viewers() == {}
