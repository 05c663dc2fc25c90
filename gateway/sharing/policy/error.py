"""What is wrong with a policy, in one line for people and in parts for programs."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.errors import Invalid

__all__ = ["MAX_PROBLEMS", "PolicyError", "Problem"]

MAX_PROBLEMS = 20
"""Problems of one file that are told; whoever mends these sees the rest the next time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, or probably not meant."""

    line: int = 0
    """Counted from 1; 0 where there is no text, as in a request's JSON."""
    column: int = 0
    key: str = ""
    """What it is about, e.g. `rule "night-live" context.windows`; empty for broken syntax."""
    reason: str
    """What was expected and what came."""

    def sentence(self, source: str) -> str:
        """Return it in one line: file, line, key, expected, got."""
        place = source
        if self.line:
            place += f", line {self.line}"
            if not self.key:
                place += f", column {self.column}"
        return f"{place}: {self.key}: {self.reason}" if self.key else f"{place}: {self.reason}"


class PolicyError(Invalid):
    """A policy that cannot be used; none of it was taken over.

    Args:
        problems: What is wrong, at least one.
        source: Name of the file, for the sentences.
    """

    def __init__(self, problems: Sequence[Problem], source: str = "policy") -> None:
        self.problems = tuple(problems)
        self.source = source
        first = self.problems[0]
        self.line = first.line
        self.column = first.column
        self.key = first.key
        self.reason = first.reason
        self.sentences = tuple(problem.sentence(source) for problem in self.problems)
        more = len(self.problems) - 1
        super().__init__(
            "policy_invalid", self.sentences[0] + (f" (and {more} more)" if more else "")
        )
