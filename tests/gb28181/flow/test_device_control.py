"""Answers to controls and queries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError
from gb28181.flow.device_control import (
    AnswerEnd,
    AnswerMatcher,
    Question,
    QuestionResult,
    key_frame_editions,
)
from gb28181.limits import MAX_AWAITED_ANSWERS, MAX_AWAITED_PER_PEER
from gb28181.manscdp import (
    DeviceControl,
    ManscdpMessage,
    Response,
    parse_message,
    serialize_message,
)

NVR = "37132600001180000001"
OTHER = "37132600001180000002"


def answer(sn: int | str, cmd_type: str = "DeviceControl", result: str = "OK") -> ManscdpMessage:
    return parse_message(
        f"<Response><CmdType>{cmd_type}</CmdType><SN>{sn}</SN><DeviceID>{NVR}</DeviceID>"
        f"<Result>{result}</Result></Response>".encode()
    )


def test_an_answer_ends_the_question_of_its_peer_command_and_number() -> None:
    matcher = AnswerMatcher()
    question = matcher.ask(NVR, "DeviceControl", 0.0)
    assert matcher.receive(OTHER, answer(question.sn)) is None
    assert matcher.receive(NVR, answer(question.sn + 1)) is None
    assert matcher.receive(NVR, answer(question.sn, "DeviceStatus")) is None
    assert matcher.unmatched == 3
    result = matcher.receive(NVR, answer(question.sn, "devicecontrol", "ERROR"))
    assert result is not None
    assert (result.question, result.end) == (question, AnswerEnd.ANSWERED)
    assert isinstance(result.content, Response)
    assert not result.content.is_ok
    assert len(matcher) == 0


def test_a_repeated_answer_is_for_nobody() -> None:
    matcher = AnswerMatcher()
    question = matcher.ask(NVR, "DeviceControl", 0.0)
    assert matcher.receive(NVR, answer(question.sn)) is not None
    assert matcher.receive(NVR, answer(question.sn)) is None


def test_silence_ends_a_question_after_ten_seconds() -> None:
    matcher = AnswerMatcher()
    first = matcher.ask(NVR, "DeviceControl", 100.0)
    second = matcher.ask(NVR, "DeviceControl", 101.0, timeout=2.0)
    assert matcher.next_timer() == 103.0
    assert matcher.handle_timer(102.9) == []
    assert matcher.handle_timer(103.0) == [QuestionResult(question=second, end=AnswerEnd.NO_ANSWER)]
    assert matcher.next_timer() == 110.0
    assert [result.question for result in matcher.handle_timer(500.0)] == [first]
    assert matcher.next_timer() is None
    assert matcher.receive(NVR, answer(first.sn)) is None


def test_a_peer_that_is_gone_ends_its_own_questions_only() -> None:
    matcher = AnswerMatcher()
    mine = [matcher.ask(NVR, "DeviceControl", 0.0), matcher.ask(NVR, "DeviceStatus", 0.0)]
    theirs = matcher.ask(OTHER, "DeviceControl", 0.0)
    assert [result.question for result in matcher.peer_gone(NVR)] == mine
    assert matcher.peer_gone(NVR) == []
    assert [result.question for result in matcher.handle_timer(99.0)] == [theirs]


def test_a_question_nobody_wants_answered_ends_once() -> None:
    matcher = AnswerMatcher()
    question = matcher.ask(NVR, "DeviceControl", 0.0)
    result = matcher.cancel(question)
    assert result is not None
    assert result.end is AnswerEnd.CANCELLED
    assert matcher.cancel(question) is None
    assert matcher.next_timer() is None


@pytest.mark.parametrize("sn", ["", "0", "x"])
def test_an_answer_without_a_number_belongs_to_the_only_question_of_its_kind(sn: str) -> None:
    matcher = AnswerMatcher()
    status = matcher.ask(NVR, "DeviceStatus", 0.0)
    question = matcher.ask(NVR, "DeviceControl", 0.0)
    matcher.ask(OTHER, "DeviceControl", 0.0)
    result = matcher.receive(NVR, answer(sn))
    assert result is not None
    assert result.question == question
    assert matcher.receive(NVR, answer(sn)) is None
    assert matcher.cancel(status) is not None


def test_an_answer_without_a_number_is_not_guessed_among_several() -> None:
    matcher = AnswerMatcher()
    matcher.ask(NVR, "DeviceControl", 0.0)
    matcher.ask(NVR, "DeviceControl", 0.0)
    assert matcher.receive(NVR, answer("")) is None
    assert len(matcher) == 2


def test_numbers_count_for_each_peer_and_stay_within_31_bits() -> None:
    matcher = AnswerMatcher()
    assert [matcher.ask(NVR, "DeviceControl", 0.0).sn for _ in range(3)] == [1, 2, 3]
    assert matcher.next_sn(OTHER) == 1
    matcher._last_sn[NVR] = 2**31 - 2
    assert [matcher.next_sn(NVR) for _ in range(3)] == [2**31 - 1, 1, 2]
    matcher.forget(NVR)
    assert matcher.next_sn(NVR) == 1


def test_a_peer_can_be_asked_so_much_and_no_more() -> None:
    matcher = AnswerMatcher()
    for _ in range(MAX_AWAITED_PER_PEER):
        matcher.ask(NVR, "DeviceControl", 0.0)
    with pytest.raises(LocalProtocolError, match=NVR):
        matcher.ask(NVR, "DeviceControl", 0.0)
    matcher.ask(OTHER, "DeviceControl", 0.0)


def test_so_much_is_awaited_in_all_and_no_more() -> None:
    matcher = AnswerMatcher()
    for number in range(MAX_AWAITED_ANSWERS):
        matcher.ask(f"peer{number}", "DeviceControl", 0.0)
    with pytest.raises(LocalProtocolError, match=str(MAX_AWAITED_ANSWERS)):
        matcher.ask(NVR, "DeviceControl", 0.0)
    assert len(matcher.handle_timer(10.0)) == MAX_AWAITED_ANSWERS
    assert matcher.ask(NVR, "DeviceControl", 11.0).sn == 1


def test_what_was_not_sent_is_not_counted_against_a_peer() -> None:
    matcher = AnswerMatcher()
    for _ in range(3 * MAX_AWAITED_PER_PEER):
        assert matcher.cancel(matcher.ask(NVR, "DeviceControl", 0.0)) is not None
    assert matcher._by_peer == {}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "answer", "time", "gone", "cancel"]),
            st.sampled_from([NVR, OTHER]),
            st.integers(1, 6),
        ),
        max_size=60,
    )
)
def test_any_history_ends_each_question_once(steps: list[tuple[str, str, int]]) -> None:
    matcher = AnswerMatcher()
    now = 0.0
    asked: list[Question] = []
    ended: list[Question] = []

    def end(*results: QuestionResult | None) -> None:
        ended.extend(result.question for result in results if result is not None)

    for step, peer, number in steps:
        now += 1.0
        match step:
            case "ask":
                asked.append(matcher.ask(peer, "DeviceControl", now))
            case "answer":
                end(matcher.receive(peer, answer(number)))
            case "time":
                end(*matcher.handle_timer(now))
            case "gone":
                end(*matcher.peer_gone(peer))
            case _:
                end(matcher.cancel(Question(peer, "devicecontrol", number)))
    end(*matcher.handle_timer(now + 100.0))
    assert sorted(ended, key=str) == sorted(asked, key=str)
    assert (len(matcher), matcher.next_timer()) == (0, None)


@pytest.mark.parametrize(
    ("edition", "spellings"),
    [("2016", ["IFameCmd", "IFrameCmd"]), ("2011", ["IFameCmd", "IFrameCmd"])]
    + [(name, ["IFrameCmd", "IFameCmd"]) for name in ("2022", "3.0")],
)
def test_a_key_frame_is_asked_for_in_both_spellings(edition: str, spellings: list[str]) -> None:
    control = DeviceControl(sn=1, device_id=NVR, iframe_cmd="Send")
    sent = [serialize_message(control, edition=name) for name in key_frame_editions(edition)]
    assert [f"<{word}>".encode() in data for word, data in zip(spellings, sent, strict=True)] == [
        True,
        True,
    ]
