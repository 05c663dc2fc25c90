"""A device on a plain TCP connection, written from the standards alone: none of the project's SIP code."""

import asyncio
import hashlib
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.gateway import SERVER_ID

__all__ = ["TcpDevice"]

DOMAIN = SERVER_ID[:10]
PLATFORM = f"sip:{SERVER_ID}@{DOMAIN}"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class TcpDevice:
    """Registers and sends keepalives; answers every query with a bare 200 and every INVITE with 486.

    Args:
        device_id: Its 20 digits.
        port: The platform's, on loopback.
    """

    def __init__(self, device_id: str, port: int) -> None:
        self.device_id = device_id
        self.registers = 0
        """REGISTER requests sent."""
        self.invites = 0
        """INVITEs that came."""
        self._port = port
        self._number = itertools.count(1)
        self._responses: asyncio.Queue[str] = asyncio.Queue(100)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Hold one connection; requests go over it."""
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(self._serve(reader), name=f"device:{self.device_id}")
                yield
                serving.cancel()
        finally:
            self._writer.close()

    async def register(self, password: str, expires: int = 3600) -> str:
        """Register with digest; the final status line."""
        challenge = await self._register(expires)
        found = dict(re.findall(r'(nonce|realm)="([^"]+)"', challenge))
        ha1 = _md5(f"{self.device_id}:{found['realm']}:{password}")
        response = _md5(f"{ha1}:{found['nonce']}:{_md5(f'REGISTER:{PLATFORM}')}")
        answer = await self._register(
            expires,
            f'Authorization: Digest username="{self.device_id}", realm="{found["realm"]}", '
            f'nonce="{found["nonce"]}", uri="{PLATFORM}", response="{response}", algorithm=MD5\r\n',
        )
        return answer.partition("\r\n")[0]

    async def keepalive(self) -> str:
        """Send a keepalive; the status line of the answer."""
        body = (
            '<?xml version="1.0" encoding="GB2312"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n'
            f"<SN>{next(self._number)}</SN>\r\n<DeviceID>{self.device_id}</DeviceID>\r\n"
            "<Status>OK</Status>\r\n</Notify>\r\n"
        )
        extra = "Content-Type: Application/MANSCDP+xml\r\n"
        answer = await self._ask("MESSAGE", f"<{PLATFORM}>", extra, body)
        return answer.partition("\r\n")[0]

    async def _register(self, expires: int, extra: str = "") -> str:
        self.registers += 1
        host, port = self._writer.get_extra_info("sockname")
        contact = f"Contact: <sip:{self.device_id}@{host}:{port}>\r\nExpires: {expires}\r\n"
        return await self._ask(
            "REGISTER", f"<sip:{self.device_id}@{DOMAIN}>", contact + extra, call_id="registration"
        )

    async def _ask(
        self, method: str, to: str, extra: str, body: str = "", *, call_id: str = ""
    ) -> str:
        number = next(self._number)
        host, port = self._writer.get_extra_info("sockname")
        self._writer.write(
            (
                f"{method} {PLATFORM} SIP/2.0\r\n"
                f"Via: SIP/2.0/TCP {host}:{port};rport;branch=z9hG4bK{self.device_id}{number}\r\n"
                f"From: <sip:{self.device_id}@{DOMAIN}>;tag=t{number}\r\nTo: {to}\r\n"
                f"Call-ID: {call_id or number}\r\nCSeq: {number} {method}\r\nMax-Forwards: 70\r\n"
                f"{extra}Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )
        async with asyncio.timeout(15):
            return await self._responses.get()

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?i)\r\n(?:content-length|l): *(\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            if head.startswith("SIP/2.0 "):
                self._responses.put_nowait(head)
            elif not head.startswith("ACK "):
                self._answer(head)

    def _answer(self, request: str) -> None:
        is_invite = request.startswith("INVITE ")
        self.invites += is_invite
        copied = re.findall(r"(?im)^(?:via|from|call-id|cseq): .*\r\n", request)
        to = re.search(r"(?im)^to: (.*)\r\n", request)
        status = "486 Busy Here" if is_invite else "200 OK"
        self._writer.write(
            (
                f"SIP/2.0 {status}\r\n{''.join(copied)}To: {to[1] if to else ''};tag=device\r\n"
                "Content-Length: 0\r\n\r\n"
            ).encode()
        )
