"""One WebRTC viewer, from its offer to its end."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from gateway.domain.rtp_out import RtpFrame, RtpPublisher, RtpTrack, RtpViewer
from gateway.domain.webrtc import (
    CodecNotSupported,
    PeerInfo,
    PeerState,
    WebRtcEnded,
    WebRtcEvents,
)
from gateway.media.webrtc.answer import (
    AnswerSide,
    Selection,
    build_answer,
    select,
    transport_section,
)
from gateway.media.webrtc.dtls import DtlsCertificate, DtlsServer, DtlsState
from gateway.media.webrtc.ice import Address, IceLite
from gateway.media.webrtc.offer import Offer, parse_fragment
from gateway.media.webrtc.opus import OpusPacket, OpusSource
from gateway.media.webrtc.order import REORDERED, PictureOrder
from gateway.media.webrtc.ports import UdpLease
from gateway.media.webrtc.sending import Group, MediaSending, SendPorts
from gateway.media.webrtc.srtp import SrtpBench, SrtpReceiver, SrtpSender
from gateway.media.webrtc.track import TrackSender
from gateway.media.webrtc.udp import PeerSocket
from gb28181.errors import RtpError
from gb28181.rtp.rtcp import parse_rtcp

__all__ = ["ViewerNeeds", "WebRtcViewer"]

log = structlog.get_logger()

KIND = "webrtc"


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerNeeds:
    """What all viewers share."""

    outputs: RtpPublisher
    certificate: Callable[[], DtlsCertificate]
    bench: SrtpBench
    addresses: Callable[[], Sequence[str]]
    """What goes into candidates."""
    any_address: bool
    """Whether sockets listen on all addresses."""
    opus: Callable[[str], Callable[[], OpusSource]]
    """Gives what makes a stream's AAC to Opus."""
    keyframe_wanted: Callable[[str], None]
    """Asks a stream's camera for a key frame."""
    clock: Callable[[], float]
    wall: Callable[[], float]
    connect_timeout: float
    lost_timeout: float
    answer_timeout: float
    group_frames: int
    group_bytes: int


