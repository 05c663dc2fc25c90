"""`python -m gateway` as a process of its own, on ports that survive its restarts."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.support.gateway import PASSWORD, SERVER_ID, eventually
from tests.support.ports import MANY, as_text

__all__ = ["GatewayProcess", "free_port", "gateway_environment"]

ADMIN_TOKEN = "the-admin-token-of-the-test"


def free_port() -> int:
    """A number that is free for UDP and TCP on loopback."""
    for _ in range(100):
        with ExitStack() as stack:
            stream = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            datagram = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            stream.bind(("127.0.0.1", 0))
            port = int(stream.getsockname()[1])
            try:
                datagram.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free for UDP and TCP")


def gateway_environment(**settings: object) -> dict[str, str]:
    """This process's environment with `SECTION__KEY=value` settings of the gateway added."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY")}
    added = {f"GATEWAY__{name.upper()}": str(value) for name, value in settings.items()}
    return own | added | {"LANG": "C.UTF-8"}


class GatewayProcess:
    """Runs `gateway serve`; leaving the context ends it.

    Args:
        folder: For its data and its log.
    """

    def __init__(self, folder: Path) -> None:
        self.sip_port, self.http_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self._log = folder / "gateway.log"
        self._environment = gateway_environment(
            data_dir=folder / "data",
            sip__id=SERVER_ID,
            sip__password=PASSWORD,
            sip__host="127.0.0.1",
            sip__port=self.sip_port,
            sip__request_timeout=2,
            sip__catalog_silence=1,
            http__port=self.http_port,
            http__admin_token=ADMIN_TOKEN,
            rtsp__port=0,
            rtp__host="127.0.0.1",
            rtp__port_range=as_text(MANY, 1_000),
            rtp__drain=0.2,
            media__invite_timeout=3,
            store__batch_interval=0.2,
        )
        self._process: asyncio.subprocess.Process | None = None
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        log = self._stack.enter_context(self._log.open("ab"))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "serve",
            cwd=self._log.parent,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        await eventually(self._ready, 60.0, f"the start of the gateway; its log: {self.log()}")

    async def end(self, number: signal.Signals, timeout: float = 40.0) -> int:
        """Send a signal and return the exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        async with asyncio.timeout(timeout):
            return await self._process.wait()

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """One request below /api/v1; status and decoded JSON."""
        async with self._http.request(method, f"{self.url}/api/v1/{path}", **options) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None

    async def get(self, path: str) -> Any:
        """GET that must succeed."""
        status, body = await self.call("GET", path)
        assert status == 200, body
        return body

    def log(self) -> str:
        """What it wrote so far."""
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""

    async def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, self.log()
        try:
            async with self._http.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def __aenter__(self) -> Self:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        timeout = aiohttp.ClientTimeout(total=15)
        self._http = await self._stack.enter_async_context(
            aiohttp.ClientSession(headers=headers, timeout=timeout)
        )
        try:
            await self.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        await self._stack.aclose()
