"""Which stream a URL names, and what is told of it to others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtsp.address import parse_address


@pytest.mark.parametrize(
    ("url", "stream", "track", "token", "base"),
    [
        ("rtsp://h/live/d/c", ("d", "c"), None, "", "rtsp://h/live/d/c/"),
        ("rtsp://h:8554/live/c/", (None, "c"), None, "", "rtsp://h:8554/live/c/"),
        ("RTSP://H/live/d/c?token=a.b-_", ("d", "c"), None, "a.b-_", "rtsp://h/live/d/c/"),
        ("rtsp://key:secret@h/live/d/c", ("d", "c"), None, "", "rtsp://h/live/d/c/"),
        ("rtsp://[::1]:554/live/d/c", ("d", "c"), None, "", "rtsp://[::1]:554/live/d/c/"),
        ("rtsp://h/live/d/c/trackID=1", ("d", "c"), 1, "", "rtsp://h/live/d/c/"),
        ("rtsp://h/live/c/trackID=0/", (None, "c"), 0, "", "rtsp://h/live/c/"),
        ("rtsp://h/live/d/c?token=ab/trackID=1", ("d", "c"), 1, "ab", "rtsp://h/live/d/c/"),
        ("rtsp://h/live/d/c/?token=ab", ("d", "c"), None, "ab", "rtsp://h/live/d/c/"),
        ("rtsp://h/live/%E4%BA%8C/a%2Fb", ("二", "a/b"), None, "",
         "rtsp://h/live/%E4%BA%8C/a%2Fb/"),
        ("rtsp://h/live/d/c?token=a&token=b", ("d", "c"), None, "", "rtsp://h/live/d/c/"),
    ],
)  # fmt: skip
def test_a_url_names_device_channel_track_and_token(
    url: str, stream: tuple[str | None, str], track: int | None, token: str, base: str
) -> None:
    address = parse_address(url)
    assert address is not None
    assert (address.stream, address.track, address.token) == (stream, track, token)
    assert address.base == base
    assert parse_address(base) is not None


@pytest.mark.parametrize(
    "url",
    [
        "*", "", "/live/c", "http://h/live/c", "rtsp:///live/c", "rtsp://h", "rtsp://h/",
        "rtsp://h/live/", "rtsp://h/live/a/b/c", "rtsp://h/other/c", "rtsp://h:99999/live/c",
        "rtsp://[::1/live/c", f"rtsp://h/live/{'x' * 65}", f"rtsp://h/live/{'x' * 65}/c",
        "rtsp://h/live/c?" + "&".join(f"a{n}=1" for n in range(30)),
    ],
)  # fmt: skip
def test_what_names_no_stream_is_none(url: str) -> None:
    assert parse_address(url) is None


@pytest.mark.parametrize(
    ("query", "from_next"),
    [("", False), ("?start=next", True), ("?token=a&start=next", True), ("?start=last", False),
     ("?token=a&start=next/trackID=1", True), ("?start=next&start=next", False)],
)  # fmt: skip
def test_a_url_may_ask_to_begin_with_the_next_key_frame(query: str, from_next: bool) -> None:
    address = parse_address("rtsp://h/live/d/c" + query)
    assert address is not None
    assert address.from_next is from_next
    assert "start" not in address.base


def test_a_token_does_not_show_when_an_address_is_printed() -> None:
    assert "hush" not in repr(parse_address("rtsp://h/live/c?token=hush"))


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_none(text: str) -> None:
    for url in (text, f"rtsp://h/{text}", f"rtsp://h/live/{text}"):
        address = parse_address(url)
        assert address is None or address.channel_id
