"""Devices in the console: one camera found among a hundred thousand, a device and its failing sessions, other departments."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Page, expect

from gateway.domain.policy import Subject
from gateway.simulator.quirk import Quirk
from gateway.simulator.simulator import Simulator
from tests.support.browser import Browser
from tests.support.console_county import PLATFORM, RECORDER, seed_county
from tests.support.console_pages import PHONE, Visitor, console_site
from tests.support.policy import rule

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]

SOUGHT = "蒙阳湖公园北向 43211"
CODE = "37132608001320043211"


async def found_in_the_list(page: Page) -> None:
    await expect(page.get_by_role("status").filter(has_text="100,000 个通道")).to_be_visible()
    listbox = page.get_by_role("listbox", name="通道")
    # Of a hundred thousand rows only those in sight exist.
    assert await page.locator(".list-row").count() < 60
    await listbox.focus()
    await page.keyboard.press("End")
    await expect(page.locator('.list-row[data-index="99999"] .row-name')).to_be_visible()
    assert await page.locator(".list-row").count() < 60
    await page.get_by_label("按名称、编码或地址搜索").fill("蒙阳湖公园北向 4321")
    await expect(page.get_by_role("status").filter(has_text="个通道").first).to_be_visible()
    row = page.get_by_role("option").filter(has_text=SOUGHT)
    await expect(row).to_have_count(1)
    await row.click()
    await expect(page.get_by_role("heading", name=SOUGHT)).to_be_visible()
    await expect(page.get_by_role("link", name="观看")).to_have_attribute(
        "href", f"#/live?c={PLATFORM}/{CODE}"
    )


async def found_by_the_box_of_every_page(page: Page) -> None:
    await page.keyboard.press("/")
    box = page.get_by_role("combobox", name="搜索通道和设备")
    await expect(box).to_be_focused()
    await page.keyboard.type("派出所录像机 12")
    option = page.get_by_role("option").filter(has_text="派出所录像机 12").first
    await expect(option).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("option", selected=True)).to_have_count(1)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="派出所录像机 12")).to_be_visible()
    assert "#/devices/371326" in page.url


async def found_in_the_tree(page: Page) -> None:
    tree = page.get_by_role("tree", name="目录树")
    await tree.get_by_text("平邑县公安局视频平台").click()
    await expect(page.locator(".chip-filter")).to_contain_text("平邑县公安局视频平台")
    await expect(page.get_by_role("status").filter(has_text="70,000 个通道")).to_be_visible()
    # On by keyboard: open the platform, its county, a town, a station, and a camera.
    for _ in range(4):
        await page.keyboard.press("ArrowRight")
        await expect(tree.locator(":focus")).to_have_attribute("aria-expanded", "true")
        await expect(tree.locator(".skeleton")).to_have_count(0)
        await page.keyboard.press("ArrowDown")
    await expect(tree.locator(":focus")).to_have_attribute("aria-level", "5")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="人民路与兴水路路口东向 0")).to_be_visible()
    assert f"#/channels/{PLATFORM}/" in page.url


async def test_a_camera_is_found_among_a_hundred_thousand(tmp_path: Path, browser: Browser) -> None:
    async def look(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.go("devices")
        await found_in_the_list(page)
        await found_by_the_box_of_every_page(page)
        await visitor.go("devices")
        await found_in_the_tree(page)

    async with console_site(tmp_path, browser) as site:
        assert await seed_county(site.it.gateway.registry) == 100_000
        await site.add_user("chief")
        await site.visit(look, user="chief")


async def settings_are_changed(page: Page) -> None:
    await page.get_by_role("tab", name="概况").click()
    await page.get_by_role("button", name="修改设置").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("媒体传输").select_option("tcp_passive")
    await dialog.locator('[name="keepalive_interval"]').fill("30")
    await dialog.get_by_role("button", name="保存").click()
    await expect(dialog).to_be_hidden()
    card = page.locator(".card").filter(has_text="媒体传输")
    await expect(card).to_contain_text("TCP 被动")
    await expect(card).to_contain_text("30 秒")
    await page.get_by_role("button", name="设置密码").click()
    await dialog.get_by_label("密码", exact=False).fill("its-own-password")
    await dialog.get_by_role("button", name="保存").click()
    await expect(card).to_contain_text("已设置")
    await page.get_by_role("button", name="同步目录").click()
    await expect(page.locator("gb-sync")).to_contain_text("没有变化")


async def failure_is_explained(page: Page) -> None:
    trouble = page.locator(".trouble").filter(has_text="但没有发送媒体")
    await expect(trouble).to_contain_text("检查防火墙")
    await trouble.get_by_role("button").first.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.locator(".stage-failed")).to_contain_text("首个数据包")
    await expect(dialog.locator(".stage-done")).not_to_have_count(0)
    await expect(dialog).to_contain_text("可能的原因")
    await expect(dialog.locator(".causes li")).not_to_have_count(0)
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()


async def test_a_device_its_settings_its_history_and_why_its_sessions_fail(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.go("overview")
        await failure_is_explained(page)
        await visitor.go(f"devices/{device}?tab=sessions")
        await expect(page.locator(".session .stage-failed")).to_have_count(1)
        await page.get_by_role("tab", name="时间线").click()
        await expect(page.get_by_role("listitem").filter(has_text="注册成功")).to_be_visible()
        await expect(page.locator(".timeline")).to_contain_text("但没有发送媒体")
        await settings_are_changed(page)
        await page.get_by_role("button", name="删除设备").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="删除").click()
        await expect(dialog.locator(".field-error")).to_be_visible()
        await page.keyboard.press("Escape")
        assert site.it.gateway.registry.get(device) is not None

    async with (
        console_site(tmp_path, browser) as site,
        Simulator(site.it.simulator_options(quirks=frozenset({Quirk.SEND_NOTHING}))) as simulator,
    ):
        async with asyncio.timeout(10):
            await simulator.wait_registered()
        device = simulator.devices[0].device_id
        channel = (await site.it.channels(device, 1))[0]
        status, answer = await site.it.api.call("POST", f"channels/{device}/{channel}/play")
        headers = {"Authorization": f"Bearer {site.it.gateway.cli_token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.get(f"{site.it.gateway.http_url}/live/{device}/{channel}.mp4") as picture,
        ):
            assert (picture.status, status) == (502, 200), answer
        await site.add_user("chief")
        await site.visit(look, user="chief")


async def test_another_department_sees_what_is_shared_and_no_more(
    tmp_path: Path, browser: Browser
) -> None:
    shared = "37132601001320000001"

    async def look(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.go()
        await expect(page.get_by_role("heading", name="总览")).to_be_visible()
        await expect(page.locator(".figure").filter(has_text="通道")).to_contain_text("1")
        await expect(page.locator(".troubles")).to_have_count(0)
        await visitor.go(f"devices/{RECORDER}")
        await expect(page.get_by_role("tab", name="通道")).to_contain_text("1")
        await expect(page.get_by_role("tab", name="时间线")).to_have_count(0)
        await expect(page.get_by_text("10.71.")).to_have_count(0)
        await expect(page.get_by_role("button", name="查询状态")).to_have_count(0)
        await visitor.go("devices?q=路口")
        await expect(page.get_by_role("option")).to_have_count(1)
        visitor.refusals_are_fine = True
        await visitor.go(f"channels/{RECORDER}/37132601001320000002")
        await expect(page.get_by_role("alert")).to_contain_text("没有这个通道")
        await visitor.go("users")
        await expect(page.get_by_text("没有这个页面")).to_be_visible()

    async with console_site(tmp_path, browser) as site:
        await seed_county(site.it.gateway.registry, recorders=2, on_platform=100)
        status, answer = await site.it.api.call("PUT", "departments/urban", json={"name": "城管局"})
        assert status in {200, 201}, answer
        given = rule(
            "urban",
            subjects='{ departments = ["urban"] }',
            objects=f'{{ channels = ["{shared}"] }}',
        )
        boss = Subject(role="admin", user="chief")
        await site.it.gateway.policies.apply(f"version = 1\n{given}", boss)
        await site.add_user("chief")
        await site.add_user("patrol", "viewer", department="urban")
        await site.visit(look, user="patrol", size=PHONE)
