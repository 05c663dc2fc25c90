"""What holds for every page of the console: words in both languages, widths, labels, keyboard, contrast, no errors."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Browser
from tests.support.console_county import RECORDER, seed_county
from tests.support.console_pages import DESK, PASSWORD, PHONE, Visitor, console_site

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]

FOLDER = Path(__file__).parents[3] / "gateway" / "web"
CAMERA = "37132601001320000001"
PAGES = (
    "overview",
    "devices",
    "devices?view=devices",
    "devices?view=tree",
    "devices?q=nothing-like-this",
    f"devices/{RECORDER}",
    f"devices/{RECORDER}?tab=channels",
    f"devices/{RECORDER}?tab=sessions",
    f"devices/{RECORDER}?tab=timeline",
    f"channels/{RECORDER}/{CAMERA}",
    "watching",
    "watching?tab=stops",
    "watching?tab=usage",
    "audit",
    "users",
    "users?tab=keys",
    "users?tab=departments",
    "sources",
    "sources?tab=pushes",
    "webhooks",
    "no/such/page",
)

# What an assistive technology would stumble over, one line each.
STUMBLES = """() => {
  const found = [];
  const seen = element => element.checkVisibility({visibilityProperty: true, opacityProperty: false});
  const name = element => [element.getAttribute("aria-label"), element.textContent, element.title,
    ...[...(element.labels || [])].map(label => label.textContent),
    ...(element.getAttribute("aria-labelledby") || "").split(" ").map(id => document.getElementById(id)?.textContent)]
    .find(text => text && text.trim());
  const said = element => element.outerHTML.slice(0, 120);
  for (const element of document.querySelectorAll("input, select, textarea"))
    if (seen(element) && !element.labels?.length && !element.getAttribute("aria-label")) found.push("no label: " + said(element));
  for (const element of document.querySelectorAll("button, a, summary, [role=tab], [role=option], [role=treeitem]"))
    if (seen(element) && !name(element)) found.push("no name: " + said(element));
  for (const element of document.querySelectorAll("img")) if (!element.hasAttribute("alt")) found.push("no alt: " + said(element));
  for (const element of document.querySelectorAll("[tabindex]")) if (element.tabIndex > 0) found.push("tab order: " + said(element));
  for (const element of document.querySelectorAll("[aria-describedby]"))
    for (const id of element.getAttribute("aria-describedby").split(" "))
      if (!document.getElementById(id)) found.push("described by nothing: " + said(element));
  for (const element of document.querySelectorAll("[role=tree], [role=listbox], [role=tablist], [role=dialog], nav, table"))
    if (seen(element) && !element.getAttribute("aria-label") && !element.getAttribute("aria-labelledby"))
      found.push("nameless " + said(element));
  const ids = [...document.querySelectorAll("[id]")].map(element => element.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) found.push("id twice: " + id);
  if (document.querySelectorAll("main").length !== 1) found.push("mains: " + document.querySelectorAll("main").length);
  if (document.querySelectorAll("h1").length > 1) found.push("several h1");
  if (!document.documentElement.lang) found.push("no language");
  return found;
}"""
# Elements beyond the right edge, and controls too small for a finger.
TOO_WIDE = """() => {
  const found = document.documentElement.scrollWidth > innerWidth ? ["the page: " + document.documentElement.scrollWidth] : [];
  const main = document.querySelector(".main");
  if (main && main.scrollWidth > main.clientWidth) found.push("main: " + main.scrollWidth + " in " + main.clientWidth);
  return found;
}"""
TOO_SMALL = """() => [...document.querySelectorAll("button, .button, .icon-button, select, input, .side-link")]
  .filter(element => element.checkVisibility({visibilityProperty: true}))
  .filter(element => { const box = element.getBoundingClientRect(); return box.height < 36 && box.height > 0; })
  .map(element => element.outerHTML.slice(0, 100))"""


def source_words() -> dict[str, str]:
    """Texts of all modules by name."""
    return {path.relative_to(FOLDER).as_posix(): path.read_text() for path in FOLDER.rglob("*.js")}


def imports_of(name: str, source: str) -> set[str]:
    folder = (FOLDER / name).parent
    found = re.findall(r'(?:from|import)\s+"(\.[^"]+)"', source)
    return {(folder / item).resolve().relative_to(FOLDER).as_posix() for item in found}


async def dictionaries(page: Page, names: list[str]) -> dict[str, dict[str, dict[str, str]]]:
    """What each module exports as `strings`."""
    script = """async names => Object.fromEntries((await Promise.all(names.map(async name => {
      const module = await import("/console/" + name);
      return [name, module.strings];
    }))).filter(([, strings]) => strings))"""
    return dict(await page.evaluate(script, names))


async def test_all_words_are_there_in_both_languages(tmp_path: Path, browser: Browser) -> None:
    sources = source_words()
    modules = [name for name in sources if name not in {"player.js", "theme.js"}]

    async def look(visitor: Visitor) -> dict[str, dict[str, dict[str, str]]]:
        await visitor.go()
        await expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
        return await dictionaries(visitor.page, modules)

    async with console_site(tmp_path, browser) as site:
        found = await site.visit(look)
    assert len(found) >= 15
    assert sum(len(strings["zh"]) for strings in found.values()) > 400
    gaps: list[str] = []
    for name, strings in found.items():
        zh, en = strings["zh"], strings["en"]
        gaps += [f"{name}: {key} in one language only" for key in zh.keys() ^ en.keys()]
        for key in zh.keys() & en.keys():
            blanks = [set(re.findall(r"\{(\w+)\}", text)) for text in (zh[key], en[key])]
            if blanks[0] != blanks[1]:
                gaps.append(f"{name}: {key} has other parameters")
            if not zh[key].strip() or not en[key].strip():
                gaps.append(f"{name}: {key} is empty")
        gaps += [
            f"{name}: {key} is no English"
            for key in en
            if re.search("[\u4e00-\u9fff]", en[key]) and key != "zh"
        ]
    common = found["lib/common.js"]["en"]
    for name, source in sources.items():
        known = set(common) | set(found.get(name, {}).get("en", {}))
        for other in imports_of(name, source):
            known |= set(found.get(other, {}).get("en", {}))
        used = set(re.findall(r'(?<![\w.])t\(\s*"([^"]+)"', source))
        if name in found or "words(" in source:
            gaps += [f"{name}: {key} is nowhere" for key in used - known]
    assert gaps == []


def test_every_page_of_the_list_exists_and_every_module_is_in_a_folder_that_is_served() -> None:
    listed = re.findall(r'import\("\./([^"]+)"\)', (FOLDER / "pages/index.js").read_text())
    assert {"overview.js", "devices.js", "device.js", "channel.js"} <= set(listed)
    for name in listed:
        assert (FOLDER / "pages" / name).is_file(), name
    for name, source in source_words().items():
        for other in imports_of(name, source):
            assert (FOLDER / other).is_file(), f"{name} imports {other}"
        assert name.count("/") <= 2
        assert not re.search(r"\.(inner|outer)HTML\b|insertAdjacentHTML|\beval\(", source), name
        assert "http://" not in source.replace("http://www.w3.org/2000/svg", ""), name
        assert "https://" not in source, name


@pytest.mark.parametrize(
    ("size", "locale", "theme"),
    [
        (PHONE, "zh-CN", "dark"),
        (PHONE, "en-GB", "light"),
        (DESK, "zh-CN", "light"),
        (DESK, "en-GB", "dark"),
    ],
    ids=["phone-zh-dark", "phone-en-light", "desk-zh-light", "desk-en-dark"],
)
async def test_pages_fit_are_labelled_and_log_no_error(
    tmp_path: Path, browser: Browser, size: tuple[int, int], locale: str, theme: str
) -> None:
    async def look(visitor: Visitor) -> dict[str, Any]:
        found: dict[str, Any] = {}
        page = visitor.page
        await visitor.go("overview")
        for place in PAGES:
            await page.evaluate("place => { location.hash = '#/' + place }", place)
            await expect(page.locator(".page .skeleton, .page[aria-busy]")).to_have_count(0)
            stumbles = await page.evaluate(STUMBLES) + await page.evaluate(TOO_WIDE)
            if size == PHONE:
                stumbles += await page.evaluate(TOO_SMALL)
            if stumbles:
                found[place] = stumbles
            unsaid = await page.evaluate(
                "() => document.body.innerText.match(/undefined|\\[object|NaN|\\{\\w+\\}/g)"
            )
            assert unsaid is None, (place, unsaid)
        return found

    async with console_site(tmp_path, browser) as site:
        await seed_county(site.it.gateway.registry, recorders=3, on_platform=100, each=40)
        await site.add_user("chief")
        assert await site.visit(look, user="chief", size=size, locale=locale, theme=theme) == {}


async def focused(page: Page) -> str:
    script = "document.activeElement.textContent.trim() || document.activeElement.ariaLabel"
    return str(await page.evaluate(script))


async def press_until(page: Page, key: str, script: str) -> None:
    """Press a key until something holds of the focused element, 40 times at most."""
    for _ in range(40):
        await page.keyboard.press(key)
        if await page.evaluate(f"(it => {script})(document.activeElement)"):
            return
    raise AssertionError(f"{key} does not lead to {script}")


async def in_by_keyboard(page: Page) -> None:
    await expect(page.get_by_label("Name")).to_be_focused()
    await page.keyboard.type("chief")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("Tab")
    assert await focused(page) == "Skip to content"
    assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"


async def test_everything_can_be_reached_by_keyboard(tmp_path: Path, browser: Browser) -> None:
    async def look(visitor: Visitor) -> None:
        page, keys = visitor.page, visitor.page.keyboard
        visitor.refusals_are_fine = True
        await visitor.go()
        await in_by_keyboard(page)
        # Back through the navigation to Devices.
        await press_until(page, "Shift+Tab", "it.textContent.trim() === 'Devices'")
        await keys.press("Enter")
        await expect(page.get_by_role("heading", name="Devices", level=1)).to_be_visible()
        await page.get_by_label("Find by name, code or address").focus()
        await keys.type("路口西向 1")
        await expect(page.get_by_role("option")).to_have_count(4)
        await press_until(page, "Tab", "it.getAttribute('role') === 'listbox'")
        await keys.press("ArrowDown")
        await keys.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("西向")
        # The menu of the user: open and close.
        await page.locator(".user-button").focus()
        await keys.press("Enter")
        await expect(page.get_by_role("button", name="Change password")).to_be_visible()
        await keys.press("Escape")
        await expect(page.get_by_role("button", name="Change password")).to_be_hidden()
        await expect(page.locator(".user-button")).to_be_focused()

    async with console_site(tmp_path, browser) as site:
        await seed_county(site.it.gateway.registry, recorders=1, on_platform=50)
        await site.add_user("chief")
        await site.visit(look, locale="en-GB")


async def test_language_and_appearance_change_at_once_and_stay(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.go("devices?q=路口")
        await expect(page.get_by_role("heading", name="设备", level=1)).to_be_visible()
        await page.get_by_role("button", name="English").click()
        await expect(page.get_by_role("heading", name="Devices", level=1)).to_be_visible()
        await expect(
            page.get_by_role("searchbox", name="Find by name, code or address")
        ).to_have_value("路口")
        assert await page.evaluate("document.documentElement.lang") == "en"
        await expect(page.get_by_role("navigation", name="Main navigation")).to_contain_text(
            "Overview"
        )
        assert not re.search("[\u4e00-\u9fff]", await page.locator(".toolbar").inner_text())
        dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        await page.locator(".user-button").click()
        await page.get_by_role("button", name="Light").click()
        light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark != light
        await page.reload()
        await expect(page.get_by_role("heading", name="Devices", level=1)).to_be_visible()
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == light
        # No flash: the theme is set before the first paint, by a script of its own in the head.
        assert (
            await page.evaluate("document.querySelector('head script').getAttribute('src')")
            == "theme.js"
        )

    async with console_site(tmp_path, browser) as site:
        await seed_county(site.it.gateway.registry, recorders=1, on_platform=50)
        await site.add_user("chief")
        await site.visit(look, user="chief")


async def test_a_gateway_that_cannot_be_reached_is_said_and_what_was_seen_stays(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.go("overview")
        await expect(page.locator(".figures")).to_be_visible()
        visitor.refusals_are_fine = True
        await page.context.set_offline(True)
        await expect(page.get_by_text("连接中断")).to_be_visible()
        await expect(page.locator(".figures")).to_be_visible()
        await page.evaluate(f"location.hash = '#/devices/{RECORDER}'")
        # The page itself may not have come: then this is said; else its data is.
        await expect(page.locator(".state")).to_be_visible()
        await page.context.set_offline(False)
        await visitor.go("overview")
        await expect(page.get_by_text("连接中断")).to_have_count(0)
        visitor.problems.clear()

    async with console_site(tmp_path, browser) as site:
        await site.add_user("chief")
        await site.visit(look, user="chief")


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    values = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


TEXT_ON = [
    *(("text", ground) for ground in ("bg", "surface", "raised", "sunken", "hover", "accent-soft", "good-soft", "warn-soft", "bad-soft", "info-soft")),
    *(("text-muted", ground) for ground in ("bg", "surface", "raised", "sunken", "hover")),
    *((tone, ground) for tone in ("good", "warn", "bad", "info", "accent") for ground in ("bg", "surface", "raised", f"{tone}-soft")),
    ("on-accent", "accent"), ("on-accent", "accent-hover"), ("on-bad", "bad-solid"), ("on-picture", "picture"),
]  # fmt: skip
SHAPE_ON = [
    *(("border-strong", ground) for ground in ("bg", "surface")),
    *(("focus", ground) for ground in ("bg", "surface", "raised", "sunken")),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_can_be_told_apart(theme: str) -> None:
    sheet = (FOLDER / "css/tokens.css").read_text()
    light, dark = sheet.split(':root[data-theme="dark"]')
    tokens = dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", light))
    if theme == "dark":
        tokens |= dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", dark))
    weak = {pair: round(contrast(tokens[pair[0]], tokens[pair[1]]), 2) for pair in TEXT_ON}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}
    weak = {pair: round(contrast(tokens[pair[0]], tokens[pair[1]]), 2) for pair in SHAPE_ON}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 3} == {}


def test_colours_stand_in_one_sheet_only() -> None:
    for path in (FOLDER / "css").glob("*.css"):
        if path.name != "tokens.css":
            assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?=[^{}]*;)|\brgba?\(", path.read_text()), (
                path.name
            )
