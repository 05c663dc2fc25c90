"""The caller's side of an INVITE (RFC 3261 9.1, 13.2), between two endpoints on a virtual clock."""

import pytest

from gb28181.limits import MAX_FORKS
from gb28181.sip.dialog.invite_call import (
    InviteAccepted,
    InviteFailed,
    InviteProgress,
    InviteRefused,
)
from gb28181.sip.dialog.invite_session import SessionConfirmed
from gb28181.sip.parser import parse
from gb28181.sip.transaction.events import Failure
from gb28181.sip.transaction.flow import Flow
from tests.support.calls import ANSWER, OFFER, Pair


def test_an_accepted_call_is_acknowledged_and_both_sides_know() -> None:
    pair = Pair(provisional=180)
    pair.call()
    pair.network.run(1.0)
    assert [type(event) for event in pair.platform.events] == [InviteProgress, InviteAccepted]
    accepted = pair.platform.events[1]
    assert isinstance(accepted, InviteAccepted)
    assert accepted.response.body == ANSWER
    assert pair.incoming[0].request.body == OFFER
    assert pair.methods(pair.platform) == ["INVITE", "ACK"]
    assert pair.methods(pair.device) == ["180", "200"]
    assert len(pair.device.of(SessionConfirmed)) == 1


def test_the_ack_has_the_cseq_of_the_invite_and_a_branch_of_its_own() -> None:
    pair = Pair()
    pair.call()
    pair.network.run(1.0)
    invite, ack = (parse(data) for _, data in pair.platform.sent)
    assert ack.cseq.number == invite.cseq.number
    assert ack.via.branch != invite.via.branch
    assert ack.to.tag is not None


def test_each_repeated_2xx_is_acknowledged_with_the_same_bytes() -> None:
    pair = Pair()
    pair.call()
    pair.network.run(1.0)
    ok = pair.device.sent[-1][1]
    for _ in range(3):
        pair.platform.endpoint.receive_message(ok, pair.platform.flow_to(pair.device), 2.0)
    pair.network.run(3.0)
    acks = [data for _, data in pair.platform.sent if data.startswith(b"ACK")]
    assert len(acks) == 4
    assert len(set(acks)) == 1
    assert len(pair.platform.of(InviteAccepted)) == 1


def test_the_ack_goes_where_the_2xx_came_from() -> None:
    pair = Pair(answer=None)
    pair.call()
    pair.network.run(0.1)
    pair.accept()
    ok = pair.device.sent[-1][1]
    moved = Flow(transport="UDP", remote=("192.0.2.7", 40_000), local=pair.platform.address)
    pair.platform.endpoint.receive_message(ok, moved, 0.2)
    ((_, flow, _),) = pair.platform.endpoint.messages_to_send(0.2)
    assert flow.remote == ("192.0.2.7", 40_000)


@pytest.mark.parametrize("status", [302, 404, 486, 488, 500, 603])
def test_a_refusal_is_acknowledged_with_the_branch_of_the_invite(status: int) -> None:
    pair = Pair(answer=status)
    pair.call()
    pair.network.run(1.0)
    (refused,) = pair.platform.of(InviteRefused)
    assert isinstance(refused, InviteRefused)
    assert refused.response.status == status
    invite, ack = (parse(data) for _, data in pair.platform.sent)
    assert ack.via.branch == invite.via.branch
    assert pair.methods(pair.device) == [str(status)]


def test_silence_ends_after_64_t1() -> None:
    pair = Pair()
    pair.network.hosts.pop(pair.device.address)
    pair.call()
    pair.network.run(40.0)
    assert pair.platform.events == [InviteFailed(pair.platform.events[0].call, Failure.TIMEOUT)]  # type: ignore[union-attr]
    assert [at for at, _ in pair.platform.sent] == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]


def test_cancel_after_a_provisional_response_goes_out_at_once() -> None:
    pair = Pair(answer=None, provisional=180)
    call = pair.call()
    pair.network.run(1.0)
    call.cancel(1.0)
    pair.network.run(2.0)
    assert pair.methods(pair.platform) == ["INVITE", "CANCEL", "ACK"]
    assert pair.methods(pair.device) == ["180", "200", "487"]
    cancel = parse(pair.platform.sent[1][1])
    assert cancel.cseq.method == "CANCEL"
    assert cancel.via.branch == parse(pair.platform.sent[0][1]).via.branch
    assert pair.platform.of(InviteRefused) == []


