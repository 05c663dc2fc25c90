"""`gateway push`: channels re-published to RTMP, RTSP and SRT targets."""

from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from gateway.cli.api import Api, segment
from gateway.cli.context import Cli
from gateway.cli.option import Json, Limit, Offset, show_page
from gateway.cli.running import only_channel
from gateway.cli.text import Say
from gateway.cli.view import make_facts, make_table, when

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="转推到 RTMP, RTSP, SRT 服务器。Re-publish channels to RTMP, RTSP and SRT servers.",
)

PushId = Annotated[str, typer.Argument(help="转推标识")]
Url = Annotated[
    str | None,
    typer.Option(
        help="rtmp://, rtsp:// (rtmps, rtsps: by TLS) or srt://; without it you are asked, so that a key in it is not kept by the shell. 目标"
    ),
]
Name = Annotated[str | None, typer.Option(help="名称")]
SubStream = Annotated[
    bool | None, typer.Option("--sub-stream/--main-stream", help="Which stream. 码流")
]
Insecure = Annotated[
    bool | None,
    typer.Option(
        "--insecure/--verify", help="By TLS take any certificate. 不验证证书", show_default=False
    ),
]
Receiver = Annotated[
    str | None,
    typer.Option("--for", help="Department that receives it; the policy then decides. 接收单位"),
]

_STYLES = {"running": "green", "starting": "cyan", "disabled": "dim"}


@app.command("list")
def list_pushes(
    context: typer.Context, *, limit: Limit = 100, offset: Offset = 0, as_json: Json = False
) -> None:
    """列出转推及其状态。List pushes and how they are."""
    cli: Cli = context.obj
    page = cli.ask(lambda api: api.get("pushes", limit=limit, offset=offset))
    show_page(cli, page, _table, "no_pushes", as_json=as_json)


@app.command()
def show(context: typer.Context, push: PushId, *, as_json: Json = False) -> None:
    """显示一个转推。Show one push."""
    cli: Cli = context.obj
    _card(cli, cli.ask(lambda api: api.get(f"pushes/{segment(push)}")), as_json=as_json)


@app.command()
def add(
    context: typer.Context,
    device: Annotated[str, typer.Argument(help="Device. 设备编码")],
    channel: Annotated[
        str | None, typer.Argument(help="Channel, if it has several. 通道编码")
    ] = None,
    *,
    url: Url = None,
    name: Name = None,
    sub_stream: SubStream = None,
    receiver: Receiver = None,
    insecure: Insecure = None,
    as_json: Json = False,
) -> None:
    """添加转推。Re-publish a channel."""
    cli: Cli = context.obj
    target = url or typer.prompt(cli.say("push_url_ask"), hide_input=True, err=True)

    async def send(api: Api) -> Any:  # noqa: ANN401 - JSON
        return await api.post(
            "pushes",
            {
                "device_id": device,
                "channel_id": channel or await only_channel(cli, api, device),
                "url": target,
                "name": name or "",
                "stream": int(bool(sub_stream)),
                "department": receiver or "",
                "tls_verify": not insecure,
            },
        )

    added = cli.ask(send)
    if as_json:
        cli.print_json(added)
    else:
        cli.out.print(cli.say("push_added", name=added["push_id"]))


@app.command()
def change(
    context: typer.Context,
    push: PushId,
    *,
    url: Url = None,
    name: Name = None,
    sub_stream: SubStream = None,
    receiver: Receiver = None,
    insecure: Insecure = None,
    as_json: Json = False,
) -> None:
    """修改转推, 重新开始。Change a push; it begins anew."""
    stream = None if sub_stream is None else int(sub_stream)
    verify = None if insecure is None else not insecure
    given = {
        "url": url, "name": name, "stream": stream, "department": receiver, "tls_verify": verify
    }  # fmt: skip
    changes = {key: value for key, value in given.items() if value is not None}
    _patch(context.obj, push, changes, as_json=as_json)


@app.command()
def enable(context: typer.Context, push: PushId, *, as_json: Json = False) -> None:
    """启用。Begin to push."""
    _patch(context.obj, push, {"enabled": True}, as_json=as_json)


@app.command()
def disable(context: typer.Context, push: PushId, *, as_json: Json = False) -> None:
    """停用。Stop pushing, keep the target."""
    _patch(context.obj, push, {"enabled": False}, as_json=as_json)


@app.command()
def retry(context: typer.Context, push: PushId, *, as_json: Json = False) -> None:
    """立即重试。Try again now."""
    cli: Cli = context.obj
    path = f"pushes/{segment(push)}/retry"
    _card(cli, cli.ask(lambda api: api.post(path, None)), as_json=as_json)


@app.command()
def remove(context: typer.Context, push: PushId) -> None:
    """删除转推。Stop pushing and forget the target."""
    cli: Cli = context.obj
    cli.ask(lambda api: api.delete(f"pushes/{segment(push)}"))
    cli.out.print(cli.say("deleted", name=push))


def _patch(cli: Cli, push: str, body: dict[str, Any], *, as_json: bool) -> None:
    _card(cli, cli.ask(lambda api: api.patch(f"pushes/{segment(push)}", body)), as_json=as_json)


def _state(push: dict[str, Any], say: Say) -> Text:
    return Text(say(f"push_{push['state']}"), style=_STYLES.get(push["state"], "red"))


def _table(page: dict[str, Any], say: Say) -> RenderableType:
    columns = ("id", "channel", "push_target", "state", "since", "push_sent", "reason")
    table = make_table(say("pushes"), *(say(column) for column in columns))
    for push in page["items"]:
        table.add_row(
            push["push_id"],
            f"{push['device_id']}/{push['channel_id']}" + ("~1" if push["stream"] else ""),
            push["target"],
            _state(push, say),
            when(push["since"], say),
            f"{push['bytes'] / 1e6:.1f} MB",
            push["detail"],
        )
    return table


def _card(cli: Cli, push: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        cli.print_json(push)
        return
    say = cli.say
    rows: list[tuple[str, RenderableType]] = [
        (say("id"), push["push_id"]),
        (say("name"), push["name"]),
        (say("channel"), f"{push['device_id']}/{push['channel_id']}"),
        (say("push_target"), push["target"]),
        (say("push_for"), push["department"] or say("push_own")),
        (say("state"), _state(push, say)),
        (say("since"), when(push["since"], say)),
        (say("push_sent"), f"{push['bytes'] / 1e6:.1f} MB"),
    ]
    if push["detail"]:
        rows.append((say("reason"), f"{push['reason']}: {push['detail']}"))
        rows.append((say("push_tries"), str(push["tries"])))
    if push["next_try_at"]:
        rows.append((say("push_next"), when(push["next_try_at"], say, ago=False)))
    cli.out.print(make_facts(rows))
