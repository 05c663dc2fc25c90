"""`gateway share`: what platforms are shown, departments with their keys, and who watches what."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import view_platform, view_sharing
from gateway.cli.api import segment
from gateway.cli.context import USAGE, Cli
from gateway.cli.option import Json, Limit, Offset, Search, moment_of, show_page
from gateway.cli.platforms import preview

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="共享: 目录结构, 编码, 部门, 密钥, 正在访问。Trees, codes, departments, keys, who watches.",
)
app.command("preview")(preview)

Platform = Annotated[str, typer.Argument(help="Its 20-digit code. 平台编码")]
KeyId = Annotated[str, typer.Argument(help="Key. 密钥标识")]
Department = Annotated[str, typer.Argument(help="Code of the department. 部门编码")]
Of = Annotated[str | None, typer.Option("--department", help="Only this one's. 部门编码")]
Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        help="catalog, live, playback, download, ptz, config, alarm, grants, audit.own, webhooks. 权限范围",
    ),
]
Rate = Annotated[int | None, typer.Option(help="Requests a minute. 每分钟请求数")]
Streams = Annotated[int | None, typer.Option(help="Streams at once. 并发路数")]
Expires = Annotated[str | None, typer.Option(help="Until: ISO, or +90d. 有效期至")]
ZoneOption = Annotated[str | None, typer.Option("--zone", help="Network zone. 网络区域")]


@app.command()
def tree(
    context: typer.Context,
    platform: Platform,
    *,
    file: Annotated[
        Path | None, typer.Option(help="Put this tree (JSON) in its place. 新的目录结构 (JSON)")
    ] = None,
    as_json: Json = False,
) -> None:
    """显示或设置目录结构。Show or set how the catalogue sent up is arranged."""
    cli: Cli = context.obj
    path = f"platforms/{segment(platform)}/tree"
    if file is None:
        answer = cli.ask(lambda api: api.get(path))
    else:
        body = _from_file(cli, file)
        answer = cli.ask(lambda api: api.put(path, body))
    if as_json:
        cli.print_json(answer)
    else:
        cli.out.print(view_platform.tree_table(answer, cli.say))


@app.command()
def codes(
    context: typer.Context,
    platform: Platform,
    *,
    search: Search = "",
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """列出平台所见的编码。List under which codes a platform knows our items."""
    cli: Cli = context.obj
    path = f"platforms/{segment(platform)}/codes"
    page = cli.ask(lambda api: api.get(path, q=search, limit=limit, offset=offset))
    empty = "no_match" if search else "no_codes"
    show_page(cli, page, view_platform.code_table, empty, as_json=as_json)


@app.command()
def departments(context: typer.Context, *, as_json: Json = False) -> None:
    """列出部门。List departments."""
    cli: Cli = context.obj
    page = cli.ask(lambda api: api.get("departments"))
    show_page(cli, page, view_sharing.department_table, "no_departments", as_json=as_json)


@app.command()
def department(
    context: typer.Context,
    code: Department,
    *,
    name: Annotated[str, typer.Option(help="名称")],
    zone: Annotated[str, typer.Option(help="Network zone of its keys. 网络区域")] = "",
    contact: Annotated[str, typer.Option(help="Whom to call. 联系人")] = "",
    as_json: Json = False,
) -> None:
    """添加或修改部门。Add a department or change one."""
    cli: Cli = context.obj
    body = {"name": name, "zone": zone, "contact": contact}
    answer = cli.ask(lambda api: api.put(f"departments/{segment(code)}", body))
    _answer(cli, answer, cli.say("saved", name=code), as_json=as_json)


@app.command("department-remove")
def department_remove(context: typer.Context, code: Department) -> None:
    """删除没有密钥和回调的部门。Delete a department without keys and webhooks."""
    cli: Cli = context.obj
    cli.ask(lambda api: api.delete(f"departments/{segment(code)}"))
    cli.out.print(cli.say("deleted", name=code))


@app.command()
def keys(context: typer.Context, *, department: Of = None, as_json: Json = False) -> None:
    """列出 API 密钥。List API keys."""
    cli: Cli = context.obj
    page = cli.ask(lambda api: api.get("keys", department=department))
    show_page(cli, page, view_sharing.key_table, "no_keys", as_json=as_json)


@app.command("key-add")
def key_add(
    context: typer.Context,
    *,
    department: Annotated[str, typer.Option(help="Owner. 部门编码")] = "",
    role: Annotated[
        str | None, typer.Option(help="operator or viewer, for one of our own people. 角色")
    ] = None,
    name: Annotated[str, typer.Option(help="For people; the user's name with --role. 名称")] = "",
    scope: Scopes = None,
    zone: ZoneOption = None,
    rate: Rate = None,
    streams: Streams = None,
    expires: Expires = None,
    as_json: Json = False,
) -> None:
    """添加密钥; 密文只显示一次。Make a key; its secret is shown this once."""
    cli: Cli = context.obj
    body = {
        "department": department,
        "role": role,
        "name": name,
        "scopes": scope or [],
        **_settings(cli, zone, rate, streams, expires),
    }
    _issued(cli, cli.ask(lambda api: api.post("keys", body)), as_json=as_json)


@app.command("key-edit")
def key_edit(
    context: typer.Context,
    key: KeyId,
    *,
    name: Annotated[str | None, typer.Option(help="名称")] = None,
    scope: Scopes = None,
    zone: ZoneOption = None,
    rate: Rate = None,
    streams: Streams = None,
    expires: Expires = None,
    disabled: Annotated[bool | None, typer.Option("--disable/--enable", help="停用/启用")] = None,
    as_json: Json = False,
) -> None:
    """修改或停用密钥。Change a key, or disable it."""
    cli: Cli = context.obj
    body: dict[str, Any] = _settings(cli, zone, rate, streams, expires)
    body |= {} if name is None else {"name": name}
    body |= {"scopes": scope} if scope else {}
    body |= {} if disabled is None else {"disabled": disabled}
    answer = cli.ask(lambda api: api.patch(f"keys/{segment(key)}", body))
    _answer(cli, answer, cli.say("saved", name=key), as_json=as_json)


@app.command("key-rotate")
def key_rotate(context: typer.Context, key: KeyId, *, as_json: Json = False) -> None:
    """更换密文; 旧的立即失效。Give a key a new secret; the old one is worthless at once."""
    cli: Cli = context.obj
    _issued(cli, cli.ask(lambda api: api.post(f"keys/{segment(key)}/rotate")), as_json=as_json)


@app.command("key-remove")
def key_remove(context: typer.Context, key: KeyId) -> None:
    """删除密钥。Delete a key; what it has open ends."""
    cli: Cli = context.obj
    cli.ask(lambda api: api.delete(f"keys/{segment(key)}"))
    cli.out.print(cli.say("deleted", name=key))


@app.command()
def webhooks(context: typer.Context, *, department: Of = None, as_json: Json = False) -> None:
    """列出回调。List webhooks and how their deliveries go."""
    cli: Cli = context.obj
    page = cli.ask(lambda api: api.get("webhooks", department=department))
    show_page(cli, page, view_sharing.webhook_table, "no_webhooks", as_json=as_json)


@app.command("webhook-add")
def webhook_add(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="http or https. 接收地址")],
    *,
    department: Annotated[str, typer.Option(help="Owner. 部门编码")],
    event: Annotated[
        list[str] | None, typer.Option(help="on, off, added, removed, accessed. 事件")
    ] = None,
    as_json: Json = False,
) -> None:
    """添加回调; 密文只显示一次。Add a webhook; its secret is shown this once."""
    cli: Cli = context.obj
    body: dict[str, Any] = {"department": department, "url": url}
    if event:
        body["events"] = event
    answer = cli.ask(lambda api: api.post("webhooks", body))
    if as_json:
        cli.print_json(answer)
        return
    cli.out.print(cli.say("saved", name=answer["webhook"]["hook_id"]), style="green")
    cli.out.print(cli.say("key_once"), style="yellow")
    cli.out.print(answer["secret"], soft_wrap=True)


@app.command("webhook-edit")
def webhook_edit(
    context: typer.Context,
    hook: Annotated[str, typer.Argument(help="Webhook. 回调标识")],
    *,
    url: Annotated[str | None, typer.Option(help="http or https. 接收地址")] = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="启用/停用")] = None,
    as_json: Json = False,
) -> None:
    """修改、启用或停用回调。Change a webhook, take it up again, or disable it."""
    cli: Cli = context.obj
    body = {
        name: value for name, value in (("url", url), ("enabled", enabled)) if value is not None
    }
    answer = cli.ask(lambda api: api.patch(f"webhooks/{segment(hook)}", body))
    _answer(cli, answer, cli.say("saved", name=hook), as_json=as_json)


@app.command("webhook-remove")
def webhook_remove(
    context: typer.Context, hook: Annotated[str, typer.Argument(help="Webhook. 回调标识")]
) -> None:
    """删除回调。Delete a webhook."""
    cli: Cli = context.obj
    cli.ask(lambda api: api.delete(f"webhooks/{segment(hook)}"))
    cli.out.print(cli.say("deleted", name=hook))


@app.command("webhook-test")
def webhook_test(
    context: typer.Context, hook: Annotated[str, typer.Argument(help="Webhook. 回调标识")]
) -> None:
    """发送测试事件。Send a test event."""
    cli: Cli = context.obj
    cli.ask(lambda api: api.post(f"webhooks/{segment(hook)}/test"))
    cli.out.print(cli.say("done"))


@app.command()
def watching(
    context: typer.Context,
    *,
    subject: Annotated[str, typer.Option("--for", help="Only this one's. 主体")] = "",
    device: Annotated[str | None, typer.Option(help="设备编码")] = None,
    channel: Annotated[str | None, typer.Option(help="通道编码")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """当前谁在访问什么。Who watches what now."""
    cli: Cli = context.obj
    page = cli.ask(
        lambda api: api.get(
            "accesses",
            subject=subject,
            device_id=device,
            channel_id=channel,
            limit=limit,
            offset=offset,
        )
    )
    show_page(cli, page, view_sharing.access_table, "nobody_watches", as_json=as_json)


@app.command()
def end(
    context: typer.Context,
    access: Annotated[str, typer.Argument(help="From `share watching`. 访问标识")],
    *,
    as_json: Json = False,
) -> None:
    """结束一个访问。End one access; it may be asked for again."""
    cli: Cli = context.obj
    answer = cli.ask(lambda api: api.delete(f"accesses/{segment(access)}"))
    _answer(cli, answer, cli.say("ended", name=access), as_json=as_json)


@app.command()
def bridges(
    context: typer.Context,
    *,
    platform: Annotated[str | None, typer.Option(help="Only this one's. 平台编码")] = None,
    state: Annotated[str | None, typer.Option(help="running, ended or failed. 状态")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """送往上级平台的流。Streams given to upper platforms, running ones first."""
    cli: Cli = context.obj
    page = cli.ask(
        lambda api: api.get(
            "bridges", platform_id=platform, state=state, limit=limit, offset=offset
        )
    )
    empty = "no_match" if platform or state else "no_bridges"
    show_page(cli, page, view_platform.bridge_table, empty, as_json=as_json)


@app.command()
def usage(context: typer.Context, *, as_json: Json = False) -> None:
    """各平台和部门的用量。How much each platform and department uses."""
    cli: Cli = context.obj
    page = cli.ask(lambda api: api.get("usage"))
    show_page(cli, page, view_sharing.usage_table, "no_usage", as_json=as_json)


def _settings(
    cli: Cli, zone: str | None, rate: int | None, streams: int | None, expires: str | None
) -> dict[str, Any]:
    found = {
        "zone": zone,
        "requests_per_minute": rate,
        "max_streams": streams,
        "expires_at": moment_of(cli, expires),
    }
    return {name: value for name, value in found.items() if value is not None}


def _issued(cli: Cli, answer: Any, *, as_json: bool) -> None:  # noqa: ANN401 - JSON
    if as_json:
        cli.print_json(answer)
        return
    cli.out.print(cli.say("saved", name=answer["key"]["key_id"]), style="green")
    cli.out.print(cli.say("key_once"), style="yellow")
    for name in ("secret", "bearer"):
        cli.out.print(f"{name:<7} {answer[name]}", soft_wrap=True)


def _answer(cli: Cli, answer: Any, sentence: str, *, as_json: bool) -> None:  # noqa: ANN401 - JSON
    if as_json:
        cli.print_json(answer)
    else:
        cli.out.print(sentence, style="green")


def _from_file(cli: Cli, file: Path) -> dict[str, Any]:
    try:
        body = json.loads(file.read_text())
    except (OSError, ValueError) as exc:
        cli.fail(cli.say("no_file", path=file, why=exc), USAGE)
    if not isinstance(body, dict):
        cli.fail(cli.say("no_file", path=file, why="{...}"), USAGE)
    return body
