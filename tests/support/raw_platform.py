"""A platform made of string operations and sockets only: it shares no code with the stack it tests."""

import asyncio
import hashlib
import itertools
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

__all__ = ["PASSWORD", "SERVER_ID", "RawMessage", "RawPlatform", "raw_platform"]

SERVER_ID = "34020000002000000001"
DOMAIN = "3402000000"
PASSWORD = "12345678"
NONCE = "6f5d1c9be3a24e0f"


@dataclass
class RawMessage:
    """A message cut into its parts, no further."""

    start: str
    headers: list[tuple[str, str]]
    body: bytes
    source: object

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def method(self) -> str:
        """Method of a request; of a response that in CSeq, behind the status: `200 INVITE`."""
        first, second, _ = self.start.split(" ", 2)
        if first != "SIP/2.0":
            return first
        return f"{second} {(self.get('CSeq') or '').split()[-1]}"


class RawPlatform:
    """Answers MESSAGE with 200; everything else is the test's business."""

    def __init__(self, transport: str, tls: ssl.SSLContext | None) -> None:
        self.transport = transport
        self._tls = tls
        self.port = 0
        self._last = ("", "")
        self._received: asyncio.Queue[RawMessage] = asyncio.Queue(1000)
        self._kept: list[RawMessage] = []
        self._numbers = itertools.count(1)
        self._udp: asyncio.DatagramTransport | None = None
        self.connections: list[asyncio.StreamWriter] = []
        self.device: object = None

    async def receive(self, method: str) -> RawMessage:
        """The next message of this kind; others wait."""
        for message in self._kept:
            if message.method == method:
                self._kept.remove(message)
                return message
        async with asyncio.timeout(15):
            while True:
                message = await self._received.get()
                if message.method == method:
                    return message
                self._kept.append(message)

    def pending(self, method: str) -> int:
        """Messages of this kind that nobody took yet."""
        while not self._received.empty():
            self._kept.append(self._received.get_nowait())
        return sum(message.method == method for message in self._kept)

    async def register(self) -> RawMessage:
        """Challenge one registration and grant it if the digest is right; the second REGISTER."""
        first = await self.receive("REGISTER")
        self.reply(
            first,
            "401 Unauthorized",
            f'WWW-Authenticate: Digest realm="{DOMAIN}", nonce="{NONCE}"\r\n',
        )
        second = await self.receive("REGISTER")
        if self.digest_is_right(second):
            expires = second.get("Expires") or "3600"
            self.reply(second, "200 OK", f"Expires: {expires}\r\n")
            self.device = second.source
        else:
            self.reply(second, "403 Forbidden")
        return second

    def digest_is_right(self, message: RawMessage) -> bool:
        value = message.get("Authorization") or ""
        found = dict(re.findall(r'(\w+)="?([^",]+)"?', value))

        def md5(text: str) -> str:
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

        ha1 = md5(f"{found['username']}:{DOMAIN}:{PASSWORD}")
        ha2 = md5(f"REGISTER:{found['uri']}")
        return bool(found["response"] == md5(f"{ha1}:{NONCE}:{ha2}") and found["nonce"] == NONCE)

    def reply(self, request: RawMessage, status: str, extra: str = "") -> None:
        """Answer a request as RFC 3261 8.2.6 says."""
        lines = [f"SIP/2.0 {status}"]
        for name, value in request.headers:
            lower = name.lower()
            if lower in {"via", "from", "call-id", "cseq"}:
                lines.append(f"{name}: {value}")
            if lower == "to":
                lines.append(f"{name}: {value}" + ("" if "tag=" in value else ";tag=raw1"))
        text = "\r\n".join(lines) + f"\r\n{extra}Content-Length: 0\r\n\r\n"
        self._send(text.encode(), request.source)

    def request(
        self,
        method: str,
        user: str,
        *,
        body: str = "",
        content_type: str = "",
        call_id: str | None = None,
        to: str | None = None,
        cseq: int = 20,
        branch: str | None = None,
    ) -> str:
        """Send a request to the device; its Call-ID."""
        number = next(self._numbers)
        call_id = call_id or f"raw{number}@platform"
        branch = branch or f"z9hG4bKraw{number}"
        self._last = (call_id, branch)
        text = (
            f"{method} sip:{user}@{DOMAIN} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport} 127.0.0.1:{self.port};rport;branch={branch}\r\n"
            f"From: <sip:{SERVER_ID}@{DOMAIN}>;tag=platform\r\n"
            f"To: {to or f'<sip:{user}@{DOMAIN}>'}\r\n"
            f"Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n"
            f"Contact: <sip:{SERVER_ID}@127.0.0.1:{self.port}>\r\n"
        )
        if content_type:
            text += f"Content-Type: {content_type}\r\n"
        data = body.encode()
        self._send(f"{text}Content-Length: {len(data)}\r\n\r\n".encode() + data, self.device)
        return call_id

    def invite(self, channel: str, sdp: str) -> str:
        """Send an INVITE; its Call-ID."""
        return self.request("INVITE", channel, body=sdp, content_type="application/sdp")

    def acknowledge(self, answer: RawMessage, channel: str) -> None:
        """Send the ACK of a 2xx."""
        self.request("ACK", channel, call_id=answer.get("Call-ID"), to=answer.get("To"))

    def hang_up(self, answer: RawMessage, channel: str) -> None:
        """Send a BYE."""
        self.request("BYE", channel, call_id=answer.get("Call-ID"), to=answer.get("To"), cseq=21)

    def cancel_last(self, channel: str) -> None:
        """Cancel the INVITE just sent."""
        call_id, branch = self._last
        self.request("CANCEL", channel, call_id=call_id, branch=branch)

    def query(self, cmd_type: str, device: str, sn: int = 5) -> None:
        """Send a Query."""
        body = (
            '<?xml version="1.0"?><Query>'
            f"<CmdType>{cmd_type}</CmdType><SN>{sn}</SN><DeviceID>{device}</DeviceID></Query>"
        )
        self.request("MESSAGE", device, body=body, content_type="Application/MANSCDP+xml")

    def _send(self, data: bytes, target: object) -> None:
        if self._udp is not None:
            assert isinstance(target, tuple)
            self._udp.sendto(data, target)
        elif isinstance(target, asyncio.StreamWriter):
            target.write(data)

    def take(self, head: str, body: bytes, source: object) -> None:
        start, *lines = head.split("\r\n")
        headers = [(k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines)]
        message = RawMessage(start, headers, body, source)
        if message.method == "MESSAGE":
            self.reply(message, "200 OK")
        self._received.put_nowait(message)

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        if self.transport == "UDP":
            self._udp, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self), local_addr=("127.0.0.1", 0)
            )
            self.port = self._udp.get_extra_info("sockname")[1]
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._udp is not None:
            self._udp.close()
            return
        self._server.close()
        for writer in self.connections:
            writer.close()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()[:-4]
                length = int(re.search(r"(?im)^Content-Length:\s*(\d+)", head)[1])  # type: ignore[index]
                self.take(head.lstrip("\r\n"), await reader.readexactly(length), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, platform: RawPlatform) -> None:
        self._platform = platform

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        self._platform.take(head.decode(), body, addr)


@asynccontextmanager
async def raw_platform(
    transport: str = "UDP", tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawPlatform]:
    """A platform on a free port of 127.0.0.1."""
    platform = RawPlatform(transport, tls)
    await platform.open()
    try:
        yield platform
    finally:
        await platform.close()


def bound_socket(kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
    """A non-blocking socket on a free port of 127.0.0.1."""
    sock = socket.socket(socket.AF_INET, kind)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    return sock
