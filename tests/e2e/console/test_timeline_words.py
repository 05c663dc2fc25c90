"""What the gateway writes into timelines reaches the reader in Chinese, sentence by sentence."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.console_pages import DESK, Visitor, console_site
from tests.support.timeline_sentences import PLATFORM_SENTENCES, device_sentences

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]

READ = """async ([device, platform]) => {
  const {setLanguage} = await import("/console/lib/i18n.js");
  setLanguage("zh");
  const {h, morph} = await import("/console/lib/element.js");
  const {eventList} = await import("/console/components/events.js");
  const {platformEvents} = await import("/console/components/platform-words.js");
  const {codes} = await import("/console/lib/codes.js");
  const read = (list, entries) => entries.map(entry => {
    const place = document.createElement("div");
    morph(place, list([{...entry, at: "2026-11-21T06:00:00Z", first_at: null, count: 1}]));
    place.querySelectorAll("details, time, h3, .timeline-title").forEach(part => part.remove());
    return place.textContent.trim();
  });
  return [read(eventList, device), read(platformEvents, platform)];
}"""


async def test_timelines_speak_chinese(tmp_path: Path, browser: Browser) -> None:
    device = [{"kind": str(kind), "detail": detail} for kind, detail in device_sentences()]
    platform = [{"kind": kind, "detail": detail} for kind, detail in PLATFORM_SENTENCES]

    async def read(visitor: Visitor) -> Any:
        await visitor.go()
        return await visitor.page.evaluate(READ, [device, platform])

    async with console_site(tmp_path, browser) as site:
        said = await site.visit(read, size=DESK)
    for entries, texts in zip((device, platform), said, strict=True):
        for entry, text in zip(entries, texts, strict=True):
            bare = re.sub(r"\d+(?:\.\d+)*(?::\d+)?|UDP|TCP|SUBSCRIBE|SIP|DeviceControl", "", text)
            assert re.search(r"[\u4e00-\u9fff]|→", text), (entry, text)
            assert not re.search(r"\b[a-z]{3,} [a-z]{2,}\b", bare), (entry, text)
