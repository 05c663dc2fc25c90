"""Texts from below on their way to a platform that must not see lower-level codes."""

from dataclasses import replace
from typing import Any, Final, TypeVar

from gateway.cascade.catalog.scrub import without_codes
from gateway.domain.device import Channel
from gateway.domain.platform import IdMode, PlatformConfig
from gb28181.manscdp import AlarmNotify, DeviceInfoResponse

__all__ = ["scrub", "scrubbed"]

_Answer = TypeVar("_Answer", AlarmNotify, DeviceInfoResponse)

_TEXTS: Final[dict[type, tuple[str, ...]]] = {
    AlarmNotify: ("alarm_description", "extra_info"),
    DeviceInfoResponse: ("device_name", "result", "manufacturer", "model", "firmware"),
}


def scrub(text: str, code: str, channel: Channel, config: PlatformConfig) -> str:
    """Return a text about a channel, whose code for the platform is `code`, as the platform may read it."""
    return without_codes(text, code, channel) if config.id_mode is IdMode.RENAME else text


def scrubbed(content: _Answer, channel: Channel, config: PlatformConfig) -> _Answer:
    """Return what is said of a channel without lower-level codes in its texts, where codes are renamed.

    Args:
        content: The answer or alarm, which names the channel by its code for the platform.
        channel: What it is about.
        config: The platform.
    """
    texts: dict[str, Any] = {
        name: scrub(getattr(content, name), content.device_id, channel, config)
        for name in _TEXTS[type(content)]
    }
    return replace(content, **texts)
