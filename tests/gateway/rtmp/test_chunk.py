"""Chunks: cut anywhere, every form of header, limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtmp.chunk import (
    MAX_CHUNK_STREAMS,
    MAX_MESSAGE,
    ChunkReader,
    ChunkWriter,
    Message,
)
from gateway.rtmp.error import RtmpError

messages = st.builds(
    Message,
    type=st.integers(8, 22).filter(lambda kind: kind not in {1, 2}),
    stream_id=st.integers(0, 3),
    timestamp=st.one_of(st.integers(0, 2000), st.integers(0xFFFFF0, 0x100000F), st.just(2**32 - 1)),
    body=st.binary(max_size=700),
)


def _read(data: bytes, cuts: list[int]) -> list[Message]:
    reader, found, last = ChunkReader(), [], 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        found += reader.feed(data[last:cut])
        last = cut
    assert reader.held == reader.waiting == 0
    return found


@given(
    st.lists(st.tuples(st.integers(2, 63), messages), max_size=8),
    st.integers(1, 300),
    st.lists(st.integers(0, 10_000), max_size=12),
)
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    sent: list[tuple[int, Message]], size: int, cuts: list[int]
) -> None:
    writer = ChunkWriter()
    data = writer.resize(size) + b"".join(
        writer.write(csid, one.type, one.stream_id, one.body, timestamp=one.timestamp)
        for csid, one in sent
    )
    assert _read(data, cuts) == [one for _, one in sent]


@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000), max_size=8))
def test_any_bytes_give_messages_or_an_error_and_the_same_however_cut(
    data: bytes, cuts: list[int]
) -> None:
    def outcome(where: list[int]) -> tuple[list[Message], bool]:
        reader, found, last = ChunkReader(), [], 0
        for cut in [*sorted(cut % (len(data) + 1) for cut in where), len(data)]:
            try:
                found += reader.feed(data[last:cut])
            except RtmpError:
                return found, True
            last = cut
        return found, False

    whole, failed = outcome([])
    cut, cut_failed = outcome(cuts)
    assert failed == cut_failed
    # Before an error the cut reader may have given out more.
    assert cut[: len(whole)] == whole
    if not failed:
        assert cut == whole


def test_deltas_and_repeated_headers_are_added_up() -> None:
    data = (
        b"\x04" + (100).to_bytes(3) + (2).to_bytes(3) + b"\x09" + (1).to_bytes(4, "little") + b"ab"
        + b"\x44" + (40).to_bytes(3) + (2).to_bytes(3) + b"\x09" + b"cd"
        + b"\x84" + (33).to_bytes(3) + b"ef"
        + b"\xc4" + b"gh"
    )  # fmt: skip
    found = ChunkReader().feed(data)
    assert [(one.timestamp, one.body) for one in found] == [
        (100, b"ab"),
        (140, b"cd"),
        (173, b"ef"),
        (206, b"gh"),
    ]
    assert {one.stream_id for one in found} == {1}


def test_messages_of_several_chunk_streams_may_be_interleaved() -> None:
    video = b"\x06" + bytes(3) + (200).to_bytes(3) + b"\x09" + bytes(4) + b"v" * 128
    audio = b"\x04" + bytes(3) + (3).to_bytes(3) + b"\x08" + bytes(4) + b"aaa"
    rest = b"\xc6" + b"v" * 72
    assert [one.body for one in ChunkReader().feed(video + audio + rest)] == [
        b"aaa",
        b"v" * 200,
    ]


@pytest.mark.parametrize("repeated", [True, False])
def test_an_extended_time_may_be_repeated_in_following_chunks_or_not(repeated: bool) -> None:
    stamp = (0x01000002).to_bytes(4)
    data = b"\x04\xff\xff\xff" + (130).to_bytes(3) + b"\x09" + bytes(4) + stamp + b"x" * 128
    data += b"\xc4" + (stamp if repeated else b"") + b"yy"
    (found,) = ChunkReader().feed(data)
    assert (found.timestamp, found.body) == (0x01000002, b"x" * 128 + b"yy")


@pytest.mark.parametrize(("lead", "csid"), [(b"\x00\x05", 69), (b"\x01\x05\x01", 325)])
def test_chunk_streams_with_long_numbers_are_told_apart(lead: bytes, csid: int) -> None:
    assert csid > 63
    header = bytes(3) + (1).to_bytes(3) + b"\x08" + bytes(4)
    found = ChunkReader().feed(lead + header + b"a" + b"\x05" + header + b"b")
    assert [one.body for one in found] == [b"a", b"b"]


def test_an_aborted_message_is_forgotten() -> None:
    writer = ChunkWriter()
    begun = b"\x06" + bytes(3) + (200).to_bytes(3) + b"\x09" + bytes(4) + b"v" * 128
    abort = writer.write(2, 2, 0, (6).to_bytes(4))
    whole = writer.write(6, 9, 0, b"new")
    assert [one.body for one in ChunkReader().feed(begun + abort + whole)] == [b"new"]


def test_a_smaller_chunk_size_holds_from_the_next_chunk_on() -> None:
    writer = ChunkWriter()
    data = writer.resize(1) + writer.write(4, 8, 0, b"abc")
    assert [one.body for one in ChunkReader().feed(data)] == [b"abc"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xc4", "begins with a header of form 3"),
        (b"\x44" + bytes(7), "begins with a header of form 1"),
        (b"\x04" + bytes(3) + (MAX_MESSAGE + 1).to_bytes(3) + bytes(5), "bytes"),
        (ChunkWriter().write(2, 1, 0, bytes(4)), "chunk size"),
        (ChunkWriter().write(2, 1, 0, b"\xff\xff\xff\xff"), "chunk size"),
        (ChunkWriter().write(2, 1, 0, b"\x01"), "chunk size"),
    ],
)
def test_what_is_against_the_rules_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(RtmpError, match=words):
        ChunkReader().feed(data)


def test_a_message_inside_another_of_its_chunk_stream_is_refused() -> None:
    begun = b"\x06" + bytes(3) + (200).to_bytes(3) + b"\x09" + bytes(4) + b"v" * 128
    with pytest.raises(RtmpError, match="inside another"):
        ChunkReader().feed(begun + begun)


def test_chunk_streams_and_unfinished_messages_are_bounded() -> None:
    reader, header = ChunkReader(), bytes(3) + (1).to_bytes(3) + b"\x08" + bytes(4)
    many = b"".join(bytes([0, number]) + header + b"x" for number in range(MAX_CHUNK_STREAMS + 1))
    with pytest.raises(RtmpError, match="chunk streams"):
        reader.feed(many)
    reader = ChunkReader()
    reader.feed(ChunkWriter().resize(MAX_MESSAGE - 1))
    large = bytes(3) + MAX_MESSAGE.to_bytes(3) + b"\x09" + bytes(4) + bytes(MAX_MESSAGE - 1)
    all_of_them = b"".join(bytes([csid]) + large for csid in range(2, 6))
    with pytest.raises(RtmpError, match="unfinished"):
        reader.feed(all_of_them)
