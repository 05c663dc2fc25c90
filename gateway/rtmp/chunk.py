"""RTMP chunk stream: messages cut into chunks of many streams (Adobe RTMP 1.0 5.3).

::

    basic header   : fmt(2) csid(6)            csid 0: one more byte (64 + it), csid 1: two more, little endian
    fmt 0, 11 bytes: timestamp(24) length(24) type(8) stream id(32, little endian)
    fmt 1,  7 bytes: delta(24)     length(24) type(8)
    fmt 2,  3 bytes: delta(24)
    fmt 3,  0 bytes
    timestamp or delta FFFFFF: 4 more bytes with the real one
"""

from dataclasses import dataclass, field

from gateway.rtmp.error import RtmpError

__all__ = ["MAX_MESSAGE", "MAX_PARTIAL", "ChunkReader", "ChunkWriter", "Message"]

MAX_MESSAGE = 4 * 1024 * 1024
"""Bytes of one message: a key frame in 8K at 100 Mbit/s."""
MAX_PARTIAL = 8 * 1024 * 1024
"""Bytes of all messages that have begun."""
MAX_CHUNK_STREAMS = 64
"""Chunk streams of one connection; encoders use five."""
DEFAULT_CHUNK_SIZE = 128
_EXTENDED = 0xFFFFFF
_HEADER_SIZE = (11, 7, 3, 0)
_MODULUS = 1 << 32


@dataclass(slots=True)
class Message:
    """One whole message."""

    type: int
    stream_id: int
    timestamp: int
    """Milliseconds modulo 2**32."""
    body: bytes


@dataclass(slots=True)
class _ChunkStream:
    timestamp: int = 0
    shown: int = 0
    """Timestamp or delta as the last header had it."""
    extended: bool = False
    length: int = 0
    type: int = 0
    stream_id: int = 0
    partial: bytearray = field(default_factory=bytearray)
    begun: bool = False
    """Whether a message has begun and is not complete."""


@dataclass(slots=True)
class _Header:
    """A chunk's header as read, before anything is changed by it."""

    csid: int
    form: int
    position: int
    """Behind it."""
    shown: int
    extended: bool
    length: int
    type: int
    stream_id: int


