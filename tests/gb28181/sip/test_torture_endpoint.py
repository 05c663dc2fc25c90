"""RFC 4475 through the endpoint: every row of `expect.toml` that names an answer."""

import tomllib
from pathlib import Path

import pytest

from gb28181.sip.endpoint import Flow, MessageRefused, RequestReceived, SipEndpoint
from tests.support.net import token_maker

VECTORS = Path(__file__).parents[2] / "vectors" / "rfc4475"
TABLE = tomllib.loads((VECTORS / "expect.toml").read_text("utf-8"))
FLOW = Flow(transport="UDP", remote=("192.0.2.50", 5060), local=("192.0.2.1", 5060))

BY_ENDPOINT = sorted(
    name for name, row in TABLE.items() if row.get("by") == "endpoint" and row["answer"] != "none"
)
UNANSWERED = sorted(name for name, row in TABLE.items() if row.get("answer") == "none")
DELIVERED = sorted(name for name, row in TABLE.items() if row.get("by") in ("registrar", "user"))


def receive(name: str) -> SipEndpoint:
    endpoint = SipEndpoint(user_agent="", new_token=token_maker("t"))
    endpoint.receive_message((VECTORS / f"{name}.dat").read_bytes(), FLOW, 0.0)
    return endpoint


def answers(endpoint: SipEndpoint) -> list[tuple[int, str]]:
    """Return status and CSeq method; a 400 repeats the malformed headers, so it is not parsed."""
    answered = []
    for data, _, _ in endpoint.messages_to_send(0.0):
        head = data.partition(b"\r\n\r\n")[0].decode("utf-8", "surrogateescape").split("\r\n")
        assert head[0].startswith("SIP/2.0 ")
        cseq = next(line for line in head if line.startswith("CSeq:"))
        answered.append((int(head[0].split(" ")[1]), cseq.split()[-1]))
    return answered


def test_the_table_has_all_49() -> None:
    assert len(TABLE) == 49
    assert sorted(TABLE) == sorted(path.stem for path in VECTORS.glob("*.dat"))


@pytest.mark.parametrize("name", BY_ENDPOINT)
def test_the_endpoint_answers_by_itself(name: str) -> None:
    endpoint = receive(name)
    ((status, _),) = answers(endpoint)
    assert status == TABLE[name]["answer"]
    event = endpoint.next_event()
    assert not isinstance(event, RequestReceived)
    assert (status == 200) == (event is None)


@pytest.mark.parametrize("name", UNANSWERED)
def test_what_cannot_be_answered_is_dropped(name: str) -> None:
    endpoint = receive(name)
    assert answers(endpoint) == []
    event = endpoint.next_event()
    assert event is None or (isinstance(event, MessageRefused) and event.status is None)
    assert len(endpoint.transactions) == 0


@pytest.mark.parametrize("name", DELIVERED)
def test_what_others_decide_on_is_delivered_and_their_answer_goes_out(name: str) -> None:
    endpoint = receive(name)
    assert answers(endpoint) == []
    event = endpoint.next_event()
    assert isinstance(event, RequestReceived)
    status = TABLE[name]["answer"]
    if status == 200:
        assert endpoint.accept_invite(event, b"v=0\r\n", now=0.0) is not None
    else:
        endpoint.respond(event, status, now=0.0)
    assert answers(endpoint) == [(status, event.request.method)]


@pytest.mark.parametrize("name", sorted(TABLE))
def test_each_message_leaves_the_endpoint_able_to_serve(name: str) -> None:
    endpoint = receive(name)
    assert len(answers(endpoint)) <= 1
    while (event := endpoint.next_event()) is not None:
        assert isinstance(event, RequestReceived | MessageRefused)
    for now in (200.0, 300.0, 400.0):
        endpoint.handle_timer(now)
    assert len(endpoint.transactions) == 0
    assert endpoint.dialogs.held == 0
