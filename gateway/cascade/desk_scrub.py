"""Texts from below on their way to a platform that must not see lower-level codes."""

import re
from typing import Final

from gateway.domain.platform import IdMode, PlatformConfig

__all__ = ["scrub"]

_CODES: Final = re.compile(r"[0-9]{18,}")


def scrub(text: str, config: PlatformConfig) -> str:
    """Return a text without anything that could be a code, where codes are renamed."""
    return _CODES.sub("", text).strip() if config.id_mode is IdMode.RENAME else text
