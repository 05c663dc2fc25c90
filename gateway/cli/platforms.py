"""`gateway platforms`: upper and neighbouring platforms."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import view_platform
from gateway.cli.api import Api, ApiRefused, segment
from gateway.cli.context import UNHEALTHY, USAGE, Cli
from gateway.cli.option import Json, Limit, Offset, Search, show_page

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, help="上级平台: 注册, 目录, 状态。Upper platforms: links and catalogues."
)

Platform = Annotated[str, typer.Argument(help="Its 20-digit code. 平台编码")]
Name = Annotated[str | None, typer.Option(help="名称")]
Address = Annotated[
    list[str] | None,
    typer.Option(
        "--address", help="HOST:PORT; several are tried in order. 地址", metavar="HOST:PORT"
    ),
]
Transport = Annotated[str | None, typer.Option(help="UDP, TCP or TLS. 信令传输")]
Edition = Annotated[str | None, typer.Option(help="2011, 2016 or 2022. 标准版本")]
Password = Annotated[
    str | None,
    typer.Option(
        help="Digest password; - asks for it. 注册密码", envvar="GATEWAY_PLATFORM_PASSWORD"
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any other setting of the API: zone, charset, username, local_id, id_mode, tree, rtcp, "
        "expires, keepalive_interval, require_identity, catalog_push, max_sessions, enabled. 其它设置",
        metavar="NAME=VALUE",
    ),
]
File = Annotated[
    Path | None, typer.Option(help="All settings as JSON, as the API has them. 配置文件 (JSON)")
]


@app.command("list")
def list_platforms(
    context: typer.Context,
    *,
    search: Search = "",
    state: Annotated[str, typer.Option(help="online, waiting, ... 状态")] = "",
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """列出上级平台。List upper platforms and how their links are."""
    cli: Cli = context.obj
    page = cli.ask(
        lambda api: api.get("platforms", q=search, state=state, limit=limit, offset=offset)
    )
    empty = "no_match" if search or state else "no_platforms"
    show_page(cli, page, view_platform.platform_table, empty, as_json=as_json)


@app.command()
def show(context: typer.Context, platform: Platform, *, as_json: Json = False) -> None:
    """显示一个平台及其时间线。Show one platform with its timeline."""
    cli: Cli = context.obj

    async def work(api: Api) -> tuple[Any, Any]:
        path = f"platforms/{segment(platform)}"
        return await api.get(path), await api.get(f"{path}/timeline", limit=30)

    found, timeline = cli.ask(work)
    if as_json:
        cli.print_json({**found, "timeline": timeline["items"]})
    else:
        cli.out.print(view_platform.platform_card(found, timeline, cli.say))


@app.command()
def timeline(
    context: typer.Context, platform: Platform, *, limit: Limit = 100, as_json: Json = False
) -> None:
    """显示平台的时间线。Show what happened to a platform's link."""
    cli: Cli = context.obj
    page = cli.ask(lambda api: api.get(f"platforms/{segment(platform)}/timeline", limit=limit))
    show_page(cli, page, view_platform.timeline_table, "no_timeline", as_json=as_json)


@app.command()
def add(
    context: typer.Context,
    platform: Platform,
    *,
    name: Name = None,
    address: Address = None,
    transport: Transport = None,
    edition: Edition = None,
    password: Password = None,
    settings: Settings = None,
    file: File = None,
    test: Annotated[
        bool, typer.Option("--test/--no-test", help="Try to register first. 保存前先测试注册")
    ] = True,
    as_json: Json = False,
) -> None:
    """添加平台; 先测试注册。Add a platform, after a registration was tried."""
    cli: Cli = context.obj
    main = {"name": name, "transport": transport, "edition": edition, "password": password}
    body = _body(cli, file, settings, address, main)
    path = f"platforms/{segment(platform)}"

    async def work(api: Api) -> Any:  # noqa: ANN401 - JSON
        await _refuse_known(cli, api, platform)
        if test and body.get("enabled", True):
            report = await api.post(f"{path}/test", body)
            if not report["ok"]:
                cli.err.print(view_platform.trial_view(report, cli.say))
                raise typer.Exit(UNHEALTHY)
        return await api.put(path, body)

    _saved(cli, cli.ask(work), as_json=as_json)


@app.command()
def edit(
    context: typer.Context,
    platform: Platform,
    *,
    name: Name = None,
    address: Address = None,
    transport: Transport = None,
    edition: Edition = None,
    password: Password = None,
    settings: Settings = None,
    file: File = None,
    as_json: Json = False,
) -> None:
    """修改平台; 未给出的保持不变。Change a platform; what is not given stays."""
    cli: Cli = context.obj
    main = {"name": name, "transport": transport, "edition": edition, "password": password}
    body = _body(cli, file, settings, address, main)
    path = f"platforms/{segment(platform)}"
    _saved(cli, cli.ask(lambda api: api.patch(path, body)), as_json=as_json)


