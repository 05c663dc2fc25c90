"""Moves a transaction's clock from deadline to deadline."""

from typing import Protocol

from gb28181.sip.transaction.events import Output, Send

__all__ = ["run_until", "send_instants"]


class Timed(Protocol):
    """Anything with the timer half of the sans-IO surface."""

    def next_timer(self) -> float | None: ...

    def handle_timer(self, now: float) -> list[Output]: ...


def run_until(machine: Timed, end: float) -> list[tuple[float, Output]]:
    """Fire timers one deadline at a time and record when each output came."""
    log: list[tuple[float, Output]] = []
    while (at := machine.next_timer()) is not None and at <= end:
        log += [(at, out) for out in machine.handle_timer(at)]
    return log


def send_instants(log: list[tuple[float, Output]]) -> list[float]:
    """Return the instants at which something was sent."""
    return [round(at, 6) for at, out in log if isinstance(out, Send)]
