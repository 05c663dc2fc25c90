"""What tests of the console's administration share: a department that watches, widths, pictures for people to look at."""

import os
from pathlib import Path

from playwright.async_api import Page, expect

from gateway.domain.policy import Subject
from tests.support.console_pages import PATIENCE
from tests.support.console_wall import PASSWORD, Site
from tests.support.policy import rule

__all__ = ["PHONE", "keep_picture", "share_with_urban", "too_wide"]

expect.set_options(timeout=PATIENCE)

PHONE = (390, 844)
_FOLDER = os.environ.get("CONSOLE_PICTURES", "")
"""Where pictures of the pages are kept; empty: nowhere."""
_TOO_WIDE = """() => [document.documentElement, document.querySelector(".main"), ...document.querySelectorAll("dialog[open]")]
  .filter(element => element.scrollWidth > element.clientWidth + 1)
  .map(element => `${element.tagName} ${element.className}: ${element.scrollWidth} in ${element.clientWidth}`)"""


async def too_wide(page: Page) -> list[str]:
    """What must be scrolled sideways."""
    return list(await page.evaluate(_TOO_WIDE))


async def keep_picture(page: Page, name: str) -> None:
    """Keep a picture of the page, if somebody wants any."""
    if _FOLDER:
        await page.screenshot(path=Path(_FOLDER) / f"{name}.png")


async def share_with_urban(site: Site) -> None:
    """Make a department that may watch everything, and somebody of it, `patrol`."""
    api = site.it.api
    status, answer = await api.call("PUT", "departments/urban", json={"name": "城管局"})
    assert status in {200, 201}, answer
    given = rule("urban-live", subjects='{ departments = ["urban"] }')
    admin = Subject(role="admin", user="admin")
    await site.it.gateway.policies.apply(f"version = 1\n{given}", admin)
    patrol = {"name": "patrol", "password": PASSWORD, "role": "viewer", "department": "urban"}
    status, answer = await api.call("POST", "users", json=patrol)
    assert status == 201, answer
