"""The test picture: a clock with milliseconds, a label, colour bars, a moving bar and a strip of noise.

Everything is drawn with slices of `bytes` (no numpy, no drawtext), so that a picture costs well
under a millisecond. The clock can be read back from a decoded picture (`read_text`), which proves
that the whole way through is the right picture and gives its delay.
"""

import random
from dataclasses import dataclass

__all__ = [
    "CLOCK_LENGTH",
    "POSITION_LENGTH",
    "PictureLayout",
    "TestPicture",
    "clock_text",
    "read_position",
    "read_text",
]

CLOCK_LENGTH = 12
"""Characters of `HH:MM:SS.mmm`."""

POSITION_LENGTH = 16
"""Characters of the pan, tilt and zoom shown."""

_COLUMNS = 5
_ROWS = 7
_PITCH = _COLUMNS + 1

# 5x7 dot matrix, one row per hex byte, the leftmost dot is bit 4.
_FONT = {
    " ": "00000000000000",
    "-": "0000001f000000",
    ".": "00000000000c0c",
    ":": "000c0c000c0c00",
    "/": "00010204081000",
    "0": "0e11131519110e",
    "1": "040c040404040e",
    "2": "0e11010204081f",
    "3": "1f02040201110e",
    "4": "02060a121f0202",
    "5": "1f101e0101110e",
    "6": "0608101e11110e",
    "7": "1f010204080808",
    "8": "0e11110e11110e",
    "9": "0e11110f01020c",
    "A": "0e11111f111111",
    "B": "1e11111e11111e",
    "C": "0e11101010110e",
    "D": "1c12111111121c",
    "E": "1f10101e10101f",
    "F": "1f10101e101010",
    "G": "0e11101711110f",
    "H": "1111111f111111",
    "I": "0e04040404040e",
    "J": "0702020202120c",
    "K": "11121418141211",
    "L": "1010101010101f",
    "M": "111b1515111111",
    "N": "11191513111111",
    "O": "0e11111111110e",
    "P": "1e11111e101010",
    "Q": "0e11111115120d",
    "R": "1e11111e141211",
    "S": "0f10100e01011e",
    "T": "1f040404040404",
    "U": "1111111111110e",
    "V": "11111111110a04",
    "W": "1111111515150a",
    "X": "11110a040a1111",
    "Y": "1111110a040404",
    "Z": "1f01020408101f",
}
_GLYPHS = {character: tuple(bytes.fromhex(rows)) for character, rows in _FONT.items()}
_BITMAPS = {
    character: sum(line << _COLUMNS * (_ROWS - 1 - row) for row, line in enumerate(glyph))
    for character, glyph in _GLYPHS.items()
    if character in "0123456789:. -"
}
_MAX_WRONG_DOTS = 2
"""A strongly compressed picture may lose a dot; digits differ in more."""

_BLACK = 16
_WHITE = 235
# Y, U, V of eight bars: white, yellow, cyan, green, magenta, red, blue, dark grey.
_BARS = (
    (180, 128, 128),
    (162, 44, 142),
    (131, 156, 44),
    (112, 72, 58),
    (84, 184, 198),
    (65, 100, 212),
    (35, 212, 114),
    (48, 128, 128),
)


