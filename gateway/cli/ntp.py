"""Whether the kernel's clock is disciplined by NTP (adjtimex(2))."""

import ctypes

__all__ = ["clock_synchronised"]

_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    # struct timex; only its size matters, read-only with modes = 0.
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("values", ctypes.c_long * 12),
        ("rest", ctypes.c_char * 256),
    )


def clock_synchronised() -> bool | None:
    """Return whether the clock is synchronised; None where that cannot be told."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(_Timex()))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR
