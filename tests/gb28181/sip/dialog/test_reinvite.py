"""Late offers and INVITEs inside a dialog (RFC 3261 13.2.1, 14.2), towards an endpoint on a virtual clock."""

import itertools

import pytest

from gb28181.limits import MAX_INVITE_PENDING
from gb28181.sip.build import build_request
from gb28181.sip.dialog.invite_session import (
    EndCause,
    InviteSession,
    ReinviteCancelled,
    ReinviteConfirmed,
    SessionConfirmed,
    SessionEnded,
)
from gb28181.sip.endpoint import Event, Flow, RequestReceived, SipEndpoint
from gb28181.sip.message import Request, Response
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize
from gb28181.sip.transaction.flow import Flow as TransactionFlow
from tests.support.net import token_maker

UPPER = Flow(transport="UDP", remote=("10.0.0.1", 5060), local=("10.0.0.2", 5060))
OFFER, ANSWER, OTHER = b"v=0\r\ns=Play\r\n", b"v=0\r\ns=Answer\r\n", b"v=0\r\ns=Play\r\nt=0 1\r\n"
_branches = itertools.count()


class Callee:
    """An endpoint that an upper calls with messages made by hand."""

    def __init__(self) -> None:
        self.endpoint = SipEndpoint(user_agent="", new_token=token_maker("c"))
        self.now = 0.0
        self.to_tag: str | None = None
        self.events: list[Event] = []
        self.sent: list[tuple[float, Request | Response]] = []

    def send(
        self,
        method: str,
        number: int,
        body: bytes = b"",
        *,
        branch: str = "",
        contact: str = "sip:u@10.0.0.1",
        flow: TransactionFlow = UPPER,
        kind: str = "application/sdp",
    ) -> list[str]:
        """Let the upper send a request; return what it gets at once."""
        to = "<sip:34020000001320000001@3402000000>"
        request = build_request(
            method,
            "sip:34020000001320000001@10.0.0.2",
            via=f"SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK{branch or next(_branches)}",
            from_="<sip:34020000002000000001@3402000000>;tag=up",
            to=to if self.to_tag is None else f"{to};tag={self.to_tag}",
            call_id="call@10.0.0.1",
            cseq=number,
            headers=[("Contact", f"<{contact}>")],
            body=body,
            content_type=kind if body else None,
        )
        self.endpoint.receive_message(serialize(request), flow, self.now)
        return self.pump()

    def pump(self) -> list[str]:
        """Take events and messages; return the first words of the latter."""
        while (event := self.endpoint.next_event()) is not None:
            self.events.append(event)
        new = [parse(data) for data, _, _ in self.endpoint.messages_to_send(self.now)]
        self.sent += [(self.now, message) for message in new]
        return [m.method if isinstance(m, Request) else str(m.status) for m in new]

    def run(self, until: float) -> None:
        """Let time pass."""
        while (due := self.endpoint.next_timer()) is not None and due <= until:
            self.now = max(self.now, due)
            self.endpoint.handle_timer(self.now)
            self.pump()
        self.now = until

    def received(self) -> RequestReceived:
        """Return the newest request for the user."""
        return [event for event in self.events if isinstance(event, RequestReceived)][-1]

    def respond(self, status: int, body: bytes = b"") -> list[str]:
        """Answer it."""
        self.endpoint.respond(self.received(), status, now=self.now, body=body)
        return self.pump()

    def accept(self, offer: bytes = OFFER, answer: bytes = ANSWER) -> InviteSession:
        """Be called and accept, without ACK."""
        self.send("INVITE", 1, offer)
        session = self.endpoint.accept_invite(self.received(), answer, now=self.now)
        assert session is not None
        self.to_tag = session.dialog.local_tag
        self.pump()
        return session

    def establish(self, offer: bytes = OFFER) -> InviteSession:
        """Be called, acknowledged, and answer re-INVITEs from then on."""
        session = self.accept(offer)
        self.send("ACK", 1)
        session.delegates_reinvite = True
        self.events.clear()
        self.sent.clear()
        return session