def clock_text(milliseconds: int) -> str:
    """Return `HH:MM:SS.mmm` for the milliseconds since midnight, at most a day."""
    seconds, millis = divmod(milliseconds % 86_400_000, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{second:02d}.{millis:03d}"


@dataclass(frozen=True, slots=True)
class PictureLayout:
    """Where things are in a picture of a given size, in pixels."""

    width: int
    height: int

    @property
    def scale(self) -> int:
        """Edge of one dot of the clock's characters."""
        return max(1, self.width // 90)

    @property
    def margin(self) -> int:
        """Left and top of the clock's first character."""
        return self.scale * 2

    @property
    def label_top(self) -> int:
        """Top of the label's characters."""
        return self.margin + self.scale * (_ROWS + 3)

    @property
    def position_scale(self) -> int:
        """Edge of one dot of the characters that tell where the camera looks."""
        return max(1, self.width // 120)

    @property
    def position_top(self) -> int:
        """Top of these characters."""
        return self.label_top + self.scale * (_ROWS + 2)

    @property
    def noise_rows(self) -> int:
        """Height of the noise strip at the bottom."""
        return max(8, self.height // 45)


class TestPicture:
    """Draws one picture after the other; planes are laid out with the given strides.

    Args:
        layout: Size of the picture; both edges even.
        stride: Bytes from one row of the luma plane to the next.
        chroma_stride: The same for the two chroma planes.
        label: Upper-case letters, digits and `-./:`; cut where the picture ends.
        seed: Seed of the noise.
        has_position: Whether the picture will tell where the camera looks.
    """

    __test__ = False

    def __init__(
        self,
        layout: PictureLayout,
        *,
        stride: int,
        chroma_stride: int,
        label: str,
        seed: int = 1,
        has_position: bool = False,
    ) -> None:
        self._layout = layout
        self._stride = stride
        self._random = random.Random(seed)  # noqa: S311 - a picture, no secret
        width, height = layout.width, layout.height
        bar_of = [x * len(_BARS) // width for x in range(width)]
        row = bytes(_BARS[bar][0] for bar in bar_of).ljust(stride, b"\x10")
        self._base = bytearray(row * height)
        top = layout.position_top if has_position else layout.label_top
        grey_rows = min(top + (_ROWS + 1) * layout.scale, height) // 2
        colours = (
            bytes(_BARS[bar_of[2 * x]][plane] for x in range(width // 2)).ljust(
                chroma_stride, b"\x80"
            )
            for plane in (1, 2)
        )
        # Behind the texts the bars are grey, so that white stays white.
        self.chroma = tuple(
            b"\x80" * (chroma_stride * grey_rows) + colour * (height // 2 - grey_rows)
            for colour in colours
        )
        """The U and V planes; they never change."""
        self._draw_text(self._base, label, layout.label_top, max(1, layout.scale // 2))
        self._noise = self._random.randbytes(stride * layout.noise_rows * 2)
        self._glyph_rows = {
            character: tuple(_dots(line, layout.scale) for line in glyph)
            for character, glyph in _GLYPHS.items()
        }

    def draw(self, number: int, text: str, position: str = "") -> bytes:
        """Return the luma plane of picture `number` with `text` as its clock.

        Args:
            number: Number of the picture, which places the moving bar.
            text: The clock.
            position: Where the camera looks; empty for nothing.
        """
        luma = bytearray(self._base)
        self._draw_clock(luma, text)
        if position:
            layout = self._layout
            self._draw_text(luma, position, layout.position_top, layout.position_scale)
        self._draw_moving_bar(luma, number)
        size = self._layout.noise_rows * self._stride
        start = self._random.randrange(size)
        luma[len(luma) - size :] = self._noise[start : start + size]
        return bytes(luma)

    def _draw_clock(self, luma: bytearray, text: str) -> None:
        layout = self._layout
        rows = [b"".join(self._glyph_rows[c][line] for c in text) for line in range(_ROWS)]
        self._blit(luma, rows, layout.margin, layout.scale)

    def _draw_moving_bar(self, luma: bytearray, number: int) -> None:
        layout = self._layout
        top, bottom = layout.height // 2, layout.height - 2 * layout.noise_rows
        edge = max(8, layout.width // 32) & ~1
        left = (number * edge // 8) % (layout.width - edge)
        bar = bytes((_WHITE,)) * edge
        for start in range(top * self._stride + left, bottom * self._stride + left, self._stride):
            luma[start : start + edge] = bar

    def _draw_text(self, luma: bytearray, text: str, top: int, scale: int) -> None:
        fits = (self._layout.width - self._layout.margin) // (_PITCH * scale)
        shown = [_GLYPHS.get(character, _GLYPHS["-"]) for character in text.upper()[:fits]]
        rows = [b"".join(_dots(glyph[line], scale) for glyph in shown) for line in range(_ROWS)]
        self._blit(luma, rows, top, scale)

    def _blit(self, luma: bytearray, rows: list[bytes], top: int, scale: int) -> None:
        left, width, stride = self._layout.margin, len(rows[0]), self._stride
        border = bytes((_BLACK,)) * width
        lines = [border] * scale
        for row in rows:
            lines += [row] * scale
        lines += [border] * scale
        start = (top - scale) * stride + left
        for line in lines:
            luma[start : start + width] = line
            start += stride


def read_text(
    luma: bytes, *, stride: int, layout: PictureLayout, length: int = CLOCK_LENGTH
) -> str:
    """Return the clock's characters as found in a decoded luma plane, `?` for one not recognised."""
    return _read(luma, stride, layout, layout.margin, layout.scale, length)


def read_position(luma: bytes, *, stride: int, layout: PictureLayout) -> str:
    """Return where the camera says it looks, `?` for a character not recognised."""
    top, scale = layout.position_top, layout.position_scale
    return _read(luma, stride, layout, top, scale, POSITION_LENGTH)


def _read(
    luma: bytes, stride: int, layout: PictureLayout, top: int, scale: int, length: int
) -> str:
    text = ""
    for position in range(length):
        left = layout.margin + position * _PITCH * scale
        dots = [
            _mean(luma, stride, left + column * scale, top + line * scale, scale)
            for line in range(_ROWS)
            for column in range(_COLUMNS)
        ]
        text += _nearest(sum(1 << n for n, level in enumerate(reversed(dots)) if level > 128))
    return text


def _mean(luma: bytes, stride: int, left: int, top: int, scale: int) -> float:
    rows = (luma[y * stride + left : y * stride + left + scale] for y in range(top, top + scale))
    return sum(map(sum, rows)) / (scale * scale)


def _nearest(dots: int) -> str:
    def distance(character: str) -> int:
        return (dots ^ _BITMAPS[character]).bit_count()

    best = min(_BITMAPS, key=distance)
    return best if distance(best) <= _MAX_WRONG_DOTS else "?"


def _dots(line: int, scale: int) -> bytes:
    cells = [_WHITE if line >> bit & 1 else _BLACK for bit in range(_COLUMNS - 1, -1, -1)]
    return b"".join(bytes((cell,)) * scale for cell in (*cells, _BLACK))
