"""A call of an upper platform that misbehaves: SIP as strings on one UDP socket, no SIP code of ours."""

import asyncio
import contextlib
import itertools
import re
import socket
from typing import Self

from gb28181.sdp.offer import build_live_offer
from tests.support.upper_media import MediaSink

__all__ = ["RawCall"]

_NUMBERS = itertools.count(1)


class RawCall:
    """One INVITE over UDP and what follows it, each message only when the test says so.

    Args:
        lower: Address of the platform below.
        upper_id: Our code.
        target: The channel's code.
        host: Own address.
    """

    def __init__(
        self, lower: tuple[str, int], upper_id: str, target: str, host: str = "127.0.0.1"
    ) -> None:
        number = next(_NUMBERS)
        self.ended = asyncio.Event()
        """The other side sent BYE."""
        self.answers_bye = True
        self.sink = MediaSink("udp", host)
        self._lower = lower
        self._upper_id = upper_id
        self._target = target
        self._host = host
        self._ssrc = 150_000_000 + number
        self._from = f"<sip:{upper_id}@{upper_id[:10]}>;tag=raw{number}"
        self._to = f"<sip:{target}@{upper_id[:10]}>"
        self._call_id = f"raw-{number}@{host}"
        self._invite_branch = self._branch()
        self._offer = b""
        self._finals: dict[str, asyncio.Queue[int]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((host, 0))

    async def __aenter__(self) -> Self:
        try:
            await self.sink.open()
        except BaseException:
            self._socket.close()
            raise
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._receive)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        await self.sink.close()

    def invite(self) -> None:
        """Send the INVITE; again, it is a retransmission."""
        self._offer = self._offer or build_live_offer(
            owner_id=self._upper_id,
            host=self._host,
            port=self.sink.port,
            transport="udp",
            ssrc=self._ssrc,
            payloads=(96,),
        )
        subject = f"Subject: {self._target}:0,{self._upper_id}:0\r\n"
        self._send("INVITE", 1, self._invite_branch, subject, self._offer)

    def cancel(self) -> None:
        """Send CANCEL for it."""
        self._send("CANCEL", 1, self._invite_branch)

    def ack(self, status: int) -> None:
        """Acknowledge a final response."""
        self._send("ACK", 1, self._branch() if status < 300 else self._invite_branch)

    def bye(self, branch: str = "") -> str:
        """Send BYE; with the branch of an earlier one it is its retransmission."""
        branch = branch or self._branch()
        self._send("BYE", 2, branch)
        return branch

    async def final(self, method: str, timeout: float = 8.0) -> int:
        """The next final response to a method."""
        async with asyncio.timeout(timeout):
            return await self._finals.setdefault(method, asyncio.Queue()).get()

    @staticmethod
    def _branch() -> str:
        return f"z9hG4bK-raw-{next(_NUMBERS)}"

    def _send(
        self, method: str, cseq: int, branch: str, extra: str = "", body: bytes = b""
    ) -> None:
        host, port = self._socket.getsockname()
        kind = "Content-Type: application/sdp\r\n" if body else ""
        head = (
            f"{method} sip:{self._target}@{self._upper_id[:10]} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch={branch}\r\n"
            f"From: {self._from}\r\nTo: {self._to}\r\nCall-ID: {self._call_id}\r\n"
            f"CSeq: {cseq} {method}\r\nContact: <sip:{self._upper_id}@{host}:{port}>\r\n"
            f"Max-Forwards: 70\r\n{extra}{kind}Content-Length: {len(body)}\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            self._socket.sendto(head.encode() + body, self._lower)

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                text = self._socket.recv(65_535).decode(errors="replace")
                first = text.split(" ", 2)
                if first[0] == "BYE":
                    self.ended.set()
                    if self.answers_bye:
                        self._answer(text)
                elif first[0] == "SIP/2.0" and not first[1].startswith("1"):
                    self._note(int(first[1]), text)

    def _note(self, status: int, text: str) -> None:
        method = re.search(r"(?im)^CSeq\s*:\s*[0-9]+ (\w+)", text)
        assert method is not None, text
        if method[1] == "INVITE":
            tagged = re.search(r"(?im)^(?:To|t)\s*:\s*(.*?)\r?$", text)
            assert tagged is not None, text
            self._to = tagged[1]
        self._finals.setdefault(method[1], asyncio.Queue()).put_nowait(status)

    def _answer(self, request: str) -> None:
        head = request.partition("\r\n\r\n")[0]
        kept = [
            line
            for line in head.split("\r\n")[1:]
            if line.partition(":")[0].strip().lower()
            in {"via", "v", "from", "f", "to", "t", "call-id", "i", "cseq"}
        ]
        answer = "\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""])
        self._socket.sendto(answer.encode(), self._lower)
