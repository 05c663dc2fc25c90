"""Media on its way out: packs an encoder's ticks into RTP for one session and sends them by UDP or TCP."""

import random
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.simulator.encoder import EncodedTick, EncoderPool, Subscription
from gateway.simulator.pan_tilt import PanTilt
from gateway.simulator.quirk import Quirk
from gateway.simulator.stream import StreamSpec
from gb28181.aio.clock import monotonic, utc_now
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.muxer import PsMuxer, PsQuirks
from gb28181.rtp.packetizer import packetize, packetize_h264, packetize_hevc
from gb28181.rtp.rtcp import SenderReport, SourceDescription, serialize_rtcp

__all__ = ["MediaSink", "OutgoingMedia", "SendCounters"]

_PS_QUIRKS = frozenset(
    {Quirk.NO_PSM, Quirk.BAD_PSM_CRC, Quirk.PES_LENGTH_ZERO, Quirk.PRIVATE_STREAMS}
)
_PRIVATE_DATA = bytes.fromhex("80000001020304050607")
"""A PES header without times and seven bytes of something."""
_NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""
_CNAME = "simulator"
_OTHER_CODEC = {Codec.H264: Codec.HEVC, Codec.HEVC: Codec.H264}
_RAW_PAYLOAD_TYPE = {Codec.H264: 98, Codec.HEVC: 100}
_PS_PAYLOAD_TYPE = 96


class MediaSink(Protocol):
    """Where RTP packets go."""

    def send(self, packets: list[bytes]) -> bool:
        """Send packets in order; False if the network is behind and they were dropped."""

    def send_rtcp(self, data: bytes) -> None:
        """Send one compound RTCP packet."""

    def abandon(self) -> None:
        """Break the media path off, as when a cable is pulled."""

    async def close(self) -> None:
        """Give up the sockets; idempotent."""


@dataclass(slots=True)
class SendCounters:
    """What one session has sent."""

    packets: int = 0
    payload_bytes: int = 0
    frames: int = 0
    dropped_frames: int = 0
    """Frames not sent because the network was behind."""


