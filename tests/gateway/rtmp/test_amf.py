"""AMF0 values."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtmp.amf import MAX_DEPTH, MAX_VALUES, decode_values, encode_values
from gateway.rtmp.error import RtmpError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
leaves = st.none() | st.booleans() | st.floats(allow_nan=False) | texts
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts.filter(bool), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.lists(values, max_size=5))
def test_what_is_encoded_is_decoded_to_the_same(items: list[object]) -> None:
    assert decode_values(encode_values(*items)) == items  # type: ignore[arg-type]


@given(st.binary(max_size=400))
def test_any_bytes_are_values_or_an_error(data: bytes) -> None:
    with contextlib.suppress(RtmpError):
        assert isinstance(decode_values(data), list)


@given(st.lists(values, min_size=1, max_size=3), st.data())
def test_a_cut_value_is_an_error(items: list[object], data: st.DataObject) -> None:
    encoded = encode_values(*items)  # type: ignore[arg-type]
    cut = data.draw(st.integers(1, len(encoded) - 1)) if len(encoded) > 1 else 0
    try:
        decoded = decode_values(encoded[:cut])
    except RtmpError:
        return
    # Cut between two values it has fewer of them.
    assert decoded == items[: len(decoded)]


def test_a_long_text_and_one_of_xml_are_texts() -> None:
    long = "x" * 70_000
    assert decode_values(encode_values(long)) == [long]
    assert decode_values(b"\x0f\x00\x00\x00\x02<x") == ["<x"]


def test_an_ecma_array_a_date_and_a_typed_object_are_read() -> None:
    fields = b"\x00\x01a" + encode_values(1.0) + b"\x00\x00\x09"
    assert decode_values(b"\x08\xff\xff\xff\xff" + fields) == [{"a": 1.0}]
    assert decode_values(b"\x10\x00\x01C" + fields) == [{"a": 1.0}]
    assert decode_values(b"\x0b" + struct.pack(">d", 5.0) + b"\x00\x00") == [5.0]
    assert decode_values(b"\x06\x0d") == [None, None]


def test_a_text_that_is_no_utf8_does_no_harm() -> None:
    assert decode_values(b"\x02\x00\x02\xff\xfe") == ["\ufffd\ufffd"]


@pytest.mark.parametrize("marker", [4, 7, 9, 14, 17, 255])
def test_markers_of_other_things_are_refused(marker: int) -> None:
    with pytest.raises(RtmpError, match="marker"):
        decode_values(bytes([marker]))


def test_depth_number_and_length_are_bounded() -> None:
    nested = b"\x0a\x00\x00\x00\x01" * (MAX_DEPTH + 2) + b"\x05"
    with pytest.raises(RtmpError, match="deep"):
        decode_values(nested)
    with pytest.raises(RtmpError, match="more than"):
        decode_values(b"\x05" * (MAX_VALUES + 1))
    with pytest.raises(RtmpError, match="array"):
        decode_values(b"\x0a\xff\xff\xff\xff")
    objects = b"\x03\x00\x01a" * 5_000
    with pytest.raises(RtmpError):
        decode_values(objects)
