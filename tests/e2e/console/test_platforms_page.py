"""Upper platforms in the console: tried before they are kept, their links, the catalogue they get and a tree of one's own."""

from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.support.browser import Browser
from tests.support.console_pages import Visitor, console_site
from tests.support.console_sharing import channel_code, prepare, put, put_platform, unfit
from tests.support.upper_platform import LOWER_ID, UPPER_ID, UpperPlatform

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]


async def fill_in(dialog: Locator, upper: UpperPlatform, password: str) -> None:
    await dialog.get_by_label("上级平台编码").fill(upper.platform_id)
    await dialog.get_by_label("主机 1").fill(upper.host)
    await dialog.get_by_label("端口 1").fill(str(upper.port))
    await dialog.get_by_label("名称", exact=True).fill("临沂市视频平台")
    await dialog.get_by_label("本级编码").fill(LOWER_ID)
    await dialog.get_by_label("注册密码").fill(password)


async def wrong_settings_are_named(dialog: Locator) -> None:
    await dialog.get_by_role("button", name="保存").click()
    await expect(dialog.get_by_text("应为 20 位数字")).to_be_visible()
    await expect(dialog.get_by_text("启用的平台至少需要一个地址")).to_be_visible()


async def what_the_gateway_refuses_is_beside_its_field(dialog: Locator) -> None:
    await dialog.get_by_role("tab", name="SIP").click()
    await dialog.get_by_label("注册有效期").fill("5")
    await dialog.get_by_role("tab", name="基本").click()
    await dialog.get_by_role("button", name="保存").click()
    # It leads to the tab where the mistake is.
    await expect(dialog.get_by_text("60 至 604800")).to_be_visible()
    await dialog.get_by_label("注册有效期").fill("3600")
    await dialog.get_by_role("tab", name="基本").click()


async def test_a_platform_is_tried_then_kept_then_switched_off_and_deleted(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(visitor: Visitor) -> None:
        page = visitor.page
        visitor.refusals_are_fine = True
        await visitor.go("platforms")
        await expect(page.get_by_text("还没有上级平台")).to_be_visible()
        await page.get_by_role("button", name="添加平台").first.click()
        dialog = page.get_by_role("dialog")
        await wrong_settings_are_named(dialog)
        await fill_in(dialog, upper, "not the password")
        trial = dialog.locator(".trial")
        await dialog.get_by_role("button", name="测试连接").click()
        await expect(trial.get_by_text("注册没有成功")).to_be_visible()
        await expect(trial.locator(".timeline-bad")).to_contain_text("应答 403")
        await expect(trial.locator(".timeline-bad")).to_contain_text("有的平台密码错误也回 403")
        await dialog.get_by_label("注册密码").fill(upper.password)
        await dialog.get_by_role("button", name="测试连接").click()
        await expect(trial.get_by_text("可以保存")).to_be_visible()
        steps = trial.locator(".timeline-title")
        await expect(steps).to_contain_text(["连接", "REGISTER", "认证", "心跳", "注销", "注销"])
        await expect(trial.locator(".timeline-time").first).to_contain_text(" s")
        # Trying keeps nothing.
        status, _ = await visitor.at_gateway(site.it.api.call("GET", f"platforms/{UPPER_ID}"))
        assert status == 404
        await what_the_gateway_refuses_is_beside_its_field(dialog)
        await dialog.get_by_role("button", name="保存").click()
        await expect(dialog).to_be_hidden()
        await expect(page.get_by_role("heading", name="临沂市视频平台")).to_be_visible()
        await expect(page.locator(".page-note").get_by_text("在线")).to_be_visible()
        await page.get_by_role("tab", name="时间线").click()
        await expect(page.get_by_text("注册成功")).to_be_visible()
        await switched_off_and_deleted(page)

    async with console_site(tmp_path, browser) as site, UpperPlatform() as upper:
        await prepare(site)
        await site.visit(look, user="chief")
        assert not upper.is_registered


async def switched_off_and_deleted(page: Page) -> None:
    await page.get_by_role("button", name="停用").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="停用").click()
    await expect(page.locator(".page-note").get_by_text("已停用")).to_be_visible()
    await page.get_by_role("tab", name="概况").click()
    await page.get_by_role("button", name="删除平台").click()
    await dialog.get_by_role("button", name="删除").click()
    await expect(dialog.locator(".field-error")).to_be_visible()
    await dialog.get_by_label("请输入").fill(UPPER_ID[-6:])
    await dialog.get_by_role("button", name="删除").click()
    await expect(page.get_by_text("还没有上级平台")).to_be_visible()


