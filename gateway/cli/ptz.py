"""`gateway ptz`: moving and controlling a camera."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from gateway.cli.api import Api, segment
from gateway.cli.context import UNHEALTHY, USAGE, Cli
from gateway.cli.option import Json, Purpose, Ticket
from gateway.cli.running import only_channel

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="云台和设备控制。Move and control a camera; motions stop by themselves.",
)

Device = Annotated[str, typer.Argument(help="Device. 设备编码")]
Channel = Annotated[str | None, typer.Argument(help="Channel, if it has several. 通道编码")]
Speed = Annotated[int, typer.Option(min=1, max=255, help="1-255; zoom 1-15. 速度")]
Seconds = Annotated[
    float, typer.Option("--seconds", "-s", min=0.1, max=600, help="Until it stops. 秒")
]
Number = Annotated[int, typer.Option("--number", "-n", min=0, max=255, help="编号")]

_SLOW = 15


def _motion(name: str, chinese: str, english: str, body: Callable[[int], dict[str, Any]]) -> None:
    def command(
        context: typer.Context,
        device: Device,
        channel: Channel = None,
        *,
        speed: Speed = 100,
        seconds: Seconds = 1.0,
        purpose: Purpose = "",
        ticket: Ticket = "",
        as_json: Json = False,
    ) -> None:
        _ptz(
            context.obj,
            device,
            channel,
            {**body(speed), "hold_s": seconds, "purpose": purpose, "ticket": ticket},
            as_json=as_json,
        )

    command.__doc__ = f"{chinese}。{english}."
    app.command(name)(command)


for _name, _chinese, _english, _body in (
    ("left", "向左", "Pan left", lambda speed: {"command": "move", "pan": -speed}),
    ("right", "向右", "Pan right", lambda speed: {"command": "move", "pan": speed}),
    ("up", "向上", "Tilt up", lambda speed: {"command": "move", "tilt": speed}),
    ("down", "向下", "Tilt down", lambda speed: {"command": "move", "tilt": -speed}),
    ("zoom-in", "放大", "Zoom in", lambda speed: {"command": "move", "zoom": min(speed, _SLOW)}),
    ("zoom-out", "缩小", "Zoom out", lambda speed: {"command": "move", "zoom": -min(speed, _SLOW)}),
    ("focus-far", "聚焦远", "Focus far", lambda speed: {"command": "lens", "focus": speed}),
    ("focus-near", "聚焦近", "Focus near", lambda speed: {"command": "lens", "focus": -speed}),
    ("iris-open", "光圈放大", "Open the iris", lambda speed: {"command": "lens", "iris": speed}),
    ("iris-close", "光圈缩小", "Close the iris", lambda speed: {"command": "lens", "iris": -speed}),
):
    _motion(_name, _chinese, _english, _body)


@app.command()
def move(
    context: typer.Context,
    device: Device,
    channel: Channel = None,
    *,
    pan: Annotated[int, typer.Option(min=-255, max=255, help="负数向左")] = 0,
    tilt: Annotated[int, typer.Option(min=-255, max=255, help="负数向下")] = 0,
    zoom: Annotated[int, typer.Option(min=-15, max=15, help="负数缩小")] = 0,
    seconds: Seconds = 1.0,
    purpose: Purpose = "",
    ticket: Ticket = "",
    as_json: Json = False,
) -> None:
    """同时转动和变倍。Pan, tilt and zoom together."""
    cli: Cli = context.obj
    if not (pan or tilt or zoom):
        cli.fail(cli.say("no_motion"), USAGE)
    body = {"command": "move", "pan": pan, "tilt": tilt, "zoom": zoom, "hold_s": seconds}
    _ptz(cli, device, channel, {**body, "purpose": purpose, "ticket": ticket}, as_json=as_json)


@app.command()
def stop(
    context: typer.Context, device: Device, channel: Channel = None, *, as_json: Json = False
) -> None:
    """停止转动、变倍、巡航和扫描。Stop motion, cruise and scan."""
    _ptz(context.obj, device, channel, {"command": "stop"}, as_json=as_json)


@app.command()
def preset(
    context: typer.Context,
    device: Device,
    channel: Channel = None,
    *,
    number: Number = 1,
    store: Annotated[bool, typer.Option("--set", help="Store it here. 设置预置位")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Forget it. 删除预置位")] = False,
    purpose: Purpose = "",
    ticket: Ticket = "",
    as_json: Json = False,
) -> None:
    """调用、设置或删除预置位。Go to a preset, store or delete it."""
    word = "preset_set" if store else "preset_delete" if delete else "preset_call"
    body = {"command": word, "number": number, "purpose": purpose, "ticket": ticket}
    _ptz(context.obj, device, channel, body, as_json=as_json)


@app.command()
def cruise(
    context: typer.Context,
    device: Device,
    channel: Channel = None,
    *,
    number: Number = 1,
    add: Annotated[
        int | None, typer.Option(min=1, max=255, help="Add a preset. 加入预置位")
    ] = None,
    remove: Annotated[
        int | None, typer.Option(min=0, max=255, help="Remove a preset; 0 is all. 移除预置位")
    ] = None,
    speed: Annotated[int | None, typer.Option(min=0, max=4095, help="速度")] = None,
    dwell: Annotated[int | None, typer.Option(min=0, max=4095, help="Seconds. 停留秒数")] = None,
    as_json: Json = False,
) -> None:
    """开始巡航, 或编辑其预置位; stop 结束。Start a cruise, or edit it; `stop` ends it."""
    body: dict[str, Any] = {"command": "cruise_start", "number": number}
    for word, name, value in (
        ("cruise_add", "preset", add),
        ("cruise_remove", "preset", remove),
        ("cruise_speed", "value", speed),
        ("cruise_dwell", "value", dwell),
    ):
        if value is not None:
            body = {"command": word, "number": number, name: value}
    _ptz(context.obj, device, channel, body, as_json=as_json)


@app.command()
def scan(
    context: typer.Context,
    device: Device,
    channel: Channel = None,
    *,
    number: Number = 1,
    edge: Annotated[str | None, typer.Option(help="left or right: set it here. 边界")] = None,
    speed: Annotated[int | None, typer.Option(min=0, max=4095, help="速度")] = None,
    as_json: Json = False,
) -> None:
    """开始自动扫描, 或设置边界; stop 结束。Start a scan, or set its edges; `stop` ends it."""
    body: dict[str, Any] = {"command": "scan_start", "number": number}
    if edge is not None:
        if edge not in {"left", "right"}:
            raise typer.BadParameter("left | right", param_hint="--edge")
        body["command"] = f"scan_{edge}_edge"
    elif speed is not None:
        body |= {"command": "scan_speed", "value": speed}
    _ptz(context.obj, device, channel, body, as_json=as_json)


@app.command()
def switch(
    context: typer.Context,
    device: Device,
    channel: Channel = None,
    *,
    number: Number = 1,
    on: Annotated[bool, typer.Option("--on/--off", help="开/关")] = True,
    as_json: Json = False,
) -> None:
    """辅助开关; 1 是雨刷。Turn a switch on or off; 1 is the wiper."""
    word = "switch_on" if on else "switch_off"
    _ptz(context.obj, device, channel, {"command": word, "number": number}, as_json=as_json)


@app.command()
def iframe(
    context: typer.Context, device: Device, channel: Channel = None, *, as_json: Json = False
) -> None:
    """请求关键帧。Ask for a key frame."""
    _control(context.obj, device, channel, "iframe", {}, as_json=as_json)


@app.command()
def reboot(
    context: typer.Context, device: Device, channel: Channel = None, *, as_json: Json = False
) -> None:
    """重启设备。Restart the device."""
    _control(context.obj, device, channel, "reboot", {}, as_json=as_json)


@app.command()
def record(
    context: typer.Context,
    device: Device,
    channel: Channel = None,
    *,
    on: Annotated[bool, typer.Option("--on/--off", help="开始/停止")] = True,
    as_json: Json = False,
) -> None:
    """开始或停止录像。Record, or stop recording."""
    _control(context.obj, device, channel, "record", {"record": on}, as_json=as_json)


@app.command()
def guard(
    context: typer.Context,
    device: Device,
    channel: Channel = None,
    *,
    on: Annotated[bool, typer.Option("--on/--off", help="布防/撤防")] = True,
    as_json: Json = False,
) -> None:
    """布防或撤防。Guard, or end guarding."""
    _control(context.obj, device, channel, "guard", {"guard": on}, as_json=as_json)


@app.command("alarm-reset")
def alarm_reset(
    context: typer.Context, device: Device, channel: Channel = None, *, as_json: Json = False
) -> None:
    """报警复位。Reset alarms."""
    _control(context.obj, device, channel, "alarm_reset", {}, as_json=as_json)


@app.command()
def home(
    context: typer.Context,
    device: Device,
    channel: Channel = None,
    *,
    on: Annotated[bool, typer.Option("--on/--off", help="启用/停用")] = True,
    number: Annotated[int | None, typer.Option("--number", "-n", min=0, max=255)] = None,
    after: Annotated[int | None, typer.Option(min=1, help="Seconds without a command. 秒")] = None,
    as_json: Json = False,
) -> None:
    """看守位: 无人操作后返回的预置位。Where the camera returns to when nobody moves it."""
    body: dict[str, Any] = {"enabled": on, "preset": number, "reset_time": after}
    _control(context.obj, device, channel, "home_position", body, as_json=as_json)


def _ptz(
    cli: Cli, device: str, channel: str | None, body: dict[str, Any], *, as_json: bool
) -> None:
    async def work(api: Api) -> Any:  # noqa: ANN401 - JSON
        return await api.post(f"{await _path(cli, api, device, channel)}/ptz", body)

    answer = cli.ask(work)
    if as_json:
        cli.print_json(answer)
        return
    words = cli.say("sent", frame=answer["frame"])
    if answer["stops_after_s"] is not None:
        words += cli.say("stops_after", seconds=answer["stops_after_s"])
    cli.out.print(words, style="green")


def _control(
    cli: Cli,
    device: str,
    channel: str | None,
    word: str,
    body: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    async def work(api: Api) -> Any:  # noqa: ANN401 - JSON
        return await api.post(f"{await _path(cli, api, device, channel)}/control/{word}", body)

    answer = cli.ask(work)
    result = answer["result"]
    refused = result.upper() not in {"", "OK"}
    if as_json:
        cli.print_json(answer)
    elif refused:
        cli.err.print(cli.say("control_failed", result=result), style="red")
    else:
        words = cli.say("control_answer", result=result) if result else cli.say("control_sent")
        cli.out.print(words, style="green")
    if refused:
        raise typer.Exit(UNHEALTHY)


async def _path(cli: Cli, api: Api, device: str, channel: str | None) -> str:
    chosen = channel or await only_channel(cli, api, device)
    return f"channels/{segment(device)}/{segment(chosen)}"
