"""Frees texts from below of lower-level codes: names are often made of them."""

import re
from typing import Final

from gateway.domain.device import Channel

__all__ = ["without_codes"]

CODE_LENGTH: Final = 10
"""An identifier that is shorter is no code one could recognise in a text."""
_CODES: Final = re.compile(r"\d{18,}")
"""Codes have 20 digits, those of rule B 18; full-width digits are digits too."""


def without_codes(text: str, code: str, channel: Channel) -> str:
    """Return a text of an item without anything that could be a lower-level code.

    Args:
        text: The text.
        code: The item's code for the platform, which takes the place of its own.
        channel: The item.
    """
    if not text or text == code:
        return text
    clean = text
    own = (channel.channel_id, channel.device_id, channel.business_group_id, *channel.parent_ids)
    for each in own:
        if len(each) >= CODE_LENGTH and each in clean:
            clean = clean.replace(each, code if each == channel.channel_id else "")
    # A code of ours put in above stays; all others go.
    clean = _CODES.sub(lambda found: code if found[0] == code else "", clean)
    return clean if clean == text else clean.strip()
