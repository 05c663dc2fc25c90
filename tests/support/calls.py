"""Two hosts, one of which calls the other."""

from gb28181.sip.dialog.invite_call import InviteCall
from gb28181.sip.dialog.invite_session import InviteSession
from gb28181.sip.endpoint import Event, RequestReceived
from gb28181.sip.timers import TimerConfig
from tests.support.net import Faults, Host, VirtualNetwork

__all__ = ["ANSWER", "OFFER", "Pair"]

OFFER = b"v=0\r\no=34020000002000000001 0 0 IN IP4 10.0.0.1\r\ns=Play\r\n"
ANSWER = b"v=0\r\no=34020000001320000001 0 0 IN IP4 10.0.0.2\r\ns=Play\r\n"


class Pair:
    """A platform and a device that answers an INVITE with `answer` after `delay`."""

    def __init__(
        self,
        faults: Faults | None = None,
        *,
        answer: int | None = 200,
        provisional: int | None = None,
        timers: TimerConfig | None = None,
    ) -> None:
        self.network = VirtualNetwork(faults)
        self.platform: Host = self.network.host("p", timers=timers)
        self.device: Host = self.network.host("d", timers=timers)
        self.answer = answer
        self.provisional = provisional
        self.accepted: InviteSession | None = None
        self.incoming: list[RequestReceived] = []
        self.device.on_event = self._device_event

    def call(self) -> InviteCall:
        """INVITE the device."""
        call = self.platform.endpoint.invite(
            "sip:34020000001320000001@10.0.0.2:5060",
            flow=self.platform.flow_to(self.device),
            from_="<sip:34020000002000000001@3402000000>",
            to="<sip:34020000001320000001@3402000000>",
            sdp=OFFER,
            now=self.network.now,
            headers=[("Subject", "34020000001320000001:0,34020000002000000001:0")],
        )
        self.platform.pump()
        return call

    def message(self) -> None:
        """Send the device a MESSAGE."""
        self.platform.endpoint.request(
            "MESSAGE",
            "sip:34020000001320000001@10.0.0.2:5060",
            flow=self.platform.flow_to(self.device),
            from_="<sip:34020000002000000001@3402000000>",
            to="<sip:34020000001320000001@3402000000>",
            body=b"<Query/>",
            content_type="Application/MANSCDP+xml",
            now=self.network.now,
        )
        self.platform.pump()

    def accept(self) -> InviteSession | None:
        """Accept the INVITE that came last."""
        self.accepted = self.device.endpoint.accept_invite(
            self.incoming[-1], ANSWER, now=self.network.now
        )
        self.device.pump()
        return self.accepted

    def methods(self, host: Host) -> list[str]:
        """Return what `host` sent: methods of requests, status codes of responses."""
        words = [data.split(b" ", 2) for _, data in host.sent]
        return [(w[1] if w[0] == b"SIP/2.0" else w[0]).decode() for w in words]

    def _device_event(self, event: Event) -> None:
        if not isinstance(event, RequestReceived):
            return
        self.incoming.append(event)
        endpoint, now = self.device.endpoint, self.network.now
        if event.invite is None:
            endpoint.respond(event, 200, now=now)
            return
        if self.provisional is not None:
            endpoint.respond(event, self.provisional, now=now)
        if self.answer == 200:
            self.accepted = endpoint.accept_invite(event, ANSWER, now=now)
        elif self.answer is not None:
            endpoint.respond(event, self.answer, now=now)
