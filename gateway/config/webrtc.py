"""The section about WebRTC viewers."""

import ipaddress
import re
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from gateway.config.base import Section

__all__ = ["WebRtcSettings"]


class WebRtcSettings(Section):
    """`[webrtc]`: pictures with a delay below a second in any browser, by WHEP."""

    enabled: bool = True
    """Serve /whep."""
    host: str = ""
    """Address of the UDP ports; empty: as [http] host. 0.0.0.0 is all IPv4 addresses of this machine."""
    port_range: str = "31000-31199"
    """UDP ports; each viewer takes one, so this many can watch by WebRTC at once."""
    advertise: Annotated[tuple[str, ...], NoDecode] = Field(default=(), max_length=8)
    """IP addresses told to browsers instead of our own, for a machine behind NAT; its UDP ports must be forwarded as they are."""

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        if value:
            _address(value)
        return value

    @field_validator("advertise", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        # The environment has no lists: GATEWAY__WEBRTC__ADVERTISE="192.0.2.10, 198.51.100.7".
        if isinstance(value, str):
            parts = value.strip("[] ").replace('"', "").split(",")
            return [part.strip() for part in parts if part.strip()]
        return value

    @field_validator("advertise")
    @classmethod
    def _check_advertise(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            _address(address)
        return value

    @field_validator("port_range")
    @classmethod
    def _check_range(cls, value: str) -> str:
        match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", value)
        if match is None or not 1024 <= int(match[1]) <= int(match[2]) <= 65_535:
            raise ValueError(
                f"expected two ports from 1024 to 65535 such as 31000-31199, got {value!r}"
            )
        return value

    @property
    def ports(self) -> tuple[int, int]:
        """First and last port."""
        first, _, last = self.port_range.partition("-")
        return int(first), int(last)


def _address(value: str) -> None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(f"expected an IP address such as 192.0.2.10, got {value!r}") from None
