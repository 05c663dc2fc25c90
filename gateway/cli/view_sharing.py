"""Tables about departments, grants, stops, and who watches what."""

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from gateway.cli.text import Say
from gateway.cli.view import make_facts, make_table, page_caption, when
from gateway.cli.view_policy import obligation_words

__all__ = [
    "access_table",
    "department_table",
    "grant_card",
    "grant_table",
    "key_table",
    "stop_table",
    "usage_table",
    "webhook_table",
]

Json = dict[str, Any]


def department_table(page: Json, say: Say) -> RenderableType:
    """The departments."""
    table = make_table(say("departments"), say("id"), say("name"), say("zone"), say("contact"))
    for item in page["items"]:
        table.add_row(item["code"], item["name"], item["zone"], item["contact"])
    return table


def key_table(page: Json, say: Say) -> RenderableType:
    """The keys."""
    table = make_table(
        say("keys"),
        say("key"),
        say("owner"),
        say("name"),
        say("scopes"),
        say("quota"),
        say("zone"),
        say("expires"),
        say("state"),
    )
    for key in page["items"]:
        quota = say("quota_of", rate=key["requests_per_minute"], streams=key["max_streams"])
        state = "usable" if key["usable"] else "disabled" if key["disabled"] else "expired"
        table.add_row(
            key["key_id"],
            key["department"] or f"role:{key['role']}",
            key["name"],
            " ".join(key["scopes"]),
            quota,
            key["zone"],
            when(key["expires_at"], say, ago=False) if key["expires_at"] else "-",
            Text(say(state), style="green" if key["usable"] else "red"),
        )
    return table


def webhook_table(page: Json, say: Say) -> RenderableType:
    """The webhooks and how their deliveries go."""
    table = make_table(
        say("webhooks"),
        say("id"),
        say("department"),
        say("url"),
        say("events"),
        say("waiting"),
        say("delivered"),
        say("state"),
    )
    for hook in page["items"]:
        if not hook["enabled"]:
            state = Text(f"{say('disabled')} {hook['reason']}".strip(), style="red")
        elif hook["failures"]:
            words = say("failing", count=hook["failures"], error=hook["last_error"])
            state = Text(words, style="yellow")
        else:
            state = Text(say("usable"), style="green")
        table.add_row(
            hook["hook_id"],
            hook["department"],
            hook["url"],
            " ".join(hook["events"]),
            str(hook["waiting"]),
            str(hook["delivered"]),
            state,
        )
    return table


def access_table(page: Json, say: Say) -> RenderableType:
    """Who watches what now."""
    table = make_table(
        say("accesses"),
        say("access"),
        say("who"),
        say("action"),
        say("channel"),
        say("name"),
        say("since"),
        say("rule"),
        say("purpose"),
        say("source"),
        caption=page_caption(page, say),
    )
    for item in page["items"]:
        table.add_row(
            item["access_id"],
            item["subject"]["label"],
            item["action"],
            f"{item['device_id']}/{item['channel_id']}",
            item["name"],
            when(item["since"], say),
            item["decision"]["rule"],
            f"{item['purpose']} {item['ticket']}".strip(),
            f"{item['via']} {item['source']}".strip(),
        )
    return table


def usage_table(page: Json, say: Say) -> RenderableType:
    """How much each party uses."""
    table = make_table(
        say("usage"), say("who"), say("streams"), say("allowed"), say("denied"), say("last")
    )
    for item in page["items"]:
        table.add_row(
            item["party"],
            str(item["streams"]),
            str(item["allowed"]),
            str(item["denied"]),
            when(item["last_at"], say),
        )
    return table


def grant_table(page: Json, say: Say) -> RenderableType:
    """A page of grants."""
    table = make_table(
        say("grants"),
        say("grant"),
        say("state"),
        say("who"),
        say("objects"),
        say("action"),
        say("until"),
        say("purpose"),
        say("applicant"),
        caption=page_caption(page, say),
    )
    for grant in page["items"]:
        table.add_row(
            grant["grant_id"],
            _grant_state(grant, say),
            _said(grant["subject"]),
            _said(grant["objects"]) or say("every_channel"),
            " ".join(grant["actions"]),
            when(grant["until"], say, ago=False),
            f"{grant['purpose']} {grant['ticket']}".strip(),
            grant["applicant"],
        )
    return table


def grant_card(grant: Json, say: Say) -> RenderableType:
    """One grant."""
    facts = [
        (say("grant"), grant["grant_id"]),
        (say("state"), _grant_state(grant, say)),
        (say("who"), _said(grant["subject"])),
        (say("objects"), _said(grant["objects"]) or say("every_channel")),
        (say("action"), " ".join(grant["actions"])),
        (say("from"), when(grant["valid_from"], say, ago=False) if grant["valid_from"] else "-"),
        (say("until"), when(grant["until"], say, ago=False)),
        (say("purpose"), grant["purpose"]),
        (say("ticket"), grant["ticket"] or "-"),
        (say("obligations"), obligation_words(grant["obligations"]) or "-"),
        (say("applicant"), f"{grant['applicant']}  {when(grant['applied_at'], say)}"),
        (say("answer_by"), when(grant["answer_by"], say, ago=False)),
        (say("decided"), f"{grant['decided_by'] or '-'}  {grant['remark']}".strip()),
    ]
    return make_facts(facts)


def stop_table(page: Json, say: Say) -> RenderableType:
    """The forced stops."""
    table = make_table(
        say("stops"),
        say("stop"),
        say("state"),
        say("who"),
        say("objects"),
        say("reason"),
        say("author"),
        say("since"),
        caption=page_caption(page, say),
    )
    for stop in page["items"]:
        state = Text(say("in_force"), style="bold red") if stop["in_force"] else say("lifted")
        table.add_row(
            stop["stop_id"],
            state,
            _said(stop["subject"]),
            _said(stop["objects"]) or say("every_channel"),
            stop["reason"],
            stop["ordered_by"],
            when(stop["ordered_at"], say),
        )
    return table


def _grant_state(grant: Json, say: Say) -> Text:
    style = {"active": "green", "applied": "yellow"}.get(grant["state"], "dim")
    words = [grant["state"]]
    if grant["emergency"]:
        words.append(say("emergency"))
    if grant["overdue"]:
        words.append(say("overdue"))
    if grant["reviewed_by"]:
        words.append(say("reviewed"))
    return Text(" ".join(words), style=style)


def _said(values: Json) -> str:
    parts = []
    for name, value in values.items():
        parts.append(name if value is True else f"{name}={','.join(value)}")
    return "; ".join(parts)
