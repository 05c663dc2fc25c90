"""Non-INVITE server transaction (RFC 3261 17.2.2, figure 8)."""

import enum
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar

from gb28181.sip.timers import TimerConfig
from gb28181.sip.transaction.events import Output, Send, Terminated, TransportFailed

__all__ = ["Input", "NonInviteServerTransaction", "State"]


class State(enum.Enum):
    """Figure 8, one member per box."""

    TRYING = enum.auto()
    PROCEEDING = enum.auto()
    COMPLETED = enum.auto()
    TERMINATED = enum.auto()


class Input(enum.Enum):
    """Figure 8, one member per arrow label."""

    REQUEST = enum.auto()
    SEND_PROVISIONAL = enum.auto()
    SEND_FINAL = enum.auto()
    TIMER_J = enum.auto()
    TRANSPORT_ERROR = enum.auto()


class NonInviteServerTransaction:
    """Answers one request once, and its retransmissions with the same bytes.

    There is one of these per keepalive of every device: it holds the response bytes and one
    deadline, nothing else.

    Args:
        reliable: Whether the transport is TCP or TLS; if so timer J is zero.
    """

    __slots__ = ("_deadline", "_reliable", "_response", "_timers", "state")

    def __init__(self, *, reliable: bool, timers: TimerConfig) -> None:
        self.state = State.TRYING
        self._reliable = reliable
        self._timers = timers
        self._response = b""
        self._deadline: float | None = None

    def next_timer(self) -> float | None:
        """Monotonic second at which :meth:`handle_timer` must run, if any."""
        return self._deadline

    def handle_timer(self, now: float) -> list[Output]:
        """Run timer J if it is due at `now`."""
        due = self._deadline
        if due is None or due > now:
            return []
        self._deadline = None
        return self._step(Input.TIMER_J, due)

    def receive_request(self, now: float) -> list[Output]:
        """Feed a retransmission of the request (17.2.3)."""
        return self._step(Input.REQUEST, now)

    def send_response(self, status: int, response: bytes, now: float) -> list[Output]:
        """Answer; a second final response is not sent."""
        given = Input.SEND_FINAL if status >= 200 else Input.SEND_PROVISIONAL
        entry = self._TABLE.get((self.state, given))
        if entry is None:
            return []
        self._response = response
        self.state, action = entry
        return action(self, now)

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
        return [Send(self._response)]

    def _complete(self, now: float) -> list[Output]:
        if not self._reliable:
            self._deadline = now + self._timers.timeout
            return [Send(self._response)]
        self.state = State.TERMINATED
        return [Send(self._response), Terminated()]

    def _fail(self, now: float) -> list[Output]:
        self._deadline = None
        return [TransportFailed(), Terminated()]

    def _terminate(self, now: float) -> list[Output]:
        return [Terminated()]

    # Read this table against figure 8. A pair that is absent is absorbed.
    _TABLE: ClassVar[
        Mapping[
            tuple[State, Input],
            tuple[State, Callable[["NonInviteServerTransaction", float], list[Output]]],
        ]
    ] = MappingProxyType(
        {
            (State.TRYING, Input.SEND_PROVISIONAL): (State.PROCEEDING, _send),
            (State.TRYING, Input.SEND_FINAL): (State.COMPLETED, _complete),
            (State.TRYING, Input.TRANSPORT_ERROR): (State.TERMINATED, _fail),
            (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, _send),
            (State.PROCEEDING, Input.SEND_PROVISIONAL): (State.PROCEEDING, _send),
            (State.PROCEEDING, Input.SEND_FINAL): (State.COMPLETED, _complete),
            (State.PROCEEDING, Input.TRANSPORT_ERROR): (State.TERMINATED, _fail),
            (State.COMPLETED, Input.REQUEST): (State.COMPLETED, _send),
            (State.COMPLETED, Input.TIMER_J): (State.TERMINATED, _terminate),
            (State.COMPLETED, Input.TRANSPORT_ERROR): (State.TERMINATED, _fail),
        }
    )
