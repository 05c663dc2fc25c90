"""Receivers of relayed media, as an upper platform has them, on real sockets."""

import asyncio
import itertools
import socket
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self

from gateway.domain.device import MediaTransport
from gateway.domain.media import Receiver, ReceiverSpec, Sender, SenderSpec
from gateway.media.options import MediaOptions
from gateway.media.plane import EmbeddedMedia
from gb28181.rtp.packet import RtpPacket, is_rtcp
from tests.support.media import RecordingEvents
from tests.support.ports import PLANES, RECEIVERS, own_ports

__all__ = [
    "SSRC",
    "STREAM",
    "UPPER_SSRC",
    "RecordingSenderEvents",
    "TcpUpper",
    "UdpUpper",
    "joined",
    "plane",
    "receive",
    "relay",
]

SSRC, UPPER_SSRC = 100_000_001, 200_000_002
STREAM = "34020000001180000001/34020000001320000001"
UDP = MediaTransport.UDP
LOCAL = ("127.0.0.1", 9)
FIRST_PORT = own_ports(PLANES, 300)[0]


class RecordingSenderEvents:
    """Keeps what a sender tells its owner."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Any]] = []
        self._changed = asyncio.Event()

    def names(self) -> list[str]:
        """Names of the events so far, in order."""
        return [name for name, _ in self.log]

    def _note(self, name: str, value: Any = None) -> None:
        self.log.append((name, value))
        self._changed.set()

    def sender_connected(self) -> None:
        self._note("connected")

    def sender_first_packet(self) -> None:
        self._note("first_packet")

    def sender_lost(self, code: str, detail: str) -> None:
        self._note("lost", (code, detail))

    async def until(self, name: str) -> Any:
        """Wait for the event and return its value."""
        async with asyncio.timeout(20):
            while name not in self.names():
                self._changed.clear()
                await self._changed.wait()
        return next(value for event, value in self.log if event == name)


class _Upper:
    """Keeps the packets that came."""

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []
        self.reports: list[bytes] = []
        self._changed = asyncio.Event()

    @property
    def payload(self) -> bytes:
        """The program stream."""
        return b"".join(packet.payload for packet in self.packets)

    @property
    def steps(self) -> list[int]:
        """What each sequence number is ahead of the one before."""
        numbers = [packet.sequence for packet in self.packets]
        return [(b - a) & 0xFFFF for a, b in itertools.pairwise(numbers)]

    def _receive(self, data: bytes) -> None:
        if is_rtcp(data):
            self.reports.append(data)
        else:
            self.packets.append(RtpPacket.parse(data))
        self._changed.set()

    async def until(self, count: int, *, reports: int = 0, timeout: float = 20.0) -> None:
        """Wait until so many packets and reports came."""
        async with asyncio.timeout(timeout):
            while len(self.packets) < count or len(self.reports) < reports:
                self._changed.clear()
                await self._changed.wait()


class UdpUpper(_Upper):
    """Receives RTP on one port and RTCP on the next."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Of this worker only: others would take what is sent to a port that was closed, or hear what was meant for it.
        for port in range(*own_ports(RECEIVERS, 300), 2):
            self.rtp, self.rtcp = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
            try:
                self.rtp.bind((host, port))
                self.rtcp.bind((host, port + 1))
            except OSError:
                self.rtp.close()
                self.rtcp.close()
                continue
            break
        self.address = (host, port)
        self._loop = asyncio.get_running_loop()
        for sock in (self.rtp, self.rtcp):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_194_304)
            self._loop.add_reader(sock, self._read, sock)

    def _read(self, sock: socket.socket) -> None:
        while True:
            try:
                data, self.source = sock.recvfrom(65_535)
            except BlockingIOError:
                return
            self._receive(data)

    def close(self) -> None:
        """Free the ports."""
        for sock in (self.rtp, self.rtcp):
            self._loop.remove_reader(sock)
            sock.close()


class TcpUpper(_Upper):
    """Receives framed packets over a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._reader = reader
        self.writer = writer
        self.closed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, port: int, *, host: str = "127.0.0.1", local: str | None = None) -> Self:
        """Dial a sender that listens."""
        upper = cls(
            *await asyncio.open_connection(
                host, port, local_addr=None if local is None else (local, 0)
            )
        )
        upper.read()
        return upper

    def read(self) -> None:
        """Begin to read."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(2))
                self._receive(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()

    async def send(self, data: bytes) -> None:
        """Send one framed packet."""
        self.writer.write(len(data).to_bytes(2) + data)
        await self.writer.drain()

    async def close(self) -> None:
        """Hang up."""
        if self._task is not None:
            self._task.cancel()
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return


@asynccontextmanager
async def plane(
    count: int = 40, *, host: str = "127.0.0.1", first_port: int = FIRST_PORT, **options: Any
) -> AsyncIterator[EmbeddedMedia]:
    """A media plane that must be empty at the end."""
    threads = threading.active_count()
    async with EmbeddedMedia(
        host=host,
        ports=(first_port, first_port + count - 1),
        drain=0.0,
        options=MediaOptions(**options),
    ) as media:
        yield media
    assert media.ports_in_use()[:2] == (0, 0)
    assert media.senders() == []
    async with asyncio.timeout(10):
        while threading.active_count() > threads:
            await asyncio.sleep(0.001)


async def receive(
    media: EmbeddedMedia, transport: MediaTransport = UDP, *, payloads: dict[int, str] | None = None
) -> tuple[Receiver, RecordingEvents]:
    """Open a receiver of the stream."""
    events = RecordingEvents()
    receiver = await media.open_receiver(
        ReceiverSpec(stream_id=STREAM, session_id="s1", transport=transport, ssrc=SSRC), events
    )
    receiver.answered(ssrc=SSRC, remote=LOCAL, payloads=payloads or {96: "PS"})
    return receiver, events


async def relay(
    media: EmbeddedMedia,
    transport: MediaTransport = UDP,
    *,
    name: str = "relay",
    **fields: Any,
) -> tuple[Sender, RecordingSenderEvents]:
    """Open a sender of the stream."""
    events = RecordingSenderEvents()
    spec = SenderSpec(
        sender_id=name, stream_id=STREAM, transport=transport, ssrc=UPPER_SSRC, **fields
    )
    return await media.open_sender(spec, events), events


def joined(frames: Iterable[list[bytes]]) -> bytes:
    """Join the program stream that packets carry."""
    return b"".join(RtpPacket.parse(data).payload for frame in frames for data in frame)
