"""RFC 3261 17.1.1 with RFC 6026, on a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.sip.transaction.events import Deliver, Send, Terminated, TimedOut, TransportFailed
from gb28181.sip.transaction.invite_client import Input, InviteClientTransaction, State
from tests.support.machine import run_until, send_instants

INVITE = b"INVITE sip:34020000001320000001@3402000000 SIP/2.0\r\n\r\n"
ACK = b"ACK sip:34020000001320000001@3402000000 SIP/2.0\r\n\r\n"


def start(*, reliable: bool = False) -> InviteClientTransaction:
    tx = InviteClientTransaction(INVITE, reliable=reliable, now=0.0)
    assert tx.start() == [Send(INVITE)]
    return tx


def test_udp_retransmits_at_the_intervals_of_timer_a_then_times_out() -> None:
    tx = start()
    log = run_until(tx, 100.0)
    assert send_instants(log) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert log[-2:] == [(32.0, TimedOut()), (32.0, Terminated())]


def test_tcp_never_retransmits() -> None:
    assert run_until(start(reliable=True), 100.0) == [(32.0, TimedOut()), (32.0, Terminated())]


def test_a_provisional_response_ends_retransmission_and_timer_b() -> None:
    tx = start()
    assert tx.receive_response(100, 0.1) == [Deliver(100)]
    assert tx.receive_response(180, 9.0) == [Deliver(180)]
    assert tx.next_timer() is None


def test_every_2xx_is_delivered_until_timer_m() -> None:
    tx = start()
    assert tx.receive_response(200, 1.0) == [Deliver(200)]
    assert tx.receive_response(200, 1.5) == [Deliver(200)]
    assert tx.receive_response(486, 1.6) == []
    assert run_until(tx, 100.0) == [(33.0, Terminated())]


def test_a_refusal_is_delivered_once_and_acknowledged_every_time() -> None:
    tx = start()
    assert tx.receive_response(486, 1.0, ack=ACK) == [Send(ACK), Deliver(486)]
    assert tx.receive_response(486, 1.5, ack=ACK) == [Send(ACK)]
    assert run_until(tx, 100.0) == [(33.0, Terminated())]


def test_on_tcp_a_refusal_ends_it_at_once() -> None:
    tx = start(reliable=True)
    assert tx.receive_response(486, 1.0, ack=ACK) == [Send(ACK), Deliver(486), Terminated()]


def test_a_cancelled_call_is_not_retransmitted_and_ends_64_t1_later() -> None:
    tx = start()
    assert tx.cancel(2.0) == []
    assert run_until(tx, 100.0) == [(34.0, TimedOut()), (34.0, Terminated())]


def test_cancelling_limits_the_wait_after_a_provisional_response() -> None:
    tx = start()
    tx.receive_response(100, 0.1)
    assert tx.cancel(10.0) == []
    assert run_until(tx, 100.0) == [(42.0, TimedOut()), (42.0, Terminated())]


def test_a_transport_error_ends_it() -> None:
    tx = start()
    assert tx.transport_failed(0.1) == [TransportFailed(), Terminated()]
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
            st.sampled_from(["time", 100, 180, 200, 486, "cancel", "error"]), st.floats(0.01, 40.0)
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_any_history_terminates_exactly_once(
    history: list[tuple[str | int, float]], reliable: bool
) -> None:
    tx = InviteClientTransaction(INVITE, reliable=reliable, now=0.0)
    now, outputs = 0.0, tx.start()
    for kind, step in history:
        now += step
        outputs += tx.handle_timer(now)
        if isinstance(kind, int):
            outputs += tx.receive_response(kind, now, ack=ACK)
        elif kind == "cancel":
            outputs += tx.cancel(now)
        elif kind == "error":
            outputs += tx.transport_failed(now)
    outputs += tx.cancel(now)
    outputs += tx.handle_timer(now + 100.0)
    assert outputs.count(Terminated()) == 1
    assert outputs[-1] == Terminated()
    assert tx.next_timer() is None
