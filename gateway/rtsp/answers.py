"""Answers that an RTSP connection gives by itself, and what it says when it waited too long."""

from typing import Final

from gateway.rtsp.limits import PLAY_WAIT, SESSION_TIMEOUT
from gateway.rtsp.message import Header, RtspParseError, RtspResponse, refusal

__all__ = [
    "LATE",
    "NO_STREAM",
    "ONLY_WHOLE",
    "PUBLIC",
    "RequestRefused",
    "malformed",
    "unknown_method",
    "wrong_state",
]

PUBLIC = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"
_PUBLISHING = frozenset({"ANNOUNCE", "RECORD", "REDIRECT"})

NO_STREAM: Final = refusal(
    404,
    "not_found",
    "No stream has this address; expected /live/DEVICE/CHANNEL or /live/CHANNEL",
)

ONLY_WHOLE: Final = refusal(
    460,
    "only_aggregate",
    "One track of several cannot be ended; TEARDOWN of the stream's URL ends all",
)

LATE = {
    "request": ("connection_idle", "No request came"),
    "idle": ("connection_idle", "No request came"),
    "play": ("play_missing", f"The player did not go on to PLAY within {PLAY_WAIT:g} s"),
    "session": ("viewer_silent", f"The player gave no sign of life for {SESSION_TIMEOUT:g} s"),
}
"""Code and sentence by the name of the deadline."""


class RequestRefused(Exception):
    """A request gets this answer instead of what it wants."""

    def __init__(self, response: RtspResponse) -> None:
        super().__init__(response.status)
        self.response = response


def malformed(error: RtspParseError) -> RtspResponse:
    """Return the answer to what cannot be read."""
    return refusal(error.status, "malformed_request", f"Malformed request: {error.detail}")


def wrong_state(detail: str) -> RequestRefused:
    """Return the refusal of a request that comes at the wrong time."""
    return RequestRefused(refusal(455, "wrong_state", detail))


def unknown_method(method: str) -> RtspResponse:
    """Return the answer to a method that is not served."""
    allow: list[Header] = [("Allow", PUBLIC)]
    if method in _PUBLISHING:
        detail = "Streams can be watched here; they cannot be published by RTSP"
        return refusal(405, "method_not_allowed", detail, headers=allow)
    return refusal(501, "method_unknown", "There is no such method", headers=allow)
