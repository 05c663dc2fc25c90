"""Two viewers of one stream: a player that decodes, and a connection whose last byte is timed."""

import asyncio
import threading

import aiohttp

from gateway.cli.decode import Decoded, decode
from gb28181.aio.clock import monotonic

__all__ = ["ByteViewer", "Player"]

_ENDS = frozenset({aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED})
HANDSHAKE = 10.0
"""Seconds for a WebSocket to open."""


class Player:
    """Opens a URL as a player would and decodes it in a thread until it is closed or the stream ends.

    Args:
        url: What to open.
        wanted: Pictures after which it has seen enough.
    """

    def __init__(self, url: str, wanted: int) -> None:
        self.result = Decoded("fMP4")
        self._stop = threading.Event()
        self._wanted = wanted
        threading.Thread(
            target=decode,
            args=(url, self.result),
            kwargs={"wanted": wanted, "stop": self._stop},
            name="county-player",
            daemon=True,
        ).start()

    async def enough(self, seconds: float) -> bool:
        """Wait until it has seen enough; False if it has not."""
        deadline = monotonic() + seconds
        while not self.result.enough.is_set() and monotonic() < deadline:  # noqa: ASYNC110 - a thread decodes
            await asyncio.sleep(0.02)
        return self.result.frames >= self._wanted

    def close(self) -> None:
        """Stop at the next picture."""
        self._stop.set()


class ByteViewer:
    """A viewer over WebSocket.

    Args:
        url: What to open.
    """

    def __init__(self, url: str) -> None:
        self.last_byte = 0.0
        """Monotonic time of the last media that came."""
        self.closed_at = 0.0
        """Monotonic time of its end; 0 while it lasts."""
        self.reason = ""
        """What it was told at the end."""
        self.count = 0
        """Bytes of media."""
        self.over = asyncio.Event()
        self._url = url

    async def run(self) -> None:
        """Read until the gateway ends it."""
        try:
            async with aiohttp.ClientSession() as http:
                async with asyncio.timeout(HANDSHAKE):
                    socket = await http.ws_connect(self._url)
                await self._read(socket)
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            self.reason = self.reason or str(exc) or type(exc).__name__
        finally:
            self.closed_at = monotonic()
            self.over.set()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async with socket:
            while (message := await socket.receive()).type not in _ENDS:
                if message.type is aiohttp.WSMsgType.BINARY:
                    self.last_byte = monotonic()
                    self.count += len(message.data)
            self.reason = str(message.extra or "")
