"""`gateway demo`: a gateway and a simulated recorder in one process, watched as a player would."""

import asyncio
import socket
import tempfile
import threading
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli import view
from gateway.cli.api import Api, ApiRefused
from gateway.cli.context import Cli
from gateway.cli.decode import Decoded, decode
from gateway.config.model import Settings
from gb28181.aio.clock import monotonic

if TYPE_CHECKING:
    from gateway.app import Gateway

__all__ = ["Demo", "DemoOptions"]

SERVER_ID = "34020000002000000001"
PASSWORD = "demo-password"  # noqa: S105 - of a gateway on loopback that lives for seconds
WANTED_FRAMES = 25
WAIT = 20.0
"""Seconds that each step may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What to show."""

    duration: float = 0.0
    """Seconds to run on after the verdict."""
    codec: str = "h264"
    transport: str = "udp"
    data_dir: Path | None = None
    """None: a temporary one."""
    channels: int = 4
    quirks: frozenset[str] = frozenset()
    """What the simulated recorder does wrong; see `gateway.simulator.quirk`."""


class _Failed(Exception):
    """A step did not come about; the message is for people."""


class Demo:
    """Runs once; `succeeded` says whether pictures were decoded."""

    def __init__(self, cli: Cli, options: DemoOptions) -> None:
        self._cli = cli
        self._say = cli.say
        self._options = options
        self._stop = threading.Event()
        self.succeeded = False

    async def run(self) -> None:
        """Show everything; ends early with a verdict when a step fails."""
        self._tell("demo_start", style="bold")
        async with AsyncExitStack() as stack:
            data_dir = self._options.data_dir
            if data_dir is None:
                folder = tempfile.TemporaryDirectory(prefix="gateway-demo-")
                data_dir = Path(stack.enter_context(folder))
            gateway = await self._start(stack, data_dir)
            api = await stack.enter_async_context(Api(gateway.http_url, gateway.cli_token))
            try:
                await self._show(stack, api, gateway)
            except _Failed as exc:
                self._tell("demo_bad", style="bold red", why=str(exc))
            except ApiRefused as exc:
                await self._refused(api, exc)
            finally:
                self._stop.set()

    async def _start(self, stack: AsyncExitStack, data_dir: Path) -> "Gateway":
        from gateway.app import Gateway  # noqa: PLC0415 - only this command needs it

        settings = Settings.model_validate(
            {
                "data_dir": data_dir,
                "sip": {
                    "id": SERVER_ID,
                    "password": PASSWORD,
                    "host": "127.0.0.1",
                    "port": _free(5060, udp=True),
                },
                "http": {"host": "127.0.0.1", "port": _free(8080)},
                "rtsp": {"port": _free(8554)},
                "rtp": {"host": "127.0.0.1"},
                "media": {"transport": self._options.transport},
            }
        )
        gateway = await stack.enter_async_context(Gateway(settings))
        sip = ", ".join(f"{name} {host}:{port}" for name, host, port in gateway.sip_addresses)
        self._tell("demo_gateway", http=gateway.http_url, sip=sip)
        if token := gateway.http.new_admin_token:
            self._tell("demo_console", url=f"{gateway.http_url}/console/", token=token)
        return gateway

    async def _show(self, stack: AsyncExitStack, api: Api, gateway: "Gateway") -> None:
        from gateway.simulator import Quirk, Simulator, SimulatorOptions  # noqa: PLC0415 - only this command needs it
        from gb28181.es.unit import Codec  # noqa: PLC0415 - only this command needs it

        sip_port = next(port for name, _, port in gateway.sip_addresses if name == "UDP")
        options = SimulatorOptions(
            server_host="127.0.0.1",
            server_port=sip_port,
            # As in force: the environment wins over the demo's own values.
            server_id=gateway.settings.sip.id,
            password=gateway.settings.sip.password,
            local_host="127.0.0.1",
            channels=self._options.channels,
            video=Codec(self._options.codec),
            quirks=frozenset(Quirk(name) for name in self._options.quirks),
        )
        await stack.enter_async_context(Simulator(options))
        device, channel = await self._wait_for_channel(api)
        began = monotonic()
        stream = f"{device}/{channel}"
        self._tell("demo_play", stream=stream)
        answer = await api.post(f"channels/{stream}/play")
        self._tell("demo_urls")
        for line in view.url_lines(answer, api.url, self._say):
            self._cli.out.print(f"  {line}", soft_wrap=True)
        results = await self._watch(answer["urls"])
        await self._print_stages(api, answer["session_id"])
        self._judge(results, began)
        if not self.succeeded:
            await self._explain(api, answer["session_id"], results)
        if self.succeeded and self._options.duration:
            await self._run_on(api, stream, results[0])

    async def _wait_for_channel(self, api: Api) -> tuple[str, str]:
        page = await self._until(lambda: api.get("devices", online=True), "demo_wait_device")
        device = str(page["items"][0]["device_id"])
        self._tell("demo_online", device=device)
        found = await self._until(
            lambda: api.get("channels", device_id=device, kind="camera"), "demo_wait_channels"
        )
        self._tell("demo_channels", count=found["total"])
        return device, str(found["items"][0]["channel_id"])

    async def _until(self, ask: Any, complaint: str) -> Any:  # noqa: ANN401 - JSON
        try:
            async with asyncio.timeout(WAIT):
                while not (page := await ask())["total"]:  # noqa: ASYNC110 - it is elsewhere
                    await asyncio.sleep(0.1)
                return page
        except TimeoutError:
            raise _Failed(self._say(complaint)) from None

    async def _watch(self, urls: dict[str, str]) -> list[Decoded]:
        faces = (("FLV", "flv"), ("fMP4", "mp4"), ("RTSP", "rtsp"), ("HLS", "hls"))
        results = [Decoded(name) for name, _ in faces]
        for result, (_, kind) in zip(results, faces, strict=True):
            threading.Thread(
                target=decode,
                args=(urls[kind], result),
                kwargs={"wanted": WANTED_FRAMES, "stop": self._stop},
                name=f"demo-{result.format}",
                daemon=True,
            ).start()
        deadline = monotonic() + WAIT
        while (  # noqa: ASYNC110 - threads decode
            not all(result.enough.is_set() for result in results) and monotonic() < deadline
        ):
            await asyncio.sleep(0.05)
        return results

    async def _print_stages(self, api: Api, session_id: str) -> None:
        session = await api.get(f"sessions/{session_id}")
        for stage, at in session["stages"].items():
            self._cli.out.print("  " + self._say("demo_stage", stage=stage, ms=round(at * 1000)))

    def _judge(self, results: list[Decoded], began: float) -> None:
        for result in results:
            if result.first_picture is None or result.error:
                why = result.error or f"{WAIT:g} s"
                self._tell("demo_not_decoded", style="red", format=result.format, why=why)
                continue
            self._tell(
                "demo_decoded",
                format=result.format,
                codec=result.codec,
                size=f"{result.width}x{result.height}",
                fps=f"{result.fps:.1f}",
                audio=result.audio or self._say("demo_none"),
                frames=result.frames,
                ms=round((result.first_picture - began) * 1000),
            )
        missing = [r.format for r in results if r.frames < WANTED_FRAMES or r.error]
        self.succeeded = not missing
        if self.succeeded:
            self._tell("demo_ok", style="bold green")

    async def _explain(self, api: Api, session_id: str, results: list[Decoded]) -> None:
        """Give the gateway's own reason if the session failed, else what the decoders met."""
        ended = (await api.get(f"sessions/{session_id}"))["ended"]
        if ended is not None:
            await self._diagnose(api, session_id)
            why = f"{ended['detail']} [{ended['reason']}]"
        else:
            counts = [f"{result.format} {result.frames}/{WANTED_FRAMES}" for result in results]
            why = self._say("demo_too_few", counts=", ".join(counts))
        self._tell("demo_bad", style="bold red", why=why)

    async def _run_on(self, api: Api, stream: str, result: Decoded) -> None:
        end = monotonic() + self._options.duration
        self._tell("demo_running", seconds=self._options.duration)
        live = self._cli.out.is_terminal
        while (left := end - monotonic()) > 0:
            await asyncio.sleep(min(left, 1.0 if live else 5.0))
            page = await api.get("streams")
            facts = next((item for item in page["items"] if item["stream_id"] == stream), None)
            if facts is None:
                self.succeeded = False
                raise _Failed(self._say("no_streams"))
            line = self._say(
                "demo_stats",
                left=max(0, round(end - monotonic())),
                rate=facts["bitrate_kbps"],
                frames=facts["frames"],
                lost=facts["lost"],
                viewers=sum(facts["viewers"].values()),
                decoded=result.frames,
            )
            self._cli.out.print(line, end="\r" if live else "\n")
        if live:
            self._cli.out.print()

    async def _refused(self, api: Api, refusal: ApiRefused) -> None:
        session_id = refusal.problem.get("session_id")
        if session_id:
            await self._diagnose(api, session_id)
        self._tell("demo_bad", style="bold red", why=f"{refusal.detail} [{refusal.code}]")

    async def _diagnose(self, api: Api, session_id: str) -> None:
        diagnosis = await api.post("doctor/explain", {"session_id": session_id})
        self._cli.out.print(view.diagnosis_view(diagnosis, self._say))

    def _tell(self, key: str, *, style: str | None = None, **values: object) -> None:
        self._cli.out.print(self._say(key, **values), style=style, soft_wrap=True)


def _free(port: int, *, udp: bool = False) -> int:
    """Return the port if nobody holds it on loopback, else 0: any free one."""
    kinds = [socket.SOCK_STREAM, socket.SOCK_DGRAM] if udp else [socket.SOCK_STREAM]
    for kind in kinds:
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM)
            )
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return 0
    return port
