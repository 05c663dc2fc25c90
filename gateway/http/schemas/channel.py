"""Bodies about channels."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from gateway.domain.device import ChannelKind, MediaTransport
from gateway.domain.policy import Action
from gateway.http.schemas.base import MAX_PURPOSE, MAX_TICKET, InModel, OutModel, PageQuery, Text

__all__ = [
    "ChannelList",
    "ChannelOut",
    "ChannelQuery",
    "PlayIn",
    "PlayOut",
    "UrlsOut",
]


class ChannelOut(OutModel):
    """One catalogue item."""

    device_id: Text
    channel_id: Text
    kind: ChannelKind
    name: Text
    manufacturer: Text
    model: Text
    civil_code: Text
    address: Text
    parent_ids: list[Text]
    business_group_id: Text
    online: bool
    """As the device claims; a channel can be played whatever it says."""
    status_text: Text
    longitude: float | None
    latitude: float | None
    secrecy: int
    ptz_type: int | None
    extra: dict[Text, Text]


class ChannelList(OutModel):
    """A page of channels."""

    items: list[ChannelOut]
    total: int


class PlayIn(InModel):
    """How to start a stream."""

    transport: MediaTransport | None = None
    """How the device shall send; null is the device's or the gateway's default."""
    stream: Literal[0, 1] = 0
    """0 the main stream, 1 the first sub stream; policy may allow the sub stream only."""
    purpose: str = Field(default="", max_length=MAX_PURPOSE)
    """Why; policy may demand it, and it stands in the audit."""
    ticket: str = Field(default="", max_length=MAX_TICKET)
    """Number of the case or order behind it."""


class UrlsOut(OutModel):
    """Where the stream can be fetched; each URL carries its token."""

    flv: str
    mp4: str
    ws_flv: str
    ws_mp4: str
    rtsp: str | None = None
    """Null where RTSP is off. With `&start=next` it begins with the next key frame rather than at once."""
    hls: str | None = None
    """Null where HLS is off."""
    whep: str | None = None
    """Where to POST a WebRTC offer; null where WebRTC is off."""


class PlayOut(OutModel):
    """A running stream."""

    session_id: str
    stream: int
    """Which stream the URLs give: 0 main, 1 sub."""
    urls: UrlsOut
    expires_at: datetime
    """Until when the URLs let viewers connect; one that is connected stays."""
    single_use: bool
    """Whether only the first request for one of the URLs is served."""


class ChannelQuery(PageQuery):
    """Which channels."""

    q: str = Field(default="", max_length=200)
    """Part of the id, name or address."""
    device_id: str | None = Field(default=None, max_length=64)
    kind: ChannelKind | None = None
    online: bool | None = None
    may: Action | None = None
    """Only what the caller may do this with, for the purpose and ticket of X-Gb-Purpose and X-Gb-Ticket."""
