"""CPU cost of receiving one camera: socket, RTP, reordering, PS, media units.

Run with `python tests/bench/bench_media_core.py [--seconds 5] [--streams 1] [--loop asyncio|uvloop]`.
The sender is a process of its own, so only the receiving side is measured. Printed are CPU
milliseconds for one second of one stream of 4 Mbit/s, 25 pictures a second.

Measured on the 2-core test machine with uvloop, ms a stream-second: in memory 0.9 (2.3 us a packet);
with sockets and 150 streams 2.1 in bursts, 2.7 paced (3.5 without gathering packets); sending 0.4
with segmentation, 1.4 one by one. With a single stream an idle virtual machine adds its own wake-ups.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import socket
import time

from gb28181.aio.media_udp import UdpMedia, UdpMediaSender
from gb28181.aio.ports import PortPool
from gb28181.aio.reader import Poller
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.demuxer import PsDemuxer
from gb28181.ps.muxer import PsMuxer
from gb28181.rtp.depacketizer import Depacketizer
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.packetizer import packetize
from gb28181.rtp.reorder import RtpReorderer

FPS = 25
GOP = 50
BITS_PER_SECOND = 4_000_000
KEY_FRAME = 90_000
SETS = bytes.fromhex(
    "00000001674d401e9a6602802dd3501010140000fa400030d421"  # a real SPS: 640x360
    "0000000168ee3c80"
)


def build_frames(seconds: float) -> list[list[bytes]]:
    """RTP packets of each picture, a stream as cameras send it: key frames large, the rest even."""
    count = round(seconds * FPS)
    keys = -(-count // GOP)
    plain = (round(BITS_PER_SECOND / 8 * seconds) - keys * KEY_FRAME) // max(1, count - keys)
    muxer = PsMuxer(Codec.H264, Codec.PCM_ALAW)
    frames, sequence = [], 0
    for index in range(count):
        key = index % GOP == 0
        head = SETS + b"\x00\x00\x00\x01\x65\x88" if key else b"\x00\x00\x00\x01\x41\x9a"
        size = KEY_FRAME if key else plain
        payload = head + bytes(1 + i * 7 % 251 for i in range(size))
        time_ = index * 3600
        unit = MediaUnit(Codec.H264, time_, time_, keyframe=key, payload=payload)
        sound = MediaUnit(Codec.PCM_ALAW, time_, time_, keyframe=True, payload=b"\xd5" * 320)
        packets = packetize(
            muxer.mux(unit, sound),
            payload_type=96,
            ssrc=100,
            sequence=sequence,
            timestamp=time_,
            mtu=1412,
        )
        sequence += len(packets)
        frames.append(packets)
    return frames


def measure_in_memory(frames: list[list[bytes]]) -> None:
    """Print what each stage costs without sockets."""
    packets = [packet for frame in frames for packet in frame]
    seconds = len(frames) / FPS

    def report(name: str, started: int) -> None:
        spent = time.process_time_ns() - started
        per_packet = spent / len(packets) / 1000
        print(f"{name:42} {spent / 1e6 / seconds:7.2f} ms/stream-s {per_packet:6.2f} us/packet")

    started = time.process_time_ns()
    parsed = [RtpPacket.parse(packet) for packet in packets]
    report("parse RTP", started)
    started = time.process_time_ns()
    reorderer = RtpReorderer()
    for packet in parsed:
        reorderer.feed(packet, 0.0)
    report("reorder (all in order)", started)
    started = time.process_time_ns()
    demuxer = PsDemuxer()
    for packet in parsed:
        demuxer.feed(packet.payload, timestamp=packet.timestamp, marker=packet.marker)
    report("demux PS", started)
    started = time.process_time_ns()
    reorderer, depacketizer, units = RtpReorderer(), Depacketizer({96: "PS"}), 0
    for data in packets:
        for packet in reorderer.feed(RtpPacket.parse(data), 0.0):
            units += len(depacketizer.feed(packet))
    report("parse, reorder, depacketize", started)
    assert units == 2 * len(frames), f"{units} units of {2 * len(frames)}"


def measure_sending(frames: list[list[bytes]]) -> None:
    """Print what sending costs, with and without segmentation by the kernel."""
    packets = sum(map(len, frames))
    for segmentation in (True, False):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        ):
            sink.bind(("127.0.0.1", 0))
            sender = UdpMediaSender(sock, sink.getsockname(), segmentation=segmentation)
            started = time.process_time_ns()
            for frame in frames:
                sender.send(frame)
            spent = time.process_time_ns() - started
        name = "send, segmentation" if segmentation else "send, one by one"
        per_second = spent / 1e6 / (len(frames) / FPS)
        print(f"{name:42} {per_second:7.2f} ms/stream-s {spent / packets / 1000:6.2f} us/packet")


def send(frames: list[list[bytes]], ports: list[int], pattern: str) -> None:
    """Send in real time: `burst` a frame at once, `paced` packets evenly over the frame's time."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    start = time.monotonic()
    for index, frame in enumerate(frames):
        for number, packet in enumerate(frame):
            due = index / FPS + (number / len(frame) / FPS if pattern == "paced" else 0)
            while (wait := start + due - time.monotonic()) > 0:
                time.sleep(wait)
            for port in ports:
                sock.sendto(packet, ("127.0.0.1", port))


