"""A camera that sends PS over RTP to a port, by UDP or TCP, with faults on demand."""

import asyncio
import socket
from collections.abc import Iterable

from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.muxer import PsMuxer
from gb28181.rtp.packetizer import packetize, packetize_h264

__all__ = ["TcpCamera", "UdpCamera", "rtp_packets"]


def rtp_packets(
    units: Iterable[MediaUnit], *, ssrc: int, ps: bool = True, payload_type: int = 96
) -> list[list[bytes]]:
    """Pack units into RTP, one list of packets a unit."""
    units = list(units)
    video = next((unit.codec for unit in units if unit.is_video), None)
    audio = next((unit.codec for unit in units if not unit.is_video), None)
    muxer = PsMuxer(video, audio)
    sequence = 1000
    result = []
    for unit in units:
        if ps:
            packets = packetize(
                muxer.mux(unit),
                payload_type=payload_type,
                ssrc=ssrc,
                sequence=sequence,
                timestamp=unit.pts,
            )
        elif unit.is_video:
            assert unit.codec is Codec.H264
            packets = packetize_h264(
                unit.payload,
                payload_type=payload_type,
                ssrc=ssrc,
                sequence=sequence,
                timestamp=unit.pts,
            )
        else:
            continue
        sequence += len(packets)
        result.append(packets)
    return result


class UdpCamera:
    """Sends from one UDP port, and receives RTCP on the next."""

    def __init__(self, port: int, *, host: str = "127.0.0.1") -> None:
        self.target = ("127.0.0.1", port)
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.setblocking(False)
        self.rtp.bind((host, 0))
        self.source = "{}:{}".format(*self.rtp.getsockname())
        """`host:port` that packets come from."""

    async def send(self, frames: Iterable[list[bytes]], *, pause: float = 0.001) -> None:
        """Send each frame's packets, then wait a moment."""
        for packets in frames:
            for packet in packets:
                self.rtp.sendto(packet, self.target)
            await asyncio.sleep(pause)

    def close(self) -> None:
        """Free the port."""
        self.rtp.close()


class TcpCamera:
    """Sends RFC 4571 frames over a stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int, *, host: str = "127.0.0.1") -> "TcpCamera":
        """Dial the gateway, from the given address."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0)))

    @property
    def source(self) -> str:
        """`host:port` that packets come from."""
        return "{}:{}".format(*self._writer.get_extra_info("sockname"))

    async def send(self, frames: Iterable[list[bytes]], *, pause: float = 0.001) -> None:
        """Send each frame's packets, then wait a moment."""
        for packets in frames:
            self._writer.write(b"".join(len(p).to_bytes(2) + p for p in packets))
            await self._writer.drain()
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        await self._writer.wait_closed()
