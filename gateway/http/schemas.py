"""JSON bodies of the API: the only pydantic models besides the settings."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.domain.device import ChannelKind, DeviceSettings, MediaTransport
from gateway.domain.session import Ended, SessionRecord

__all__ = [
    "ChannelList",
    "ChannelOut",
    "ChannelQuery",
    "DeviceList",
    "DeviceOut",
    "DeviceQuery",
    "DeviceStatusOut",
    "DiagnosisOut",
    "ExplainIn",
    "PlayIn",
    "PlayOut",
    "ProblemOut",
    "SecretIn",
    "SessionList",
    "SessionOut",
    "SessionQuery",
    "SettingsIn",
    "StatusOut",
    "StreamList",
    "StreamOut",
    "SyncOut",
    "TimelineList",
    "TimelineQuery",
]

MAX_LIMIT = 1000
MIN_SECRET = 8


def _printable(value: object) -> object:
    # Device strings may hold undecodable bytes as lone surrogates, which are no JSON.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_printable)]


class _Out(BaseModel):
    model_config = ConfigDict(
        from_attributes=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


# Devices


class AddressOut(_Out):
    """Where a device's authenticated packets came from."""

    transport: Text
    """`UDP`, `TCP` or `TLS`."""
    host: Text
    port: int
    local_host: Text
    local_port: int


class DeviceSettingsOut(_Out):
    """What an operator set for a device; null is the gateway's default."""

    media_transport: MediaTransport | None
    charset: Text | None
    follow_address: bool
    keepalive_interval: float | None
    """Seconds."""
    keepalive_misses: int | None
    has_secret: bool


class DeviceOut(_Out):
    """A device or lower platform."""

    device_id: Text
    name: Text
    online: bool
    offline_reason: Text | None
    """Why it is offline: `registration_expired`, `keepalive_missed`, ...; null while online."""
    status_since: datetime | None
    """Since when it is online or offline."""
    address: AddressOut | None
    contact: Text
    registered_at: datetime | None
    expires_at: datetime | None
    last_keepalive_at: datetime | None
    gb_version: Text
    user_agent: Text
    manufacturer: Text
    model: Text
    firmware: Text
    channel_count: int
    catalog_at: datetime | None
    settings: DeviceSettingsOut


class DeviceList(_Out):
    """A page of devices."""

    items: list[DeviceOut]
    total: int


class SettingsIn(_In):
    """Settings to change; absent keys stay, null goes back to the gateway's default."""

    media_transport: MediaTransport | None = None
    charset: Literal["GB2312", "GB18030", "UTF-8"] | None = None
    follow_address: bool = False
    keepalive_interval: float | None = Field(default=None, ge=5, le=3600)
    """Seconds."""
    keepalive_misses: int | None = Field(default=None, ge=1, le=100)

    def merged(self, settings: DeviceSettings) -> DeviceSettings:
        """Return `settings` with what was given changed."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        kept = {name: getattr(settings, name) for name in type(self).model_fields}
        return DeviceSettings(**{**kept, **given}, has_secret=settings.has_secret)


class SecretIn(_In):
    """A device's own password; kept only as hashes, never shown again."""

    password: str = Field(
        min_length=MIN_SECRET, max_length=128, repr=False, pattern=r"^[\x20-\x7e]+$"
    )


class TimelineOut(_Out):
    """One thing that happened to a device."""

    at: datetime
    """The latest time, if it happened several times in a row."""
    kind: Text
    detail: Text
    count: int
    first_at: datetime | None


class TimelineList(_Out):
    """What happened to a device, newest first."""

    items: list[TimelineOut]
    total: int


class DiffOut(_Out):
    """What a catalogue answer changed; channel ids."""

    added: list[Text]
    removed: list[Text]
    changed: list[Text]
    kept_missing: list[Text]
    """Missing in an answer that was cut short: still listed."""
    total: int


class SyncOut(_Out):
    """The latest catalogue synchronisation of a device."""

    device_id: Text
    state: Text
    """`queued`, `asking`, `receiving`, `done` or `failed`."""
    started_at: datetime
    finished_at: datetime | None
    received: int
    expected: int | None
    detail: Text
    diff: DiffOut | None


class DeviceStatusOut(_Out):
    """A device's answer to DeviceStatus, by the standard's field names."""

    device_id: Text
    fields: dict[Text, Text]


# Channels


class ChannelOut(_Out):
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


class ChannelList(_Out):
    """A page of channels."""

    items: list[ChannelOut]
    total: int


class PlayIn(_In):
    """How to start a stream."""

    transport: MediaTransport | None = None
    """How the device shall send; null is the device's or the gateway's default."""


class UrlsOut(_Out):
    """Where the stream can be fetched; each URL carries its token."""

    flv: str
    mp4: str
    ws_flv: str
    ws_mp4: str


class PlayOut(_Out):
    """A running stream."""

    session_id: str
    urls: UrlsOut
    expires_at: datetime
    """Until when the URLs let viewers connect; one that is connected stays."""


# Sessions and streams


class SsrcOut(_Out):
    """SSRC values as ten digits; disagreement explains many black pictures."""

    offered: Text | None
    answered: Text | None
    received: Text | None


class EndedOut(_Out):
    """Why a session ended."""

    reason: Text
    detail: Text
    sip_status: int | None
    failure: bool
    """Whether somebody should look into it."""

    @classmethod
    def of(cls, ended: Ended) -> Self:
        """Convert an end."""
        return cls(
            reason=ended.reason.value,
            detail=ended.detail,
            sip_status=ended.sip_status,
            failure=ended.reason.is_failure,
        )


