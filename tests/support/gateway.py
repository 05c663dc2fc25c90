"""A whole gateway in this process, with ports of its own, and a client for its API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp

from gateway.app import Gateway
from gateway.config.model import Settings
from gateway.simulator.options import SimulatorOptions
from tests.support.patience import PATIENCE
from tests.support.ports import as_text

__all__ = ["PASSWORD", "SERVER_ID", "Api", "eventually", "gateway_settings", "running_gateway"]

SERVER_ID = "34020000002000000001"
PASSWORD = "the-common-password"


def gateway_settings(data_dir: Path, **sections: dict[str, Any]) -> Settings:
    """Settings for a test: loopback, free ports, short waits; `sections` override."""
    values: dict[str, dict[str, Any]] = {
        "sip": {
            "id": SERVER_ID,
            "password": PASSWORD,
            "host": "127.0.0.1",
            "port": 0,
            "request_timeout": 2.0,
            "catalog_silence": 1.0,
        },
        "http": {"host": "127.0.0.1", "port": 0},
        "rtp": {"host": "127.0.0.1", "port_range": as_text(0, 400), "drain": 0.2},
        "rtsp": {"port": 0, "udp_ports": as_text(450, 200)},
        "webrtc": {"port_range": as_text(400, 50)},
        "media": {
            "first_packet_timeout": 2.0,
            "decodable_timeout": 3.0,
            "source_timeout": 2.0,
            "no_readers_grace": 1.0,
        },
        "store": {"batch_interval": 0.2},
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    return Settings(data_dir=data_dir, **values)  # type: ignore[arg-type]


class Api:
    """The gateway's API as an operator's program uses it."""

    def __init__(self, gateway: Gateway, http: aiohttp.ClientSession) -> None:
        self._base = gateway.http_url
        self._http = http

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """One request below /api/v1; status and decoded JSON."""
        async with self._http.request(method, f"{self._base}/api/v1/{path}", **options) as answer:
            empty = answer.status == 204 or answer.content_length == 0
            return answer.status, None if empty else await answer.json()

    async def get(self, path: str) -> Any:
        """GET that must succeed."""
        status, body = await self.call("GET", path)
        assert status == 200, body
        return body

    async def play(self, device_id: str, channel_id: str, **body: str) -> dict[str, Any]:
        """Start a channel; must succeed."""
        status, answer = await self.call(
            "POST", f"channels/{device_id}/{channel_id}/play", json=body or None
        )
        assert status in {200, 201}, answer
        return dict(answer)


class RunningGateway:
    """What a test works with."""

    def __init__(self, gateway: Gateway, api: Api) -> None:
        self.gateway = gateway
        self.api = api

    def sip_port(self, transport: str = "UDP") -> int:
        """The bound SIP port of a transport."""
        return next(port for name, _, port in self.gateway.sip_addresses if name == transport)

    def simulator_options(self, **changes: Any) -> SimulatorOptions:
        """Options of a simulator that registers here."""
        transport = changes.get("transport", "UDP")
        values: dict[str, Any] = {
            "server_host": "127.0.0.1",
            "server_port": self.sip_port(transport),
            "server_id": SERVER_ID,
            "password": PASSWORD,
            "local_host": "127.0.0.1",
            "width": 320,
            "height": 240,
            "bitrate": 400_000,
            "gop": 1.0,
            "keepalive_interval": 5.0,
        }
        return SimulatorOptions(**(values | changes))

    async def channels(self, device_id: str, count: int) -> list[str]:
        """Channel ids of a device, once so many are catalogued."""

        async def enough() -> list[str] | None:
            found = await self.api.get(f"channels?device_id={device_id}")
            ids = [item["channel_id"] for item in found["items"]]
            return ids if len(ids) >= count else None

        return list(await eventually(enough, 8.0, f"{count} channels of {device_id}"))

    async def ended(self, session_id: str, timeout: float = 10.0) -> dict[str, Any]:
        """A session's record, once it has ended."""

        async def over() -> dict[str, Any] | None:
            record = await self.api.get(f"sessions/{session_id}")
            return dict(record) if record["state"] == "ended" else None

        return dict(await eventually(over, timeout, f"the end of session {session_id}"))

    async def __aenter__(self) -> Self:
        return self


async def eventually(probe: Callable[[], Any], timeout: float, what: str) -> Any:
    """Return the first truthy result of `probe`.

    Args:
        probe: What is asked again and again.
        timeout: Seconds that an idle machine needs at most; a loaded one gets `PATIENCE`.
        what: What should come.
    """
    patience = max(timeout, PATIENCE)
    try:
        async with asyncio.timeout(patience):
            while not (found := await probe()):
                await asyncio.sleep(0.02)
            return found
    except TimeoutError:
        raise AssertionError(f"{what} did not come within {patience} s") from None


@asynccontextmanager
async def running_gateway(
    data_dir: Path, **sections: dict[str, Any]
) -> AsyncIterator[RunningGateway]:
    """Start a gateway, and check at the end that it holds nothing any more."""
    async with Gateway(gateway_settings(data_dir, **sections)) as gateway:
        headers = {"Authorization": f"Bearer {gateway.cli_token}"}
        async with aiohttp.ClientSession(headers=headers) as http:
            yield RunningGateway(gateway, Api(gateway, http))
    left = gateway.leftovers()
    assert left == {}, left
