"""Frames go out at once, many packets in time, everything in order."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from gateway.media.webrtc.pacer import DEPTH, INTERVAL, MAX_WAITING, Pacer, Run


class Bench:
    """A pacer with a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.sent: list[tuple[float, int, bytes]] = []
        self.pacer = Pacer(
            self._send,
            call_later=lambda seconds, what: self.timers.append((self.now + seconds, what)),
            clock=lambda: self.now,
        )

    def _send(self, run: Run, start: int, end: int) -> None:
        self.sent += [(self.now, run.timestamp, payload) for payload in run.payloads[start:end]]

    def advance(self, until: float) -> None:
        while self.timers and min(at for at, _ in self.timers) <= until:
            self.timers.sort(key=lambda item: item[0])
            self.now, what = self.timers.pop(0)
            what()
        self.now = max(self.now, until)


def payloads(count: int, size: int = 1_000) -> list[bytes]:
    return [bytes([number % 256]) * size for number in range(count)]


def test_an_ordinary_frame_goes_out_at_once_without_a_timer() -> None:
    bench = Bench()
    for number in range(10):
        bench.now = number * 0.04
        assert bench.pacer.push(payloads(10), number, 10_000) == 0
    assert len(bench.sent) == 100
    assert bench.timers == []


def test_a_large_frame_is_spread_at_the_rate() -> None:
    bench = Bench()
    bench.pacer.rate = 2_000_000
    bench.pacer.push(payloads(264), 7, 264_000)
    assert len(bench.sent) == DEPTH // 1_000
    bench.advance(1.0)
    assert len(bench.sent) == 264
    # 200 kB at 2 MB/s.
    assert 0.09 <= bench.sent[-1][0] <= 0.1 + 2 * INTERVAL
    assert bench.pacer.waiting == 0
    assert bench.timers == []


def test_later_frames_wait_behind_earlier_ones() -> None:
    bench = Bench()
    bench.pacer.push(payloads(200), 1, 200_000)
    bench.pacer.push(payloads(1), 2, 1_000)
    bench.advance(1.0)
    assert [stamp for _, stamp, _ in bench.sent] == [1] * 200 + [2]


@given(st.lists(st.tuples(st.integers(1, 150), st.floats(0, 0.08)), max_size=40))
def test_nothing_is_lost_or_reordered_and_the_rate_is_kept(
    frames: list[tuple[int, float]],
) -> None:
    bench, expected, now = Bench(), [], 0.0
    for number, (count, wait) in enumerate(frames):
        now += wait
        bench.advance(now)
        bench.pacer.push(payloads(count), number, count * 1_000)
        expected += [(number, payload) for payload in payloads(count)]
    bench.advance(now + 60.0)
    assert [(stamp, payload) for _, stamp, payload in bench.sent] == expected
    for start in range(0, len(bench.sent), 37):
        first = bench.sent[start][0]
        soon = [1 for at, _, _ in bench.sent[start:] if at <= first + 0.1]
        assert len(soon) * 1_000 <= DEPTH + 0.1 * bench.pacer.rate + 2_000


def test_what_waits_too_long_is_dropped_and_told() -> None:
    bench = Bench()
    bench.pacer.push([b"x" * 1_000] * 10_000, 1, 10_000_000)
    bench.pacer.push(payloads(1), 2, 1_000)
    assert bench.pacer.push([b"y" * 1_000] * 10_000, 3, 10_000_000) == 2
    assert bench.pacer.waiting <= MAX_WAITING
    bench.advance(100.0)
    assert {stamp for _, stamp, _ in bench.sent} == {1, 3}


def test_a_cleared_pacer_sends_no_more() -> None:
    bench = Bench()
    bench.pacer.push(payloads(200), 1, 200_000)
    sent = len(bench.sent)
    bench.pacer.clear()
    bench.advance(1.0)
    assert len(bench.sent) == sent
