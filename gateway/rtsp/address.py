"""Addresses of streams: `rtsp://host:port/live/{device_id}/{channel_id}`, or `/live/{channel_id}` if that is unique.

Behind it may stand `?token=...`, and `start=next` to begin with the next key frame rather than at once with the
last: for players that take the pictures coming at once for a fast clock (GStreamer, unless `buffer-mode=none`).
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, unquote, urlsplit

__all__ = ["StreamAddress", "parse_address"]

PATH = re.compile(r"/live/(?:([^/]{1,192})/)?([^/]{1,192}?)/?")
TRACK = re.compile(r"/?trackID=([0-9]{1,3})/?$")
MAX_ID = 64
MAX_FIELDS = 16
"""Of the query; two are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAddress:
    """What a URL names."""

    device_id: str | None
    channel_id: str
    track: int | None = None
    """Number of the track; None for the whole stream."""
    token: str = field(default="", repr=False)
    from_next: bool = False
    """Whether to begin with the next key frame instead of the last one."""
    base: str = ""
    """The URL of the stream for `Content-Base`: no token, no user name, with a slash at its end."""

    @property
    def stream(self) -> tuple[str | None, str]:
        """What identifies the stream."""
        return self.device_id, self.channel_id


def parse_address(url: str) -> StreamAddress | None:
    """Return what a URL names; None if it names no stream."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        fields = parse_qs(parts.query, max_num_fields=MAX_FIELDS)
    except ValueError:
        return None
    if parts.scheme.lower() not in {"rtsp", "rtspu"} or not host:
        return None
    path, track = _without_track(parts.path)
    if track is None and parts.query:
        # Players that put the track behind the whole URL, query included.
        query, track = _without_track(parts.query)
        fields = parse_qs(query, max_num_fields=MAX_FIELDS)
    tokens = fields.get("token", [])
    token = tokens[0] if len(tokens) == 1 else ""
    match = PATH.fullmatch(path)
    if match is None:
        return None
    device_id, channel_id = (None if text is None else unquote(text) for text in match.groups())
    if not channel_id or len(channel_id) > MAX_ID or len(device_id or "") > MAX_ID:
        return None
    shown = f"[{host}]" if ":" in host else host
    where = f"{shown}:{port}" if port else shown
    names = [quote(name, safe="") for name in (device_id, channel_id) if name]
    return StreamAddress(
        device_id=device_id,
        channel_id=channel_id,
        track=track,
        token=token,
        from_next=fields.get("start") == ["next"],
        base=f"rtsp://{where}/live/{'/'.join(names)}/",
    )


def _without_track(text: str) -> tuple[str, int | None]:
    match = TRACK.search(text)
    return (text, None) if match is None else (text[: match.start()], int(match[1]))
