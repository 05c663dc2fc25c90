"""Foreign sources and pushes in the console: added, tried, published to; why a push does not run, in words."""

import socket
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Browser
from tests.support.console_admin import PHONE, keep_picture, too_wide
from tests.support.console_wall import Looker, picture_site

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def add_what_is_pulled(page: Page, port: int) -> None:
    await page.get_by_role("button", name="添加视频源").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("名称").fill("东湖公园枪机")
    await (
        dialog.get_by_label("地址", exact=True)
        .or_(dialog.locator('[name="url"]'))
        .first.fill(f"rtsp://admin:let-me-in-9@127.0.0.1:{port}/h264")
    )
    await keep_picture(page, "source-new-zh")
    await dialog.get_by_role("button", name="添加视频源").click()
    await expect(dialog).to_be_hidden()
    row = page.locator("tr").filter(has_text="东湖公园枪机")
    await expect(row).to_contain_text(f"rtsp://127.0.0.1:{port}/h264")
    assert "let-me-in-9" not in await page.content()
    await row.get_by_role("button", name="测试").click()
    await expect(dialog).to_contain_text("没有成功")
    await expect(dialog).to_contain_text("视频源连接不上")
    await keep_picture(page, "source-test-zh")
    await dialog.get_by_role("button", name="关闭").last.click()
    await expect(row).to_contain_text("失败")
    await expect(row).to_contain_text("核对地址和端口")


async def add_what_is_published(page: Page) -> str:
    """Return the address with the key that is shown once."""
    await page.get_by_role("button", name="添加视频源").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("种类").select_option("push_rtmp")
    await expect(dialog.locator('[name="url"]')).to_have_count(0)
    await dialog.get_by_label("名称").fill("无人机 1")
    await dialog.get_by_role("button", name="添加视频源").click()
    await expect(dialog).to_contain_text("推流密钥")
    address = await dialog.locator("#copy-publish-whole").input_value()
    await keep_picture(page, "source-key-zh")
    await dialog.get_by_role("button", name="已保存").click()
    row = page.locator("tr").filter(has_text="无人机 1")
    await expect(row).to_contain_text("等待推流")
    await keep_picture(page, "sources-zh")
    return address


async def test_sources_are_added_and_tried_and_the_stream_key_is_shown_once(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> str:
        await looker.go("sources")
        await add_what_is_pulled(looker.page, closed_port())
        return await add_what_is_published(looker.page)

    sections = {"rtmp": {"enabled": True, "host": "127.0.0.1", "port": 0}}
    async with picture_site(tmp_path, channels=1, sections=sections) as site:
        address = await site.look(browser, look, language="zh", size=(1440, 900))
        sources = (await site.it.api.get("sources"))["items"]
    assert [item["name"] for item in sources] == ["东湖公园枪机", "无人机 1"]
    assert address.startswith(sources[1]["publish_url"] + "?key=")


async def add_a_push(page: Page, target: str) -> None:
    await page.get_by_role("button", name="Add a push").first.click()
    picker = page.get_by_role("dialog")
    await picker.get_by_label("Find channels").fill("34020000001320000001")
    await picker.get_by_role("option").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("textbox", name="Target").fill(target)
    await dialog.get_by_label("Name").fill("Video wall")
    await keep_picture(page, "push-new-phone-en")
    assert await too_wide(page) == []
    await dialog.get_by_role("button", name="Begin to push").click()
    await expect(dialog).to_be_hidden()


async def test_a_push_that_does_not_come_through_says_why_and_is_switched_off_and_deleted(
    tmp_path: Path, browser: Browser
) -> None:
    target = f"rtmp://127.0.0.1:{closed_port()}/live"

    async def look(looker: Looker) -> None:
        page = looker.page
        await looker.go("sources?tab=pushes")
        await add_a_push(page, f"{target}/hidden-key-7")
        row = page.locator("tr").filter(has_text="Video wall")
        await expect(row).to_contain_text("Waiting to retry", timeout=20_000)
        await expect(row).to_contain_text("The target refused")
        await expect(row).to_contain_text("whether the target runs")
        await expect(row).to_contain_text(target)
        assert "hidden-key-7" not in await page.content()
        # Nor can the dialog that changes it know the key.
        await row.get_by_role("button", name="Change").click()
        await expect(
            page.get_by_role("dialog").get_by_role("textbox", name="Target")
        ).to_have_value("")
        await page.keyboard.press("Escape")
        await keep_picture(page, "pushes-phone-en")
        assert await too_wide(page) == []
        await row.get_by_role("button", name="Disable").click()
        await page.get_by_role("dialog").get_by_role("button", name="Disable").click()
        await expect(row).to_contain_text("Disabled")
        await row.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("Nothing is pushed yet")).to_be_visible()

    async with picture_site(tmp_path, channels=1) as site:
        await site.look(browser, look, size=PHONE)
        assert (await site.it.api.get("pushes"))["items"] == []
