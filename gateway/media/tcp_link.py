"""Relays over TCP: frames left out for a slow receiver, connections from expected hosts only (GB Annex D)."""

from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from gateway.media.dialler import Dialler
from gateway.media.link import LinkOwner, spell
from gateway.media.options import MediaOptions
from gb28181.aio.clock import monotonic
from gb28181.aio.media_connection import TcpMediaConnection
from gb28181.aio.media_relay import NoSuchReceiver, check_receiver
from gb28181.aio.media_tcp import TcpMediaConnector, TcpMediaListener
from gb28181.aio.media_udp import Address
from gb28181.aio.ports import PortLease
from gb28181.limits import MAX_FRAME
from gb28181.rtp.packet import is_rtcp
from gb28181.rtp.relay import FrameStart, RelayBatch, RelayRun, RelayStamp

__all__ = ["ActiveLink", "PassiveLink"]

log = structlog.get_logger()

TRIES = 4
"""GB Annex D 2022: try again at least 3 times."""
SEND_BUFFER = 512 * 1024
"""Bytes that the system holds for a connection: a second at 4 Mbit/s, 100 ms at 40."""
RECONNECT = 2.0
"""Seconds for which a connection takes nothing before another from the same host replaces it."""


class _TcpLink:
    """What both kinds of connections have in common: sending, and losing frames when it is slow.

    Overflow rule: at the start of a frame with more than `relay_buffer` waiting, frames are left
    out until a key frame's start finds half of it (any frame's, if key frames are not told apart).
    A frame that has begun is finished unless it is longer than any frame may be.
    """

    def __init__(self, owner: LinkOwner, options: MediaOptions) -> None:
        self.remote = ""
        self.packets = 0
        self.octets = 0
        self.dropped = 0
        self._owner = owner
        self._options = options
        self._connection: TcpMediaConnection | None = None
        self._skipping = False

    def send(self, batch: RelayBatch, stamp: RelayStamp, first: int) -> None:
        """Send what there is room for."""
        connection = self._connection
        if connection is None:
            return
        form = batch.framed
        if not (first or self._skipping or connection.buffered() > self._options.relay_buffer):
            stamp.apply(form)
            connection.write(form.view)
            self.packets += batch.packets
            self.octets += batch.octets
            return
        begin, end = self._choose(form.runs, first, connection.buffered())
        runs = form.runs[begin:end]
        sent = sum(run.count for run in runs)
        self.dropped += sum(run.count for run in form.runs[first:]) - sent
        if runs:
            stamp.apply(form)
            stop = runs[-1].start + len(runs[-1].view)
            connection.write(form.view[runs[0].start : stop])
            self.packets += sent
            self.octets += sum(run.octets for run in runs)

    def send_report(self, data: bytes) -> None:
        """Send between the packets."""
        if self._connection is not None and not self._skipping:
            self._connection.write(len(data).to_bytes(2) + data)

    def _choose(self, runs: list[RelayRun], first: int, waiting: int) -> tuple[int, int]:
        """Return which runs to send: from the first number up to the second."""
        limit, numbers = self._options.relay_buffer, range(first, len(runs))
        if self._skipping:
            wanted = FrameStart.KEY if self._owner.has_keyframes() else FrameStart.PACK
            begin = next((n for n in numbers if runs[n].begins >= wanted), None)
            if begin is None or waiting > limit // 2:
                return first, first
            self._skipping = False
            return begin, len(runs)
        if waiting > limit:
            endless = waiting > limit + MAX_FRAME
            end = next((n for n in numbers if runs[n].begins or endless), None)
            if end is not None:
                self._skipping = True
                return first, end
        return first, len(runs)

    def _carry(self, connection: TcpMediaConnection) -> None:
        self._connection = connection
        connection.limit_send_buffer(SEND_BUFFER)
        self._skipping = False
        self.remote = spell(connection.remote)
        self._owner.ready()

    def _receive(self, packets: list[bytes]) -> None:
        for packet in packets:
            if is_rtcp(packet):
                self._owner.report(packet)

    def _lose(self, reason: str) -> None:
        self._connection = None
        self._owner.lost("connection_closed", f"The connection of {self.remote} ended: {reason}")

    def _watch(self, now: float) -> None:
        connection = self._connection
        if connection is None or connection.blocked_since is None:
            return
        if now - connection.blocked_since >= self._options.relay_stall:
            self._owner.lost(
                "unreachable", f"{self.remote} took nothing for {self._options.relay_stall:g} s"
            )


