"""An in-memory network between SIP endpoints on a virtual clock: it loses, delays and duplicates."""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

from gb28181.sip.endpoint import Event, Flow, SipEndpoint

__all__ = ["Faults", "Host", "VirtualNetwork", "token_maker"]


def token_maker(prefix: str) -> Callable[[], str]:
    """Return a source of tokens that differ, and are the same in each run."""
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers):06x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What happens to datagrams, by a pattern that the seed fixes."""

    loss: float = 0.0
    """Share that is lost."""
    duplication: float = 0.0
    """Share that arrives twice."""
    delay: tuple[float, float] = (0.01, 0.01)
    """Shortest and longest time under way, in seconds; unequal ones reorder."""
    seed: int = 0


class Host:
    """An endpoint with an address, and everything it was told."""

    def __init__(
        self, name: str, address: tuple[str, int], network: "VirtualNetwork", **options: object
    ) -> None:
        self.network = network
        self.address = address
        self.endpoint = SipEndpoint(user_agent=name, new_token=token_maker(name), **options)  # type: ignore[arg-type]
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] = lambda event: None
        self.sent: list[tuple[float, bytes]] = []

    def flow_to(self, other: "Host") -> Flow:
        return Flow(transport="UDP", remote=other.address, local=self.address)

    def of(self, kind: type[Event]) -> list[Event]:
        """Return the events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def pump(self) -> None:
        """Hand out events and send, until there is nothing left."""
        while True:
            while (event := self.endpoint.next_event()) is not None:
                self.events.append(event)
                self.on_event(event)
            outgoing = self.endpoint.messages_to_send(self.network.now)
            if not outgoing:
                return
            for data, flow, _ in outgoing:
                self.sent.append((self.network.now, data))
                self.network.carry(data, flow)


class VirtualNetwork:
    """Hosts, datagrams under way, and the time."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.now = 0.0
        self.faults = faults or Faults()
        self.hosts: dict[tuple[str, int], Host] = {}
        self._random = random.Random(self.faults.seed)
        self._order = itertools.count()
        self._under_way: list[tuple[float, int, bytes, Flow]] = []

    def host(self, name: str, **options: object) -> Host:
        """Add an endpoint with an address of its own."""
        address = (f"10.0.0.{len(self.hosts) + 1}", 5060)
        host = self.hosts[address] = Host(name, address, self, **options)
        return host

    def carry(self, data: bytes, flow: Flow) -> None:
        """Take a datagram, which may never arrive."""
        copies = 1 + (self._random.random() < self.faults.duplication)
        for _ in range(copies):
            if self._random.random() < self.faults.loss:
                continue
            at = self.now + self._random.uniform(*self.faults.delay)
            back = Flow(transport="UDP", remote=flow.local, local=flow.remote)
            heapq.heappush(self._under_way, (at, next(self._order), data, back))

    def run(self, until: float) -> None:
        """Let time pass: deliver and fire timers in order."""
        self._pump()
        while (at := self._next()) is not None and at <= until:
            self.now = max(self.now, at)
            while self._under_way and self._under_way[0][0] <= self.now:
                _, _, data, flow = heapq.heappop(self._under_way)
                if flow.local in self.hosts:
                    self.hosts[flow.local].endpoint.receive_message(data, flow, self.now)
            for host in self.hosts.values():
                host.endpoint.handle_timer(self.now)
            self._pump()
        self.now = until

    def _pump(self) -> None:
        for host in self.hosts.values():
            host.pump()

    def _next(self) -> float | None:
        timers = [host.endpoint.next_timer() for host in self.hosts.values()]
        due = [timer for timer in timers if timer is not None]
        if self._under_way:
            due.append(self._under_way[0][0])
        return min(due, default=None)
