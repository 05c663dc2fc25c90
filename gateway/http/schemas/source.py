"""Bodies of foreign sources."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field

from gateway.domain.source import (
    ProbeReport,
    SourceConfig,
    SourceKind,
    SourceState,
    SourceStatus,
    shown_url,
)
from gateway.http.schemas.base import InModel, OutModel, PageQuery, Text

__all__ = [
    "SourceChange",
    "SourceIn",
    "SourceIssuedOut",
    "SourceList",
    "SourceOut",
    "SourceQuery",
    "SourceTestOut",
]

_TEXT = Field(default="", max_length=200)
_URL = Field(default="", max_length=1_000, repr=False)


class SourceIn(InModel):
    """A source that becomes a channel."""

    kind: SourceKind
    """`pull_rtsp` and `pull_rtmp` are fetched from `url`; to `push_rtmp` somebody publishes with a stream key."""
    source_id: str = Field(default="", pattern=r"^([0-9]{20})?$")
    """20-digit code of the channel, 131 or 132 at digits 11-13; empty: one is made."""
    name: str = _TEXT
    url: str = _URL
    """`rtsp://user:password@host/path` or `rtmp://host/app/name` (`rtsps`, `rtmps`: by TLS); kept sealed and never shown
    whole."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    """By TLS it is TCP."""
    tls_verify: bool = True
    """Whether a source by TLS must show a certificate of an authority that is trusted here."""
    always: bool = False
    """Fetch it also while nobody watches."""
    enabled: bool = True
    civil_code: str = Field(default="", pattern=r"^([0-9]{2}){0,4}$")
    address: str = _TEXT
    longitude: float | None = Field(default=None, ge=-180, le=180)
    latitude: float | None = Field(default=None, ge=-90, le=90)
    secrecy: int = Field(default=0, ge=0, le=1)
    """1: secret, kept out of catalogues unless the policy says otherwise."""
    manufacturer: str = _TEXT
    model: str = _TEXT
    owner: str = _TEXT

    def config(self, created_at: datetime) -> SourceConfig:
        """Return it as the domain has it."""
        return SourceConfig(**self.model_dump(), created_at=created_at)


class SourceChange(InModel):
    """What is to be changed; absent fields stay."""

    name: str | None = Field(default=None, max_length=200)
    url: str | None = Field(default=None, max_length=1_000, repr=False)
    rtsp_transport: Literal["tcp", "udp"] | None = None
    tls_verify: bool | None = None
    always: bool | None = None
    enabled: bool | None = None
    civil_code: str | None = Field(default=None, pattern=r"^([0-9]{2}){0,4}$")
    address: str | None = Field(default=None, max_length=200)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    """Null: unknown, if given."""
    latitude: float | None = Field(default=None, ge=-90, le=90)
    secrecy: int | None = Field(default=None, ge=0, le=1)
    manufacturer: str | None = Field(default=None, max_length=200)
    model: str | None = Field(default=None, max_length=200)
    owner: str | None = Field(default=None, max_length=200)

    def merged(self, config: SourceConfig) -> SourceConfig:
        """Return `config` with what was given changed."""
        given: dict[str, Any] = {}
        for name in self.model_fields_set:
            value = getattr(self, name)
            if value is not None or name in {"longitude", "latitude"}:
                given[name] = value
        return replace(config, **given)


class SourceOut(OutModel):
    """A source, and how it is now."""

    source_id: Text
    """Code of its channel."""
    device_id: Text
    """The device that holds the channels of all sources."""
    kind: SourceKind
    name: Text
    url: Text
    """Without user, password and query; empty for one that is pushed."""
    rtsp_transport: str
    tls_verify: bool
    always: bool
    enabled: bool
    civil_code: Text
    address: Text
    longitude: float | None
    latitude: float | None
    secrecy: int
    manufacturer: Text
    model: Text
    owner: Text
    created_at: datetime
    publish_url: Text | None
    """Where to publish, without the key; null if it is pulled or RTMP is switched off."""
    state: SourceState
    since: datetime
    """Since when it is in this state."""
    reason: Text
    """Stable word of the last failure; empty if there is none."""
    detail: Text
    tries: int
    """Failures in a row."""
    checked_at: datetime | None
    """When it was last reached, or tried."""
    publisher: Text
    """`host:port` of who publishes now."""
    encoder: Text
    """What the publisher says it is."""
    bitrate_kbps: float

    @classmethod
    def of(
        cls, config: SourceConfig, status: SourceStatus, *, device_id: str, publish_url: str | None
    ) -> Self:
        """Convert a source."""
        told = {name: getattr(status, name) for name in SourceStatus.__dataclass_fields__}
        kept = {
            name: getattr(config, name)
            for name in SourceConfig.__dataclass_fields__
            if name != "url"
        }
        return cls(
            **kept,
            **told,
            device_id=device_id,
            url=shown_url(config.url),
            publish_url=None if config.kind.is_pulled else publish_url,
        )


class SourceList(OutModel):
    """A page of sources, oldest first."""

    items: list[SourceOut]
    total: int


class SourceIssuedOut(OutModel):
    """A source with its stream key: keep it now, it is never shown again."""

    source: SourceOut
    key: str | None
    """Null if it is pulled."""
    publish_url: str | None
    """Where to publish, with the key, for encoders with one field."""


class SourceTestOut(OutModel):
    """What was found when a source was tried."""

    ok: bool
    code: Text
    detail: Text
    seconds: float
    tracks: list[Text]

    @classmethod
    def of(cls, report: ProbeReport) -> Self:
        """Convert a report."""
        return cls(
            ok=report.ok,
            code=report.code,
            detail=report.detail,
            seconds=round(report.seconds, 3),
            tracks=list(report.tracks),
        )


class SourceQuery(PageQuery):
    """Which sources."""

    q: str = Field(default="", max_length=200)
    """Part of the code or the name."""
    state: SourceState | None = None
