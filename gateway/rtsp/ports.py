"""What the RTSP face needs from the rest of the gateway."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from gateway.domain.session import SessionRecord
from gateway.domain.signalling import Origin

__all__ = ["StreamSessions"]

_T = TypeVar("_T")


class StreamSessions(Protocol):
    """Starts cameras."""

    async def join(
        self,
        device_id: str,
        channel_id: str,
        attach: Callable[[SessionRecord], _T],
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> tuple[SessionRecord, _T]:
        """Attach anything to a channel's stream, starting the stream if need be.

        Raises:
            GatewayError: there is no stream; says why.
        """
