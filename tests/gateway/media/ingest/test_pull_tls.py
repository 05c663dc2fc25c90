"""Sources by TLS: nothing is said to a host whose certificate is not trusted or is another one's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.domain.source import PullSpec
from gateway.media.ingest.pull_open import PullError, opened
from tests.support.tls_front import TlsFront, tls_front

pytestmark = pytest.mark.net


@asynccontextmanager
async def mute_server(folder: Path) -> AsyncIterator[TlsFront]:
    """TLS in front of a server that takes what comes and hangs up; its certificate is of 127.0.0.1."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.close()

    async with (
        await asyncio.start_server(hang_up, "127.0.0.1", 0) as server,
        tls_front(folder, server.sockets[0].getsockname()[1]) as front,
    ):
        yield front


def refusal(url: str, *, verify: bool) -> str:
    spec = PullSpec(url=url, connect_timeout=20.0, read_timeout=20.0, tls_verify=verify)
    with pytest.raises(PullError) as refused, opened(spec):
        pass
    return str(refused.value)


@pytest.mark.parametrize("scheme", ["rtsps", "rtmps"])
async def test_a_source_by_tls_is_told_nothing_before_its_certificate_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    async with mute_server(tmp_path) as front:

        async def heard(host: str, *, verify: bool = True) -> bool:
            before = front.passed
            url = f"{scheme}://me:secret@{host}:{front.port}/live/x"
            said = await asyncio.to_thread(refusal, url, verify=verify)
            assert "secret" not in said
            return front.passed > before

        assert not await heard("127.0.0.1")
        assert await heard("127.0.0.1", verify=False)
        monkeypatch.setenv("SSL_CERT_FILE", str(front.certificate))
        assert await heard("127.0.0.1")
        # Trusted, but another host's.
        assert not await heard("localhost")
