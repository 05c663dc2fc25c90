"""How a gateway finds itself again below itself, where codes are renamed on the way.

A ring of platforms would hand each item round and round, under a new code each time. So a gateway writes an
opaque mark of its own into the Model of its own platform: a field that systems have in the catalogues of all
editions and in DeviceInfo, and that is passed on as it is. It says nothing but "the same gateway again".

Where a catalogue leaves lower platforms out, as one by division does, their marks would be lost with them. Each item
below them then carries these itself, in a field of its own (`RouteMarks`).
"""

import re
import secrets
import string
from typing import Final

from gateway.domain.document import DocumentStore

__all__ = ["ROUTE_MARKS", "carries", "load_mark", "marked", "marks_in", "new_mark"]

_SIGN: Final = "~"
_LENGTH: Final = 14
"""Letters; 65 bits, so that no two gateways have the same."""
_MARKS: Final = re.compile(rf"{_SIGN}[a-z]{{{_LENGTH}}}")
ROUTE_MARKS: Final = "Info.RouteMarks"
"""Where a channel keeps the marks of platforms it came through and that are no items above it."""
_COLLECTION: Final = "gateway"
_KEY: Final = "loop_mark"


def new_mark() -> str:
    """Make a mark: letters only, so that nothing takes it for a code."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(_LENGTH))


def marked(model: str, mark: str) -> str:
    """Return a model with a mark behind it."""
    return f"{model} {_SIGN}{mark}".strip() if mark else model


def carries(model: str, mark: str) -> bool:
    """Whether a model has this mark."""
    return bool(mark) and f"{_SIGN}{mark}" in model


def marks_in(text: str) -> list[str]:
    """Return the marks in a model or a list of marks, as they stand there, each once."""
    return list(dict.fromkeys(_MARKS.findall(text))) if _SIGN in text else []


async def load_mark(store: DocumentStore) -> str:
    """Return this gateway's mark, which is made once and then kept.

    Raises:
        Unavailable: the store failed.
    """
    documents = await store.load_documents(_COLLECTION)
    mark = documents.get(_KEY, {}).get("mark")
    if isinstance(mark, str) and mark:
        return mark
    mark = new_mark()
    await store.save_document(_COLLECTION, _KEY, {"mark": mark})
    return mark
