"""`gateway users`: accounts of people, and where they are logged in."""

import sys
from typing import Annotated, Any

import typer

from gateway.cli import view_users
from gateway.cli.api import segment
from gateway.cli.context import USAGE, Cli
from gateway.cli.option import Json, show_page

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="用户与登录会话。Users and their sessions.")

Name = Annotated[str, typer.Argument(help="用户名")]
Stdin = Annotated[
    bool,
    typer.Option(
        "--password-stdin", help="Read the password from standard input. 从标准输入读密码"
    ),
]
Role = Annotated[str | None, typer.Option(help="viewer, operator or admin. 角色")]
Department = Annotated[
    str | None, typer.Option(help="One of its people, an outsider. 所属部门编码")
]
FullName = Annotated[str | None, typer.Option("--full-name", help="姓名")]
Zone = Annotated[str | None, typer.Option(help="Network zone. 网络区域")]
Streams = Annotated[int | None, typer.Option(help="Streams at once. 并发路数")]
MustChange = Annotated[
    bool | None,
    typer.Option(
        "--must-change/--no-must-change",
        help="Whether the next login begins with another password. 下次登录须改密码",
    ),
]


@app.command("list")
def list_users(context: typer.Context, *, as_json: Json = False) -> None:
    """列出用户。List users."""
    cli: Cli = context.obj
    page = cli.ask(lambda api: api.get("users"))
    show_page(cli, page, view_users.user_table, "no_users", as_json=as_json)


@app.command()
def add(
    context: typer.Context,
    name: Name,
    *,
    role: Role = None,
    department: Department = None,
    full_name: FullName = None,
    zone: Zone = None,
    streams: Streams = None,
    must_change: MustChange = None,
    password_stdin: Stdin = False,
    as_json: Json = False,
) -> None:
    """添加用户; 密码不经命令行参数传递。Add a user; the password is asked for."""
    cli: Cli = context.obj
    body = _given(role, department, full_name, zone, streams, must_change)
    body |= {"name": name, "password": _password(cli, name, stdin=password_stdin)}
    answer = cli.ask(lambda api: api.post("users", body))
    _answer(cli, answer, cli.say("saved", name=answer["name"]), as_json=as_json)


@app.command()
def edit(
    context: typer.Context,
    name: Name,
    *,
    role: Role = None,
    department: Department = None,
    full_name: FullName = None,
    zone: Zone = None,
    streams: Streams = None,
    must_change: MustChange = None,
    as_json: Json = False,
) -> None:
    """修改用户; 权限变更时其登录与观看立即结束。Change a user."""
    cli: Cli = context.obj
    body = _given(role, department, full_name, zone, streams, must_change)
    answer = cli.ask(lambda api: api.patch(_path(name), body))
    _answer(cli, answer, cli.say("saved", name=answer["name"]), as_json=as_json)


@app.command()
def passwd(
    context: typer.Context,
    name: Name,
    *,
    must_change: MustChange = None,
    password_stdin: Stdin = False,
    as_json: Json = False,
) -> None:
    """设置密码; 原有登录结束。Give a user another password; their sessions end."""
    cli: Cli = context.obj
    body: dict[str, Any] = {"password": _password(cli, name, stdin=password_stdin)}
    body |= {} if must_change is None else {"must_change": must_change}
    answer = cli.ask(lambda api: api.post(f"{_path(name)}/password", body))
    _answer(cli, answer, cli.say("password_set", name=answer["name"]), as_json=as_json)


@app.command()
def disable(context: typer.Context, name: Name, *, as_json: Json = False) -> None:
    """停用用户; 登录与观看立即结束。Disable a user; what they have open ends."""
    cli: Cli = context.obj
    answer = cli.ask(lambda api: api.patch(_path(name), {"disabled": True}))
    _answer(cli, answer, cli.say("is_disabled", name=answer["name"]), as_json=as_json)


@app.command()
def enable(context: typer.Context, name: Name, *, as_json: Json = False) -> None:
    """启用用户。Enable a user."""
    cli: Cli = context.obj
    answer = cli.ask(lambda api: api.patch(_path(name), {"disabled": False}))
    _answer(cli, answer, cli.say("is_enabled", name=answer["name"]), as_json=as_json)


@app.command()
def remove(context: typer.Context, name: Name) -> None:
    """删除用户及其密钥。Remove a user with their keys."""
    cli: Cli = context.obj
    cli.ask(lambda api: api.delete(_path(name)))
    cli.out.print(cli.say("deleted", name=name))


@app.command()
def sessions(context: typer.Context, name: Name, *, as_json: Json = False) -> None:
    """列出用户的登录。List where a user is logged in."""
    cli: Cli = context.obj
    page = cli.ask(lambda api: api.get(f"{_path(name)}/sessions"))
    if not page["items"] and not as_json:
        cli.out.print(cli.say("no_user_sessions", name=name), style="yellow")
        return
    show_page(cli, page, view_users.session_table, "no_users", as_json=as_json)


@app.command()
def logout(context: typer.Context, name: Name) -> None:
    """结束用户的全部登录。Log a user out everywhere; their streams end."""
    cli: Cli = context.obj
    cli.ask(lambda api: api.delete(f"{_path(name)}/sessions"))
    cli.out.print(cli.say("logged_out", name=name))


def _path(name: str) -> str:
    return f"users/{segment(name)}"


def _password(cli: Cli, name: str, *, stdin: bool) -> str:
    if not stdin:
        # Without echo, and never an argument: those stand in the process list and the shell's history.
        typed: str = typer.prompt(
            cli.say("ask_password", name=name),
            hide_input=True,
            confirmation_prompt=cli.say("ask_again"),
            err=True,
        )
        return typed
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        cli.fail(cli.say("no_password"), USAGE)
    return line


def _given(
    role: str | None,
    department: str | None,
    full_name: str | None,
    zone: str | None,
    streams: int | None,
    must_change: bool | None,  # noqa: FBT001 - as the options come
) -> dict[str, Any]:
    found = {
        "role": role,
        "department": department,
        "display_name": full_name,
        "zone": zone,
        "max_streams": streams,
        "must_change_password": must_change,
    }
    return {name: value for name, value in found.items() if value is not None}


def _answer(cli: Cli, answer: Any, sentence: str, *, as_json: bool) -> None:  # noqa: ANN401 - JSON
    if as_json:
        cli.print_json(answer)
    else:
        cli.out.print(sentence, style="green")