def test_the_ack_to_our_offer_brings_the_answer_once() -> None:
    callee = Callee()
    session = callee.accept(b"", OFFER)
    (_, ok) = callee.sent[-1]
    assert ok.body == OFFER
    assert ok.content_type == "application/sdp"
    callee.send("ACK", 1, ANSWER)
    callee.send("ACK", 1, OTHER)
    assert callee.events[1:] == [SessionConfirmed(session, ANSWER)]


def test_an_ack_without_a_body_is_told_as_such() -> None:
    callee = Callee()
    session = callee.accept(b"", OFFER)
    callee.send("ACK", 1)
    assert callee.events[1:] == [SessionConfirmed(session, b"")]


def test_an_ack_with_the_branch_of_its_invite_brings_its_body() -> None:
    callee = Callee()
    callee.send("INVITE", 1, branch="same")
    session = callee.endpoint.accept_invite(callee.received(), OFFER, now=0.0)
    assert session is not None
    callee.to_tag = session.dialog.local_tag
    callee.pump()
    callee.send("ACK", 1, ANSWER, branch="same")
    callee.send("ACK", 1, ANSWER, branch="same")
    assert callee.events[1:] == [SessionConfirmed(session, ANSWER)]
    callee.run(20.0)
    assert len(callee.sent) == 1


def test_an_ack_with_lost_tags_counts_from_the_uppers_own_address_only() -> None:
    callee = Callee()
    session = callee.accept()
    callee.to_tag = None
    stranger = Flow(transport="UDP", remote=("192.0.2.9", 5060), local=("10.0.0.2", 5060))
    callee.send("ACK", 1, flow=stranger)
    assert len(callee.events) == 1
    callee.send("ACK", 1)
    assert callee.events[1:] == [SessionConfirmed(session, b"")]


def test_an_ack_before_the_200_is_swallowed_and_the_200_repeated() -> None:
    callee = Callee()
    callee.send("INVITE", 1, OFFER, branch="early")
    assert callee.send("ACK", 1, branch="early") == []
    assert callee.send("ACK", 1) == []
    session = callee.endpoint.accept_invite(callee.received(), ANSWER, now=0.0)
    assert session is not None
    callee.to_tag = session.dialog.local_tag
    callee.pump()
    callee.run(0.6)
    assert [at for at, _ in callee.sent] == [0.0, 0.5]
    callee.send("ACK", 1)
    assert callee.events[1:] == [SessionConfirmed(session, b"")]


def test_a_reinvite_is_the_users_and_its_200_is_repeated_until_the_ack() -> None:
    callee = Callee()
    session = callee.establish()
    assert callee.send("INVITE", 2, OTHER, branch="re") == []
    received = callee.received()
    assert received.session is session
    assert received.reinvite is not None
    assert callee.send("INVITE", 2, OTHER, branch="re") == []
    callee.respond(180)
    callee.respond(200, ANSWER)
    callee.run(2.0)
    answers = [(at, message.status) for at, message in callee.sent if isinstance(message, Response)]
    assert answers == [(0.0, 180), (0.0, 200), (0.5, 200), (1.5, 200)]
    ok = callee.sent[-1][1]
    assert ok.contact is not None
    assert (ok.body, ok.content_type) == (ANSWER, "application/sdp")
    callee.send("ACK", 2)
    callee.run(40.0)
    assert len(callee.sent) == 4
    assert callee.events == [received, ReinviteConfirmed(session, received.reinvite, b"")]
    assert not session.ended


@pytest.mark.parametrize("branch", ["re", "other"])
def test_the_answer_to_our_offer_in_a_reinvite_comes_with_its_ack(branch: str) -> None:
    callee = Callee()
    session = callee.establish()
    callee.send("INVITE", 2, branch="re")
    callee.respond(200, OFFER)
    callee.send("ACK", 2, ANSWER, branch=branch)
    callee.send("ACK", 2, ANSWER, branch=branch)
    received = callee.received()
    assert received.reinvite is not None
    assert callee.events[1:] == [ReinviteConfirmed(session, received.reinvite, ANSWER)]


