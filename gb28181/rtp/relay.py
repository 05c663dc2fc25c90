"""RTP packets of a program stream passed on under another SSRC, sequence and payload type (GB 8.6, 8.9).

Packets of a frame are joined once, whoever gets them; each receiver writes its own header fields
into the shared bytes just before they are sent. Time stamp and marker stay as they are, CSRCs,
header extensions and padding are left out.

What a receiver sees of loss: the packer numbers its packets with the steps of the source, so a gap
stays a gap of the same width. A source that starts again (other SSRC, jump) shows as one missing
packet, because what is unfinished there will not be finished.
"""

import enum
import struct
from collections.abc import Callable, Sequence

from gb28181.limits import MAX_RTP_JUMP
from gb28181.ps.demuxer import PACK_START
from gb28181.rtp.packet import HEADER_SIZE, RtpPacket
from gb28181.rtp.packetizer import DEFAULT_MTU

__all__ = [
    "MAX_BATCH_BYTES",
    "MAX_RUN_PACKETS",
    "FrameStart",
    "RelayBatch",
    "RelayForm",
    "RelayPacker",
    "RelayRun",
    "RelayStamp",
    "count_packets",
]

MAX_RUN_PACKETS = 44
"""Packets that one system call cuts up (UDP_SEGMENT); kernels take 64."""
MAX_BATCH_BYTES = MAX_RUN_PACKETS * DEFAULT_MTU
"""Bytes of a batch (61,600), so that one of usual packets is one system call."""
_LARGEST_PAYLOAD = 1460
"""A longer payload (devices on TCP send up to 64 KB) is cut: it would not fit a datagram on Ethernet."""
_CUT = DEFAULT_MTU - HEADER_SIZE
_HEADER = struct.Struct("!BBHII")
_VERSION = 0x80
_MARKER = 0x80
_USUAL_TYPE = 96
_PREFIX_SIZE = 2
_STREAK = 16
"""Packets in a row with the right numbers after which a sender on TCP is believed about gaps."""
_SYSTEM_HEADER, _MAP = b"\x00\x00\x01\xbb", b"\x00\x00\x01\xbc"
_PACK_SIZE = 14
_NUMBERS = [number & 0xFFFF for number in range(0x10000 + MAX_RUN_PACKETS)]
_HIGH = bytes(number >> 8 for number in _NUMBERS)
_LOW = bytes(number & 0xFF for number in _NUMBERS)
_TYPES = [
    bytes(byte & _MARKER | payload_type for byte in range(256)) for payload_type in range(128)
]
"""Translations of a header's second byte to each payload type."""


class FrameStart(enum.IntEnum):
    """Whether a run begins with a frame."""

    NONE = 0
    PACK = 1
    """A pack header: some frame."""
    KEY = 2
    """A pack header with system header or map: a key frame."""


class RelayRun:
    """Packets of one size and consecutive numbers; the last may be shorter."""

    __slots__ = ("begins", "count", "fields", "octets", "sequence", "size", "start", "view")

    def __init__(
        self, start: int, size: int, count: int, sequence: int, begins: FrameStart
    ) -> None:
        self.start = start
        """Where it begins in the form."""
        self.size = size
        """Bytes of each packet, without a length in front."""
        self.count = count
        self.sequence = sequence
        """The packer's number of the first."""
        self.begins = begins
        self.view: memoryview
        """The packets end to end."""
        self.octets: int
        """Bytes of payload."""
        self.fields: tuple[slice, ...]
        """The bytes of type, sequence and SSRC in all headers, one slice a byte."""


class RelayForm:
    """The packets of a batch end to end, as they are sent."""

    __slots__ = ("data", "payload_type", "runs", "view")

    def __init__(self, data: bytearray, runs: list[RelayRun], stride: int, skip: int) -> None:
        self.data = data
        self.runs = runs
        self.payload_type = _USUAL_TYPE
        """What the headers have at the moment."""
        self.view = view = memoryview(data)
        end = len(data)
        for run in reversed(runs):
            begin, step = run.start + skip, run.size + stride
            run.view = view[run.start : end]
            run.octets = end - run.start - run.count * (HEADER_SIZE + stride)
            run.fields = tuple([slice(begin + at, end, step) for at in (1, 2, 3, 8, 9, 10, 11)])
            end = run.start


