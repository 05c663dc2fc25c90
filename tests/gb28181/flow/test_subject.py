"""The Subject header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError
from gb28181.flow.subject import Subject, build_subject, parse_subject

CAMERA = "37132600001320000001"
PLATFORM = "37132600002000000001"
SAMPLE = f"{CAMERA}:0326000017,{PLATFORM}:0"


def test_a_subject_carries_the_ssrc_as_the_senders_serial() -> None:
    assert build_subject(CAMERA, 326000017, PLATFORM) == SAMPLE


def test_the_standards_form_is_read() -> None:
    subject = parse_subject(f" {CAMERA} : 1326000017 , {PLATFORM}:0 ")
    assert subject == Subject(
        sender_id=CAMERA,
        sender_serial="1326000017",
        receiver_id=PLATFORM,
        receiver_serial="0",
    )
    assert subject is not None
    assert subject.is_history


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        ",",
        "hello",
        "a:1",
        "a:1,b:2,c:3",
        ":1,b:2",
        f"a:{'1' * 21},b:0",
        "a:1," + "b" * 300,
    ],
)
def test_a_missing_or_malformed_subject_is_no_subject(text: str | None) -> None:
    assert parse_subject(text) is None


def test_serials_may_be_missing() -> None:
    subject = parse_subject(f"{CAMERA},{PLATFORM}")
    assert subject is not None
    assert (subject.sender_serial, subject.receiver_serial) == ("", "")
    assert not subject.is_history


@pytest.mark.parametrize("sender", ["", "a:b", "a,b", "a\r\nX: y"])
def test_what_would_break_the_header_is_not_sent(sender: str) -> None:
    with pytest.raises(LocalProtocolError):
        build_subject(sender, 1, PLATFORM)


@given(st.text())
def test_any_text_is_read_or_absent(text: str) -> None:
    assert parse_subject(text) is None or "," in text


@given(st.from_regex(r"[0-9]{20}", fullmatch=True), st.integers(0, 1_999_999_999))
def test_what_is_built_is_read_back(sender: str, ssrc: int) -> None:
    subject = parse_subject(build_subject(sender, ssrc, PLATFORM, receiver_serial="7"))
    assert subject is not None
    assert (subject.sender_id, int(subject.sender_serial)) == (sender, ssrc)
    assert (subject.receiver_id, subject.receiver_serial) == (PLATFORM, "7")
