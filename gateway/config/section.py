"""Sections of the configuration file; each field's docstring is repeated in `conf/gateway.toml`."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from gateway.config.base import Section

__all__ = [
    "HttpSettings",
    "LimitSettings",
    "LogSettings",
    "MediaSettings",
    "RtpSettings",
    "SipSettings",
    "StoreSettings",
]

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1)]
DigestAlgorithm = Literal["MD5", "SHA-256"]
Transport = Literal["udp", "tcp_passive", "tcp_active"]

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def _check_address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(
            f"expected an IP address such as 0.0.0.0 or 192.0.2.10, got {value!r}"
        ) from None
    return value


def _check_advertised(value: str) -> str:
    if value and not _HOST_NAME.fullmatch(value):
        _check_address(value)
    return value


def _check_proxies(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        raise ValueError(
            f"expected addresses or networks such as 127.0.0.1 or 10.1.0.0/24, got {value!r}"
        ) from None
    if network.prefixlen == 0:
        raise ValueError(
            f"expected the addresses of your proxies, got {value!r}, which lets everybody make up an address"
        )
    return str(network)


def _split_list(value: object) -> object:
    # The environment has no lists: GATEWAY__SIP__ALGORITHMS="SHA-256, MD5".
    if isinstance(value, str):
        return [
            part.strip() for part in value.strip("[] ").replace('"', "").split(",") if part.strip()
        ]
    return value


class SipSettings(Section):
    """`[sip]`: who we are for devices, and how they register."""

    id: str = "34020000002000000001"
    """Our own 20-digit code; devices enter it as "SIP server ID"."""
    domain: str = ""
    """SIP domain, also the digest realm; empty: the first ten digits of `id`."""
    password: str = Field(default="", repr=False)
    """Password common to all devices without a secret of their own; empty: there is none, such devices are refused."""
    host: str = "0.0.0.0"  # noqa: S104 - devices come from outside
    """Address to listen on for UDP and TCP."""
    port: Port = 5060
    """Port for UDP and TCP; 0 takes any free one."""
    tcp: bool = True
    """Listen on TCP too."""
    tls_port: Port = 5061
    """Port for TLS; used only when `tls_cert` and `tls_key` are set."""
    tls_cert: str = ""
    """PEM file with our certificate chain; empty: no TLS."""
    tls_key: str = ""
    """PEM file with its private key."""
    advertise: str = ""
    """Address written into Via and Contact; empty: per device, the local address its REGISTER arrived on."""
    user_agent: str = "gb28181-gateway"
    """User-Agent and Server header."""
    follow_address: Literal["port", "any"] = "port"
    """What a MESSAGE without registering may move: `port` on the registered IP address only, `any` the address too (unsafe)."""
    algorithms: Annotated[tuple[DigestAlgorithm, ...], NoDecode] = ("MD5",)
    """Digest algorithms offered, strongest first on the wire; old devices know MD5 only."""
    qop: bool = False
    """Offer qop=auth; some old devices then leave out nc and cnonce."""
    nonce_ttl: Seconds = 60.0
    """Seconds for which a nonce is good."""
    default_expires: int = Field(default=86_400, ge=60, le=604_800)
    """Seconds a registration lasts when the device does not say."""
    min_expires: int = Field(default=60, ge=1, le=86_400)
    """Seconds; a device that asks for less is granted this."""
    max_expires: int = Field(default=604_800, ge=60, le=2_592_000)
    """Seconds; a device that asks for more is granted this."""
    keepalive_interval: float = Field(default=60.0, ge=5, le=3600)
    """Seconds between keepalives; a device's own setting wins."""
    keepalive_misses: int = Field(default=3, ge=1, le=100)
    """Keepalives in a row that may be missing before the device counts as offline."""
    charset: Literal["GB2312", "GB18030", "UTF-8"] = "GB2312"
    """Charset of MANSCDP bodies we send; a device's own setting wins."""
    send_date: bool = True
    """Send Date with the answer to REGISTER (clock synchronisation); some devices reject it."""
    request_timeout: Seconds = 10.0
    """Seconds to wait for a device's answer to a MESSAGE."""
    catalog_first: Seconds = 60.0
    """Seconds from a Catalog query to the first part of its answer."""
    catalog_silence: Seconds = 5.0
    """Seconds without a further part after which a catalogue answer counts as finished."""

    @field_validator("id")
    @classmethod
    def _twenty_digits(cls, value: str) -> str:
        if not re.fullmatch(r"[0-9]{20}", value):
            raise ValueError(f"expected 20 digits, got {len(value)} characters: {value!r}")
        return value

    @field_validator("host")
    @classmethod
    def _host(cls, value: str) -> str:
        return _check_address(value)

    @field_validator("advertise")
    @classmethod
    def _advertise(cls, value: str) -> str:
        return _check_advertised(value)

    @field_validator("algorithms", mode="before")
    @classmethod
    def _split_algorithms(cls, value: object) -> object:
        return _split_list(value)

    @field_validator("algorithms")
    @classmethod
    def _some_algorithm(cls, value: tuple[DigestAlgorithm, ...]) -> tuple[DigestAlgorithm, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("expected at least one algorithm, each once")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.tls_cert) != bool(self.tls_key):
            missing = "tls_key" if self.tls_cert else "tls_cert"
            raise ValueError(f"TLS needs both tls_cert and tls_key; {missing} is empty")
        if not self.min_expires <= self.default_expires <= self.max_expires:
            raise ValueError(
                "expected min_expires <= default_expires <= max_expires, got "
                f"{self.min_expires}, {self.default_expires}, {self.max_expires}"
            )
        if not self.domain:
            object.__setattr__(self, "domain", self.id[:10])
        return self

    @property
    def tls(self) -> bool:
        """Whether TLS is configured."""
        return bool(self.tls_cert)


