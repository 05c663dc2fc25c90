"""URLs under which a server is found."""

import pytest

from gateway.app.base_url import base_url


@pytest.mark.parametrize(
    ("public", "asked", "expected"),
    [
        ("", "10.0.0.1", "rtsp://10.0.0.1:8554"),
        ("", "fd00::1", "rtsp://[fd00::1]:8554"),
        ("video.example:554", "10.0.0.1", "rtsp://video.example:554"),
    ],
)
def test_the_base_is_where_the_request_came_in_unless_another_host_is_public(
    public: str, asked: str, expected: str
) -> None:
    assert base_url("rtsp", public, lambda: 8554)(asked) == expected
