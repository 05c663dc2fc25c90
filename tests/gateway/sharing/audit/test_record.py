"""Records as the content of lines."""

import json
from dataclasses import fields, replace
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.audit import AuditEntry, AuditKind
from gateway.sharing.audit.line import GENESIS, MAX_LINE, Line, LineKind, encode
from gateway.sharing.audit.record import (
    CAPS,
    MAX_SUBJECT_FIELDS,
    MAX_SUBJECT_TEXT,
    content_of,
    entry_from,
    format_time,
    parse_time,
)
from tests.gateway.sharing.audit.samples import AT, access, end

SHORT = st.text(st.characters(categories=["L", "N"]), max_size=16)
ENTRIES = st.builds(
    AuditEntry,
    at=st.datetimes(timezones=st.just(UTC)),
    kind=st.sampled_from(AuditKind),
    entry_id=SHORT,
    subject=st.dictionaries(SHORT, SHORT, max_size=5),
    duration_s=st.none() | st.integers(0, 10**9).map(lambda n: n / 1000),
    lasting=st.booleans(),
    **dict.fromkeys(CAPS.keys() - {"entry_id"}, SHORT),
)


@given(ENTRIES)
def test_a_record_comes_back(entry: AuditEntry) -> None:
    raw, _ = encode(LineKind.ENTRY, content_of(entry), seq=1, prev=GENESIS)
    assert entry_from(Line.parse(raw).fields()) == entry


def test_every_text_of_a_record_has_a_cap() -> None:
    texts = {each.name for each in fields(AuditEntry) if each.type in (str, "str")}
    assert texts == CAPS.keys()


def test_what_is_empty_is_left_out() -> None:
    assert content_of(AuditEntry(at=AT, kind=AuditKind.STOP, entry_id="s1")) == {
        "at": "2026-11-21T08:30:15.123456Z",
        "kind": "stop",
        "entry_id": "s1",
    }


def test_long_texts_are_cut_and_show_it() -> None:
    long = dict.fromkeys(CAPS, "x" * 100_000)
    content = content_of(access(1, subject={"user": "y" * 100_000}, **long))
    for name, cap in CAPS.items():
        assert content[name] == "x" * (cap - 1) + "…"
    assert content["subject"] == {"user": "y" * (MAX_SUBJECT_TEXT - 1) + "…"}


def test_the_longest_record_fits_a_line_whatever_its_characters() -> None:
    long = dict.fromkeys(CAPS, "\x01\udc80" * 1000)
    subject = {f"{n}" + "\x01" * 100: "\udc80" * 1000 for n in range(100)}
    content = content_of(access(1, subject=subject, **long))
    assert len(content["subject"]) == MAX_SUBJECT_FIELDS
    raw, _ = encode(LineKind.ENTRY, content, seq=10**17, prev=GENESIS)
    assert len(raw) < MAX_LINE / 2


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Digest response=hunter2",
        "http://admin:hunter2@10.0.0.1/x",
        "?token=hunter2&x=1",
        '{"password": "hunter2"}',
        "Bearer hunter2",
        "<Password>hunter2</Password>",
        "?token=" + "hunter2" * 500,
        "x" * 590 + " http://admin:hunter2" + "2" * 300 + "@host",
    ],
)
def test_secrets_do_not_get_on_record(text: str) -> None:
    for name in ("object_id", "detail", "purpose", "ticket", "source"):
        assert "hunter2" not in json.dumps(content_of(access(1, **{name: text})))


def test_a_duration_that_is_no_number_is_left_out() -> None:
    for duration in (float("nan"), float("inf"), None):
        assert "duration_s" not in content_of(end(1, duration_s=duration))
    assert content_of(end(1, duration_s=1.23456))["duration_s"] == 1.235
    assert content_of(end(1, duration_s=0.0))["duration_s"] == 0.0


def test_times_are_written_in_utc_and_sort_as_texts() -> None:
    east = AT.astimezone(timezone(timedelta(hours=8)))
    assert format_time(east) == format_time(AT) == "2026-11-21T08:30:15.123456Z"
    whole = AT.replace(microsecond=0)
    assert format_time(whole) == "2026-11-21T08:30:15.000000Z"
    assert parse_time(format_time(whole)) == whole


@pytest.mark.parametrize("text", ["", "Z", "2026-11-21T08:30:15", "yesterdayZ", None, 5])
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"time|isoformat"):
        parse_time(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"at": None},
        {"kind": "unheard of"},
        {"subject": 5},
        {"duration_s": []},
        {"duration_s": "x"},
        {"at": "2026"},
    ],
)
def test_a_record_of_another_version_is_refused(changes: dict[str, object]) -> None:
    members = content_of(replace(access(1), duration_s=1.0)) | changes
    with pytest.raises(ValueError):  # noqa: PT011 - several sentences
        entry_from(members)
    with pytest.raises(ValueError, match="expected a record"):
        entry_from({})
