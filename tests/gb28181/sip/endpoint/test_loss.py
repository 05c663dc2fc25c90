"""INVITE, MESSAGE and BYE over a network that loses, repeats and reorders a third of everything."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gb28181.sip.dialog.invite_call import InviteAccepted, InviteFailed, InviteRefused
from gb28181.sip.dialog.invite_session import SessionEnded
from gb28181.sip.dialog.request import RequestFailed, ResponseReceived
from gb28181.sip.endpoint import RequestReceived
from tests.support.calls import Pair
from tests.support.net import Faults, Host

faults = st.builds(
    Faults,
    loss=st.just(0.3),
    duplication=st.sampled_from([0.0, 0.3]),
    delay=st.sampled_from([(0.01, 0.01), (0.001, 0.8)]),
    seed=st.integers(0, 2**32),
)


def assert_nothing_is_left(*hosts: Host) -> None:
    for host in hosts:
        assert len(host.endpoint.transactions) == 0
        assert host.endpoint.dialogs.held == 0
        assert host.endpoint.next_timer() is None


@given(faults)
@settings(deadline=None)
def test_a_message_is_delivered_once_and_has_one_outcome(pattern: Faults) -> None:
    pair = Pair(pattern)
    pair.message()
    pair.network.run(200.0)
    outcomes = pair.platform.of(ResponseReceived) + pair.platform.of(RequestFailed)
    assert len(outcomes) == 1
    assert len(pair.device.of(RequestReceived)) <= 1
    assert len(pair.device.of(RequestReceived)) >= len(pair.platform.of(ResponseReceived))
    assert_nothing_is_left(pair.platform, pair.device)


@given(faults, st.sampled_from([200, 486]), st.sampled_from([None, 180]))
@settings(deadline=None)
def test_an_invite_has_one_outcome_and_a_bye_ends_it_on_both_sides(
    pattern: Faults, answer: int, provisional: int | None
) -> None:
    pair = Pair(pattern, answer=answer, provisional=provisional)
    call = pair.call()
    pair.network.run(100.0)
    kinds = (InviteAccepted, InviteRefused, InviteFailed)
    outcomes = [event for event in pair.platform.events if isinstance(event, kinds)]
    assert len(outcomes) == 1
    assert len(pair.device.of(RequestReceived)) <= 1
    if call.session is not None:
        call.session.bye(pair.network.now)
    pair.network.run(300.0)
    assert pair.accepted is None or pair.accepted.ended or call.session is None
    pair.network.run(600.0)
    assert len(pair.device.of(SessionEnded)) <= 1
    if pair.accepted is not None and not pair.accepted.ended:
        pair.accepted.bye(pair.network.now)
    pair.network.run(900.0)
    assert_nothing_is_left(pair.platform, pair.device)


@given(faults, st.floats(0.0, 8.0))
@settings(deadline=None)
def test_a_cancelled_invite_leaves_nothing_whenever_the_cancel_comes(
    pattern: Faults, cancel_at: float
) -> None:
    pair = Pair(pattern, answer=None)
    call = pair.call()
    pair.network.run(cancel_at / 2)
    if pair.incoming and pair.incoming[-1].invite is not None:
        pair.accept()
    pair.network.run(cancel_at)
    call.cancel(pair.network.now)
    pair.network.run(500.0)
    for session in (call.session, pair.accepted):
        if session is not None:
            session.bye(pair.network.now)
    pair.network.run(900.0)
    assert_nothing_is_left(pair.platform, pair.device)
