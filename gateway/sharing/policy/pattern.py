"""Names in rules: exact ones, and ones with `*` (any text) and `?` (one character)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

__all__ = ["NO_PATTERNS", "Patterns", "glob_matches"]


@dataclass(frozen=True, slots=True)
class Patterns:
    """A list of names of which one must match; empty says nothing."""

    exact: frozenset[str] = frozenset()
    globs: tuple[str, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Sort texts into exact names and patterns."""
        exact: set[str] = set()
        globs: set[str] = set()
        for text in texts:
            (globs if "*" in text or "?" in text else exact).add(text)
        return cls(frozenset(exact), tuple(sorted(globs)))

    def __bool__(self) -> bool:
        return bool(self.exact) or bool(self.globs)

    @property
    def texts(self) -> list[str]:
        """All of them, sorted."""
        return sorted((*self.exact, *self.globs))

    def match(self, text: str) -> bool:
        """Whether a text is named; an empty text never is."""
        if not text:
            return False
        return text in self.exact or any(glob_matches(glob, text) for glob in self.globs)


NO_PATTERNS = Patterns()


def glob_matches(glob: str, text: str) -> bool:
    """Whether the whole text fits; takes at most len(glob) * len(text) steps, whatever the peer writes."""
    at_glob = at_text = 0
    star = -1
    retry = 0
    while at_text < len(text):
        if at_glob < len(glob) and glob[at_glob] == "*":
            star, retry = at_glob, at_text
            at_glob += 1
        elif at_glob < len(glob) and glob[at_glob] in ("?", text[at_text]):
            at_glob += 1
            at_text += 1
        elif star >= 0:
            retry += 1
            at_glob, at_text = star + 1, retry
        else:
            return False
    return not glob[at_glob:].strip("*")
