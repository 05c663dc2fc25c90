"""One publisher's connection, sans-IO (Adobe RTMP 1.0 5.4, 7.1, 7.2).

::

    connect -> releaseStream, FCPublish, createStream -> publish -> audio, video ... -> FCUnpublish, deleteStream
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from gateway.domain.source import TagKind
from gateway.rtmp.amf import AmfValue, decode_values, encode_values
from gateway.rtmp.chunk import MAX_MESSAGE, MAX_PARTIAL, ChunkReader, ChunkWriter, Message
from gateway.rtmp.error import RtmpError
from gateway.rtmp.handshake import ServerHandshake

__all__ = ["Event", "PublishAsked", "PublishEnded", "RtmpSession", "TagReceived"]

MAX_COMMAND = 64 * 1024
"""Bytes of a command or data message."""
MAX_OUTSIDE_MESSAGE = MAX_COMMAND
"""Bytes of one message of a peer that was not let in yet: it has commands to send, and they are short."""
MAX_OUTSIDE_PARTIAL = 2 * MAX_OUTSIDE_MESSAGE
"""Bytes of all its messages that have begun."""
MAX_UNDECIDED = 1024 * 1024
"""Bytes behind `publish` while it is decided: encoders that do not wait begin with a group of pictures, 2 s at 4 Mbit/s."""
MAX_COMMANDS = 64
"""Commands before media comes; encoders send five."""
MAX_TEXT = 200
"""Characters kept of what an encoder says it is."""
OUR_CHUNK_SIZE = 4_096
OUR_WINDOW = 2_500_000
"""Bytes after which we acknowledge, unless the peer asks for less."""
MIN_WINDOW = 10_000
MAX_STREAMS = 8
"""Message streams that a client may make."""
_MODULUS = 1 << 32
_FLV_HEADER, _FLV_TRAILER = 11, 4


class _Type(enum.IntEnum):
    ACKNOWLEDGEMENT = 3
    USER_CONTROL = 4
    WINDOW = 5
    PEER_BANDWIDTH = 6
    AUDIO = 8
    VIDEO = 9
    DATA_AMF3 = 15
    COMMAND_AMF3 = 17
    DATA = 18
    COMMAND = 20
    AGGREGATE = 22


class _State(enum.Enum):
    HANDSHAKE = enum.auto()
    CONNECTING = enum.auto()
    CONNECTED = enum.auto()
    ASKED = enum.auto()
    """Wants to publish; whether it may is being decided."""
    PUBLISHING = enum.auto()
    OVER = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishAsked:
    """The peer wants to publish: answer with `accept` or `refuse`."""

    app: str = field(repr=False)
    name: str = field(repr=False)
    """May hold the key."""
    encoder: str


@dataclass(frozen=True, slots=True)
class TagReceived:
    """A tag of the publication that was accepted."""

    kind: TagKind
    timestamp: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublishEnded:
    """The peer has ended its publication, or asked for what is not served; close the connection after sending."""

    code: str
    """`unpublished`, `play_refused`."""
    detail: str


Event = PublishAsked | TagReceived | PublishEnded


class RtmpSession:
    """Takes bytes, gives events and bytes to send.

    Args:
        random: 1528 bytes for the handshake.
    """

    def __init__(self, random: bytes) -> None:
        self._state = _State.HANDSHAKE
        self._handshake = ServerHandshake(random)
        self._reader = ChunkReader(max_message=MAX_OUTSIDE_MESSAGE, max_partial=MAX_OUTSIDE_PARTIAL)
        self._writer = ChunkWriter()
        self._out = bytearray()
        self._received = self._acknowledged = 0
        self._window = OUR_WINDOW
        self._commands = 0
        self._streams = 0
        self._stream_id = 0
        self._app = ""
        self._encoder = ""

    def data_to_send(self) -> bytes:
        """Return what is to be sent now."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes from the peer; after `accept` none, for what came behind the question.

        Raises:
            RtmpError: it does not keep to the protocol, or to a limit.
        """
        events: list[Event] = []
        if self._state is _State.OVER:
            return events
        self._received += len(data)
        if self._state is _State.HANDSHAKE:
            self._out += self._handshake.receive_data(data)
            rest = self._handshake.rest
            if rest is None:
                return events
            self._state, data = _State.CONNECTING, rest
        self._reader.add(data)
        # Whether it may publish is decided before anything behind that is looked at: some send media at once, and
        # other limits hold for it then.
        while self._state is not _State.ASKED and (message := self._reader.next()) is not None:
            self._message(message, events)
        if self._state is _State.ASKED and self._reader.waiting > MAX_UNDECIDED:
            raise RtmpError(f"more than {MAX_UNDECIDED} bytes before it was let in")
        if self._received - self._acknowledged >= self._window:
            self._acknowledged = self._received
            self._control(_Type.ACKNOWLEDGEMENT, self._received % _MODULUS)
        return events

    def accept(self) -> None:
        """Let it publish."""
        if self._state is not _State.ASKED:
            return
        self._state = _State.PUBLISHING
        self._reader.allow(max_message=MAX_MESSAGE, max_partial=MAX_PARTIAL)
        self._out += self._writer.write(
            2, _Type.USER_CONTROL, 0, bytes(2) + self._stream_id.to_bytes(4)
        )
        self._status("status", "NetStream.Publish.Start", "Publishing")

    def refuse(self, code: str, description: str) -> None:
        """Tell it that it may not, or may not any more; close the connection after sending.

        Args:
            code: As Flash names it: `NetStream.Publish.BadName`, `NetStream.Publish.Denied`.
            description: A sentence.
        """
        if self._state in {_State.ASKED, _State.PUBLISHING}:
            self._status("error", code, description)
        self._state = _State.OVER

    @property
    def held(self) -> int:
        """Bytes kept that are no whole message yet."""
        return self._reader.held

    # Messages

    def _message(self, message: Message, events: list[Event]) -> None:
        if self._state is _State.OVER:
            return
        match message.type:
            case _Type.AUDIO | _Type.VIDEO:
                self._tag(TagKind(message.type), message.stream_id, message, events)
            case _Type.COMMAND | _Type.COMMAND_AMF3:
                self._command(message, events)
            case _Type.WINDOW:
                self._window = max(MIN_WINDOW, min(int.from_bytes(message.body[:4]), OUR_WINDOW))
            case _Type.USER_CONTROL:
                self._user_control(message.body)
            case _Type.AGGREGATE:
                self._aggregate(message, events)
            case _:
                # Acknowledgements, metadata, shared objects: nothing is to be done about them.
                pass

    def _tag(self, kind: TagKind, stream_id: int, message: Message, events: list[Event]) -> None:
        if self._state is _State.PUBLISHING and stream_id == self._stream_id and message.body:
            events.append(TagReceived(kind, message.timestamp, message.body))

    def _aggregate(self, message: Message, events: list[Event]) -> None:
        """Take apart several tags in one message, as FLV has them (7.1.6)."""
        body, position, base = message.body, 0, None
        while position + _FLV_HEADER <= len(body):
            kind, size = body[position], int.from_bytes(body[position + 1 : position + 4])
            stamp = int.from_bytes(body[position + 4 : position + 7]) | body[position + 7] << 24
            base = stamp if base is None else base
            start = position + _FLV_HEADER
            position = start + size + _FLV_TRAILER
            if start + size > len(body):
                raise RtmpError("an aggregate message ends inside a tag")
            if kind in {TagKind.AUDIO, TagKind.VIDEO}:
                at = (message.timestamp + stamp - base) % _MODULUS
                part = Message(kind, message.stream_id, at, body[start : start + size])
                self._tag(TagKind(kind), message.stream_id, part, events)

    def _user_control(self, body: bytes) -> None:
        if len(body) >= 6 and int.from_bytes(body[:2]) == 6:
            # Ping request: answered with its own time.
            self._out += self._writer.write(2, _Type.USER_CONTROL, 0, b"\x00\x07" + body[2:6])

    def _command(self, message: Message, events: list[Event]) -> None:
        body = message.body
        if len(body) > MAX_COMMAND:
            raise RtmpError(f"a command of {len(body)} bytes")
        if self._state is not _State.PUBLISHING:
            self._commands += 1
            if self._commands > MAX_COMMANDS:
                raise RtmpError(f"more than {MAX_COMMANDS} commands and no media")
        if message.type == _Type.COMMAND_AMF3 and body[:1] == b"\x00":
            body = body[1:]
        values = decode_values(body)
        name = values[0] if values else None
        number = values[1] if len(values) > 1 else None
        if not isinstance(name, str) or not isinstance(number, float):
            raise RtmpError("a command without name or number")
        self._do(name, number, values[2:], message.stream_id, events)

    # Commands

    def _do(
        self,
        name: str,
        number: float,
        arguments: Sequence[AmfValue],
        stream_id: int,
        events: list[Event],
    ) -> None:
        if name == "connect" and self._state is _State.CONNECTING:
            self._connect(number, arguments)
        elif self._state is _State.CONNECTING:
            raise RtmpError(f"{name[:40]} before connect")
        elif name == "createStream":
            self._create_stream(number)
        elif name == "publish":
            self._publish(arguments, stream_id, events)
        elif name in {"play", "play2"}:
            self._stream_id = stream_id
            self._status("error", "NetStream.Play.Failed", "Nothing is played here, only published")
            self._over(
                "play_refused", "It asked to play; this server only takes publishers", events
            )
        elif name in {"FCUnpublish", "deleteStream", "closeStream"}:
            if self._state is _State.PUBLISHING:
                self._over("unpublished", f"The publisher ended with {name}", events)
        elif name in {"releaseStream", "FCPublish"}:
            self._reply("_result", number, None, None)
        # Anything else, such as _checkbw, nobody waits for.

    def _connect(self, number: float, arguments: Sequence[AmfValue]) -> None:
        wanted = arguments[0] if arguments else None
        if not isinstance(wanted, Mapping):
            raise RtmpError("connect without an object")
        self._app = _text(wanted.get("app"))
        self._encoder = _text(wanted.get("flashVer"))[:MAX_TEXT]
        self._state = _State.CONNECTED
        self._control(_Type.WINDOW, OUR_WINDOW)
        self._out += self._writer.write(
            2, _Type.PEER_BANDWIDTH, 0, OUR_WINDOW.to_bytes(4) + b"\x02"
        )
        self._out += self._writer.resize(OUR_CHUNK_SIZE)
        self._reply(
            "_result",
            number,
            {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0},
            {
                "level": "status",
                "code": "NetConnection.Connect.Success",
                "description": "Connected",
                "objectEncoding": 0.0,
            },
        )

    def _create_stream(self, number: float) -> None:
        self._streams += 1
        if self._streams > MAX_STREAMS:
            raise RtmpError(f"more than {MAX_STREAMS} streams")
        self._reply("_result", number, None, float(self._streams))

    def _publish(self, arguments: Sequence[AmfValue], stream_id: int, events: list[Event]) -> None:
        match self._state:
            case _State.CONNECTED:
                pass
            case _State.ASKED | _State.PUBLISHING:
                raise RtmpError("a second publish on one connection")
            case _State.HANDSHAKE | _State.CONNECTING | _State.OVER:
                return
            case _:
                assert_never(self._state)
        if not 1 <= stream_id <= self._streams:
            raise RtmpError(f"publish on stream {stream_id}, which was not created")
        name = arguments[1] if len(arguments) > 1 else None
        self._stream_id = stream_id
        self._state = _State.ASKED
        events.append(PublishAsked(app=self._app, name=_text(name), encoder=self._encoder))

    def _over(self, code: str, detail: str, events: list[Event]) -> None:
        if code == "unpublished":
            self._status("status", "NetStream.Unpublish.Success", "Ended")
        self._state = _State.OVER
        events.append(PublishEnded(code, detail))

    # Sending

    def _control(self, kind: _Type, value: int) -> None:
        self._out += self._writer.write(2, kind, 0, value.to_bytes(4))

    def _reply(self, name: str, number: float, *values: AmfValue) -> None:
        self._out += self._writer.write(3, _Type.COMMAND, 0, encode_values(name, number, *values))

    def _status(self, level: str, code: str, description: str) -> None:
        info = {"level": level, "code": code, "description": description}
        self._out += self._writer.write(
            5, _Type.COMMAND, self._stream_id, encode_values("onStatus", 0.0, None, info)
        )


def _text(value: AmfValue) -> str:
    return value if isinstance(value, str) else ""
