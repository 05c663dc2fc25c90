"""A lite ICE agent: it answers good checks and nothing else, and follows the viewer's nomination."""

import secrets

from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.webrtc.ice import MAX_ADDRESSES, STALE, IceLite

PASSWORD = "ourpassword0123456789abcdef"
HERE = ("192.0.2.1", 5000)
THERE = ("198.51.100.2", 6000)


def agent() -> IceLite:
    return IceLite("ours", PASSWORD, "theirs")


def check(
    *,
    username: str = "ours:theirs",
    password: str = PASSWORD,
    nominate: bool = False,
    priority: int = 100,
    **attributes: object,
) -> bytes:
    message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    message.attributes["USERNAME"] = username
    message.attributes["PRIORITY"] = priority
    message.attributes["ICE-CONTROLLING"] = 7
    message.attributes.update(attributes)
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(password.encode())
    return bytes(message)


def test_a_good_check_is_answered_with_where_it_came_from() -> None:
    ice, request = agent(), check()
    answer = ice.receive(request, HERE, 1.0)
    assert answer is not None
    message = stun.parse_message(answer)
    assert message.message_class == stun.Class.RESPONSE
    assert message.transaction_id == stun.parse_message(request).transaction_id
    assert message.attributes["XOR-MAPPED-ADDRESS"] == HERE
    assert message.check_message_integrity(PASSWORD.encode())
    assert ice.knows(HERE)
    assert ice.heard_at == 1.0
    assert ice.selected is None, "nothing was nominated"


def test_what_does_not_know_the_password_is_not_answered_and_stays_unknown() -> None:
    ice = agent()
    bare = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    answer = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.RESPONSE)
    answer.attributes["USERNAME"] = "ours:theirs"
    answer.add_message_integrity(PASSWORD.encode())
    for data in (
        check(password="another"),
        check(username="ours:others"),
        check(username="others:theirs"),
        check(username="ours"),
        bytes(bare),
        bytes(answer),
        check()[:-1],
        b"\x00\x01" + secrets.token_bytes(18),
        check(USERNAME="x" * 513) + bytes(2_000),
    ):
        assert ice.receive(data, HERE, 1.0) is None
    assert not ice.knows(HERE)
    assert ice.heard_at is None


@given(st.binary(max_size=200))
def test_any_bytes_are_taken(data: bytes) -> None:
    assert agent().receive(data, HERE, 1.0) is None


@given(st.data())
def test_a_check_with_a_changed_byte_is_taken_for_none(data: st.DataObject) -> None:
    # FINGERPRINT, the last 8 bytes, is not covered by the password.
    request = bytearray(check(nominate=True))
    at = data.draw(st.integers(0, len(request) - 9))
    request[at] ^= data.draw(st.integers(1, 255))
    assert agent().receive(bytes(request), HERE, 1.0) is None


def test_a_viewer_that_takes_itself_for_controlled_is_told_of_the_conflict() -> None:
    ice = agent()
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    request.attributes["USERNAME"] = "ours:theirs"
    request.attributes["ICE-CONTROLLED"] = 9
    request.add_message_integrity(PASSWORD.encode())
    answer = ice.receive(bytes(request), HERE, 1.0)
    assert answer is not None
    assert stun.parse_message(answer).attributes["ERROR-CODE"][0] == 487
    assert not ice.knows(HERE)


def test_media_goes_to_the_nominated_address_of_highest_priority() -> None:
    ice = agent()
    ice.receive(check(nominate=True, priority=50), HERE, 1.0)
    assert ice.selected == HERE
    ice.receive(check(nominate=True, priority=90), THERE, 1.1)
    assert ice.selected == THERE
    ice.receive(check(nominate=True, priority=50), HERE, 1.2)
    assert ice.selected == THERE


def test_an_address_that_went_silent_gives_way() -> None:
    ice = agent()
    ice.receive(check(nominate=True, priority=90), THERE, 1.0)
    ice.receive(check(nominate=True, priority=50), HERE, 1.0 + STALE + 0.1)
    assert ice.selected == HERE


def test_addresses_are_bounded_and_the_selected_one_stays() -> None:
    ice = agent()
    ice.receive(check(nominate=True), HERE, 0.0)
    for number in range(3 * MAX_ADDRESSES):
        ice.receive(check(), ("203.0.113.5", 1000 + number), 1.0 + number)
    known = [
        number for number in range(3 * MAX_ADDRESSES) if ice.knows(("203.0.113.5", 1000 + number))
    ]
    assert len(known) == MAX_ADDRESSES - 1
    assert known[-1] == 3 * MAX_ADDRESSES - 1
    assert ice.knows(HERE)
    assert ice.selected == HERE
