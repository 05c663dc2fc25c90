"""The 20-digit code (GB/T 28181-2022 E.1) and the shapes found beside it.

     1-2    3-4    5-6     7-8      9-10      11-13   14       15-20
    province city county grass-roots industry  type  network   serial

Identifiers are opaque for routing: vendors ship 18-digit and arbitrary SIP user names. The digit
structure is used only for typing, for building trees and for the domain digits of an SSRC.
"""

import enum
import re
from dataclasses import dataclass

from gb28181.errors import RemoteProtocolError
from gb28181.ids.kind import IdKind, kind_of
from gb28181.limits import MAX_ID_LENGTH

__all__ = ["DeviceId", "IdShape", "is_device_id", "is_region_code", "parse_device_id"]

_CODE = re.compile(r"[0-9]{20}")
_REGION = re.compile(r"(?:[0-9]{2}){1,4}")
_RULE_B = re.compile(r"[0-9]{18}")
# Anything that could end the user part of a SIP URI, or a line, is not an identifier.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f\"'<>@,;:/?\\\ud800-\udfff]")


class IdShape(enum.Enum):
    """Outer form of an identifier."""

    CODE = "code"
    """20 digits, the only form for devices in 2022."""
    REGION = "region"
    """2, 4, 6 or 8 digits: an administrative division."""
    RULE_B = "rule_b"
    """18 digits, local systems of 2011-2016."""
    OPAQUE = "opaque"
    """Anything else that devices use as a SIP user name."""


@dataclass(frozen=True, slots=True)
class DeviceId:
    """An identifier and what its digits say; segments are None unless the shape has them."""

    value: str

    def __str__(self) -> str:
        return self.value

    @property
    def shape(self) -> IdShape:
        """The outer form."""
        if is_device_id(self.value):
            return IdShape.CODE
        if is_region_code(self.value):
            return IdShape.REGION
        return IdShape.RULE_B if _RULE_B.fullmatch(self.value) else IdShape.OPAQUE

    @property
    def civil(self) -> str | None:
        """Division of the monitoring centre: digits 1-8, or the whole of a division code."""
        if is_region_code(self.value):
            return self.value
        return self.value[:8] if self._structured else None

    @property
    def industry(self) -> int | None:
        """Digits 9-10; 43-55 mean something else before and after 2022."""
        return int(self.value[8:10]) if self._structured else None

    @property
    def type_code(self) -> int | None:
        """Digits 11-13 of a 20-digit code."""
        return int(self.value[10:13]) if is_device_id(self.value) else None

    @property
    def network(self) -> int | None:
        """Digit 14 of a 20-digit code."""
        return int(self.value[13]) if is_device_id(self.value) else None

    @property
    def serial(self) -> str | None:
        """Digits 15-20 of a 20-digit code."""
        return self.value[14:] if is_device_id(self.value) else None

    @property
    def domain(self) -> str | None:
        """SIP domain the standard derives from it: the first ten digits."""
        return self.value[:10] if self._structured else None

    @property
    def ssrc_digits(self) -> str | None:
        """Digits 4-8, which are digits 2-6 of every SSRC of the domain (protocol: `y=`)."""
        return self.value[3:8] if self._structured else None

    @property
    def kind(self) -> IdKind:
        """What it names."""
        if is_region_code(self.value):
            return IdKind.REGION
        return kind_of(self.type_code)

    @property
    def parent_region(self) -> str | None:
        """The division above a division code; None for a province and for other shapes."""
        if not is_region_code(self.value) or len(self.value) == 2:
            return None
        return self.value[:-2]

    @property
    def _structured(self) -> bool:
        return self.shape in {IdShape.CODE, IdShape.RULE_B}


def is_device_id(text: str) -> bool:
    """Whether the text is a 20-digit code (ASCII digits only)."""
    return _CODE.fullmatch(text) is not None


def is_region_code(text: str) -> bool:
    """Whether the text has the shape of a division code: 2, 4, 6 or 8 digits."""
    return _REGION.fullmatch(text) is not None


def parse_device_id(text: str) -> DeviceId:
    """Take an identifier a peer sent, of whatever shape.

    Raises:
        RemoteProtocolError: It is empty, too long, or holds a character no SIP user name may have.
    """
    value = text.strip()
    if not value:
        raise RemoteProtocolError("expected an identifier, got an empty text")
    if len(value) > MAX_ID_LENGTH:
        raise RemoteProtocolError(
            f"expected an identifier of at most {MAX_ID_LENGTH} characters, got {len(value)}",
            position=MAX_ID_LENGTH,
        )
    bad = _FORBIDDEN.search(value)
    if bad is not None:
        raise RemoteProtocolError(
            f"identifier {value[:64]!r} holds the character {bad.group()!r}", position=bad.start()
        )
    return DeviceId(value)
