"""All WebRTC viewers of this process."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

import structlog

from gateway.domain.errors import Unavailable
from gateway.domain.rtp_out import RtpPublisher
from gateway.domain.webrtc import WebRtcEvents, WebRtcPeer
from gateway.media.plane import EmbeddedMedia
from gateway.media.stream import LiveStream
from gateway.media.webrtc.answer import check_codecs
from gateway.media.webrtc.dtls import DtlsCertificate
from gateway.media.webrtc.offer import parse_offer
from gateway.media.webrtc.opus import OpusSource
from gateway.media.webrtc.ports import UdpPorts, local_addresses
from gateway.media.webrtc.srtp import SrtpBench
from gateway.media.webrtc.viewer import ViewerNeeds, WebRtcViewer
from gb28181.aio.clock import monotonic, utc_now
from gb28181.aio.tasks import TaskScope

__all__ = ["EmbeddedWebRtc", "WebRtcOptions"]

log = structlog.get_logger()

TICK = 0.2
"""Seconds between two looks at reports, timers and who has gone."""
ADDRESSES_LAST = 10.0
"""Seconds after which the machine's addresses are looked up anew."""
CERTIFICATE_LASTS = 7 * 86_400.0
"""Seconds after which new viewers are shown a new certificate; it says of itself that it is good for 30 days."""
KEYFRAME_INTERVAL = 5.0
"""Seconds between two requests for a key frame of one stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRtcOptions:
    """Taken from `[webrtc]`."""

    host: str = "127.0.0.1"
    """Address to bind; `0.0.0.0` is all of IPv4."""
    ports: tuple[int, int] = (31_000, 31_199)
    """First and last UDP port; each viewer has one."""
    advertise: tuple[str, ...] = ()
    """Addresses written into answers instead of our own."""
    connect_timeout: float = 15.0
    """Seconds from the answer for a browser to come through."""
    lost_timeout: float = 20.0
    """Seconds without a word from a browser; it checks the connection every 2 to 6."""
    answer_timeout: float = 30.0
    """Seconds for a stream to give its tracks."""


class EmbeddedWebRtc:
    """Implements `gateway.domain.webrtc.WebRtcMedia`; an async context manager: leaving it ends every viewer.

    Args:
        plane: Where the streams are.
        outputs: Gives them as RTP.
        options: Ports, addresses and waits.
        clock: Monotonic seconds, as the plane's.
    """

    def __init__(
        self,
        plane: EmbeddedMedia,
        outputs: RtpPublisher,
        options: WebRtcOptions,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.on_keyframe_wanted: Callable[[str], None] | None = None
        """Asks the camera of a stream id for a key frame; called at a bounded rate."""
        self._plane = plane
        self._options = options
        self._clock = clock
        self._ports = UdpPorts(options.host, options.ports)
        self._viewers: set[WebRtcViewer] = set()
        self._opus: dict[LiveStream, OpusSource] = {}
        self._asked_at: dict[str, float] = {}
        self._addresses: tuple[str, ...] = ()
        self._addresses_at = 0.0
        self._certified_at = 0.0
        self._scope = TaskScope(self._crashed)
        self._stopping = asyncio.Event()
        self._needs = ViewerNeeds(
            outputs=outputs,
            certificate=lambda: self._certificate,
            bench=SrtpBench(),
            addresses=lambda: self._addresses,
            any_address=self._ports.any_address,
            opus=self._opus_maker,
            keyframe_wanted=self._want_keyframe,
            clock=clock,
            wall=lambda: utc_now().timestamp(),
            connect_timeout=options.connect_timeout,
            lost_timeout=options.lost_timeout,
            answer_timeout=options.answer_timeout,
            group_frames=plane.options.gop_frames,
            group_bytes=plane.options.gop_bytes,
        )

    async def __aenter__(self) -> Self:
        await self._renew()
        await self._scope.__aenter__()
        self._scope.spawn(self._tend(), name="webrtc:tend")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self._scope.__aexit__(exc_type, exc, traceback)

    def close(self) -> None:
        """End every viewer and take no more; idempotent."""
        self._stopping.set()
        for viewer in tuple(self._viewers):
            viewer.close("shutdown", "The gateway is stopping")

    @property
    def addresses(self) -> Sequence[str]:
        """What viewers are told."""
        return self._addresses

    def open(self, offer: bytes, events: WebRtcEvents) -> WebRtcPeer:
        """Read an offer and lease a port.

        Raises:
            OfferInvalid: `offer_invalid`.
            CodecNotSupported: `codec_not_supported`.
            Unavailable: `webrtc_ports_exhausted`, `shutdown`.
        """
        if self._stopping.is_set():
            raise Unavailable("shutdown", "The gateway is stopping")
        parsed = parse_offer(offer)
        check_codecs(parsed)
        viewer = WebRtcViewer(
            parsed, self._ports.lease(), events, self._needs, on_ended=self._viewers.discard
        )
        self._viewers.add(viewer)
        return viewer

    def count(self) -> int:
        """Return how many viewers hold something."""
        return max(len(self._viewers), self._ports.leased)

    # Inside

    def _opus_maker(self, stream_id: str) -> Callable[[], OpusSource]:
        return partial(self._opus_of, self._plane.live(stream_id))

    def _opus_of(self, live: LiveStream) -> OpusSource:
        source = self._opus.get(live)
        if source is None or source.closed:
            self._opus = {key: other for key, other in self._opus.items() if not other.closed}
            source = self._opus[live] = OpusSource(
                live.aac(),
                worker=self._plane.worker,
                spawn=self._plane.spawn,
            )
        return source

    def _want_keyframe(self, stream_id: str) -> None:
        now = self._clock()
        if self.on_keyframe_wanted is None:
            return
        self._asked_at = {
            name: at for name, at in self._asked_at.items() if now - at < KEYFRAME_INTERVAL
        }
        if stream_id not in self._asked_at:
            self._asked_at[stream_id] = now
            self.on_keyframe_wanted(stream_id)

    async def _tend(self) -> None:
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(TICK):
                    await self._stopping.wait()
            except TimeoutError:
                now = self._clock()
                for viewer in tuple(self._viewers):
                    self._tick(viewer, now)
                if now - self._addresses_at > ADDRESSES_LAST:
                    await self._renew()

    def _tick(self, viewer: WebRtcViewer, now: float) -> None:
        try:
            viewer.tick(now)
        except Exception:
            # A boundary: the other viewers have no other watchdog.
            log.exception("viewer_failed", kind="webrtc")
            viewer.close("viewer_failed", "The gateway failed on this viewer; its log says more")

    async def _renew(self) -> None:
        now = self._clock()
        self._addresses_at = now
        self._addresses = await asyncio.to_thread(
            local_addresses, self._options.host, self._options.advertise
        )
        if not self._certified_at or now - self._certified_at > CERTIFICATE_LASTS:
            self._certificate = await asyncio.to_thread(DtlsCertificate)
            self._certified_at = now

    def _crashed(self, name: str, exc: Exception) -> None:
        log.error("webrtc_task_crashed", task=name, exc_info=exc)