class RelayBatch:
    """Packets that go out together, at most `MAX_BATCH_BYTES`."""

    __slots__ = ("_framed", "begins", "datagrams", "octets", "packets", "timestamp")

    def __init__(
        self, parts: list[bytes | memoryview], runs: list[RelayRun], timestamp: int
    ) -> None:
        self.datagrams = RelayForm(bytearray().join(parts), runs, 0, 0)
        """For UDP: packets of a run are cut apart by the system."""
        self.packets = len(parts) // 2
        self.octets = len(self.datagrams.data) - HEADER_SIZE * self.packets
        """Bytes of payload."""
        self.timestamp = timestamp
        """That of the last packet."""
        self.begins = max(run.begins for run in runs)
        self._framed: RelayForm | None = None

    @property
    def framed(self) -> RelayForm:
        """For TCP: each packet with its length in front (RFC 4571)."""
        if self._framed is None:
            self._framed = self._frame()
        return self._framed

    def _frame(self) -> RelayForm:
        parts: list[bytes | memoryview] = []
        runs = []
        start = 0
        for run in self.datagrams.runs:
            view, size = run.view, run.size
            prefix = size.to_bytes(_PREFIX_SIZE)
            for at in range(0, len(view), size):
                packet = view[at : at + size]
                parts.append(prefix if len(packet) == size else len(packet).to_bytes(_PREFIX_SIZE))
                parts.append(packet)
            runs.append(RelayRun(start, size, run.count, run.sequence, run.begins))
            start += len(view) + _PREFIX_SIZE * run.count
        form = RelayForm(bytearray().join(parts), runs, _PREFIX_SIZE, _PREFIX_SIZE)
        form.payload_type = self.datagrams.payload_type
        return form


class RelayStamp:
    """What one receiver's packets say in their headers.

    Args:
        ssrc: Of all packets.
        payload_type: Of all packets.
        offset: Added to the packer's sequence numbers.
    """

    def __init__(self, *, ssrc: int, payload_type: int, offset: int) -> None:
        self.payload_type = payload_type
        self.offset = offset
        self._ssrc = tuple(bytes((byte,)) * MAX_RUN_PACKETS for byte in ssrc.to_bytes(4))

    def apply(self, form: RelayForm) -> None:
        """Write the fields; what another receiver's stamp wrote is gone."""
        data, offset = form.data, self.offset
        if form.payload_type != self.payload_type:
            self._set_type(form)
        first, second, third, fourth = self._ssrc
        for run in form.runs:
            count = run.count
            sequence = (run.sequence + offset) & 0xFFFF
            _, high, low, at8, at9, at10, at11 = run.fields
            data[high] = _HIGH[sequence : sequence + count]
            data[low] = _LOW[sequence : sequence + count]
            data[at8] = first[:count]
            data[at9] = second[:count]
            data[at10] = third[:count]
            data[at11] = fourth[:count]

    def _set_type(self, form: RelayForm) -> None:
        table = _TYPES[self.payload_type]
        for run in form.runs:
            form.data[run.fields[0]] = form.data[run.fields[0]].translate(table)
        form.payload_type = self.payload_type


class _Draft:
    """A batch in the making."""

    __slots__ = ("bytes", "open", "parts", "runs", "timestamp")

    def __init__(self) -> None:
        self.parts: list[bytes | memoryview] = []
        self.runs: list[RelayRun] = []
        self.bytes = 0
        self.open = False
        """Whether the last run may get another packet."""
        self.timestamp = 0


