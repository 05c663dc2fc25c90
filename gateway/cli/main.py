"""`gateway`: the commands and their options."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import (
    audit,
    grants,
    keys,
    platforms,
    policy,
    ptz,
    push,
    record,
    running,
    share,
    snapshot,
    sources,
    starting,
    users,
)
from gateway.cli.context import Cli
from gateway.cli.text import language_of

__all__ = ["app", "main"]

app = typer.Typer(
    name="gateway",
    help="GB/T 28181 video gateway. GB/T 28181 视频网关。",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def options(
    context: typer.Context,
    *,
    lang: Annotated[
        str | None, typer.Option(help="zh or en; default from LANG. 语言", metavar="zh|en")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The running gateway; default GATEWAY_URL or local. 网关地址")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="Admin or CLI token; default GATEWAY_TOKEN. 令牌")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where cli.token is; default from the configuration. 数据目录"),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="gateway.toml. 配置文件")] = None,
) -> None:
    """GB/T 28181 视频网关。GB/T 28181 video gateway."""
    if lang is not None and lang.lower()[:2] not in {"zh", "en"}:
        raise typer.BadParameter("zh | en", param_hint="--lang")
    context.obj = Cli(
        language=language_of(lang), url=url, token=token, data_dir=data_dir, config=config
    )


starting.register(app)
running.register(app)
snapshot.register(app)
app.add_typer(platforms.app, name="platforms")
app.add_typer(share.app, name="share")
app.add_typer(users.app, name="users")
app.add_typer(keys.app, name="keys")
app.add_typer(policy.app, name="policy")
app.add_typer(grants.app, name="grants")
app.add_typer(audit.app, name="audit")
app.add_typer(ptz.app, name="ptz")
app.add_typer(push.app, name="push")
app.add_typer(record.app, name="record")
app.add_typer(sources.app, name="sources")


def main(**extra: Any) -> None:  # noqa: ANN401 - as Typer takes them
    """Run the command line."""
    app(**extra)
