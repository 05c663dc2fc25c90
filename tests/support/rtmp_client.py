"""An RTMP publisher in bytes, for tests of the server; and the handshakes that real ones make."""

import hashlib
import hmac
import itertools

from gateway.rtmp.amf import AmfValue, decode_values, encode_values
from gateway.rtmp.chunk import ChunkReader, ChunkWriter, Message

__all__ = [
    "C1_SIMPLE",
    "CONNECT",
    "RtmpClient",
    "complex_c1",
]

C1_SIMPLE = bytes(8) + bytes(range(256)) * 5 + bytes(248)
CONNECT: dict[str, AmfValue] = {
    "app": "live",
    "flashVer": "FMLE/3.0",
    "tcUrl": "rtmp://h/live",
    "objectEncoding": 0.0,
}
_PLAYER_KEY = b"Genuine Adobe Flash Player 001"


def complex_c1(*, scheme: int = 0) -> bytes:
    """Return a C1 with a version and a digest in it, as Flash Player 9 and FFmpeg make it.

    Args:
        scheme: 0: the digest lies in the first half, 1: in the second.
    """
    c1 = bytearray(C1_SIMPLE)
    c1[4:8] = bytes([128, 0, 7, 2])
    base = 8 if scheme == 0 else 772
    offset = sum(c1[base : base + 4]) % 728 + base + 4
    around = bytes(c1[:offset] + c1[offset + 32 :])
    c1[offset : offset + 32] = hmac.new(_PLAYER_KEY, around, hashlib.sha256).digest()
    return bytes(c1)


class RtmpClient:
    """Makes what a publisher sends and reads what comes back."""

    def __init__(self, *, chunk_size: int | None = None, c1: bytes = C1_SIMPLE) -> None:
        self.c1 = c1
        self._writer = ChunkWriter()
        self._chunk_size = chunk_size
        self._reader = ChunkReader()
        self._numbers = itertools.count(1)
        self._skip = 1 + 2 * 1536
        self.received: list[Message] = []

    def handshake(self) -> bytes:
        """C0, C1 and C2 at once; nobody checks C2."""
        return b"\x03" + self.c1 + bytes(1536)

    def command(self, name: str, *values: AmfValue, stream_id: int = 0) -> bytes:
        """A command with the next number."""
        body = encode_values(name, float(next(self._numbers)), *values)
        return self._writer.write(3, 20, stream_id, body)

    def opening(self, name: str = "x", *, connect: dict[str, AmfValue] | None = None) -> bytes:
        """Everything up to publish."""
        parts = [self.handshake()]
        if self._chunk_size is not None:
            parts.append(self._writer.resize(self._chunk_size))
        parts += [
            self.command("connect", connect or dict(CONNECT)),
            self.command("releaseStream", None, name),
            self.command("FCPublish", None, name),
            self.command("createStream", None),
            self.command("publish", None, name, "live", stream_id=1),
        ]
        return b"".join(parts)

    def tag(self, kind: int, timestamp: int, body: bytes, *, stream_id: int = 1) -> bytes:
        """An audio or video message."""
        return self._writer.write(4 + kind, kind, stream_id, body, timestamp=timestamp)

    def take(self, data: bytes) -> None:
        """Read what the server sent."""
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        self.received += self._reader.feed(data[skipped:])

    def commands(self) -> list[list[AmfValue]]:
        """Commands received so far."""
        return [decode_values(message.body) for message in self.received if message.type == 20]

    def statuses(self) -> list[str]:
        """Codes of onStatus and of results, as Flash names them."""
        infos = [values[-1] for values in self.commands() if len(values) > 2]
        return [str(info["code"]) for info in infos if isinstance(info, dict) and "code" in info]
