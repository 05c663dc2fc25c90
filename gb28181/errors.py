"""Errors of the library.

Gb28181Error
 +-- LocalProtocolError            we misused the library: a bug on this side
 +-- RemoteProtocolError           the peer sent something unusable; knows the SIP status to answer
      +-- SipParseError            a SIP message (names the header or start line at fault)
      +-- XmlError                 a MANSCDP body
      +-- SdpError                 an SDP body
      +-- RtpError                 an RTP or RTCP packet, or its framing
      +-- PsError                  a program stream
"""

__all__ = [
    "Gb28181Error",
    "LocalProtocolError",
    "PsError",
    "RemoteProtocolError",
    "RtpError",
    "SdpError",
    "SipParseError",
    "XmlError",
]


class Gb28181Error(Exception):
    """Root of all errors of the library."""


class LocalProtocolError(Gb28181Error):
    """This side asked for something the protocol does not allow."""


class RemoteProtocolError(Gb28181Error):
    """The peer sent something that cannot be used.

    Args:
        message: What was expected, what came and where; no secrets, excerpts cut to 200 characters.
        status: SIP status to answer with, where an answer is possible.
        position: Offset in bytes (or characters of a header value) at which it went wrong, if known.
    """

    def __init__(self, message: str, *, status: int = 400, position: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.position = position


class SipParseError(RemoteProtocolError):
    """A SIP message that is not one; `field` is the header name, or `start-line`, `body`."""

    def __init__(
        self, message: str, *, field: str, status: int = 400, position: int | None = None
    ) -> None:
        super().__init__(message, status=status, position=position)
        self.field = field


class XmlError(RemoteProtocolError):
    """A MANSCDP body that cannot be read even with recovery."""


class SdpError(RemoteProtocolError):
    """An SDP body that cannot be used."""


class RtpError(RemoteProtocolError):
    """An RTP or RTCP packet, or a frame around one, that is malformed."""


class PsError(RemoteProtocolError):
    """A program stream that is malformed."""