class ChunkReader:
    """Puts messages together; the result does not depend on how the bytes are cut.

    Args:
        max_message: Bytes of one message.
        max_partial: Bytes of all messages that have begun.
    """

    def __init__(self, *, max_message: int = MAX_MESSAGE, max_partial: int = MAX_PARTIAL) -> None:
        self._max_message = max_message
        self._max_partial = max_partial
        self._buffer = bytearray()
        self._streams: dict[int, _ChunkStream] = {}
        self._chunk_size = DEFAULT_CHUNK_SIZE
        self._partial = 0

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes, return the messages that are complete now.

        Raises:
            RtmpError: the peer does not keep to the protocol, or a limit.
        """
        self.add(data)
        return list(iter(self.next, None))

    def add(self, data: bytes) -> None:
        """Take bytes and look at none of them yet."""
        self._buffer += data

    def next(self) -> Message | None:
        """Return the next message, None if it is not all there; nothing behind it is looked at.

        A new chunk size takes effect at once, so that it holds for the bytes behind it.

        Raises:
            RtmpError: the peer does not keep to the protocol, or a limit.
        """
        position, message = 0, None
        while message is None:
            after, message = self._chunk(position)
            if after is None:
                break
            position = after
        del self._buffer[:position]
        return message

    def allow(self, *, max_message: int, max_partial: int) -> None:
        """Set other limits, for what is read from now on."""
        self._max_message, self._max_partial = max_message, max_partial

    @property
    def waiting(self) -> int:
        """Bytes that were not read yet."""
        return len(self._buffer)

    @property
    def held(self) -> int:
        """All bytes kept, those of unfinished messages included."""
        return len(self._buffer) + self._partial

    def _chunk(self, start: int) -> tuple[int | None, Message | None]:
        """Return the position behind one chunk, None if it is not all there, and the message it completes."""
        header = self._header(start)
        if header is None:
            return None, None
        stream = self._streams.get(header.csid) or _ChunkStream()
        done = len(stream.partial) if stream.begun else 0
        size = min(self._chunk_size, header.length - done)
        end = header.position + size
        if end > len(self._buffer):
            return None, None
        self._streams[header.csid] = stream
        if not stream.begun:
            self._begin(stream, header)
        self._partial += size
        if self._partial > self._max_partial:
            raise RtmpError(f"more than {self._max_partial} bytes of unfinished messages")
        stream.partial += self._buffer[header.position : end]
        if len(stream.partial) < stream.length:
            return end, None
        return end, self._complete(stream)

    def _basic(self, start: int) -> tuple[int, int, int] | None:
        """Return form, chunk stream, and the position behind the basic header; None if it is not all there."""
        buffer = self._buffer
        if start >= len(buffer):
            return None
        form, csid = buffer[start] >> 6, buffer[start] & 0x3F
        if csid >= 2:
            return form, csid, start + 1
        extra = buffer[start + 1 : start + 2 + csid]
        if len(extra) < 1 + csid:
            return None
        return form, 64 + int.from_bytes(extra, "little"), start + 1 + len(extra)

    def _known(self, csid: int, form: int) -> _ChunkStream:
        known = self._streams.get(csid)
        if known is None:
            if form != 0:
                raise RtmpError(f"chunk stream {csid} begins with a header of form {form}")
            if len(self._streams) >= MAX_CHUNK_STREAMS:
                raise RtmpError(f"more than {MAX_CHUNK_STREAMS} chunk streams")
            return _ChunkStream()
        if known.begun and form != 3:
            raise RtmpError(f"a message of chunk stream {csid} begins inside another one")
        return known

    def _header(self, start: int) -> _Header | None:
        basic = self._basic(start)
        if basic is None:
            return None
        form, csid, position = basic
        fields = self._buffer[position : position + _HEADER_SIZE[form]]
        if len(fields) < _HEADER_SIZE[form]:
            return None
        position += len(fields)
        known = self._known(csid, form)
        header = _Header(
            csid, form, position, known.shown, known.extended, known.length, known.type,
            known.stream_id,
        )  # fmt: skip
        if form < 3:
            header.shown = int.from_bytes(fields[:3])
            header.extended = header.shown == _EXTENDED
        if form < 2:
            header.length, header.type = int.from_bytes(fields[3:6]), fields[6]
            if header.length > self._max_message:
                raise RtmpError(f"a message of {header.length} bytes")
        if form == 0:
            header.stream_id = int.from_bytes(fields[7:11], "little")
        return self._extend(header, known)

    def _extend(self, header: _Header, known: _ChunkStream) -> _Header | None:
        if not header.extended:
            return header
        four = self._buffer[header.position : header.position + 4]
        # Some encoders leave it out of the chunks that go on with a message (form 3), others repeat it there.
        if header.form == 3 and not known.shown.to_bytes(4).startswith(four):
            return header
        if len(four) < 4:
            return None
        header.shown = int.from_bytes(four)
        header.position += 4
        return header

    def _begin(self, stream: _ChunkStream, header: _Header) -> None:
        stream.length, stream.type = header.length, header.type
        stream.stream_id, stream.extended = header.stream_id, header.extended
        stream.shown = header.shown
        if header.form == 0:
            stream.timestamp = header.shown % _MODULUS
        else:
            stream.timestamp = (stream.timestamp + header.shown) % _MODULUS
        stream.begun = True

    def _complete(self, stream: _ChunkStream) -> Message | None:
        """Return the message, None for one to the reader itself."""
        body = bytes(stream.partial)
        self._partial -= len(body)
        stream.partial = bytearray()
        stream.begun = False
        if stream.type == 1:
            self._resize(body)
        elif stream.type == 2:
            self._abort(body)
        else:
            return Message(stream.type, stream.stream_id, stream.timestamp, body)
        return None

    def _resize(self, body: bytes) -> None:
        size = int.from_bytes(body[:4])
        if len(body) < 4 or not 1 <= size < 1 << 31:
            raise RtmpError(f"a chunk size of {size}")
        self._chunk_size = size

    def _abort(self, body: bytes) -> None:
        stream = self._streams.get(int.from_bytes(body[:4]))
        if stream is not None and stream.begun:
            self._partial -= len(stream.partial)
            stream.partial = bytearray()
            stream.begun = False


class ChunkWriter:
    """Cuts messages into chunks; each begins with a full header."""

    def __init__(self) -> None:
        self._chunk_size = DEFAULT_CHUNK_SIZE

    def resize(self, size: int) -> bytes:
        """Return the message that announces a chunk size, and use it from then on."""
        message = self.write(2, 1, 0, size.to_bytes(4))
        self._chunk_size = size
        return message

    def write(
        self, csid: int, kind: int, stream_id: int, body: bytes, *, timestamp: int = 0
    ) -> bytes:
        """Return a message as chunks of stream `csid` (2 to 63)."""
        shown = min(timestamp, _EXTENDED)
        extended = timestamp.to_bytes(4) if shown == _EXTENDED else b""
        head = shown.to_bytes(3) + len(body).to_bytes(3) + bytes([kind])
        parts = [bytes([csid]), head, stream_id.to_bytes(4, "little"), extended]
        size = self._chunk_size
        parts.append(body[:size])
        for position in range(size, len(body), size):
            parts += (bytes([0xC0 | csid]), extended, body[position : position + size])
        return b"".join(parts)
