"""The audit in the console: a denial found, its record, verified, exported, and damage said in words."""

import asyncio
import zipfile
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from gateway.domain.errors import Forbidden
from gateway.domain.policy import AccessContext, AccessRequest, Action, Subject
from gb28181.aio.clock import utc_now
from tests.support.browser import Browser
from tests.support.console_admin import PHONE, keep_picture, too_wide
from tests.support.console_county import RECORDER, seed_county
from tests.support.console_pages import ConsoleSite, Visitor, console_site

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]

CAMERA = "37132601001320000001"


async def denied_and_many_more(site: ConsoleSite) -> None:
    """A department is refused once; logins enough for a second page follow."""
    gateway = site.it.gateway
    await seed_county(gateway.registry, recorders=1, on_platform=0, each=2)
    await site.it.api.call("PUT", "departments/urban", json={"name": "城管局"})
    request = AccessRequest(
        subject=Subject(department="urban", key="k1"),
        action=Action.LIVE,
        channel=gateway.registry.channel(RECORDER, CAMERA),
        object_id=CAMERA,
        context=AccessContext(at=utc_now(), source="10.1.2.3", purpose="防汛", ticket="T-7"),
        via="http",
    )
    with pytest.raises(Forbidden):
        gateway.sharing.access.check(request)
    for _ in range(60):
        await site.it.api.call("GET", "audit?limit=1")


async def find_the_denial(page: Page) -> None:
    await page.get_by_label("结果").select_option("deny")
    await page.get_by_label("主体").fill("department:urban")
    await page.get_by_role("button", name="检索").click()
    row = page.get_by_role("row").filter(has_text=CAMERA)
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("部门 城管局")
    await expect(row).to_contain_text("未获授权")
    await keep_picture(page, "audit-denial-zh")
    await row.get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    for said in ("防汛", "T-7", "10.1.2.3", "实时视频", "本行哈希"):
        await expect(dialog).to_contain_text(said)
    await keep_picture(page, "audit-record-zh")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="清除条件").click()


async def verify_it(page: Page) -> None:
    anchor = await page.get_by_label("最后签名").first.input_value()
    await page.get_by_role("button", name="校验").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("另行记下的锚点").fill(anchor)
    await dialog.get_by_role("button", name="开始校验").click()
    await expect(dialog).to_contain_text("审计完好")
    await expect(dialog).to_contain_text("另行记下的锚点")
    await keep_picture(page, "audit-sound-zh")
    await dialog.get_by_role("button", name="关闭").last.click()


async def save_it(page: Page) -> None:
    await page.get_by_role("button", name="导出").click()
    async with page.expect_download() as waiting:
        await page.get_by_role("dialog").get_by_role("button", name="下载").click()
    file = await (await waiting.value).path()
    names = await asyncio.to_thread(lambda: zipfile.ZipFile(file).namelist())
    assert any(name.endswith(".log") for name in names), names
    assert any(name.endswith(".pem") for name in names), names


async def page_back(page: Page) -> None:
    shown = page.locator(".card > .table-scroll tbody tr")
    await expect(shown).to_have_count(50)
    await page.get_by_role("button", name="继续加载更早的记录").click()
    await expect(shown).not_to_have_count(50)
    keys = await page.locator("tbody time").evaluate_all("all => all.map(it => it.title)")
    assert len(keys) == len(set(keys)), "a record is shown twice"
    numbers = [int(key[1:]) for key in keys]
    assert numbers == sorted(numbers, reverse=True)


async def test_a_denial_is_found_and_the_audit_is_verified_exported_and_paged(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.go("audit")
        await expect(page.get_by_text("正在记录")).to_be_visible()
        await keep_picture(page, "audit-zh")
        await find_the_denial(page)
        await page_back(page)
        await verify_it(page)
        await save_it(page)

    async with console_site(tmp_path, browser) as site:
        await site.add_user("chief")
        await denied_and_many_more(site)
        await site.visit(look, user="chief")


def change_the_record_of(name: bytes, data_dir: Path) -> int:
    """Give a record another name; return its line."""
    path = next(data_dir.rglob("00000001.log"))
    lines = path.read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b"user:" + name in line)
    lines[at] = lines[at].replace(b"user:" + name, b"user:" + name[::-1])
    path.write_bytes(b"".join(lines))
    return at + 1


async def test_damage_is_said_with_its_place_and_viewers_see_the_status_only(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.go("audit")
        await expect(page.get_by_text("Recording", exact=True)).to_be_visible()
        await expect(page.locator(".table tbody tr").first).to_be_visible()
        await keep_picture(page, "audit-phone-en")
        assert await too_wide(page) == []
        await page.get_by_role("button", name="Verify").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Verify now").click()
        await expect(dialog).to_contain_text("A record was changed")
        await expect(dialog).to_contain_text(f"File 1, line {place}")
        await keep_picture(page, "audit-damage-phone-en")
        assert await too_wide(page) == []

    async def look_only(visitor: Visitor) -> None:
        await visitor.go("audit")
        await expect(visitor.page.get_by_text("只有管理员可以检索")).to_be_visible()
        await expect(visitor.page.get_by_role("button", name="校验")).to_have_count(0)

    async with console_site(tmp_path, browser) as site:
        await site.add_user("chief")
        await site.add_user("guard", "viewer")
        await site.visit(look_only, user="guard")
        await site.it.api.call("POST", "audit/verify")
        place = await asyncio.to_thread(change_the_record_of, b"guard", tmp_path)
        await site.visit(look, user="chief", size=PHONE, locale="en-GB", theme="light")
