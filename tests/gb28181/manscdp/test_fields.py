"""Lexical types."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.limits import MAX_XML_FIELD
from gb28181.manscdp.fields import (
    format_float,
    format_time,
    parse_float,
    parse_int,
    parse_text,
    parse_time,
)

MOMENT = datetime(2026, 1, 1, 19, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", [None, "", " \r\n", "null", "NULL", " Null "])
def test_empty_texts_and_null_are_absent(text: str | None) -> None:
    assert parse_text(text) is None


def test_texts_are_trimmed_and_capped() -> None:
    assert parse_text(" nullable ") == "nullable"
    assert parse_text("x" * (MAX_XML_FIELD + 1)) == "x" * MAX_XML_FIELD


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("+7", 7),
        ("-3", -3),
        ("007", 7),
        ("", None),
        ("1.0", None),
        ("1e3", None),
        ("dome", None),
        ("9" * 19, None),
        ("\u0663", None),
        ("1 2", None),
        ("1_0", None),
    ],
)
def test_integers_are_digits_or_absent(text: str, value: int | None) -> None:
    assert parse_int(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("117.640200", 117.6402),
        ("-0.5", -0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e2", 100.0),
        ("nan", None),
        ("inf", None),
        ("E117", None),
        ("", None),
        ("1,5", None),
        ("1e999", None),
    ],
)
def test_numbers_are_finite_or_absent(text: str, value: float | None) -> None:
    assert parse_float(text) == value


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15))
def test_numbers_are_written_without_exponent(value: float) -> None:
    assert parse_float(format_float(value)) == round(value, 12)
    assert "e" not in format_float(value).lower()


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05",
        "2026-1-2T3:4:5",
        "2026-01-02 03:04:05",
        "2026/01/02 03:04:05",
        "2026-01-02T03:04:05+08:00",
        "2026-01-02T03:04:05+0800",
        "2026-01-01T19:04:05Z",
        "2026-01-01T14:04:05-05:00",
        "2026-01-02t03:04:05",
    ],
)
def test_times_are_beijing_time_unless_they_say_otherwise(text: str) -> None:
    assert parse_time(text) == MOMENT


def test_fractions_of_seconds_and_missing_seconds_are_read() -> None:
    assert parse_time("2026-01-02T03:04:05.678") == MOMENT.replace(microsecond=678000)
    assert parse_time("2026-01-02T03:04:05.1234567") == MOMENT.replace(microsecond=123456)
    assert parse_time("2026-01-02T03:04") == MOMENT.replace(second=0)
    assert parse_time("2026-01-02") == datetime(2026, 1, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-13-01T00:00:00",
        "2026-02-30T00:00:00",
        "2026-01-01T25:00:00",
        "20260101",
        "0001-01-01T00:00:00",
        "2026-01-01T00:00:00+99:00",
        "1763596800",
    ],
)
def test_what_is_no_time_is_absent(text: str) -> None:
    assert parse_time(text) is None


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))  # noqa: DTZ001
def test_times_are_written_in_beijing_time_to_the_second(value: datetime) -> None:
    moment = value.replace(tzinfo=UTC, microsecond=0)
    assert parse_time(format_time(moment)) == moment


def test_the_standards_form_of_a_time() -> None:
    assert format_time(MOMENT.replace(microsecond=999)) == "2026-01-02T03:04:05"


@given(st.text())
def test_any_text_has_a_value_or_none(text: str) -> None:
    assert parse_int(text) is None or text.strip("+-").isdigit()
    assert isinstance(parse_float(text), float | None)
    assert isinstance(parse_time(text), datetime | None)
