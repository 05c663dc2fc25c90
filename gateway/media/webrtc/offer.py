"""SDP offers of WebRTC viewers, read strictly (RFC 8866, RFC 8829 5, RFC 8839, RFC 8842, RFC 8843)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.domain.webrtc import OfferInvalid

__all__ = [
    "MAX_OFFER",
    "MediaSection",
    "Offer",
    "PayloadFormat",
    "parse_fragment",
    "parse_offer",
]

MAX_OFFER = 64 * 1024
"""Bytes; Chromium's offer of one picture and one sound with all its codecs has 7 KB."""
MAX_LINES = 2_000
MAX_SECTIONS = 16
"""m= lines; a viewer needs two."""
MAX_FORMATS = 128
"""Payload types of one m= line: there are no more."""
MAX_FINGERPRINTS = 8
DIGESTS = frozenset({"sha-256", "sha-384", "sha-512"})

_LINE = re.compile(r"[a-z]=[^\x00-\x08\x0a-\x1f\x7f]*")
_MEDIA = re.compile(r"(\w{1,32}) (\d{1,5})(?:/\d{1,5})? ([\w/]{1,64}) (.{1,1000})")
_RTPMAP = re.compile(r"(\d{1,3}) ([\w.+-]{1,64})/(\d{1,9})(?:/(\d{1,2}))?")
_FMTP = re.compile(r"(\d{1,3}) (.{1,1000})")
_FINGERPRINT = re.compile(r"([\w-]{1,16}) ([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){15,63})")
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_MID = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,64}")
_SHAPES = {
    "mid": (_MID, "a token of up to 64 characters"),
    "ice-ufrag": (_UFRAG, "4 to 256 letters and digits"),
    "ice-pwd": (_PASSWORD, "22 to 256 letters and digits"),
}
_DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
_PROTOCOLS = frozenset({"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF"})
_STATIC = {0: ("PCMU", 8000), 8: ("PCMA", 8000)}


@dataclass(slots=True, kw_only=True)
class PayloadFormat:
    """One payload type of an m= line."""

    payload_type: int
    encoding: str
    """As rtpmap names it, in upper case."""
    clock_rate: int
    channels: int = 1
    fmtp: str = ""

    def parameter(self, name: str) -> str | None:
        """Return a format parameter; names are compared without case."""
        for part in self.fmtp.split(";"):
            key, _, value = part.strip().partition("=")
            if key.lower() == name:
                return value.strip()
        return None


@dataclass(slots=True, kw_only=True)
class MediaSection:
    """One m= line and what stands below it."""

    kind: str
    protocol: str
    port: int
    line: str
    """The formats as they were written, to repeat when it is refused."""
    mid: str = ""
    direction: str = "sendrecv"
    rtcp_mux: bool = False
    bundle_only: bool = False
    """Whether its port is 0 because it takes the transport of another m= line (RFC 8843 6)."""
    formats: list[PayloadFormat] = field(default_factory=list)
    ufrag: str = ""
    password: str = ""
    setup: str = ""
    fingerprints: list[tuple[str, str]] = field(default_factory=list)
    """(digest, bytes in upper-case hex with colons)."""

    @property
    def wants_media(self) -> bool:
        """Whether it asks to receive RTP in a way that we can send it."""
        return (
            self.kind in {"audio", "video"}
            and self.protocol in _PROTOCOLS
            and self.direction in {"sendrecv", "recvonly"}
            and self.rtcp_mux
            and (self.port > 0 or self.bundle_only)
            and self.setup in {"actpass", "active"}
            and bool(self.ufrag and self.password and self.fingerprints)
        )


@dataclass(slots=True, kw_only=True)
class Offer:
    """A whole offer."""

    sections: list[MediaSection]
    bundle: tuple[str, ...] = ()
    """mids that may share one transport."""
    ice_lite: bool = False


def parse_offer(data: bytes) -> Offer:
    """Read an offer.

    Raises:
        OfferInvalid: `offer_invalid`; says what is wrong.
    """
    lines = list(_lines(data))
    if not lines or lines[0] != ("v", "0"):
        raise _invalid("expected v=0 in the first line")
    session = MediaSection(kind="", protocol="", port=0, line="")
    offer = Offer(sections=[])
    at = session
    for kind, value in lines[1:]:
        if kind == "m":
            at = _section(value)
            offer.sections.append(at)
            if len(offer.sections) > MAX_SECTIONS:
                raise _invalid(f"more than {MAX_SECTIONS} m= lines")
        elif kind == "a":
            name, _, rest = value.partition(":")
            if at is session and name == "ice-lite":
                offer.ice_lite = True
            elif at is session and name == "group":
                words = rest.split()
                if words[:1] == ["BUNDLE"]:
                    offer.bundle = tuple(words[1 : MAX_SECTIONS + 1])
            else:
                _attribute(at, name, rest)
    _inherit(offer.sections, session)
    _check(offer)
    return offer


