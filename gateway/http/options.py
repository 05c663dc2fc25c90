"""The values the HTTP server is tuned by."""

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["HttpOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Taken from `[http]`, `[limits]` and `data_dir`."""

    data_dir: Path
    """Where token files and the stream key are kept."""
    host: str = "127.0.0.1"
    port: int = 8080
    """0 takes any free one."""
    admin_token: str = field(default="", repr=False)
    """Replaces the generated one; empty: the one whose hash is in `data_dir`."""
    token_ttl: int = 3600
    """Seconds for which a stream URL lets viewers connect."""
    play_token_ttl: int = 60
    """Seconds in which a department must use the single-use token in a stream URL."""
    signature_skew: float = 300.0
    """Seconds by which the clock of a signed request may differ."""
    auth_failures: int = 120
    """Refused credentials a minute and source address that get their full answer and a record."""
    public_url: str = ""
    """Base of the URLs given out; empty: as the request came in."""
    cors_origins: tuple[str, ...] = ()
    """Origins (`https://host[:port]`) whose pages may use the API and the streams; `*` is any."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    max_viewers: int = 10_000
    max_viewers_per_stream: int = 2_000
    output_timeout: float = 60.0
    """Seconds a viewer waits for the first byte; sessions give up much sooner, with a reason."""
    close_timeout: float = 3.0
    """Seconds that open requests get at shutdown."""
