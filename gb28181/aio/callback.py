"""Calls into whoever uses the stack: what they raise is reported and goes no further."""

from collections.abc import Callable
from typing import ParamSpec

from gb28181.aio.engine import SipEngine

__all__ = ["call_back"]

P = ParamSpec("P")


def call_back(
    engine: SipEngine,
    name: str,
    callback: Callable[P, None] | None,
    *args: P.args,
    **kwargs: P.kwargs,
) -> None:
    """Call a callback, if there is one; an error of it is reported under its name."""
    if callback is None:
        return
    try:
        callback(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - one dialog's callback
        engine.report_crash(name, error)
