"""An RTSP server on a real media plane with a camera of units, a door that knows two names, and a client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.domain.device import Channel, ChannelKind, MediaTransport
from gateway.domain.errors import GatewayError, NotFound, Unauthorized
from gateway.domain.media import ReceiverSpec
from gateway.domain.session import SessionKind, SessionRecord
from gateway.domain.signalling import Origin
from gateway.media.options import MediaOptions
from gateway.media.plane import EmbeddedMedia
from gateway.media.receiver import MediaReceiver
from gateway.media.rtp_output import RtpOutputs
from gateway.rtsp.options import RtspOptions
from gateway.rtsp.server import RtspServer
from gb28181.aio.clock import monotonic, utc_now
from gb28181.es.unit import MediaUnit
from gb28181.rtp.packet import RtpPacket, is_rtcp
from gb28181.rtp.rtcp import RtcpPacket, parse_rtcp
from tests.support.media import RecordingEvents

__all__ = ["CHANNEL", "DEVICE", "Answer", "Door", "RtspBench", "RtspClient", "rtsp_bench"]

DEVICE, CHANNEL = "34020000001180000001", "34020000001320000001"
STREAM = f"{DEVICE}/{CHANNEL}"
UDP_PORTS = (45_000, 45_199)

_T = TypeVar("_T")


@dataclass
class Entry:
    """Somebody who was let in."""

    channel: Channel
    stop: Callable[[str, str], None]
    format: str
    stream: int = 0
    origin: Origin = field(default_factory=lambda: Origin(asker="test"))
    label: str = "test"
    ended: tuple[str, str, int] | None = None

    def end(self, code: str, detail: str = "", *, sent: int = 0) -> None:
        assert self.ended is None, "ended twice"
        self.ended = (code, detail, sent)


@dataclass
class Visit:
    """Somebody at the door."""

    door: "Door"
    label: str
    is_local: bool = True

    def find(self, device_id: str | None, channel_id: str) -> Channel:
        if channel_id != CHANNEL or device_id not in {None, DEVICE}:
            raise NotFound("channel_unknown", f"There is no channel {channel_id}")
        return Channel(device_id=DEVICE, channel_id=CHANNEL, name="Gate", kind=ChannelKind.CAMERA)

    def enter(
        self,
        channel: Channel,
        *,
        via: str,
        format: str,  # noqa: A002 - the domain's word
        stop: Callable[[str, str], None],
    ) -> Entry:
        assert via == "rtsp"
        if self.door.denial is not None:
            raise self.door.denial
        entry = Entry(channel, stop, format)
        self.door.entries.append(entry)
        return entry


class Door:
    """Knows the token `good` and the names in `secrets`."""

    def __init__(self) -> None:
        self.secrets = {"key1": "the-secret"}
        self.entries: list[Entry] = []
        self.refusals: list[tuple[str, str, str]] = []
        """Code, claimed name and path of every 401 that counts."""
        self.denial: GatewayError | None = None
        self.is_local = True

    def by_token(self, token: str, source: str) -> Visit:
        if token != "good":
            raise Unauthorized("token_invalid", "This is not a stream token of this gateway")
        return Visit(self, "token", self.is_local)

    def secret_of(self, name: str) -> str | None:
        return self.secrets.get(name)

    def by_name(self, name: str, source: str) -> Visit:
        return Visit(self, name, self.is_local)

    def refused(self, error: GatewayError, *, source: str, claimed: str, what: str) -> GatewayError:
        assert source == "127.0.0.1"
        self.refusals.append((error.code, claimed, what))
        return error

    def words(self, error: GatewayError, *, outside: bool) -> str:
        return f"Outside: {error.code}" if outside else error.detail


class Sessions:
    """Starts the camera, which is there or not."""

    def __init__(self, clock: Callable[[], Any]) -> None:
        self.failure: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.joins = 0
        self._clock = clock

    async def join(
        self,
        device_id: str,
        channel_id: str,
        attach: Callable[[SessionRecord], _T],
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> tuple[SessionRecord, _T]:
        self.joins += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        record = SessionRecord(
            session_id="s",
            kind=SessionKind.LIVE,
            device_id=device_id,
            channel_id=channel_id,
            transport="udp",
            created_at=utc_now(),
            stream=stream,
        )
        return record, attach(record)


@dataclass
class Answer:
    """A response."""

    status: int
    words: str
    headers: dict[str, str]
    challenges: list[str]
    body: bytes


class RtspClient:
    """Speaks RTSP; what comes between the answers is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.packets: list[tuple[int, bytes]] = []
        """Interleaved ones, with their channels."""
        self.session = ""
        self._reader = reader
        self.writer = writer
        self._cseq = 0

    async def ask(self, method: str, url: str, body: bytes = b"", **headers: str) -> Answer:
        """Send a request and return its answer."""
        self.send(method, url, body, **headers)
        return await self.answer()

    def send(self, method: str, url: str, body: bytes = b"", **headers: str) -> None:
        """Send a request."""
        self._cseq += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._cseq}"]
        if self.session:
            lines.append(f"Session: {self.session}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    async def answer(self) -> Answer:
        """Return the next answer; packets before it are kept."""
        async with asyncio.timeout(15):
            while (first := await self._reader.readexactly(1)) == b"$":
                await self._packet()
            head = (first + await self._reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            pairs = [line.split(": ", 1) for line in lines]
            headers = {name: value for name, value in pairs}  # noqa: C416 - the last one counts
            body = await self._reader.readexactly(int(headers.get("Content-Length", 0)))
        self.session = headers.get("Session", self.session).partition(";")[0]
        version, number, words = status.split(" ", 2)
        assert version == "RTSP/1.0"
        challenges = [value for name, value in pairs if name == "WWW-Authenticate"]
        return Answer(int(number), words, headers, challenges, body)

    async def _packet(self) -> None:
        head = await self._reader.readexactly(3)
        data = await self._reader.readexactly(int.from_bytes(head[1:]))
        self.packets.append((head[0], data))

    async def until(self, condition: Callable[["RtspClient"], bool]) -> None:
        """Read packets until the condition holds."""
        async with asyncio.timeout(15):
            while not condition(self):
                assert await self._reader.readexactly(1) == b"$"
                await self._packet()

    async def closed(self) -> None:
        """Read packets until the server hangs up."""
        async with asyncio.timeout(15):
            while (first := await self._reader.read(1)) == b"$":
                await self._packet()
            assert first == b""

    def rtp(self, channel: int) -> list[RtpPacket]:
        """Media packets of a channel."""
        return [RtpPacket.parse(d) for n, d in self.packets if n == channel and not is_rtcp(d)]

    def rtcp(self, channel: int) -> list[RtcpPacket]:
        """Reports of a channel."""
        found = [parse_rtcp(data) for n, data in self.packets if n == channel and is_rtcp(data)]
        return [packet for packets in found for packet in packets]

    async def describe(self, url: str) -> Answer:
        """DESCRIBE, which must succeed."""
        answer = await self.ask("DESCRIBE", url, Accept="application/sdp")
        assert answer.status == 200, answer
        return answer

    async def play(self, url: str, *, tracks: int = 2) -> Answer:
        """DESCRIBE, SETUP over TCP and PLAY, which must succeed."""
        base = (await self.describe(url)).headers["Content-Base"]
        for track in range(tracks):
            transport = f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}"
            answer = await self.ask("SETUP", f"{base}trackID={track}", Transport=transport)
            assert answer.status == 200, answer
        answer = await self.ask("PLAY", base, Range="npt=0.000-")
        assert answer.status == 200, answer
        return answer


class RtspBench:
    """A running server with one camera."""

    def __init__(
        self, server: RtspServer, door: Door, sessions: Sessions, plane: EmbeddedMedia
    ) -> None:
        self.server = server
        self.door = door
        self.sessions = sessions
        self.plane = plane
        self.receiver: MediaReceiver | None = None
        self._began = monotonic() - 10.0
        self._clients: list[RtspClient] = []

    @property
    def url(self) -> str:
        """Of the camera, without a token."""
        return f"rtsp://127.0.0.1:{self.server.port}/live/{DEVICE}/{CHANNEL}"

    @property
    def open_url(self) -> str:
        """Of the camera, with one."""
        return self.url + "?token=good"

    async def start_camera(self, units: list[MediaUnit] | None = None) -> None:
        """Let the stream run."""
        spec = ReceiverSpec(stream_id=STREAM, session_id="s", transport=MediaTransport.UDP, ssrc=1)
        receiver = await self.plane.open_receiver(spec, RecordingEvents())
        assert isinstance(receiver, MediaReceiver)
        self.receiver = receiver
        self.feed(units or [])

    def feed(self, units: list[MediaUnit]) -> None:
        """The camera sends these, each at its own time as far as the stream can tell."""
        assert self.receiver is not None
        for unit in units:
            self.receiver.stream.feed([unit], self._began + unit.dts / 90_000)

    async def client(self) -> RtspClient:
        """Connect."""
        client = RtspClient(*await asyncio.open_connection("127.0.0.1", self.server.port))
        self._clients.append(client)
        return client

    async def settled(self, condition: Callable[[], object], what: str) -> None:
        """Wait until the server has noticed."""
        try:
            async with asyncio.timeout(15):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{what} did not come") from None

    async def leave(self) -> None:
        """Close all clients."""
        for client in self._clients:
            client.writer.close()
            with suppress(ConnectionError):
                await client.writer.wait_closed()


@asynccontextmanager
async def rtsp_bench(
    *, media: MediaOptions | None = None, **options: Any
) -> AsyncIterator[RtspBench]:
    """Start a server; at the end it must hold nothing, and every entry must have ended once."""
    crashes: list[tuple[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: crashes.append(("loop", context))
    )
    door, sessions = Door(), Sessions(utc_now)
    plane = EmbeddedMedia(
        host="127.0.0.1",
        ports=(44_000, 44_099),
        drain=0.0,
        options=media or MediaOptions(audio_wait=0.05),
    )
    values: dict[str, Any] = {"port": 0, "udp_ports": UDP_PORTS, "udp_drain": 0.0} | options
    async with plane:
        server = RtspServer(
            door=door,
            sessions=sessions,
            outputs=RtpOutputs(plane),
            options=RtspOptions(**values),
            on_crash=lambda name, exc: crashes.append((name, exc)),
        )
        async with server:
            bench = RtspBench(server, door, sessions, plane)
            try:
                yield bench
            finally:
                await bench.leave()
    assert crashes == []
    assert server.held() == 0
    assert all(entry.ended is not None for entry in door.entries)
    assert all(not info.viewers for info in plane.streams())
