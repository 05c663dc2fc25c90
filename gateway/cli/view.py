"""Tables for people: status, devices, channels, sessions, streams."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.cli.text import Say

__all__ = [
    "channel_table",
    "device_card",
    "device_table",
    "diagnosis_view",
    "make_facts",
    "make_table",
    "page_caption",
    "session_card",
    "session_table",
    "stage_table",
    "status_view",
    "stream_table",
    "url_lines",
    "when",
]

_STYLE = {"ok": "green", "warning": "yellow", "error": "bold red"}
Json = dict[str, Any]


def when(stamp: str | None, say: Say, *, now: datetime | None = None, ago: bool = True) -> str:
    """Return a time in the local zone and how long ago it was."""
    if stamp is None:
        return say("never")
    moment = datetime.fromisoformat(stamp)
    now = now or datetime.now(UTC)
    local = moment.astimezone()
    same_day = local.date() == now.astimezone().date()
    shown = local.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M")
    return say("ago", time=shown, span=_span((now - moment).total_seconds())) if ago else shown


def status_view(status: Json, say: Say) -> RenderableType:
    """What an operator reads first."""
    state = status["state"]
    title = Text.assemble(
        (f"{say('gateway')} {status['version']}  ", "bold"),
        (say(f"state_{state}"), _STYLE[state]),
        f"  {say('up')} {_span(_age(status['started_at'], status['now']))}",
    )
    devices, sessions = status["devices"], status["sessions"]
    ports, store = status["ports"], status["store"]
    facts = make_facts(
        [
            (
                say("listens"),
                "  ".join(f"{s['transport']} {s['host']}:{s['port']}" for s in status["sip"])
                or "-",
            ),
            (say("devices"), say("online_of", online=devices["online"], total=devices["total"])),
            (say("channels"), str(status["channels"])),
            (
                say("sessions"),
                say(
                    "sessions_of",
                    running=sessions["running"],
                    starting=sessions["starting"],
                    failed=sessions["failed_last_hour"],
                ),
            ),
            (say("streams"), f"{status['streams']}   {say('viewers')} {status['viewers']}"),
            (say("ports"), say("ports_of", **ports)),
            (
                say("store"),
                say("store_ok", pending=store["pending"])
                if store["ok"]
                else say("store_bad", detail=store["detail"]),
            ),
        ]
    )
    if not status["troubles"]:
        return Group(title, facts, Text(say("nothing_wrong"), style="green"))
    table = make_table(
        say("wrong_now"), say("what"), say("subject"), say("since"), say("count"), say("detail")
    )
    for trouble in status["troubles"]:
        table.add_row(
            Text(say.code("trouble", trouble["code"]), style=_STYLE[trouble["severity"]]),
            trouble["subject"],
            when(trouble["since"], say) if trouble["since"] else "-",
            str(trouble["count"]),
            trouble["detail"],
        )
    return Group(title, facts, table)


def device_table(page: Json, say: Say) -> RenderableType:
    """A page of devices."""
    table = make_table(
        say("devices"),
        say("id"),
        say("name"),
        say("state"),
        say("since"),
        say("address"),
        say("channels"),
        say("keepalive"),
        caption=page_caption(page, say),
    )
    for device in page["items"]:
        table.add_row(
            device["device_id"],
            device["name"],
            _presence(device, say),
            when(device["status_since"], say),
            _address(device["address"]),
            str(device["channel_count"]),
            when(device["last_keepalive_at"], say),
        )
    return table


def device_card(device: Json, timeline: Json, say: Say) -> RenderableType:
    """One device with its timeline."""
    settings = {
        name: value for name, value in device["settings"].items() if value not in {None, False}
    }
    facts = make_facts(
        [
            (say("id"), device["device_id"]),
            (say("name"), device["name"] or "-"),
            (
                say("state"),
                Text.assemble(_presence(device, say), "  ", when(device["status_since"], say)),
            ),
            (say("address"), _address(device["address"])),
            (
                say("maker"),
                f"{device['manufacturer']} {device['model']} {device['firmware']}".strip() or "-",
            ),
            (say("registered"), when(device["registered_at"], say)),
            (say("expires"), when(device["expires_at"], say, ago=False)),
            (say("keepalive"), when(device["last_keepalive_at"], say)),
            (say("channels"), str(device["channel_count"])),
            (say("settings"), ", ".join(f"{k}={v}" for k, v in settings.items()) or "-"),
        ]
    )
    if not timeline["items"]:
        return Group(facts, say("no_timeline"))
    table = make_table(say("timeline"), say("when"), say("event"), say("count"), say("detail"))
    for entry in timeline["items"]:
        kind = say.code("event", entry["kind"])
        detail = say.device_event(entry["kind"], entry["detail"])
        table.add_row(when(entry["at"], say), kind, str(entry["count"]), detail)
    return Group(facts, table)


def channel_table(page: Json, say: Say) -> RenderableType:
    """A page of channels."""
    table = make_table(
        say("channels"),
        say("device"),
        say("channel"),
        say("name"),
        say("kind"),
        say("state"),
        say("maker"),
        caption=page_caption(page, say),
    )
    for channel in page["items"]:
        table.add_row(
            channel["device_id"],
            channel["channel_id"],
            channel["name"],
            channel["kind"],
            _online(say, online=channel["online"]),
            f"{channel['manufacturer']} {channel['model']}".strip(),
        )
    return table


def session_table(page: Json, say: Say) -> RenderableType:
    """A page of sessions."""
    table = make_table(
        say("sessions"),
        say("session"),
        say("channel"),
        say("transport"),
        say("state"),
        say("stage"),
        say("when"),
        say("viewers"),
        say("reason"),
        caption=page_caption(page, say),
    )
    for session in page["items"]:
        ended = session["ended"]
        table.add_row(
            session["session_id"],
            f"{session['device_id']}/{session['channel_id']}",
            session["transport"],
            say.code("session", session["state"]),
            say.code("stage", session["stage"]),
            when(session["created_at"], say),
            str(session["viewers"]),
            Text(say.code("end", ended["reason"]), style="red" if ended["failure"] else "")
            if ended
            else "",
        )
    return table


def session_card(session: Json, say: Say) -> RenderableType:
    """One session with its stages."""
    ended = session["ended"]
    facts = [
        (say("session"), session["session_id"]),
        (say("channel"), f"{session['device_id']}/{session['channel_id']}"),
        (say("transport"), session["transport"]),
        (say("state"), say.code("session", session["state"])),
        (
            "SSRC",
            " / ".join(session["ssrc"][key] or "-" for key in ("offered", "answered", "received")),
        ),
        (say("viewers"), str(session["viewers"])),
    ]
    if ended:
        facts.append((say("reason"), f"{say.code('end', ended['reason'])}: {ended['detail']}"))
    return Group(make_facts(facts), stage_table(session, say))


def stage_table(session: Json, say: Say) -> Table:
    """When each stage was reached."""
    table = make_table("", say("stage"), say("seconds"))
    for stage, at in session["stages"].items():
        table.add_row(say.code("stage", stage), f"{at:.3f}")
    return table


def stream_table(page: Json, say: Say) -> RenderableType:
    """The running streams."""
    table = make_table(
        say("streams"),
        say("channel"),
        say("video"),
        say("audio"),
        say("rate"),
        say("lost"),
        say("viewers"),
        say("source"),
        caption=page_caption(page, say),
    )
    for stream in page["items"]:
        viewers = ", ".join(f"{count} {name}" for name, count in stream["viewers"].items() if count)
        table.add_row(
            stream["stream_id"],
            _video(stream["video"]),
            stream["audio"]["codec"] if stream["audio"] else "-",
            f"{stream['bitrate_kbps']:.0f} kbit/s",
            f"{stream['lost']} / {stream['packets']}",
            viewers or "0",
            f"{stream['source']} {stream['payload']}".strip() or "-",
        )
    return table


def url_lines(answer: Json, base: str, say: Say) -> list[str]:
    """The URLs of a started stream, one a line; never wrapped, so that they can be copied."""
    lines = [f"{name:<7} {url}" for name, url in answer["urls"].items()]
    page = f"{base}/player#url={quote(answer['urls']['ws_mp4'], safe='')}"
    return [*lines, say("try_player", url=page)]


def diagnosis_view(diagnosis: Json, say: Say) -> RenderableType:
    """Why there was no picture."""
    lines: list[RenderableType] = [Text(say.pick(diagnosis["summary"]), style="bold")]
    session = diagnosis["session"]
    if session["ended"]:
        lines.append(Text(f"{session['session_id']}: {session['ended']['detail']}"))
    if diagnosis["failed_stage"]:
        lines.append(Text(say("failed_stage", stage=diagnosis["failed_stage"])))
    lines.append(stage_table(session, say))
    if diagnosis["observations"]:
        lines.append(Text(say("observed")))
        lines += [Text(f"  · {say.pick(words)}") for words in diagnosis["observations"]]
    if diagnosis["causes"]:
        lines.append(Text(say("causes")))
        for number, cause in enumerate(diagnosis["causes"], 1):
            lines.append(Text(f"  {number}. {say.pick(cause['cause'])}"))
            lines.append(Text(f"     → {say.pick(cause['remedy'])}", style="cyan"))
    return Group(*lines)


def make_table(title: str, *columns: str, caption: str | None = None) -> Table:
    """Return an empty table whose cells fold instead of being cut."""
    table = Table(
        title=title or None, caption=caption, title_justify="left", caption_justify="left"
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def make_facts(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    """Return names and values, one pair a line."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, value)
    return grid


def page_caption(page: Json, say: Say) -> str | None:
    """Say how much of a list is shown, if it is not all."""
    shown, total = len(page["items"]), page["total"]
    return say("page_of", shown=shown, total=total) if shown != total else None


def _presence(device: Json, say: Say) -> Text:
    if device["online"]:
        return Text(say("online"), style="green")
    why = say.code("trouble", device["offline_reason"] or "?")
    return Text(f"{say('offline')} ({why})", style="red")


def _online(say: Say, *, online: bool) -> Text:
    return Text(say("online"), style="green") if online else Text(say("offline"), style="dim")


def _address(address: Json | None) -> str:
    return f"{address['transport']} {address['host']}:{address['port']}" if address else "-"


def _video(track: Json | None) -> str:
    if track is None:
        return "-"
    size = f" {track['width']}x{track['height']}" if track["width"] else ""
    rate = f"@{track['fps']:g}" if track["fps"] else ""
    return f"{track['codec']}{size}{rate}"


def _age(start: str, now: str) -> float:
    return (datetime.fromisoformat(now) - datetime.fromisoformat(start)).total_seconds()


def _span(seconds: float) -> str:
    seconds = max(0, int(seconds))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
