"""Records to the content of lines and back; every text has a cap and loses its secrets."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.domain.audit import AuditEntry, AuditKind
from gateway.observe.redact import redact_text

__all__ = [
    "CAPS",
    "MAX_SUBJECT_FIELDS",
    "MAX_SUBJECT_TEXT",
    "content_of",
    "entry_from",
    "format_time",
    "parse_time",
]

CAPS: dict[str, int] = {
    "entry_id": 64, "action": 32, "object_id": 128, "device_id": 32, "channel_id": 64, "result": 64, "rule": 128,
    "reason": 64, "detail": 600, "purpose": 200, "ticket": 128, "source": 128, "via": 16, "ref": 64,
}  # fmt: skip
"""Characters kept of each text; peers write some of them, and a record that grows at a peer's will fills the disk."""

MAX_SUBJECT_FIELDS = 10
"""Fields kept of a subject; it has seven."""
MAX_SUBJECT_TEXT = 256
"""Characters kept of each field of a subject; the gateways an identity came through stand in one."""

_CUT = "…"
_FREE = ("object_id", "detail", "purpose", "ticket", "source")
"""Texts of which a peer or a person writes any part: what looks like a secret is taken out."""
_SHORT = tuple(name for name in CAPS if name not in _FREE)


def content_of(entry: AuditEntry) -> dict[str, Any]:
    """Return the members of a record's line; empty ones are left out."""
    content: dict[str, Any] = {"at": format_time(entry.at), "kind": entry.kind.value}
    for name in _SHORT:
        value = getattr(entry, name)
        if value:
            content[name] = value if len(value) <= CAPS[name] else _cut(value, CAPS[name])
    for name in _FREE:
        value = getattr(entry, name)
        if value:
            # Cut before too: how long the search for secrets takes is not for a peer to choose.
            content[name] = _cut(redact_text(value[: 4 * CAPS[name]]), CAPS[name])
    if entry.subject:
        content["subject"] = _subject(entry.subject)
    duration = entry.duration_s
    if duration is not None and math.isfinite(duration):
        content["duration_s"] = round(duration, 3)
    if entry.lasting:
        content["lasting"] = True
    return content


def entry_from(fields: Mapping[str, Any]) -> AuditEntry:
    """Return the record that a line holds.

    Raises:
        ValueError: it holds none that this version can read.
    """
    try:
        texts = {name: str(fields[name]) for name in CAPS if name in fields}
        duration = fields.get("duration_s")
        return AuditEntry(
            at=parse_time(fields["at"]),
            kind=AuditKind(fields["kind"]),
            subject={str(name): str(value) for name, value in fields.get("subject", {}).items()},
            duration_s=None if duration is None else float(duration),
            lasting=fields.get("lasting") is True,
            **{"entry_id": ""} | texts,
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"expected a record, got members {sorted(fields)}") from exc


def format_time(at: datetime) -> str:
    """Return a time as it stands in a line: UTC, microseconds, always of the same length."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat(timespec="microseconds")[:-6] + "Z"


def parse_time(text: object) -> datetime:
    """Return the time that stands in a line.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(text, str) or not text.endswith("Z"):
        raise ValueError(f"expected a time in UTC, got {text!r}")
    return datetime.fromisoformat(text)


def _subject(subject: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in subject.items():
        if len(kept) == MAX_SUBJECT_FIELDS:
            break
        kept[_cut(name, 32)] = _cut(value, MAX_SUBJECT_TEXT)
    return kept


def _cut(text: str, cap: int) -> str:
    return text if len(text) <= cap else text[: cap - 1] + _CUT
