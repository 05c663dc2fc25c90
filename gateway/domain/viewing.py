"""The one way in for whoever watches, whatever the face: HTTP, RTSP, WebRTC."""

from collections.abc import Callable
from typing import Protocol

from gateway.domain.device import Channel
from gateway.domain.errors import GatewayError
from gateway.domain.signalling import Origin

__all__ = ["StreamDoor", "StreamEntry", "StreamVisit"]


class StreamEntry(Protocol):
    """Somebody who was let in and watches; counted and on record until `end`."""

    @property
    def channel(self) -> Channel:
        """What is watched."""

    @property
    def stream(self) -> int:
        """0 main, 1 first sub stream: as asked for, or as the policy obliges."""

    @property
    def origin(self) -> Origin:
        """Who asks, for a lower platform."""

    @property
    def label(self) -> str:
        """Who it is, in one word for logs."""

    def end(self, code: str, detail: str = "", *, sent: int = 0) -> None:
        """It is over; writes result and duration. Idempotent.

        If the policy stopped it, that stands on record instead of `code`.

        Args:
            code: `viewer_left`, an end of the stream, or a `GatewayError.code`.
            detail: A sentence for the record.
            sent: Bytes that went out.
        """


class StreamVisit(Protocol):
    """Somebody with a credential, at the address of a stream."""

    @property
    def label(self) -> str:
        """Who it is, in one word for logs."""

    @property
    def is_local(self) -> bool:
        """Whether they are of our own domain and may be told what is behind a refusal."""

    def find(self, device_id: str | None, channel_id: str) -> Channel:
        """Return the channel an address names.

        Args:
            device_id: None: the channel id must be unique.
            channel_id: The channel.

        Raises:
            GatewayError: unknown or not theirs to know (404, recorded), ambiguous (409), a token for another stream (403).
        """

    def enter(
        self,
        channel: Channel,
        *,
        via: str,
        format: str,  # noqa: A002 - the domain's word
        stop: Callable[[str, str], None],
    ) -> StreamEntry:
        """Count, decide, record.

        Args:
            channel: As found.
            via: The face: `http`, `rtsp`, `webrtc`.
            format: For logs: `flv`, `rtsp-tcp`, ...
            stop: Called once with (code, words for the viewer) when it must end now; must not block. The callee
                then calls `StreamEntry.end`.

        Raises:
            GatewayError: denied (403), too many viewers (503) or streams (429), a used token (401); recorded.
        """


class StreamDoor(Protocol):
    """Tells who stands before a stream."""

    def by_token(self, token: str, source: str) -> StreamVisit:
        """Return the visit of a stream token, as POST play gives it.

        Args:
            token: As in `?token=`.
            source: Host it came from.

        Raises:
            GatewayError: status 401.
        """

    def secret_of(self, name: str) -> str | None:
        """Return the secret behind a name for digest authentication, None if there is no such name."""

    def by_name(self, name: str, source: str) -> StreamVisit:
        """Return the visit of a name whose secret was proven by digest.

        Raises:
            GatewayError: status 401: disabled or expired meanwhile; 429: its quota.
        """

    def refused(self, error: GatewayError, *, source: str, claimed: str, what: str) -> GatewayError:
        """Count a 401 against its source and put it on record; return what is to be answered.

        Args:
            error: Why.
            source: Host it came from.
            claimed: The name it came with; empty if none.
            what: Method and path, for the record.
        """

    def words(self, error: GatewayError, *, outside: bool) -> str:
        """Return the sentence of an error for whoever is told it."""
