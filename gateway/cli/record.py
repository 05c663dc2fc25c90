"""`gateway record`: what is recorded, what was, and taking it away."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.api import Api, segment
from gateway.cli.context import USAGE, Cli
from gateway.cli.option import Json, Limit, Offset, moment_of, show_page
from gateway.cli.view import when
from gateway.cli.view_record import (
    channel_table,
    file_table,
    plan_table,
    size_of,
    status_table,
)

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="录像: 计划, 状态, 列表, 导出, 锁定。Recording: plans, status, lists, export, locks.",
)

Device = Annotated[str, typer.Argument(help="Device. 设备编码")]
Channel = Annotated[str, typer.Argument(help="Channel. 通道编码")]
From = Annotated[
    str | None, typer.Option("--from", help="Begin: ISO, or 2h for two hours ago. 开始时间")
]
To = Annotated[str | None, typer.Option("--to", help="End: ISO, or 1h for an hour ago. 结束时间")]


@app.command("list")
def list_recordings(
    context: typer.Context,
    device: Annotated[str | None, typer.Argument(help="Device. 设备编码")] = None,
    channel: Annotated[str | None, typer.Argument(help="Channel. 通道编码")] = None,
    *,
    begin: From = None,
    end: To = None,
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """列出有录像的通道, 或一个通道的文件。List channels with recordings, or the files of one."""
    cli: Cli = context.obj
    if device is None:
        page = cli.ask(lambda api: api.get("recordings/channels", limit=limit, offset=offset))
        show_page(cli, page, channel_table, "no_recordings", as_json=as_json)
        return
    times = {"from": moment_of(cli, begin, ago=True), "to": moment_of(cli, end, ago=True)}
    page = cli.ask(
        lambda api: api.get(
            "recordings",
            device_id=device,
            channel_id=channel or device,
            limit=limit,
            offset=offset,
            **times,
        )
    )
    show_page(cli, page, file_table, "no_recordings", as_json=as_json)


@app.command()
def status(
    context: typer.Context, *, limit: Limit = 100, offset: Offset = 0, as_json: Json = False
) -> None:
    """显示录像状态和磁盘。Show how recording goes, and the disk."""
    cli: Cli = context.obj
    page = cli.ask(lambda api: api.get("recordings/status", limit=limit, offset=offset))
    show_page(cli, page, status_table, "no_plans", as_json=as_json)
    if not as_json:
        disk = page["disk"]
        sizes = {name: size_of(disk[name]) for name in ("recorded", "free", "total")}
        words = cli.say("record_disk", state=disk["state"], removed=disk["removed"], **sizes)
        cli.out.print(words, style="green" if disk["state"] == "ok" else "red")
        if disk["detail"]:
            cli.out.print(f"  {disk['detail']}")


@app.command()
def plans(
    context: typer.Context, *, limit: Limit = 100, offset: Offset = 0, as_json: Json = False
) -> None:
    """列出录像计划。List what is to be recorded."""
    cli: Cli = context.obj
    page = cli.ask(lambda api: api.get("recordings/plans", limit=limit, offset=offset))
    show_page(cli, page, plan_table, "no_plans", as_json=as_json)


@app.command()
def plan(
    context: typer.Context,
    device: Device,
    channel: Channel,
    *,
    mode: Annotated[str | None, typer.Option(help="always, weekly, event, off. 录像方式")] = None,
    window: Annotated[
        list[str] | None, typer.Option(help='"Mon-Fri 08:00-18:00", several. 每周时段')
    ] = None,
    zone: Annotated[str, typer.Option(help="Time zone of the windows. 时区")] = "Asia/Shanghai",
    sub_stream: Annotated[bool, typer.Option("--sub-stream", help="Sub stream. 子码流")] = False,
    keep_days: Annotated[int | None, typer.Option(help="Days kept. 保留天数")] = None,
    pre: Annotated[float | None, typer.Option(help="Seconds before an event. 预录秒数")] = None,
    post: Annotated[float | None, typer.Option(help="Seconds after an alarm. 延时秒数")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Delete the plan. 删除计划")] = False,
    as_json: Json = False,
) -> None:
    """设置, 显示或删除一个通道的录像计划。Set, show or delete the plan of a channel."""
    cli: Cli = context.obj
    path = f"recordings/plans/{segment(device)}/{segment(channel)}"
    name = f"{device}/{channel}"
    if remove:
        cli.ask(lambda api: api.delete(path))
        cli.out.print(cli.say("record_unplanned", name=name))
        return
    if mode is None:
        answer = cli.ask(lambda api: api.get(path))
    else:
        body = {
            "mode": mode,
            "windows": window or [],
            "zone": zone,
            "stream": int(sub_stream),
            "keep_days": keep_days,
            "pre_seconds": pre,
            "post_seconds": post,
        }
        answer = cli.ask(lambda api: api.put(path, body))
    if as_json:
        cli.print_json(answer)
        return
    cli.out.print(plan_table({"items": [answer], "total": 1}, cli.say))
    if mode is not None:
        cli.out.print(cli.say("record_planned", name=name))


@app.command()
def start(
    context: typer.Context,
    device: Device,
    channel: Channel,
    *,
    seconds: Annotated[
        float | None, typer.Option(help="How long; default as after an alarm. 时长")
    ] = None,
    as_json: Json = False,
) -> None:
    """立即录像一段时间。Record now, for a while."""
    cli: Cli = context.obj
    body = {"seconds": seconds}
    answer = cli.ask(lambda api: api.post(f"{_path(device, channel)}/start", body))
    time = when(answer["event_until"], cli.say)
    _told(cli, answer, cli.say("record_started", name=f"{device}/{channel}", time=time), as_json)


@app.command()
def stop(
    context: typer.Context, device: Device, channel: Channel, *, as_json: Json = False
) -> None:
    """结束命令或报警触发的录像。End what a command or an alarm began; a plan goes on."""
    cli: Cli = context.obj
    answer = cli.ask(lambda api: api.post(f"{_path(device, channel)}/stop"))
    _told(cli, answer, cli.say("record_stopped", name=f"{device}/{channel}"), as_json)


@app.command()
def export(
    context: typer.Context,
    device: Device,
    channel: Channel,
    *,
    begin: Annotated[str, typer.Option("--from", help="Begin: ISO, or 2h for two hours ago. 开始")],
    end: Annotated[str, typer.Option("--to", help="End: ISO, or 1h for an hour ago. 结束")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="MP4 file to make. 输出文件")
    ] = None,
    as_json: Json = False,
) -> None:
    """导出一段时间为一个 MP4 文件。Take a time away as one MP4 file."""
    cli: Cli = context.obj
    start_at, end_at = moment_of(cli, begin, ago=True), moment_of(cli, end, ago=True)
    path = _path(device, channel)

    async def fetch(api: Api) -> tuple[dict[str, Any], Path]:
        clip = await api.get(f"{path}/play", start=start_at, end=end_at)
        stamp = "".join(mark for mark in clip["begin"][:19] if mark.isalnum())
        target = output or Path(f"{channel}_{stamp}.mp4")
        if await asyncio.to_thread(target.exists):
            cli.fail(cli.say("record_exists", path=target), USAGE)
        await api.save(f"{path}/download.mp4", target, start=start_at, end=end_at)
        return clip, target

    try:
        clip, target = cli.ask(fetch)
    except OSError as exc:
        cli.fail(cli.say("record_cut", why=exc.strerror or str(exc)))
    if as_json:
        cli.print_json({**clip, "path": str(target)})
        return
    times = {"begin": when(clip["begin"], cli.say), "end": when(clip["end"], cli.say)}
    size = size_of(target.stat().st_size)
    cli.out.print(cli.say("record_exported", path=target, size=size, **times))
    if clip["next"]:
        cli.out.print(cli.say("record_goes_on", time=clip["next"]), style="yellow")


@app.command()
def lock(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="File, or device. 文件标识或设备编码")],
    channel: Annotated[str | None, typer.Argument(help="Channel. 通道编码")] = None,
    *,
    begin: From = None,
    end: To = None,
    as_json: Json = False,
) -> None:
    """锁定录像, 不被自动清理。Lock recordings, so that retention leaves them."""
    _lock(context.obj, "lock", what, channel, begin, end, as_json=as_json)


@app.command()
def unlock(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="File, or device. 文件标识或设备编码")],
    channel: Annotated[str | None, typer.Argument(help="Channel. 通道编码")] = None,
    *,
    begin: From = None,
    end: To = None,
    as_json: Json = False,
) -> None:
    """解锁录像。Unlock recordings."""
    _lock(context.obj, "unlock", what, channel, begin, end, as_json=as_json)


def _lock(
    cli: Cli,
    verb: str,
    what: str,
    channel: str | None,
    begin: str | None,
    end: str | None,
    *,
    as_json: bool,
) -> None:
    if channel is None:
        answer = cli.ask(lambda api: api.post(f"recordings/files/{segment(what)}/{verb}"))
        count = 1
    else:
        times = {"start": moment_of(cli, begin, ago=True), "end": moment_of(cli, end, ago=True)}
        if None in times.values():
            cli.fail(cli.say("record_need_time"), USAGE)
        answer = cli.ask(lambda api: api.post(f"{_path(what, channel)}/{verb}", dict(times)))
        count = len(answer["items"])
    _told(cli, answer, cli.say(f"record_{verb}_done", count=count), as_json)


def _told(cli: Cli, answer: Any, words: str, as_json: bool) -> None:  # noqa: ANN401, FBT001 - JSON
    if as_json:
        cli.print_json(answer)
    else:
        cli.out.print(words)


def _path(device: str, channel: str) -> str:
    return f"recordings/{segment(device)}/{segment(channel)}"
