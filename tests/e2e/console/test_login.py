"""Getting into the console: set-up, login, sessions that end, passwords that must be changed."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.support.browser import Browser
from tests.support.console_pages import ADMIN_TOKEN, PASSWORD, PHONE, Visitor, console_site

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]


async def set_up(visitor: Visitor) -> None:
    page = visitor.page
    visitor.refusals_are_fine = True
    await visitor.go()
    await expect(page.get_by_role("heading", name="首次设置")).to_be_visible()
    token, password = page.get_by_label("管理员令牌"), page.locator('[name="password"]')
    create = page.get_by_role("button", name="创建并登录")
    await expect(token).to_be_focused()
    await token.fill("not the token")
    await page.get_by_label("用户名").fill("zhang.wei")
    await password.fill("short")
    await page.get_by_label("再次输入密码").fill("short")
    await create.click()
    await expect(page.locator(".field-error")).to_contain_text("至少 12 个字符")
    await expect(password).to_be_focused()
    await password.fill(PASSWORD)
    await expect(page.locator(".strength-text")).to_contain_text("强")
    await page.get_by_label("再次输入密码").fill(PASSWORD + "x")
    await create.click()
    await expect(page.locator(".field-error")).to_contain_text("不一致")
    await page.get_by_label("再次输入密码").fill(PASSWORD)
    await create.click()
    await expect(page.locator(".field-error")).to_contain_text("管理员令牌不正确")
    await expect(token).to_be_focused()
    await token.fill(f"  {ADMIN_TOKEN} ")
    await create.click()
    await expect(page.get_by_role("heading", name="总览")).to_be_visible()
    await expect(page.locator(".user-name")).to_have_text("zhang.wei")
    # The session outlives the page.
    await page.reload()
    await expect(page.get_by_role("heading", name="总览")).to_be_visible()


async def come_later(visitor: Visitor) -> None:
    page = visitor.page
    visitor.refusals_are_fine = True
    await visitor.go("devices?q=4711")
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    password = page.locator('[name="password"]')
    await page.get_by_label("Name").fill("zhang.wei")
    await password.fill("wrong horse battery 9")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("Name or password is wrong")
    await expect(password).to_be_focused()
    await expect(page.get_by_label("Name")).to_have_value("zhang.wei")
    await password.fill(PASSWORD)
    await page.keyboard.press("Enter")
    # To where they wanted.
    await expect(page.get_by_role("heading", name="Devices", level=1)).to_be_visible()
    assert page.url.endswith("#/devices?q=4711")
    await page.locator(".user-button").click()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()


async def test_the_first_run_sets_up_an_administrator_and_only_once(
    tmp_path: Path, browser: Browser
) -> None:
    async with console_site(tmp_path, browser) as site:
        await site.visit(set_up)
        await site.visit(come_later, locale="en-GB", theme="light", size=PHONE)


async def test_a_session_that_ends_is_renewed_without_losing_the_page(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(visitor: Visitor) -> None:
        page = visitor.page
        visitor.refusals_are_fine = True
        await visitor.go("devices")
        search = page.get_by_label("按名称、编码或地址搜索")
        await search.fill("人民路")
        await page.context.clear_cookies()
        await search.press_sequentially("1")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("登录已过期")
        await expect(dialog.get_by_label("用户名")).to_have_value("duty")
        await dialog.get_by_label("密码", exact=False).last.fill("not this one, surely")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("alert")).to_contain_text("用户名或密码不正确")
        await dialog.locator('[name="password"]').fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(dialog).to_be_hidden()
        await expect(search).to_have_value("人民路1")
        await expect(page.get_by_text("没有找到“人民路1”")).to_be_visible()
        # Given up: back to the login page.
        await page.context.clear_cookies()
        await search.press_sequentially("2")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("heading", name="登录")).to_be_visible()

    async with console_site(tmp_path, browser) as site:
        await site.add_user("chief")
        await site.add_user("duty", "viewer")
        await site.visit(look, user="duty")


async def test_a_password_set_by_an_administrator_is_changed_first(
    tmp_path: Path, browser: Browser
) -> None:
    fresh = "another horse battery 8"

    async def look(visitor: Visitor) -> None:
        page = visitor.page
        visitor.refusals_are_fine = True
        await visitor.go()
        await page.get_by_label("Name").fill("duty")
        await page.locator('[name="password"]').fill(PASSWORD)
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("An administrator has set this password")
        await dialog.locator('[name="old"]').fill(PASSWORD)
        await dialog.locator('[name="new"]').fill("password2026!")
        await dialog.locator('[name="again"]').fill("password2026!")
        await dialog.get_by_role("button", name="Save").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("This password will not do")
        await dialog.locator('[name="new"]').fill(fresh)
        await dialog.locator('[name="again"]').fill(fresh)
        await dialog.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        await expect(page.locator(".toast")).to_contain_text("Password changed")

    async with console_site(tmp_path, browser) as site:
        await site.add_user("chief")
        await site.add_user("duty", "viewer", must_change_password=True)
        await site.visit(look, locale="en-GB")
        status, _ = await site.it.api.call(
            "POST", "console/login", json={"name": "duty", "password": fresh}
        )
        assert status == 200
