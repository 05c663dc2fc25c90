"""`gateway keys`: API keys of departments and of our own people; the same commands as under `gateway share`."""

import typer

from gateway.cli import share

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="API 密钥。API keys.")
app.command("list")(share.keys)
app.command("add")(share.key_add)
app.command("edit")(share.key_edit)
app.command("rotate")(share.key_rotate)
app.command("remove")(share.key_remove)
