"""Commands that ask a running gateway over its API."""

from typing import Annotated, Any

import typer

from gateway.cli import doctor, view
from gateway.cli.api import Api, ApiRefused, segment
from gateway.cli.context import UNHEALTHY, USAGE, Cli
from gateway.cli.option import Json, Limit, Offset, Search, show_page

__all__ = ["only_channel", "register"]

Presence = Annotated[
    bool | None, typer.Option("--online/--offline", help="Only these. 仅在线/离线")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for function in (status, devices, channels, streams, sessions, play):
        app.command()(function)
    app.command("doctor")(examine)


def status(context: typer.Context, *, as_json: Json = False) -> None:
    """总览: 数量, 问题及其起始时间。Counts, what is wrong and since when."""
    cli: Cli = context.obj
    answer = cli.ask(lambda api: api.get("status"))
    if as_json:
        cli.print_json(answer)
    else:
        cli.out.print(view.status_view(answer, cli.say))
    if answer["state"] == "error":
        raise typer.Exit(UNHEALTHY)


def devices(
    context: typer.Context,
    device: Annotated[
        str | None, typer.Argument(help="Show this one with its timeline. 设备编码")
    ] = None,
    *,
    search: Search = "",
    online: Presence = None,
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """列出设备, 或显示一台及其时间线。List devices, or show one with its timeline."""
    cli: Cli = context.obj
    if device is not None:
        found, timeline = cli.ask(lambda api: _device(api, device))
        if as_json:
            cli.print_json({**found, "timeline": timeline["items"]})
        else:
            cli.out.print(view.device_card(found, timeline, cli.say))
        return
    page = cli.ask(
        lambda api: api.get("devices", q=search, online=online, limit=limit, offset=offset)
    )
    filtered = bool(search) or online is not None
    show_page(
        cli, page, view.device_table, "no_match" if filtered else "no_devices", as_json=as_json
    )


async def _device(api: Api, device: str) -> tuple[Any, Any]:
    path = f"devices/{segment(device)}"
    return await api.get(path), await api.get(f"{path}/timeline", limit=30)


def channels(
    context: typer.Context,
    device: Annotated[str | None, typer.Argument(help="Only this device's. 设备编码")] = None,
    *,
    search: Search = "",
    kind: Annotated[str | None, typer.Option(help="camera, audio, alarm, region, ... 类型")] = None,
    online: Presence = None,
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """列出通道。List channels."""
    cli: Cli = context.obj
    page = cli.ask(
        lambda api: api.get(
            "channels",
            device_id=device,
            q=search,
            kind=kind,
            online=online,
            limit=limit,
            offset=offset,
        )
    )
    filtered = bool(search or kind or device) or online is not None
    show_page(
        cli, page, view.channel_table, "no_match" if filtered else "no_channels", as_json=as_json
    )


def streams(context: typer.Context, *, as_json: Json = False) -> None:
    """列出正在拉取的流。List running streams with their counters."""
    cli: Cli = context.obj
    show_page(
        cli,
        cli.ask(lambda api: api.get("streams")),
        view.stream_table,
        "no_streams",
        as_json=as_json,
    )


def sessions(
    context: typer.Context,
    session: Annotated[
        str | None, typer.Argument(help="Show this one with its stages. 会话")
    ] = None,
    *,
    device: Annotated[str | None, typer.Option(help="Only this device's. 设备编码")] = None,
    state: Annotated[str | None, typer.Option(help="running, ended or failed. 状态")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """列出会话, 或显示一个及其各阶段。List sessions, or show one with its stages."""
    cli: Cli = context.obj
    if session is not None:
        found = cli.ask(lambda api: api.get(f"sessions/{segment(session)}"))
        if as_json:
            cli.print_json(found)
        else:
            cli.out.print(view.session_card(found, cli.say))
        return
    page = cli.ask(
        lambda api: api.get("sessions", device_id=device, state=state, limit=limit, offset=offset)
    )
    filtered = bool(device or state)
    show_page(
        cli, page, view.session_table, "no_match" if filtered else "no_sessions", as_json=as_json
    )


def play(
    context: typer.Context,
    device: Annotated[str, typer.Argument(help="Device. 设备编码")],
    channel: Annotated[
        str | None, typer.Argument(help="Channel, if it has several. 通道编码")
    ] = None,
    *,
    transport: Annotated[
        str | None, typer.Option(help="udp, tcp_passive or tcp_active. 媒体传输方式")
    ] = None,
    as_json: Json = False,
) -> None:
    """开始播放并打印流地址。Start a stream and print its URLs."""
    cli: Cli = context.obj

    async def work(api: Api) -> None:
        chosen = channel or await only_channel(cli, api, device)
        body = {"transport": transport} if transport else None
        try:
            answer = await api.post(f"channels/{segment(device)}/{segment(chosen)}/play", body)
        except ApiRefused as exc:
            await _explain_refusal(cli, api, exc)
            raise typer.Exit(UNHEALTHY) from None
        if as_json:
            cli.print_json(answer)
            return
        session = await api.get(f"sessions/{segment(answer['session_id'])}")
        stream = f"{session['device_id']}/{session['channel_id']}"
        cli.out.print(cli.say("playing", stream=stream), style="green")
        cli.out.print(view.stage_table(session, cli.say))
        for line in view.url_lines(answer, api.url, cli.say):
            cli.out.print(line, soft_wrap=True)
        expires = view.when(answer["expires_at"], cli.say, ago=False)
        cli.out.print(cli.say("valid_until", time=expires))

    cli.ask(work)


async def only_channel(cli: Cli, api: Api, device: str) -> str:
    """Return a device's channel if it has one; several end the command with their list."""
    page = await api.get("channels", device_id=device, kind="camera", limit=20)
    if page["total"] == 1:
        return str(page["items"][0]["channel_id"])
    if page["total"] == 0:
        found = await api.get(f"devices/{segment(device)}")
        if found["channel_count"] == 0:
            # A camera without a catalogue is its own channel.
            return device
        cli.fail(cli.say("nothing_to_play", device=device), USAGE)
    cli.err.print(cli.say("which_channel", device=device, total=page["total"]))
    cli.err.print(view.channel_table(page, cli.say))
    raise typer.Exit(USAGE)


async def _explain_refusal(cli: Cli, api: Api, refusal: ApiRefused) -> None:
    cli.err.print(cli.say("play_failed", detail=refusal.detail, code=refusal.code), style="red")
    session_id = refusal.problem.get("session_id")
    if session_id:
        diagnosis = await api.post("doctor/explain", {"session_id": session_id})
        cli.err.print(view.diagnosis_view(diagnosis, cli.say))


def examine(
    context: typer.Context,
    *,
    session: Annotated[
        str | None, typer.Option(help="Explain this session; default the last failed one. 会话")
    ] = None,
    as_json: Json = False,
) -> None:
    """检查并解释最近一次播放失败。Check machine, configuration and gateway; explain the last failed play."""
    doctor.run(context.obj, session, as_json=as_json)