class HttpSettings(Section):
    """`[http]`: API, console and streams."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 opens it to the network."""
    port: Port = 8080
    """Port; 0 takes any free one."""
    admin_token: str = Field(default="", repr=False)
    """Bearer token with all rights, at least 16 characters; empty: one is made at the first start and printed once."""
    token_ttl: int = Field(default=3600, ge=10, le=2_592_000)
    """Seconds for which the token in a stream URL lets a viewer connect."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins (`https://host[:port]`) whose pages may use the API and the streams; `*` is any."""
    public_url: str = ""
    """Base of the URLs given out (`https://video.example`); empty: as the request came in."""
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses or networks (CIDR) of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."""

    @field_validator("host")
    @classmethod
    def _host(cls, value: str) -> str:
        return _check_address(value)

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split_lists(cls, value: object) -> object:
        return _split_list(value)

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_check_proxies(network) for network in value)

    @field_validator("admin_token")
    @classmethod
    def _long_token(cls, value: str) -> str:
        if value and len(value) < 16:
            raise ValueError(f"expected at least 16 characters, got {len(value)}")
        return value

    @field_validator("public_url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and not re.match(r"https?://[^/\s]+", value):
            raise ValueError(f"expected a URL that begins with http:// or https://, got {value!r}")
        return value.rstrip("/")


class RtpSettings(Section):
    """`[rtp]`: ports on which media arrives."""

    host: str = "0.0.0.0"  # noqa: S104 - devices come from outside
    """Address to bind media ports on."""
    port_range: str = "30000-30999"
    """First and last port, both included; used in pairs (even RTP, odd RTCP), UDP and TCP."""
    advertise: str = ""
    """Address written into SDP; empty: `[sip] advertise`, else per device the local address its REGISTER arrived on."""
    drain: float = Field(default=5.0, ge=0, le=600)
    """Seconds a port rests after use, so that late packets meet nobody."""
    receive_buffer: int = Field(default=4_194_304, ge=65_536, le=268_435_456)
    """Bytes of socket buffer asked for per media socket."""

    @field_validator("host")
    @classmethod
    def _host(cls, value: str) -> str:
        return _check_address(value)

    @field_validator("advertise")
    @classmethod
    def _advertise(cls, value: str) -> str:
        return _check_advertised(value)

    @field_validator("port_range")
    @classmethod
    def _range(cls, value: str) -> str:
        match = re.fullmatch(r"\s*([0-9]{1,5})\s*-\s*([0-9]{1,5})\s*", value)
        if match is None:
            raise ValueError(f'expected "FIRST-LAST" such as "30000-30999", got {value!r}')
        first, last = int(match[1]), int(match[2])
        if not 1024 <= first < last <= 65_535 or last // 2 - (first + 1) // 2 < 0:
            raise ValueError(f"expected 1024 <= FIRST < LAST <= 65535, got {value!r}")
        return f"{first}-{last}"

    @property
    def ports(self) -> tuple[int, int]:
        """First and last port of the range, both included."""
        first, last = self.port_range.split("-")
        return int(first), int(last)


class StoreSettings(Section):
    """`[store]`: what is kept."""

    url: str = Field(default="", repr=False)
    """Database: empty is SQLite in `data_dir/gateway.db`; `postgresql+asyncpg://user:password@host/database` is PostgreSQL."""
    group_commit: float = Field(default=0.02, ge=0, le=1)
    """Seconds for which writes that must be durable are gathered into one commit."""
    batch_interval: float = Field(default=5.0, ge=0.05, le=60)
    """Seconds after which all other writes (keepalive times, refreshes, timeline) follow; at most this much is lost by a crash."""

    @field_validator("url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value and not value.startswith(("sqlite+aiosqlite://", "postgresql+asyncpg://")):
            scheme = value.partition("://")[0][:40]
            raise ValueError(
                f"expected sqlite+aiosqlite:// or postgresql+asyncpg://, got {scheme!r}"
            )
        if re.fullmatch(r"sqlite\+aiosqlite://(/|/:memory:)?", value):
            raise ValueError(
                "expected a file, as in sqlite+aiosqlite:///data/gateway.db, got a database in memory"
            )
        return value


class MediaSettings(Section):
    """`[media]`: live sessions."""

    transport: Transport = "udp"
    """How devices are asked to send: `udp`, `tcp_passive` (we listen) or `tcp_active` (we dial); a device's own setting wins."""
    invite_timeout: Seconds = 20.0
    """Seconds a camera may take to answer an INVITE."""
    first_packet_timeout: Seconds = 10.0
    """Seconds from the answer to the first media packet."""
    decodable_timeout: Seconds = 15.0
    """Seconds from the first packet to a key frame with parameter sets."""
    source_timeout: Seconds = 10.0
    """Seconds without a packet after which a running stream counts as lost."""
    no_readers_grace: float = Field(default=15.0, ge=0, le=86_400)
    """Seconds a camera goes on sending after its last viewer left."""
    audio: bool = True
    """Carry audio; G.711 becomes AAC where the format or browsers need it."""
    viewer_buffer: int = Field(default=4_194_304, ge=262_144, le=268_435_456)
    """Bytes a viewer may lag behind before frames are dropped for it, up to the next key frame."""
    gop_cache: int = Field(default=16_777_216, ge=0, le=268_435_456)
    """Bytes kept per stream so that a new viewer starts at once at the last key frame; 0: none."""


class LimitSettings(Section):
    """`[limits]`: protection of the gateway as a whole."""

    max_devices: Count = 100_000
    """Devices known at most; a new one above that is refused."""
    max_sessions: Count = 2000
    """Sessions running at once; one more is refused."""
    max_viewers: Count = 10_000
    """Viewers connected at once; one more is refused."""
    max_viewers_per_stream: Count = 2000
    """Viewers of one stream at once."""
    register_failures: Count = 10
    """Failed registrations a minute, per source address and claimed id, before answers slow down and then stop for a while."""
    register_failures_per_address: Count = 6000
    """The same per source address alone: higher, since many devices may share one address behind NAT."""
    register_ban: Seconds = 60.0
    """Seconds for which such a source is ignored."""


class LogSettings(Section):
    """`[log]`: to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level written."""
    format: Literal["auto", "json", "console"] = "auto"
    """`json` one object a line, `console` for people, `auto` console on a terminal and JSON otherwise."""

    @field_validator("level", "format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


def resolve(path: str) -> Path:
    """Return a configured path with `~` expanded."""
    return Path(path).expanduser()
