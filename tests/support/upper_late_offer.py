"""An INVITE without SDP, answered in the ACK (RFC 3261 13.2.1): strings and one UDP socket, no SIP code of ours."""

import asyncio
import itertools
import re
import socket
from collections.abc import Iterable

from tests.support.patience import PATIENCE
from tests.support.upper_media import MediaSink

__all__ = ["LateCall"]

_NUMBERS = itertools.count(1)


class LateCall:
    """A call whose offer comes in the 200 and whose answer goes in the ACK.

    Args:
        lower: Address of the platform below.
        from_uri: Our URI.
        to_uri: The channel's URI.
        owner_id: For `o=` of the answer.
        host: Own address.
    """

    def __init__(
        self, *, lower: tuple[str, int], from_uri: str, to_uri: str, owner_id: str, host: str
    ) -> None:
        self.status = 0
        self.offer = ""
        """SDP of the 200."""
        self.ended = asyncio.Event()
        """The other side sent BYE."""
        self.bye_status = 0
        self._cseq = 1
        self.sink = MediaSink("udp", host)
        self._lower = lower
        self._from = f"<{from_uri}>;tag=late{next(_NUMBERS)}"
        self._to = f"<{to_uri}>"
        self._uri = to_uri
        self._owner_id = owner_id
        self._host = host
        self._call_id = f"late-offer-{next(_NUMBERS)}@{host}"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((host, 0))

    async def establish(self, headers: Iterable[tuple[str, str]], timeout: float) -> None:
        """INVITE, then ACK the 200 with our answer."""
        try:
            await self._establish(headers, timeout)
        except BaseException:
            self._socket.close()
            await self.sink.close()
            raise

    async def _establish(self, headers: Iterable[tuple[str, str]], timeout: float) -> None:
        await self.sink.open()
        extra = "".join(f"{name}: {value}\r\n" for name, value in headers)
        async with asyncio.timeout(timeout):
            self._send("INVITE", 1, extra)
            head = await self._final("INVITE")
            self.status = int(head.split(" ")[1])
            if self.status >= 300:
                self._send("ACK", 1)
                raise AssertionError(f"INVITE without SDP was answered {head.splitlines()[0]}")
            self._to = re.search(r"(?im)^(?:To|t)\s*:\s*(.*?)\r?$", head)[1]  # type: ignore[index]
            self._send("ACK", 1, body=self._answer())

    async def packets(self, count: int, timeout: float = PATIENCE) -> list[bytes]:
        """The first so many RTP packets."""
        return await self.sink.wait(count, timeout)

    async def reinvite(
        self, sdp: str, timeout: float = PATIENCE, *, answer: bool = False
    ) -> tuple[int, str]:
        """INVITE inside the dialog; status and SDP of the answer, which is acknowledged (with an answer of ours)."""
        async with asyncio.timeout(timeout):
            self._cseq += 1
            self.offer = ""
            self._send("INVITE", self._cseq, body=sdp)
            status = int((await self._final("INVITE")).split(" ")[1])
            self._send("ACK", self._cseq, body=self._answer() if answer else "")
        return status, self.offer

    async def bye(self, timeout: float = PATIENCE, *, reason: str = "") -> None:
        """Hang up and close the sink."""
        async with asyncio.timeout(timeout):
            self._send("BYE", self._cseq + 1, f"Reason: {reason}\r\n" if reason else "")
            self.bye_status = int((await self._final("BYE")).split(" ")[1])
        await self.sink.close()
        self._socket.close()

    def _answer(self) -> str:
        ssrc = re.search(r"(?m)^y=([0-9]{10})", self.offer)
        assert ssrc is not None, self.offer
        return (
            f"v=0\r\no={self._owner_id} 0 0 IN IP4 {self._host}\r\ns=Play\r\n"
            f"c=IN IP4 {self._host}\r\nt=0 0\r\nm=video {self.sink.port} RTP/AVP 96\r\n"
            f"a=rtpmap:96 PS/90000\r\na=recvonly\r\ny={ssrc[1]}\r\n"
        )

    def _send(self, method: str, cseq: int, extra: str = "", body: str = "") -> None:
        host, port = self._socket.getsockname()
        kind = "Content-Type: application/sdp\r\n" if body else ""
        self._socket.sendto(
            (
                f"{method} {self._uri} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK-late-{next(_NUMBERS)}\r\n"
                f"From: {self._from}\r\nTo: {self._to}\r\nCall-ID: {self._call_id}\r\n"
                f"CSeq: {cseq} {method}\r\nContact: <sip:{self._owner_id}@{host}:{port}>\r\n"
                f"Max-Forwards: 70\r\n{extra}{kind}Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode(),
            self._lower,
        )

    async def _final(self, method: str) -> str:
        loop = asyncio.get_running_loop()
        while True:
            head, _, body = (
                (await loop.sock_recv(self._socket, 65_535)).decode().partition("\r\n\r\n")
            )
            first = head.split(" ")
            if first[0] == "BYE":
                self.ended.set()
            elif first[0] == "SIP/2.0" and first[1][0] != "1" and f" {method}" in head:
                self.offer = body or self.offer
                return head
