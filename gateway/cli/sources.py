"""`gateway sources`: RTSP and RTMP sources that become channels."""

from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from gateway.cli.api import Api, segment
from gateway.cli.context import UNHEALTHY, USAGE, Cli
from gateway.cli.option import Json, Limit, Offset, Search, show_page
from gateway.cli.text import Say
from gateway.cli.view import make_facts, make_table, when

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="外部视频源: 拉 RTSP/RTMP, 收无人机 RTMP 推流。RTSP and RTMP sources, pulled or pushed.",
)

Source = Annotated[str, typer.Argument(help="Channel code. 通道编码")]
Name = Annotated[str | None, typer.Option(help="名称")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any other setting of the API: civil_code, address, longitude, latitude, secrecy, manufacturer, model, "
        "owner. 其它设置",
        metavar="NAME=VALUE",
    ),
]
Udp = Annotated[
    bool | None, typer.Option("--udp/--tcp", help="RTP over UDP instead of TCP. 传输方式")
]
Insecure = Annotated[
    bool | None,
    typer.Option(
        "--insecure/--verify", help="By TLS take any certificate. 不验证证书", show_default=False
    ),
]
Always = Annotated[
    bool | None,
    typer.Option("--always/--on-demand", help="Fetch it while nobody watches. 始终拉流"),
]
User = Annotated[
    str | None, typer.Option(help="User at the source; its password is asked for. 用户名")
]

_STYLES = {"running": "green", "idle": "green", "connecting": "cyan", "failed": "red"}
_NUMBERS = {"longitude": float, "latitude": float, "secrecy": int}


@app.command("list")
def list_sources(
    context: typer.Context,
    *,
    search: Search = "",
    state: Annotated[str, typer.Option(help="running, failed, ... 状态")] = "",
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """列出外部视频源及其状态。List sources and how they are."""
    cli: Cli = context.obj
    page = cli.ask(
        lambda api: api.get("sources", q=search, state=state or None, limit=limit, offset=offset)
    )
    show_page(cli, page, _table, "no_match" if search or state else "no_sources", as_json=as_json)


@app.command()
def show(context: typer.Context, source: Source, *, as_json: Json = False) -> None:
    """显示一个外部视频源。Show one source."""
    cli: Cli = context.obj
    _card(cli, cli.ask(lambda api: api.get(f"sources/{segment(source)}")), as_json=as_json)


@app.command()
def add(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Argument(
            help="rtsp://HOST/PATH or rtmp://HOST/APP/NAME (rtsps, rtmps: by TLS). 源地址"
        ),
    ] = None,
    *,
    push: Annotated[
        bool, typer.Option("--push", help="Somebody publishes by RTMP. 等待推流")
    ] = False,
    name: Name = None,
    code: Annotated[
        str, typer.Option(help="20-digit channel code; without it one is made. 通道编码")
    ] = "",
    user: User = None,
    udp: Udp = None,
    insecure: Insecure = None,
    always: Always = None,
    settings: Settings = None,
    test: Annotated[
        bool, typer.Option("--test/--no-test", help="Try it at once. 添加后立即测试")
    ] = True,
    as_json: Json = False,
) -> None:
    """添加外部视频源。Make a source a channel."""
    cli: Cli = context.obj
    if push == (url is not None):
        cli.err.print(cli.say("source_url_or_push"))
        raise typer.Exit(USAGE)
    body: dict[str, Any] = _changes(cli, name, udp, insecure, always, settings) | {
        "source_id": code
    }
    if url is None:
        body["kind"] = "push_rtmp"
    else:
        body["url"] = _with_password(cli, url, user)
        body["kind"] = "pull_rtmp" if url.lower().startswith(("rtmp:", "rtmps:")) else "pull_rtsp"

    async def work(api: Api) -> tuple[Any, Any]:
        added = await api.post("sources", body)
        source_id = added["source"]["source_id"]
        if not test or push:
            return added, None
        return added, await api.post(f"sources/{segment(source_id)}/test", None)

    added, report = cli.ask(work)
    if as_json:
        cli.print_json({**added, "test": report})
        return
    source = added["source"]
    cli.out.print(cli.say("source_added", name=source["source_id"], device=source["device_id"]))
    if added["key"]:
        cli.out.print(_key_view(added, cli.say))
    if report is not None:
        _show_test(cli, report)


