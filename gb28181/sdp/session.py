"""Session description (RFC 4566; GB/T 28181-2022 Annex G, 2011-2016 Annex F).

Sent in the order the standard fixes, ``v o s u c t m c b a y f``; read in any order, with unknown
letters kept, since neither ``y=`` nor ``f=`` is legal SDP and devices leave out what they like.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from gb28181.errors import LocalProtocolError, SdpError
from gb28181.limits import MAX_SDP_BYTES, MAX_SDP_LINES, MAX_SDP_MEDIA, MAX_SDP_PAYLOADS

__all__ = ["SdpMedia", "SdpOrigin", "SdpSession", "format_ssrc", "parse", "serialize"]

Attribute = tuple[str, str | None]

MAX_SSRC: Final = 0xFFFF_FFFF
_LINE_END: Final = re.compile(r"[\r\n]+")
_HOST: Final = re.compile(r"[0-9A-Za-z._:%\[\]-]{1,255}")
# What a value may not contain when we send it: it would end the line or hide text.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DIRECTIONS: Final = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
_PAYLOAD_RANGE: Final = range(128)


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpOrigin:
    """The ``o=`` line; in GB the user name is the identifier of the machine that wrote the SDP."""

    username: str = "-"
    session_id: str = "0"
    version: str = "0"
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpMedia:
    """An ``m=`` line and what follows it."""

    kind: str
    """`video` or `audio`; `video` may carry both."""
    port: int
    proto: str
    """`RTP/AVP` or `TCP/RTP/AVP`, upper case."""
    payloads: tuple[int, ...] = ()
    host: str | None = None
    """Address of the ``c=`` line inside this section."""
    attributes: tuple[Attribute, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()
    """Lines of other letters (`b`, `i`, `k`, unknown), in order."""

    def attribute(self, name: str) -> str | None:
        """Return the first value of an attribute, `""` for a flag, None when it is absent."""
        return _attribute(self.attributes, name)

    @property
    def rtpmap(self) -> dict[int, str]:
        """Encodings by payload type as sent, e.g. ``{96: "PS/90000"}``; the first one wins."""
        found: dict[int, str] = {}
        for name, value in self.attributes:
            if name.lower() != "rtpmap" or value is None or len(found) >= MAX_SDP_PAYLOADS:
                continue
            number, _, encoding = value.partition(" ")
            payload = _decimal(number.strip())
            if payload in _PAYLOAD_RANGE and encoding.strip():
                found.setdefault(payload, encoding.strip())
        return found

    @property
    def setup(self) -> str | None:
        """Value of ``a=setup`` in lower case (RFC 4145)."""
        value = self.attribute("setup")
        return value.lower() if value else None

    @property
    def connection_attr(self) -> str | None:
        """Value of ``a=connection`` in lower case (RFC 4145)."""
        value = self.attribute("connection")
        return value.lower() if value else None

    @property
    def direction(self) -> str | None:
        """`sendrecv`, `sendonly`, `recvonly` or `inactive`; None when none is given."""
        for name, _ in self.attributes:
            if name.lower() in _DIRECTIONS:
                return name.lower()
        return None

    @property
    def is_tcp(self) -> bool:
        """Whether the transport protocol named is TCP."""
        return self.proto.startswith("TCP")


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpSession:
    """A session description."""

    origin: SdpOrigin | None = None
    name: str = ""
    """The ``s=`` line: `Play`, `Playback`, `Download`, `Talk`; answers carry anything."""
    uri: str | None = None
    connection: str | None = None
    """Address of the ``c=`` line of the session."""
    time: tuple[int, int] = (0, 0)
    """The ``t=`` line in UNIX seconds (GB Annex G; not NTP as in RFC 4566 5.9)."""
    attributes: tuple[Attribute, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()
    """Lines of other letters before the first ``m=``, in order."""
    media: tuple[SdpMedia, ...] = ()
    ssrc: int | None = None
    """The ``y=`` line as a number; None when it is absent or not a number of 32 bits."""
    f: str | None = None

    def attribute(self, name: str) -> str | None:
        """Return an attribute of the first medium, or else of the session."""
        for media in self.media[:1]:
            value = media.attribute(name)
            if value is not None:
                return value
        return _attribute(self.attributes, name)

    def host_of(self, media: SdpMedia) -> str:
        """Return the address for a medium: its own ``c=``, the session's, ``o=``, or `""`."""
        return media.host or self.connection or (self.origin.host if self.origin else "")


