"""The conditions of a rule in the form in which they are asked thousands of times a second."""

from gateway.domain.policy import AccessContext, Action, Subject
from gateway.sharing.policy.model import Rule

__all__ = ["FAILURES", "Terms"]

FAILURES = (
    "not_yet_valid",
    "expired",
    "outside_window",
    "zone",
    "identity_required",
    "purpose_required",
    "ticket_required",
)
"""Why a rule that matches does not allow, in the order in which it is asked; the last ones are nearest to a yes."""


class Terms:
    """When a rule holds.

    `plain`: always. `timed`: it begins or ceases by itself.
    """

    __slots__ = (
        "_identity",
        "_purpose",
        "_ticket",
        "_valid_from",
        "_valid_to",
        "_windows",
        "_zones",
        "plain",
        "timed",
    )

    def __init__(self, rule: Rule) -> None:
        conditions = rule.conditions
        self._valid_from = conditions.valid_from.timestamp() if conditions.valid_from else None
        self._valid_to = conditions.valid_to.timestamp() if conditions.valid_to else None
        self._windows = conditions.windows
        self._zones = conditions.zones
        self._purpose = conditions.purpose_required
        self._ticket = conditions.ticket_required
        self._identity = conditions.identity_required
        self.timed = bool(conditions.valid_from or conditions.valid_to or conditions.windows)
        self.plain = not (
            self.timed
            or self._zones
            or self._purpose
            or self._ticket
            or self._identity
            or rule.obligations.max_streams is not None
        )

    def failure(self, subject: Subject, action: Action, context: AccessContext, at: float) -> str:
        """Return the first condition that is not met, a word of `FAILURES`; empty if all are.

        Args:
            subject: Who asks.
            action: What for. A catalogue is never asked for with a purpose, so it needs none.
            context: The circumstances.
            at: Their time in POSIX seconds.
        """
        if self.timed and (word := self._untimely(at)):
            return word
        if self._zones and context.zone not in self._zones:
            return "zone"
        return "" if action is Action.CATALOG else self._undemanded(subject, context)

    def next_edge(self, at: float) -> float | None:
        """Return when the rule begins or ceases to hold next, after `at`; None if never."""
        if self._valid_to is not None and at >= self._valid_to:
            return None
        if self._valid_from is not None and at < self._valid_from:
            return self._valid_from
        edge = self._windows.next_edge(at) if self._windows is not None else None
        if edge is None or (self._valid_to is not None and self._valid_to < edge):
            return self._valid_to
        return edge

    def _undemanded(self, subject: Subject, context: AccessContext) -> str:
        if self._identity and not subject.identity:
            return "identity_required"
        if self._purpose and not context.purpose.strip():
            return "purpose_required"
        if self._ticket and not context.ticket.strip():
            return "ticket_required"
        return ""

    def _untimely(self, at: float) -> str:
        if self._valid_from is not None and at < self._valid_from:
            return "not_yet_valid"
        if self._valid_to is not None and at >= self._valid_to:
            return "expired"
        if self._windows is not None and not self._windows.is_open(at):
            return "outside_window"
        return ""
