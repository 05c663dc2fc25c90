"""The media plane in this process: ports, receivers, streams, worker threads."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

from gateway.domain.device import MediaTransport
from gateway.domain.errors import Conflict, NotFound, Unavailable
from gateway.domain.media import (
    MediaEvents,
    OutputFormat,
    Receiver,
    ReceiverSpec,
    Sender,
    SenderEvents,
    SenderInfo,
    SenderSpec,
    StreamInfo,
    Viewer,
    ViewerSink,
)
from gateway.domain.source import Ingest, IngestEvents, IngestSpec, Inlet, ProbeReport, PullSpec
from gateway.media.ingest.ingest import MediaIngest
from gateway.media.ingest.inlet import PushInlet
from gateway.media.ingest.pull import probe_in_thread
from gateway.media.options import MediaOptions
from gateway.media.receiver import MediaReceiver
from gateway.media.sender import MediaSender
from gateway.media.source import StreamSource
from gateway.media.stream import LiveStream
from gateway.media.worker import MediaWorker
from gb28181.aio.clock import monotonic
from gb28181.aio.media_udp import RECEIVE_BUFFER
from gb28181.aio.ports import PortLease, PortPool, PortsExhausted
from gb28181.aio.tasks import TaskScope

__all__ = ["EmbeddedMedia"]

log = structlog.get_logger()

TICK = 0.5
READ_FIRST = 0.02
"""Seconds between a late tick and its judgement."""
MAX_INLET = 8 * 1024 * 1024
"""Bytes kept of what is published while nobody watches: 16 s at 4 Mbit/s, with hundreds of publishers."""


class EmbeddedMedia:
    """Receives and fans out in this process; implements `gateway.domain.media.MediaPlane` and `IngestPlane`.

    An async context manager: leaving it closes every receiver.

    Args:
        host: Local address of the media ports.
        ports: First and last port, leased in pairs of even RTP and odd RTCP.
        drain: Seconds a port rests after use.
        receive_buffer: Socket buffer to ask for, in bytes.
        options: Limits and waits.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        host: str,
        ports: tuple[int, int],
        drain: float = 5.0,
        receive_buffer: int = RECEIVE_BUFFER,
        options: MediaOptions | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._options = options or MediaOptions()
        self._pool = PortPool(host, *ports, drain=drain)
        self._receive_buffer = receive_buffer
        self._clock = clock
        self._scope = TaskScope(self._crashed)
        self._worker = MediaWorker(self._options.workers)
        self._receivers: dict[str, StreamSource] = {}
        self._probes = 0
        self._senders: dict[str, MediaSender] = {}
        self._local = None if host in {"", "0.0.0.0", "::"} else host  # noqa: S104 - compared only
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._scope.spawn(self._tend(), name="media:tend")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.close()
        finally:
            await self._scope.__aexit__(exc_type, exc, traceback)

    async def open_receiver(self, spec: ReceiverSpec, events: MediaEvents) -> Receiver:
        """Lease a port and listen.

        Raises:
            Conflict: `stream_exists`: the stream is being received already.
            Unavailable: `rtp_ports_exhausted`, or `shutdown`.
        """
        self._check_free(spec.stream_id)
        lease = self._lease(spec.transport)
        stream = self._stream(spec.stream_id, events)
        receiver = MediaReceiver(
            spec,
            events,
            lease,
            stream,
            options=self._options,
            clock=self._clock,
            spawn=self._spawn,
            on_closed=self._forget,
            receive_buffer=self._receive_buffer,
        )
        self._receivers[spec.stream_id] = receiver
        return receiver

    async def open_ingest(self, spec: IngestSpec, events: IngestEvents) -> Ingest:
        """Begin to fetch a foreign source, or to take from an inlet.

        Raises:
            Conflict: `stream_exists`.
            Unavailable: `too_many_pulls`, or `shutdown`.
        """
        self._check_free(spec.stream_id)
        if spec.pull is not None:
            self._check_pulls()
        ingest = MediaIngest(
            spec,
            events,
            self._stream(spec.stream_id, events),
            options=self._options,
            clock=self._clock,
            on_closed=self._forget,
        )
        self._receivers[spec.stream_id] = ingest
        ingest.start()
        return ingest

    def open_inlet(self, name: str) -> Inlet:
        """Make a place where somebody may publish."""
        options = self._options
        return PushInlet(
            name,
            max_tags=options.gop_frames,
            max_bytes=min(options.gop_bytes, MAX_INLET),
            clock=self._clock,
        )

    async def probe(self, pull: PullSpec) -> ProbeReport:
        """Connect to a source, look at its streams, disconnect.

        Raises:
            Unavailable: `too_many_pulls`, or `shutdown`.
        """
        if self._stopping.is_set():
            raise Unavailable("shutdown", "The gateway is stopping")
        self._check_pulls()
        self._probes += 1
        try:
            return await probe_in_thread(pull)
        finally:
            self._probes -= 1

    def attach(
        self, stream_id: str, output: OutputFormat, sink: ViewerSink, *, audio: bool = True
    ) -> Viewer:
        """Send the stream to a sink from its last key frame on.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`.
        """
        return self.live(stream_id).attach(output, sink, audio=audio)

    def live(self, stream_id: str) -> LiveStream:
        """Return a running stream that one more viewer may join.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`.
        """
        receiver = self._receivers.get(stream_id)
        if receiver is None:
            raise NotFound("stream_not_found", f"No stream {stream_id} is being received")
        watching = sum(other.stream.watching() for other in self._receivers.values())
        if watching >= self._options.max_viewers:
            raise Unavailable("too_many_viewers", f"The gateway has {watching} viewers already")
        return receiver.stream

    @property
    def options(self) -> MediaOptions:
        """Limits and waits."""
        return self._options

    @property
    def worker(self) -> MediaWorker:
        """The threads for PyAV."""
        return self._worker

    def spawn(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        """Run a task until it ends or the plane is left."""
        self._spawn(coro, name)

    async def open_sender(self, spec: SenderSpec, events: SenderEvents) -> Sender:
        """Lease a port for relaying a stream.

        Raises:
            NotFound: `stream_not_found`.
            Conflict: `sender_exists`: a sender has this id already.
            Unavailable: `rtp_ports_exhausted`, or `shutdown`.
        """
        if self._stopping.is_set():
            raise Unavailable("shutdown", "The gateway is stopping")
        source = self._receivers.get(spec.stream_id)
        if source is None:
            raise NotFound("stream_not_found", f"No stream {spec.stream_id} is being received")
        if spec.sender_id in self._senders:
            raise Conflict("sender_exists", f"Sender {spec.sender_id} is open already")
        lease = self._lease(spec.transport)
        sender = MediaSender(
            spec,
            events,
            lease,
            source,
            sequence=secrets.randbelow(0x10000),
            local=self._local,
            options=self._options,
            clock=self._clock,
            spawn=self._spawn,
            on_closed=self._forget_sender,
        )
        self._senders[spec.sender_id] = sender
        return sender

    def senders(self) -> list[SenderInfo]:
        """Facts of all relays."""
        return [sender.info() for sender in self._senders.values()]

    def stream(self, stream_id: str) -> StreamInfo | None:
        """Facts of one stream."""
        receiver = self._receivers.get(stream_id)
        return None if receiver is None else receiver.info()

    def streams(self) -> list[StreamInfo]:
        """Facts of all streams."""
        return [receiver.info() for receiver in self._receivers.values()]

    def ports_in_use(self) -> tuple[int, int, int]:
        """Port pairs leased, draining and in all."""
        return self._pool.in_use()

    async def close(self) -> None:
        """Close every receiver, all ports and the worker threads; idempotent."""
        self._stopping.set()
        try:
            async with asyncio.TaskGroup() as group:
                for receiver in tuple(self._receivers.values()):
                    group.create_task(
                        self._close_one(receiver), name=f"media:{receiver.stream_id}:close"
                    )
            for sender in tuple(self._senders.values()):
                await sender.close()
        finally:
            try:
                self._pool.close()
            finally:
                await self._worker.close()

    def _stream(self, stream_id: str, events: MediaEvents) -> LiveStream:
        return LiveStream(
            stream_id,
            events,
            worker=self._worker,
            options=self._options,
            clock=self._clock,
            spawn=self._spawn,
        )

    def _check_free(self, stream_id: str) -> None:
        if self._stopping.is_set():
            raise Unavailable("shutdown", "The gateway is stopping")
        if stream_id in self._receivers:
            raise Conflict("stream_exists", f"Stream {stream_id} is being received already")

    def _check_pulls(self) -> None:
        pulls = self._probes + sum(
            isinstance(source, MediaIngest) and source.spec.pull is not None
            for source in self._receivers.values()
        )
        if pulls >= self._options.max_pulls:
            raise Unavailable("too_many_pulls", f"{pulls} sources are being fetched already")

    def _lease(self, transport: MediaTransport) -> PortLease:
        try:
            return self._pool.lease(tcp=transport is MediaTransport.TCP_PASSIVE)
        except PortsExhausted as exc:
            raise Unavailable("rtp_ports_exhausted", f"No media port: {exc}") from exc

    async def _close_one(self, receiver: StreamSource) -> None:
        try:
            await receiver.close()
        except Exception:
            # A boundary: the other receivers are to be closed as well.
            log.exception("media_close_failed", stream=receiver.stream_id)

    async def _tend(self) -> None:
        while not self._stopping.is_set():
            began = self._clock()
            try:
                async with asyncio.timeout(TICK):
                    await self._stopping.wait()
            except TimeoutError:
                if self._clock() - began > 2 * TICK:
                    # We stood still: what came in time waits in the sockets and is read first.
                    await asyncio.sleep(READ_FIRST)
                now = self._clock()
                for receiver in tuple(self._receivers.values()):
                    try:
                        receiver.tick(now)
                    except Exception as exc:  # noqa: BLE001 - boundary: the other streams have no other watchdog
                        receiver.fail(exc)
                for sender in tuple(self._senders.values()):
                    try:
                        sender.tick(now)
                    except Exception as exc:  # noqa: BLE001 - boundary: nor have the other relays
                        sender.fail(exc)

    def _forget(self, receiver: StreamSource, detail: str) -> None:
        if self._receivers.get(receiver.stream_id) is receiver:
            del self._receivers[receiver.stream_id]
        for sender in tuple(self._senders.values()):
            if sender.source is receiver:
                sender.end(detail)

    def _forget_sender(self, sender: MediaSender) -> None:
        if self._senders.get(sender.spec.sender_id) is sender:
            del self._senders[sender.spec.sender_id]

    def _spawn(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        self._scope.spawn(coro, name=name)

    def _crashed(self, name: str, exc: Exception) -> None:
        log.error("media_task_crashed", task=name, exc_info=exc)
