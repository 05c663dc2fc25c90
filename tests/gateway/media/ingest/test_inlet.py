"""What is published is kept since the last key frame, and read only by whoever watches."""

from collections.abc import Sequence

from gateway.domain.source import TagKind
from gateway.media.ingest.inlet import PushInlet
from gb28181.es.unit import MediaUnit
from tests.support.foreign_flv import H264_IDR, H264_SLICE, aac_tag, avc_tag

V, A = TagKind.VIDEO, TagKind.AUDIO


class Listener:
    """A taker that keeps what it is told."""

    def __init__(self) -> None:
        self.units: list[MediaUnit] = []
        self.interruptions = 0
        self.ends: list[tuple[str, str]] = []

    def take(self, units: Sequence[MediaUnit], size: int, source: str) -> None:
        self.units += units

    def interrupted(self) -> None:
        self.interruptions += 1

    def ended(self, code: str, detail: str) -> None:
        self.ends.append((code, detail))


def _inlet(clock: list[float], *, tags: int = 100, size: int = 100_000) -> PushInlet:
    return PushInlet("x", max_tags=tags, max_bytes=size, clock=lambda: clock[0])


def _publish(inlet: PushInlet, frames: int = 3) -> None:
    inlet.begin("192.0.2.1:9")
    inlet.tag(V, 0, avc_tag(None, key=True))
    inlet.tag(A, 0, aac_tag(None))
    inlet.tag(V, 0, avc_tag(H264_IDR, key=True))
    for number in range(1, frames):
        inlet.tag(A, number * 40, aac_tag(b"\x21\x10"))
        inlet.tag(V, number * 40, avc_tag(H264_SLICE, key=False))


def test_who_comes_later_gets_everything_since_the_last_key_frame() -> None:
    inlet, listener = _inlet([0.0]), Listener()
    _publish(inlet)
    _publish(inlet)
    inlet.attach(listener)
    assert [unit.is_video for unit in listener.units] == [True, False, True, False, True]
    assert listener.units[0].keyframe
    inlet.tag(V, 120, avc_tag(H264_SLICE, key=False))
    assert len(listener.units) == 6
    inlet.detach(listener)
    inlet.tag(V, 160, avc_tag(H264_SLICE, key=False))
    assert len(listener.units) == 6


def test_a_group_of_pictures_over_a_limit_is_not_kept() -> None:
    for inlet in (_inlet([0.0], tags=4), _inlet([0.0], size=150)):
        listener = Listener()
        _publish(inlet, frames=6)
        inlet.attach(listener)
        assert listener.units == []
        # The configuration is: the next key frame can be shown.
        inlet.tag(V, 400, avc_tag(H264_IDR, key=True))
        assert [unit.keyframe for unit in listener.units] == [True]


def test_another_publisher_begins_anew_for_whoever_watches() -> None:
    clock = [0.0]
    inlet, listener = _inlet(clock), Listener()
    _publish(inlet)
    inlet.attach(listener)
    clock[0] = 5.0
    assert inlet.silent_for == 5.0
    inlet.end("", "lost")
    assert (inlet.publishing, listener.ends) == (False, [])
    before = len(listener.units)
    _publish(inlet)
    assert (inlet.publishing, listener.interruptions) == (True, 1)
    assert listener.units[before].keyframe


def test_a_publisher_that_ends_for_good_ends_whoever_watches() -> None:
    inlet, listener = _inlet([0.0]), Listener()
    _publish(inlet)
    inlet.attach(listener)
    inlet.end("publisher_left", "bye")
    assert listener.ends == [("publisher_left", "bye")]
    later = Listener()
    inlet.attach(later)
    assert later.units == []


def test_its_bit_rate_is_told_while_something_comes() -> None:
    clock = [0.0]
    inlet = _inlet(clock)
    inlet.begin("192.0.2.1:9")
    for number in range(40):
        clock[0] = number * 0.1
        inlet.tag(V, number * 100, avc_tag(H264_IDR + bytes(1000), key=True))
    info = inlet.info()
    assert 60 < info.bitrate_kbps < 130
    assert (info.source, info.keyframes, info.payload) == ("192.0.2.1:9", 40, "flv")
    clock[0] += 10
    assert inlet.info().bitrate_kbps == 0
    inlet.close()
    assert inlet.info().source == ""


def test_a_publisher_without_a_picture_that_can_be_used_says_so() -> None:
    inlet, listener = _inlet([0.0]), Listener()
    inlet.begin("192.0.2.1:9")
    inlet.attach(listener)
    inlet.tag(V, 0, b"\x12\x01\x00\x00\x00x")
    inlet.tag(A, 0, b"\x2fxx")
    assert "video codec 2" in inlet.problem
    assert "sound is left out" in inlet.remark
