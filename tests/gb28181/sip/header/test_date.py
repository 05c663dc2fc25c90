from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import SipParseError
from gb28181.sip.header.date import parse_date, serialize_gb_date

MOMENT = datetime(2026, 11, 21, 2, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "Sat, 21 Nov 2026 02:15:00 GMT",
        "2026-11-21T10:15:00.000",
        "2026-11-21T10:15:00",
        "2026-11-21 10:15:00",
        "2026-11-21T02:15:00Z",
        "2026-11-21T02:15:00.000000000Z",
        "2026-11-21T03:15:00+01:00",
        "2026-11-20T21:15:00-0500",
    ],
)
def test_both_forms_of_date_are_read(value: str) -> None:
    assert parse_date(value) == MOMENT


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Sat, 21 Nov 2026 02:15:00 EST",
        "Sat, 31 Feb 2026 02:15:00 GMT",
        "Sat, 21 Foo 2026 02:15:00 GMT",
        "2026-13-21T10:15:00",
        "2026-11-21T25:15:00",
        "2026-11-21T10:15:00+99:99",
        "0000-01-01T00:00:00",
        "0001-01-01T00:00:00",
        "tomorrow",
    ],
)
def test_what_is_no_date_is_refused(value: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_date(value)
    assert caught.value.field == "Date"


def test_date_is_sent_in_beijing_time_with_milliseconds() -> None:
    assert serialize_gb_date(MOMENT) == "2026-11-21T10:15:00.000"
    assert (
        serialize_gb_date(MOMENT.astimezone(timezone(timedelta(hours=-5))))
        == "2026-11-21T10:15:00.000"
    )
    assert serialize_gb_date(MOMENT.replace(microsecond=123_999)) == "2026-11-21T10:15:00.123"


# Hypothesis wants naive bounds and adds the zone itself.
MOMENTS = st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS)
def test_sent_date_is_read_to_the_millisecond(moment: datetime) -> None:
    expected = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert parse_date(serialize_gb_date(moment)) == expected
