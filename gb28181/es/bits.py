"""Reading of bit fields and Exp-Golomb numbers (H.264 7.2, 9.1; H.265 the same)."""

__all__ = ["BitReader", "strip_emulation_prevention"]

_ZERO_RUN_LIMIT = 32
"""ue(v) is at most 32 bits in both standards: a longer run of zeros is not a parameter set."""


def strip_emulation_prevention(nal: bytes) -> bytes:
    """Turn a NAL unit into its RBSP: `00 00 03` becomes `00 00`."""
    return bytes(nal).replace(b"\x00\x00\x03", b"\x00\x00")


class BitReader:
    """Reads big-endian bit fields; raises `ValueError` past the end."""

    __slots__ = ("_length", "_value", "position")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._length = len(data) * 8
        self.position = 0

    def bits(self, count: int) -> int:
        """Read an unsigned number of `count` bits."""
        end = self.position + count
        if end > self._length:
            raise ValueError(f"expected {count} bits at bit {self.position} of {self._length}")
        self.position = end
        return (self._value >> (self._length - end)) & ((1 << count) - 1)

    def flag(self) -> bool:
        """Read one bit."""
        return self.bits(1) == 1

    def ue(self) -> int:
        """Read an unsigned Exp-Golomb number."""
        zeros = 0
        while not self.bits(1):
            zeros += 1
            if zeros > _ZERO_RUN_LIMIT:
                raise ValueError(f"Exp-Golomb number too long at bit {self.position}")
        return (1 << zeros) - 1 + self.bits(zeros)

    def se(self) -> int:
        """Read a signed Exp-Golomb number."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)
