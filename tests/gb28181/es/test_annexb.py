"""Annex B byte streams."""

from hypothesis import given
from hypothesis import strategies as st

from gb28181.es.annexb import iter_nals, join_nals, nal_spans


def test_nal_units_are_found_behind_start_codes_of_three_and_four_bytes() -> None:
    data = b"\x00\x00\x00\x01\x67\x42\x00\x00\x01\x68\xce\x00\x00\x00\x01\x65\x88"
    assert list(iter_nals(data)) == [b"\x67\x42", b"\x68\xce", b"\x65\x88"]


def test_zeros_before_a_start_code_and_at_the_end_belong_to_no_unit() -> None:
    assert list(iter_nals(b"\x00\x00\x01\x41\x9a\x00\x00\x00\x00\x00\x01\x41\x9b\x00\x00")) == [
        b"\x41\x9a",
        b"\x41\x9b",
    ]


def test_bytes_without_a_start_code_have_no_units() -> None:
    assert list(iter_nals(b"\x00\x00\x02\x41\x9a")) == []


NAL = st.binary(min_size=1, max_size=30).filter(
    lambda nal: b"\x00\x00\x01" not in nal and b"\x00\x00" not in nal and nal[-1] != 0
)


@given(st.lists(NAL, max_size=6))
def test_joined_units_are_found_again(nals: list[bytes]) -> None:
    assert list(iter_nals(join_nals(nals))) == nals


@given(st.binary(max_size=200))
def test_spans_of_any_bytes_lie_inside_and_in_order(data: bytes) -> None:
    spans = list(nal_spans(data))
    assert all(0 <= start < end <= len(data) for start, end in spans)
    assert spans == sorted(spans)
