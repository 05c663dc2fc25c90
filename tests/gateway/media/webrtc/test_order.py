"""Pictures in another order than they are shown."""

import pytest

from gateway.domain.rtp_out import RtpFrame
from gateway.media.webrtc.order import PictureOrder


def frame(timestamp: int, track: int = 0) -> RtpFrame:
    return RtpFrame(track=track, timestamp=timestamp, payloads=[b"x"], keyframe=False, size=1)


@pytest.mark.parametrize(
    ("stamps", "broken"),
    [([0, 1, 2, 3], False), ([0, 0, 1], False), ([0, 3, 1, 2, 6, 4, 5], True), ([], False)],
)
def test_order_is_that_of_the_time_stamps(stamps: list[int], broken: bool) -> None:
    one_by_one, at_once = PictureOrder(), PictureOrder()
    for stamp in stamps:
        one_by_one.look([frame(stamp)])
    assert one_by_one.broken is at_once.look([frame(stamp) for stamp in stamps]) is broken


def test_sound_between_the_pictures_has_a_clock_of_its_own() -> None:
    order = PictureOrder()
    assert not order.look([frame(90_000), frame(8_000, track=1), frame(93_600)])
    assert order.look([frame(8_160, track=1), frame(90_001)])
    assert order.look([frame(97_200)])
