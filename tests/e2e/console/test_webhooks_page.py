"""Webhooks in the console: added with a secret shown once, tried, disabled, deleted; what became of deliveries."""

import asyncio
import hashlib
import hmac
from pathlib import Path
from typing import Self

import pytest
from aiohttp import web
from playwright.async_api import expect

from tests.support.browser import Browser
from tests.support.console_pages import PHONE, Visitor, console_site

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]


class Receiver:
    """A department's system: counts what arrives, and answers as it is told."""

    def __init__(self) -> None:
        self.status = 204
        self.bodies: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue(maxsize=100)
        self.url = ""

    async def __aenter__(self) -> Self:
        async def take(request: web.Request) -> web.Response:
            self.bodies.put_nowait((dict(request.headers), await request.read()))
            return web.Response(status=self.status)

        application = web.Application()
        application.router.add_post("/hook", take)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def add(visitor: Visitor, url: str) -> str:
    """Return the secret that is shown once."""
    page = visitor.page
    await visitor.go("webhooks")
    await page.get_by_role("button", name="添加 Webhook").first.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("属于")).to_have_value("urban")
    for box in await dialog.get_by_role("checkbox").all():
        await box.uncheck()
    await dialog.get_by_label("接收地址").fill(url)
    await dialog.get_by_role("button", name="添加 Webhook").click()
    await expect(dialog).to_contain_text("请至少选择一项")
    await dialog.get_by_role("checkbox", name="通道离线").check()
    await dialog.get_by_role("button", name="添加 Webhook").click()
    await expect(dialog).to_contain_text("只显示这一次")
    secret = await dialog.locator("#copy-secret").input_value()
    await dialog.get_by_role("button", name="已保存").click()
    return secret


async def test_a_webhook_is_added_tried_disabled_and_deleted(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(visitor: Visitor) -> str:
        page = visitor.page
        secret = await add(visitor, receiver.url)
        assert secret not in await page.content()
        row = page.locator("tr").filter(has_text=receiver.url)
        await expect(row).to_contain_text("城管局")
        await expect(row).to_contain_text("尚未推送")
        await row.get_by_role("button", name="测试").click()
        await expect(row).to_contain_text("正常")
        await expect(row).to_contain_text("刚刚")
        receiver.status = 503
        await row.get_by_role("button", name="测试").click()
        await expect(row).to_contain_text("接收方返回 HTTP 503")
        await row.get_by_role("button", name="停用").click()
        await page.get_by_role("dialog").get_by_role("button", name="停用").click()
        await expect(row).to_contain_text("已停用")
        await expect(row.get_by_role("button", name="测试")).to_be_disabled()
        await row.get_by_role("button", name="启用").click()
        await expect(row.get_by_role("button", name="测试")).to_be_enabled()
        await row.get_by_role("button", name="修改").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("checkbox", name="通道上线").check()
        await dialog.get_by_role("button", name="保存").click()
        await expect(row).to_contain_text("通道上线")
        await row.get_by_role("button", name="删除").click()
        await page.get_by_role("dialog").get_by_role("button", name="删除").click()
        await expect(page.locator("main")).to_contain_text("还没有 Webhook")
        return secret

    sharing = {"webhook_private_networks": True}
    async with Receiver() as receiver, console_site(tmp_path, browser, sharing=sharing) as site:
        await site.add_user("boss")
        body = {"name": "城管局", "zone": "", "contact": ""}
        assert (await site.it.api.call("PUT", "departments/urban", json=body))[0] in {200, 201}
        secret = await site.visit(look, user="boss")
        headers, raw = await receiver.bodies.get()
    parts = ("POST", "/hook", headers["X-Gb-Timestamp"], headers["X-Gb-Nonce"])
    signed = "\n".join((*parts, hashlib.sha256(raw).hexdigest())).encode()
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Gb-Signature"] == expected


async def test_an_address_that_cannot_be_one_is_refused_in_words_on_a_phone(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(visitor: Visitor) -> None:
        page = visitor.page
        visitor.refusals_are_fine = True
        await visitor.go("webhooks")
        await page.get_by_role("button", name="添加 Webhook").first.click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("接收地址").fill("http://127.0.0.1:9/hook")
        await dialog.get_by_role("button", name="添加 Webhook").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("不允许使用此地址")
        wide = "[document.documentElement.scrollWidth, innerWidth]"
        width, room = await page.evaluate(wide)
        assert width <= room
        # A name tells only when it is looked up where it leads.
        await dialog.get_by_label("接收地址").fill("http://localhost:9/hook")
        await dialog.get_by_role("button", name="添加 Webhook").click()
        await dialog.get_by_role("button", name="已保存").click()
        row = page.locator("tr").filter(has_text="http://localhost:9/hook")
        await row.get_by_role("button", name="测试").click()
        await expect(row).to_contain_text("此地址不允许推送")
        await expect(row.locator("details")).to_contain_text("webhook_private_networks")

    async with console_site(tmp_path, browser) as site:
        await site.add_user("boss")
        body = {"name": "城管局", "zone": "", "contact": ""}
        assert (await site.it.api.call("PUT", "departments/urban", json=body))[0] in {200, 201}
        await site.visit(look, user="boss", size=PHONE)
