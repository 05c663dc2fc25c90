"""One source, many readers, each with its own losses."""

from gateway.media.hub import Hub, HubReader
from gb28181.es.unit import Codec, MediaUnit


def video(number: int, *, keyframe: bool = False, size: int = 100) -> MediaUnit:
    return MediaUnit(Codec.H264, number, number, keyframe, bytes(size))


def sound(number: int) -> MediaUnit:
    return MediaUnit(Codec.PCM_ALAW, number, number, True, bytes(10))


def reader(frames: int = 100, size: int = 100_000) -> HubReader:
    return HubReader(lambda: None, max_frames=frames, max_bytes=size)


def taken(source: HubReader) -> list[int]:
    numbers = []
    while (unit := source.take()) is not None:
        numbers.append(unit.dts)
    return numbers


def test_a_late_reader_starts_with_the_last_key_frame() -> None:
    hub = Hub(max_frames=100, max_bytes=100_000)
    for number in range(8):
        hub.publish(video(number, keyframe=number in (0, 5)))
    late = reader()
    hub.subscribe(late)
    hub.publish(sound(8))
    assert taken(late) == [5, 6, 7, 8]
    assert (hub.frames, hub.keyframes) == (8, 2)


def test_a_reader_without_a_cached_group_waits_for_a_key_frame() -> None:
    hub = Hub(max_frames=100, max_bytes=100_000)
    early = reader()
    hub.subscribe(early)
    for unit in (video(0), sound(1), video(2, keyframe=True), sound(3), video(4)):
        hub.publish(unit)
    assert taken(early) == [2, 3, 4]
    assert early.dropped == 0


def test_a_full_reader_loses_its_own_frames_up_to_the_next_key_frame() -> None:
    hub = Hub(max_frames=100, max_bytes=100_000)
    slow, fast = reader(frames=3), reader()
    hub.subscribe(slow)
    hub.subscribe(fast)
    for number in range(10):
        hub.publish(video(number, keyframe=number in (0, 7)))
    assert taken(slow) == [7, 8, 9]
    assert slow.dropped == 7
    assert taken(fast) == list(range(10))
    assert fast.dropped == 0


def test_a_reader_is_bounded_in_bytes_too() -> None:
    hub = Hub(max_frames=100, max_bytes=100_000)
    slow = reader(size=250)
    hub.subscribe(slow)
    for number in range(5):
        hub.publish(video(number, keyframe=number == 0))
    assert taken(slow) == []
    assert slow.dropped == 5


def test_a_group_of_pictures_over_the_limit_is_not_kept() -> None:
    hub = Hub(max_frames=100, max_bytes=250)
    for number in range(4):
        hub.publish(video(number, keyframe=number == 0))
    assert hub.gop == []
    hub.publish(video(9, keyframe=True))
    assert [unit.dts for unit in hub.gop] == [9]


def test_a_reader_that_left_gets_nothing() -> None:
    hub = Hub(max_frames=100, max_bytes=100_000)
    gone = reader()
    hub.subscribe(gone)
    hub.unsubscribe(gone)
    hub.unsubscribe(gone)
    hub.publish(video(0, keyframe=True))
    assert taken(gone) == []