def test_a_late_ack_of_the_invite_is_no_ack_of_the_reinvite() -> None:
    callee = Callee()
    callee.establish()
    callee.send("INVITE", 2, OTHER)
    callee.respond(200, ANSWER)
    callee.send("ACK", 1)
    callee.run(0.6)
    assert [at for at, _ in callee.sent] == [0.0, 0.5]


def test_a_reinvite_nobody_acknowledges_ends_the_session_with_bye() -> None:
    callee = Callee()
    session = callee.establish()
    callee.send("INVITE", 2, OTHER)
    callee.respond(200, ANSWER)
    callee.run(33.0)
    assert callee.events[-1] == SessionEnded(session, EndCause.NOT_ACKNOWLEDGED)
    assert isinstance(callee.sent[-1][1], Request)


def test_a_second_reinvite_waits_for_the_answer_to_the_first() -> None:
    callee = Callee()
    callee.establish()
    callee.send("INVITE", 2, OTHER)
    assert callee.send("INVITE", 3, OTHER) == ["500"]
    assert callee.sent[-1][1].headers.get("Retry-After") == "1"
    callee.respond(200, ANSWER)
    assert callee.send("INVITE", 4, OTHER) == ["500"]
    callee.send("ACK", 2)
    assert callee.send("INVITE", 5, OTHER) == []
    assert callee.respond(200, ANSWER) == ["200"]


@pytest.mark.parametrize("first", [True, False])
def test_an_offer_that_crosses_ours_is_answered_491(first: bool) -> None:
    callee = Callee()
    if first:
        callee.accept(b"", OFFER)
    else:
        callee.establish()
        callee.send("INVITE", 2)
        callee.respond(200, OFFER)
    assert callee.send("INVITE", 3, OTHER) == ["491"]
    assert callee.send("ACK", 1 if first else 2, ANSWER) == []


@pytest.mark.parametrize("number", [0, 1])
def test_a_reinvite_that_is_older_than_the_last_is_answered_500(number: int) -> None:
    callee = Callee()
    callee.establish()
    assert callee.send("INVITE", number, OTHER) == ["500"]
    assert callee.events == []
    assert callee.send("INVITE", 2, OTHER) == []


def test_a_refused_reinvite_leaves_the_session_and_makes_room_for_the_next() -> None:
    callee = Callee()
    session = callee.establish()
    callee.send("INVITE", 2, OTHER, branch="re")
    assert callee.respond(488) == ["488"]
    callee.send("ACK", 2, branch="re")
    assert not session.ended
    assert callee.send("INVITE", 3, OTHER) == []
    assert callee.respond(200, ANSWER) == ["200"]


def test_a_reinvite_that_nobody_here_can_serve_leaves_nothing_behind() -> None:
    callee = Callee()
    session = callee.establish()
    assert callee.send("INVITE", 2, b"<xml/>", kind="text/xml") == ["415"]
    assert callee.send("INVITE", 3, OTHER) == []
    assert callee.received().session is session


def test_a_cancelled_reinvite_is_answered_487_and_no_answer_follows() -> None:
    callee = Callee()
    session = callee.establish()
    callee.send("INVITE", 2, OTHER, branch="re")
    assert callee.send("CANCEL", 2, branch="re") == ["200", "487"]
    received = callee.received()
    assert received.reinvite is not None
    assert callee.events[1:] == [ReinviteCancelled(session, received.reinvite)]
    assert callee.respond(200, ANSWER) == []
    assert not session.ended


def test_a_cancel_that_crosses_the_200_changes_nothing() -> None:
    callee = Callee()
    session = callee.establish()
    callee.send("INVITE", 2, OTHER, branch="re")
    callee.respond(200, ANSWER)
    assert callee.send("CANCEL", 2, branch="re") == ["200"]
    callee.send("ACK", 2)
    assert isinstance(callee.events[-1], ReinviteConfirmed)
    assert not session.ended


