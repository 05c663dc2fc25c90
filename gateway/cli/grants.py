"""`gateway grants`: applications, emergencies and forced stops."""

from typing import Annotated, Any

import typer

from gateway.cli import view_sharing
from gateway.cli.api import segment
from gateway.cli.context import USAGE, Cli
from gateway.cli.option import (
    Json,
    Limit,
    Objects,
    Offset,
    Ticket,
    Who,
    clause_of,
    moment_of,
    objects_of,
    show_page,
)

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="授权: 申请, 批准, 应急, 强制停止。Applications, answers, emergencies, forced stops.",
)

GrantId = Annotated[str, typer.Argument(help="授权标识")]
Actions = Annotated[list[str], typer.Option("--action", "-a", help="catalog, live, ptz, ... 动作")]
Why = Annotated[str, typer.Option("--purpose", help="What it is for. 事由")]
Remark = Annotated[str, typer.Option("--remark", "-m", help="Why. 说明")]
SubStream = Annotated[bool, typer.Option("--sub-stream", help="Sub stream only. 仅子码流")]
Notify = Annotated[bool, typer.Option("--notify-owner", help="Tell the owner. 通知所有者")]


@app.command("list")
def list_grants(
    context: typer.Context,
    *,
    state: Annotated[str | None, typer.Option(help="applied, active, ... 状态")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="逾期未答复的")] = False,
    emergency: Annotated[
        bool | None, typer.Option("--emergency/--no-emergency", help="应急授权")
    ] = None,
    unreviewed: Annotated[bool, typer.Option("--unreviewed", help="未复核的应急授权")] = False,
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """列出授权和申请。List grants and applications."""
    cli: Cli = context.obj
    page = cli.ask(
        lambda api: api.get(
            "grants",
            state=state,
            overdue=overdue or None,
            emergency=True if unreviewed else emergency,
            reviewed=False if unreviewed else None,
            limit=limit,
            offset=offset,
        )
    )
    show_page(cli, page, view_sharing.grant_table, "no_grants", as_json=as_json)


@app.command()
def show(context: typer.Context, grant: GrantId, *, as_json: Json = False) -> None:
    """显示一个授权。Show one grant."""
    cli: Cli = context.obj
    _card(cli, cli.ask(lambda api: api.get(f"grants/{segment(grant)}")), as_json=as_json)


@app.command()
def apply(
    context: typer.Context,
    *,
    who: Who,
    action: Actions,
    purpose: Why,
    until: Annotated[str, typer.Option(help="ISO, or +30d. 截止时间")],
    since: Annotated[str | None, typer.Option("--from", help="ISO, or +1d. 开始时间")] = None,
    objects: Objects = None,
    ticket: Ticket = "",
    as_json: Json = False,
) -> None:
    """申请授权。Apply for access."""
    cli: Cli = context.obj
    body = {
        "subject": clause_of(cli, who),
        "objects": objects_of(cli, objects),
        "actions": action,
        "purpose": purpose,
        "ticket": ticket,
        "until": moment_of(cli, until),
        "valid_from": moment_of(cli, since),
    }
    _card(cli, cli.ask(lambda api: api.post("grants", body)), as_json=as_json)


@app.command()
def approve(
    context: typer.Context,
    grant: GrantId,
    *,
    until: Annotated[str | None, typer.Option(help="Earlier end. 截止时间")] = None,
    action: Annotated[list[str] | None, typer.Option("--action", "-a", help="Less. 动作")] = None,
    objects: Objects = None,
    sub_stream: SubStream = False,
    notify_owner: Notify = False,
    remark: Remark = "",
    as_json: Json = False,
) -> None:
    """批准申请, 可少于所求。Approve an application, as asked or for less."""
    cli: Cli = context.obj
    body: dict[str, Any] = {
        "until": moment_of(cli, until),
        "actions": action or None,
        "objects": objects_of(cli, objects),
        "obligations": {"sub_stream": sub_stream, "notify_owner": notify_owner},
        "remark": remark,
    }
    _card(cli, _post(cli, grant, "approve", body), as_json=as_json)


@app.command()
def refuse(
    context: typer.Context, grant: GrantId, *, remark: Remark = "", as_json: Json = False
) -> None:
    """拒绝申请。Refuse an application."""
    cli: Cli = context.obj
    _card(cli, _post(cli, grant, "refuse", {"remark": remark}), as_json=as_json)


