"""Files of the console as they are served: types, caching, compression, and nothing that is no file of it."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.support.http import HttpBench, http_bench

pytestmark = pytest.mark.net

FOLDER = Path(__file__).parents[3] / "gateway" / "web"
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        yield running


async def fetch(
    bench: HttpBench, path: str, **headers: str
) -> tuple[aiohttp.ClientResponse, bytes]:
    url = URL(bench.url + path, encoded=True)
    async with (
        aiohttp.ClientSession(auto_decompress=False) as http,
        http.get(url, headers=headers, allow_redirects=False) as answer,
    ):
        return answer, await answer.read()


async def test_every_file_of_the_folder_is_served_as_it_is_without_a_credential(
    bench: HttpBench,
) -> None:
    files = [path for path in FOLDER.rglob("*") if path.suffix in TYPES]
    assert len(files) > 40
    for path in files:
        name = path.relative_to(FOLDER).as_posix()
        if name.startswith("player.") or name == "index.html":
            continue
        answer, body = await fetch(bench, f"/console/{name}", **{"Accept-Encoding": "identity"})
        assert answer.status == 200, name
        assert body == path.read_bytes(), name
        assert answer.content_type == TYPES[path.suffix], name
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_root_leads_to_the_console_and_the_player_stays(bench: HttpBench) -> None:
    for path in ("/", "/console"):
        answer, _ = await fetch(bench, path)
        assert (answer.status, answer.headers["Location"]) == (302, "/console/")
    answer, body = await fetch(bench, "/console/", **{"Accept-Encoding": "identity"})
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert body == (FOLDER / "index.html").read_bytes()
    for path, kind in (("/player", "text/html"), ("/player.js", "text/javascript")):
        answer, _ = await fetch(bench, path)
        assert (answer.status, answer.content_type) == (200, kind)


async def test_nothing_inline_and_nothing_from_outside_may_run(bench: HttpBench) -> None:
    answer, _ = await fetch(bench, "/console/")
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    host = bench.url.removeprefix("http://")
    assert policy["connect-src"] == f"'self' ws://{host} wss://{host}"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


async def test_a_strange_host_is_not_repeated_in_the_policy(bench: HttpBench) -> None:
    for host in ("a;script-src *", "a b", "[::1", "x" * 300, "a'b"):
        answer, _ = await fetch(bench, "/console/", Host=host)
        if answer.status == 200:
            policy = answer.headers["Content-Security-Policy"]
            assert "connect-src 'self';" in policy
            assert host not in policy


async def test_a_browser_that_has_a_file_is_told_so(bench: HttpBench) -> None:
    first, body = await fetch(bench, "/console/app.js")
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    again, nothing = await fetch(bench, "/console/app.js", **{"If-None-Match": tag})
    assert (again.status, nothing) == (304, b"")
    assert again.headers["ETag"] == tag
    assert again.headers["Content-Security-Policy"]
    other, fresh = await fetch(bench, "/console/app.js", **{"If-None-Match": 'W/"other"'})
    assert (other.status, fresh) == (200, body)


async def test_files_are_packed_for_those_who_take_it(bench: HttpBench) -> None:
    plain, body = await fetch(bench, "/console/app.js", **{"Accept-Encoding": "identity"})
    packed, small = await fetch(bench, "/console/app.js", **{"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert len(small) < len(body) / 2
    assert gzip.decompress(small) == body
    for refused in ("gzip;q=0", "deflate", "gzip ; q=0"):
        answer, same = await fetch(bench, "/console/app.js", **{"Accept-Encoding": refused})
        assert "Content-Encoding" not in answer.headers
        assert same == body
    assert plain.headers["ETag"] == packed.headers["ETag"]


NO_FILES = (
    "nothing.js",
    "player.html",
    "../http/web.py",
    "..%2fhttp%2fweb.py",
    "%2e%2e/%2e%2e/pyproject.toml",
    "lib/..%2f..%2fhttp/web.py",
    "css/",
    "lib//api.js",
    "a/b/c/d/e.js",
    "app.js%00",
    "%ff.js",
    "lib%5capi.js",
)


async def test_what_is_no_file_of_the_console_is_not_served(bench: HttpBench) -> None:
    for path in NO_FILES:
        answer, body = await fetch(bench, f"/console/{path}")
        # Strangers are not told what else is served.
        assert answer.status in {400, 401, 404}, path
        assert b"import" not in body
        assert b"[project]" not in body


async def test_files_are_only_to_be_read(bench: HttpBench) -> None:
    async with aiohttp.ClientSession() as http:
        for method in ("POST", "PUT", "DELETE"):
            async with http.request(method, f"{bench.url}/console/app.js") as answer:
                assert answer.status in {401, 403, 405}
