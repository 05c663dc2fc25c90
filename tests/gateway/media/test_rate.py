"""Rates over the last ticks."""

from gateway.media.rate import RateMeter


def test_rates_are_those_of_the_last_ticks_only() -> None:
    meter = RateMeter()
    assert (meter.kbps(), meter.fps()) == (0.0, 0.0)
    meter.mark(0.0, 0)
    assert (meter.kbps(), meter.fps()) == (0.0, 0.0)
    for tick in range(1, 20):
        meter.mark(tick / 2, 10_000_000 if tick < 8 else 10_000_000 + (tick - 8) * 1000, tick * 10)
    assert (meter.kbps(), meter.fps()) == (16.0, 20.0)


def test_marks_at_the_same_instant_divide_by_no_zero() -> None:
    meter = RateMeter()
    meter.mark(1.0, 0)
    meter.mark(1.0, 100)
    assert meter.kbps() == 800.0