def format_ssrc(ssrc: int) -> str:
    """Return the ten decimal digits of an SSRC as ``y=`` and Subject carry them."""
    return f"{ssrc:010d}"


def parse(data: bytes) -> SdpSession:
    """Read a session description, however loosely written.

    Raises:
        SdpError: It is too large, has no SDP line at all, or an unusable ``m=`` line.
    """
    if len(data) > MAX_SDP_BYTES:
        raise SdpError(f"SDP of {len(data)} bytes exceeds {MAX_SDP_BYTES}", status=413)
    lines = [line.strip(" \t\x00") for line in _LINE_END.split(_decode(data))]
    lines = [line for line in lines if line]
    if len(lines) > MAX_SDP_LINES:
        raise SdpError(f"SDP of {len(lines)} lines exceeds {MAX_SDP_LINES}", status=413)
    reader = _Reader()
    for line in lines:
        if len(line) >= 2 and line[1] == "=" and line[0].isascii() and line[0].isalpha():
            reader.receive_line(line[0].lower(), _clean(line[2:]))
    return reader.session()


def serialize(session: SdpSession) -> bytes:
    """Write a session description in the order the standard fixes.

    Raises:
        LocalProtocolError: A value holds a control character or a number is out of range.
    """
    origin = session.origin
    lines = [("v", "0")]
    if origin is not None:
        host = _address(origin.host)
        lines.append(("o", f"{origin.username} {origin.session_id} {origin.version} {host}"))
    lines.append(("s", session.name or "-"))
    if session.uri is not None:
        lines.append(("u", session.uri))
    if session.connection is not None:
        lines.append(("c", _address(session.connection)))
    lines.append(("t", f"{session.time[0]} {session.time[1]}"))
    lines += session.extra
    lines += [("a", _attribute_text(item)) for item in session.attributes]
    for media in session.media:
        lines += _media_lines(media)
    if session.ssrc is not None:
        if not 0 <= session.ssrc <= MAX_SSRC:
            raise LocalProtocolError(f"SSRC {session.ssrc} is not a number of 32 bits")
        lines.append(("y", format_ssrc(session.ssrc)))
    if session.f is not None:
        lines.append(("f", session.f))
    for letter, value in lines:
        if _CONTROL.search(value):
            raise LocalProtocolError(f"SDP line {letter}={value[:64]!r} holds a control character")
    return "".join(f"{letter}={value}\r\n" for letter, value in lines).encode("utf-8")


def _decode(data: bytes) -> str:
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError:
        # Session names of devices are written in the charset of their XML.
        return data.decode("gb18030", "replace")


def _clean(value: str) -> str:
    return _CONTROL.sub("", value.replace("\t", " ")).strip()


