"""SIP requests as strings, from any loopback address, over UDP or TCP: what no decent stack would send.

async with RawSip(("127.0.0.1", port), host="127.0.0.2") as raw:
    answer = await raw.ask("MESSAGE", target, name=upper_id, body=body)
    assert answer.status == 400
"""

import asyncio
import itertools
import re
from collections.abc import Iterable
from types import TracebackType
from typing import Self

__all__ = ["MANSCDP", "SDP", "RawAnswer", "RawSip"]

MANSCDP = "Application/MANSCDP+xml"
SDP = "application/sdp"
DOMAIN = "3713000000"
_NUMBERS = itertools.count(1)
_BRANCH = "z9hG4bKraw"


class RawAnswer:
    """A response as it came."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.status = int(self.head.split(" ", 2)[1])

    def header(self, name: str) -> str:
        """A header's value, empty if absent."""
        found = re.search(rf"(?im)^{name}\s*:\s*(.*?)\r?$", self.head)
        return "" if found is None else found[1]

    def shape(self, *words: str) -> bytes:
        """The bytes without what differs from request to request: tags, branch, Call-ID, and these words."""
        data = self.data
        for pattern in (
            rb"tag=[^;\r>]+",
            rb"branch=[^;\r]+",
            rb"(?m)^Call-ID:[^\r]*",
            rb"port=\d+",
        ):
            data = re.sub(pattern, b"#", data)
        for word in words:
            data = data.replace(word.encode(), b"#")
        return data


class RawSip:
    """One socket.

    Args:
        target: Where to.
        host: Own address.
        transport: `UDP` or `TCP`.
    """

    def __init__(
        self, target: tuple[str, int], *, host: str = "127.0.0.1", transport: str = "UDP"
    ) -> None:
        self.target = target
        self.host = host
        self.port = 0
        self.transport = transport
        self.answers: dict[str, list[RawAnswer]] = {}
        """By Call-ID, provisional ones included."""
        self.requests: dict[tuple[str, str], str] = {}
        """Requests that came, by Call-ID and CSeq: their first lines; each was answered with 200."""
        self.lost = asyncio.Event()
        """The connection is gone."""
        self._news = asyncio.Event()
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Transport | None = None
        self._held = b""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self.transport == "UDP":
            udp, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self), local_addr=(self.host, 0)
            )
            self._udp, bound = udp, udp.get_extra_info("sockname")
        else:
            tcp, _ = await loop.create_connection(
                lambda: _Bytes(self), *self.target, local_addr=(self.host, 0)
            )
            self._tcp, bound = tcp, tcp.get_extra_info("sockname")
        self.port = bound[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for transport in (self._udp, self._tcp):
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)

    def send(
        self,
        method: str,
        user: str,
        *,
        name: str,
        body: bytes = b"",
        content_type: str = MANSCDP,
        headers: Iterable[tuple[str, str]] = (),
        call_id: str = "",
        cseq: int = 1,
        to: str = "",
        branch: str = "",
        forwards: str = "70",
    ) -> str:
        """Send one request; returns its Call-ID.

        Args:
            method: Method.
            user: Of the Request-URI.
            name: User of From.
            body: Body.
            content_type: Of the body.
            headers: Further ones.
            call_id: Empty makes one.
            cseq: Number.
            to: Whole value of To; empty names the user.
            branch: Of Via; empty makes one from the Call-ID.
            forwards: Max-Forwards.
        """
        call_id = call_id or f"raw{next(_NUMBERS)}"
        extra = "".join(f"{key}: {value}\r\n" for key, value in headers)
        kind = f"Content-Type: {content_type}\r\n" if body else ""
        head = (
            f"{method} sip:{user}@{DOMAIN} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport} {self.host}:{self.port};rport;"
            f"branch={branch or f'{_BRANCH}{call_id}{cseq}{method}'}\r\n"
            f"From: <sip:{name}@{DOMAIN}>;tag=raw\r\nTo: {to or f'<sip:{user}@{DOMAIN}>'}\r\n"
            f"Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: {forwards}\r\n"
            f"Contact: <sip:{name}@{self.host}:{self.port}>\r\n"
            f"{extra}{kind}Content-Length: {len(body)}\r\n\r\n"
        )
        self.write(head.encode("utf-8", "surrogateescape") + body)
        return call_id

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._udp is not None:
            self._udp.sendto(data, self.target)
        elif self._tcp is not None:
            self._tcp.write(data)

    async def ask(self, method: str, user: str, *, name: str, **options: object) -> RawAnswer:
        """Send a request and return its final response; an INVITE's failure is acknowledged."""
        call_id = self.send(method, user, name=name, **options)  # type: ignore[arg-type]
        answer = await self.final(call_id)
        if method == "INVITE" and answer.status >= 300:
            self.acknowledge(call_id, user, name, answer)
        return answer

    def acknowledge(self, call_id: str, user: str, name: str, answer: RawAnswer) -> None:
        """ACK a final response of an INVITE."""
        failed = answer.status >= 300
        self.send(
            *("ACK", user),
            name=name,
            call_id=call_id,
            to=answer.header("To"),
            branch=f"{_BRANCH}{call_id}1INVITE" if failed else "",
        )

    def cancel(self, call_id: str, user: str, name: str) -> None:
        """CANCEL an INVITE."""
        self.send("CANCEL", user, name=name, call_id=call_id, branch=f"{_BRANCH}{call_id}1INVITE")

    async def final(self, call_id: str, method: str = "", timeout: float = 10.0) -> RawAnswer:
        """The final response of a call, to a request of this method if one is named."""
        try:
            async with asyncio.timeout(timeout):
                while (answer := self._final(call_id, method)) is None:
                    self._news.clear()
                    await self._news.wait()
                return answer
        except TimeoutError:
            raise AssertionError(f"no final response to {call_id} in {timeout} s") from None

    def _final(self, call_id: str, method: str) -> RawAnswer | None:
        for answer in self.answers.get(call_id, ()):
            if answer.status >= 200 and answer.header("CSeq").endswith(method):
                return answer
        return None

    def take(self, data: bytes) -> None:
        """Take one message."""
        if data.startswith(b"SIP/2.0"):
            answer = RawAnswer(data)
            self.answers.setdefault(answer.header("Call-ID"), []).append(answer)
            self._news.set()
            return
        head = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        named = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in head)}
        self.requests[named["call-id"], named["cseq"]] = head[0]
        kept = [
            x for x in head if x.lower().startswith(("via:", "from:", "to:", "call-id:", "cseq:"))
        ]
        self.write("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""]).encode())

    def feed(self, data: bytes) -> None:
        """Take bytes of a connection."""
        self._held += data
        while b"\r\n\r\n" in self._held:
            head, _, rest = self._held.partition(b"\r\n\r\n")
            found = re.search(rb"(?im)^content-length\s*:\s*(\d+)", head)
            size = int(found[1]) if found is not None else 0
            if len(rest) < size:
                return
            self.take(head + b"\r\n\r\n" + rest[:size])
            self._held = rest[size:]


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, raw: RawSip) -> None:
        self._raw = raw

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._raw.take(data)


class _Bytes(asyncio.Protocol):
    def __init__(self, raw: RawSip) -> None:
        self._raw = raw

    def data_received(self, data: bytes) -> None:
        self._raw.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._raw.lost.set()
