"""Answers given without a transaction, kept for a few seconds for those who ask again (RFC 3261 8.2.7)."""

from collections import OrderedDict

from gb28181.limits import MAX_BRIEF_ANSWERS
from gb28181.sip.message import Request

__all__ = ["BriefAnswers"]

_BRIEF = 8.0
"""Seconds for which an answer is repeated: four retransmissions."""
_Details = tuple[int, str | None]
_Brief = tuple[float, _Details, bytes]
"""Until when, for which request, with which bytes."""


class BriefAnswers:
    """The bytes of each; beyond the bound the oldest is forgotten."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Brief] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, key: str, request: Request, response: bytes, now: float) -> None:
        """Remember the answer to a request filed under `key`."""
        # A device that never changes its branch moves up with each answer.
        self._kept.pop(key, None)
        if len(self._kept) >= MAX_BRIEF_ANSWERS:
            self._kept.popitem(last=False)
        self._kept[key] = (now + _BRIEF, _details(request), response)

    def find(self, key: str, request: Request, now: float) -> bytes | None:
        """Return the answer that a retransmission gets again; None if it is a new request."""
        kept = self._kept.get(key)
        if kept is None or kept[0] <= now or kept[1] != _details(request):
            return None
        return kept[2]


def _details(request: Request) -> _Details:
    """Return what tells requests apart whose device never changes its branch."""
    authorization = request.headers.index.get("authorization")
    return request.cseq.number, authorization[0] if authorization else None