class OutgoingMedia:
    """One channel's stream to one receiver, from a key frame on.

    Args:
        spec: What to send.
        pool: Encoders.
        sink: Where to send it.
        ssrc: SSRC to write into the packets.
        quirks: Media quirks of the device.
        mtu: Bytes of an RTP packet at most.
        seed: Seed of sequence number, time offset and garbage.
        view: Motor of the camera, if it has moved before.
    """

    def __init__(
        self,
        spec: StreamSpec,
        *,
        pool: EncoderPool,
        sink: MediaSink,
        ssrc: int,
        quirks: frozenset[Quirk],
        mtu: int,
        seed: int,
        view: PanTilt | None = None,
    ) -> None:
        self._view = view
        self._pool = pool
        self._sink = sink
        self._quirks = quirks
        self._mtu = mtu
        self._random = random.Random(seed)  # noqa: S311 - RTP start values of a test device
        self._subscription: Subscription | None = None
        self._sequence = self._random.randrange(1 << 16)
        self._offset = self._random.randrange(1 << 32)
        self._timestamp = self._offset
        self._sent_at = 0.0
        self._waits_for_keyframe = True
        self._muxer = self._own_muxer(spec)
        self.ssrc = ssrc
        self.spec = spec
        self.counters = SendCounters()

    @property
    def payload_type(self) -> int:
        """RTP payload type that this stream has."""
        return payload_type_of(self.spec.video, self._quirks)

    @property
    def running(self) -> bool:
        """Whether the stream was started and not stopped."""
        return self._subscription is not None

    def start(self) -> None:
        """Send from the next key frame on; one is asked for."""
        if Quirk.SEND_NOTHING not in self._quirks and self._subscription is None:
            self._subscription = self._pool.subscribe(self.spec, self._on_tick, self._view)

    def stop(self) -> None:
        """Send no more; idempotent."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def change_codec(self) -> None:
        """Go on with the other video codec, as after a change of the camera's settings."""
        if self._subscription is None:
            return
        self._go_on_with(replace(self.spec, video=_OTHER_CODEC[self.spec.video]))

    def look_through(self, channel_id: str, view: PanTilt) -> None:
        """Go on with a picture of the channel's own, which tells where its camera looks."""
        if self._view is not view:
            self._view = view
            self._go_on_with(replace(self.spec, view=channel_id))

    def request_keyframe(self) -> None:
        """Send a key frame soon."""
        if self._subscription is not None:
            self._subscription.request_keyframe()

    def _go_on_with(self, spec: StreamSpec) -> None:
        self.spec = spec
        self._waits_for_keyframe = True
        self._muxer = self._own_muxer(spec)
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = self._pool.subscribe(spec, self._on_tick, self._view)

    def sender_report(self) -> bytes:
        """Return a compound RTCP packet: what was sent, and the wall clock of the RTP clock (RFC 3550 6.4.1)."""
        elapsed = monotonic() - self._sent_at
        report = SenderReport(
            ssrc=self.ssrc,
            ntp_time=int((utc_now().timestamp() + _NTP_EPOCH) * (1 << 32)),
            rtp_time=self._timestamp + int(elapsed * 90_000),
            packet_count=self.counters.packets,
            octet_count=self.counters.payload_bytes,
        )
        return serialize_rtcp(report, SourceDescription(names=((self.ssrc, _CNAME),)))

    def _on_tick(self, tick: EncodedTick) -> None:
        if self._waits_for_keyframe:
            if not tick.keyframe:
                return
            self._waits_for_keyframe = False
        packets = self._pack(tick)
        if not packets:
            return
        self._sent_at = monotonic()
        if self._sink.send(packets):
            self.counters.frames += 1
            self.counters.packets += len(packets)
            self.counters.payload_bytes += sum(map(len, packets)) - 12 * len(packets)
        else:
            self.counters.dropped_frames += 1
            self._waits_for_keyframe = True
            if self._subscription is not None:
                self._subscription.request_keyframe()

    def _pack(self, tick: EncodedTick) -> list[bytes]:
        if not tick.units:
            return []
        first = tick.units[0]
        self._timestamp = (first.pts + self._offset) & 0xFFFF_FFFF
        if Quirk.RAW_H264 in self._quirks:
            packets = self._packetize_raw(first) if first.is_video else []
        else:
            packets = packetize(
                self._payload(tick),
                payload_type=_PS_PAYLOAD_TYPE,
                ssrc=self.ssrc,
                sequence=self._sequence,
                timestamp=self._timestamp,
                mtu=self._mtu,
            )
        self._sequence = (self._sequence + len(packets)) & 0xFFFF
        return packets

    def _payload(self, tick: EncodedTick) -> bytes:
        if Quirk.SEND_GARBAGE in self._quirks:
            return self._random.randbytes(len(tick.ps))
        return tick.ps if self._muxer is None else self._muxer.mux(*tick.units)

    def _packetize_raw(self, unit: MediaUnit) -> list[bytes]:
        packer = packetize_h264 if unit.codec is Codec.H264 else packetize_hevc
        return packer(
            unit.payload,
            payload_type=_RAW_PAYLOAD_TYPE[unit.codec],
            ssrc=self.ssrc,
            sequence=self._sequence,
            timestamp=self._timestamp,
            mtu=self._mtu,
        )

    def _own_muxer(self, spec: StreamSpec) -> PsMuxer | None:
        quirks = self._quirks
        if _PS_QUIRKS.isdisjoint(quirks):
            return None
        return PsMuxer(
            spec.video,
            spec.audio,
            quirks=PsQuirks(
                no_psm=Quirk.NO_PSM in quirks,
                no_system_header=Quirk.NO_PSM in quirks,
                bad_psm_crc=Quirk.BAD_PSM_CRC in quirks,
                pes_length_zero=Quirk.PES_LENGTH_ZERO in quirks,
                private_stream=_PRIVATE_DATA if Quirk.PRIVATE_STREAMS in quirks else b"",
            ),
        )


def payload_type_of(video: Codec, quirks: frozenset[Quirk]) -> int:
    """Return the RTP payload type of a stream with these quirks."""
    return _RAW_PAYLOAD_TYPE[video] if Quirk.RAW_H264 in quirks else _PS_PAYLOAD_TYPE
