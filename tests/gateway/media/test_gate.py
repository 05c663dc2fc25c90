"""Whose packets are taken (quirks 90 to 93)."""

import pytest

from gateway.media.gate import HELD_BYTES, HELD_PACKETS, SsrcGate

DEVICE = ("10.0.0.5", 40_000)
OTHER = ("10.0.0.9", 50_000)
OFFERED, OWN, STRANGE = 100, 200, 300


def send(gate: SsrcGate, ssrc: int, source: tuple[str, int], now: float = 0.0) -> bool:
    return gate.accepts(ssrc, source, b"packet", now)


def test_the_offered_ssrc_binds_at_once_even_before_the_answer() -> None:
    gate = SsrcGate(OFFERED)
    assert send(gate, OFFERED, DEVICE)
    assert (gate.ssrc, gate.source) == (OFFERED, DEVICE)


def test_an_answer_with_another_ssrc_corrects_the_expectation() -> None:
    gate = SsrcGate(OFFERED)
    gate.answered(OWN, None, 0.0)
    assert send(gate, OWN, DEVICE)


def test_packets_of_another_ssrc_and_of_another_source_are_discarded_and_counted() -> None:
    gate = SsrcGate(OFFERED)
    send(gate, OFFERED, DEVICE)
    assert not send(gate, STRANGE, DEVICE)
    assert not send(gate, OFFERED, OTHER)
    assert send(gate, OFFERED, DEVICE)
    assert gate.discarded == 2


def test_an_unknown_ssrc_from_the_answered_host_is_learned_from_the_first_packet() -> None:
    gate = SsrcGate(OFFERED)
    gate.answered(OFFERED, DEVICE[0], 0.0)
    assert send(gate, STRANGE, DEVICE)
    assert gate.ssrc == STRANGE


def test_packets_before_the_answer_are_kept_and_released_by_it() -> None:
    gate = SsrcGate(OFFERED)
    assert not send(gate, STRANGE, DEVICE)
    assert not send(gate, STRANGE, DEVICE)
    assert gate.release(0.0) is None
    gate.answered(None, DEVICE[0], 1.0)
    assert gate.release(1.0) == (DEVICE, [b"packet", b"packet"])
    gate.drop_candidates()
    assert gate.discarded == 0


def test_behind_nat_an_unknown_ssrc_from_elsewhere_is_taken_after_a_wait() -> None:
    gate = SsrcGate(OFFERED)
    gate.answered(None, "192.168.1.64", 0.0)
    assert not send(gate, STRANGE, DEVICE, 0.1)
    assert gate.release(0.5) is None
    assert gate.release(1.1) == (DEVICE, [b"packet"])


def test_the_expected_ssrc_wins_over_a_stranger_that_came_first() -> None:
    gate = SsrcGate(OFFERED)
    gate.answered(None, "192.168.1.64", 0.0)
    assert not send(gate, STRANGE, OTHER, 0.1)
    assert send(gate, OFFERED, DEVICE, 0.2)
    gate.drop_candidates()
    assert gate.release(5.0) is None
    assert gate.discarded == 1


def test_what_strangers_may_leave_is_bounded() -> None:
    gate = SsrcGate(OFFERED)
    for number in range(3 * HELD_PACKETS):
        assert not send(gate, STRANGE, ("10.0.0.9", number % 8))
    gate.drop_candidates()
    assert gate.discarded == 3 * HELD_PACKETS


def test_a_sender_may_change_its_ssrc_in_the_middle() -> None:
    gate = SsrcGate(OFFERED)
    send(gate, OFFERED, DEVICE)
    taken = [send(gate, STRANGE, DEVICE, 0.1) for _ in range(40)]
    assert taken.index(True) == 31
    assert gate.ssrc == STRANGE


@pytest.mark.parametrize(("silence", "taken"), [(0.5, False), (2.5, True)])
def test_the_right_ssrc_from_a_new_address_is_taken_once_the_old_one_is_silent(
    silence: float, *, taken: bool
) -> None:
    gate = SsrcGate(OFFERED)
    send(gate, OFFERED, DEVICE, 0.0)
    assert send(gate, OFFERED, OTHER, silence) is taken
    assert not send(gate, STRANGE, ("10.0.0.7", 1), silence)


def test_the_registered_host_is_believed_like_the_answered_one() -> None:
    gate = SsrcGate(OFFERED, DEVICE[0])
    assert not send(gate, STRANGE, DEVICE), "the answer may still name an SSRC"
    gate.answered(None, "192.168.1.64", 0.0)
    assert gate.release(0.0) == (DEVICE, [b"packet"])
    assert gate.locked
    assert not gate.foreign


@pytest.mark.parametrize(
    ("ssrc", "source"),
    [(OFFERED, ("10.0.0.7", 1)), (OWN, ("10.0.0.7", 1)), (STRANGE, DEVICE), (0, ("10.0.0.6", 1))],
    ids=["offered SSRC", "answered SSRC", "answered host", "registered host"],
)
def test_a_stranger_who_came_first_makes_room_for_the_device(
    ssrc: int, source: tuple[str, int]
) -> None:
    gate = SsrcGate(OFFERED, "10.0.0.6")
    gate.answered(OWN, DEVICE[0], 0.0)
    assert send(gate, STRANGE, OTHER, 1.5)
    assert (gate.foreign, gate.locked) == (True, False)
    assert send(gate, ssrc, source, 1.6)
    assert (gate.ssrc, gate.source, gate.preempted) == (ssrc, source, 1)
    assert gate.locked
    assert not send(gate, STRANGE, OTHER, 1.7)
    assert not send(gate, STRANGE + 1, ("10.0.0.7", 2), 9.0)
    assert gate.source == source


def test_of_two_who_wait_the_better_one_is_released() -> None:
    gate = SsrcGate(OFFERED)
    send(gate, STRANGE, OTHER)
    send(gate, STRANGE, DEVICE)
    gate.answered(None, DEVICE[0], 0.0)
    assert gate.release(3.0) == (DEVICE, [b"packet"])


def test_the_right_ssrc_from_the_right_host_beats_the_ssrc_alone() -> None:
    gate = SsrcGate(OFFERED)
    assert send(gate, OFFERED, OTHER)
    gate.answered(None, DEVICE[0], 0.0)
    assert send(gate, OFFERED, DEVICE, 0.1)
    assert not send(gate, OFFERED, OTHER, 0.2)
    assert gate.preempted == 1


def test_a_stranger_who_fell_silent_leaves_the_place_to_the_next() -> None:
    gate = SsrcGate(OFFERED)
    gate.answered(None, "192.168.1.64", 0.0)
    assert send(gate, STRANGE, OTHER, 1.5)
    assert not send(gate, OWN, DEVICE, 2.0)
    assert send(gate, OWN, DEVICE, 3.6)


def test_strangers_who_wait_make_room_for_the_device() -> None:
    gate = SsrcGate(OFFERED, DEVICE[0])
    for number in range(4):
        send(gate, STRANGE, ("10.0.0.9", number))
    send(gate, STRANGE, DEVICE)
    gate.answered(None, None, 0.0)
    assert gate.release(0.0) == (DEVICE, [b"packet"])
    assert gate.discarded == 1


def test_what_one_sender_may_leave_is_bounded_in_bytes() -> None:
    gate = SsrcGate(OFFERED)
    for _ in range(100):
        gate.accepts(STRANGE, OTHER, bytes(60_000), 0.0)
    gate.answered(None, OTHER[0], 0.0)
    released = gate.release(0.0)
    assert released is not None
    assert sum(map(len, released[1])) <= HELD_BYTES + 60_000
