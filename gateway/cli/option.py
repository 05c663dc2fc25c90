"""Options that many commands share, and what they mean."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from gateway.cli.context import USAGE, Cli
from gateway.cli.text import Say

__all__ = [
    "At",
    "Json",
    "Limit",
    "Objects",
    "Offset",
    "Purpose",
    "Search",
    "Ticket",
    "Who",
    "Zone",
    "clause_of",
    "moment_of",
    "objects_of",
    "show_page",
    "who_of",
]

Json = Annotated[bool, typer.Option("--json", help="JSON for programs. 输出 JSON")]
Search = Annotated[str, typer.Option("--search", "-q", help="Part of id, name, address. 搜索")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="Rows. 行数")]
Offset = Annotated[int, typer.Option(min=0, help="Rows to skip. 跳过行数")]
Who = Annotated[
    str,
    typer.Option(
        "--for",
        help="department:CODE, platform:CODE, key:ID, user:NAME or role:ROLE. 主体",
        metavar="KIND:CODE",
    ),
]
Objects = Annotated[
    list[str] | None,
    typer.Option(
        "--objects",
        "-o",
        help="As in a policy: channels=CODE[,CODE], civil_codes=3713, kinds=camera, ... 对象",
        metavar="FIELD=VALUE",
    ),
]
Purpose = Annotated[str, typer.Option(help="What it is for. 事由")]
Ticket = Annotated[str, typer.Option(help="Number of the case or order. 工单号")]
Zone = Annotated[
    str, typer.Option(help="Network zone; default the one configured. 网络区域, 缺省为已配置的")
]
At = Annotated[str | None, typer.Option(help="Time: ISO, or +2h, +3d from now. 时间")]

_KINDS = ("platform", "department", "key", "user", "role", "identity")
_SPAN = re.compile(r"([+-]?)([0-9]{1,6})(s|m|min|h|d|w)")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def who_of(cli: Cli, text: str) -> dict[str, str]:
    """Return one subject for a dry run; a mistake ends the command."""
    found: dict[str, str] = {}
    for part in text.split(","):
        kind, colon, value = part.strip().partition(":")
        if not colon or kind not in _KINDS or not value:
            cli.fail(cli.say("bad_subject", text=text), USAGE)
        found[kind] = value
    return found


def clause_of(cli: Cli, text: str) -> dict[str, Any]:
    """Return who is meant as in a policy: `any`, `outside` or codes by kind; a mistake ends the command."""
    if text in {"any", "outside"}:
        return {text: True}
    plural = {"identity": "identities"}
    return {plural.get(kind, f"{kind}s"): [value] for kind, value in who_of(cli, text).items()}


def objects_of(cli: Cli, items: list[str] | None) -> dict[str, list[str]] | None:
    """Return which channels are meant, None for every one; a mistake ends the command."""
    found: dict[str, list[str]] = {}
    for item in items or ():
        name, equals, values = item.partition("=")
        if not equals or not values:
            cli.fail(cli.say("bad_objects", text=item), USAGE)
        found.setdefault(name.strip(), []).extend(v.strip() for v in values.split(",") if v.strip())
    return found or None


def moment_of(cli: Cli, text: str | None, *, ago: bool = False) -> str | None:
    """Return a time as ISO with its offset: as given (local zone unless it says), or counted from now.

    Args:
        cli: Ends the command on a mistake.
        text: ISO, a date, or a span such as `+2h`, `3d`, `-1d`.
        ago: Whether a span without a sign means the past.
    """
    if text is None:
        return None
    span = _SPAN.fullmatch(text.strip())
    if span is not None:
        seconds = int(span[2]) * _UNITS[span[3]]
        back = span[1] == "-" or (ago and not span[1])
        return (datetime.now(UTC) + timedelta(seconds=-seconds if back else seconds)).isoformat()
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        cli.fail(cli.say("bad_time", text=text), USAGE)
    return (moment.astimezone() if moment.tzinfo is None else moment).isoformat()


def show_page(
    cli: Cli,
    page: Any,  # noqa: ANN401 - JSON
    table: Callable[[Any, Say], RenderableType],
    empty: str,
    *,
    as_json: bool,
) -> None:
    """Show a list as a table or as JSON; an empty one is explained."""
    if as_json:
        cli.print_json(page)
    elif not page["items"]:
        cli.out.print(cli.say(empty), style="yellow")
    else:
        cli.out.print(table(page, cli.say))
