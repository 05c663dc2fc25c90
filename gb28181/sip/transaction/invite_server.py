"""INVITE server transaction (RFC 3261 17.2.1, figure 7, as corrected by RFC 6026 figure 2)."""

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

__all__ = ["Input", "InviteServerTransaction", "State"]

TRYING_DELAY = 0.2
"""17.2.1: 100 (Trying) goes out unless the user answers within 200 ms."""


class State(enum.Enum):
    """RFC 6026 figure 2, one member per box."""

    PROCEEDING = enum.auto()
    COMPLETED = enum.auto()
    CONFIRMED = enum.auto()
    ACCEPTED = enum.auto()
    TERMINATED = enum.auto()


class Input(enum.Enum):
    """RFC 6026 figure 2, one member per arrow label, and the delay before 100 (Trying)."""

    REQUEST = enum.auto()
    ACK = enum.auto()
    SEND_PROVISIONAL = enum.auto()
    SEND_SUCCESS = enum.auto()
    SEND_REFUSAL = enum.auto()
    TIMER_TRYING = enum.auto()
    TIMER_G = enum.auto()
    TIMER_H = enum.auto()
    TIMER_I = enum.auto()
    TIMER_L = enum.auto()
    TRANSPORT_ERROR = enum.auto()


class InviteServerTransaction:
    """Answers one INVITE; repeats a refusal until it is acknowledged.

    A 2xx is repeated by the dialog usage, not here (13.3.1.4); after it this machine only
    absorbs retransmitted INVITEs until timer L fires. An ACK is delivered as `Deliver(0)`.

    Args:
        trying: Serialized 100 (Trying), sent if nothing else is within 200 ms.
        reliable: Whether the transport is TCP or TLS; if so timers G and I are zero.
        now: Monotonic time in seconds.
    """

    def __init__(
        self, trying: bytes, *, reliable: bool, now: float, timers: TimerConfig | None = None
    ) -> None:
        self.state = State.PROCEEDING
        self._trying = trying
        self._response = b""
        self._reliable = reliable
        self._timers = timers or TimerConfig()
        self._interval = self._timers.t1
        self._deadlines = {Input.TIMER_TRYING: now + TRYING_DELAY}

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

    def receive_request(self, now: float) -> list[Output]:
        """Feed a retransmission of the INVITE (17.2.3)."""
        return self._step(Input.REQUEST, now)

    def receive_ack(self, now: float) -> list[Output]:
        """Feed an ACK that matched this transaction (17.2.3)."""
        return self._step(Input.ACK, now)

    def send_response(self, status: int, response: bytes, now: float) -> list[Output]:
        """Answer; a second final response is not sent, except a repeated 2xx."""
        if status < 200:
            given = Input.SEND_PROVISIONAL
        elif status < 300:
            given = Input.SEND_SUCCESS
        else:
            given = Input.SEND_REFUSAL
        if (self.state, given) in self._TABLE:
            self._response = response
        return self._step(given, now)

    def transport_failed(self, now: float) -> list[Output]:
        """Report that the last :class:`Send` could not be carried out."""
        return self._step(Input.TRANSPORT_ERROR, now)

    def _step(self, given: Input, now: float) -> list[Output]:
        entry = self._TABLE.get((self.state, given))
        if entry is None:
            return []
        self.state, action = entry
        return action(self, now)

    def _send(self, now: float) -> list[Output]:
        self._deadlines.pop(Input.TIMER_TRYING, None)
        return [Send(self._response)]

    def _send_trying(self, now: float) -> list[Output]:
        self._response = self._trying
        return [Send(self._response)]

    def _repeat(self, now: float) -> list[Output]:
        return [Send(self._response)] if self._response else []

    def _accept(self, now: float) -> list[Output]:
        self._deadlines.clear()
        self._deadlines[Input.TIMER_L] = now + self._timers.timeout
        return [Send(self._response)]

    def _refuse(self, now: float) -> list[Output]:
        self._deadlines.clear()
        self._deadlines[Input.TIMER_H] = now + self._timers.timeout
        if not self._reliable:
            self._deadlines[Input.TIMER_G] = now + self._interval
        return [Send(self._response)]

    def _retransmit(self, now: float) -> list[Output]:
        self._interval = min(2 * self._interval, self._timers.t2)
        self._deadlines[Input.TIMER_G] = now + self._interval
        return [Send(self._response)]

    def _confirm(self, now: float) -> list[Output]:
        self._deadlines.clear()
        if not self._reliable:
            self._deadlines[Input.TIMER_I] = now + self._timers.t4
            return []
        self.state = State.TERMINATED
        return [Terminated()]

    def _deliver_ack(self, now: float) -> list[Output]:
        return [Deliver(0)]

    def _inform(self, now: float) -> list[Output]:
        return [TransportFailed()]

    def _time_out(self, now: float) -> list[Output]:
        self._deadlines.clear()
        return [TimedOut(), Terminated()]

    def _terminate(self, now: float) -> list[Output]:
        self._deadlines.clear()
        return [Terminated()]

    # Read this table against RFC 6026 figure 2. A pair that is absent is absorbed.
    _TABLE: ClassVar[
        Mapping[
            tuple[State, Input],
            tuple[State, Callable[["InviteServerTransaction", float], list[Output]]],
        ]
    ] = MappingProxyType(
        {
            (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, _repeat),
            (State.PROCEEDING, Input.TIMER_TRYING): (State.PROCEEDING, _send_trying),
            (State.PROCEEDING, Input.SEND_PROVISIONAL): (State.PROCEEDING, _send),
            (State.PROCEEDING, Input.SEND_SUCCESS): (State.ACCEPTED, _accept),
            (State.PROCEEDING, Input.SEND_REFUSAL): (State.COMPLETED, _refuse),
            # RFC 6026 7.1: a transport error no longer ends a server transaction.
            (State.PROCEEDING, Input.TRANSPORT_ERROR): (State.PROCEEDING, _inform),
            (State.COMPLETED, Input.REQUEST): (State.COMPLETED, _repeat),
            (State.COMPLETED, Input.TIMER_G): (State.COMPLETED, _retransmit),
            (State.COMPLETED, Input.TIMER_H): (State.TERMINATED, _time_out),
            (State.COMPLETED, Input.ACK): (State.CONFIRMED, _confirm),
            (State.COMPLETED, Input.TRANSPORT_ERROR): (State.COMPLETED, _inform),
            (State.CONFIRMED, Input.TIMER_I): (State.TERMINATED, _terminate),
            (State.ACCEPTED, Input.SEND_SUCCESS): (State.ACCEPTED, _send),
            (State.ACCEPTED, Input.ACK): (State.ACCEPTED, _deliver_ack),
            (State.ACCEPTED, Input.TIMER_L): (State.TERMINATED, _terminate),
            (State.ACCEPTED, Input.TRANSPORT_ERROR): (State.ACCEPTED, _inform),
        }
    )
