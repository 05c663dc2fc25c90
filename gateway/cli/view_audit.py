"""Tables about the audit."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from gateway.cli.text import Say
from gateway.cli.view import make_facts, make_table, when

__all__ = ["audit_cells", "audit_table", "report_view", "status_view"]

Json = dict[str, Any]


def audit_table(page: Json, say: Say) -> RenderableType:
    """Records of the audit, newest first."""
    table = make_table(
        say("audit"),
        "#",
        say("when"),
        say("kind"),
        say("who"),
        say("action"),
        say("object"),
        say("result"),
        say("rule"),
        say("reason"),
        say("purpose"),
        say("duration"),
    )
    for row in page["items"]:
        table.add_row(*audit_cells(row, say))
    return table


def audit_cells(row: Json, say: Say) -> list[Text]:
    """One record in a line of a table."""
    subject = row["subject"]
    who = " ".join(f"{name}:{value}" for name, value in subject.items()) or "-"
    style = {"deny": "red", "failed": "red", "allow": "green"}.get(row["result"], "")
    result = row["result"] + (f" → {row['ended']}" if row["ended"] else "")
    duration = say("lasting") if row["open"] else ""
    if row["duration_s"] is not None:
        duration = f"{row['duration_s']:.1f} s"
    values = [
        str(row["seq"]),
        when(row["at"], say, ago=False),
        say.code("audit", row["kind"]),
        who,
        row["action"],
        row["object_id"],
    ]
    more = [row["rule"], row["reason"], f"{row['purpose']} {row['ticket']}".strip(), duration]
    return [*map(Text, values), Text(result, style=style), *map(Text, more)]


def report_view(report: Json, say: Say) -> RenderableType:
    """What verifying the audit found."""
    lines: list[RenderableType] = []
    if report["ok"]:
        words = say("verify_ok", lines=report["lines"], records=report["records"])
        lines.append(Text(words, style="bold green"))
    else:
        lines.append(Text(say("verify_bad", count=report["fault_count"]), style="bold red"))
        for fault in report["faults"][:50]:
            place = ", ".join(
                f"{name} {fault[name]}"
                for name in ("segment", "line", "seq")
                if fault[name] is not None
            )
            lines.append(Text(f"  {fault['code']}  {place}  {fault['detail']}", style="red"))
    proven = ", ".join(f"{item['first_seq']}-{item['last_seq']}" for item in report["proven"])
    facts = [
        (say("segments"), f"{report['segments']} ({report['stubs']})"),
        (say("proven"), proven or "-"),
        (say("signed_at"), when(report["signed_at"], say) if report["signed_at"] else "-"),
        (say("fingerprint"), " ".join(report["keys"]) or "-"),
    ]
    if report["signed"]:
        facts.append((say("anchor_now"), f"{report['signed']['seq']}:{report['signed']['hash']}"))
    lines.append(make_facts(facts))
    if report["anchored"]:
        lines.append(Text(say("anchored"), style="green"))
    if report["unsigned"]:
        lines.append(Text(say("unsigned_lines", count=report["unsigned"]), style="yellow"))
    lines += [Text(say("lost_records", **gap), style="yellow") for gap in report["gaps"]]
    return Group(*lines)


def status_view(status: Json, say: Say) -> RenderableType:
    """The audit in figures."""
    facts: list[tuple[str, RenderableType]] = [
        (say("records"), str(status["records"])),
        (say("first_record"), when(status["first_at"], say)),
        (say("segments"), f"{status['segments']} ({status['stubs']})"),
        (say("lasting"), str(status["open"])),
        (say("fingerprint"), status["fingerprint"]),
    ]
    if status["signed"]:
        facts.append((say("anchor_now"), f"{status['signed']['seq']}:{status['signed']['hash']}"))
    if status["lost"]:
        facts.append((say("gaps"), Text(str(status["lost"]), style="red")))
    if not status["ok"]:
        facts.insert(0, (say("audit"), Text(say("audit_bad", why=status["detail"]), style="red")))
    return make_facts(facts)
