"""RFC 3261 17.2.2, on a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.sip.timers import TimerConfig
from gb28181.sip.transaction.events import Output, Send, Terminated, TransportFailed
from gb28181.sip.transaction.non_invite_server import Input, NonInviteServerTransaction, State
from tests.support.machine import run_until

TRYING, OK = b"100", b"200"


def start(*, reliable: bool = False) -> NonInviteServerTransaction:
    return NonInviteServerTransaction(reliable=reliable, timers=TimerConfig())


def test_retransmissions_wait_for_the_answer_then_get_the_same_bytes() -> None:
    tx = start()
    assert tx.receive_request(0.1) == []
    assert tx.send_response(200, OK, 0.2) == [Send(OK)]
    assert tx.receive_request(0.5) == [Send(OK)]
    assert run_until(tx, 60.0) == [(32.2, Terminated())]


def test_a_provisional_response_is_repeated_for_retransmissions() -> None:
    tx = start()
    assert tx.send_response(100, TRYING, 0.2) == [Send(TRYING)]
    assert tx.receive_request(0.5) == [Send(TRYING)]


def test_a_second_final_response_is_not_sent() -> None:
    tx = start()
    tx.send_response(200, OK, 0.2)
    assert tx.send_response(500, b"500", 0.3) == []
    assert tx.receive_request(0.5) == [Send(OK)]


def test_on_tcp_the_answer_ends_it() -> None:
    assert start(reliable=True).send_response(200, OK, 0.2) == [Send(OK), Terminated()]


def test_a_transport_error_ends_it_once_something_was_sent() -> None:
    tx = start()
    tx.send_response(200, OK, 0.2)
    assert tx.transport_failed(0.2) == [TransportFailed(), Terminated()]
    assert tx.next_timer() is None


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("given_input", Input)
def test_every_pair_is_decided(state: State, given_input: Input) -> None:
    tx = start()
    tx.state = state
    outputs = tx._step(given_input, 1.0)
    assert (tx.state is State.TERMINATED) == (state is State.TERMINATED or Terminated() in outputs)
    assert bool(outputs) <= ((state, given_input) in tx._TABLE)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["time", "request", 100, 200, 486, "error"]), st.floats(0.01, 40.0)
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_any_history_terminates_exactly_once(
    history: list[tuple[str | int, float]], reliable: bool
) -> None:
    tx = start(reliable=reliable)
    now = 0.0
    outputs: list[Output] = []
    for kind, step in history:
        now += step
        outputs += tx.handle_timer(now)
        if isinstance(kind, int):
            outputs += tx.send_response(kind, str(kind).encode(), now)
        elif kind == "request":
            outputs += tx.receive_request(now)
        elif kind == "error":
            outputs += tx.transport_failed(now)
    outputs += tx.send_response(200, OK, now)
    outputs += tx.handle_timer(now + 100.0)
    assert outputs.count(Terminated()) == 1
    assert outputs[-1] == Terminated()
    assert tx.next_timer() is None
