"""Tells a new AAC configuration from a damaged header: what damage leaves looks like a header now and then."""

__all__ = ["SteadyAac"]

_SYNC = 0xFF
_PROFILE_AND_RATE = 0xFD
"""Of the third byte of an ADTS header: object type, sampling frequency, first bit of the channels."""
_CHANNELS = 0xC0
"""Of the fourth: the other bits of the channels."""


class SteadyAac:
    """Looks at the sound of one stream; another configuration counts once a second unit in a row has it.

    A change ends every viewer with sound, so that one damaged header must not be taken for it.
    """

    def __init__(self) -> None:
        self._known: tuple[int, int] | None = None
        self._other: tuple[int, int] | None = None

    def admits(self, payload: bytes) -> bool:
        """Whether a unit of ADTS frames is to be passed on; False loses it."""
        if len(payload) < 4 or payload[0] != _SYNC:
            return True
        said = payload[2] & _PROFILE_AND_RATE, payload[3] & _CHANNELS
        if self._known is None or said in {self._known, self._other}:
            self._known, self._other = said, None
            return True
        self._other = said
        return False
