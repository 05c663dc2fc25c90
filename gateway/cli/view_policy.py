"""Tables about the sharing policy and what it decides."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from gateway.cli.text import Say
from gateway.cli.view import make_facts, make_table, page_caption, when

__all__ = [
    "change_table",
    "diff_view",
    "explanation_view",
    "obligation_words",
    "policy_view",
    "sight_table",
    "version_table",
]

Json = dict[str, Any]


def policy_view(policy: Json, say: Say) -> RenderableType:
    """What is in force."""
    lines: list[RenderableType] = []
    if policy["problem"]:
        lines.append(Text(say("policy_problem", why=policy["problem"]), style="bold red"))
    if not policy["version"]:
        lines.append(Text(say("no_policy"), style="yellow"))
    else:
        lines.append(
            make_facts(
                [
                    (say("version"), str(policy["version"])),
                    ("SHA-256", policy["digest"]),
                    (say("rules"), str(policy["rules"])),
                ]
            )
        )
    lines.append(Text(say("grants_and_stops", grants=policy["grants"], stops=policy["stops"])))
    lines += [Text(say("remark", **remark), style="yellow") for remark in policy["remarks"]]
    return Group(*lines)


def version_table(page: Json, say: Say) -> RenderableType:
    """The versions kept."""
    table = make_table(
        say("policy"),
        say("version"),
        say("when"),
        say("author"),
        say("comment"),
        say("size"),
        "SHA-256",
    )
    for item in page["items"]:
        number = Text(str(item["number"]))
        if item["active"]:
            number = Text(f"{item['number']} {say('active')}", style="green")
        table.add_row(
            number,
            when(item["at"], say),
            item["author"],
            item["comment"],
            str(item["size"]),
            item["digest"][:16],
        )
    return table


def diff_view(diff: Json, say: Say) -> RenderableType:
    """What differs between two versions."""
    lines: list[RenderableType] = [
        Text(say("diff_of", before=diff["before"], after=diff["after"]), style="bold")
    ]
    lines += [Text(f"+ {name}", style="green") for name in diff["added"]]
    lines += [Text(f"- {name}", style="red") for name in diff["removed"]]
    for change in diff["changed"]:
        lines.append(Text(f"~ {change['name']}", style="yellow"))
        for field in change["fields"]:
            lines.append(Text(f"    {field['name']}: {field['before']} → {field['after']}"))
    if len(lines) == 1:
        lines.append(Text(say("no_difference")))
    return Group(*lines)


def sight_table(answer: Json, say: Say) -> RenderableType:
    """What somebody would see."""
    table = make_table(
        "",
        say("device"),
        say("channel"),
        say("name"),
        say("decision"),
        say("rule"),
        say("obligations"),
        caption=page_caption(answer, say),
    )
    for item in answer["items"]:
        decision = item["decision"]
        table.add_row(
            item["device_id"],
            item["channel_id"],
            item["name"],
            _decision(decision, say),
            decision["rule"],
            obligation_words(decision["obligations"]),
        )
    reasons = "  ".join(f"{reason}: {count}" for reason, count in answer["by_reason"].items())
    return Group(table, Text(reasons)) if answer["items"] else Text(reasons)


def explanation_view(answer: Json, say: Say) -> RenderableType:
    """Why a decision is as it is."""
    decision = answer["decision"]
    lines: list[RenderableType] = [
        Text.assemble(
            (f"{answer['device_id']}/{answer['channel_id']} {answer['name']}  ", "bold"),
            _decision(decision, say),
            f"  {decision['rule'] or '-'}  {decision['detail']}",
        )
    ]
    obliged = obligation_words(decision["obligations"])
    if decision["allowed"] and obliged:
        lines.append(Text(f"{say('obligations')}: {obliged}"))
    facts = ", ".join(f"{name}={value}" for name, value in answer["facts"].items())
    lines.append(Text(f"{say('facts')}: {facts}", style="dim"))
    table = make_table(
        say("rules"), say("rule"), say("line"), say("effect"), say("matches"), say("why_not")
    )
    for rule in answer["trace"]:
        decides = rule["rule_id"] == decision["rule"]
        word = say("decides") if decides else say("yes") if rule["applied"] else ""
        missed = "; ".join(
            f"{item['field']}: {item['expected']} / {item['got']}" for item in rule["mismatches"]
        )
        table.add_row(
            Text(rule["rule_id"], style="bold" if decides else ""),
            str(rule["line"] or ""),
            rule["effect"],
            Text(word, style="green" if rule["applied"] else ""),
            missed,
        )
    return Group(*lines, table)


def change_table(answer: Json, say: Say) -> RenderableType:
    """What a change of policy changes."""
    table = make_table(
        say("changes_of", count=answer["total"]),
        say("who"),
        say("action"),
        say("channel"),
        say("name"),
        say("changed"),
        say("rule"),
        caption=page_caption(answer, say),
    )
    for item in answer["items"]:
        style = {"allowed": "green", "denied": "red"}.get(item["kind"], "yellow")
        rules = f"{item['before']['rule'] or '-'} → {item['after']['rule'] or '-'}"
        table.add_row(
            item["subject"]["label"],
            item["action"],
            f"{item['device_id']}/{item['channel_id']}",
            item["name"],
            Text(item["kind"], style=style),
            rules,
        )
    return table


def _decision(decision: Json, say: Say) -> Text:
    if decision["allowed"]:
        return Text(say("yes"), style="green")
    return Text(f"{say('no')} ({decision['reason']})", style="red")


def obligation_words(values: Json) -> str:
    """What must be obeyed, in one line."""
    parts = []
    for name, value in values.items():
        if value is True:
            parts.append(name)
        elif value not in (None, False):
            parts.append(f"{name}={value}")
    return ", ".join(parts)
