"""One publisher's connection, in bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.source import TagKind
from gateway.rtmp.amf import encode_values
from gateway.rtmp.chunk import MAX_MESSAGE, ChunkWriter
from gateway.rtmp.error import RtmpError
from gateway.rtmp.session import (
    MAX_COMMANDS,
    MAX_OUTSIDE_MESSAGE,
    MAX_OUTSIDE_PARTIAL,
    MAX_UNDECIDED,
    Event,
    PublishAsked,
    PublishEnded,
    RtmpSession,
    TagReceived,
)
from tests.support.rtmp_client import C1_SIMPLE, CONNECT, RtmpClient, complex_c1

RANDOM = bytes(1528)


def _session() -> RtmpSession:
    return RtmpSession(RANDOM)


def _published(client: RtmpClient, name: str = "x") -> RtmpSession:
    session = _session()
    (asked,) = session.receive_data(client.opening(name))
    assert isinstance(asked, PublishAsked)
    session.accept()
    assert session.receive_data(b"") == []
    client.take(session.data_to_send())
    return session


@pytest.mark.parametrize("c1", [C1_SIMPLE, complex_c1(), complex_c1(scheme=1)])
def test_a_simple_and_a_complex_handshake_are_answered_by_the_simple_one(c1: bytes) -> None:
    session = _session()
    session.receive_data(b"\x03" + c1[:700])
    assert session.data_to_send() == b""
    session.receive_data(c1[700:])
    answer = session.data_to_send()
    assert answer[0] == 3
    # The second word of S1 says that there is no digest; S2 is the echo.
    assert answer[5:9] == bytes(4)
    assert answer[1537:] == c1


@pytest.mark.parametrize("version", [0, 1, 2, 6, 71])
def test_another_version_is_refused(version: int) -> None:
    with pytest.raises(RtmpError, match="version"):
        _session().receive_data(bytes([version]))


def test_a_publisher_is_let_in_and_its_tags_come_out() -> None:
    client = RtmpClient(chunk_size=60_000)
    session = _session()
    (asked,) = session.receive_data(client.opening("code?key=K"))
    assert isinstance(asked, PublishAsked)
    assert (asked.app, asked.name, asked.encoder) == ("live", "code?key=K", "FMLE/3.0")
    assert "K" not in repr(asked).replace("PublishAsked", "")
    session.accept()
    client.take(session.data_to_send())
    assert client.statuses() == ["NetConnection.Connect.Success", "NetStream.Publish.Start"]
    results = [values for values in client.commands() if values[0] == "_result"]
    assert [values[1] for values in results] == [1.0, 2.0, 3.0, 4.0]
    assert results[-1][3] == 1.0
    events = session.receive_data(client.tag(9, 40, b"picture") + client.tag(8, 44, b"sound"))
    assert events == [
        TagReceived(TagKind.VIDEO, 40, b"picture"),
        TagReceived(TagKind.AUDIO, 44, b"sound"),
    ]


def test_media_right_behind_publish_waits_for_the_decision() -> None:
    client, session = RtmpClient(), _session()
    together = client.opening() + client.tag(9, 0, b"config") + client.tag(9, 0, b"key")
    (asked,) = session.receive_data(together)
    assert isinstance(asked, PublishAsked)
    session.accept()
    bodies = [one.body for one in session.receive_data(b"") if isinstance(one, TagReceived)]
    assert bodies == [b"config", b"key"]


def test_what_a_refused_publisher_sends_is_ignored() -> None:
    client, session = RtmpClient(), _session()
    session.receive_data(client.opening() + client.tag(9, 0, b"config"))
    session.refuse("NetStream.Publish.Denied", "No")
    assert session.receive_data(client.tag(9, 0, b"more")) == []
    client.take(session.data_to_send())
    assert client.statuses()[-1] == "NetStream.Publish.Denied"


@pytest.mark.parametrize("ending", ["FCUnpublish", "deleteStream", "closeStream"])
def test_a_publisher_says_that_it_ends(ending: str) -> None:
    client = RtmpClient()
    session = _published(client)
    (ended,) = session.receive_data(client.command(ending, None, 1.0))
    assert isinstance(ended, PublishEnded)
    assert ended.code == "unpublished"
    assert session.receive_data(client.tag(9, 0, b"late")) == []


def test_who_wants_to_play_is_refused() -> None:
    client, session = RtmpClient(), _session()
    session.receive_data(client.handshake() + client.command("connect", dict(CONNECT)))
    session.receive_data(client.command("createStream", None))
    (ended,) = session.receive_data(client.command("play", None, "x", stream_id=1))
    assert isinstance(ended, PublishEnded)
    assert ended.code == "play_refused"
    client.take(session.data_to_send())
    assert client.statuses()[-1] == "NetStream.Play.Failed"


def test_a_ping_is_answered_and_bytes_are_acknowledged() -> None:
    client, writer = RtmpClient(), ChunkWriter()
    session = _published(client)
    session.receive_data(writer.write(2, 4, 0, b"\x00\x06" + b"when"))
    session.receive_data(writer.write(2, 5, 0, (20_000).to_bytes(4)))
    for at in range(4):
        session.receive_data(client.tag(9, at, bytes(9_000)))
    client.take(session.data_to_send())
    kinds = {message.type: message.body for message in client.received}
    assert kinds[4] == b"\x00\x07when"
    assert int.from_bytes(kinds[3]) > 20_000


def test_tags_of_an_aggregate_come_out_one_by_one() -> None:
    client = RtmpClient()
    session = _published(client)

    def part(kind: int, stamp: int, body: bytes) -> bytes:
        head = bytes([kind]) + len(body).to_bytes(3) + (stamp & 0xFFFFFF).to_bytes(3)
        return head + bytes([stamp >> 24]) + bytes(3) + body + (len(body) + 11).to_bytes(4)

    body = part(9, 0x01000000, b"v") + part(8, 0x01000010, b"a") + part(18, 0x01000011, b"meta")
    events = session.receive_data(client.tag(22, 500, body))
    assert events == [
        TagReceived(TagKind.VIDEO, 500, b"v"),
        TagReceived(TagKind.AUDIO, 516, b"a"),
    ]
    with pytest.raises(RtmpError, match="aggregate"):
        session.receive_data(client.tag(22, 500, body[:11]))


def test_tags_of_another_stream_are_not_taken() -> None:
    client = RtmpClient()
    session = _published(client)
    assert session.receive_data(client.tag(9, 0, b"x", stream_id=2)) == []


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (lambda c: c.command("createStream", None), "before connect"),
        (lambda c: c.command("connect", None), "without an object"),
        (
            lambda c: c.command("connect", {}) + c.command("publish", None, "x", stream_id=1),
            "not created",
        ),
        (
            lambda c: (
                c.command("connect", {})
                + b"".join(c.command("createStream", None) for _ in range(9))
            ),
            "streams",
        ),
        (
            lambda c: b"".join(c.command("_checkbw") for _ in range(MAX_COMMANDS + 2)),
            "before connect",
        ),
        (
            lambda c: (
                c.command("connect", {})
                + b"".join(c.command("_checkbw") for _ in range(MAX_COMMANDS + 2))
            ),
            "commands and no media",
        ),
        (lambda c: ChunkWriter().write(3, 20, 0, b"\x05"), "without name"),
        (lambda c: ChunkWriter().write(3, 20, 0, bytes(70_000)), "message of 70000"),
    ],
)
def test_what_no_encoder_does_ends_the_connection(parts: object, words: str) -> None:
    client, session = RtmpClient(), _session()
    session.receive_data(client.handshake())
    with pytest.raises(RtmpError, match=words):
        session.receive_data(parts(client))  # type: ignore[operator]


def test_who_was_not_let_in_makes_us_hold_little() -> None:
    announced, size = ChunkWriter().resize(1 << 30), MAX_OUTSIDE_MESSAGE
    for before in (b"", RtmpClient().command("connect", dict(CONNECT))):
        session = _session()
        session.receive_data(RtmpClient().handshake() + before + announced)
        # Each but for its last byte, which is in a chunk of its own.
        session.receive_data(ChunkWriter().resize(size - 1))
        begun = bytes(3) + size.to_bytes(3) + b"\x09" + bytes(4) + bytes(size - 1)
        session.receive_data(b"\x04" + begun)
        session.receive_data(b"\x05" + begun)
        assert size < session.held <= MAX_OUTSIDE_PARTIAL
        with pytest.raises(RtmpError, match="unfinished"):
            session.receive_data(b"\x06" + begun)
    session = _session()
    session.receive_data(RtmpClient().handshake() + announced)
    with pytest.raises(RtmpError, match=f"message of {size + 1} bytes"):
        session.receive_data(b"\x04" + bytes(3) + (size + 1).to_bytes(3) + b"\x09" + bytes(4))


def test_a_large_picture_right_behind_publish_comes_out_once_it_is_let_in() -> None:
    picture = bytes(range(256)) * 2_000
    for step in (1 << 20, 60_000):
        client, session = RtmpClient(chunk_size=4_096), _session()
        data = client.opening() + client.tag(9, 0, picture) + client.tag(9, 40, b"next")
        events: list[Event] = []
        for at in range(0, len(data), step):
            events += session.receive_data(data[at : at + step])
        assert [type(event) for event in events] == [PublishAsked]
        session.accept()
        found = session.receive_data(b"")
        assert [one.body for one in found if isinstance(one, TagReceived)] == [picture, b"next"]
        assert session.held == 0


def test_what_waits_for_the_decision_is_bounded() -> None:
    client = RtmpClient(chunk_size=60_000)
    session = _session()
    session.receive_data(client.opening())
    tag = client.tag(9, 0, bytes(60_000))
    for _ in range(MAX_UNDECIDED // len(tag)):
        assert session.receive_data(tag) == []
    with pytest.raises(RtmpError, match="before it was let in"):
        session.receive_data(tag)


def test_a_publisher_sends_large_pictures_but_no_large_commands() -> None:
    client = RtmpClient(chunk_size=65_536)
    session = _published(client)
    (tag,) = session.receive_data(client.tag(9, 0, bytes(MAX_MESSAGE)))
    assert isinstance(tag, TagReceived)
    with pytest.raises(RtmpError, match="command of 70000"):
        session.receive_data(client.tag(20, 0, bytes(70_000), stream_id=0))


def test_a_second_publish_is_refused() -> None:
    client = RtmpClient()
    session = _published(client)
    with pytest.raises(RtmpError, match="second publish"):
        session.receive_data(client.command("publish", None, "y", stream_id=1))


def test_a_command_of_amf3_is_read_behind_its_first_byte() -> None:
    client, session, writer = RtmpClient(), _session(), ChunkWriter()
    session.receive_data(client.handshake())
    body = b"\x00" + encode_values("connect", 1.0, dict(CONNECT))
    session.receive_data(writer.write(3, 17, 0, body))
    client.take(session.data_to_send())
    assert client.statuses() == ["NetConnection.Connect.Success"]


@given(st.lists(st.integers(0, 9_000), max_size=10))
def test_events_do_not_depend_on_how_bytes_are_cut(cuts: list[int]) -> None:
    client = RtmpClient(chunk_size=200)
    data = client.opening() + client.tag(9, 1, bytes(900)) + client.tag(8, 2, b"a")
    data += client.command("FCUnpublish", None, "x")
    session, events, last = _session(), list[Event](), 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        new = session.receive_data(data[last:cut])
        while new:
            events += new
            if isinstance(new[-1], PublishAsked):
                session.accept()
            new = session.receive_data(b"")
        last = cut
    assert [type(event) for event in events] == [
        PublishAsked,
        TagReceived,
        TagReceived,
        PublishEnded,
    ]


@given(st.binary(max_size=600), st.booleans())
def test_any_bytes_behind_the_handshake_end_in_events_or_an_error(
    data: bytes, connected: bool
) -> None:
    client, session = RtmpClient(), _session()
    opening = client.opening() if connected else client.handshake()
    try:
        session.receive_data(opening)
        session.accept()
        for event in session.receive_data(data):
            assert isinstance(event, PublishAsked | TagReceived | PublishEnded)
    except RtmpError:
        pass
    assert len(session.data_to_send()) < 20_000
