"""The wire examples of the protocol reference, appendix G."""

from pathlib import Path

import pytest

from gb28181.sip.message import Request, Response
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize

VECTORS = Path(__file__).parents[2] / "vectors" / "sip"
SAMPLES = sorted(path.name for path in VECTORS.glob("*.sip"))


def load(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def test_samples_are_there() -> None:
    assert len(SAMPLES) == 12


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_is_parsed_whole_and_serialized_to_the_same_values(name: str) -> None:
    data = load(name)
    message = parse(data)
    message.check()
    assert message.body == data.partition(b"\r\n\r\n")[2]
    again = parse(serialize(message))
    unordered = sorted(again.headers.items())
    assert unordered == sorted(message.headers.items())
    assert again.body == message.body


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_with_content_length_last_is_serialized_byte_for_byte(name: str) -> None:
    data = load(name)
    assert serialize(parse(data)) == data


def test_register_sample_is_read() -> None:
    message = parse(load("g1-01-register.sip"))
    assert isinstance(message, Request)
    assert message.from_.user == message.to.user == "37132600001180000001"
    assert message.expires == 86400
    assert message.sip_uri.host == "3713260000"
    assert "rport" in message.via.params
    assert message.via.params["rport"] is None


def test_invite_answer_sample_is_read() -> None:
    message = parse(load("g2-03-200.sip"))
    assert isinstance(message, Response)
    assert (message.status, message.to.tag, message.content_type) == (
        200,
        "77d2",
        "application/sdp",
    )
    assert message.via.params["received"] == "10.9.8.7"
