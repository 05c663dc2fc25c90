"""`gateway policy`: the sharing policy, its versions and its dry run."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from gateway.cli import view_policy
from gateway.cli.context import UNHEALTHY, USAGE, Cli
from gateway.cli.option import (
    At,
    Json,
    Limit,
    Offset,
    Purpose,
    Ticket,
    Who,
    Zone,
    moment_of,
    show_page,
    who_of,
)
from gateway.sharing.policy.error import PolicyError
from gateway.sharing.policy.load import load_policy

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, help="共享策略: 版本, 比较, 试算。The sharing policy, versions, dry runs."
)

File = Annotated[Path, typer.Argument(help="Policy file. 策略文件")]
Version = Annotated[int | None, typer.Option(help="Under this version. 按此版本")]
Under = Annotated[
    Path | None, typer.Option("--file", help="Under this file, which is not applied. 按此文件试算")
]
Action = Annotated[
    str, typer.Option(help="catalog, live, playback, download, ptz, alarm, ... 动作")
]


@app.command()
def show(
    context: typer.Context,
    *,
    text: Annotated[bool, typer.Option("--text", help="Print the file. 输出策略文本")] = False,
    version: Version = None,
    as_json: Json = False,
) -> None:
    """显示生效的策略。Show what is in force."""
    cli: Cli = context.obj
    if text or version is not None:
        answer = cli.ask(lambda api: api.get("policy/text", version=version))
        if as_json:
            cli.print_json(answer)
        else:
            sys.stdout.write(answer["text"])
        return
    answer = cli.ask(lambda api: api.get("policy"))
    if as_json:
        cli.print_json(answer)
    else:
        cli.out.print(view_policy.policy_view(answer, cli.say))


@app.command()
def versions(context: typer.Context, *, as_json: Json = False) -> None:
    """列出保存的版本。List the versions kept."""
    cli: Cli = context.obj
    page = cli.ask(lambda api: api.get("policy/versions"))
    show_page(cli, page, view_policy.version_table, "no_versions", as_json=as_json)


@app.command()
def validate(context: typer.Context, file: File, *, as_json: Json = False) -> None:
    """检查策略文件, 不需要运行的网关。Look for mistakes in a policy file; needs no running gateway."""
    cli: Cli = context.obj
    raw = _read(cli, file)
    try:
        policy = load_policy(raw, source=str(file))
    except PolicyError as exc:
        if as_json:
            cli.print_json({"ok": False, "problems": list(exc.sentences)})
        else:
            cli.err.print(cli.say("policy_bad", count=len(exc.sentences)), style="red")
            for sentence in exc.sentences:
                cli.err.print(f"  {sentence}", soft_wrap=True)
        raise typer.Exit(UNHEALTHY) from None
    remarks = [item.sentence(str(file)) for item in policy.remarks]
    if as_json:
        cli.print_json({"ok": True, "rules": len(policy.rules), "remarks": remarks})
        return
    cli.out.print(cli.say("policy_ok", rules=len(policy.rules)), style="green")
    for remark in remarks:
        cli.out.print(remark, style="yellow", soft_wrap=True)


app.command("check", hidden=True)(validate)


@app.command()
def apply(
    context: typer.Context,
    file: File,
    *,
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why. 说明")] = "",
    expected: Annotated[
        int | None, typer.Option(help="Only if this version is in force. 仅当此版本生效时")
    ] = None,
    as_json: Json = False,
) -> None:
    """应用策略: 全部采用, 或指出错误而不采用。Put a policy file into force, all of it or nothing."""
    cli: Cli = context.obj
    body: dict[str, Any] = {"text": _text(cli, file), "comment": comment, "source": str(file)[:200]}
    if expected is not None:
        body["expected"] = expected
    _applied(cli, cli.ask(lambda api: api.put("policy", body)), as_json=as_json)


@app.command()
def activate(
    context: typer.Context,
    version: Annotated[int, typer.Argument(help="版本")],
    *,
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why. 说明")] = "",
    as_json: Json = False,
) -> None:
    """重新启用旧版本。Put an older version into force again."""
    cli: Cli = context.obj
    body = {"version": version, "comment": comment}
    _applied(cli, cli.ask(lambda api: api.post("policy/activate", body)), as_json=as_json)


@app.command()
def diff(
    context: typer.Context,
    before: Annotated[int | None, typer.Argument(help="Version; 0 is empty. 旧版本")] = None,
    after: Annotated[int | None, typer.Argument(help="Version; default in force. 新版本")] = None,
    *,
    as_json: Json = False,
) -> None:
    """比较两个版本; 缺省为上一版与生效版。Compare two versions; by default the last with the one before."""
    cli: Cli = context.obj
    if before is None:
        page = cli.ask(lambda api: api.get("policy/versions"))
        numbers = [item["number"] for item in page["items"]]
        active = next((item["number"] for item in page["items"] if item["active"]), 0)
        before = next((number for number in numbers if number < active), 0)
    answer = cli.ask(lambda api: api.get("policy/diff", before=before, after=after))
    if as_json:
        cli.print_json(answer)
    else:
        cli.out.print(view_policy.diff_view(answer, cli.say))


@app.command("would-see")
def would_see(
    context: typer.Context,
    *,
    who: Who,
    action: Action = "catalog",
    denied: Annotated[
        bool, typer.Option("--denied", help="List refused ones too. 也列出不可见的")
    ] = False,
    zone: Zone = "",
    purpose: Purpose = "",
    ticket: Ticket = "",
    at: At = None,
    version: Version = None,
    file: Under = None,
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """某主体能看到什么。What somebody would see, under this or another policy."""
    cli: Cli = context.obj
    body = {
        "subject": who_of(cli, who),
        "action": action,
        "denied": denied,
        "limit": limit,
        "offset": offset,
        **_circumstances(cli, zone, purpose, ticket, at),
        **_policy(cli, version, file),
    }
    answer = cli.ask(lambda api: api.post("policy/would-see", body))
    if as_json:
        cli.print_json(answer)
        return
    words = cli.say("would_see", who=who, allowed=answer["allowed"], denied=answer["denied"])
    cli.out.print(words, style="bold")
    cli.out.print(view_policy.sight_table(answer, cli.say))


@app.command()
def explain(
    context: typer.Context,
    device: Annotated[str, typer.Argument(help="Device, or the channel alone. 设备或通道编码")],
    channel: Annotated[str | None, typer.Argument(help="通道编码")] = None,
    *,
    who: Who,
    action: Action = "live",
    zone: Zone = "",
    purpose: Purpose = "",
    ticket: Ticket = "",
    at: At = None,
    version: Version = None,
    file: Under = None,
    as_json: Json = False,
) -> None:
    """为什么允许或拒绝: 逐条规则。Why something is allowed or refused: every rule and what it says."""
    cli: Cli = context.obj
    body = {
        "subject": who_of(cli, who),
        "action": action,
        "device_id": device if channel else "",
        "channel_id": channel or device,
        **_circumstances(cli, zone, purpose, ticket, at),
        **_policy(cli, version, file),
    }
    answer = cli.ask(lambda api: api.post("policy/explain", body))
    if as_json:
        cli.print_json(answer)
    else:
        cli.out.print(view_policy.explanation_view(answer, cli.say))


@app.command()
def changes(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="Policy file to compare with what is in force. 策略文件")
    ] = None,
    *,
    before: Annotated[int | None, typer.Option(help="Version; default in force. 旧版本")] = None,
    after: Annotated[int | None, typer.Option(help="Version; default in force. 新版本")] = None,
    who: Annotated[
        list[str] | None,
        typer.Option("--for", help="Only for these; default all known. 主体", metavar="KIND:CODE"),
    ] = None,
    action: Annotated[list[str] | None, typer.Option(help="Only these. 动作")] = None,
    zone: Zone = "",
    at: At = None,
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """两个策略之间哪些通道对谁变化。Which channels change for whom between two policies."""
    cli: Cli = context.obj
    body: dict[str, Any] = {
        "before": before,
        "after": after,
        "subjects": [who_of(cli, item) for item in who or ()],
        "actions": action or [],
        "limit": limit,
        "offset": offset,
        **_circumstances(cli, zone, "", "", at),
    }
    if file is not None:
        body["text"] = _text(cli, file)
    answer = cli.ask(lambda api: api.post("policy/changes", body))
    show_page(cli, answer, view_policy.change_table, "nothing_changes", as_json=as_json)


def _circumstances(
    cli: Cli, zone: str, purpose: str, ticket: str, at: str | None
) -> dict[str, Any]:
    # Without a zone the gateway takes the one configured for the subject.
    return {"zone": zone or None, "purpose": purpose, "ticket": ticket, "at": moment_of(cli, at)}


def _policy(cli: Cli, version: int | None, file: Path | None) -> dict[str, Any]:
    if file is not None:
        return {"text": _text(cli, file)}
    return {} if version is None else {"version": version}


def _applied(cli: Cli, answer: Any, *, as_json: bool) -> None:  # noqa: ANN401 - JSON
    if as_json:
        cli.print_json(answer)
    else:
        cli.out.print(Text(cli.say("applied", number=answer["number"]), style="green"))


def _text(cli: Cli, file: Path) -> str:
    try:
        return _read(cli, file).decode()
    except UnicodeDecodeError as exc:
        cli.fail(cli.say("no_file", path=file, why=f"UTF-8: {exc.reason}"), USAGE)


def _read(cli: Cli, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        cli.fail(cli.say("no_file", path=file, why=exc.strerror), USAGE)
