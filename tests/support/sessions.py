"""Doubles of the signalling and media ports for tests of sessions."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from gateway.domain.device import Channel, ChannelKind, Device, DeviceAddress, TimelineKind
from gateway.domain.errors import NotFound, Unavailable
from gateway.domain.media import (
    MediaEvents,
    OutputFormat,
    ReceiverSpec,
    SenderEvents,
    SenderInfo,
    SenderSpec,
    StreamInfo,
    ViewerSink,
)
from gateway.domain.session import Ended, EndReason, SessionKind, SessionRecord
from gateway.domain.signalling import InviteAnswer, Origin
from gateway.sessions.way import MediaWay, SessionCore
from gb28181.manscdp.control import DeviceControl

__all__ = [
    "ANSWER",
    "BrokenWay",
    "ScriptedDirectory",
    "ScriptedMedia",
    "ScriptedSignaller",
    "StandingWay",
    "device",
    "fixed_wall",
    "live_record",
]

ANSWER = (
    b"v=0\r\no=34020000001320000001 0 0 IN IP4 127.0.0.9\r\ns=Play\r\nc=IN IP4 127.0.0.9\r\n"
    b"t=0 0\r\nm=video 62000 RTP/AVP 96\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\ny=0200000001\r\n"
)


def device(device_id: str = "34020000001180000001", *, online: bool = True) -> Device:
    """A device as the registry would hold it."""
    return Device(
        device_id=device_id,
        online=online,
        offline_reason=None,
        channel_count=1,
        address=DeviceAddress(
            transport="UDP", host="127.0.0.9", port=5060, local_host="127.0.0.1", local_port=5060
        ),
    )


class ScriptedDirectory:
    """A registry with fixed content that keeps its notes."""

    def __init__(self, devices: list[Device], channel_ids: list[str]) -> None:
        self.devices = {item.device_id: item for item in devices}
        self.channels = [
            Channel(device_id=item.device_id, channel_id=channel_id, kind=ChannelKind.CAMERA)
            for item in devices
            for channel_id in channel_ids
        ]
        self.notes: list[tuple[str, TimelineKind, str]] = []

    def get(self, device_id: str) -> Device | None:
        return self.devices.get(device_id)

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        for item in self.channels:
            if (item.device_id, item.channel_id) == (device_id, channel_id):
                return item
        return None

    def find_channel(self, channel_id: str) -> list[Channel]:
        return [item for item in self.channels if item.channel_id == channel_id]

    def note(self, device_id: str, kind: TimelineKind, detail: str) -> None:
        self.notes.append((device_id, kind, detail))


class ScriptedDialog:
    """A dialog that counts its BYEs."""

    def __init__(self, call_id: str, sdp: bytes) -> None:
        self.call_id = call_id
        self.answer = InviteAnswer(200, sdp)
        self.byes = 0

    async def bye(self) -> None:
        self.byes += 1


class ScriptedSignaller:
    """Answers each INVITE as `respond` says; a hanging one waits for `release`."""

    def __init__(self, *, answer: bytes = ANSWER, error: Exception | None = None) -> None:
        self.sdp = answer
        self.error = error
        self.hold: asyncio.Event | None = None
        self.offers: list[bytes] = []
        self.subjects: list[str] = []
        self.origins: list[Origin | None] = []
        self.controls: list[tuple[str, str, DeviceControl]] = []
        self.result = "OK"
        self.dialogs: list[ScriptedDialog] = []
        self.cancelled = 0
        self.on_bye: Callable[[str], None] = lambda _: None

    def local_host(self, device: Device) -> str:
        return "127.0.0.1"

    async def invite(
        self,
        device: Device,
        channel_id: str,
        sdp: bytes,
        *,
        subject: str,
        timeout: float,
        on_trying: Callable[[], None],
        on_bye: Callable[[str], None],
        origin: Origin | None = None,
    ) -> ScriptedDialog:
        self.offers.append(sdp)
        self.subjects.append(subject)
        self.origins.append(origin)
        self.on_bye = on_bye
        on_trying()
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if self.error is not None:
            raise self.error
        self.dialogs.append(ScriptedDialog(f"call-{len(self.offers)}", self.sdp))
        return self.dialogs[-1]

    async def query_catalog(self, device: Device, sn: int) -> None:
        return None

    async def query_device_info(self, device: Device) -> None:
        return None

    async def query_device_status(self, device: Device, target: str = "") -> dict[str, str]:
        return {}

    async def control(
        self,
        device: Device,
        channel_id: str,
        command: DeviceControl,
        *,
        origin: Origin | None = None,
    ) -> str:
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        self.controls.append((device.device_id, channel_id, command))
        self.origins.append(origin)
        return self.result


class ScriptedReceiver:
    """A receiver that remembers what it was told."""

    def __init__(self, port: int, spec: ReceiverSpec, events: MediaEvents) -> None:
        self.port = port
        self.spec = spec
        self.events = events
        self.told: dict[str, object] = {}
        self.closed = 0

    def answered(
        self, *, ssrc: int | None, remote: tuple[str, int] | None, payloads: Mapping[int, str]
    ) -> None:
        self.told = {"ssrc": ssrc, "remote": remote, "payloads": dict(payloads)}

    async def close(self, code: str = "stopped", detail: str = "") -> None:
        self.closed += 1


class ScriptedViewer:
    """A viewer that tells the session when it leaves."""

    def __init__(self, media: "ScriptedMedia", receiver: ScriptedReceiver) -> None:
        self._media = media
        self._receiver = receiver

    def detach(self) -> None:
        self._media.viewers -= 1
        self._receiver.events.media_viewers(self._media.viewers)


class ScriptedSender:
    """A relay whose receiver the test invents."""

    def __init__(
        self,
        media: "ScriptedMedia",
        receiver: ScriptedReceiver,
        spec: SenderSpec,
        events: SenderEvents,
    ) -> None:
        self.port = 30100
        self.spec = spec
        self.events = events
        self.started: list[tuple[str, int] | None] = []
        self.payload_type = spec.payload_type
        self.closed = False
        self._media = media
        self._receiver = receiver

    def start(
        self, remote: tuple[str, int] | None = None, *, payload_type: int | None = None
    ) -> None:
        if not self.started:
            self._media.viewers += 1
            self._receiver.events.media_viewers(self._media.viewers)
        self.started.append(remote or self.spec.remote)
        self.payload_type = payload_type or self.payload_type

    def info(self) -> SenderInfo:
        return SenderInfo(
            sender_id=self.spec.sender_id,
            stream_id=self.spec.stream_id,
            transport=self.spec.transport.value,
        )

    async def close(self) -> None:
        if self.started and not self.closed:
            self._media.viewers -= 1
            self._receiver.events.media_viewers(self._media.viewers)
        self.closed = True


class ScriptedMedia:
    """A media plane whose packets the test invents."""

    def __init__(self, *, error: Unavailable | None = None) -> None:
        self.error = error
        self.receivers: list[ScriptedReceiver] = []
        self.relays: list[ScriptedSender] = []
        self.sender_error: Unavailable | None = None
        self.viewers = 0

    async def open_receiver(self, spec: ReceiverSpec, events: MediaEvents) -> ScriptedReceiver:
        if self.error is not None:
            raise self.error
        self.receivers.append(ScriptedReceiver(30000, spec, events))
        return self.receivers[-1]

    def attach(
        self, stream_id: str, output: OutputFormat, sink: ViewerSink, *, audio: bool = True
    ) -> ScriptedViewer:
        for receiver in self.receivers:
            if receiver.spec.stream_id == stream_id and not receiver.closed:
                self.viewers += 1
                receiver.events.media_viewers(self.viewers)
                return ScriptedViewer(self, receiver)
        raise NotFound("stream_unknown", f"No stream {stream_id}")

    async def open_sender(self, spec: SenderSpec, events: SenderEvents) -> "ScriptedSender":
        if self.sender_error is not None:
            raise self.sender_error
        for receiver in self.receivers:
            if receiver.spec.stream_id == spec.stream_id and not receiver.closed:
                self.relays.append(ScriptedSender(self, receiver, spec, events))
                return self.relays[-1]
        raise NotFound("stream_not_found", f"No stream {spec.stream_id}")

    def senders(self) -> list[SenderInfo]:
        return [relay.info() for relay in self.relays if not relay.closed]

    def stream(self, stream_id: str) -> StreamInfo | None:
        return None

    def streams(self) -> list[StreamInfo]:
        return []

    def ports_in_use(self) -> tuple[int, int, int]:
        return (sum(not item.closed for item in self.receivers), 0, 500)


def fixed_wall() -> datetime:
    """A wall clock that stands."""
    return datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def live_record(
    session_id: str = "s1",
    device_id: str = "34020000001180000001",
    channel_id: str = "34020000001320000001",
) -> SessionRecord:
    """The record of a session that has just been asked for."""
    return SessionRecord(
        session_id=session_id,
        kind=SessionKind.LIVE,
        device_id=device_id,
        channel_id=channel_id,
        transport="udp",
        created_at=fixed_wall(),
    )


class StandingWay:
    """A way whose media comes at once, and goes on until the session ends."""

    keeps = False

    def __init__(self) -> None:
        self.released: list[EndReason] = []

    async def establish(self, session: SessionCore) -> None:
        session.events.media_first_packet(1, "127.0.0.9:5000")
        session.events.media_decodable()

    def packet_came(self, session: SessionCore, ssrc: int, source: str) -> None: ...

    def no_packet(self, session: SessionCore, wait: float) -> tuple[EndReason, str]:
        return EndReason.NO_PACKET, ""

    async def release(self, ended: Ended) -> None:
        self.released.append(ended.reason)


class BrokenWay:
    """A way with an error of ours in it."""

    keeps = False

    def __init__(self) -> None:
        self.released: list[EndReason] = []
        self.releasing = asyncio.Event()

    async def establish(self, session: SessionCore) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("a mistake")

    def packet_came(self, session: SessionCore, ssrc: int, source: str) -> None: ...

    def no_packet(self, session: SessionCore, wait: float) -> tuple[EndReason, str]:
        return EndReason.NO_PACKET, ""

    async def release(self, ended: Ended) -> None:
        self.released.append(ended.reason)
        await self.releasing.wait()


_checked_ways: tuple[type[MediaWay], type[MediaWay]] = (BrokenWay, StandingWay)