class WebRtcViewer:
    """Implements `gateway.domain.webrtc.WebRtcPeer`, and takes the frames as an `RtpSink`.

    Args:
        offer: Of the viewer.
        lease: Its port; given back at the end.
        events: Told of its life.
        needs: What all viewers share.
        on_ended: Called once when nothing is held any more.
    """

    def __init__(
        self,
        offer: Offer,
        lease: UdpLease,
        events: WebRtcEvents,
        needs: ViewerNeeds,
        *,
        on_ended: Callable[["WebRtcViewer"], None],
    ) -> None:
        self._offer = offer
        self._lease = lease
        self._events = events
        self._needs = needs
        self._on_ended = on_ended
        self._state = PeerState.WAITING
        self._ended: tuple[str, str] | None = None
        self._feed: RtpViewer | None = None
        self._stream_id = ""
        self._tracks: tuple[RtpTrack, ...] | None = None
        self._changed = asyncio.Event()
        self._selection: Selection | None = None
        self._ufrag, self._password = _ice_text(8), _ice_text(32)
        self._ssrcs = {"video": _ssrc(), "audio": _ssrc()}
        self._cname = secrets.token_hex(8)
        self._group = Group(needs.group_frames, needs.group_bytes)
        self._order = PictureOrder()
        self._newest: tuple[int, float] | None = None
        self._socket: PeerSocket | None = None
        self._ice: IceLite | None = None
        self._dtls: DtlsServer | None = None
        self._dtls_to: Address | None = None
        self._receiver: SrtpReceiver | None = None
        self._sending: MediaSending | None = None
        self._opus: OpusSource | None = None
        self._make_opus: Callable[[], OpusSource] | None = None
        self._answered_at = 0.0
        self._heard_at = 0.0

    # The viewer's owner

    def attach(self, stream_id: str) -> None:
        """Begin to watch a running stream.

        Raises:
            NotFound: `stream_not_found`.
            Unavailable: `too_many_viewers`.
        """
        self._stream_id = stream_id
        self._make_opus = self._needs.opus(stream_id)
        feed = self._needs.outputs.attach(stream_id, self, KIND)
        if self._ended is None:
            self._feed = feed
        else:
            feed.detach()

    async def answer(self) -> str:
        """Wait for the tracks, and return the SDP answer.

        Raises:
            CodecNotSupported: `codec_not_supported`.
            WebRtcEnded: the stream ended first, or gave nothing in time.
        """
        wait = self._needs.answer_timeout
        try:
            async with asyncio.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            self.close("no_output", f"The stream gave no output within {wait:g} s")
        if self._ended is not None:
            raise WebRtcEnded(*self._ended)
        assert self._tracks is not None
        try:
            self._selection = select(self._offer, self._tracks, reordered=self._order.broken)
        except CodecNotSupported as exc:
            self.close(exc.code, exc.detail)
            raise
        self._listen(self._selection)
        self._state = PeerState.CONNECTING
        self._answered_at = self._heard_at = self._needs.clock()
        used = {"video"} | ({"audio"} if self._selection.audio is not None else set())
        return build_answer(
            self._offer,
            self._selection,
            AnswerSide(
                ufrag=self._ufrag,
                password=self._password,
                fingerprint=self._needs.certificate().fingerprint,
                candidates=[(host, self._lease.port) for host in self._needs.addresses()],
                session=secrets.randbelow(1 << 62),
                ssrcs={kind: ssrc for kind, ssrc in self._ssrcs.items() if kind in used},
                cname=self._cname,
            ),
        )

    def accepts(self, fragment: bytes) -> bool:
        """Whether a trickled fragment belongs to this connection.

        Raises:
            OfferInvalid: it cannot be read.
        """
        ufrag = parse_fragment(fragment)
        return not ufrag or any(section.ufrag == ufrag for section in self._offer.sections)

    def info(self) -> PeerInfo:
        """Facts."""
        sending, ice = self._sending, self._ice
        remark = self._selection.remark if self._selection is not None else ""
        if sending is None:
            return PeerInfo(state=self._state, remark=remark)
        tracks = [sending.video] + ([sending.audio] if sending.audio is not None else [])
        remote = ice.selected if ice is not None else None
        dropped = self._socket.dropped if self._socket is not None else 0
        return PeerInfo(
            state=self._state,
            remote=f"{remote[0]}:{remote[1]}" if remote is not None else "",
            sent=sum(track.octets for track in tracks),
            packets=sum(track.packets for track in tracks),
            resent=sum(track.resent for track in tracks),
            dropped=dropped + sending.skipped,
            fraction_lost=sending.fraction_lost,
            remark=remark,
        )

    def close(self, code: str, detail: str) -> None:
        """Say goodbye, give everything back and tell why; idempotent. Also the stream's word that it is over."""
        if self._ended is not None:
            return
        self._ended = (code, detail)
        self._state = PeerState.ENDED
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.detach()
        if self._opus is not None:
            self._opus.unlisten(self._opus_packets)
        if self._sending is not None:
            self._sending.close()
        if self._dtls is not None:
            self._dtls.close()
        if self._socket is not None:
            self._socket.close()
        self._lease.release()
        self._group = Group(0, 0)
        self._changed.set()
        self._on_ended(self)
        self._events.webrtc_ended(code, detail)

    # The stream

    def start(self, tracks: Sequence[RtpTrack]) -> None:
        """The tracks are known."""
        self._tracks = tuple(tracks)
        self._changed.set()

    def frames(self, frames: Sequence[RtpFrame]) -> None:
        """Take what goes out together."""
        if self._ended is not None:
            return
        if self._order.look(frames) and self._selection is not None:
            self.close("codec_not_supported", REORDERED)
            return
        self._group.take(frames)
        if frames[-1].track == 0:
            self._newest = (frames[-1].timestamp, self._needs.clock())
        if self._sending is not None:
            self._sending.frames(frames)

    def _opus_packets(self, packets: list[OpusPacket]) -> None:
        if self._sending is not None:
            for timestamp, payload in packets:
                self._sending.sound((payload,), timestamp)

    # The network

    def tick(self, now: float) -> None:
        """Do what is due; several times a second."""
        if self._state is PeerState.CONNECTING:
            wait = self._needs.connect_timeout
            if self._dtls is not None:
                self._dtls.handle_timer(now)
                self._dtls_changed()
            if now - self._answered_at > wait:
                came = "nothing" if self._ice is None or self._ice.heard_at is None else "no DTLS"
                self.close(
                    "webrtc_not_connected",
                    f"The viewer did not connect to UDP port {self._lease.port} within {wait:g} s: {came} came "
                    "through; check the firewall, and [webrtc] advertise behind a NAT",
                )
        elif self._state is PeerState.CONNECTED and self._sending is not None:
            wait = self._needs.lost_timeout
            if now - self._heard_at > wait:
                self.close("viewer_lost", f"Nothing was heard from the viewer for {wait:g} s")
                return
            self._sending.tick(now, self._newest)

    def _listen(self, selection: Selection) -> None:
        section = transport_section(self._offer, selection)
        self._ice = IceLite(self._ufrag, self._password, section.ufrag)
        self._dtls = DtlsServer(self._needs.certificate(), section.fingerprints, self._send_dtls)
        self._socket = PeerSocket(self._lease, self._datagram, any_address=self._needs.any_address)

    def _datagram(self, data: bytes, address: Address) -> None:
        """Tell the protocols on one port apart by the first byte (RFC 7983 7)."""
        ice, now = self._ice, self._needs.clock()
        if ice is None or self._socket is None:
            return
        first = data[0]
        if first < 4:
            answer = ice.receive(data, address, now)
            if answer is not None:
                self._heard_at = now
                self._socket.send(answer, address)
        elif not ice.knows(address):
            return
        elif 20 <= first < 64 and self._dtls is not None:
            self._dtls_to = address
            self._dtls.receive(data, now)
            self._dtls_changed()
        elif 128 <= first < 192 and self._receiver is not None:
            self._rtcp(data, now)

    def _rtcp(self, data: bytes, now: float) -> None:
        plain = self._receiver.unprotect_rtcp(data) if self._receiver is not None else None
        if plain is None or self._sending is None:
            return
        self._heard_at = now
        try:
            self._sending.feedback(plain, parse_rtcp(plain), self._group)
        except RtpError as exc:
            log.debug("rtcp_unreadable", error=str(exc))
            return
        if self._sending.left:
            self.close("viewer_left", "The viewer said BYE")

    def _dtls_changed(self) -> None:
        dtls = self._dtls
        if dtls is None or self._ended is not None:
            return
        if dtls.state is DtlsState.FAILED:
            self.close("webrtc_not_connected", f"The connection failed: {dtls.failure}")
        elif dtls.state is DtlsState.CLOSED:
            self.close("viewer_left", "The viewer closed the connection")
        elif dtls.keys is not None and self._sending is None:
            self._connected(dtls)

    def _connected(self, dtls: DtlsServer) -> None:
        selection, needs = self._selection, self._needs
        assert selection is not None
        assert dtls.keys is not None
        video = self._track("video", selection.video.format.payload_type, 90_000, resends=True)
        audio, audio_track = None, None
        if selection.audio is not None:
            item = selection.audio.format
            audio = self._track("audio", item.payload_type, item.clock_rate, resends=False)
            if not selection.audio.transcoded:
                audio_track = selection.audio.track
        self._receiver = SrtpReceiver(dtls.keys)
        self._sending = MediaSending(
            SrtpSender(dtls.keys, needs.bench),
            video,
            audio,
            video_track=selection.video.track,
            audio_track=audio_track,
            cname=self._cname,
            ports=SendPorts(
                send_all=self._send_all,
                send=self._send_one,
                call_later=_call_later,
                clock=needs.clock,
                wall=needs.wall,
                keyframe_wanted=self._want_keyframe,
            ),
        )
        self._state = PeerState.CONNECTED
        self._heard_at = needs.clock()
        self._sending.begin(self._group)
        if selection.audio is not None and selection.audio.transcoded:
            assert self._make_opus is not None
            self._opus = self._make_opus()
            self._opus.listen(self._opus_packets)
        self._events.webrtc_connected()

    def _track(self, kind: str, payload_type: int, rate: int, *, resends: bool) -> TrackSender:
        return TrackSender(self._ssrcs[kind], payload_type, rate, resends=resends)

    def _want_keyframe(self) -> None:
        self._needs.keyframe_wanted(self._stream_id)

    def _to(self) -> Address | None:
        ice = self._ice
        return self._dtls_to if ice is None or ice.selected is None else ice.selected

    def _send_dtls(self, data: bytes) -> None:
        if self._socket is not None and self._dtls_to is not None:
            self._socket.send(data, self._dtls_to)

    def _send_one(self, packet: bytes | memoryview) -> None:
        to = self._to()
        if self._socket is not None and to is not None:
            self._socket.send(packet, to)

    def _send_all(self, packets: Sequence[memoryview]) -> None:
        to = self._to()
        if self._socket is not None and to is not None:
            self._socket.send_all(packets, to)


def _call_later(seconds: float, what: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, what)


def _ice_text(length: int) -> str:
    return secrets.token_hex(length)[:length]


def _ssrc() -> int:
    return secrets.randbelow((1 << 32) - 1) + 1
