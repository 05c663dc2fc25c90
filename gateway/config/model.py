"""The settings as a whole and how they are loaded."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from gateway.config.console import ConsoleSettings
from gateway.config.hls import HlsSettings
from gateway.config.record import RecordSettings
from gateway.config.rtmp import RtmpSettings, SourceSettings
from gateway.config.rtsp import RtspSettings
from gateway.config.section import (
    HttpSettings,
    LimitSettings,
    LogSettings,
    MediaSettings,
    RtpSettings,
    SipSettings,
    StoreSettings,
)
from gateway.config.sharing import AuditSettings, CascadeSettings, SharingSettings
from gateway.config.source import ConfigError, ConfigFile, describe, unknown_variables
from gateway.config.webrtc import WebRtcSettings

__all__ = ["DEFAULT_PATH", "ConfigError", "Settings", "load_settings"]

DEFAULT_PATH = Path("conf/gateway.toml")
"""Read when no file is named and it exists, below the working directory."""


class Settings(BaseSettings):
    """Everything that can be configured; `GATEWAY__SECTION__KEY` in the environment wins over the file."""

    model_config = SettingsConfigDict(
        env_prefix="GATEWAY__",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    data_dir: Path = Path("data")
    """Directory for everything that is kept: database, keys, tokens."""
    sip: SipSettings = Field(default_factory=SipSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    rtp: RtpSettings = Field(default_factory=RtpSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    media: MediaSettings = Field(default_factory=MediaSettings)
    rtsp: RtspSettings = Field(default_factory=RtspSettings)
    rtmp: RtmpSettings = Field(default_factory=RtmpSettings)
    sources: SourceSettings = Field(default_factory=SourceSettings)
    webrtc: WebRtcSettings = Field(default_factory=WebRtcSettings)
    hls: HlsSettings = Field(default_factory=HlsSettings)
    record: RecordSettings = Field(default_factory=RecordSettings)
    cascade: CascadeSettings = Field(default_factory=CascadeSettings)
    sharing: SharingSettings = Field(default_factory=SharingSettings)
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @field_validator("data_dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over what the file says."""
        return env_settings, init_settings

    @property
    def store_url(self) -> str:
        """URL of the database, with the default filled in."""
        return self.store.url or f"sqlite+aiosqlite:///{self.data_dir / 'gateway.db'}"


def load_settings(
    path: str | Path | None = None, *, environ: Mapping[str, str] | None = None
) -> Settings:
    """Read and check the configuration.

    Args:
        path: TOML file; None is `conf/gateway.toml` if that exists, else the defaults.
        environ: Only to name the variables at fault; the values are read from the process.

    Raises:
        ConfigError: with one line for people per problem (file and line or variable, key, expected, got).
    """
    if path is None and DEFAULT_PATH.is_file():
        path = DEFAULT_PATH
    file = ConfigFile.read(Path(path)) if path is not None else ConfigFile.empty()
    environ = os.environ if environ is None else environ
    problems = file.unknown_keys(Settings) + unknown_variables(environ, Settings)
    try:
        settings = Settings(**file.values)
    except ValidationError as exc:
        problems += describe(exc, file, environ)
        raise ConfigError(problems) from None
    except SettingsError as exc:
        raise ConfigError([*problems, f"environment: {exc}"]) from None
    if problems:
        raise ConfigError(problems)
    return settings
