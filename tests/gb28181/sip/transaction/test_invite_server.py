"""RFC 3261 17.2.1 with RFC 6026, on a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.sip.transaction.events import Deliver, Send, Terminated, TimedOut, TransportFailed
from gb28181.sip.transaction.invite_server import Input, InviteServerTransaction, State
from tests.support.machine import run_until, send_instants

TRYING, RINGING, OK, BUSY = b"100", b"180", b"200", b"486"


def start(*, reliable: bool = False) -> InviteServerTransaction:
    return InviteServerTransaction(TRYING, reliable=reliable, now=0.0)


def test_trying_is_sent_after_200_ms_and_again_for_each_retransmission() -> None:
    tx = start()
    assert tx.receive_request(0.1) == []
    assert run_until(tx, 60.0) == [(0.2, Send(TRYING))]
    assert tx.receive_request(0.5) == [Send(TRYING)]


def test_an_early_answer_replaces_trying() -> None:
    tx = start()
    assert tx.send_response(180, RINGING, 0.1) == [Send(RINGING)]
    assert tx.next_timer() is None
    assert tx.receive_request(0.5) == [Send(RINGING)]


def test_udp_repeats_a_refusal_at_the_intervals_of_timer_g_until_timer_h() -> None:
    tx = start()
    assert tx.send_response(486, BUSY, 0.0) == [Send(BUSY)]
    log = run_until(tx, 60.0)
    assert send_instants(log) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert log[-2:] == [(32.0, TimedOut()), (32.0, Terminated())]


def test_tcp_never_repeats_a_refusal() -> None:
    tx = start(reliable=True)
    tx.send_response(486, BUSY, 0.0)
    assert run_until(tx, 60.0) == [(32.0, TimedOut()), (32.0, Terminated())]


def test_the_ack_of_a_refusal_ends_repetition_and_timer_i_ends_the_rest() -> None:
    tx = start()
    tx.send_response(486, BUSY, 0.0)
    assert tx.receive_ack(0.3) == []
    assert tx.receive_request(0.4) == []
    assert tx.receive_ack(0.5) == []
    assert run_until(tx, 60.0) == [(5.3, Terminated())]


def test_on_tcp_the_ack_of_a_refusal_ends_it_at_once() -> None:
    tx = start(reliable=True)
    tx.send_response(486, BUSY, 0.0)
    assert tx.receive_ack(0.3) == [Terminated()]


def test_after_a_2xx_retransmissions_are_absorbed_until_timer_l() -> None:
    tx = start()
    assert tx.send_response(200, OK, 1.0) == [Send(OK)]
    assert tx.receive_request(1.2) == []
    assert tx.send_response(200, OK, 1.5) == [Send(OK)]
    assert tx.send_response(486, BUSY, 1.6) == []
    assert tx.receive_ack(1.7) == [Deliver(0)]
    assert run_until(tx, 60.0) == [(33.0, Terminated())]


def test_a_transport_error_is_told_and_changes_nothing() -> None:
    tx = start()
    assert tx.transport_failed(0.1) == [TransportFailed()]
    assert tx.state is State.PROCEEDING


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
            st.sampled_from(["time", "invite", "ack", 100, 180, 200, 486, "error"]),
            st.floats(0.01, 40.0),
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
    outputs = tx.receive_request(now)
    for kind, step in history:
        now += step
        outputs += tx.handle_timer(now)
        if isinstance(kind, int):
            outputs += tx.send_response(kind, str(kind).encode(), now)
        elif kind == "invite":
            outputs += tx.receive_request(now)
        elif kind == "ack":
            outputs += tx.receive_ack(now)
        elif kind == "error":
            outputs += tx.transport_failed(now)
    outputs += tx.send_response(486, BUSY, now)
    outputs += tx.handle_timer(now + 100.0)
    assert outputs.count(Terminated()) == 1
    assert outputs[-1] == Terminated()
    assert tx.next_timer() is None
