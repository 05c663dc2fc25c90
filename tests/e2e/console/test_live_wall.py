"""The wall's layout, keyboard, drag and drop, and the pad that moves cameras, in Debian's Chromium."""

from pathlib import Path
from typing import Any

import pytest

from gb28181.manscdp.ptz_action import PtzAction
from tests.support.browser import Browser
from tests.support.console_wall import Looker, Site, picture_site
from tests.support.gateway import eventually

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]


def moves(site: Site) -> list[tuple[PtzAction, int, int, int]]:
    """The PTZ frames that came to the recorder: what, and the speeds."""
    return [
        (got.command.action, got.command.pan, got.command.tilt, got.command.zoom)
        for got in site.device.controls
        if got.command is not None
    ]


async def press(looker: Looker, site: Site, key: str) -> None:
    """Press a button of the pad, and let it go when the camera moves."""
    count = len(moves(site))
    await looker.page.hover(f"[data-ptz={key}]")
    await looker.page.mouse.down()
    await came(looker, site, count + 1)
    await looker.page.mouse.up()
    await came(looker, site, count + 2)


async def came(looker: Looker, site: Site, count: int) -> None:
    """Wait for so many commands in all."""

    async def enough() -> bool:
        return len(moves(site)) >= count

    await looker.until(enough, f"{count} commands")


async def preset(looker: Looker, site: Site, word: str, *, confirmed: bool) -> None:
    """Do something with the preset that is typed in."""
    count = len(moves(site))
    await looker.page.click(f".ptz-preset >> text={word}")
    if confirmed:
        await looker.page.click("dialog button[type=submit]")
    await came(looker, site, count + 1)


