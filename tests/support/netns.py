"""Hosts of their own: network namespaces joined by links that lose packets, and a relay that delays and reorders."""

import asyncio
import itertools
import os
import random
import subprocess
from contextlib import ExitStack
from types import TracebackType
from typing import Self, cast

__all__ = ["DelayRelay", "Host", "Network", "may_make_namespaces"]

_numbers = itertools.count()
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def may_make_namespaces() -> bool:
    """Whether this process may make network namespaces (root with CAP_NET_ADMIN)."""
    name = f"gwtest{os.getpid()}probe"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return made.returncode == 0


def _run(*words: str, stdin: str | None = None) -> None:
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


class Host:
    """One namespace; programs are started in it by putting `prefix` in front."""

    def __init__(self, namespace: str, control: str) -> None:
        self.namespace = namespace
        self.control = control
        """Address at which this process reaches it, without loss."""
        self.addresses: dict[str, str] = {}
        """Its address towards each neighbour, by the neighbour's name."""
        self.devices: list[str] = []
        """Names of its lossy links."""

    @property
    def prefix(self) -> tuple[str, ...]:
        """Words in front of a command that is to run there."""
        return ("ip", "netns", "exec", self.namespace)


class Network:
    """Namespaces and links; leaving the context removes them all. Blocks: it runs `ip` and `nft`."""

    def __init__(self) -> None:
        self._tag = f"gw{os.getpid()}n{next(_numbers)}"
        self._stack = ExitStack()
        self._hosts: dict[str, Host] = {}
        self._links = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def host(self, name: str) -> Host:
        """Make a namespace with loopback, and a link to this process."""
        namespace = f"{self._tag}{name}"
        _run("ip", "netns", "add", namespace)
        self._stack.callback(_run, "ip", "netns", "del", namespace)
        _run("ip", "-n", namespace, "link", "set", "lo", "up")
        number = self._next_link()
        ours, theirs = f"{self._tag}c{number}"[-15:], f"ctl{number}"
        # Workers of pytest-xdist share this end's namespace.
        net = f"10.{211 + _worker}.{number}"
        _run("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", namespace)
        _run("ip", "addr", "add", f"{net}.1/30", "dev", ours)
        _run("ip", "link", "set", ours, "up")
        _run("ip", "-n", namespace, "addr", "add", f"{net}.2/30", "dev", theirs)
        _run("ip", "-n", namespace, "link", "set", theirs, "up")
        host = self._hosts[name] = Host(namespace, f"{net}.2")
        return host

    def link(self, lower: str, upper: str) -> None:
        """Join two hosts."""
        number = self._next_link()
        names = (f"dn{number}", f"up{number}")
        low, high = self._hosts[lower], self._hosts[upper]
        _run(
            *("ip", "-n", low.namespace, "link", "add", names[0], "type", "veth"),
            *("peer", "name", names[1], "netns", high.namespace),
        )
        for host, device, last, other in (
            (low, names[0], 1, upper),
            (high, names[1], 2, lower),
        ):
            address = f"10.210.{number}.{last}"
            _run("ip", "-n", host.namespace, "addr", "add", f"{address}/30", "dev", device)
            _run("ip", "-n", host.namespace, "link", "set", device, "up")
            host.addresses[other] = address
            host.devices.append(device)

    def lose(self, percent: int) -> None:
        """Drop that share of what arrives over every link between hosts (nftables `numgen`)."""
        for host in self._hosts.values():
            if not host.devices:
                continue
            devices = ", ".join(f'"{device}"' for device in host.devices)
            rules = (
                "table inet lossy {}\ndelete table inet lossy\n"
                "table inet lossy { chain in { type filter hook input priority 0; policy accept; "
                f"iifname {{ {devices} }} numgen random mod 100 < {percent} counter drop; }}\n}}\n"
            )
            _run(*host.prefix, "nft", "-f", "-", stdin=rules)

    def lost(self) -> int:
        """Packets dropped so far, on all hosts."""
        total = 0
        for host in self._hosts.values():
            if host.devices:
                done = subprocess.run(
                    [*host.prefix, "nft", "list", "table", "inet", "lossy"],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                words = done.stdout.split()
                total += sum(
                    int(words[place + 1]) for place, word in enumerate(words) if word == "packets"
                )
        return total

    def _next_link(self) -> int:
        self._links += 1
        return self._links


class DelayRelay(asyncio.DatagramProtocol):
    """A UDP relay between one client and one server that delays each datagram by its own time, so they overtake.

    Args:
        server: Where the client's datagrams go.
        delay: Shortest and longest time under way, in seconds.
        loss: Share that is lost.
        seed: Of what happens to each.
    """

    def __init__(
        self,
        server: tuple[str, int],
        *,
        delay: tuple[float, float] = (0.02, 0.12),
        loss: float = 0.0,
        seed: int = 28181,
    ) -> None:
        self._server = server
        self._delay = delay
        self._loss = loss
        self._random = random.Random(seed)
        self._client: tuple[str, int] | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self.carried = 0
        self.overtaken = 0
        self._last_due = 0.0

    @property
    def address(self) -> tuple[str, int]:
        """Where clients send."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # That of uvloop is no asyncio.DatagramTransport, it only behaves like one.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr == self._server:
            target = self._client
        else:
            self._client = addr
            target = self._server
        if target is None or self._random.random() < self._loss:
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + self._random.uniform(*self._delay)
        self.overtaken += due < self._last_due
        self._last_due = max(self._last_due, due)
        self.carried += 1
        loop.call_at(due, self._send, data, target)

    def _send(self, data: bytes, target: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, target)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._transport is not None:
            self._transport.close()