@app.command()
def revoke(
    context: typer.Context, grant: GrantId, *, remark: Remark = "", as_json: Json = False
) -> None:
    """收回授权, 正在播放的立即结束。End a grant at once, streams included."""
    cli: Cli = context.obj
    _card(cli, _post(cli, grant, "revoke", {"remark": remark}), as_json=as_json)


@app.command()
def withdraw(context: typer.Context, grant: GrantId, *, as_json: Json = False) -> None:
    """撤回申请。Take an application back."""
    cli: Cli = context.obj
    _card(cli, _post(cli, grant, "withdraw", None), as_json=as_json)


@app.command()
def review(
    context: typer.Context, grant: GrantId, *, remark: Remark = "", as_json: Json = False
) -> None:
    """复核应急授权。Note that an emergency grant was looked at."""
    cli: Cli = context.obj
    _card(cli, _post(cli, grant, "review", {"remark": remark}), as_json=as_json)


@app.command()
def emergency(
    context: typer.Context,
    *,
    who: Who,
    action: Actions,
    purpose: Why,
    minutes: Annotated[int, typer.Option(min=1, help="分钟")],
    objects: Objects = None,
    ticket: Ticket = "",
    sub_stream: SubStream = False,
    notify_owner: Notify = False,
    as_json: Json = False,
) -> None:
    """应急授权, 限时, 事后复核。Grant at once, for minutes; to be reviewed afterwards."""
    cli: Cli = context.obj
    body = {
        "subject": clause_of(cli, who),
        "objects": objects_of(cli, objects),
        "actions": action,
        "purpose": purpose,
        "ticket": ticket,
        "minutes": minutes,
        "obligations": {"sub_stream": sub_stream, "notify_owner": notify_owner},
    }
    _card(cli, cli.ask(lambda api: api.post("emergency-grants", body)), as_json=as_json)


@app.command()
def stops(
    context: typer.Context,
    *,
    lifted: Annotated[bool, typer.Option("--all", help="Lifted ones too. 包括已解除的")] = False,
    limit: Limit = 100,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """列出强制停止。List forced stops."""
    cli: Cli = context.obj
    page = cli.ask(lambda api: api.get("stops", lifted=lifted, limit=limit, offset=offset))
    show_page(cli, page, view_sharing.stop_table, "no_stops", as_json=as_json)


@app.command()
def stop(
    context: typer.Context,
    *,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why. 原因")],
    who: Annotated[
        str | None,
        typer.Option("--for", help="Whom; default everybody outside. 主体", metavar="KIND:CODE"),
    ] = None,
    objects: Objects = None,
    everything: Annotated[bool, typer.Option("--everything", help="全部")] = False,
    as_json: Json = False,
) -> None:
    """强制停止: 立即结束播放并收回目录。Stop at once: streams end, catalogues lose the channels."""
    cli: Cli = context.obj
    if who is None and not objects and not everything:
        cli.fail(cli.say("say_what"), USAGE)
    body = {
        "subject": None if who is None else clause_of(cli, who),
        "objects": objects_of(cli, objects),
        "everything": everything,
        "reason": reason,
    }
    answer = cli.ask(lambda api: api.post("stops", body))
    if as_json:
        cli.print_json(answer)
        return
    words = cli.say("ordered", name=answer["stop_id"], count=answer["ended"])
    cli.out.print(words, style="bold red")


@app.command()
def lift(
    context: typer.Context,
    stop_id: Annotated[str, typer.Argument(metavar="STOP", help="强制停止标识")],
    *,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why. 原因")] = "",
    as_json: Json = False,
) -> None:
    """解除强制停止。Lift a forced stop."""
    cli: Cli = context.obj
    answer = cli.ask(lambda api: api.post(f"stops/{segment(stop_id)}/lift", {"reason": reason}))
    if as_json:
        cli.print_json(answer)
    else:
        cli.out.print(f"{cli.say('lifted')} {stop_id}", style="green")


def _post(cli: Cli, grant: str, word: str, body: dict[str, Any] | None) -> Any:  # noqa: ANN401 - JSON
    return cli.ask(lambda api: api.post(f"grants/{segment(grant)}/{word}", body))


def _card(cli: Cli, grant: Any, *, as_json: bool) -> None:  # noqa: ANN401 - JSON
    if as_json:
        cli.print_json(grant)
    else:
        cli.out.print(view_sharing.grant_card(grant, cli.say))
