"""Who watches what now: an access ended, a forced stop that a viewer reads, and its lifting."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Browser
from tests.support.console_admin import PHONE, keep_picture, share_with_urban, too_wide
from tests.support.console_wall import Looker, picture_site

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]


async def row_of_the_watcher(page: Page) -> None:
    row = page.get_by_role("row").filter(has_text="城管局")
    await expect(row).to_contain_text("patrol")
    await expect(row).to_contain_text("实时视频")
    await expect(row).to_contain_text("urban-live")
    await keep_picture(page, "watching-zh")
    await page.get_by_label("按用户、单位").fill("patrol")
    await expect(page.get_by_role("row").filter(has_text="城管局")).to_be_visible()
    await page.get_by_label("按用户、单位").fill("nobody-of-this-name")
    await expect(page.get_by_text("没有符合条件的调阅")).to_be_visible()
    await page.get_by_role("button", name="清除").click()
    await expect(row).to_be_visible()
    face = page.get_by_label("方式")
    await face.select_option("rtsp")
    await expect(page.get_by_text("没有符合条件的调阅")).to_be_visible()
    await face.select_option("webrtc")
    await expect(row).to_be_visible()
    await face.select_option("")


async def stop_by_its_row(page: Page) -> None:
    row = page.get_by_role("row").filter(has_text="城管局")
    await row.get_by_role("button", name="强制停止").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_text("将立即结束 1 路")).to_be_visible()
    await dialog.get_by_role("button", name="立即停止").click()
    await expect(dialog.locator(".field-error")).to_have_text("请填写原因")
    await dialog.get_by_label("原因").fill("演练")
    await keep_picture(page, "stop-zh")
    await dialog.get_by_role("button", name="立即停止").click()
    await expect(dialog).to_contain_text("结束了 1 路调阅")
    await dialog.get_by_role("button", name="确定").click()
    await expect(page.get_by_text("现在没有人在调阅")).to_be_visible()


async def lift(page: Page) -> None:
    await page.get_by_role("button", name="查看").click()
    order = page.get_by_role("row").filter(has_text="演练")
    await expect(order).to_contain_text("部门 城管局")
    await expect(order).to_contain_text("生效中")
    await keep_picture(page, "stops-zh")
    await order.get_by_role("button", name="解除").click()
    await page.get_by_role("dialog").get_by_role("button", name="解除").click()
    await expect(order).to_contain_text("已解除")
    await page.get_by_role("tab", name="用量").click()
    await expect(page.get_by_role("row").filter(has_text="城管局")).to_be_visible()


async def test_a_forced_stop_by_an_operator_is_read_by_the_viewer_and_can_be_lifted(
    tmp_path: Path, browser: Browser
) -> None:
    watching, stopped = asyncio.Event(), asyncio.Event()

    async def told(event: asyncio.Event) -> None:
        event.set()

    async def watch(looker: Looker) -> str:
        await looker.go(f"live?n=1&c={site.cells(0)}")
        await looker.playing(1)
        await looker.at_gateway(told(watching))
        await looker.at_gateway(stopped.wait())
        return str((await looker.in_phase("lost"))["text"])

    async def order(looker: Looker) -> None:
        await looker.at_gateway(watching.wait())
        page = looker.page
        await looker.go("watching")
        await row_of_the_watcher(page)
        await stop_by_its_row(page)
        await looker.at_gateway(told(stopped))
        await lift(page)

    async with picture_site(tmp_path, channels=1) as site:
        await share_with_urban(site)
        async with asyncio.TaskGroup() as group:
            seen = group.create_task(
                site.look(browser, watch, name="patrol", language="zh", expect_trouble=True)
            )
            group.create_task(site.look(browser, order, language="zh"))
        found = await site.it.api.get("audit?kind=stop")
    assert "已被强制停止" in seen.result()
    assert [row["action"] for row in found["items"]][::-1] == ["order", "lift"]


async def one_access_is_ended(page: Page) -> None:
    row = page.locator("tr").filter(has_text="desk")
    await expect(row).to_be_visible()
    await keep_picture(page, "watching-phone-en")
    await row.get_by_role("button", name="End").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("They may ask again")
    await dialog.get_by_role("button", name="End").click()
    await expect(page.get_by_text("Nobody watches now")).to_be_visible()


async def everything_must_be_typed(page: Page) -> None:
    await page.get_by_role("button", name="Forced stop").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("This stops all sharing with others")
    await dialog.get_by_label("Reason").fill("exercise")
    await keep_picture(page, "stop-phone-en")
    assert await too_wide(page) == []
    await dialog.get_by_role("button", name="Stop now").click()
    await expect(dialog.locator(".field-error")).to_contain_text("STOP ALL")
    # Some channels instead: one is chosen, and nothing needs to be typed.
    await dialog.get_by_role("button", name="Some channels").click()
    picker = page.get_by_role("dialog").last
    await picker.get_by_label("Find channels").fill("13")
    await picker.locator(".pick-row").first.click()
    await keep_picture(page, "stop-picker-phone-en")
    await expect(picker).to_contain_text("1 channels chosen")
    await picker.get_by_role("button", name="Done").click()
    await expect(dialog.locator(".chip")).to_have_count(1)
    await expect(dialog.get_by_label("Reason")).to_have_value("exercise")
    await dialog.get_by_role("button", name="Every channel").click()
    await dialog.get_by_label("Type STOP ALL").fill("STOP ALL")
    await dialog.get_by_role("button", name="Stop now").click()
    await expect(dialog).to_contain_text("Nothing was being watched")


async def test_one_access_is_ended_and_stopping_everything_must_be_typed(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> None:
        page = looker.page
        await looker.go("watching")
        await one_access_is_ended(page)
        await everything_must_be_typed(page)
        assert await too_wide(page) == []

    async with picture_site(tmp_path, channels=1) as site:
        status, made = await site.it.api.call(
            "POST", "keys", json={"name": "desk", "role": "operator", "scopes": ["live"]}
        )
        assert status == 201, made
        url = f"{site.it.gateway.http_url}/live/{site.cells(0)}.flv"
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {made['bearer']}"}) as http,
            http.get(url) as picture,
        ):
            assert picture.status == 200
            await picture.content.readany()
            await site.look(browser, look, size=PHONE)
            # Ended by an operator: the stream is over.
            async with asyncio.timeout(10):
                await picture.content.read()
        orders = (await site.it.api.get("stops?lifted=false"))["items"]
        assert [(item["subject"], item["objects"]) for item in orders] == [({"outside": True}, {})]
