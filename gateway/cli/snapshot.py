"""`gateway snapshot`: a picture of a camera, now."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import view
from gateway.cli.api import Api, segment
from gateway.cli.context import USAGE, Cli
from gateway.cli.option import Purpose
from gateway.cli.running import only_channel

__all__ = ["register"]

STDOUT = "-"
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers in front of a picture's size (ITU-T T.81 B.1.1.3)."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("snapshot")(snapshot)


def snapshot(
    context: typer.Context,
    channel: Annotated[
        str,
        typer.Argument(help="Channel, DEVICE/CHANNEL, or a device with one channel. 通道编码"),
    ],
    *,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="File; - is standard output. 文件名", metavar="FILE"),
    ] = None,
    width: Annotated[
        int | None, typer.Option(min=16, max=8192, help="Pixels; default the camera's. 宽度")
    ] = None,
    sub: Annotated[bool, typer.Option("--sub", help="The sub stream. 子码流")] = False,
    purpose: Purpose = "",
) -> None:
    """截取一张图片。Take a picture now and save it as JPEG."""
    cli: Cli = context.obj

    async def work(api: Api) -> tuple[str, bytes]:
        device, chosen = await _find(cli, api, channel)
        path = f"channels/{segment(device)}/{segment(chosen)}/snapshot.jpg"
        query = {"width": width, "stream": 1 if sub else None, "purpose": purpose or None}
        return chosen, await api.download(path, **query)

    chosen, jpeg = cli.ask(work)
    size = _size_of(jpeg)
    if size is None:
        cli.fail(cli.say("snapshot_no_jpeg"))
    if output == STDOUT:
        sys.stdout.buffer.write(jpeg)
        return
    path = Path(output or f"{chosen}-{datetime.now().astimezone():%Y%m%dT%H%M%S}.jpg")
    try:
        path.write_bytes(jpeg)
    except OSError as exc:
        cli.fail(cli.say("snapshot_unwritable", path=path, why=exc.strerror or exc))
    said = cli.say("snapshot_saved", path=path, width=size[0], height=size[1], size=len(jpeg))
    cli.out.print(said, style="green", soft_wrap=True)


async def _find(cli: Cli, api: Api, text: str) -> tuple[str, str]:
    """Return device and channel; what is ambiguous ends the command with a list."""
    device, slash, channel = text.partition("/")
    if slash:
        return device, channel
    page = await api.get("channels", q=text, limit=1000)
    items = [item for item in page["items"] if item["channel_id"] == text]
    if len(items) == 1:
        return items[0]["device_id"], text
    if items:
        cli.err.print(cli.say("snapshot_which", total=len(items), channel=text))
        cli.err.print(view.channel_table({"items": items, "total": len(items)}, cli.say))
        raise typer.Exit(USAGE)
    return text, await only_channel(cli, api, text)


def _size_of(jpeg: bytes) -> tuple[int, int] | None:
    """Return width and height as the file's frame header has them."""
    position = 2
    if not jpeg.startswith(b"\xff\xd8"):
        return None
    while position + 9 <= len(jpeg) and jpeg[position] == 0xFF:
        if jpeg[position + 1] in START_OF_FRAME:
            height, width = jpeg[position + 5 : position + 7], jpeg[position + 7 : position + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        position += 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
    return None
