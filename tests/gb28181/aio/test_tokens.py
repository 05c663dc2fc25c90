"""Tokens."""

from gb28181.aio.tokens import TokenSource


def test_tokens_are_64_bits_in_hex_and_never_repeat() -> None:
    source = TokenSource()
    tokens = [source() for _ in range(1000)]
    assert len(set(tokens)) == 1000
    assert all(len(token) == 16 and int(token, 16) >= 0 for token in tokens)


def test_two_sources_have_nothing_in_common() -> None:
    one, other = TokenSource(), TokenSource()
    assert not {one() for _ in range(300)} & {other() for _ in range(300)}
