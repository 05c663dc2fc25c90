"""A gateway of a row as a process in a network namespace, configured and watched over its HTTP API."""

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gb28181.aio.clock import monotonic
from tests.support.gateway import PASSWORD
from tests.support.gateway_process import gateway_environment
from tests.support.levels import POLICY
from tests.support.netns import Host

__all__ = ["LevelProcess", "SimulatorProcess", "soon"]

ADMIN_TOKEN = "the-admin-token-of-the-level"
SIP_PORT, HTTP_PORT = 5060, 8080
END_WAIT = 12.0


def soon(probe: Callable[[], Any], timeout: float, what: str) -> Any:
    """Return the first truthy result of `probe`; blocks."""
    due = monotonic() + timeout
    while not (found := probe()):
        assert monotonic() < due, f"{what} did not come within {timeout} s"
        # A plain wait: there is no loop here.
        subprocess.run(["sleep", "0.05"], check=True)
    return found


class _Program:
    """A program in a namespace, its output in a file; leaving the context ends it."""

    def __init__(self, host: Host, folder: Path, name: str) -> None:
        self.host = host
        self._output = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, words: Sequence[str], environment: dict[str, str]) -> None:
        """Start `python -m gateway` with these words."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [*self.host.prefix, sys.executable, "-m", "gateway", *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        try:
            return self._process.wait(END_WAIT)
        finally:
            self._process.kill()
            self._process.wait()
            self._process = None

    def said(self) -> str:
        """What it wrote so far."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class LevelProcess(_Program):
    """`gateway serve` in a namespace.

    Args:
        host: Where it runs.
        code: Its 20-digit code.
        folder: For its data and its log.
        settings: `SECTION__KEY` values.
    """

    def __init__(self, host: Host, code: str, folder: Path, **settings: object) -> None:
        super().__init__(host, folder, code)
        self.code = code
        self._data = folder / code
        self._settings = settings

    def start(self) -> None:
        """Start it; `ready` waits until it serves."""
        values: dict[str, object] = {
            "data_dir": self._data,
            "sip__id": self.code,
            "sip__password": PASSWORD,
            "sip__host": "0.0.0.0",
            "sip__port": SIP_PORT,
            "http__host": "0.0.0.0",
            "http__port": HTTP_PORT,
            "http__admin_token": ADMIN_TOKEN,
            "rtp__drain": 0.2,
            "media__no_readers_grace": 1,
            "cascade__notify_delay": 0.2,
        }
        self.run(["serve"], gateway_environment(**(values | self._settings)))

    def ready(self, timeout: float = 60.0) -> None:
        """Wait until it serves."""

        def probe() -> bool:
            assert self.running, self.said()
            try:
                return self.request("GET", "/readyz")[0] == 200
            except OSError:
                return False

        soon(probe, timeout, f"the start of {self.code}; its log: {self.said()}")

    def request(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """One HTTP request; status and body."""
        connection = http.client.HTTPConnection(self.host.control, HTTP_PORT, timeout=20)
        try:
            headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
            data = None
            if body is not None:
                headers["Content-Type"] = "application/json"
                data = json.dumps(body)
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One request below /api/v1 that must succeed; its decoded JSON."""
        status, data = self.request(method, f"/api/v1/{path}", body)
        assert 200 <= status < 300, (method, path, status, data)
        return json.loads(data) if data else None

    def channels(self, device_id: str = "") -> dict[str, dict[str, Any]]:
        """Channels by code, of one device or all."""
        query = f"&device_id={device_id}" if device_id else ""
        page = self.call("GET", f"channels?limit=500{query}")
        assert page["total"] <= 500
        return {item["channel_id"]: item for item in page["items"]}

    def figures(self) -> dict[str, float]:
        """Metrics by name and labels as they are written."""
        status, data = self.request("GET", "/metrics")
        assert status == 200
        lines = re.findall(r"(?m)^(?!#)(\S+(?:\{[^}]*\})?) (\S+)$", data.decode())
        return {name: float(value) for name, value in lines}

    def register_at(self, upper: "LevelProcess", address: str, **fields: object) -> None:
        """Share everything with another gateway, and wait until it has let us in."""
        self.call("PUT", "policy", {"text": POLICY, "comment": "share everything"})
        body = {"addresses": [{"host": address, "port": SIP_PORT}], "password": PASSWORD}
        self.call("PUT", f"platforms/{upper.code}", body | fields)
        soon(lambda: self.link(upper.code) == "online", 20.0, f"the registration of {self.code}")

    def link(self, platform_id: str) -> str:
        """State of the link to a platform."""
        return str(self.call("GET", f"platforms/{platform_id}")["status"]["state"])


class SimulatorProcess(_Program):
    """`gateway simulate` in a namespace, registering at the gateway there."""

    def start(self, server_id: str, *words: str) -> None:
        """Start with further options."""
        self.run(
            [
                *("simulate", "--server", f"127.0.0.1:{SIP_PORT}", "--server-id", server_id),
                *("--password", PASSWORD, *words),
            ],
            # Its lines are as wide as they are.
            gateway_environment() | {"COLUMNS": "400"},
        )

    def told(self, what: str) -> list[str]:
        """Details of the events of one kind so far."""
        return re.findall(rf"(?m)^[0-9]{{20}}  {what}  (.*?)\s*$", self.said())
