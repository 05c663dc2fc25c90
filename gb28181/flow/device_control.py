"""Controls and queries and the answers to them (GB/T 28181-2022 9.3, 9.5; protocol 2.3, 4.5).

An answer is a MESSAGE of its own, with another Call-ID: it belongs to what was asked of this peer with
this CmdType and this SN. The standard names no deadline and no way to say "not supported", so silence
is an outcome like any other.
"""

import enum
from collections import Counter
from dataclasses import dataclass
from typing import Final

from gb28181.errors import LocalProtocolError
from gb28181.flow.deadline import Deadlines
from gb28181.limits import MAX_AWAITED_ANSWERS, MAX_AWAITED_PER_PEER
from gb28181.manscdp.message import Content, ManscdpMessage

__all__ = ["AnswerEnd", "AnswerMatcher", "Question", "QuestionResult", "key_frame_editions"]

ANSWER_TIMEOUT: Final = 10.0
"""Seconds; the standard is silent, people wait no longer."""

_OLD_SPELLING: Final = "2016"
_NEW_SPELLING: Final = "2022"
_LAST_SN: Final = 0x7FFF_FFFF


class AnswerEnd(enum.StrEnum):
    """How a question ended."""

    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    PEER_GONE = "peer_gone"
    """The peer went offline or registered anew."""
    CANCELLED = "cancelled"
    """Nobody wants the answer any more."""


@dataclass(frozen=True, slots=True)
class Question:
    """What an answer must name to belong to it."""

    peer: str
    """Who was asked, by its identifier."""
    cmd_type: str
    sn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionResult:
    """How a question ended, and with what."""

    question: Question
    end: AnswerEnd
    content: Content | None = None
    """The answer."""


class AnswerMatcher:
    """Awaits answers, each until its deadline; whatever happens, a question ends exactly once.

    Args:
        timeout: Seconds to wait unless a question says otherwise.
    """

    def __init__(self, timeout: float = ANSWER_TIMEOUT) -> None:
        self._timeout = timeout
        self._waiting: dict[Question, None] = {}
        self._by_peer: Counter[str] = Counter()
        self._last_sn: dict[str, int] = {}
        self._deadlines: Deadlines[Question] = Deadlines()
        self.unmatched = 0
        """Answers nobody waited for: late ones, repeated ones, and those never asked for."""

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(
        self, peer: str, cmd_type: str, now: float, *, timeout: float | None = None
    ) -> Question:
        """Choose the SN of a question about to be sent, and await its answer.

        Raises:
            LocalProtocolError: Too much is being awaited, of this peer or in all.
        """
        if len(self._waiting) >= MAX_AWAITED_ANSWERS:
            raise LocalProtocolError(f"{MAX_AWAITED_ANSWERS} answers are being awaited already")
        if self._by_peer[peer] >= MAX_AWAITED_PER_PEER:
            raise LocalProtocolError(
                f"{MAX_AWAITED_PER_PEER} answers of {peer} are being awaited already"
            )
        question = Question(peer, cmd_type.lower(), self.next_sn(peer))
        self._waiting[question] = None
        self._by_peer[peer] += 1
        self._deadlines.set(question, now + (self._timeout if timeout is None else timeout))
        return question

    def next_sn(self, peer: str) -> int:
        """Return the next SN towards a peer: 1 to 2**31 - 1, then 1 again; some keep it in 32 bits."""
        sn = self._last_sn.get(peer, 0) % _LAST_SN + 1
        self._last_sn[peer] = sn
        return sn

    def receive(self, peer: str, message: ManscdpMessage) -> QuestionResult | None:
        """Take a Response of a peer; return the question it ends, if any.

        An answer without a usable SN belongs to the only question of its kind.
        """
        question = self._question(peer, message)
        if question is None:
            self.unmatched += 1
            return None
        self._drop(question)
        return QuestionResult(question=question, end=AnswerEnd.ANSWERED, content=message.content)

    def cancel(self, question: Question) -> QuestionResult | None:
        """Stop awaiting an answer; None if the question has ended already."""
        if question not in self._waiting:
            return None
        self._drop(question)
        return QuestionResult(question=question, end=AnswerEnd.CANCELLED)

    def peer_gone(self, peer: str) -> list[QuestionResult]:
        """End the questions to a peer that is gone; its SNs start again when it is forgotten."""
        ended = [question for question in self._waiting if question.peer == peer]
        for question in ended:
            self._drop(question)
        return [QuestionResult(question=question, end=AnswerEnd.PEER_GONE) for question in ended]

    def forget(self, peer: str) -> None:
        """Drop the SN counter of a peer that was removed."""
        self._last_sn.pop(peer, None)

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is due, None for never."""
        return self._deadlines.earliest()

    def handle_timer(self, now: float) -> list[QuestionResult]:
        """End the questions whose time is over."""
        ended = []
        while (question := self._deadlines.pop_due(now)) is not None:
            self._drop(question)
            ended.append(QuestionResult(question=question, end=AnswerEnd.NO_ANSWER))
        return ended

    def _question(self, peer: str, message: ManscdpMessage) -> Question | None:
        kind = message.cmd_type.lower()
        if message.sn:
            question = Question(peer, kind, message.sn)
            return question if question in self._waiting else None
        if not self._by_peer[peer]:
            return None
        found = [other for other in self._waiting if (other.peer, other.cmd_type) == (peer, kind)]
        return found[0] if len(found) == 1 else None

    def _drop(self, question: Question) -> None:
        del self._waiting[question]
        self._deadlines.remove(question)
        self._by_peer[question.peer] -= 1
        if not self._by_peer[question.peer]:
            del self._by_peer[question.peer]


def key_frame_editions(edition: str) -> tuple[str, str]:
    """Return the editions to ask for a key frame in, one after the other (protocol 4.5).

    Devices of 2016 that know only one of `IFameCmd` and `IFrameCmd` exist, and none of them says so:
    when no key frame has come within 2 s of the first, send the second.
    """
    # GB A.2.3.1.7: 2016 prints IFameCmd, 2022 IFrameCmd.
    if edition in {"2022", "3.0"}:
        return _NEW_SPELLING, _OLD_SPELLING
    return _OLD_SPELLING, _NEW_SPELLING
