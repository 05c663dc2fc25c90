"""Which RTSP status an error of the gateway is answered with (RFC 2326 7.1.1)."""

from gateway.domain.errors import Forbidden, GatewayError, SessionFailed
from gateway.rtsp.message import Header, RtspResponse, refusal

__all__ = ["refusal_of", "status_of"]

_BY_CODE = {
    "too_many_viewers": 453,
    "too_many_streams": 453,
    "codec_unsupported": 415,
    "invite_timeout": 504,
    "no_output": 504,
    "device_offline": 503,
    "rtp_ports_exhausted": 503,
    "stopped": 503,
    "shutdown": 503,
    "no_readers": 503,
    "internal_error": 500,
}
_RETRY_LATER = "5"
"""Seconds."""


def status_of(error: GatewayError) -> int:
    """Return the status of an error; 502 for a camera that gave no usable stream."""
    if isinstance(error, Forbidden):
        # The policy has words in common with the ends of sessions.
        return error.status
    status = _BY_CODE.get(error.code, error.status)
    if isinstance(error, SessionFailed) and error.code not in _BY_CODE:
        return 502
    return status


def refusal_of(
    error: GatewayError, words: str, *, headers: tuple[Header, ...] = ()
) -> RtspResponse:
    """Return the answer to a request that met an error.

    Args:
        error: What went wrong.
        words: The sentence for whoever asked.
        headers: Further ones.
    """
    status = status_of(error)
    if status in {429, 453, 503}:
        headers = (*headers, ("Retry-After", _RETRY_LATER))
    return refusal(status, error.code, words, headers=headers)
