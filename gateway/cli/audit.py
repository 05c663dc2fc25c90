"""`gateway audit`: search, export and tail of a running gateway; verification without one."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from gateway.cli import view_audit
from gateway.cli.api import Api
from gateway.cli.context import UNHEALTHY, USAGE, Cli
from gateway.cli.option import Json, Limit, Offset, moment_of, show_page
from gateway.http.schemas.audit import VerifyOut
from gateway.sharing.audit.checkpoint import Anchor, KeyRing
from gateway.sharing.audit.verify import verify as verify_files

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, help="审计: 查询, 导出, 离线验证。Search, export, offline verification."
)

INTERVAL = 1.0
"""Seconds between two looks of `tail`."""

Since = Annotated[str | None, typer.Option(help="ISO, or 2h, 7d ago. 起始时间")]
Until = Annotated[str | None, typer.Option(help="ISO, or 2h, 7d ago. 截止时间")]
Kind = Annotated[
    str | None, typer.Option(help="access, policy, grant, stop, platform, key, audit, end. 类型")
]
Subject = Annotated[str, typer.Option("--for", help="KIND:CODE, or the code alone. 主体")]
Action = Annotated[str, typer.Option(help="live, ptz, catalog, apply, ... 动作")]
Result = Annotated[str, typer.Option(help="allow, deny, or how it ended. 结果")]
Words = Annotated[str, typer.Option("--text", help="Anywhere in a record. 全文")]


@app.command()
def search(
    context: typer.Context,
    *,
    since: Since = None,
    until: Until = None,
    kind: Kind = None,
    subject: Subject = "",
    action: Action = "",
    result: Result = "",
    object_id: Annotated[str, typer.Option("--object", help="As it was asked for. 对象")] = "",
    channel: Annotated[str, typer.Option(help="通道编码")] = "",
    rule: Annotated[str, typer.Option(help="Deciding rule. 规则")] = "",
    words: Words = "",
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """查询记录, 最新的在前。Find records, newest first."""
    cli: Cli = context.obj
    page = cli.ask(
        lambda api: api.get(
            "audit",
            since=moment_of(cli, since, ago=True),
            until=moment_of(cli, until, ago=True),
            kind=kind,
            subject=subject,
            action=action,
            result=result,
            object_id=object_id,
            channel_id=channel,
            rule=rule,
            text=words,
            limit=limit,
            offset=offset,
        )
    )
    show_page(cli, page, view_audit.audit_table, "no_records", as_json=as_json)
    if as_json:
        return
    if page["more"]:
        cli.out.print(cli.say("more_records", offset=offset + limit), style="dim")
    if not page["complete"]:
        cli.out.print(cli.say("not_complete", time=page["back_to"]), style="yellow")


@app.command()
def tail(
    context: typer.Context,
    *,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=1000, help="行数")] = 20,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="持续显示")] = True,
    kind: Kind = None,
    subject: Subject = "",
    as_json: Json = False,
) -> None:
    """持续显示新的记录。Show the newest records and what comes after."""
    cli: Cli = context.obj

    async def work(api: Api) -> None:
        page = await api.get("audit", kind=kind, subject=subject, limit=max(lines, 1))
        newest = _print_rows(cli, page["items"][:lines] if lines else [], as_json=as_json)
        newest = max([newest, *(row["seq"] for row in page["items"])])
        while follow:
            await asyncio.sleep(INTERVAL)
            page = await api.get("audit", kind=kind, subject=subject, limit=1000, after=newest)
            newest = max(newest, _print_rows(cli, page["items"], as_json=as_json))

    cli.ask(work)


@app.command()
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Zip to write. 输出文件")],
    *,
    since: Since = None,
    until: Until = None,
) -> None:
    """导出一段时间的记录及其证明。Write the records of a period with all that proves them."""
    cli: Cli = context.obj
    data = cli.ask(
        lambda api: api.download(
            "audit/export",
            since=moment_of(cli, since, ago=True),
            until=moment_of(cli, until, ago=True),
        )
    )
    try:
        file.write_bytes(data)
    except OSError as exc:
        cli.fail(cli.say("not_written", path=file, why=exc.strerror))
    cli.out.print(cli.say("exported", size=len(data), path=file), style="green")


@app.command()
def status(context: typer.Context, *, as_json: Json = False) -> None:
    """审计的数字和最后签名。The audit in figures, with its last signed line."""
    cli: Cli = context.obj
    answer = cli.ask(lambda api: api.get("audit/status"))
    if as_json:
        cli.print_json(answer)
    else:
        cli.out.print(view_audit.status_view(answer, cli.say))
    if not answer["ok"]:
        raise typer.Exit(UNHEALTHY)


@app.command()
def verify(
    context: typer.Context,
    path: Annotated[
        Path | None,
        typer.Argument(help="Directory or export; default this gateway's. 审计目录或导出文件"),
    ] = None,
    *,
    expect: Annotated[
        str | None, typer.Option(help="SEQ:HASH of a line noted earlier. 另存的锚点")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="PEM file with the keys to trust. 可信公钥文件")
    ] = None,
    as_json: Json = False,
) -> None:
    """离线验证审计, 不需要运行的网关。Verify the audit; needs no running gateway."""
    cli: Cli = context.obj
    path = path or cli.settings().data_dir / "audit"
    if not path.exists():
        cli.fail(cli.say("no_audit", path=path), USAGE)
    try:
        anchor = Anchor.parse(expect) if expect else None
    except ValueError:
        cli.fail(cli.say("bad_anchor"), USAGE)
    keys = None
    if key is not None:
        try:
            keys = KeyRing.from_pem(key.read_bytes())
        except OSError as exc:
            cli.fail(cli.say("no_file", path=key, why=exc.strerror), USAGE)
        if not keys.keys:
            cli.fail(cli.say("no_file", path=key, why="PEM"), USAGE)
    report = VerifyOut.of(verify_files(path, keys=keys, expect=anchor)).model_dump(mode="json")
    if as_json:
        cli.print_json(report)
    else:
        cli.out.print(view_audit.report_view(report, cli.say))
    if not report["ok"] or (anchor is not None and not report["anchored"]):
        raise typer.Exit(UNHEALTHY)


def _print_rows(cli: Cli, rows: list[Any], *, as_json: bool) -> int:
    """Print records oldest first; return the highest number."""
    newest = 0
    for row in sorted(rows, key=lambda row: row["seq"]):
        newest = max(newest, row["seq"])
        if as_json:
            cli.print_json(row)
            continue
        cells = view_audit.audit_cells(row, cli.say)
        cli.out.print(Text("  ").join(cell for cell in cells if cell.plain), soft_wrap=True)
    return newest
