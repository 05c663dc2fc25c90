"""Decisions that no rule makes."""

from gateway.domain.policy import Decision

__all__ = ["FILTERED", "UNAVAILABLE", "UNKNOWN"]

UNAVAILABLE = Decision(
    allowed=False,
    rule="builtin:audit",
    reason="audit_unavailable",
    detail="Accesses cannot be put on record at the moment, so nothing is given out",
)
FILTERED = Decision(
    allowed=True,
    rule="builtin:filtered",
    reason="allowed",
    detail="Decided channel by channel",
)
UNKNOWN = Decision(allowed=False, reason="no_rule", detail="Nothing of that name was ever given")
