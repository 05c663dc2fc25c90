"""The way a SIP message came and its answer goes (RFC 3261 18, RFC 3581, RFC 5626)."""

from dataclasses import dataclass

__all__ = ["Flow", "host_port"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One pair of addresses, or one connection."""

    transport: str
    """`UDP`, `TCP` or `TLS`."""
    remote: tuple[str, int]
    """Where the peer's packets come from, whatever its headers say."""
    local: tuple[str, int]
    """Address and port the peer's packets came to; ours leave from there."""
    connection: int | None = None
    """Number of the connection of a stream transport, never used again after it is lost."""

    @property
    def reliable(self) -> bool:
        """Whether the transport itself repeats what is lost."""
        return self.transport != "UDP"


def host_port(address: tuple[str, int]) -> str:
    """Return `address` as it is written into Via and Contact."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
