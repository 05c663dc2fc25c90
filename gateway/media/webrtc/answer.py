"""SDP answers: which of the viewer's codecs carry the stream, and how to reach us (RFC 8829 5.3.1, RFC 8839 ice-lite)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.domain.rtp_out import RtpTrack
from gateway.domain.webrtc import CodecNotSupported
from gateway.media.webrtc.offer import MediaSection, Offer, PayloadFormat
from gateway.media.webrtc.order import REORDERED

__all__ = [
    "AnswerSide",
    "Choice",
    "Selection",
    "build_answer",
    "check_codecs",
    "select",
    "transport_section",
]

OPUS = "OPUS"
_H264_NAMES = {0x42: "Baseline", 0x4D: "Main", 0x58: "Extended", 0x64: "High"}
_WORDS = {"h264": "H.264", "hevc": "H.265", "aac": "AAC", "pcm_alaw": "G.711 A", "pcm_mulaw": "G.711 U"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A track, the m= line that carries it and its payload type there."""

    section: MediaSection
    track: int
    """Position among the stream's tracks."""
    format: PayloadFormat
    transcoded: bool = False
    """Whether it is Opus made here, not the stream's own sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a viewer gets."""

    video: Choice
    audio: Choice | None = None
    remark: str = ""
    """What it does not get, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSide:
    """What we say of ourselves."""

    ufrag: str
    password: str
    fingerprint: str
    """SHA-256 of our certificate, upper-case hex with colons."""
    candidates: Sequence[tuple[str, int]]
    """Addresses and port."""
    session: int
    """Number in the o= line."""
    ssrcs: dict[str, int] = field(default_factory=dict)
    """By kind: `video`, `audio`."""
    cname: str = ""


def check_codecs(offer: Offer) -> None:
    """Refuse an offer to which no stream could be sent.

    Raises:
        CodecNotSupported: `codec_not_supported`.
    """
    formats = [item for section in _video_sections(offer) for item in section.formats]
    if not any(_is_h264(item) or item.encoding == "H265" for item in formats):
        names = sorted({item.encoding for item in formats if item.encoding})
        raise CodecNotSupported(
            "codec_not_supported",
            "Cameras send H.264 or H.265; the offer has "
            + (f"only {', '.join(names)[:200]}" if names else "no video to receive"),
        )


def select(offer: Offer, tracks: Sequence[RtpTrack], *, reordered: bool = False) -> Selection:
    """Choose payload types for a stream's tracks.

    Args:
        offer: Of the viewer.
        tracks: Of the stream.
        reordered: Whether its pictures were seen to come in another order than they are shown.

    Raises:
        CodecNotSupported: `codec_not_supported`: the viewer cannot decode the stream's pictures.
    """
    at, track = next((at, track) for at, track in enumerate(tracks) if track.kind == "video")
    video = _choose_video(offer, at, track)
    if video is None:
        profile = _profile_words(track)
        raise CodecNotSupported(
            "codec_not_supported",
            f"The camera sends {_WORDS.get(track.codec, track.codec)}{profile}, which this viewer's WebRTC offer "
            "does not have; use the fMP4 or HLS address instead",
        )
    if reordered or track.reordered:
        raise CodecNotSupported("codec_not_supported", REORDERED)
    found = next(((at, track) for at, track in enumerate(tracks) if track.kind == "audio"), None)
    if found is None:
        return Selection(video=video)
    at, track = found
    audio = _choose_audio(offer, video.section, at, track)
    if audio is not None:
        return Selection(video=video, audio=audio)
    words = _WORDS.get(track.codec, track.codec)
    wanted = any(section.kind == "audio" and section.wants_media for section in offer.sections)
    remark = f"no sound: the offer takes no codec for the camera's {words}" if wanted else ""
    return Selection(video=video, remark=remark)


def build_answer(offer: Offer, selection: Selection, side: AnswerSide) -> str:
    """Return the answer: sendonly, passive, ice-lite, all candidates at once."""
    chosen = {id(selection.video.section): selection.video}
    if selection.audio is not None:
        chosen[id(selection.audio.section)] = selection.audio
    # What the viewer did not bundle must not be bundled by us (RFC 8843 7.3).
    mids = [
        section.mid
        for section in offer.sections
        if id(section) in chosen and section.mid in offer.bundle
    ]
    lines = [
        "v=0",
        f"o=- {side.session} 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=msid-semantic: WMS gateway",
    ]
    if mids:
        lines.append(f"a=group:BUNDLE {' '.join(mids)}")
    for section in offer.sections:
        choice = chosen.get(id(section))
        lines += _refused(section) if choice is None else _accepted(choice, side)
    return "\r\n".join(lines) + "\r\n"


def transport_section(offer: Offer, selection: Selection) -> MediaSection:
    """Return the m= line whose ICE and DTLS values count: the first that is accepted (RFC 8843 7.3.3)."""
    accepted = {id(selection.video.section)}
    if selection.audio is not None:
        accepted.add(id(selection.audio.section))
    return next(section for section in offer.sections if id(section) in accepted)


def _video_sections(offer: Offer) -> list[MediaSection]:
    return [item for item in offer.sections if item.kind == "video" and item.wants_media]


def _choose_video(offer: Offer, at: int, track: RtpTrack) -> Choice | None:
    best: tuple[int, Choice] | None = None
    for section in _video_sections(offer):
        for item in section.formats:
            if track.codec == "h264" and _is_h264(item):
                score = _h264_score(_profile_of(track.fmtp), _profile_of(item.fmtp))
            elif track.codec == "hevc" and item.encoding == "H265":
                score = 1
            else:
                continue
            # The first of the best: viewers name what they like most first.
            if best is None or score > best[0]:
                best = score, Choice(section=section, track=at, format=item)
        if best is not None:
            break
    return None if best is None else best[1]


def _choose_audio(offer: Offer, video: MediaSection, at: int, track: RtpTrack) -> Choice | None:
    for section in offer.sections:
        if section.kind != "audio" or not section.wants_media:
            continue
        # Pictures and sound share one transport, or there is no sound.
        if not {section.mid, video.mid} <= set(offer.bundle):
            continue
        for item in section.formats:
            if (
                item.encoding == track.encoding.upper()
                and item.clock_rate == track.clock_rate
                and track.codec != "aac"
            ):
                return Choice(section=section, track=at, format=item)
        for item in section.formats:
            if track.codec == "aac" and item.encoding == OPUS and item.clock_rate == 48_000:
                return Choice(section=section, track=at, format=item, transcoded=True)
    return None


def _is_h264(item: PayloadFormat) -> bool:
    return (
        item.encoding == "H264"
        and item.clock_rate == 90_000
        and item.parameter("packetization-mode") == "1"
    )


def _profile_of(fmtp: str) -> tuple[int, int]:
    """Return profile_idc and constraint flags; Baseline if it is not said (RFC 6184 8.1)."""
    value = PayloadFormat(payload_type=0, encoding="", clock_rate=0, fmtp=fmtp).parameter(
        "profile-level-id"
    )
    try:
        number = int(value or "42000a", 16)
    except ValueError:
        number = 0x42000A
    return number >> 16 & 0xFF, number >> 8 & 0xFF


def _h264_score(stream: tuple[int, int], offered: tuple[int, int]) -> int:
    """Rank an offered profile for a stream: the same, one that includes it, any other.

    Browsers decode more than they offer: Firefox offers Constrained Baseline only and plays High.
    """
    if stream == offered:
        return 4
    if stream[0] == offered[0]:
        return 3
    return 2 if offered[0] > stream[0] else 1


def _profile_words(track: RtpTrack) -> str:
    if track.codec != "h264":
        return ""
    name = _H264_NAMES.get(_profile_of(track.fmtp)[0])
    return f" {name}" if name else ""


def _refused(section: MediaSection) -> list[str]:
    lines = [f"m={section.kind} 0 {section.protocol} {section.line}", "c=IN IP4 0.0.0.0"]
    if section.mid:
        lines.append(f"a=mid:{section.mid}")
    return [*lines, "a=inactive"]


def _accepted(choice: Choice, side: AnswerSide) -> list[str]:
    section, item = choice.section, choice.format
    number = item.payload_type
    name = item.encoding if item.encoding != OPUS else "opus"
    channels = f"/{item.channels}" if item.channels > 1 else ""
    lines = [
        f"m={section.kind} 9 {section.protocol} {number}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
    ]
    if section.mid:
        lines.append(f"a=mid:{section.mid}")
    lines += [
        "a=sendonly",
        "a=rtcp-mux",
        f"a=ice-ufrag:{side.ufrag}",
        f"a=ice-pwd:{side.password}",
        f"a=fingerprint:sha-256 {side.fingerprint}",
        "a=setup:passive",
        f"a=rtpmap:{number} {name}/{item.clock_rate}{channels}",
    ]
    if section.kind == "video":
        lines += [f"a=rtcp-fb:{number} {what}" for what in ("nack", "nack pli", "ccm fir")]
    if item.fmtp:
        lines.append(f"a=fmtp:{number} {item.fmtp}")
    if (ssrc := side.ssrcs.get(section.kind)) is not None:
        lines += [
            f"a=msid:gateway {section.kind}",
            f"a=ssrc:{ssrc} cname:{side.cname}",
            f"a=ssrc:{ssrc} msid:gateway {section.kind}",
        ]
    lines += [_candidate(at, host, port) for at, (host, port) in enumerate(side.candidates)]
    return [*lines, "a=end-of-candidates"]


def _candidate(at: int, host: str, port: int) -> str:
    # RFC 8445 5.1.2.1: type 126 is host, the order of the addresses decides among them.
    priority = 126 << 24 | (65_535 - at) << 8 | 255
    return f"a=candidate:{at + 1} 1 udp {priority} {host} {port} typ host"
