"""The section about RTSP players."""

import ipaddress
import re

from pydantic import Field, field_validator

from gateway.config.base import Section

__all__ = ["RtspSettings"]


class RtspSettings(Section):
    """`[rtsp]`: streams for players and other systems, `rtsp://HOST:PORT/live/DEVICE/CHANNEL`."""

    enabled: bool = True
    """Serve RTSP."""
    host: str = ""
    """Address to listen on; empty: as [http] host. 0.0.0.0 opens it to the network."""
    port: int = Field(default=8554, ge=0, le=65_535)
    """Port; 0 takes any free one."""
    udp_ports: str = "31200-31999"
    """UDP ports for players that do not take TCP, four for each; empty: TCP only."""
    public_host: str = ""
    """`host` or `host:port` in the URLs given out; empty: the host of the request, and the port above."""
    max_connections: int = Field(default=4_000, ge=1, le=100_000)
    """Connections at once; one more is refused."""
    max_connections_per_host: int = Field(default=500, ge=1, le=100_000)
    """Connections of one address at once."""

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

    @field_validator("public_host")
    @classmethod
    def _check_public_host(cls, value: str) -> str:
        if value and not re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", value):
            raise ValueError(f"expected HOST or HOST:PORT, got {value!r}")
        return value

    @field_validator("udp_ports")
    @classmethod
    def _check_range(cls, value: str) -> str:
        match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", value)
        if value and (match is None or not 1024 <= int(match[1]) <= int(match[2]) - 3 <= 65_532):
            raise ValueError(
                f"expected at least four ports from 1024 to 65535 such as 31200-31999, got {value!r}"
            )
        return value

    @property
    def ports(self) -> tuple[int, int] | None:
        """First and last UDP port; None: TCP only."""
        if not self.udp_ports:
            return None
        first, _, last = self.udp_ports.partition("-")
        return int(first), int(last)