def parse_fragment(data: bytes) -> str:
    """Return the ICE user name of a trickled fragment (RFC 8840 9); empty if it has none.

    Raises:
        OfferInvalid: `offer_invalid`.
    """
    for kind, value in _lines(data):
        name, _, rest = value.partition(":")
        if kind == "a" and name == "ice-ufrag":
            if not _UFRAG.fullmatch(rest):
                raise _invalid("ice-ufrag is not 4 to 256 letters and digits")
            return rest
    return ""


def _lines(data: bytes) -> Iterator[tuple[str, str]]:
    if len(data) > MAX_OFFER:
        raise _invalid(f"it is longer than {MAX_OFFER} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _invalid("it is not UTF-8") from None
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > MAX_LINES:
        raise _invalid(f"more than {MAX_LINES} lines")
    for number, line in enumerate(lines, 1):
        if not _LINE.fullmatch(line):
            raise _invalid(f"line {number} is not of the form x=value")
        yield line[0], line[2:]


def _section(value: str) -> MediaSection:
    match = _MEDIA.fullmatch(value)
    if match is None or int(match[2]) > 65_535:
        raise _invalid(f"m={value[:80]} is not an m= line")
    section = MediaSection(kind=match[1], protocol=match[3], port=int(match[2]), line=match[4])
    if section.kind not in {"audio", "video"}:
        return section
    words = match[4].split()
    if len(words) > MAX_FORMATS:
        raise _invalid(f"more than {MAX_FORMATS} payload types in one m= line")
    for word in words:
        if not word.isascii() or not word.isdigit() or int(word) > 127:
            raise _invalid(f"{word[:20]} is not a payload type")
        number = int(word)
        encoding, rate = _STATIC.get(number, ("", 0))
        section.formats.append(
            PayloadFormat(payload_type=number, encoding=encoding, clock_rate=rate)
        )
    return section


def _attribute(section: MediaSection, name: str, value: str) -> None:
    if name in _DIRECTIONS:
        section.direction = name
        return
    shape = _SHAPES.get(name)
    if shape is not None and not shape[0].fullmatch(value):
        raise _invalid(f"{name} is not {shape[1]}")
    match name:
        case "mid":
            section.mid = value
        case "rtpmap" | "fmtp":
            _describe(section, name, value)
        case "rtcp-mux" | "bundle-only":
            setattr(section, name.replace("-", "_"), True)
        case "ice-ufrag":
            section.ufrag = value
        case "ice-pwd":
            section.password = value
        case "setup":
            section.setup = value
        case "fingerprint":
            _fingerprint(section, value)
        case _:
            pass  # what we need not know


def _describe(section: MediaSection, name: str, value: str) -> None:
    match = (_RTPMAP if name == "rtpmap" else _FMTP).fullmatch(value)
    if section.kind not in {"audio", "video"}:
        return
    if match is None:
        raise _invalid(f"a={name}:{value[:80]} cannot be read")
    number = int(match[1])
    found = next((item for item in section.formats if item.payload_type == number), None)
    if found is None:
        return
    if name == "fmtp":
        found.fmtp = match[2]
    else:
        found.encoding, found.clock_rate = match[2].upper(), int(match[3])
        found.channels = int(match[4] or 1)


def _fingerprint(section: MediaSection, value: str) -> None:
    match = _FINGERPRINT.fullmatch(value)
    if match is None:
        raise _invalid("fingerprint is not a digest and its bytes")
    # Others than these are read over: at least one must be left (RFC 8122 5).
    if match[1].lower() in DIGESTS and len(section.fingerprints) < MAX_FINGERPRINTS:
        section.fingerprints.append((match[1].lower(), match[2].upper()))


def _inherit(sections: list[MediaSection], session: MediaSection) -> None:
    for section in sections:
        section.ufrag = section.ufrag or session.ufrag
        section.password = section.password or session.password
        section.setup = section.setup or session.setup
        section.fingerprints = section.fingerprints or session.fingerprints


def _check(offer: Offer) -> None:
    if offer.ice_lite:
        raise _invalid("the viewer is ice-lite as we are: one of us must make connectivity checks")
    mids = [section.mid for section in offer.sections if section.mid]
    if len(set(mids)) != len(mids):
        raise _invalid("two m= lines have the same mid")
    if any(section.wants_media for section in offer.sections):
        return
    media = [section for section in offer.sections if section.kind in {"audio", "video"}]
    if not media:
        raise _invalid("it has no m= line of video or audio")
    section = media[0]
    missing = [
        words
        for words, there in (
            ("protocol UDP/TLS/RTP/SAVPF", section.protocol in _PROTOCOLS),
            ("a=recvonly or a=sendrecv", section.direction in {"sendrecv", "recvonly"}),
            ("a=rtcp-mux", section.rtcp_mux),
            ("a port", section.port > 0 or section.bundle_only),
            ("a=setup:actpass", section.setup in {"actpass", "active"}),
            ("a=ice-ufrag and a=ice-pwd", bool(section.ufrag and section.password)),
            ("a=fingerprint with sha-256", bool(section.fingerprints)),
        )
        if not there
    ]
    raise _invalid(f"m={section.kind} lacks {', '.join(missing)}")


def _invalid(words: str) -> OfferInvalid:
    return OfferInvalid("offer_invalid", f"The SDP offer cannot be used: {words}")
