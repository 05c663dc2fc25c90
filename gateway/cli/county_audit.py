"""The audit of the county demo: one viewing on record at every level, and every record verified."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from gateway.cli.county_plan import LEVELS, WATCHED, Level
from gateway.cli.county_show import Narrator, StepFailed
from gateway.cli.county_site import Node, Site
from gateway.sharing.audit.verify import verify
from gb28181.aio.clock import monotonic

__all__ = ["show_audit"]

_ENDS = {
    "refused": "county_end_refused",
    "stopped": "county_end_stopped",
    "source_ended": "county_end_below",
    "source_lost": "county_end_below",
    "device_bye": "county_end_below",
    "upper_bye": "county_end_above",
    "viewer_left": "county_end_viewer",
}
"""Words for how an access ended; others are shown as they stand on record."""


async def show_audit(site: Site, show: Narrator) -> int:
    """Show and verify; returns the records of all gateways.

    Raises:
        StepFailed: an audit does not stand.
    """
    show.step("county_audit")
    await _show_trail(site, show)
    total = await _verify_all(site, show)
    await _show_forgery(site, show)
    return total


async def _show_trail(site: Site, show: Narrator) -> None:
    """The same viewing as each level has it on record."""
    code = site.recorder.channels[WATCHED].channel_id
    show.line("county_trail", code=code)
    table = show.table(
        "county_level",
        "county_who",
        "county_rule",
        "county_why",
        "county_end",
        whole=frozenset({0, 2, 4}),
    )
    ways = _ways_up(site.simulators[0][0].level)
    for node in (node for node in site.nodes.values() if node.level.code in ways):
        name = show.pick(node.level.names)
        page = await node.api.get("audit", action="live", channel_id=code, limit=20)
        if not page["items"]:
            raise StepFailed(show.say("county_unrecorded", level=name, code=code))
        # Key frames asked for are accesses, too, but of a moment.
        rows = [
            row for row in page["items"] if row["ended"] or row["open"] or row["result"] == "deny"
        ]
        for number, row in enumerate(reversed(rows)):
            allowed = row["result"] == "allow"
            table.add_row(
                name if number == 0 else "",
                _who(site, show, row["subject"]),
                f"{'✓' if allowed else '✗'} {row['rule']}",
                row["purpose"],
                _end(show, row["ended"] if allowed else "refused"),
            )
    show.show(table)


def _ways_up(level: Level) -> set[str]:
    """Codes of the levels from one up to the highest."""
    uppers = {item.code: item.upper for item in LEVELS}
    found, code = set(), level.code
    while code:
        found.add(code)
        code = uppers[code]
    return found


def _end(show: Narrator, word: str) -> str:
    key = _ENDS.get(word)
    return word if key is None else show.say(key)


def _who(site: Site, show: Narrator, subject: dict[str, str]) -> str:
    if department := subject.get("department"):
        return show.pick(site.callers[department].department.names)
    gateways, identity = subject.get("gateways", "").split("-"), subject.get("identity", "")
    codes = dict.fromkeys((subject.get("platform", ""), *gateways, identity))
    names = [show.pick(site.nodes[code].level.names) for code in codes if code in site.nodes]
    # The user part names a department's key, or the platform itself for its own people.
    names += [
        show.pick(caller.department.names)
        for caller in site.callers.values()
        if caller.key_id in identity
    ]
    return " ← ".join(names)


async def _verify_all(site: Site, show: Narrator) -> int:
    show.line("county_verify")
    table = show.table(
        "county_level",
        "county_records",
        "county_checkpoints",
        "county_unsigned",
        "county_verified",
        "county_took",
        right=frozenset({1, 2, 3, 5}),
    )
    total, broken = 0, []
    for node in site.nodes.values():
        name = show.pick(node.level.names)
        began = monotonic()
        report = await node.api.post("audit/verify")
        took = monotonic() - began
        total += report["records"]
        # A file holds its header, records and checkpoints; none of these is full and sealed.
        checkpoints = report["lines"] - report["records"] - report["segments"]
        table.add_row(
            name,
            str(report["records"]),
            str(checkpoints),
            str(report["unsigned"]),
            show.say("county_whole" if report["ok"] else "county_broken"),
            show.say("county_ms", ms=took * 1000),
        )
        if not report["ok"]:
            faults = report["faults"]
            broken.append(f"{name}: {faults[0]['detail'] if faults else '?'}")
    show.show(table)
    show.line("county_made", total=total)
    if broken:
        raise StepFailed(show.say("county_audit_broken", what="; ".join(broken)))
    return total


async def _show_forgery(site: Site, show: Narrator) -> None:
    """Change one character in a copy of the county's audit: verifying names the record."""
    found = await asyncio.to_thread(_forge_copy, site.county)
    if found is None:
        raise StepFailed(show.say("county_forgery_unseen"))
    show.line("county_forgery", seq=found)


def _forge_copy(node: Node) -> int | None:
    """Return the number of the record that verifying a forged copy names; blocks."""
    with tempfile.TemporaryDirectory(prefix="gateway-demo-forged-") as folder:
        copy = Path(folder) / "audit"
        shutil.copytree(node.folder / "audit", copy)
        log = min(copy.glob("*.log"))
        text = log.read_bytes()
        place = text.find(b"purpose_required")
        if place < 0:
            place = len(text) // 2
        log.write_bytes(text[:place] + b"P" + text[place + 1 :])
        report = verify(copy)
    if report.ok:
        return None
    return next((fault.seq for fault in report.faults if fault.seq is not None), None)
