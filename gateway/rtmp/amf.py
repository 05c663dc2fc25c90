"""AMF0, the values in RTMP commands (Action Message Format 0, 2007).

::

    00 number(64)  01 boolean(8)  02 length(16) string  03 {length(16) name value}* 00 00 09
    05 null  06 undefined  08 count(32) as 03  0a count(32) value*  0b number(64) zone(16)  0c length(32) string
"""

import enum
import struct
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from gateway.rtmp.error import RtmpError

__all__ = ["AmfValue", "decode_values", "encode_values"]

AmfValue: TypeAlias = (
    "float | int | bool | str | Mapping[str, AmfValue] | Sequence[AmfValue] | None"
)

MAX_DEPTH = 8
"""Objects in objects; a connect command has one, with a list of codecs two."""
MAX_VALUES = 1_000
"""Values of one message, all levels together."""
_END = 9


class _Marker(enum.IntEnum):
    NUMBER = 0x00
    BOOLEAN = 0x01
    STRING = 0x02
    OBJECT = 0x03
    NULL = 0x05
    UNDEFINED = 0x06
    ECMA_ARRAY = 0x08
    STRICT_ARRAY = 0x0A
    DATE = 0x0B
    LONG_STRING = 0x0C
    UNSUPPORTED = 0x0D
    XML = 0x0F
    TYPED_OBJECT = 0x10


def decode_values(data: bytes) -> list[AmfValue]:
    """Decode the values of a message; an undefined one is None.

    Raises:
        RtmpError: it is cut off, nested too deeply, has too many values, or one of AMF3.
    """
    reader = _Reader(data)
    values: list[AmfValue] = []
    while reader.position < len(data):
        values.append(reader.value(0))
    return values


def encode_values(*values: AmfValue) -> bytes:
    """Encode values one behind the other."""
    return b"".join(_encode(value) for value in values)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0
        self._left = MAX_VALUES

    def value(self, depth: int) -> AmfValue:
        self._left -= 1
        if self._left < 0:
            raise RtmpError(f"more than {MAX_VALUES} AMF values in one message")
        if depth > MAX_DEPTH:
            raise RtmpError(f"AMF values nested more than {MAX_DEPTH} deep")
        found: AmfValue = None
        marker = self._take(1)[0]
        match marker:
            case _Marker.NUMBER:
                found = self._double()
            case _Marker.BOOLEAN:
                found = self._take(1) != b"\x00"
            case _Marker.STRING:
                found = self._text(2)
            case _Marker.LONG_STRING | _Marker.XML:
                found = self._text(4)
            case _Marker.NULL | _Marker.UNDEFINED | _Marker.UNSUPPORTED:
                pass
            case _Marker.DATE:
                found = self._double()
                self._take(2)
            case _:
                found = self._compound(marker, depth)
        return found

    def _compound(self, marker: int, depth: int) -> AmfValue:
        match marker:
            case _Marker.TYPED_OBJECT:
                self._text(2)
                return self._fields(depth)
            case _Marker.ECMA_ARRAY:
                # The count is a hint that encoders get wrong.
                self._take(4)
                return self._fields(depth)
            case _Marker.OBJECT:
                return self._fields(depth)
            case _Marker.STRICT_ARRAY:
                count = int.from_bytes(self._take(4))
                if count > self._left:
                    raise RtmpError(f"an AMF array of {count} values")
                return [self.value(depth + 1) for _ in range(count)]
            case _:
                raise RtmpError(f"AMF marker {marker:#04x} at byte {self.position - 1}")

    def _fields(self, depth: int) -> dict[str, AmfValue]:
        fields: dict[str, AmfValue] = {}
        while True:
            name = self._text(2)
            if not name and self._data[self.position : self.position + 1] == bytes([_END]):
                self.position += 1
                return fields
            fields[name] = self.value(depth + 1)

    def _double(self) -> float:
        (number,) = struct.unpack(">d", self._take(8))
        return float(number)

    def _text(self, size: int) -> str:
        return self._take(int.from_bytes(self._take(size))).decode("utf-8", "replace")

    def _take(self, size: int) -> bytes:
        start, end = self.position, self.position + size
        if end > len(self._data):
            raise RtmpError(f"AMF ends at byte {len(self._data)}, expected {end}")
        self.position = end
        return self._data[start:end]


def _encode(value: AmfValue) -> bytes:
    match value:
        case None:
            return bytes([_Marker.NULL])
        case bool():
            return bytes([_Marker.BOOLEAN, value])
        case int() | float():
            return bytes([_Marker.NUMBER]) + struct.pack(">d", value)
        case str():
            return _encode_text(value.encode())
        case Mapping():
            fields = b"".join(_name(name) + _encode(item) for name, item in value.items())
            return bytes([_Marker.OBJECT]) + fields + b"\x00\x00" + bytes([_END])
        case _:
            items = b"".join(map(_encode, value))
            return bytes([_Marker.STRICT_ARRAY]) + len(value).to_bytes(4) + items


def _encode_text(text: bytes) -> bytes:
    if len(text) > 0xFFFF:
        return bytes([_Marker.LONG_STRING]) + len(text).to_bytes(4) + text
    return bytes([_Marker.STRING]) + len(text).to_bytes(2) + text


def _name(name: str) -> bytes:
    text = name.encode()[:0xFFFF]
    return len(text).to_bytes(2) + text
