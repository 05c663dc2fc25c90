"""The sharing policy in the console: mistakes at their lines, what a draft changes for whom, why something is refused."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Browser
from tests.support.console_pages import Visitor, console_site
from tests.support.console_sharing import DEVICE, POLICY, SCHOOL, channel_code, prepare, put, unfit

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]

CITY = "37130000002000000001"
STREETS = """
[[rule]]
id = "streets"
effect = "allow"
subjects = { departments = ["urban"] }
objects = { civil_codes = ["371326"] }
actions = ["catalog", "live"]
"""


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


async def mistakes_are_at_their_lines(page: Page) -> None:
    editor = page.get_by_role("textbox", name="策略文件")
    bad = POLICY.replace('effect = "deny"', 'effect = "forbid"').replace(
        "obligations", "obligation"
    )
    await editor.fill(bad)
    problems = page.locator(".problem")
    await expect(problems).to_have_count(2)
    wrong, unknown = line_of(bad, '"forbid"'), line_of(bad, "obligation")
    first = problems.filter(has_text=f"第 {wrong} 行")
    await expect(first).to_contain_text("allow 或 deny")
    await expect(problems.filter(has_text=f"第 {unknown} 行")).to_contain_text("是不是 obligations")
    await expect(page.locator(".editor-bad")).to_have_text([f"{wrong}", f"{unknown}"])
    await expect(page.get_by_role("button", name="应用")).to_be_disabled()
    await first.get_by_role("button").click()
    await expect(editor).to_be_focused()
    assert await page.evaluate("getSelection().toString()") == 'effect = "forbid"'
    broken = line_of(POLICY, '"deny"')
    await editor.fill(POLICY.replace('effect = "deny"', 'effect = "deny'))
    await expect(problems.first).to_contain_text(f"第 {broken} 行")


async def tab_indents_and_escape_leaves(page: Page) -> None:
    editor = page.get_by_role("textbox", name="策略文件")
    await editor.fill("version = 1\n")
    await page.keyboard.press("Tab")
    assert await editor.input_value() == "version = 1\n  "
    await page.keyboard.press("Shift+Tab")
    assert await editor.input_value() == "version = 1\n"
    await page.keyboard.press("Escape")
    await page.keyboard.press("Shift+Tab")
    await expect(editor).not_to_be_focused()


async def a_draft_is_tried_and_applied(page: Page) -> None:
    await page.get_by_role("textbox", name="策略文件").fill(POLICY + STREETS)
    await expect(page.get_by_text("共 4 条规则")).to_be_visible()
    await page.get_by_role("button", name="差异").click()
    await expect(page.locator(".diff-add").filter(has_text='id = "streets"')).to_be_visible()
    await page.get_by_role("button", name="试算").click()
    # Six cameras to be seen, five to be watched: the school's rule holds.
    await expect(page.locator(".try-result")).to_contain_text("新开放 11")
    await expect(page.locator(".try-result tbody tr").first).to_contain_text("streets")
    await page.get_by_role("tab", name="编辑").click()
    await page.get_by_role("button", name="应用").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("共 11 处权限变化")
    await dialog.get_by_label("说明").fill("城管看街面")
    await dialog.get_by_role("button", name="应用").click()
    await expect(page.get_by_text("版本 2 生效中")).to_be_visible()
    await expect(page.get_by_text("与生效版本相同")).to_be_visible()


async def versions_are_compared(page: Page) -> None:
    await page.get_by_role("tab", name="版本").click()
    await expect(page.locator(".version").first).to_contain_text("城管看街面")
    await expect(page.locator(".diff-add").filter(has_text='id = "streets"')).to_be_visible()
    await expect(page.locator(".diff-remove")).to_have_count(0)
    await page.get_by_role("button", name="恢复").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("收回 11")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()


async def why_is_explained(page: Page) -> None:
    await page.get_by_role("tab", name="试算").click()
    await page.get_by_role("button", name="能看到什么").click()
    await page.get_by_label("部门").select_option("urban")
    await page.get_by_role("button", name="试算", exact=True).click()
    result = page.locator(".try-result")
    await expect(result).to_contain_text("允许 5")
    await expect(result).to_contain_text("策略禁止 1")
    row = result.locator("tbody tr").filter(has_text=channel_code(SCHOOL))
    await expect(row).to_contain_text("no-schools")
    await row.get_by_role("button", name="查看依据").click()
    decides = page.locator(".trace-decides")
    await expect(decides).to_contain_text("no-schools")
    await expect(decides).to_contain_text("禁止")
    others = page.locator(".trace-step").filter(has_text="city-live")
    await page.get_by_text("与此请求无关").click()
    await expect(others).to_contain_text(CITY)
    await page.locator("#try-channel").fill(f"{DEVICE}/{channel_code(0)}")
    await page.get_by_role("button", name="试算", exact=True).click()
    await expect(decides).to_contain_text("streets")
    await page.locator("#try-channel").fill("nothing-of-the-kind")
    await page.get_by_role("button", name="试算", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("没有这个通道")


async def test_a_policy_is_written_tried_applied_and_explained(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(visitor: Visitor) -> None:
        page = visitor.page
        visitor.refusals_are_fine = True
        await visitor.go("policy")
        await tab_indents_and_escape_leaves(page)
        await mistakes_are_at_their_lines(page)
        await a_draft_is_tried_and_applied(page)
        await versions_are_compared(page)
        await why_is_explained(page)

    async with console_site(tmp_path, browser) as site:
        await prepare(site)
        await site.visit(look, user="chief")


async def test_a_draft_of_an_older_version_is_told_and_viewers_only_look(
    tmp_path: Path, browser: Browser
) -> None:
    async def late(visitor: Visitor) -> None:
        page = visitor.page
        visitor.refusals_are_fine = True
        await visitor.go("policy")
        await page.get_by_role("textbox", name="Policy file").fill(POLICY + STREETS)
        await expect(page.get_by_text("4 rules", exact=False).first).to_be_visible()
        await page.get_by_role("button", name="Apply").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("11 permissions")
        await visitor.at_gateway(put(site, "policy", {"text": POLICY + "\n", "comment": "quicker"}))
        await dialog.get_by_role("button", name="Apply").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("Take the new version")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Drop the draft and take version 2").click()
        await expect(page.get_by_text("From version 2")).to_be_visible()

    async def by_phone(visitor: Visitor) -> None:
        for place in ("policy", "policy?tab=try", "policy?tab=try&mode=why", "policy?tab=versions"):
            await visitor.go(place)
            await expect(visitor.page.get_by_role("tab", selected=True)).to_be_visible()
            await expect(visitor.page.locator(".skeleton")).to_have_count(0)
            assert await unfit(visitor.page) == []

    async def only_looks(visitor: Visitor) -> None:
        await visitor.go("policy")
        await expect(visitor.page.locator(".version")).to_have_count(2)
        await expect(visitor.page.get_by_role("tab")).to_have_count(1)
        await expect(visitor.page.get_by_role("button", name="恢复")).to_have_count(0)

    async with console_site(tmp_path, browser) as site:
        await prepare(site)
        await site.add_user("guest", role="viewer")
        await site.visit(late, user="chief", locale="en-US")
        await site.visit(by_phone, user="chief", size=(390, 844))
        await site.visit(only_looks, user="guest")