@app.command()
def change(
    context: typer.Context,
    source: Source,
    *,
    url: Annotated[str | None, typer.Option(help="源地址")] = None,
    user: User = None,
    name: Name = None,
    udp: Udp = None,
    insecure: Insecure = None,
    always: Always = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """修改外部视频源; 未给出的保持不变。Change a source; what is not given stays."""
    cli: Cli = context.obj
    body = _changes(cli, name, udp, insecure, always, settings)
    if url is not None:
        body["url"] = _with_password(cli, url, user)
    _patch(cli, source, body, as_json=as_json)


@app.command()
def enable(context: typer.Context, source: Source, *, as_json: Json = False) -> None:
    """启用。Take the source up again."""
    _patch(context.obj, source, {"enabled": True}, as_json=as_json)


@app.command()
def disable(context: typer.Context, source: Source, *, as_json: Json = False) -> None:
    """停用。Switch the source off, keep it."""
    _patch(context.obj, source, {"enabled": False}, as_json=as_json)


@app.command()
def key(context: typer.Context, source: Source, *, as_json: Json = False) -> None:
    """更换推流密钥, 旧密钥立即失效。Give a source a new stream key; the old one is worthless at once."""
    cli: Cli = context.obj
    issued = cli.ask(lambda api: api.post(f"sources/{segment(source)}/key", None))
    if as_json:
        cli.print_json(issued)
    else:
        cli.out.print(_key_view(issued, cli.say))


@app.command("test")
def try_source(context: typer.Context, source: Source, *, as_json: Json = False) -> None:
    """立即测试。Try a source now."""
    cli: Cli = context.obj
    report = cli.ask(lambda api: api.post(f"sources/{segment(source)}/test", None))
    if as_json:
        cli.print_json(report)
    else:
        _show_test(cli, report)
    if not report["ok"]:
        raise typer.Exit(UNHEALTHY)


@app.command()
def remove(context: typer.Context, source: Source) -> None:
    """删除外部视频源及其通道。Delete a source and its channel."""
    cli: Cli = context.obj
    cli.ask(lambda api: api.delete(f"sources/{segment(source)}"))
    cli.out.print(cli.say("deleted", name=source))


def _changes(
    cli: Cli,
    name: str | None,
    udp: bool | None,  # noqa: FBT001 - as given
    insecure: bool | None,  # noqa: FBT001
    always: bool | None,  # noqa: FBT001
    settings: list[str] | None,
) -> dict[str, Any]:
    transport = None if udp is None else ("udp" if udp else "tcp")
    verify = None if insecure is None else not insecure
    body: dict[str, Any] = {
        "name": name, "rtsp_transport": transport, "tls_verify": verify, "always": always
    }  # fmt: skip
    body = {field: value for field, value in body.items() if value is not None}
    for setting in settings or ():
        field, equals, value = setting.partition("=")
        try:
            body[field] = _NUMBERS.get(field, str)(value)
        except ValueError:
            equals = ""
        if not equals:
            cli.err.print(f"--set {setting}: NAME=VALUE")
            raise typer.Exit(USAGE)
    return body


def _with_password(cli: Cli, url: str, user: str | None) -> str:
    """Put user and password into a URL; asked for, so that the shell does not keep it."""
    if user is None:
        return url
    password = typer.prompt(cli.say("source_password_ask"), hide_input=True, err=True)
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"
    return parts._replace(netloc=netloc).geturl()


def _patch(cli: Cli, source: str, body: dict[str, Any], *, as_json: bool) -> None:
    changed = cli.ask(lambda api: api.patch(f"sources/{segment(source)}", body))
    _card(cli, changed, as_json=as_json)


def _state(source: dict[str, Any], say: Say) -> Text:
    state = source["state"]
    return Text(say(f"source_{state}"), style=_STYLES.get(state, "dim"))


def _table(page: dict[str, Any], say: Say) -> RenderableType:
    columns = ("id", "name", "source_kind", "url", "state", "since", "source_rate", "reason")
    table = make_table(say("sources"), *(say(column) for column in columns))
    for source in page["items"]:
        table.add_row(
            source["source_id"],
            source["name"],
            say(f"source_{source['kind']}"),
            source["url"] or source["publisher"] or "-",
            _state(source, say),
            when(source["since"], say),
            f"{source['bitrate_kbps']:.0f} kbit/s",
            source["detail"],
        )
    return table


def _card(cli: Cli, source: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        cli.print_json(source)
        return
    say = cli.say
    rows: list[tuple[str, RenderableType]] = [
        (say("id"), source["source_id"]),
        (say("name"), source["name"]),
        (say("source_kind"), say(f"source_{source['kind']}")),
        (say("state"), _state(source, say)),
        (say("since"), when(source["since"], say)),
        (say("source_rate"), f"{source['bitrate_kbps']:.0f} kbit/s"),
    ]
    if source["url"]:
        rows.append((say("url"), f"{source['url']} ({source['rtsp_transport']})"))
        rows.append((say("source_checked"), when(source["checked_at"], say)))
        rows.append((say("source_always"), say("source_yes" if source["always"] else "source_no")))
    if source["publish_url"]:
        rows.append((say("source_publish_to"), f"{source['publish_url']}?key=..."))
    if source["publisher"]:
        rows.append((say("source_publisher"), f"{source['publisher']}  {source['encoder']}"))
    if source["reason"]:
        rows.append((say("reason"), f"{source['reason']}: {source['detail']}"))
        rows.append((say("source_tries"), str(source["tries"])))
    cli.out.print(make_facts(rows))


def _key_view(issued: dict[str, Any], say: Say) -> RenderableType:
    lines: list[RenderableType] = [Text(say("source_key_once"), style="bold")]
    url = issued["publish_url"]
    if url is None:
        lines += (make_facts([(say("source_key"), issued["key"])]), Text(say("source_no_rtmp")))
        return Group(*lines)
    server, _, name = url.rpartition("/")
    lines.append(
        make_facts(
            [
                (say("source_key"), issued["key"]),
                (say("source_one_field"), url),
                (say("source_two_fields"), f"{server}  /  {name}"),
            ]
        )
    )
    return Group(*lines)


def _show_test(cli: Cli, report: dict[str, Any]) -> None:
    if report["ok"]:
        tracks = ", ".join(report["tracks"]) or report["detail"]
        cli.out.print(cli.say("source_test_ok", tracks=tracks, seconds=report["seconds"]))
    else:
        words = cli.say("source_test_bad", detail=report["detail"], code=report["code"])
        cli.out.print(Text(words, style="red"))
