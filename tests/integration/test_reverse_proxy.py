"""A real nginx with the shipped example in front: who is who, the cookie over TLS, WebSockets."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from gateway.domain.audit import AuditKind
from tests.support.certificates import make_certificate
from tests.support.http import ADMIN, CHANNEL, DEVICE, HttpBench, http_bench
from tests.support.http_sharing import USER_PASSWORD

pytestmark = pytest.mark.net

EXAMPLE = Path(__file__).parents[2] / "conf" / "nginx.example.conf"
START = 30.0
"""Seconds nginx may take to listen on a busy machine."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@asynccontextmanager
async def nginx(folder: Path, upstream: int) -> AsyncIterator[int]:
    """Run nginx with the example, its names and ports changed; gives its port."""
    port = free_port()
    certificate, key = make_certificate(folder, "127.0.0.1")
    site = EXAMPLE.read_text(encoding="utf-8")
    for shipped, here in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/video.example.pem": str(certificate),
        "/etc/ssl/video.example.key": str(key),
        "http://127.0.0.1:8080": f"http://127.0.0.1:{upstream}",
        "/var/log/nginx/gateway.log": str(folder / "access.log"),
    }.items():
        assert site.count(shipped) == 1, shipped
        site = site.replace(shipped, here)
    (folder / "site.conf").write_text(site, encoding="utf-8")
    paths = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {paths} include {folder}/site.conf; }}\n",
        encoding="utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        "nginx", "-c", str(folder / "nginx.conf"), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(START):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    assert process.returncode is None, (folder / "error.log").read_text()
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield port
    finally:
        process.terminate()
        await process.wait()


def sources(bench: HttpBench) -> list[str]:
    return [entry.source for entry in bench.sharing.audit.of(AuditKind.USER)]


async def test_nginx_as_shipped_tells_clients_apart_and_carries_live_streams(
    tmp_path: Path,
) -> None:
    for name in ("data", "nginx"):
        (tmp_path / name).mkdir()
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    # The proxy connects from 127.0.0.1; people come from other loopback addresses.
    here = aiohttp.TCPConnector(ssl=tls, local_addr=("127.0.0.5", 0))
    async with (
        http_bench(tmp_path / "data", trusted_proxies=("127.0.0.1/32",)) as bench,
        nginx(tmp_path / "nginx", bench.server.port) as port,
        aiohttp.ClientSession(connector=here) as client,
    ):
        base = f"https://127.0.0.1:{port}"
        # A client says that it is somebody else.
        headers = {"Origin": base, "X-Forwarded-For": "203.0.113.66", "X-Forwarded-Proto": "http"}
        body = {"admin_token": ADMIN, "name": "wang", "password": USER_PASSWORD}
        setup = f"{base}/api/v1/console/setup"
        async with client.post(setup, json=body, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            assert re.search(r"; Secure(;|$)", answer.headers["Set-Cookie"])
        assert set(sources(bench)) == {"127.0.0.5"}
        bearer = {"Authorization": f"Bearer {ADMIN}"}
        play = f"{base}/api/v1/channels/{DEVICE}/{CHANNEL}/play"
        async with client.post(play, json={}, headers=bearer) as answer:
            urls = [url for url in (await answer.json())["urls"].values() if url]
        socket_url = next(url for url in urls if url.startswith(f"wss://127.0.0.1:{port}/"))
        async with client.ws_connect(socket_url) as stream:
            watcher = await bench.sessions.watchers.get()
            watcher.sink.write(b"\x82\x03FLV")
            message = await stream.receive()
            while message.type is aiohttp.WSMsgType.TEXT:
                message = await stream.receive()
            assert message.data == b"FLV"
        for kept in (
            "hls/a-viewing-key/live.m3u8?token=of-a-stream",
            "whep/sessions/a-session-key",
        ):
            async with client.get(f"{base}/{kept}") as answer:
                assert answer.status in {401, 403, 404, 405}
    # What nginx keeps of requests gives nobody a stream.
    log = await asyncio.to_thread((tmp_path / "nginx" / "access.log").read_text)
    assert '"POST /api/v1/channels/' in log
    assert '"GET /hls/***/live.m3u8" ' in log
    assert f'"GET {URL(socket_url).path}" 101' in log
    for secret in ("a-viewing-key", "a-session-key", "of-a-stream", URL(socket_url).query["token"]):
        assert secret not in log
