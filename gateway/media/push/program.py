"""The targets that the program `ffmpeg` sends to: SRT, which the FFmpeg in PyAV cannot, and RTMP by TLS.

PyAV opens an RTMP target without options, and FFmpeg then takes any certificate; the program can be told to verify it.

What is secret is no argument, for everybody on the machine can read those: it is in a preset, a list of `name=value` for
`-fpre`, which the program reads from a file descriptor.
"""

from urllib.parse import SplitResult, unquote, urlsplit

from gateway.domain.push import PushKind, PushSpec
from gateway.media.tls import tls_options

__all__ = ["PROGRAM_KINDS", "program_arguments"]

PROGRAM_KINDS = frozenset({PushKind.SRT, PushKind.RTMPS})
MAX_PRESET_VALUE = 900
"""Bytes of a value in a preset: FFmpeg reads lines of up to 1,000."""
_SECRET_FIELDS = {"passphrase": "passphrase", "streamid": "streamid", "srt_streamid": "streamid"}
"""Options that may stand in the query of an SRT URL and are nobody's business, by their names there."""


def program_arguments(spec: PushSpec, preset: str) -> tuple[list[str], bytes]:
    """Return the arguments of the program and what must be in its preset.

    Args:
        spec: The target, of a kind in `PROGRAM_KINDS`.
        preset: Path of the preset.
    """
    parts = urlsplit(spec.url)
    if spec.kind is PushKind.SRT:
        url, options = _srt(parts)
        muxer = ["mpegts"]
    else:
        url, options = _rtmp(parts)
        options |= tls_options(verify=spec.tls_verify)
        muxer = ["flv", "-flvflags", "no_duration_filesize"]
    lines = "".join(f"{name}={value}\n" for name, value in options.items())
    arguments = [
        *("-hide_banner", "-loglevel", "error", "-nostats", "-progress", "pipe:1"),
        *("-probesize", "32", "-analyzeduration", "0", "-f", "mp4", "-i", "pipe:0"),
        *("-map", "0", "-c", "copy", "-f", *muxer, *(("-fpre", preset) if options else ()), url),
    ]
    return arguments, lines.encode()


def _srt(parts: SplitResult) -> tuple[str, dict[str, str]]:
    kept: list[str] = []
    options: dict[str, str] = {}
    for field in filter(None, parts.query.split("&")):
        name, _, value = field.partition("=")
        option, text = _SECRET_FIELDS.get(name, ""), value.replace("+", " ")
        if option == "streamid":
            text = unquote(text)
        if option and _fits(text):
            options[option] = text
        else:
            kept.append(field)
    return parts._replace(query="&".join(kept)).geturl(), options


def _rtmp(parts: SplitResult) -> tuple[str, dict[str, str]]:
    """Take the application and the stream's name, which is a key, out of the URL."""
    head, _, name = parts.path.rpartition("/")
    if head.strip("/") and name:
        app, key = head.strip("/"), f"{name}?{parts.query}" if parts.query else name
        url = parts._replace(path=head, query="")
    else:
        # As FFmpeg reads what has no name of its own: "app", "app?token", "app?token/name", "app/?token".
        whole = f"{parts.path.lstrip('/')}?{parts.query}" if parts.query else parts.path.strip("/")
        app, _, key = whole.partition("/")
        url = parts._replace(path="", query="")
    options = {option: text for option, text in (("rtmp_app", app), ("rtmp_playpath", key)) if text}
    return (url.geturl(), options) if all(map(_fits, options.values())) else (parts.geturl(), {})


def _fits(value: str) -> bool:
    return 0 < len(value.encode()) <= MAX_PRESET_VALUE and value.isprintable()