def test_bye_answers_the_open_reinvite_with_487() -> None:
    callee = Callee()
    session = callee.establish()
    callee.send("INVITE", 2, OTHER)
    assert sorted(callee.send("BYE", 3)) == ["200", "487"]
    kinds = [type(event) for event in callee.events]
    assert kinds == [RequestReceived, ReinviteCancelled, SessionEnded]
    assert session.ended
    assert callee.send("BYE", 3) == ["200"]
    assert callee.send("INVITE", 4, OTHER) == ["481"]


def test_a_reinvite_nobody_answers_is_refused_in_the_end() -> None:
    callee = Callee()
    session = callee.establish()
    callee.send("INVITE", 2, OTHER)
    callee.run(MAX_INVITE_PENDING + 1)
    statuses = [message.status for _, message in callee.sent if isinstance(message, Response)]
    assert statuses[:2] == [100, 480]
    assert isinstance(callee.events[-1], ReinviteCancelled)
    assert not session.ended


def test_a_reinvite_says_where_the_upper_is_from_now_on() -> None:
    callee = Callee()
    session = callee.establish()
    moved = Flow(transport="UDP", remote=("10.0.0.1", 61_000), local=("10.0.0.2", 5060))
    callee.send("INVITE", 2, OTHER, contact="sip:u@10.7.7.7:5061", flow=moved)
    callee.respond(200, ANSWER)
    callee.send("ACK", 2, flow=moved)
    session.bye(1.0)
    ((data, flow, _),) = callee.endpoint.messages_to_send(1.0)
    assert flow == moved
    assert data.startswith(b"BYE sip:u@10.7.7.7:5061 ")


def test_without_a_user_for_it_a_refresh_gets_what_was_agreed_last() -> None:
    callee = Callee()
    session = callee.establish()
    callee.send("INVITE", 2, OTHER)
    callee.respond(200, b"v=0\r\ns=New\r\n")
    callee.send("ACK", 2)
    session.delegates_reinvite = False
    assert callee.send("INVITE", 3, OTHER, branch="auto") == ["200"]
    assert callee.sent[-1][1].body == b"v=0\r\ns=New\r\n"
    callee.send("ACK", 3, branch="auto")
    callee.run(40.0)
    assert not session.ended
    assert callee.send("INVITE", 4, OFFER) == ["488"]


def test_a_lost_connection_ends_the_session_unless_it_outlives_that() -> None:
    callee = Callee()
    ended = callee.establish()
    flow = Flow(transport="TCP", remote=("10.0.0.1", 9), local=("10.0.0.2", 5060), connection=3)
    ended.retarget(flow)
    callee.endpoint.connection_lost(3, 1.0)
    callee.endpoint.connection_lost(3, 1.0)
    callee.pump()
    assert callee.events == [SessionEnded(ended, EndCause.CONNECTION_LOST)]
    assert ended.bye(1.0) is None

    callee = Callee()
    session = callee.establish()
    session.outlives_connection = True
    session.retarget(flow)
    callee.endpoint.connection_lost(3, 1.0)
    callee.pump()
    assert callee.events == []
    session.retarget(UPPER)
    session.bye(1.0)
    assert callee.pump() == ["BYE"]


def test_a_lost_connection_cancels_the_open_reinvite_too() -> None:
    callee = Callee()
    callee.establish()
    flow = Flow(transport="TCP", remote=("10.0.0.1", 9), local=("10.0.0.2", 5060), connection=3)
    callee.send("INVITE", 2, OTHER, flow=flow)
    callee.endpoint.connection_lost(3, 1.0)
    callee.pump()
    kinds = [type(event) for event in callee.events]
    assert kinds == [RequestReceived, ReinviteCancelled, SessionEnded]
    callee.run(300.0)
    assert len(callee.endpoint.transactions) == 0
    assert callee.endpoint.dialogs.held == 0
    assert callee.endpoint.next_timer() is None
