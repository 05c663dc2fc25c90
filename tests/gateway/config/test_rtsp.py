"""What `[rtsp]` takes, and the URLs that follow from it."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.app.rtsp import rtsp_base
from gateway.config.model import Settings
from gateway.config.rtsp import RtspSettings


@pytest.mark.parametrize(
    ("ports", "parsed"),
    [("31200-31999", (31_200, 31_999)), ("1024-1027", (1_024, 1_027)), ("", None)],
)
def test_a_range_of_udp_ports_or_none(ports: str, parsed: tuple[int, int] | None) -> None:
    assert RtspSettings(udp_ports=ports).ports == parsed


@pytest.mark.parametrize(
    "change",
    [
        {"udp_ports": "31200"}, {"udp_ports": "31200-31202"}, {"udp_ports": "80-90"},
        {"udp_ports": "65000-66000"}, {"udp_ports": "32000-31000"}, {"host": "localhost"},
        {"port": 70_000}, {"public_host": "rtsp://host"}, {"public_host": "a b"},
        {"max_connections": 0}, {"unknown": 1},
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RtspSettings(**change)


@pytest.mark.parametrize(
    ("rtsp", "host", "base"),
    [
        ({}, "10.0.0.7", "rtsp://10.0.0.7:8600"),
        ({}, "::1", "rtsp://[::1]:8600"),
        ({"public_host": "video.example"}, "10.0.0.7", "rtsp://video.example"),
        ({"public_host": "[2001:db8::1]:554"}, "10.0.0.7", "rtsp://[2001:db8::1]:554"),
    ],
)
def test_urls_begin_with_the_host_of_the_request_or_the_public_one(
    tmp_path: Path, rtsp: dict[str, Any], host: str, base: str
) -> None:
    made = rtsp_base(Settings(data_dir=tmp_path, rtsp=RtspSettings(**rtsp)), lambda: 8600)
    assert made is not None
    assert made(host) == base


def test_there_are_no_urls_where_rtsp_is_off(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, rtsp=RtspSettings(enabled=False))
    assert rtsp_base(settings, lambda: 0) is None