def _decimal(text: str) -> int:
    """Return a number of at most ten ASCII digits, or -1."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else -1


def _attribute(attributes: tuple[Attribute, ...], name: str) -> str | None:
    wanted = name.lower()
    for key, value in attributes:
        if key.lower() == wanted:
            return value or ""
    return None


def _attribute_text(item: Attribute) -> str:
    name, value = item
    return name if value is None else f"{name}:{value}"


def _address(host: str) -> str:
    return f"IN {'IP6' if ':' in host else 'IP4'} {host}"


def _media_lines(media: SdpMedia) -> list[tuple[str, str]]:
    payloads = "".join(f" {payload}" for payload in media.payloads)
    lines = [("m", f"{media.kind} {media.port} {media.proto}{payloads}")]
    if media.host is not None:
        lines.append(("c", _address(media.host)))
    lines += media.extra
    lines += [("a", _attribute_text(item)) for item in media.attributes]
    return lines


class _Reader:
    def __init__(self) -> None:
        self._session = SdpSession()
        self._media: list[SdpMedia] = []
        self._attributes: list[Attribute] = []
        self._extra: list[tuple[str, str]] = []
        self._host: str | None = None
        self._lines = 0

    def receive_line(self, letter: str, value: str) -> None:
        self._lines += 1
        handler = _HANDLERS.get(letter)
        if handler is not None:
            handler(self, value)
        else:
            self._extra.append((letter, value))

    def session(self) -> SdpSession:
        if not self._lines:
            raise SdpError("expected SDP lines such as v=0, found none")
        self._close_section()
        return replace(self._session, media=tuple(self._media))

    def _close_section(self) -> None:
        attributes, extra = tuple(self._attributes), tuple(self._extra)
        if self._media:
            self._media[-1] = replace(
                self._media[-1], host=self._host, attributes=attributes, extra=extra
            )
        else:
            self._session = replace(
                self._session, connection=self._host, attributes=attributes, extra=extra
            )
        self._attributes, self._extra, self._host = [], [], None

    def on_version(self, value: str) -> None:
        """Any version is read as 0."""

    def on_origin(self, value: str) -> None:
        parts = value.split()
        if not parts:
            return
        host = parts[5] if len(parts) > 5 and _HOST.fullmatch(parts[5]) else ""
        self._session = replace(
            self._session,
            origin=SdpOrigin(
                username=parts[0],
                session_id=parts[1] if len(parts) > 1 else "0",
                version=parts[2] if len(parts) > 2 else "0",
                host=host,
            ),
        )

    def on_name(self, value: str) -> None:
        self._session = replace(self._session, name="" if value == "-" else value)

    def on_uri(self, value: str) -> None:
        self._session = replace(self._session, uri=value or None)

    def on_connection(self, value: str) -> None:
        parts = value.split()
        host = parts[-1].partition("/")[0] if parts else ""
        if len(parts) >= 3 and _HOST.fullmatch(host):
            self._host = host

    def on_time(self, value: str) -> None:
        parts = [_decimal(part) for part in value.split()[:2]]
        if len(parts) == 2 and min(parts) >= 0:
            self._session = replace(self._session, time=(parts[0], parts[1]))

    def on_media(self, value: str) -> None:
        parts = value.split()
        port = _decimal(parts[1].partition("/")[0]) if len(parts) > 1 else -1
        if not 0 <= port <= 65_535:
            raise SdpError(f"expected m=<media> <port> <proto>, got m={value[:100]}")
        if len(self._media) >= MAX_SDP_MEDIA:
            raise SdpError(f"SDP has more than {MAX_SDP_MEDIA} m= lines", status=413)
        self._close_section()
        payloads = [_decimal(part) for part in parts[3:]]
        known = [payload for payload in payloads if payload in _PAYLOAD_RANGE]
        self._media.append(
            SdpMedia(
                kind=parts[0].lower(),
                port=port,
                proto=parts[2].upper() if len(parts) > 2 else "RTP/AVP",
                payloads=tuple(dict.fromkeys(known[:MAX_SDP_PAYLOADS])),
            )
        )

    def on_attribute(self, value: str) -> None:
        name, colon, text = value.partition(":")
        if name.strip():
            self._attributes.append((name.strip(), text.strip() if colon else None))

    def on_ssrc(self, value: str) -> None:
        # Nine digits are printed in the standard's own examples, so it is read as a number.
        ssrc = _decimal(value)
        if 0 <= ssrc <= MAX_SSRC:
            self._session = replace(self._session, ssrc=ssrc)

    def on_format(self, value: str) -> None:
        self._session = replace(self._session, f=value or None)


_HANDLERS: Final = {
    "v": _Reader.on_version,
    "o": _Reader.on_origin,
    "s": _Reader.on_name,
    "u": _Reader.on_uri,
    "c": _Reader.on_connection,
    "t": _Reader.on_time,
    "m": _Reader.on_media,
    "a": _Reader.on_attribute,
    "y": _Reader.on_ssrc,
    "f": _Reader.on_format,
}
