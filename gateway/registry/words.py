"""Words about devices: matching them, checking settings, and what timelines say."""

from gateway.domain.device import CatalogDiff, Device, DeviceSettings, TimelineKind
from gateway.domain.errors import Invalid
from gateway.registry.supervision import clamp_keepalive

__all__ = ["check_settings", "describe_diff", "describe_settings", "matches"]

_CHARSETS = ("GB2312", "GBK", "GB18030", "UTF-8")


def matches(device: Device, words: str) -> bool:
    """Return whether a lower-case text is part of what a device is known by."""
    return (
        words in device.device_id.lower()
        or words in device.name.lower()
        or (device.address is not None and words in device.address.host)
        or words in device.manufacturer.lower()
        or words in device.model.lower()
    )


def check_settings(settings: DeviceSettings) -> None:
    """Refuse settings that cannot be used.

    Raises:
        Invalid: `invalid_setting`.
    """
    if settings.charset is not None and settings.charset.upper() not in _CHARSETS:
        expected = ", ".join(_CHARSETS)
        raise Invalid(
            "invalid_setting", f"charset: expected one of {expected}, got {settings.charset[:40]!r}"
        )
    interval = 60.0 if settings.keepalive_interval is None else settings.keepalive_interval
    misses = 3 if settings.keepalive_misses is None else settings.keepalive_misses
    if clamp_keepalive(interval, misses) != (interval, misses):
        raise Invalid(
            "invalid_setting",
            "expected a keepalive_interval of 5 to 3600 s and 1 to 100 keepalive_misses, "
            f"got {interval:g} and {misses}",
        )


def describe_settings(settings: DeviceSettings) -> str:
    """Return what differs from the gateway's defaults."""
    parts = [
        f"media_transport={settings.media_transport.value}" if settings.media_transport else "",
        f"charset={settings.charset}" if settings.charset else "",
        "follow_address" if settings.follow_address else "",
        f"keepalive_interval={settings.keepalive_interval:g}"
        if settings.keepalive_interval
        else "",
        f"keepalive_misses={settings.keepalive_misses}" if settings.keepalive_misses else "",
    ]
    return "settings: " + (", ".join(part for part in parts if part) or "all defaults")


def describe_diff(diff: CatalogDiff) -> tuple[TimelineKind, str]:
    """Return the timeline entry of a catalogue answer."""
    gone = diff.removed or diff.kept_missing
    detail = f"{diff.total} channels, {len(diff.added)} new, {len(diff.changed)} changed"
    if not gone:
        return TimelineKind.CATALOG_SYNCED, detail
    fate = "removed" if diff.removed else "missing in an incomplete answer and kept"
    some = ", ".join(gone[:5]) + (", ..." if len(gone) > 5 else "")
    return TimelineKind.CATALOG_SHRUNK, f"{detail}, {len(gone)} {fate}: {some}"