class SessionOut(_Out):
    """One session's diagnosis."""

    session_id: Text
    kind: Text
    device_id: Text
    channel_id: Text
    transport: Text
    state: Text
    created_at: datetime
    stage: Text
    """The last stage reached."""
    stages: dict[Text, float]
    """Seconds after the request at which each stage was reached."""
    ssrc: SsrcOut
    first_reader: float | None
    """Seconds after the request at which the first viewer was attached."""
    call_id: Text | None
    viewers: int
    remarks: list[Text]
    """Deviations of the device that were tolerated."""
    ended: EndedOut | None
    ended_at: datetime | None

    @classmethod
    def of(cls, record: SessionRecord) -> Self:
        """Convert a record."""
        ended = record.ended
        return cls(
            session_id=record.session_id,
            kind=record.kind.value,
            device_id=record.device_id,
            channel_id=record.channel_id,
            transport=record.transport,
            state=record.state.value,
            created_at=record.created_at,
            stage=record.stage_reached.value,
            stages={stage.value: round(at, 4) for stage, at in record.stages.items()},
            ssrc=SsrcOut.model_validate(record.ssrc),
            first_reader=record.first_reader,
            call_id=record.call_id,
            viewers=record.viewers,
            remarks=record.remarks,
            ended=EndedOut.of(ended) if ended else None,
            ended_at=record.ended_at,
        )


class SessionList(_Out):
    """A page of sessions: running ones first, then ended ones, newest first."""

    items: list[SessionOut]
    total: int


class TrackOut(_Out):
    """One track as found in the stream."""

    codec: Text
    width: int | None
    height: int | None
    fps: float | None
    sample_rate: int | None
    channels: int | None
    mime_codec: Text


class StreamOut(_Out):
    """A running stream and its counters."""

    stream_id: Text
    session_id: Text
    video: TrackOut | None
    audio: TrackOut | None
    source: Text
    payload: Text
    ssrc: Text
    packets: int
    bytes: int
    lost: int
    reordered: int
    discarded: int
    bitrate_kbps: float
    frames: int
    keyframes: int
    viewers: dict[Text, int]
    started_s: float
    """Seconds since the receiver was opened."""


class StreamList(_Out):
    """The running streams."""

    items: list[StreamOut]
    total: int


# Status and diagnosis


class Words(_Out):
    """A sentence in both languages."""

    zh: str
    en: str


class CauseOut(_Out):
    """A likely cause and what to do about it."""

    cause: Words
    remedy: Words


class DiagnosisOut(_Out):
    """Why a session did not give a picture."""

    session: SessionOut
    failed_stage: Text | None
    """The stage that was not reached; null if nothing failed."""
    summary: Words
    observations: list[Words]
    """Facts of this session that point somewhere."""
    causes: list[CauseOut]
    """Most likely first."""


class ExplainIn(_In):
    """Which session to explain."""

    session_id: str | None = Field(default=None, max_length=64)
    """Null is the latest failed one."""


class DeviceCounts(_Out):
    """Devices by presence."""

    total: int
    online: int
    offline: int


class SessionCounts(_Out):
    """Sessions now and lately."""

    running: int
    starting: int
    failed_last_hour: int


class PortCounts(_Out):
    """RTP port pairs."""

    leased: int
    draining: int
    total: int


class StoreOut(_Out):
    """Whether what must be kept is kept."""

    ok: bool
    detail: Text
    since: datetime | None
    pending: int
    dropped: int


class ListenerOut(_Out):
    """Where SIP is listened for."""

    transport: Text
    host: Text
    port: int


class TroubleOut(_Out):
    """One thing that is wrong, and since when."""

    severity: Literal["warning", "error"]
    """`error`: the gateway itself cannot do its work."""
    code: Text
    subject: Text
    """Device, channel or part it is about; empty: the gateway."""
    since: datetime | None
    count: int
    detail: Text


class StatusOut(_Out):
    """What an operator reads first."""

    state: Literal["ok", "warning", "error"]
    version: Text
    started_at: datetime
    now: datetime
    sip: list[ListenerOut]
    devices: DeviceCounts
    channels: int
    sessions: SessionCounts
    streams: int
    viewers: int
    ports: PortCounts
    store: StoreOut
    troubles: list[TroubleOut]
    """Most urgent first; offline devices are cut off at 100."""


class ProblemOut(BaseModel):
    """An error, RFC 9457."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    type: str
    title: str
    status: int
    detail: str
    """What was expected, what came, what to do."""
    code: str
    """Stable word for programs."""
    instance: str
    """Path of the request."""


# Query parameters


class _Page(_In):
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)
    """Items in the answer."""
    offset: int = Field(default=0, ge=0, le=100_000_000)
    """Matches before the page."""


class DeviceQuery(_Page):
    """Which devices."""

    q: str = Field(default="", max_length=200)
    """Part of the id, name, manufacturer, model or address."""
    online: bool | None = None


class ChannelQuery(_Page):
    """Which channels."""

    q: str = Field(default="", max_length=200)
    """Part of the id, name or address."""
    device_id: str | None = Field(default=None, max_length=64)
    kind: ChannelKind | None = None
    online: bool | None = None


class SessionQuery(_Page):
    """Which sessions."""

    device_id: str | None = Field(default=None, max_length=64)
    channel_id: str | None = Field(default=None, max_length=64)
    state: Literal["running", "ended", "failed"] | None = None
    """`running` is every one that has not ended."""


class TimelineQuery(_In):
    """How much of a timeline."""

    limit: int = Field(default=200, ge=1, le=MAX_LIMIT)
