"""The test picture and its readable clock."""

import pytest

from gateway.simulator.picture import (
    CLOCK_LENGTH,
    PictureLayout,
    TestPicture,
    clock_text,
    read_position,
    read_text,
)

SIZES = [(1920, 1080), (1280, 720), (704, 576), (640, 360), (352, 288), (160, 120)]


def draw(width: int, height: int, text: str, *, number: int = 0, padding: int = 0) -> bytes:
    picture = TestPicture(
        PictureLayout(width, height),
        stride=width + padding,
        chroma_stride=width // 2,
        label="H264 25/S",
    )
    return bytes(picture.draw(number, text))


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("text", ["12:34:56.789", "00:00:00.000", "23:59:59.960"])
def test_the_clock_can_be_read_back_at_every_size(width: int, height: int, text: str) -> None:
    luma = draw(width, height, text)

    assert read_text(luma, stride=width, layout=PictureLayout(width, height)) == text


def test_rows_may_be_padded() -> None:
    luma = draw(640, 360, "01:02:03.040", padding=24)

    assert len(luma) == (640 + 24) * 360
    assert read_text(luma, stride=664, layout=PictureLayout(640, 360)) == "01:02:03.040"


def test_bar_and_noise_move_while_the_bars_behind_stay() -> None:
    first, later = (draw(640, 360, "00:00:00.000", number=number) for number in (0, 10))
    layout = PictureLayout(640, 360)
    quiet = slice(640 * (layout.label_top + 8 * layout.scale), 640 * 170)
    noise = slice(640 * (360 - layout.noise_rows), None)

    assert first[640 * 200 : 640 * 201] != later[640 * 200 : 640 * 201]
    assert len(set(first[noise])) > 200
    assert first[quiet] == later[quiet]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "00:00:00.000"), (45_296_789, "12:34:56.789"), (86_400_000 + 40, "00:00:00.040")],
)
def test_the_clock_wraps_at_midnight(milliseconds: int, text: str) -> None:
    assert clock_text(milliseconds) == text
    assert len(text) == CLOCK_LENGTH


def test_an_unreadable_clock_is_shown_as_question_marks() -> None:
    layout = PictureLayout(640, 360)

    assert read_text(bytes(640 * 360), stride=640, layout=layout) == " " * CLOCK_LENGTH
    assert "?" in read_text(draw(640, 360, "00:00:00.000")[9:], stride=640, layout=layout)


@pytest.mark.parametrize(("width", "height"), [size for size in SIZES if size[0] >= 320])
@pytest.mark.parametrize("position", ["000.0  00.0 01.0", "359.9 -90.0 20.0", "123.4  45.6 07.8"])
def test_where_the_camera_looks_can_be_read_back(width: int, height: int, position: str) -> None:
    layout = PictureLayout(width, height)
    picture = TestPicture(
        layout, stride=width, chroma_stride=width // 2, label="A", has_position=True
    )
    luma = picture.draw(7, "12:34:56.789", position)
    assert read_position(luma, stride=width, layout=layout) == position
    assert read_text(luma, stride=width, layout=layout) == "12:34:56.789"
    unmoved = picture.draw(7, "12:34:56.789")
    assert "?" in read_position(unmoved, stride=width, layout=layout)
