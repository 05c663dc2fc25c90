"""Reading one rule, and refusing those that could never do anything."""

from datetime import datetime

from gateway.domain.policy import Action, Obligations
from gateway.domain.selector import ChannelSelector
from gateway.sharing.policy.clause import read_objects, read_subjects
from gateway.sharing.policy.model import Conditions, Effect, Rule
from gateway.sharing.policy.reader import TableReader
from gateway.sharing.policy.value import action, rule_id, zone
from gateway.sharing.policy.window import MAX_WINDOWS, WeeklyWindows

__all__ = ["MAX_STREAMS", "STREAMING", "read_rule"]

MAX_STREAMS = 10_000
"""Highest limit of concurrent streams: all viewers the gateway takes."""
MAX_DESCRIPTION = 500
"""Characters."""
MAX_MASK = 60
"""Characters of a masked name; names of channels have at most this many Chinese characters."""

STREAMING = frozenset({Action.LIVE, Action.PLAYBACK, Action.DOWNLOAD, Action.TALK})
"""Actions that are streams and count towards `max_streams`."""

_ALLOW_ONLY = ("purpose_required", "ticket_required", "identity_required", "max_streams")


def read_rule(reader: TableReader, tags: frozenset[str]) -> Rule:
    """Read a `[[rule]]`; what is wrong with it is in the reader's report."""
    own_id = reader.text("id", limit=64, required=True)
    if own_id:
        reader.call(f'rule "{own_id}"')
        try:
            rule_id(own_id)
        except ValueError as exc:
            reader.problem("id", str(exc))
    description = reader.text("description", limit=MAX_DESCRIPTION)
    effect = _effect(reader)
    subjects = read_subjects(reader)
    objects = read_objects(reader, tags) if reader.has("objects") else ChannelSelector()
    actions = _actions(reader, effect)
    conditions, max_streams = _context(reader, effect)
    obligations = _obligations(reader, effect, actions, max_streams)
    reader.finish()
    if max_streams is not None and not actions & STREAMING:
        reader.remark("context", "max_streams counts streams, and the rule allows none")
    return Rule(
        rule_id=own_id,
        effect=effect,
        subjects=subjects,
        objects=objects,
        actions=actions,
        conditions=conditions,
        obligations=obligations,
        description=description,
        line=reader.line,
    )


def _effect(reader: TableReader) -> Effect:
    text = reader.text("effect", limit=16, required=True)
    try:
        return Effect(text)
    except ValueError:
        if text:
            reader.problem("effect", f"expected allow or deny, got {text!r}")
        return Effect.DENY


def _actions(reader: TableReader, effect: Effect) -> frozenset[Action]:
    if not reader.has("actions"):
        reader.problem("actions", "expected a list of actions, the key is missing")

    def parse(text: str) -> Action | None:
        if text != "*":
            return action(text)
        if effect is Effect.ALLOW:
            raise ValueError("expected the actions one by one; only a deny rule may say '*'")
        return None

    found = reader.texts("actions", parse, count=len(Action) * 2)
    named = frozenset(item for item in found if item is not None)
    return frozenset(Action) if None in found else named


def _context(reader: TableReader, effect: Effect) -> tuple[Conditions, int | None]:
    table = reader.table("context")
    if table is None:
        return Conditions(), None
    if effect is Effect.DENY:
        for key in _ALLOW_ONLY:
            if table.has(key):
                table.problem(key, "a deny rule cannot demand anything; make an allow rule of it")
    windows = _windows(table)
    conditions = Conditions(
        valid_from=table.moment("valid_from"),
        valid_to=table.moment("valid_to", end=True),
        windows=windows,
        zones=frozenset(table.texts("zones", zone)),
        purpose_required=table.flag("purpose_required"),
        ticket_required=table.flag("ticket_required"),
        identity_required=table.flag("identity_required"),
    )
    max_streams = table.integer("max_streams", 1, MAX_STREAMS)
    table.finish()
    _check_reachable(table, conditions.valid_from, conditions.valid_to, windows)
    return conditions, max_streams


def _windows(table: TableReader) -> WeeklyWindows | None:
    def parse(text: str) -> str:
        WeeklyWindows.parse([text])
        return text

    texts = table.texts("windows", parse, count=MAX_WINDOWS)
    return WeeklyWindows.parse(texts) if texts else None


def _check_reachable(
    table: TableReader,
    valid_from: datetime | None,
    valid_to: datetime | None,
    windows: WeeklyWindows | None,
) -> None:
    if valid_from is None or valid_to is None:
        return
    if valid_to <= valid_from:
        table.problem(
            "valid_to",
            f"expected a time after valid_from ({valid_from.isoformat()}), got {valid_to.isoformat()}",
        )
    elif windows is not None:
        opens = windows.next_open(valid_from.timestamp())
        if opens >= valid_to.timestamp():
            table.problem(
                "windows",
                f"expected one that opens between {valid_from.isoformat()} and {valid_to.isoformat()}, "
                f"got {', '.join(windows.texts)[:80]}",
            )


def _obligations(
    reader: TableReader, effect: Effect, actions: frozenset[Action], max_streams: int | None
) -> Obligations:
    table = reader.table("obligations")
    if table is None:
        return Obligations(max_streams=max_streams)
    if effect is Effect.DENY:
        reader.problem("obligations", "a deny rule cannot oblige anybody; make an allow rule of it")
    obligations = Obligations(
        sub_stream=table.flag("sub_stream"),
        mask_name=table.text("mask_name", limit=MAX_MASK) or None,
        mask_position=table.flag("mask_position"),
        notify_owner=table.flag("notify_owner"),
        max_streams=max_streams,
    )
    if table.is_empty:
        table.problem("", "expected at least one obligation, got none")
    if obligations.sub_stream and not actions & STREAMING:
        table.remark("sub_stream", "the rule allows no stream")
    table.finish()
    return obligations
