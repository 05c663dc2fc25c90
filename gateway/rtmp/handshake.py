"""RTMP handshake, the server's side (Adobe RTMP 1.0 5.2).

::

    client : C0 version(8)=3 | C1 time(32) version(32) random(1528)       | C2 echo of S1 (1536)
    server : S0 version(8)=3 | S1 time(32) zero(32)    random(1528) | S2 echo of C1 (1536)

The second word of S1 is zero, so that clients which put a digest into C1 (Flash 9 and later, FFmpeg) fall back to the
simple handshake and expect none in ours.
"""

from gateway.rtmp.error import RtmpError

__all__ = ["SIZE", "ServerHandshake"]

SIZE = 1536
_VERSION = 3


class ServerHandshake:
    """Answers C0 and C1, waits for C2.

    Args:
        random: 1528 bytes.
    """

    def __init__(self, random: bytes) -> None:
        if len(random) != SIZE - 8:
            raise ValueError(f"expected {SIZE - 8} random bytes, got {len(random)}")
        self._random = random
        self._buffer = bytearray()
        self._answered = False
        self.rest: bytes | None = None
        """What came behind C2; None while the handshake lasts."""

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes, return what is to be sent.

        Raises:
            RtmpError: another version, an encrypted one for instance.
        """
        self._buffer += data
        if self._buffer and self._buffer[0] != _VERSION:
            raise RtmpError(f"RTMP version {self._buffer[0]}, expected {_VERSION}")
        answer = b""
        if not self._answered and len(self._buffer) >= 1 + SIZE:
            self._answered = True
            first = bytes(self._buffer[1 : 1 + SIZE])
            answer = bytes([_VERSION]) + bytes(8) + self._random + first
        # What C2 says is of no use: clients with a digest send one, old ones send anything.
        if len(self._buffer) >= 1 + 2 * SIZE:
            self.rest = bytes(self._buffer[1 + 2 * SIZE :])
        return answer