class RelayPacker:
    """Makes batches of one source's packets, for any number of receivers.

    Args:
        reliable: True for a source on TCP, where gaps count as loss only from senders whose
            numbers are otherwise right.
    """

    def __init__(self, *, reliable: bool = False) -> None:
        self.sequence = 0
        """The number of the last packet so far; not cut to 16 bits."""
        self._reliable = reliable
        self._streak = 0
        self._last = -1
        self._ssrc = -1
        self._batches: list[RelayBatch] = []
        self._draft = _Draft()

    def restart(self) -> None:
        """What comes next is not the continuation of what came before."""
        self._ssrc = -1

    def pack(
        self, packets: Sequence[RtpPacket], carries: Callable[[int], bool] = lambda _: True
    ) -> list[RelayBatch]:
        """Pack RTP packets in order.

        Args:
            packets: As the reordering let them through.
            carries: Whether packets of a payload type belong to the stream; others are left out
                without a gap.
        """
        known = -1
        run: RelayRun | None = None
        for packet in packets:
            sequence = packet.sequence
            if sequence == (self._last + 1) & 0xFFFF and packet.ssrc == self._ssrc:
                self._streak += 1
                self.sequence += 1
            else:
                self.sequence += self._step(packet)
                run = None
            self._last = sequence
            if packet.payload_type != known:
                if not carries(packet.payload_type):
                    self.sequence -= 1
                    continue
                known = packet.payload_type
            payload = packet.payload
            second = _USUAL_TYPE | _MARKER if packet.marker else _USUAL_TYPE
            if (
                run is not None
                and len(payload) + HEADER_SIZE == run.size
                and run.count < MAX_RUN_PACKETS
                and payload[:4] != PACK_START
                and (draft := self._draft).bytes + run.size <= MAX_BATCH_BYTES
            ):
                # As nearly all are: one more of the same size.
                run.count += 1
                draft.bytes += run.size
                draft.timestamp = timestamp = packet.timestamp
                draft.parts += (_HEADER.pack(_VERSION, second, 0, timestamp, 0), payload)
            else:
                begins = _frame_start(payload) if payload[:4] == PACK_START else FrameStart.NONE
                if len(payload) <= _LARGEST_PAYLOAD:
                    self._add(payload, second, packet.timestamp, begins)
                else:
                    self._add_cut(payload, second, packet.timestamp, begins)
                run = self._draft.runs[-1] if self._draft.open else None
        return self._take()

    def pack_frame(self, data: bytes, *, timestamp: int, keyframe: bool) -> list[RelayBatch]:
        """Pack one whole frame that was muxed here."""
        self.sequence += 1
        begins = FrameStart.KEY if keyframe else FrameStart.PACK
        self._add_cut(data, _USUAL_TYPE | _MARKER, timestamp & 0xFFFF_FFFF, begins)
        return self._take()

    def _add_cut(
        self, payload: bytes | memoryview, second: int, timestamp: int, begins: FrameStart
    ) -> None:
        size = len(payload)
        for at in range(0, size, _CUT):
            if at:
                self.sequence += 1
            last = at + _CUT >= size
            self._add(
                payload[at : at + _CUT],
                second if last else _USUAL_TYPE,
                timestamp,
                FrameStart.NONE if at else begins,
            )

    def _add(
        self, payload: bytes | memoryview, second: int, timestamp: int, begins: FrameStart
    ) -> None:
        draft = self._draft
        size = len(payload) + HEADER_SIZE
        if draft.bytes + size > MAX_BATCH_BYTES:
            self._finish()
            draft = self._draft
        run = draft.runs[-1] if draft.open and not begins else None
        if (
            run is not None
            and size <= run.size
            and run.count < MAX_RUN_PACKETS
            and run.sequence + run.count == self.sequence
        ):
            run.count += 1
            draft.open = size == run.size
        else:
            draft.runs.append(RelayRun(draft.bytes, size, 1, self.sequence, begins))
            draft.open = True
        draft.parts += (_HEADER.pack(_VERSION, second, 0, timestamp, 0), payload)
        draft.bytes += size
        draft.timestamp = timestamp

    def _finish(self) -> None:
        draft, self._draft = self._draft, _Draft()
        if draft.runs:
            self._batches.append(RelayBatch(draft.parts, draft.runs, draft.timestamp))

    def _take(self) -> list[RelayBatch]:
        self._finish()
        batches, self._batches = self._batches, []
        return batches

    def _step(self, packet: RtpPacket) -> int:
        """How far the numbers go on where the source's do not by one."""
        step = (packet.sequence - self._last) & 0xFFFF
        trusted = not self._reliable or self._streak >= _STREAK
        if packet.ssrc != self._ssrc or not 0 < step <= MAX_RTP_JUMP:
            first = self._last < 0
            self._ssrc = packet.ssrc
            self._streak = 0
            return 1 if first else 2
        self._streak = 0
        return step if trusted else 1


def count_packets(frame: bytes) -> int:
    """Return how many packets `RelayPacker.pack_frame` makes of a frame."""
    return -(-len(frame) // _CUT)


def _frame_start(payload: bytes | memoryview) -> FrameStart:
    """Tell key frames by the system header or map behind the pack header (GB Annex C.1)."""
    if len(payload) <= _PACK_SIZE:
        return FrameStart.PACK
    at = _PACK_SIZE + (payload[_PACK_SIZE - 1] & 7)
    marked = bytes(payload[at : at + 4]) in {_SYSTEM_HEADER, _MAP}
    return FrameStart.KEY if marked else FrameStart.PACK