class Stream:
    """What a gateway does for one receiver, down to the media units."""

    def __init__(self, pool: PortPool) -> None:
        self.lease = pool.lease()
        self.reorderer = RtpReorderer()
        self.depacketizer = Depacketizer({96: "PS"})
        self.units = 0
        self.packets = 0
        self.batches = 0
        self.media = UdpMedia(self.lease, self.receive)

    def receive(self, packets: list[bytes], source: tuple[str, int]) -> None:
        """Take a batch."""
        now = time.monotonic()
        self.batches += 1
        self.packets += len(packets)
        parse, reorder, depacketize = RtpPacket.parse, self.reorderer.feed, self.depacketizer.feed
        for data in packets:
            for packet in reorder(parse(data), now):
                self.units += len(depacketize(packet))

    def close(self) -> None:
        """Give the port back."""
        self.media.close()
        self.lease.release()


async def receive(frames: list[list[bytes]], count: int, pattern: str, coalesce: float) -> None:
    """Print what receiving costs with sockets."""
    pool = PortPool("127.0.0.1", 41000, 41999, drain=0, poller=Poller(interval=coalesce))
    streams = [Stream(pool) for _ in range(count)]
    context = multiprocessing.get_context("fork")
    ports = [stream.lease.port for stream in streams]
    sender = context.Process(target=send, args=(frames, ports, pattern))
    sender.start()
    await asyncio.sleep(0.2)
    units, started, began = sum(s.units for s in streams), time.process_time_ns(), time.monotonic()
    await asyncio.sleep(len(frames) / FPS - 0.7)
    spent = (time.process_time_ns() - started) / 1e6 / (time.monotonic() - began) / count
    await asyncio.sleep(0.8)
    sender.join()
    packets, batches = (sum(getattr(s, n) for s in streams) for n in ("packets", "batches"))
    expected = count * sum(map(len, frames))
    lost = expected - packets
    print(
        f"{pattern:6} coalesce {coalesce * 1000:3.0f} ms: {spent:6.2f} ms/stream-s, "
        f"{packets / max(batches, 1):5.1f} packets a batch, {lost} lost, "
        f"{sum(s.units for s in streams) - units} units"
    )
    for stream in streams:
        stream.close()
    pool.close()


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="uvloop")
    options = parser.parse_args()
    frames = build_frames(options.seconds)
    measure_in_memory(frames)
    measure_sending(frames)
    factory = None
    if options.loop == "uvloop":
        with contextlib.suppress(ImportError):
            import uvloop  # noqa: PLC0415 - optional

            factory = uvloop.new_event_loop
    print(f"{options.loop}, {options.streams} streams, pid {os.getpid()}")
    for pattern in ("burst", "paced"):
        for coalesce in (0.0, 0.004):
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(receive(frames, options.streams, pattern, coalesce))


if __name__ == "__main__":
    main()