async def a_tree_is_made(page: Page) -> None:
    await page.get_by_label("自定义").check()
    await expect(page.get_by_role("button", name="保存编排")).to_be_disabled()
    await page.get_by_role("button", name="添加节点").click()
    dialog = page.get_by_role("dialog")
    await dialog.locator("#node-code").fill("37132")
    await dialog.get_by_role("button", name="确定").click()
    await expect(dialog.get_by_text("应为 2、4、6 或 8 位数字")).to_be_visible()
    await dialog.locator("#node-code").fill("371326")
    await dialog.locator("#node-name").fill("平邑县")
    await dialog.get_by_label("放入的通道").select_option("some")
    await dialog.get_by_label("添加条件").select_option("channels")
    # What is typed but not yet confirmed counts.
    await dialog.locator("[data-field=channels]").fill(f"{channel_code(0)} {channel_code(3)}")
    await dialog.get_by_role("button", name="确定").click()
    await expect(page.locator(".nodes")).to_contain_text("平邑县")
    await expect(page.locator(".nodes")).to_contain_text(channel_code(0))


async def test_what_a_platform_gets_is_seen_and_arranged(tmp_path: Path, browser: Browser) -> None:
    async def look(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.go(f"platforms/{UPPER_ID}?tab=catalog")
        tree = page.get_by_role("tree", name="将上报的目录")
        await tree.get_by_text("平邑街道录像机").click()
        await expect(tree.get_by_text("人民路路口")).to_be_visible()
        # The school is shown under the name the policy gives it.
        school = tree.get_by_role("treeitem").filter(has_text="学校点位")
        await expect(school.get_by_text("脱敏")).to_be_visible()
        await expect(tree.get_by_text("实验小学门口")).to_have_count(0)
        await expect(page.locator(".figure").filter(has_text="摄像机")).to_contain_text("6")
        await a_tree_is_made(page)
        await expect(page.get_by_text("移除 5")).to_be_visible()
        await expect(page.get_by_text("新增 1")).to_be_visible()
        await page.get_by_role("button", name="差异").click()
        gone = page.locator(".catalog-removed")
        await expect(gone).to_have_count(5)
        await expect(gone.filter(has_text="蒙阳湖公园")).to_be_visible()
        await page.get_by_role("button", name="保存编排").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("移除 5 项")
        await dialog.get_by_role("button", name="保存编排").click()
        await expect(page.get_by_text("目录编排已保存")).to_be_visible()
        await expect(page.locator(".tab-count").first).to_have_text("4")

    async def by_phone(visitor: Visitor) -> None:
        for place in ("platforms", f"platforms/{UPPER_ID}", f"platforms/{UPPER_ID}?tab=catalog"):
            await visitor.go(place)
            await expect(visitor.page.get_by_text("Model city").first).to_be_visible()
            await expect(visitor.page.locator(".skeleton")).to_have_count(0)
            assert await unfit(visitor.page) == []

    async with console_site(tmp_path, browser) as site, UpperPlatform() as upper:
        await prepare(site)
        await put_platform(site, upper, name="Model city")
        await put(site, "platforms/37130000002000000002", {"name": "Off", "enabled": False})
        await site.visit(look, user="chief")
        sent = [item.device_id for item in await upper.query_catalog()]
        assert sorted(sent) == sorted([LOWER_ID, "371326", channel_code(0), channel_code(3)])
        await site.visit(by_phone, user="chief", size=(390, 844), locale="en-US")
