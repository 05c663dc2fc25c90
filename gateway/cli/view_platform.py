"""Tables about upper platforms and what they are shown."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from gateway.cli.text import Say
from gateway.cli.view import make_facts, make_table, page_caption, when

__all__ = [
    "bridge_table",
    "code_table",
    "item_table",
    "platform_card",
    "platform_table",
    "timeline_table",
    "tree_table",
    "trial_view",
]

Json = dict[str, Any]
_STATE = {"online": "green", "waiting": "red", "disabled": "dim"}


def platform_table(page: Json, say: Say) -> RenderableType:
    """A page of platforms."""
    table = make_table(
        say("platforms"),
        say("id"),
        say("name"),
        say("state"),
        say("since"),
        say("address"),
        say("edition"),
        say("items"),
        say("subscriptions"),
        say("sessions"),
        caption=page_caption(page, say),
    )
    for platform in page["items"]:
        status = platform["status"]
        table.add_row(
            platform["platform_id"],
            platform["name"],
            _state(status, say),
            when(status["since"], say),
            _address(platform),
            platform["edition"],
            _number(status["catalog_items"]),
            " ".join(status["subscriptions"]) or "-",
            str(status["sessions"]),
        )
    return table


def platform_card(platform: Json, timeline: Json, say: Say) -> RenderableType:
    """One platform with its timeline."""
    status = platform["status"]
    others = {
        name: platform[name]
        for name in ("local_id", "username", "domain", "charset", "zone", "rtcp", "tls_ca")
        if platform[name]
    }
    facts = [
        (say("id"), platform["platform_id"]),
        (say("name"), platform["name"] or "-"),
        (say("state"), Text.assemble(_state(status, say), f"  {status['detail']}")),
        (say("since"), when(status["since"], say)),
        (say("address"), _address(platform)),
        (say("edition"), f"{platform['edition']} {platform['charset']}".strip()),
        (say("password"), say("set") if platform["has_password"] else say("unset")),
        (say("registered"), when(status["registered_at"], say)),
        (say("expires"), when(status["expires_at"], say, ago=False)),
        (say("keepalive"), when(status["last_keepalive_at"], say)),
        (say("items"), _number(status["catalog_items"])),
        (say("subscriptions"), " ".join(status["subscriptions"]) or "-"),
        (say("sessions"), f"{status['sessions']} / {platform['max_sessions']}"),
        (say("tree"), f"{platform['tree']} ({platform['nodes']})"),
        (say("id_mode"), platform["id_mode"]),
        (say("settings"), ", ".join(f"{name}={value}" for name, value in others.items()) or "-"),
    ]
    if status["next_try_at"]:
        facts.append((say("next_try"), when(status["next_try_at"], say, ago=False)))
    if not timeline["items"]:
        return Group(make_facts(facts), say("no_timeline"))
    return Group(make_facts(facts), timeline_table(timeline, say))


def timeline_table(timeline: Json, say: Say) -> RenderableType:
    """What happened to a link."""
    table = make_table(say("timeline"), say("when"), say("event"), say("count"), say("detail"))
    for entry in timeline["items"]:
        kind = say.code("platform_event", entry["kind"])
        detail = say.platform_event(entry["kind"], entry["detail"])
        table.add_row(when(entry["at"], say), kind, str(entry["count"]), detail)
    return table


def trial_view(report: Json, say: Say) -> RenderableType:
    """What became of a dry registration."""
    table = make_table(
        "", say("seconds"), say("address"), say("step"), say("result"), say("detail")
    )
    for step in report["steps"]:
        word = step["reason"] or (str(step["status"]) if step["status"] else "ok")
        style = "green" if step["ok"] else "red"
        table.add_row(
            f"{step['at']:.3f}",
            step["address"],
            step["name"],
            Text(word, style=style),
            step["detail"],
        )
    lines: list[RenderableType] = [
        Text(say("trial_ok"), style="bold green")
        if report["ok"]
        else Text(say("trial_bad"), style="bold red"),
        table,
    ]
    if report["granted"] is not None:
        lines.append(Text(say("granted_for", seconds=report["granted"])))
    if report["clock_offset"] is not None and abs(report["clock_offset"]) > 1:
        lines.append(Text(say("clock_off", seconds=report["clock_offset"]), style="yellow"))
    return Group(*lines)


def item_table(page: Json, say: Say) -> RenderableType:
    """A page of a catalogue."""
    table = make_table(
        say("catalog"),
        say("id"),
        say("name"),
        say("parent"),
        say("state"),
        say("detail"),
        caption=page_caption(page, say),
    )
    for item in page["items"]:
        fields = item["fields"]
        told = {name: fields[name] for name in ("civil_code", "address", "model") if name in fields}
        table.add_row(
            item["device_id"],
            item["name"],
            item["parent_id"],
            Text(item["status"], style="green" if item["status"] == "ON" else "dim"),
            "  ".join(told.values()),
        )
    return table


def code_table(page: Json, say: Say) -> RenderableType:
    """A page of codes."""
    table = make_table(
        say("id_mode"),
        say("shared_code"),
        say("own_code"),
        say("name"),
        say("shared_now"),
        caption=page_caption(page, say),
    )
    for code in page["items"]:
        own = f"{code['device_id']}/{code['channel_id']}" if code["device_id"] else "-"
        table.add_row(code["shared_id"], own, code["name"], say("yes") if code["shared"] else "")
    return table


def tree_table(tree: Json, say: Say) -> RenderableType:
    """How a catalogue is arranged."""
    if not tree["nodes"]:
        return Text(f"{say('tree')}: {tree['tree']}")
    table = make_table(
        f"{say('tree')}: {tree['tree']}", say("id"), say("name"), say("parent"), say("select")
    )
    for node in tree["nodes"]:
        select = node["select"] or {}
        said = "; ".join(f"{name}={','.join(values)}" for name, values in select.items())
        table.add_row(
            node["node_id"], node["name"], node["parent_id"], said if node["select"] else "-"
        )
    return table


def bridge_table(page: Json, say: Say) -> RenderableType:
    """Streams given to upper platforms."""
    table = make_table(
        say("bridges"),
        say("platform"),
        say("shared_code"),
        say("own_code"),
        say("transport"),
        say("address"),
        say("when"),
        say("seconds"),
        say("state"),
        caption=page_caption(page, say),
    )
    for bridge in page["items"]:
        status = f" {bridge['status']}" if bridge["status"] else ""
        end = say.code("bridge", bridge["end"] or "")
        ended = f"{end}{status}: {bridge['detail']}" if bridge["end"] else say("running")
        first = bridge["first_packet_after"]
        table.add_row(
            bridge["platform_id"],
            bridge["shared_id"],
            f"{bridge['device_id']}/{bridge['channel_id']}",
            bridge["transport"],
            bridge["remote"],
            when(bridge["created_at"], say),
            "-" if first is None else f"{first:.3f}",
            Text(ended, style="red" if bridge["failure"] else ""),
        )
    return table


def _state(status: Json, say: Say) -> Text:
    words = say.code("link", status["state"]) + (
        f" ({say.code('reason', status['reason'])})" if status["reason"] else ""
    )
    return Text(words, style=_STATE.get(status["state"], "yellow"))


def _address(platform: Json) -> str:
    addresses = " ".join(f"{item['host']}:{item['port']}" for item in platform["addresses"])
    return f"{platform['transport']} {platform['status']['address'] or addresses or '-'}"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)
