"""A page with hls.js, served from an origin of its own, and what it shows."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.simulator.picture import PictureLayout, read_text

__all__ = ["SAMPLE", "START", "Sample", "hls_page", "sample_of"]

LIBRARY = Path(__file__).parent / "npm" / "node_modules" / "hls.js" / "dist" / "hls.min.js"
DAY = timedelta(days=1) // timedelta(milliseconds=1)
BEIJING = timedelta(hours=8) // timedelta(milliseconds=1)

_PAGE = """<!doctype html><meta charset="utf-8"><title>hls.js</title>
<script src="/hls.js"></script><video id="video" muted autoplay playsinline></video>"""

START = """({url, options}) => {
  const video = document.getElementById("video");
  const hls = new Hls({lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.5, ...options});
  window.errors = [];
  window.loaded = {parts: 0, segments: 0, playlists: 0};
  hls.on(Hls.Events.ERROR, (event, data) => errors.push({
    details: data.details, fatal: data.fatal, status: data.response ? data.response.code : 0,
    text: data.networkDetails && data.networkDetails.responseText}));
  hls.on(Hls.Events.FRAG_LOADED, (event, data) => loaded[data.part ? "parts" : "segments"]++);
  hls.on(Hls.Events.LEVEL_UPDATED, () => loaded.playlists++);
  hls.loadSource(url);
  hls.attachMedia(video);
  window.hls = hls;
}"""
"""Plays a URL; what goes wrong is in `errors`."""

SAMPLE = """() => {
  const video = document.getElementById("video");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const at = Date.now();
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const green = new Uint8Array(pixels.length / 4);
  for (let i = 0; i < green.length; i++) green[i] = pixels[4 * i + 1];
  let text = "";
  for (let i = 0; i < green.length; i += 8192) text += String.fromCharCode(...green.subarray(i, i + 8192));
  return {at, width: canvas.width, height: canvas.height, green: btoa(text), time: video.currentTime,
          latency: hls.latency, target: hls.targetLatency, errors, loaded,
          parts: (hls.latestLevelDetails || {}).partTarget || 0};
}"""


class Sample:
    """What the page showed at an instant."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.time: float = found["time"]
        self.size = (found["width"], found["height"])
        self.luma = base64.b64decode(found["green"])
        self.clock = read_text(self.luma, stride=self.size[0], layout=PictureLayout(*self.size))

    @property
    def delay(self) -> float:
        """Seconds from the camera's clock in the picture to the page's."""
        moment = datetime.strptime(self.clock, "%H:%M:%S.%f").replace(tzinfo=UTC)
        shown = (moment.hour * 3600 + moment.minute * 60 + moment.second) * 1000
        shown += moment.microsecond // 1000
        behind: int = (self.found["at"] + BEIJING - shown) % DAY
        return (behind - DAY if behind > DAY // 2 else behind) / 1000

    def differs(self, other: "Sample") -> float:
        """Share of the pixels that changed."""
        pairs = zip(self.luma, other.luma, strict=True)
        return sum(abs(a - b) > 16 for a, b in pairs) / len(self.luma)


def sample_of(found: dict[str, Any]) -> Sample:
    """Return what `SAMPLE` found."""
    return Sample(found)


def _serve(body: str, kind: str) -> Callable[[web.Request], Any]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=body, content_type=kind, charset="utf-8")

    return answer


@asynccontextmanager
async def hls_page() -> AsyncIterator[str]:
    """Serve the page on loopback; gives its origin."""
    application = web.Application()
    application.router.add_get("/", _serve(_PAGE, "text/html"))
    application.router.add_get("/hls.js", _serve(LIBRARY.read_text(), "text/javascript"))
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
