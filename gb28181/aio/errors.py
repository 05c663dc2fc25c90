"""How a request of ours can fail on its way.

Gb28181Error
 +-- SipTimeout           nobody answered in time
 +-- SipTransportError    it could not be sent, or the connection is gone
 +-- InviteRefused        a final response other than 2xx to an INVITE
 +-- SubscribeRefused     likewise to a SUBSCRIBE outside a dialog
 +-- CallCancelled        the peer withdrew its INVITE before it was accepted
"""

from gb28181.errors import Gb28181Error
from gb28181.sip.message import Response

__all__ = [
    "CallCancelled",
    "InviteRefused",
    "SipTimeout",
    "SipTransportError",
    "SubscribeRefused",
]


class SipTimeout(Gb28181Error):
    """No final response came in time."""


class SipTransportError(Gb28181Error):
    """The message could not be sent, or its connection was lost before the answer."""


class InviteRefused(Gb28181Error):
    """The peer refused an INVITE.

    Args:
        response: The final response, 300 to 699.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(f"INVITE was answered {response.status} {response.reason}")
        self.response = response


class SubscribeRefused(Gb28181Error):
    """The peer refused a subscription.

    Args:
        response: The final response, 300 to 699.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(f"SUBSCRIBE was answered {response.status} {response.reason}")
        self.response = response


class CallCancelled(Gb28181Error):
    """The peer cancelled its INVITE, or it was answered already."""
