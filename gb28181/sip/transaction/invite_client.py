"""INVITE client transaction (RFC 3261 17.1.1, figure 5, as corrected by RFC 6026 figure 1)."""

import enum
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar

from gb28181.sip.timers import TimerConfig
from gb28181.sip.transaction.events import (
    Deliver,
    Output,
    Send,
    Terminated,
    TimedOut,
    TransportFailed,
)

__all__ = ["Input", "InviteClientTransaction", "State"]

TIMER_D = 32.0
"""17.1.1.2: at least 32 seconds on unreliable transports, whatever T1 is."""


class State(enum.Enum):
    """RFC 6026 figure 1, one member per box."""

    CALLING = enum.auto()
    PROCEEDING = enum.auto()
    COMPLETED = enum.auto()
    ACCEPTED = enum.auto()
    TERMINATED = enum.auto()


class Input(enum.Enum):
    """RFC 6026 figure 1, one member per arrow label, and the user's wish to cancel."""

    PROVISIONAL = enum.auto()
    SUCCESS = enum.auto()
    REFUSAL = enum.auto()
    TIMER_A = enum.auto()
    TIMER_B = enum.auto()
    TIMER_D = enum.auto()
    TIMER_M = enum.auto()
    CANCEL = enum.auto()
    TRANSPORT_ERROR = enum.auto()


class InviteClientTransaction:
    """Sends one INVITE until a final response comes or timer B fires; acknowledges refusals.

    A 2xx is delivered every time it comes until timer M fires: acknowledging it is the business
    of the dialog usage (13.2.2.4).

    Args:
        request: Serialized INVITE; retransmissions are byte-identical.
        reliable: Whether the transport is TCP or TLS; if so timers A and D are zero.
        now: Monotonic time in seconds.
    """

    def __init__(
        self, request: bytes, *, reliable: bool, now: float, timers: TimerConfig | None = None
    ) -> None:
        self.state = State.CALLING
        self._request = request
        self._reliable = reliable
        self._timers = timers or TimerConfig()
        self._interval = self._timers.t1
        self._deadlines = {Input.TIMER_B: now + self._timers.timeout}
        if not reliable:
            self._deadlines[Input.TIMER_A] = now + self._interval
        self._status = 0
        self._ack = b""

    def start(self) -> list[Output]:
        """Return the first transmission."""
        return [Send(self._request)]

    def next_timer(self) -> float | None:
        """Monotonic second at which :meth:`handle_timer` must run, if any."""
        return min(self._deadlines.values(), default=None)

    def handle_timer(self, now: float) -> list[Output]:
        """Run every timer due at `now`, earliest first."""
        outputs: list[Output] = []
        while (due := self.next_timer()) is not None and due <= now:
            timer = min(self._deadlines, key=self._deadlines.__getitem__)
            del self._deadlines[timer]
            outputs += self._step(timer, due)
        return outputs

    def receive_response(self, status: int, now: float, *, ack: bytes = b"") -> list[Output]:
        """Feed a response that matched this transaction; `ack` is the ACK if it is a refusal."""
        self._status = status
        if status < 200:
            return self._step(Input.PROVISIONAL, now)
        if status < 300:
            return self._step(Input.SUCCESS, now)
        self._ack = ack
        return self._step(Input.REFUSAL, now)

    def cancel(self, now: float) -> list[Output]:
        """Stop retransmitting and wait at most 64*T1 more for the final response (9.1)."""
        return self._step(Input.CANCEL, now)

    def transport_failed(self, now: float) -> list[Output]:
        """Report that the last :class:`Send` could not be carried out, or the connection is gone."""
        return self._step(Input.TRANSPORT_ERROR, now)

    def _step(self, given: Input, now: float) -> list[Output]:
        entry = self._TABLE.get((self.state, given))
        if entry is None:
            return []
        self.state, action = entry
        return action(self, now)

    def _retransmit(self, now: float) -> list[Output]:
        # 17.1.1.2: doubles without the ceiling T2 that non-INVITE requests have.
        self._interval *= 2
        self._deadlines[Input.TIMER_A] = now + self._interval
        return [Send(self._request)]

    def _proceed(self, now: float) -> list[Output]:
        # 17.1.1.2: once a provisional response came, only the user ends the wait.
        self._deadlines.clear()
        return [Deliver(self._status)]

    def _deliver(self, now: float) -> list[Output]:
        return [Deliver(self._status)]

    def _limit_wait(self, now: float) -> list[Output]:
        self._deadlines.pop(Input.TIMER_A, None)
        self._deadlines[Input.TIMER_B] = now + self._timers.timeout
        return []

    def _accept(self, now: float) -> list[Output]:
        self._deadlines.clear()
        self._deadlines[Input.TIMER_M] = now + self._timers.timeout
        return [Deliver(self._status)]

    def _refuse(self, now: float) -> list[Output]:
        self._deadlines.clear()
        outputs: list[Output] = [Send(self._ack), Deliver(self._status)]
        if not self._reliable:
            self._deadlines[Input.TIMER_D] = now + TIMER_D
            return outputs
        self.state = State.TERMINATED
        return [*outputs, Terminated()]

    def _acknowledge(self, now: float) -> list[Output]:
        return [Send(self._ack)]

    def _time_out(self, now: float) -> list[Output]:
        self._deadlines.clear()
        return [TimedOut(), Terminated()]

    def _fail(self, now: float) -> list[Output]:
        self._deadlines.clear()
        return [TransportFailed(), Terminated()]

    def _terminate(self, now: float) -> list[Output]:
        self._deadlines.clear()
        return [Terminated()]

    # Read this table against RFC 6026 figure 1. A pair that is absent is absorbed.
    _TABLE: ClassVar[
        Mapping[
            tuple[State, Input],
            tuple[State, Callable[["InviteClientTransaction", float], list[Output]]],
        ]
    ] = MappingProxyType(
        {
            (State.CALLING, Input.TIMER_A): (State.CALLING, _retransmit),
            (State.CALLING, Input.TIMER_B): (State.TERMINATED, _time_out),
            (State.CALLING, Input.PROVISIONAL): (State.PROCEEDING, _proceed),
            (State.CALLING, Input.SUCCESS): (State.ACCEPTED, _accept),
            (State.CALLING, Input.REFUSAL): (State.COMPLETED, _refuse),
            (State.CALLING, Input.CANCEL): (State.CALLING, _limit_wait),
            (State.CALLING, Input.TRANSPORT_ERROR): (State.TERMINATED, _fail),
            (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, _deliver),
            (State.PROCEEDING, Input.SUCCESS): (State.ACCEPTED, _accept),
            (State.PROCEEDING, Input.REFUSAL): (State.COMPLETED, _refuse),
            (State.PROCEEDING, Input.CANCEL): (State.PROCEEDING, _limit_wait),
            # 9.1: no final response 64*T1 after the CANCEL counts as cancelled.
            (State.PROCEEDING, Input.TIMER_B): (State.TERMINATED, _time_out),
            (State.PROCEEDING, Input.TRANSPORT_ERROR): (State.TERMINATED, _fail),
            (State.COMPLETED, Input.REFUSAL): (State.COMPLETED, _acknowledge),
            (State.COMPLETED, Input.TIMER_D): (State.TERMINATED, _terminate),
            # The refusal has been delivered: that its ACK was lost concerns nobody above.
            (State.COMPLETED, Input.TRANSPORT_ERROR): (State.TERMINATED, _terminate),
            (State.ACCEPTED, Input.SUCCESS): (State.ACCEPTED, _deliver),
            (State.ACCEPTED, Input.TIMER_M): (State.TERMINATED, _terminate),
        }
    )