async def test_a_camera_moves_while_a_button_is_down_and_goes_to_presets(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> tuple[list[int], list[int]]:
        # The second channel is a dome: the first is fixed, as its catalogue says.
        await looker.go(f"live?n=1&way=ws&c={site.cells(1)}")
        await looker.playing(1)
        before = (await looker.sums())[0]
        await looker.page.click("[data-act=ptz]")
        for key in ("left", "zoom_in", "focus_far"):
            await press(looker, site, key)
        await looker.page.fill(".ptz-input", "7")
        await preset(looker, site, "Set", confirmed=True)
        await preset(looker, site, "Call", confirmed=False)
        await preset(looker, site, "Delete", confirmed=True)
        return before, (await looker.sums())[0]

    async with picture_site(tmp_path, channels=2) as site:
        before, after = await site.look(browser, look)
        assert site.device.controller.position(site.channels[1]).pan != 0
        assert not site.device.controller.motor(site.channels[1]).moving, "it goes on moving"
    found = moves(site)
    assert [item[0] for item in found] == [
        PtzAction.MOVE, PtzAction.STOP, PtzAction.MOVE, PtzAction.STOP, PtzAction.LENS, PtzAction.LENS_STOP,
        PtzAction.PRESET_SET, PtzAction.PRESET_CALL, PtzAction.PRESET_DELETE,
    ]  # fmt: skip
    assert found[0][1] < 0
    assert found[2][3] > 0
    assert before != after, "the picture does not show where the camera looks"


async def test_a_camera_moves_while_keys_are_down_and_stops_when_the_window_loses_them(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> None:
        keyboard = looker.page.keyboard
        await looker.go(f"live?n=4&way=ws&c={site.cells(0, 1)}")
        await looker.playing(2)
        # The first is fixed, and its pad says so.
        await keyboard.press("p")
        assert "fixed" in await looker.page.inner_text("gb-ptz .notice")
        assert await looker.page.locator("gb-ptz .ptz-key:not([disabled])").count() == 0
        await keyboard.press("Escape")
        await keyboard.press("ArrowRight")
        await keyboard.press("p")
        await keyboard.down("ArrowRight")
        await came(looker, site, 1)
        await keyboard.down("ArrowUp")
        await came(looker, site, 2)
        await keyboard.up("ArrowRight")
        await keyboard.up("ArrowUp")
        await came(looker, site, 3)
        await looker.until(at_rest, "the stop")
        count = len(moves(site))
        await keyboard.down("ArrowDown")
        await came(looker, site, count + 1)
        await looker.page.evaluate("() => window.dispatchEvent(new Event('blur'))")
        await looker.until(at_rest, "the stop after the keyboard was lost")
        await keyboard.up("ArrowDown")

    async def at_rest() -> bool:
        return moves(site)[-1][0] is PtzAction.STOP

    async with picture_site(tmp_path, channels=2) as site:
        await site.look(browser, look)
        assert not site.device.controller.motor(site.channels[1]).moving, "it goes on moving"
    found = moves(site)
    assert found[0][1:] == (128, 0, 0)
    assert found[1][1:] == (128, 128, 0), "two arrows are a diagonal"
    assert found[-2][2] < 0
    assert found[-1] == (PtzAction.STOP, 0, 0, 0)


async def test_channels_are_chosen_dragged_kept_in_address_and_browser_and_let_go(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> dict[str, Any]:
        page = looker.page
        first, second, third = site.cells(0), site.cells(1), site.cells(2)
        await looker.go("live?n=4")
        await page.click(f"[data-channel='{first}']")
        await looker.until_script("() => location.hash.includes('c=')", "the address")
        await page.drag_and_drop(f"[data-channel='{second}']", "[data-place='2']")
        await looker.playing(2)
        times = [tile["time"] for tile in await looker.tiles()]
        # From place to place: it goes on playing.
        await page.drag_and_drop("[data-place='2'] .tile-head", "[data-place='1']")
        await looker.until_script(
            "cell => document.querySelector('[data-place=\"1\"]').cell?.channel === cell",
            "the moved channel",
            second.partition("/")[2],
        )
        assert (await looker.playing(2))[1]["time"] >= times[1]
        # By the keyboard: the third place, and the third channel found by its name.
        await page.fill("gb-channel-picker input[type=search]", "东门")
        await page.click(".pick-list [data-index='0']")
        await looker.until_script(
            "cell => location.hash.includes(cell)", "the third in the address", third
        )
        address = await page.evaluate("() => location.hash")
        # Another visit without an address finds the wall as it was.
        await looker.go("overview")
        await page.click("a[href='#/live']")
        await looker.playing(3)
        again = await page.evaluate("() => location.hash")
        # Whoever leaves lets the cameras go.
        await looker.go("overview")
        await looker.until_script("() => !document.querySelector('gb-video')", "another page")
        await looker.at_gateway(nobody_watches())
        return {"address": address, "again": again}

    async def nobody_watches() -> None:
        async def idle() -> bool:
            return not (await site.it.api.get("sessions?state=running"))["items"]

        await eventually(idle, 20.0, "the end of the sessions")

    async with picture_site(tmp_path, channels=3) as site:
        found = await site.look(browser, look)
        cells = site.cells(0, 1, 2)
    assert found["address"].replace("%2C", ",") == f"#/live?n=4&c={cells}"
    assert found["again"] == found["address"]


async def test_the_keyboard_moves_enlarges_mutes_and_changes_the_layout(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> None:
        page = looker.page

        async def shows(script: str, what: str) -> None:
            await looker.until_script(
                f"() => {{ const wall = document.querySelector('page-live'); {script} }}", what
            )

        await looker.go(f"live?n=4&way=ws&c={site.cells(0, 1)}")
        await looker.playing(2)
        await page.keyboard.press("ArrowRight")
        await shows("return wall.focused === 1", "the focus to the right")
        await page.keyboard.press("ArrowDown")
        await shows("return wall.focused === 3", "the focus below")
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("Enter")
        await shows(
            "return wall.big && wall.querySelectorAll('gb-tile:not(.tile-aside)').length === 1"
            " && wall.tile(1).offsetWidth > 600", "the big picture",
        )  # fmt: skip
        await page.keyboard.press("m")
        await shows("return !wall.tile(1).video.muted && wall.tile(0).video.muted", "sound")
        await page.keyboard.press("i")
        await shows(
            "return wall.querySelector('[data-stat=path]')?.textContent === 'WS-fMP4'", "figures"
        )
        await page.keyboard.press("Escape")
        await shows("return !wall.big", "the layout again")
        await page.dblclick("[data-place='0'] video")
        await shows("return wall.big && wall.focused === 0", "one by double click")
        await page.keyboard.press("9")
        await shows(
            "return wall.querySelectorAll('gb-tile').length === 9 && !wall.big", "nine places"
        )
        await page.keyboard.press("Delete")
        await shows("return wall.plan.cells[0] === null", "the removed channel")

    async with picture_site(tmp_path, channels=2) as site:
        await site.look(browser, look)


async def test_a_phone_shows_the_wall_without_scrolling_sideways(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> tuple[int, list[float]]:
        page = looker.page
        await looker.go(f"live?n=4&way=ws&c={site.cells(0)}")
        await looker.playing(1)
        width = await page.evaluate("() => document.documentElement.scrollWidth")
        await page.click("[data-place='1']")
        await page.click(f"[data-channel='{site.cells(1)}']")
        await looker.playing(2)
        widths = await page.eval_on_selector_all(
            "gb-tile", "all => all.map(tile => tile.offsetWidth)"
        )
        return width, widths

    async with picture_site(tmp_path, channels=2) as site:
        width, widths = await site.look(browser, look, size=(360, 740))
    assert width == 360
    assert widths == [360] * 4
