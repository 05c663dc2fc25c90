"""Answers without a transaction: repeated for a while, to the same request only, within a bound."""

import pytest

from gb28181.sip.message import Request
from gb28181.sip.parser import parse
from gb28181.sip.transaction import brief
from gb28181.sip.transaction.brief import BriefAnswers


def register(cseq: int = 1, authorization: str = "") -> Request:
    extra = f"Authorization: {authorization}\r\n" if authorization else ""
    message = parse(
        (
            "REGISTER sip:34020000002000000001@3402000000 SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 192.168.1.64:5060;branch=z9hG4bK1\r\n"
            "From: <sip:34020000001320000001@3402000000>;tag=1\r\n"
            "To: <sip:34020000001320000001@3402000000>\r\n"
            f"Call-ID: call@192.168.1.64\r\nCSeq: {cseq} REGISTER\r\n{extra}Content-Length: 0\r\n\r\n"
        ).encode()
    )
    assert isinstance(message, Request)
    return message


def test_a_retransmission_finds_the_same_bytes_until_eight_seconds_have_gone() -> None:
    answers = BriefAnswers()
    answers.keep("a", register(), b"401", 10.0)
    assert answers.find("a", register(), 17.9) == b"401"
    assert answers.find("a", register(), 18.0) is None
    assert answers.find("b", register(), 10.0) is None


def test_another_request_under_the_same_branch_is_no_retransmission() -> None:
    answers = BriefAnswers()
    answers.keep("a", register(), b"401", 0.0)
    assert answers.find("a", register(cseq=2), 0.1) is None
    assert answers.find("a", register(authorization="Digest a=b"), 0.1) is None


def test_beyond_the_bound_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brief, "MAX_BRIEF_ANSWERS", 2)
    answers = BriefAnswers()
    for key in "abc":
        answers.keep(key, register(), key.encode(), 0.0)
    assert [answers.find(key, register(), 0.1) for key in "abc"] == [None, b"b", b"c"]
    assert len(answers) == 2


def test_a_branch_answered_anew_is_the_youngest_and_pushes_nobody_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(brief, "MAX_BRIEF_ANSWERS", 2)
    answers = BriefAnswers()
    answers.keep("a", register(), b"old", 0.0)
    answers.keep("b", register(), b"b", 0.0)
    answers.keep("a", register(cseq=2), b"new", 1.0)
    assert answers.find("b", register(), 1.0) == b"b"
    answers.keep("c", register(), b"c", 2.0)
    assert answers.find("a", register(cseq=2), 2.0) == b"new"
    assert answers.find("b", register(), 2.0) is None
