"""What was sent lately is found by its number on the wire, across wraps, and forgotten in time."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.media.webrtc.history import MAX_PACKETS, SentHistory


@given(
    st.integers(0, 1 << 20),
    st.lists(st.integers(1, 60), min_size=1, max_size=300),
)
def test_every_recent_packet_is_found_and_nothing_else(first: int, counts: list[int]) -> None:
    history, sent, number = SentHistory(), {}, first
    for at, count in enumerate(counts):
        payloads = [f"{at}.{part}".encode() for part in range(count)]
        history.note(number, payloads, at * 3_600, marker=True)
        for part, payload in enumerate(payloads):
            sent[number + part] = (number + part, payload, at * 3_600, part == count - 1)
        number += count
    recent = range(max(first, number - min(MAX_PACKETS, 5_000)), number)
    kept = [sequence for sequence in recent if history.find(sequence & 0xFFFF) is not None]
    for sequence in kept:
        assert history.find(sequence & 0xFFFF) == sent[sequence]
    # 256 frames at least are kept of what is not older than so many packets.
    assert len(kept) >= min(len(recent), sum(counts[-256:]))
    assert history.find(number & 0xFFFF) is None, "not sent yet"
    assert history.find((first - 1) & 0xFFFF) is None, "before the first"


def test_memory_is_bounded() -> None:
    history = SentHistory()
    for number in range(100_000):
        history.note(number, (b"x",), 0, marker=True)
    assert len(history._runs) <= 512
    assert history.find((100_000 - 256) & 0xFFFF) is not None
    assert history.find((100_000 - MAX_PACKETS) & 0xFFFF) is None


def test_a_number_of_an_earlier_round_is_not_taken_for_a_later_one() -> None:
    history = SentHistory()
    for number in range(65_536 + 10):
        history.note(number, (b"%d" % number,), 0, marker=False)
    found = history.find(5)
    assert found is not None
    assert found[1] == b"65541"
