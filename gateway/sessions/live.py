"""Live sessions: at most one per channel, shared by all its viewers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

import structlog

from gateway.domain.device import Device, MediaTransport
from gateway.domain.errors import Conflict, NotFound, SessionFailed, Unavailable
from gateway.domain.media import (
    MediaPlane,
    OutputFormat,
    Sender,
    SenderEvents,
    SenderSpec,
    Viewer,
    ViewerSink,
)
from gateway.domain.session import (
    EndReason,
    SessionKind,
    SessionRecord,
    SessionState,
    stream_name,
)
from gateway.domain.signalling import Origin, Signaller
from gateway.sessions.admission import Admission
from gateway.sessions.invite import DeviceInvites
from gateway.sessions.ports import DeviceDirectory, SessionObserver, SessionSettings
from gateway.sessions.report import report_end
from gateway.sessions.session import LiveSession
from gateway.sessions.table import SessionTable
from gateway.sessions.way import ForeignWays, MediaWay
from gb28181.aio.tasks import TaskScope
from gb28181.sdp.ssrc import SsrcPool

__all__ = ["LiveSessions"]

log = structlog.get_logger()

_T = TypeVar("_T")


class LiveSessions:
    """Starts a camera for its first viewer and stops it after its last.

    Args:
        scope: Owner of the sessions' tasks.
        now: Monotonic clock in seconds.
        wall: Wall clock, timezone-aware.
        new_id: Makes session ids.
    """

    def __init__(
        self,
        *,
        devices: DeviceDirectory,
        signaller: Signaller,
        media: MediaPlane,
        ssrcs: SsrcPool,
        settings: SessionSettings,
        scope: TaskScope,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        new_id: Callable[[], str],
        observer: SessionObserver | None = None,
    ) -> None:
        self._devices = devices
        self._media = media
        self._invites = DeviceInvites(
            signaller=signaller, media=media, ssrcs=ssrcs, settings=settings, now=now
        )
        self._settings = settings
        self._scope = scope
        self._now = now
        self._wall = wall
        self._new_id = new_id
        self._observer = observer
        self.foreign: ForeignWays | None = None
        """Gets the media of foreign sources."""
        self._table = SessionTable(settings.history)
        self._admission = Admission(devices, self._table, settings.max_sessions)
        self._closed = False

    # Reading

    def sessions(self) -> list[SessionRecord]:
        """Running sessions, then ended ones, newest first."""
        return self._table.records()

    @property
    def running_count(self) -> int:
        """Sessions that hold something."""
        return len(self._table)

    def get(self, session_id: str) -> SessionRecord:
        """Return one session's record.

        Raises:
            NotFound: `session_unknown`.
        """
        return self._table.get(session_id)

    def running(self, device_id: str, channel_id: str, stream: int = 0) -> SessionRecord | None:
        """The running session of a channel's stream, if there is one."""
        session = self._table.find(stream_name(device_id, channel_id, stream))
        return session.record if session else None

    # Asking for streams

    async def play(
        self,
        device_id: str,
        channel_id: str,
        *,
        transport: MediaTransport | None = None,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> SessionRecord:
        """Start a channel's stream, or join the running one; return once the device has answered.

        Args:
            device_id: The device.
            channel_id: Its channel.
            transport: Instead of the device's or the gateway's default.
            stream: 0 main, 1 first sub stream.
            origin: Who asks, for a lower platform; of those who share a stream only the first is told.

        Raises:
            NotFound: unknown device or channel.
            Unavailable: device offline, no SSRC or port, too many sessions, shutting down.
            Conflict: it already runs over another transport.
            SessionFailed: refused, unanswered, or an unusable answer.
        """
        async with self._established(device_id, channel_id, transport, stream, origin) as session:
            return session.record

    async def watch(
        self,
        device_id: str,
        channel_id: str,
        output: OutputFormat,
        sink: ViewerSink,
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> Viewer:
        """Attach a viewer, starting the stream if need be.

        Raises:
            As :meth:`play`.
        """
        _, viewer = await self.join(
            device_id,
            channel_id,
            lambda record: self._media.attach(record.stream_id, output, sink),
            stream=stream,
            origin=origin,
        )
        return viewer

    async def join(
        self,
        device_id: str,
        channel_id: str,
        attach: Callable[[SessionRecord], _T],
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> tuple[SessionRecord, _T]:
        """Attach anything to a channel's stream, starting the stream if need be.

        Args:
            device_id: The device.
            channel_id: Its channel.
            attach: Attaches to the stream `record.stream_id`; may raise NotFound if that is over. What it
                returns counts as a viewer from then on.
            stream: 0 main, 1 first sub stream.
            origin: Who asks, for a lower platform; of those who share a stream only the first is told.

        Raises:
            As :meth:`play`, and what `attach` raises.
        """
        async with self._established(device_id, channel_id, None, stream, origin) as session:
            try:
                return session.record, attach(session.record)
            except NotFound:
                raise await _over(session) from None

    async def relay(
        self,
        device_id: str,
        channel_id: str,
        make: Callable[[SessionRecord], SenderSpec],
        events: SenderEvents,
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> tuple[SessionRecord, Sender]:
        """Open a relay of a channel's stream, starting the stream if need be.

        Args:
            device_id: The device.
            channel_id: Its channel.
            make: Makes the sender's spec once the session is there.
            events: Told of the sender's life.
            stream: 0 main, 1 first sub stream.
            origin: Who asks, for a lower platform; of those who share a stream only the first is told.

        Raises:
            As :meth:`play`; `Unavailable` `rtp_ports_exhausted`.
        """
        async with self._established(device_id, channel_id, None, stream, origin) as session:
            try:
                sender = await self._media.open_sender(make(session.record), events)
            except NotFound:
                raise await _over(session) from None
            return session.record, sender

    def has_stream(self, device_id: str, channel_id: str, stream: int) -> bool:
        """Whether a channel is known to have a stream."""
        return self._admission.has_stream(device_id, channel_id, stream)

    async def stop(self, session_id: str) -> SessionRecord:
        """End a session for all its viewers; returns once everything is given back.

        Raises:
            NotFound: `session_unknown`.
        """
        record = self.get(session_id)
        session = self._table.find(record.stream_id)
        if session is not None and session.record is record:
            session.finish(EndReason.STOPPED, "Stopped by request")
            await session.finished()
        return record

    # What happens to devices

    def device_offline(self, device: Device, detail: str) -> None:
        """End every session of a device that is gone (protocol 3.6, 5.10)."""
        for session in self._table.of_device(device.device_id):
            session.finish(EndReason.DEVICE_OFFLINE, detail)

    async def close(self) -> None:
        """BYE every device and give everything back; bounded by `close_timeout`."""
        self._closed = True
        sessions = self._table.running()
        for session in sessions:
            session.finish(EndReason.SHUTDOWN, "The gateway is stopping")
        try:
            async with asyncio.timeout(self._settings.close_timeout):
                for session in sessions:
                    await session.finished()
        except TimeoutError:
            left = [s.record.session_id for s in sessions if s.record.state != SessionState.ENDED]
            log.warning(
                "sessions_closed_late", sessions=left, waited_s=self._settings.close_timeout
            )

    # Inside

    @asynccontextmanager
    async def _established(
        self,
        device_id: str,
        channel_id: str,
        transport: MediaTransport | None,
        stream: int,
        origin: Origin | None = None,
    ) -> AsyncIterator[LiveSession]:
        """Start or join a session; while this is held it is not given up for another one."""
        session = await self._join(device_id, channel_id, transport, stream, origin)
        try:
            with session.claimed():
                await session.established()
        except SessionFailed as exc:
            # At the device's limit a stream that nobody watches any more is one too many (quirk 27).
            if exc.ended.sip_status != 486 or not await self._make_room(device_id):
                raise
            session = await self._join(device_id, channel_id, transport, stream, origin)
        with session.claimed():
            await session.established()
            yield session

    async def _make_room(self, device_id: str) -> bool:
        """End the session of a device that nobody has watched for longest; False if all are watched."""
        relayed = {sender.stream_id for sender in self._media.senders()}
        idle = [
            (session.idle_since, session)
            for session in self._table.of_device(device_id)
            if session.record.state is SessionState.RUNNING
            and session.idle_since is not None
            # Whoever asked for it may be about to attach, or to acknowledge.
            and not session.claims
            and session.record.stream_id not in relayed
        ]
        if not idle:
            return False
        _, longest = min(idle, key=lambda item: item[0])
        longest.finish(EndReason.NO_READERS, "Ended early: the device is at its limit of streams")
        await longest.finished()
        return True

    async def _join(
        self,
        device_id: str,
        channel_id: str,
        transport: MediaTransport | None,
        stream: int,
        origin: Origin | None,
    ) -> LiveSession:
        stream_id = stream_name(device_id, channel_id, stream)
        while (session := self._table.find(stream_id)) is not None and session.ending:
            # Never a second INVITE while the first one's BYE is on its way (quirk 27).
            await session.finished()
        if session is not None:
            if transport is not None and session.record.transport != transport:
                raise Conflict(
                    "transport_in_use",
                    f"{stream_id} already runs over {session.record.transport}; stop it first, "
                    f"or ask without a transport",
                )
            return session
        if self._closed:
            raise Unavailable("shutting_down", "The gateway is stopping")
        device = self._admission.admit(device_id, channel_id, stream)
        return self._start(device, channel_id, transport, stream, origin)

    def _start(
        self,
        device: Device,
        channel_id: str,
        transport: MediaTransport | None,
        stream: int,
        origin: Origin | None,
    ) -> LiveSession:
        record = SessionRecord(
            session_id=self._new_id(),
            kind=SessionKind.LIVE,
            device_id=device.device_id,
            channel_id=channel_id,
            transport="",
            created_at=self._wall(),
            stream=stream,
        )
        if device.local:
            way = self._foreign_way(record, transport)
        else:
            way = self._invites.way(record, device, transport, origin)
        session = LiveSession(record, way, settings=self._settings, now=self._now)
        self._table.add(session)
        if self._observer is not None:
            self._observer.session_started(record)
        self._scope.spawn(self._live(session), name=f"session:{record.session_id}")
        return session

    def _foreign_way(self, record: SessionRecord, transport: MediaTransport | None) -> MediaWay:
        if transport is not None:
            raise Conflict(
                "transport_fixed",
                f"{record.channel_id} is a foreign source, which has a transport of its own; "
                "ask without one",
            )
        if self.foreign is None:
            raise Unavailable("device_offline", "Foreign sources are not available yet")
        record.foreign = True
        return self.foreign.way(record)

    async def _live(self, session: LiveSession) -> None:
        record = session.record
        try:
            await session.run()
        finally:
            record.ended_at = self._wall()
            self._table.end(session)
            report_end(record, self._devices)
            if self._observer is not None:
                self._observer.session_ended(record)


async def _over(session: LiveSession) -> SessionFailed:
    """Return why a session that ended between its answer and now ended."""
    await session.finished()
    assert session.record.ended is not None
    return SessionFailed(session.record.session_id, session.record.ended)
