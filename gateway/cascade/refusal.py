"""What an upper platform is told when something fails here (protocol 10.2)."""

from gateway.domain.bridge import BridgeEnd
from gateway.domain.errors import Forbidden, GatewayError, NotFound, SessionFailed
from gateway.domain.session import EndReason
from gb28181.sip.header.reason import Reason

__all__ = ["Refused", "farewell", "refusal_of"]


class Refused(Exception):
    """A request of an upper that cannot be met.

    Args:
        status: SIP status of the answer.
        detail: A sentence for our own log and timeline; it never goes to the upper.
        reason: Reason phrase instead of the standard one.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        reason: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.reason = reason
        self.headers = headers


_BY_END = {
    EndReason.INVITE_TIMEOUT: 408,
    EndReason.DEVICE_OFFLINE: 480,
    EndReason.SOURCE_UNREACHABLE: 480,
    EndReason.SOURCE_REFUSED: 480,
    EndReason.NO_PUBLISHER: 480,
    EndReason.PUBLISHER_LEFT: 480,
    EndReason.PORTS_EXHAUSTED: 486,
    EndReason.TOO_MANY_PULLS: 486,
    EndReason.CODEC_UNSUPPORTED: 488,
    EndReason.SHUTDOWN: 503,
}
_BY_CODE = {
    "sub_stream_unavailable": 480,
    "device_offline": 480,
    "source_disabled": 480,
    "rtp_ports_exhausted": 486,
    "ssrc_exhausted": 486,
    "too_many_sessions": 486,
    "too_many_viewers": 486,
    "too_many_streams": 486,
    "device_busy": 486,
    "shutting_down": 503,
    "stopped": 480,
}
# What the device below said is passed on where it means the same to the one above.
_PASSED_ON = frozenset({404, 408, 480, 482, 483, 486, 487, 488})


def refusal_of(exc: GatewayError, *, lower: bool = False) -> Refused:
    """Return what an upper is told of an error: 403, 404, 408, 480, 486, 488, 503 or 500.

    Args:
        exc: The error.
        lower: Whether a lower platform said so: its 403 is a refusal of the one who asks, a camera's is not.
    """
    status = 500
    match exc:
        case SessionFailed():
            said = exc.ended.sip_status
            passed = _PASSED_ON | {403} if lower else _PASSED_ON
            status = said if said in passed else _BY_END.get(exc.ended.reason, 503)
        case Forbidden():
            status = 486 if exc.code == "too_many_streams" else 403
        case NotFound():
            status = 404
        case GatewayError():
            status = _BY_CODE.get(exc.code, 503)
    return Refused(status, f"{exc.code}: {exc.detail}")


# Fixed words: why in particular may be nothing an upper is to know, as that a camera has become secret.
_FAREWELLS = {
    BridgeEnd.NO_ACK: Reason(408, "no ACK came to our 200"),
    BridgeEnd.UPPER_LOST: Reason(408, "the receiver, or the link to it, is lost"),
    BridgeEnd.SOURCE_ENDED: Reason(480, "the stream of the camera ended"),
    BridgeEnd.STOPPED: Reason(403, "access was withdrawn"),
    BridgeEnd.ANSWER_UNUSABLE: Reason(488, "the answer in the ACK cannot be used"),
    BridgeEnd.SHUTDOWN: Reason(503, "the gateway is stopping"),
    BridgeEnd.INTERNAL_ERROR: Reason(500, "the gateway failed"),
}


def farewell(end: BridgeEnd) -> Reason | None:
    """Return the Reason of the BYE with which a stream ends (RFC 3326); None where the upper ended it."""
    return _FAREWELLS.get(end)
