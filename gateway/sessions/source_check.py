"""What a foreign source may be configured as."""

import re
from urllib.parse import urlsplit

from gateway.domain.errors import Invalid
from gateway.domain.source import SourceConfig, SourceKind
from gb28181.ids import IdKind, parse_device_id

__all__ = ["MAX_URL", "check_source"]

MAX_URL = 1_000
MAX_TEXT = 200
_SCHEMES = {SourceKind.PULL_RTSP: "rtsp", SourceKind.PULL_RTMP: "rtmp"}
"""With an s behind it, it is by TLS."""
_CODE = re.compile(r"[0-9]{20}")
_CIVIL = re.compile(r"(?:[0-9]{2}){0,4}")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*")
_URL = re.compile(r"[\x21-\x7e]+")


def check_source(config: SourceConfig) -> None:
    """Check everything that does not depend on other sources.

    Raises:
        Invalid: `invalid_source`, `invalid_url`.
    """
    code = config.source_id
    if not _CODE.fullmatch(code) or parse_device_id(code).kind is not IdKind.CAMERA:
        raise _invalid(f"A source's code has 20 digits with 131 or 132 at 11-13, got {code[:40]!r}")
    for name in ("name", "address", "manufacturer", "model", "owner"):
        text = getattr(config, name)
        if len(text) > MAX_TEXT or not _PRINTABLE.fullmatch(text):
            raise _invalid(f"{name} has up to {MAX_TEXT} printable characters")
    _check_place(config)
    if config.kind.is_pulled:
        _check_url(config.url, _SCHEMES[config.kind])
    else:
        _check_pushed(config)


def _check_place(config: SourceConfig) -> None:
    if not _CIVIL.fullmatch(config.civil_code):
        raise _invalid("civil_code has 2 to 8 digits, in pairs")
    if config.secrecy not in {0, 1}:
        raise _invalid("secrecy is 0 or 1")
    for name, limit in (("longitude", 180.0), ("latitude", 90.0)):
        value = getattr(config, name)
        if value is not None and not -limit <= value <= limit:
            raise _invalid(f"{name} lies between -{limit:g} and {limit:g}")


def _check_pushed(config: SourceConfig) -> None:
    if config.url:
        raise _invalid("A source that is pushed has no URL; it has a stream key")
    if config.always:
        raise _invalid("always is for sources that are pulled; a publisher decides itself")


def _check_url(url: str, scheme: str) -> None:
    # Never with the URL in the answer: it may hold a password.
    expected = (
        f"expected a URL such as {scheme}://user:password@192.0.2.10/path ({scheme}s: by TLS)"
    )
    if not url or len(url) > MAX_URL or not _URL.fullmatch(url):
        raise Invalid("invalid_url", f"{expected}, of up to {MAX_URL} characters without spaces")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Invalid("invalid_url", expected) from None
    if parts.scheme not in {scheme, f"{scheme}s"}:
        raise Invalid("invalid_url", f"{expected}, got {parts.scheme[:20]!r} as its scheme")
    if not host or port == 0 or parts.fragment:
        raise Invalid("invalid_url", expected)


def _invalid(detail: str) -> Invalid:
    return Invalid("invalid_source", detail)