class PassiveLink(_TcpLink):
    """Takes the connection that the receiver makes to the leased port.

    Media goes to nobody but the expected hosts, if any is known; else to who comes first.

    Args:
        hosts: Where the receiver may come from, besides the address that `start` names.
    """

    def __init__(
        self, lease: PortLease, owner: LinkOwner, options: MediaOptions, hosts: set[str]
    ) -> None:
        super().__init__(owner, options)
        self._hosts = hosts
        self._deadline: float | None = None
        self._started = False
        self._listener = TcpMediaListener(
            lease,
            on_connected=self._admit,
            on_packets=self._heard,
            on_closed=self._closed,
            is_known=self._knows,
        )

    def start(self, remote: Address | None) -> None:
        """Take a connection that stands already, or wait for one."""
        if remote is not None:
            self._hosts.add(remote[0])
        self._started = True
        for source in self._listener.sources:
            self._admit(source)

    def tick(self, now: float) -> None:
        """Watch for a receiver that does not connect or does not read."""
        self._watch(now)
        if not self._started or self._connection is not None:
            return
        wait = self._options.relay_connect_wait
        if self._deadline is None:
            self._deadline = now + wait
        elif now >= self._deadline:
            self._owner.lost("connect_failed", f"The receiver did not connect within {wait:g} s")

    def close(self) -> None:
        """Stop listening and close the connections."""
        self._connection = None
        self._listener.close()

    def _knows(self, source: Address) -> bool:
        return not self._hosts or source[0] in self._hosts

    def _admit(self, source: Address) -> None:
        if not self._started:
            return  # whom to expect may come with the start
        if not self._knows(source):
            log.warning("relay_connection_refused", sender=self._owner.name, source=spell(source))
            self._listener.refuse(source)
            return
        current = self._connection
        if current is not None:
            if current.remote == source:
                return
            blocked = current.blocked_since
            if blocked is None or monotonic() - blocked < RECONNECT:
                self._listener.refuse(source)
                return
            self._listener.refuse(current.remote)
        self._listener.choose(source, final=True)
        assert self._listener.connection is not None
        self._carry(self._listener.connection)

    def _heard(self, packets: list[bytes], source: Address) -> None:
        if self._connection is not None and source == self._connection.remote:
            self._receive(packets)

    def _closed(self, reason: str, source: Address) -> None:
        if self._connection is not None and source == self._connection.remote:
            self._lose(reason)


class ActiveLink(_TcpLink):
    """Dials the receiver.

    Args:
        local: Host to dial from; None if any will do.
        spawn: Starts a named task.
    """

    def __init__(
        self,
        lease: PortLease,
        owner: LinkOwner,
        options: MediaOptions,
        *,
        local: str | None,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        super().__init__(owner, options)
        self._poller = lease.poller
        self._local = None if local is None else (local, 0)
        self._dialler = Dialler(
            f"relay:{owner.name}",
            spawn=spawn,
            connected=self._carry,
            failed=lambda reason: owner.lost(
                "connect_failed", f"The receiver could not be reached: {reason}"
            ),
        )

    def start(self, remote: Address | None) -> None:
        """Dial, and hang up what stands with another address."""
        if remote is None:
            self._owner.lost("connect_failed", "The receiver named no address to connect to")
            return
        try:
            check_receiver(remote)
        except NoSuchReceiver as exc:
            self._owner.lost("connect_failed", str(exc))
            return
        self._connection = None
        self._dialler.dial(
            TcpMediaConnector(
                remote,
                on_packets=lambda packets, _: self._receive(packets),
                on_closed=self._lose,
                local=self._local,
                tries=TRIES,
                poller=self._poller,
            )
        )

    def tick(self, now: float) -> None:
        """Watch for a receiver that does not read."""
        self._watch(now)

    def close(self) -> None:
        """Hang up, or stop dialling."""
        self._connection = None
        self._dialler.close()
