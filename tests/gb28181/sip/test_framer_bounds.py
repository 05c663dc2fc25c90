"""What a peer that dribbles or stuffs a stream can make the framer do (quirk 19)."""

import time

import pytest

from gb28181.limits import MAX_SIP_ROOT
from gb28181.sip.framer import FrameError, KeepAlive, SipFramer

HEAD = (
    b"MESSAGE sip:34020000002000000001@3402000000 SIP/2.0\r\n"
    b"Via: SIP/2.0/TCP 10.0.0.2:5060;branch=z9hG4bK1\r\n"
    b"Content-Type: Application/MANSCDP+xml\r\n\r\n"
)


def drip(data: bytes, size: int = 1) -> tuple[SipFramer, list[bytes | FrameError | KeepAlive]]:
    framer = SipFramer()
    output: list[bytes | FrameError | KeepAlive] = []
    for start in range(0, len(data), size):
        output += framer.feed(data[start : start + size], 0.0)
    return framer, output


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("filling", [b"<a", b"<a ", b"< ", b"<!-- > ", b"<?x y?>"])
def test_a_body_without_length_and_without_a_root_is_given_up(filling: bytes, size: int) -> None:
    _, output = drip(HEAD + filling * (MAX_SIP_ROOT // len(filling) + 1), size)
    (error,) = output
    assert isinstance(error, FrameError)
    assert error.error.status == 400


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_root_tag_may_stand_at_the_very_end_of_what_is_searched(size: int) -> None:
    start = b"<?xml version='1.0'?><!-- "
    root = b"<Notify a='1'>"
    fill = b"x" * (MAX_SIP_ROOT - len(start) - len(b" -->") - len(root))
    body = start + fill + b" -->" + root + b"<SN>1</SN></Notify>"
    framer, output = drip(HEAD + body, size)
    assert output == [HEAD + body]
    assert framer.buffered == 0


def test_a_root_tag_beyond_is_not_found_however_the_input_is_cut() -> None:
    body = b"<?" + b"x" * MAX_SIP_ROOT + b"?><Notify></Notify>"
    for size in (1, 13, 100_000):
        _, output = drip(HEAD + body, size)
        assert len(output) == 1
        assert isinstance(output[0], FrameError)


def test_a_long_body_without_a_length_costs_little_however_slowly_it_comes() -> None:
    # 60,000 pieces: a search that began anew with each of them would take minutes.
    body = b"<Notify>" + b"<a" * 30_000 + b"</Notify>"
    began = time.process_time()
    _, output = drip(HEAD + body)
    assert output == [HEAD + body]
    assert time.process_time() - began < 2.0


def test_what_is_not_whole_yet_is_told() -> None:
    framer = SipFramer()
    framer.feed(HEAD[:30], 0.0)
    assert framer.buffered == 30
