"""Commands that start something in this process: serve, demo, simulate, check-config."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, Protocol

import typer
from rich.table import Table
from rich.text import Text

from gateway.cli.context import UNHEALTHY, USAGE, Cli
from gateway.cli.text_start import START_HINTS
from gateway.config.model import ConfigError, Settings, load_settings
from gateway.domain.errors import GatewayError
from gateway.http.tokens import ensure_admin_token
from gateway.observe.log import configure_logging

__all__ = ["Interrupted", "register", "run_on_uvloop"]

INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.command()(demo)
    app.command()(simulate)
    app.command("check-config")(check_config)


class _Show(Protocol):
    """A demo."""

    succeeded: bool

    async def run(self) -> None:
        """Show everything."""


class Interrupted(Exception):
    """Ctrl-C or SIGTERM ended the work."""


def run_on_uvloop(work: Awaitable[None]) -> None:
    """Run to the end on uvloop where it is installed, else on asyncio's own loop.

    The first Ctrl-C or SIGTERM cancels the work, which then cleans up; the third gives up waiting for that.

    Raises:
        Interrupted: a signal came.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_interruptible(work))


async def _interruptible(work: Awaitable[None]) -> None:
    loop, task, signals = asyncio.get_running_loop(), asyncio.current_task(), 0
    assert task is not None

    # Not KeyboardInterrupt: a second one would be raised anywhere, in the middle of the clean-up.
    def interrupt() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            task.cancel()
        elif signals > 2:
            os._exit(INTERRUPTED)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        await work
    except asyncio.CancelledError:
        if signals:
            raise Interrupted from None
        raise


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - absent on some platforms
    except ImportError:
        return None
    return uvloop.new_event_loop


def serve(
    context: typer.Context,
    *,
    config: Annotated[Path | None, typer.Option(help="gateway.toml. 配置文件")] = None,
) -> None:
    """运行网关。Run the gateway until Ctrl-C or SIGTERM."""
    cli: Cli = context.obj
    if config is not None:
        cli.config = config
    settings = cli.settings()
    configure_logging(settings.log.format, settings.log.level)
    try:
        token = ensure_admin_token(settings.data_dir, settings.http.admin_token)
    except OSError as exc:
        detail = f"{settings.data_dir}: {exc.strerror}"
        _cannot_start(cli, "data_dir_unusable", detail)
    if token is not None:
        cli.err.print(cli.say("first_token"), style="yellow")
        cli.err.print(token, soft_wrap=True)
        cli.err.print(cli.say("first_account", url=_console_url(settings)), soft_wrap=True)
    _serve(cli, settings)


def _console_url(settings: Settings) -> str:
    http = settings.http
    base = http.public_url.rstrip("/")
    if not base:
        host = f"[{http.host}]" if ":" in http.host else http.host
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - a comparison
        base = f"http://{host}:{http.port}"
    return f"{base}/console/"


def _serve(cli: Cli, settings: Settings) -> None:
    from gateway.app import serve as run_gateway  # noqa: PLC0415 - only this command needs it

    try:
        run_on_uvloop(run_gateway(settings))
    except GatewayError as exc:
        _cannot_start(cli, exc.code, exc.detail)
    except Interrupted:
        raise typer.Exit(INTERRUPTED) from None


def _cannot_start(cli: Cli, code: str, detail: str) -> NoReturn:
    hint = START_HINTS.get(code)
    words = cli.say("cannot_start", detail=detail, code=code)
    cli.fail(f"{words}\n{cli.say(hint)}" if hint else words)


def demo(
    context: typer.Context,
    *,
    duration: Annotated[
        float, typer.Option(min=0, help="Seconds to run on after the verdict. 继续运行秒数")
    ] = 0.0,
    codec: Annotated[str, typer.Option(help="h264 or hevc. 视频编码")] = "h264",
    transport: Annotated[
        str, typer.Option(help="udp, tcp_passive or tcp_active. 媒体传输方式")
    ] = "udp",
    quirk: Annotated[
        list[str] | None,
        typer.Option(help="Let the recorder misbehave; --quirk help lists how. 设备怪癖"),
    ] = None,
    county: Annotated[
        bool,
        typer.Option(
            "--county",
            help="County, township and villages, four departments, 500 cameras. 县镇村三级共享",
        ),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the logs. 显示日志")
    ] = False,
) -> None:
    """演示: 网关加模拟录像机, 播放并解码。Run a gateway and a simulated recorder, play a channel, decode it."""
    cli: Cli = context.obj
    if codec not in {"h264", "hevc"} or transport not in {"udp", "tcp_passive", "tcp_active"}:
        raise typer.BadParameter("--codec h264|hevc, --transport udp|tcp_passive|tcp_active")
    if quirk and _quirks_listed(cli, quirk):
        return
    if quirk and county:
        raise typer.BadParameter("--county | --quirk", param_hint="--quirk")
    configure_logging("auto", "info" if verbose else "error")
    values: dict[str, Any] = {
        "duration": duration,
        "codec": codec,
        "transport": transport,
        "data_dir": cli.data_dir,
    }
    show: _Show
    if county:
        from gateway.cli.county import CountyDemo, CountyOptions  # noqa: PLC0415 - only this demo needs it

        show = CountyDemo(cli, CountyOptions(**values))
    else:
        from gateway.cli.demo import Demo, DemoOptions  # noqa: PLC0415 - only this demo needs it

        show = Demo(cli, DemoOptions(**values, quirks=frozenset(quirk or ())))
    _run_demo(cli, show)


