"""What may be shown of a push's target."""

import pytest

from gateway.domain.push import shown_target


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtmp://h/app/KEY", "rtmp://h/app/***"),
        ("rtmps://u:p@h:1/app/a/KEY?x=1", "rtmps://h:1/app/a/***"),
        ("rtmp://h/KEY", "rtmp://h/***"),
        ("rtmp://h/", "rtmp://h/"),
        ("rtmp://h", "rtmp://h"),
        ("rtsp://u:p@h/x?token=1", "rtsp://h/x"),
        ("srt://h:1?streamid=a&passphrase=0123456789", "srt://h:1"),
    ],
)
def test_no_key_password_or_query_of_a_target_is_shown(url: str, shown: str) -> None:
    assert shown_target(url) == shown
