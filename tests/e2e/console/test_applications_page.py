"""Applications in the console: a department applies, is given less, sees it; emergencies are reviewed, grants revoked."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Browser
from tests.support.console_pages import Visitor, console_site
from tests.support.console_sharing import channel_code, prepare, unfit

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]

PURPOSE = "占道经营巡查"


async def applied_for(page: Page) -> None:
    await page.get_by_role("button", name="申请共享").first.click()
    dialog = page.get_by_role("dialog")
    # A department asks for itself only.
    await expect(dialog.get_by_text("为谁")).to_have_count(0)
    await dialog.get_by_role("button", name="提交申请").click()
    await expect(dialog.get_by_text("请填写事由")).to_be_visible()
    await dialog.get_by_label("云台控制").check()
    await dialog.get_by_label("添加条件").select_option("civil_codes")
    await dialog.locator("[data-field=civil_codes]").fill("371326")
    await dialog.get_by_label("事由").fill(PURPOSE)
    await dialog.get_by_label("工单号").fill("CG-2026-118")
    await dialog.get_by_role("button", name="7 天").click()
    await dialog.get_by_role("button", name="提交申请").click()
    await expect(page.get_by_text("申请已提交")).to_be_visible()
    await expect(page.locator(".page-note")).to_contain_text("待答复")
    await expect(page.locator(".facts")).to_contain_text("行政区划 371326")
    await expect(page.get_by_role("button", name="批准")).to_have_count(0)


async def approved_for_less(page: Page) -> None:
    row = page.locator(".table tbody tr").filter(has_text=PURPOSE)
    await expect(row).to_contain_text("城市管理局")
    await expect(row).to_contain_text("还剩")
    await row.click()
    await page.get_by_role("button", name="批准").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("云台控制").uncheck()
    await dialog.get_by_label("只给子码流").check()
    await dialog.get_by_label("修改通道范围").check()
    await dialog.get_by_label("添加条件").select_option("channels")
    await dialog.locator("[data-field=channels]").fill(f"{channel_code(0)} {channel_code(4)}")
    await dialog.get_by_label("答复意见").fill("限两个路口")
    await dialog.get_by_role("button", name="批准").click()
    await expect(page.get_by_text("已批准")).to_be_visible()
    await expect(page.locator(".page-note")).to_contain_text("有效")
    await expect(page.locator(".facts")).to_contain_text("仅子码流")
    await expect(page.locator(".facts .badges")).not_to_contain_text("云台控制")
    await expect(page.locator(".timeline")).to_contain_text("chief 批准")


async def test_an_application_is_approved_for_less_and_seen_by_the_department(
    tmp_path: Path, browser: Browser
) -> None:
    async def apply(visitor: Visitor) -> None:
        await visitor.go("applications")
        await expect(visitor.page.get_by_text("没有待答复的申请")).to_be_visible()
        await applied_for(visitor.page)

    async def answer(visitor: Visitor) -> None:
        await visitor.go("applications")
        await approved_for_less(visitor.page)

    async def see(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.go("applications?state=active")
        await page.locator(".table tbody tr").filter(has_text=PURPOSE).click()
        await expect(page.get_by_text("限两个路口")).to_be_visible()
        await visitor.go("devices")
        await expect(page.get_by_role("status").filter(has_text="2 个通道")).to_be_visible()
        await expect(page.get_by_role("option").filter(has_text="蒙阳湖公园")).to_be_visible()
        await expect(page.get_by_text("汽车站广场")).to_have_count(0)

    async def revoke(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.go("applications?state=active")
        await page.locator(".table tbody tr").filter(has_text=PURPOSE).click()
        await page.get_by_role("button", name="撤销授权").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="撤销授权").click()
        await expect(dialog.get_by_label("理由")).to_be_focused()
        await dialog.get_by_label("理由").fill("活动结束")
        await dialog.get_by_role("button", name="撤销授权").click()
        await expect(page.locator(".page-note")).to_contain_text("已撤销")
        await expect(page.locator(".timeline")).to_contain_text("chief 撤销")

    async with console_site(tmp_path, browser) as site:
        await prepare(site)
        await site.visit(apply, user="street")
        await site.visit(answer, user="chief")
        await site.visit(see, user="street")
        await site.visit(revoke, user="chief")


async def test_an_emergency_is_granted_listed_and_reviewed(
    tmp_path: Path, browser: Browser
) -> None:
    async def grant(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.go("applications")
        await page.get_by_role("button", name="Emergency access").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_text("No criterion: every channel is meant")).to_be_visible()
        await dialog.get_by_label("Department").select_option("urban")
        await dialog.get_by_role("button", name="15 min").click()
        await dialog.get_by_label("Purpose").fill("A fire")
        await dialog.get_by_role("button", name="Grant now").click()
        await expect(page.get_by_text("This emergency access is not reviewed")).to_be_visible()
        await visitor.go("applications")
        await expect(page.get_by_text("1 emergency accesses are not reviewed")).to_be_visible()
        await page.get_by_role("tab", name="Emergencies").click()
        row = page.locator(".table tbody tr")
        await expect(row).to_contain_text("Not reviewed")
        await row.click()
        await page.get_by_role("button", name="Review").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Remark").fill("There was a fire")
        await dialog.get_by_role("button", name="Review").click()
        await expect(page.locator(".timeline")).to_contain_text("user chief reviewed it")
        await expect(page.get_by_text("Not reviewed")).to_have_count(0)

    async def by_phone(visitor: Visitor) -> None:
        page = visitor.page
        for place in ("applications", "applications?state=active", "applications?state=over"):
            await visitor.go(place)
            await expect(page.get_by_role("tab", selected=True)).to_be_visible()
            await expect(page.locator(".skeleton")).to_have_count(0)
            assert await unfit(page) == []
        await visitor.go("applications?state=active")
        await page.locator(".table tbody tr a").first.click()
        await expect(page.locator(".timeline")).to_be_visible()
        # That it is not reviewed is nothing for those it was given to.
        await expect(page.get_by_role("button", name="复核")).to_have_count(0)
        assert await unfit(page) == []

    async with console_site(tmp_path, browser) as site:
        await prepare(site)
        await site.visit(grant, user="chief", locale="en-US")
        await site.visit(by_phone, user="street", size=(390, 844))