def _run_demo(cli: Cli, show: "_Show") -> None:
    try:
        run_on_uvloop(show.run())
    except GatewayError as exc:
        _cannot_start(cli, exc.code, exc.detail)
    except Interrupted:
        cli.err.print(cli.say("interrupted"))
        if not show.succeeded:
            raise typer.Exit(INTERRUPTED) from None
    if not show.succeeded:
        raise typer.Exit(UNHEALTHY)


def _quirks_listed(cli: Cli, chosen: list[str]) -> bool:
    """List the quirks if that was asked for; an unknown one ends the command."""
    from gateway.simulator import Quirk  # noqa: PLC0415 - only two commands need it

    if "help" in chosen:
        for item in Quirk:
            cli.out.print(item.value)
        return True
    unknown = [name for name in chosen if name not in set(Quirk)]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}; --quirk help", param_hint="--quirk")
    return False


def simulate(  # noqa: PLR0913 - one for each option
    context: typer.Context,
    *,
    server: Annotated[str, typer.Option(help="Platform, host:port. 平台地址")] = "127.0.0.1:5060",
    server_id: Annotated[
        str, typer.Option(help="Its 20-digit id. 平台编码")
    ] = "34020000002000000001",
    password: Annotated[str, typer.Option(help="Registration password. 注册密码")] = "",
    transport: Annotated[str, typer.Option(help="Signalling: UDP, TCP or TLS. 信令传输")] = "UDP",
    devices: Annotated[int, typer.Option(min=1, help="Devices. 设备数")] = 1,
    channels: Annotated[int, typer.Option(min=1, help="Channels of each. 每台通道数")] = 1,
    base_id: Annotated[
        str, typer.Option(help="Id of the first device. 首台编码")
    ] = "34020000001180000001",
    platform: Annotated[
        bool, typer.Option("--platform", help="Lower platforms with a tree. 模拟下级平台")
    ] = False,
    video: Annotated[str, typer.Option(help="h264 or hevc. 视频编码")] = "h264",
    audio: Annotated[
        str, typer.Option(help="pcm_alaw, pcm_mulaw, aac or none. 音频编码")
    ] = "pcm_alaw",
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT. 分辨率")] = "1280x720",
    bitrate: Annotated[int, typer.Option(help="Bit a second. 码率")] = 2_000_000,
    quirk: Annotated[
        list[str] | None, typer.Option(help="Misbehaviour; --quirk help lists them. 设备怪癖")
    ] = None,
    duration: Annotated[float, typer.Option(min=0, help="Seconds; 0 is until Ctrl-C. 秒")] = 0.0,
) -> None:
    """向任意平台模拟设备。Simulate devices against any GB/T 28181 platform."""
    from gateway.simulator import Quirk, SimulatorOptions  # noqa: PLC0415 - only this command needs it
    from gb28181.es.unit import Codec  # noqa: PLC0415 - only this command needs it

    cli: Cli = context.obj
    if quirk and _quirks_listed(cli, quirk):
        return
    try:
        host, _, port = server.rpartition(":")
        width, _, height = size.partition("x")
        chosen = SimulatorOptions(
            server_host=host.strip("[]") or server,
            server_port=int(port) if host else 5060,
            server_id=server_id,
            password=password,
            transport=transport.upper(),
            devices=devices,
            channels=channels,
            base_id=base_id,
            platform=platform,
            video=Codec(video),
            audio=None if audio == "none" else Codec(audio),
            width=int(width),
            height=int(height),
            bitrate=bitrate,
            quirks=frozenset(Quirk(name) for name in quirk or ()),
        )
    except ValueError as exc:
        cli.fail(str(exc), USAGE)
    configure_logging("auto", "warning")
    cli.out.print(cli.say("sim_started", devices=devices, channels=channels, server=server))
    with contextlib.suppress(Interrupted):
        run_on_uvloop(_simulate(cli, chosen, duration))


async def _simulate(cli: Cli, options: Any, duration: float) -> None:  # noqa: ANN401 - imported late
    from gateway.simulator import DeviceEvent, Simulator  # noqa: PLC0415 - only this command needs it

    def report(event: DeviceEvent) -> None:
        cli.out.print(f"{event.device_id}  {event.what}  {event.detail}")

    async with Simulator(options, report):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(duration or None):
                await asyncio.Event().wait()


def check_config(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="gateway.toml. 配置文件")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs. 输出 JSON")] = False,
) -> None:
    """检查配置并显示生效值。Check the configuration and show what is in force."""
    cli: Cli = context.obj
    try:
        settings = load_settings(file or cli.config)
    except ConfigError as exc:
        if as_json:
            cli.print_json({"ok": False, "problems": exc.problems})
        else:
            cli.err.print(cli.say("config_bad", count=len(exc.problems)), style="red")
            for problem in exc.problems:
                cli.err.print(f"  {cli.say.problem(problem)}", soft_wrap=True)
        raise typer.Exit(UNHEALTHY) from None
    values = _masked(settings)
    if as_json:
        cli.print_json({"ok": True, "settings": values})
        return
    cli.out.print(cli.say("config_ok"), style="green")
    table = Table.grid(padding=(0, 2))
    for section, keys in values.items():
        rows = keys.items() if isinstance(keys, dict) else [("", keys)]
        for key, value in rows:
            table.add_row(Text(section, style="dim"), key, str(value))
    cli.out.print(table)


def _masked(settings: Settings) -> dict[str, Any]:
    """Return all settings with secrets replaced."""
    values: dict[str, Any] = settings.model_dump(mode="json")
    for section, key in (("sip", "password"), ("http", "admin_token")):
        if values[section][key]:
            values[section][key] = "********"
    url = values["store"]["url"]
    if "@" in url:
        scheme, _, rest = url.partition("://")
        values["store"]["url"] = f"{scheme}://********@{rest.rpartition('@')[2]}"
    return values