@app.command()
def remove(context: typer.Context, platform: Platform) -> None:
    """删除平台及其编码。Delete a platform and the codes it was given."""
    cli: Cli = context.obj
    cli.ask(lambda api: api.delete(f"platforms/{segment(platform)}"))
    cli.out.print(cli.say("deleted", name=platform))


@app.command("test")
def try_registration(context: typer.Context, platform: Platform, *, as_json: Json = False) -> None:
    """试注册并给出每一步的结果。Try to register and say what came at each step."""
    cli: Cli = context.obj
    report = cli.ask(lambda api: api.post(f"platforms/{segment(platform)}/test"))
    if as_json:
        cli.print_json(report)
    else:
        cli.out.print(view_platform.trial_view(report, cli.say))
    if not report["ok"]:
        raise typer.Exit(UNHEALTHY)


@app.command()
def reconnect(context: typer.Context, platform: Platform) -> None:
    """立即重新注册。Register anew now."""
    cli: Cli = context.obj
    cli.ask(lambda api: api.post(f"platforms/{segment(platform)}/reconnect"))
    cli.out.print(cli.say("done"))


@app.command()
def preview(
    context: typer.Context,
    platform: Platform,
    *,
    root: Annotated[str | None, typer.Option(help="Only below this. 仅此节点之下")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """预览将发送的目录。Show the catalogue the platform would get now."""
    cli: Cli = context.obj
    page = cli.ask(
        lambda api: api.get(
            f"platforms/{segment(platform)}/preview", root=root, limit=limit, offset=offset
        )
    )
    show_page(cli, page, view_platform.item_table, "empty_catalog", as_json=as_json)


@app.command()
def enable(context: typer.Context, platform: Platform) -> None:
    """启用平台。Enable a platform."""
    _switch(context.obj, platform, enabled=True)


@app.command()
def disable(context: typer.Context, platform: Platform) -> None:
    """停用平台。Disable a platform; its link ends."""
    _switch(context.obj, platform, enabled=False)


def _switch(cli: Cli, platform: str, *, enabled: bool) -> None:
    path = f"platforms/{segment(platform)}"
    _saved(cli, cli.ask(lambda api: api.patch(path, {"enabled": enabled})), as_json=False)


def _body(
    cli: Cli,
    file: Path | None,
    settings: list[str] | None,
    addresses: list[str] | None,
    main: dict[str, Any],
) -> dict[str, Any]:
    body = _from_file(cli, file) if file is not None else {}
    for item in settings or ():
        name, equals, value = item.partition("=")
        if not equals:
            cli.fail(cli.say("bad_setting", text=item), USAGE)
        body[name.strip()] = _value(name.strip(), value.strip())
    body |= {name: value for name, value in main.items() if value is not None}
    if body.get("password") == "-":
        body["password"] = typer.prompt(cli.say("password"), hide_input=True)
    if "transport" in body:
        body["transport"] = str(body["transport"]).upper()
    if addresses:
        body["addresses"] = [_address(cli, text) for text in addresses]
    return body


def _value(name: str, text: str) -> Any:  # noqa: ANN401 - JSON
    """Return a setting as JSON: codes and names stay text even if they are digits."""
    if name == "trusted_gateways":
        return [part.strip() for part in text.split(",") if part.strip()]
    if name in _TEXTS:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


_TEXTS = frozenset(
    {"name", "zone", "charset", "domain", "username", "local_id", "edition", "password", "tls_ca"}
)


def _from_file(cli: Cli, file: Path) -> dict[str, Any]:
    try:
        body = json.loads(file.read_text())
    except OSError as exc:
        cli.fail(cli.say("no_file", path=file, why=exc.strerror), USAGE)
    except ValueError as exc:
        cli.fail(cli.say("no_file", path=file, why=exc), USAGE)
    if not isinstance(body, dict):
        cli.fail(cli.say("no_file", path=file, why="{...}"), USAGE)
    return body


def _address(cli: Cli, text: str) -> dict[str, Any]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        cli.fail(cli.say("bad_address", text=text), USAGE)
    return {"host": host.strip("[]"), "port": int(port)}


async def _refuse_known(cli: Cli, api: Api, platform: str) -> None:
    try:
        await api.get(f"platforms/{segment(platform)}")
    except ApiRefused as exc:
        if exc.code == "platform_unknown":
            return
        raise
    cli.fail(cli.say("platform_exists", name=platform))


def _saved(cli: Cli, answer: Any, *, as_json: bool) -> None:  # noqa: ANN401 - JSON
    if as_json:
        cli.print_json(answer)
    else:
        cli.out.print(cli.say("saved", name=answer["platform_id"]), style="green")
