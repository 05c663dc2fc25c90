"""The console's recordings in Debian's Chromium: played, sought, stepped, exported, locked, planned."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.console_wall import Looker, Site, picture_site
from tests.support.gateway import eventually

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]

PLAYER = "const player = document.querySelector('gb-playback') || {};"
TIME = f"() => {{ {PLAYER} return player.video ? player.video.currentTime : -1; }}"


def recordings(site: Site) -> str:
    return f"recordings/{site.device.device_id}/{site.channels[0]}"


@asynccontextmanager
async def recorded_site(tmp_path: Path, seconds: float) -> AsyncIterator[tuple[Site, datetime]]:
    """A site of which one channel was recorded for a while; when that began."""
    async with picture_site(tmp_path, channels=1) as site:
        path = recordings(site)
        status, answer = await site.it.api.call("POST", f"{path}/start", json={"seconds": 600})
        assert status == 200, answer

        async def enough() -> dict[str, Any] | None:
            found = await site.it.api.get(f"{path}/ranges")
            return dict(found) if found["seconds"] >= seconds else None

        found = await eventually(enough, 30.0, f"{seconds} s of recording")
        assert (await site.it.api.call("POST", f"{path}/stop"))[0] == 200
        yield site, datetime.fromisoformat(found["items"][0]["begin"])


def page_of(site: Site, at: datetime) -> str:
    stamp = at.isoformat().replace("+00:00", "Z")
    return f"recordings?c={site.device.device_id}/{site.channels[0]}&at={stamp}"


async def test_a_recording_plays_moves_seeks_and_is_looked_at_picture_by_picture(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> None:
        page = looker.page

        async def holds(script: str, what: str) -> None:
            await looker.until_script(f"() => {{ {PLAYER} {script} }}", what)

        await looker.go(page_of(site, begin))
        await holds(
            "return player.phase === 'playing' && player.video.videoWidth === 160", "pictures"
        )
        # The simulator's clock ran from the first picture on.
        first = await page.evaluate("() => document.querySelector('gb-playback').instant.getTime()")
        assert abs(first / 1000 - begin.timestamp()) < 5
        before = await page.evaluate(TIME)
        await looker.until_script(f"before => ({TIME})() > before + 0.6", "moving pictures", before)
        # Single pictures, at five a second.
        await page.keyboard.press("k")
        await holds("return player.phase === 'paused'", "the pause")
        before = await page.evaluate(TIME)
        await page.click("[data-act=frame-on]")
        await looker.until_script(
            f"before => {{ const now = ({TIME})(); return now > before + 0.05 && now < before + 0.45; }}",
            "the next picture", before,
        )  # fmt: skip
        before = await page.evaluate(TIME)
        await page.click("[data-act=frame-back]")
        await looker.until_script(
            f"before => ({TIME})() < before - 0.05", "the picture before", before
        )
        # Seeking by the bar: back to its first instant in sight, by the keyboard.
        await page.focus("gb-timeline-bar [role=slider]")
        await page.evaluate(
            f"() => {{ {PLAYER} player.open(new Date(player.clip.parts[0].begin)); }}"
        )
        await holds("return player.video && player.video.currentTime < 1.5", "the beginning again")
        await page.select_option(".recs-rate", "4")
        await holds("return player.video.playbackRate === 4", "four times the speed")
        await holds("return player.phase === 'ended'", "the end of the recording")
        words = await page.inner_text(".timeline-words")
        assert "By hand" in words
        async with page.expect_download() as download:
            await page.click("[data-act=snapshot]")
        saved = await (await download.value).path()
        assert (await asyncio.to_thread(saved.read_bytes))[:3] == b"\xff\xd8\xff"

    async with recorded_site(tmp_path, 4.0) as (site, begin):
        await site.look(browser, look)


async def test_a_time_is_exported_as_a_file_that_plays_and_locked_and_unlocked(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> bytes:
        page = looker.page
        await looker.go(page_of(site, begin))
        await looker.until_script(
            "() => document.querySelector('gb-playback')?.phase === 'playing'", "pictures"
        )
        await page.click("[data-act=select]")
        await looker.until_script("() => document.querySelector('[data-act=export]')", "the choice")
        async with page.expect_download() as download:
            await page.click("[data-act=export]")
        path = await (await download.value).path()
        await page.click("[data-act=lock]")
        await looker.until_script(
            "() => document.querySelector('.timeline-words [data-locked=true]')", "the lock"
        )
        await page.click("[data-act=unlock]")
        await page.click("dialog button[type=submit]")
        await looker.until_script(
            "() => document.querySelector('.timeline-words [data-locked=false]')", "the end of it"
        )
        return await asyncio.to_thread(path.read_bytes)

    async with recorded_site(tmp_path, 3.0) as (site, begin):
        data = await site.look(browser, look)
    exported = tmp_path / "exported.mp4"
    exported.write_bytes(data)
    command = ["ffprobe", "-v", "error", "-show_streams", "-count_frames", "-of", "json"]
    probed = await asyncio.to_thread(
        subprocess.run, [*command, str(exported)], capture_output=True, text=True, check=True
    )
    assert probed.stderr == ""
    streams = {item["codec_type"]: item for item in json.loads(probed.stdout)["streams"]}
    assert (streams["video"]["width"], streams["video"]["height"]) == (160, 120)
    assert int(streams["video"]["nb_read_frames"]) >= 5


async def test_recording_is_begun_and_ended_by_hand_and_planned_by_the_week(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> None:
        page = looker.page
        await looker.go(f"recordings?c={site.device.device_id}/{site.channels[0]}")
        await page.click("[data-act=now]")
        await page.fill("dialog input[name=seconds]", "300")
        await page.click("dialog button[type=submit]")
        await page.click("[data-act=now]:has-text('Stop recording')")
        await page.wait_for_selector("[data-act=now]:has-text('Record now')")
        await page.click("[data-act=plan]")
        await page.select_option("dialog select[name=mode]", "weekly")
        # Painted: Tuesday from 9 to 12.
        await page.hover("[data-hour='1-9']")
        await page.mouse.down()
        for hour in (10, 11):
            await page.hover(f"[data-hour='1-{hour}']")
        await page.mouse.up()
        await page.hover("[data-hour='1-20']")
        await page.fill("dialog input[name=keep_days]", "7")
        await page.click("dialog button[type=submit]")
        await looker.until_script("() => !document.querySelector('dialog')", "the plan saved")

    async with picture_site(tmp_path, channels=1) as site:
        await site.look(browser, look)
        (plan,) = (await site.it.api.get("recordings/plans"))["items"]
    assert plan["mode"] == "weekly"
    assert plan["windows"] == ["Tue 09:00-12:00"]
    assert plan["keep_days"] == 7


async def test_a_denied_playback_says_so_in_the_reader_s_language(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> str:
        await looker.go(page_of(site, begin))
        await looker.until_script("() => document.querySelector('.state-error')", "the reason")
        return await looker.page.inner_text(".state-error")

    async with recorded_site(tmp_path, 1.0) as (site, begin):
        rule = (
            'version = 1\n[[rule]]\nid = "closed"\neffect = "deny"\nsubjects = { any = true }\n'
            'objects = { kinds = ["camera"] }\nactions = ["playback"]\n'
        )
        status, answer = await site.it.api.call("PUT", "policy", json={"text": rule})
        assert status == 200, answer
        text = await site.look(browser, look, language="zh", expect_trouble=True)
    assert "策略禁止" in text
