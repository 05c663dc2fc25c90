"""Two hosts, one of which subscribes to the other."""

from gb28181.sip.dialog.notifier import Notifier
from gb28181.sip.dialog.subscriber import Subscriber
from gb28181.sip.endpoint import Event, RequestReceived
from gb28181.sip.message import Request, Response
from gb28181.sip.parser import parse
from tests.support.net import Faults, Host, VirtualNetwork

__all__ = ["QUERY", "SubscriptionPair"]

QUERY = b"<Query><CmdType>Catalog</CmdType></Query>"
_XML = "Application/MANSCDP+xml"


class SubscriptionPair:
    """A platform, and a device that answers its SUBSCRIBE with `answer`; NOTIFYs get 200."""

    def __init__(
        self, faults: Faults | None = None, *, answer: int | None = 200, notified: int | None = 200
    ) -> None:
        self.network = VirtualNetwork(faults)
        self.platform: Host = self.network.host("p")
        self.device: Host = self.network.host("d")
        self.answer = answer
        self.notified = notified
        self.notifier: Notifier | None = None
        self.asked: list[RequestReceived] = []
        self.notices: list[RequestReceived] = []
        self.platform.on_event = self._platform_event
        self.device.on_event = self._device_event

    def subscribe(self, **changes: object) -> Subscriber:
        """Subscribe to the device."""
        options: dict[str, object] = {
            "flow": self.platform.flow_to(self.device),
            "from_": "<sip:34020000002000000001@3402000000>",
            "to": "<sip:34020000001110000001@3402000000>",
            "event": "Catalog;id=1894",
            "expires": 600,
            "now": self.network.now,
            "body": QUERY,
            "content_type": _XML,
        }
        subscriber = self.platform.endpoint.subscribe(
            "sip:34020000001110000001@10.0.0.2:5060",
            **(options | changes),  # type: ignore[arg-type]
        )
        self.platform.pump()
        return subscriber

    def established(self, **changes: object) -> tuple[Subscriber, Notifier]:
        """Subscribe, and let a second pass."""
        subscriber = self.subscribe(**changes)
        self.network.run(self.network.now + 1.0)
        assert self.notifier is not None
        return subscriber, self.notifier

    def notify(self, state: str = "active;expires=600", body: bytes = b"<Notify/>") -> None:
        """Let the device notify."""
        assert self.notifier is not None
        self.notifier.notify(self.network.now, state=state, body=body, content_type=_XML)
        self.device.pump()

    def sent_by(self, host: Host) -> list[Request | Response]:
        """Return the messages of a host."""
        return [parse(data) for _, data in host.sent]

    def requests_of(self, host: Host, method: str) -> list[Request]:
        """Return its requests of one method, repetitions included."""
        sent = [message for message in self.sent_by(host) if isinstance(message, Request)]
        return [request for request in sent if request.method == method]

    def statuses_of(self, host: Host) -> list[int]:
        """Return the status codes it answered."""
        return [message.status for message in self.sent_by(host) if isinstance(message, Response)]

    def _device_event(self, event: Event) -> None:
        if not isinstance(event, RequestReceived):
            return
        self.asked.append(event)
        endpoint, now = self.device.endpoint, self.network.now
        if self.answer == 200 and event.subscription is None:
            self.notifier = endpoint.accept_subscribe(event, expires=600, now=now)
        elif self.answer is not None:
            expires = event.request.headers.get("Expires") or ""
            endpoint.respond(event, self.answer, now=now, headers=[("Expires", expires)])

    def _platform_event(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self.notices.append(event)
            if self.notified is not None:
                self.platform.endpoint.respond(event, self.notified, now=self.network.now)
