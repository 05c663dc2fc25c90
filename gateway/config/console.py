"""Section about the console."""

from pydantic import Field

from gateway.config.base import Section

__all__ = ["ConsoleSettings"]


class ConsoleSettings(Section):
    """`[console]`: how long people stay logged in."""

    idle_minutes: int = Field(default=60, ge=1, le=1440)
    """Minutes without any use after which a session is over; a stream that is watched is a use."""
    max_hours: int = Field(default=12, ge=1, le=168)
    """Hours after which one must log in again, whatever happens; streams opened by the session end then."""
