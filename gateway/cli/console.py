"""Writing to a terminal what strangers wrote: names, purposes, what was asked for. It must not obey them."""

import json
import re
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

__all__ = ["PlainConsole", "json_text"]

_OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""What terminals act upon: control characters but line feed and tab, and what turns the direction of text."""
_SHOWN = "\N{REPLACEMENT CHARACTER}"


class PlainConsole(Console):
    """A console that shows a sign in place of each character a terminal would act upon.

    Args:
        stderr: Whether it writes there.
        file: Where to instead.
    """

    def __init__(self, *, stderr: bool = False, file: IO[str] | None = None) -> None:
        super().__init__(stderr=stderr, file=file, highlight=False, markup=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render an object; the commands of rich itself stay as they are."""
        for segment in super().render(renderable, options):
            if segment.control or _OBEYED.search(segment.text) is None:
                yield segment
            else:
                yield Segment(_OBEYED.sub(_SHOWN, segment.text), segment.style)


def json_text(value: Any) -> str:  # noqa: ANN401 - whatever the API said
    """Return JSON for programs: stable, UTF-8, with what a terminal would act upon escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