def test_cancel_waits_for_a_provisional_response() -> None:
    pair = Pair(answer=None)
    call = pair.call()
    call.cancel(0.0)
    pair.network.run(1.0)
    # The device's stack sends 100 after 200 ms.
    assert [(round(at, 2), data[:6]) for at, data in pair.platform.sent[1:2]] == [(0.22, b"CANCEL")]


def test_cancel_goes_out_after_t4_even_without_a_provisional_response() -> None:
    pair = Pair()
    pair.network.hosts.pop(pair.device.address)
    call = pair.call()
    pair.network.run(2.0)
    call.cancel(2.0)
    pair.network.run(5.2)
    assert [(at, data[:6]) for at, data in pair.platform.sent] == [
        (0.0, b"INVITE"),
        (0.5, b"INVITE"),
        (1.5, b"INVITE"),
        (5.0, b"CANCEL"),
    ]


def test_a_2xx_that_crosses_the_cancel_is_acknowledged_and_ended() -> None:
    pair = Pair(answer=None, provisional=180)
    call = pair.call()
    pair.network.run(1.0)
    pair.accept()
    call.cancel(1.0)
    pair.network.run(3.0)
    sent = pair.methods(pair.platform)
    assert sent[0] == "INVITE"
    assert sorted(sent[1:]) == ["ACK", "BYE", "CANCEL"]
    assert pair.platform.of(InviteAccepted) == []
    assert pair.accepted is not None
    assert pair.accepted.ended


def test_a_second_branch_of_a_forked_call_is_acknowledged_and_ended() -> None:
    pair = Pair()
    pair.call()
    pair.network.run(1.0)
    ok = pair.device.sent[-1][1]
    tag = parse(ok).to.tag
    assert tag is not None
    fork = ok.replace(f";tag={tag}".encode(), b";tag=other")
    for _ in range(2):
        pair.platform.endpoint.receive_message(fork, pair.platform.flow_to(pair.device), 1.0)
    sent = [data.split(b" ")[0] for data, _, _ in pair.platform.endpoint.messages_to_send(1.0)]
    assert sent == [b"ACK", b"BYE", b"ACK"]


def test_nothing_is_left_after_a_call_that_failed() -> None:
    pair = Pair(answer=None)
    call = pair.call()
    pair.network.run(10.0)
    call.cancel(10.0)
    pair.network.run(300.0)
    for host in (pair.platform, pair.device):
        assert len(host.endpoint.transactions) == 0
        assert host.endpoint.dialogs.held == 0
        assert host.endpoint.next_timer() is None


def test_branches_of_a_forked_call_are_acknowledged_in_bounded_number() -> None:
    pair = Pair()
    pair.call()
    pair.network.run(1.0)
    ok = pair.device.sent[-1][1]
    tag = parse(ok).to.tag
    assert tag is not None
    for number in range(MAX_FORKS + 5):
        fork = ok.replace(f";tag={tag}".encode(), b";tag=f%d" % number)
        pair.platform.endpoint.receive_message(fork, pair.platform.flow_to(pair.device), 1.0)
    sent = [data.split(b" ")[0] for data, _, _ in pair.platform.endpoint.messages_to_send(1.0)]
    assert sent.count(b"ACK") == MAX_FORKS - 1


def test_a_2xx_without_via_is_known_by_call_id_and_our_tag() -> None:
    # Quirk 13.
    pair = Pair(answer=None)
    pair.call()
    pair.network.run(0.1)
    pair.accept()
    lines = pair.device.sent[-1][1].split(b"\r\n")
    bare = b"\r\n".join(line for line in lines if not line.startswith(b"Via:"))
    flow = pair.platform.flow_to(pair.device)
    endpoint = pair.platform.endpoint
    for spoiled in (
        bare.replace(b"tag=p", b"tag=q", 1),
        bare.replace(b"CSeq: 1 ", b"CSeq: 2 "),
        bare.replace(b"Call-ID: ", b"Call-ID: x"),
        bare.replace(b"From: ", b"X-From: "),
    ):
        endpoint.receive_message(spoiled, flow, 0.1)
    assert endpoint.stats.malformed == 4
    assert endpoint.messages_to_send(0.1) == []
    endpoint.receive_message(bare, flow, 0.1)
    assert [data[:3] for data, _, _ in endpoint.messages_to_send(0.1)] == [b"ACK"]
