"""TLS in front of a server that speaks none."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import make_certificate

__all__ = ["TlsFront", "tls_front"]


@dataclass
class TlsFront:
    """Where to connect, and what must be trusted for that."""

    certificate: Path
    port: int = 0
    passed: int = 0
    """Bytes that went to the server behind."""


@asynccontextmanager
async def tls_front(folder: Path, behind: int) -> AsyncIterator[TlsFront]:
    """Take TLS on a port of its own for the server at port `behind`."""
    certificate, key = make_certificate(folder, "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    front = TlsFront(certificate)

    async def pipe(
        source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, count: bool
    ) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            while data := await source.read(65_536):
                front.passed += len(data) if count else 0
                sink.write(data)
                await sink.drain()
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that does not trust us is there all the same, for a moment, and says nothing.
        try:
            first = await reader.read(65_536)
            if not first:
                raise ConnectionError
            theirs, ours = await asyncio.open_connection("127.0.0.1", behind)
        except (OSError, ssl.SSLError):
            writer.close()
            return
        front.passed += len(first)
        ours.write(first)
        async with asyncio.TaskGroup() as group:
            group.create_task(pipe(reader, ours, count=True))
            group.create_task(pipe(theirs, writer, count=False))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    front.port = server.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        server.close()
