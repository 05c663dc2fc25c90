"""Sections about foreign sources: how they are fetched, and where they may be published."""

import ipaddress

from pydantic import Field, field_validator

from gateway.config.base import Section

__all__ = ["RtmpSettings", "SourceSettings"]


class RtmpSettings(Section):
    """`[rtmp]`: the server to which drones and encoders publish; it only takes what comes, with a stream key."""

    enabled: bool = False
    """Take publishers. RTMP is not encrypted: the stream key crosses the network in the clear."""
    host: str = ""
    """Address to listen on; empty: as [http] host."""
    port: int = Field(default=1935, ge=0, le=65535)
    """Port; 0 takes any free one."""
    public_host: str = ""
    """host[:port] in the addresses given out (video.example:1935); empty: as the request came in."""
    max_connections: int = Field(default=200, ge=1, le=10_000)
    """Publishers at once."""

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        if value:
            try:
                ipaddress.ip_address(value)
            except ValueError:
                raise ValueError(
                    f"expected an IP address such as 0.0.0.0 or 192.0.2.10, got {value!r}"
                ) from None
        return value


class SourceSettings(Section):
    """`[sources]`: RTSP and RTMP sources that become channels."""

    name: str = Field(default="外部视频源", max_length=100)
    """Name of the device whose channels they are."""
    connect_timeout: float = Field(default=10.0, ge=1, le=60)
    """Seconds until a source that is fetched must have answered."""
    read_timeout: float = Field(default=10.0, ge=1, le=60)
    """Seconds for which a source may send nothing."""
    probe_interval: float = Field(default=300.0, ge=0, le=86_400)
    """Seconds between looks at a source that nobody watches, so that its channel shows whether it is there; 0: never."""
    max_pulls: int = Field(default=256, ge=1, le=2_000)
    """Sources fetched at once; each takes a thread."""
