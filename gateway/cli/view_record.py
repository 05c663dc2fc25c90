"""Tables about recordings."""

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from gateway.cli.text import Say
from gateway.cli.view import make_table, when

__all__ = ["channel_table", "file_table", "plan_table", "size_of", "status_table"]

Json = dict[str, Any]

_STYLES = {
    "recording": "green",
    "armed": "green",
    "starting": "cyan",
    "waiting": "dim",
    "off": "dim",
}


def size_of(count: float) -> str:
    """Return bytes for people: `3.2 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def channel_table(page: Json, say: Say) -> RenderableType:
    """Channels of which something is kept."""
    table = make_table(
        say("recorded_channels"),
        say("device"),
        say("channel"),
        say("name"),
        say("record_files"),
        say("record_size"),
        say("record_begin"),
        say("record_end"),
    )
    for item in page["items"]:
        table.add_row(
            item["device_id"],
            item["channel_id"],
            item["name"],
            str(item["files"]),
            size_of(item["bytes"]),
            when(item["begin"], say),
            when(item["end"], say),
        )
    return table


def file_table(page: Json, say: Say) -> RenderableType:
    """Files of one channel."""
    table = make_table(
        say("recordings"),
        say("record_file"),
        say("record_begin"),
        say("record_length"),
        say("record_size"),
        say("record_cause"),
        say("state"),
        say("record_locked"),
    )
    for item in page["items"]:
        minutes, seconds = divmod(round(item["seconds"]), 60)
        table.add_row(
            item["file_id"],
            when(item["begin"], say),
            f"{minutes}:{seconds:02d}",
            size_of(item["bytes"]),
            item["cause"],
            Text(item["state"], style="red" if item["state"] == "damaged" else ""),
            "*" if item["locked"] else "",
        )
    return table


def plan_table(page: Json, say: Say) -> RenderableType:
    """What is to be recorded."""
    table = make_table(
        say("record_plans"),
        say("device"),
        say("channel"),
        say("record_mode"),
        say("record_windows"),
        say("record_keep"),
    )
    for item in page["items"]:
        days = item["keep_days"]
        windows = ", ".join(item["windows"])
        table.add_row(
            item["device_id"],
            item["channel_id"],
            say(f"record_mode_{item['mode']}"),
            f"{windows} ({item['zone']})" if windows else "",
            say("record_as_configured") if days is None else str(days),
        )
    return table


def status_table(page: Json, say: Say) -> RenderableType:
    """How recording goes."""
    table = make_table(
        say("record_status"),
        say("device"),
        say("channel"),
        say("state"),
        say("since"),
        say("reason"),
        say("detail"),
    )
    for item in page["items"]:
        phase = item["phase"]
        table.add_row(
            item["device_id"],
            item["channel_id"],
            Text(say(f"record_phase_{phase}"), style=_STYLES.get(phase, "red")),
            when(item["since"], say),
            item["reason"],
            item["detail"],
        )
    return table
