"""Users and keys in the console: an account made and used, a key shown once and used, sessions ended."""

from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Browser
from tests.support.console_admin import PHONE, keep_picture, too_wide
from tests.support.console_pages import ConsoleSite, Visitor, console_site

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]

CHOSEN = "my very own words 42"


async def make_a_department(page: Page) -> None:
    await page.get_by_role("tab", name="外部部门").click()
    await page.get_by_role("button", name="新建部门").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("代码").fill("urban")
    await dialog.get_by_label("名称").fill("城管局")
    await dialog.get_by_role("button", name="保存").click()
    await expect(page.get_by_role("row").filter(has_text="urban")).to_be_visible()


async def make_a_user(page: Page) -> str:
    """Return the password that is shown once."""
    await page.get_by_role("tab", name="用户").click()
    await page.get_by_role("button", name="新建用户").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("用户名").fill("patrol")
    await expect(dialog.get_by_label("角色").locator("option")).to_have_count(3)
    await dialog.get_by_label("所属").select_option("urban")
    await expect(dialog.get_by_label("角色").locator("option")).to_have_count(2)
    await expect(dialog.get_by_label("用户名")).to_have_value("patrol")
    await keep_picture(page, "user-new-zh")
    await dialog.get_by_role("button", name="新建用户").click()
    await expect(dialog).to_contain_text("只显示这一次")
    password = await dialog.locator("#copy-password").input_value()
    # A stray Escape does not lose it.
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_visible()
    await keep_picture(page, "user-once-zh")
    await dialog.get_by_role("button", name="已保存").click()
    row = page.get_by_role("row").filter(has_text="patrol")
    await expect(row).to_contain_text("城管局")
    await expect(row).to_contain_text("待改密码")
    await keep_picture(page, "users-zh")
    return password


async def log_in_by_the_form(page: Page, name: str, password: str) -> None:
    await page.get_by_label("用户名").fill(name)
    await page.locator('[name="password"]').fill(password)
    await page.get_by_role("button", name="登录").click()


async def end_them(page: Page) -> None:
    await page.get_by_role("button", name="管理 patrol").click()
    dialog = page.get_by_role("dialog").first
    await expect(dialog.locator(".login-row")).to_have_count(1)
    await keep_picture(page, "user-sessions-zh")
    await dialog.get_by_role("button", name="全部退出登录").click()
    await page.get_by_role("dialog").last.get_by_role("button", name="全部退出登录").click()
    await expect(dialog).to_contain_text("目前没有登录")
    await dialog.get_by_role("button", name="停用").click()
    await page.get_by_role("dialog").last.get_by_role("button", name="停用").click()
    await expect(dialog.get_by_role("button", name="启用")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("row").filter(has_text="patrol")).to_contain_text("已停用")


async def test_an_account_is_made_its_owner_logs_in_and_is_logged_out_by_the_administrator(
    tmp_path: Path, browser: Browser
) -> None:
    async def make(visitor: Visitor) -> str:
        await visitor.go("users")
        await make_a_department(visitor.page)
        return await make_a_user(visitor.page)

    async def arrive(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.go()
        await log_in_by_the_form(page, "patrol", password)
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("请先改成只有您知道的密码")
        await dialog.locator('[name="old"]').fill(password)
        await dialog.locator('[name="new"]').fill(CHOSEN)
        await dialog.locator('[name="again"]').fill(CHOSEN)
        await dialog.get_by_role("button", name="保存").click()
        await expect(page.get_by_role("heading", level=1)).to_be_visible()

    async def manage(visitor: Visitor) -> None:
        await visitor.go("users")
        await end_them(visitor.page)

    async with console_site(tmp_path, browser) as site:
        await site.add_user("chief")
        password = await site.visit(make, user="chief", theme="light")
        await site.visit(arrive)
        await site.visit(manage, user="chief", theme="light")
        status, _ = await site.it.api.call(
            "POST", "console/login", json={"name": "patrol", "password": CHOSEN}
        )
        assert status in {401, 403}


async def make_a_key(page: Page) -> str:
    await page.get_by_role("button", name="New key").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("patrol app")
    await dialog.get_by_label("Catalogue").uncheck()
    await dialog.get_by_label("Live").uncheck()
    await dialog.get_by_role("button", name="New key").click()
    await expect(dialog).to_contain_text("Choose one at least")
    await dialog.get_by_label("Catalogue").check()
    await keep_picture(page, "key-new-phone-en")
    assert await too_wide(page) == []
    await dialog.get_by_role("button", name="New key").click()
    await expect(dialog).to_contain_text("cannot be seen again")
    await dialog.get_by_role("button", name="Copy Bearer token").click()
    bearer = await dialog.locator("#copy-bearer").input_value()
    assert await page.evaluate("navigator.clipboard.readText()") == bearer
    await keep_picture(page, "key-once-phone-en")
    assert await too_wide(page) == []
    await dialog.get_by_role("button", name="Kept").click()
    await expect(page.locator("tr").filter(has_text="patrol app")).to_contain_text("Usable")
    await keep_picture(page, "keys-phone-en")
    assert bearer not in await page.content()
    assert await too_wide(page) == []
    return bearer


async def calls_with(site: ConsoleSite, bearer: str) -> int:
    url = f"{site.it.gateway.http_url}/api/v1/me"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {bearer}"}) as http,
        http.get(url) as answer,
    ):
        return answer.status


async def test_a_key_is_shown_once_works_as_a_bearer_and_is_worthless_once_it_is_disabled(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(visitor: Visitor) -> None:
        page = visitor.page
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await visitor.go("users?tab=keys")
        bearer = await make_a_key(page)
        assert await visitor.at_gateway(calls_with(site, bearer)) == 200
        row = page.locator("tr").filter(has_text="patrol app")
        await row.get_by_role("button", name="New secret").click()
        await page.get_by_role("dialog").get_by_role("button", name="New secret").click()
        another = await page.locator("#copy-bearer").input_value()
        await page.get_by_role("button", name="Kept").click()
        assert await visitor.at_gateway(calls_with(site, bearer)) == 401
        assert await visitor.at_gateway(calls_with(site, another)) == 200
        await row.get_by_role("button", name="Disable").click()
        await page.get_by_role("dialog").get_by_role("button", name="Disable").click()
        await expect(row).to_contain_text("Disabled")
        assert await visitor.at_gateway(calls_with(site, another)) in {401, 403}

    async with console_site(tmp_path, browser) as site:
        await site.add_user("chief")
        await site.it.api.call("PUT", "departments/urban", json={"name": "Urban"})
        await site.visit(look, user="chief", size=PHONE, locale="en-GB", theme="light")
