"""Single values of a policy: each function takes a text and returns it, or says what was expected."""

import re

from gateway.domain.device import ChannelKind
from gateway.domain.policy import Action, Role
from gb28181.errors import RemoteProtocolError
from gb28181.ids import is_device_id, is_region_code, parse_device_id

__all__ = [
    "action",
    "channel_code",
    "civil_prefix",
    "device_code",
    "gateway_code",
    "grassroots_prefix",
    "group_code",
    "industry",
    "kind",
    "name",
    "network",
    "pattern",
    "platform_pattern",
    "point_type",
    "role",
    "rule_id",
    "user_types",
    "zone",
]

_RULE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_USER_TYPES = re.compile(r"([0-9]{3})(?:\s*-\s*([0-9]{3}))?")


def rule_id(text: str) -> str:
    """An id: Latin letters, digits, `_`, `.`, `-`, at most 64."""
    return _fits(_RULE_ID, text, "an id of letters, digits, '_', '.' and '-'")


def name(text: str) -> str:
    """A department, key or user without `*` and `?`."""
    if "*" in text or "?" in text:
        raise ValueError(f"expected a name without '*' and '?', got {text!r}")
    return text


def pattern(text: str) -> str:
    """A name, or a pattern with `*` and `?`."""
    return text


def zone(text: str) -> str:
    """A network zone, as configured for platforms and keys."""
    return name(text)


def platform_pattern(text: str) -> str:
    """A platform's 20-digit code, or a pattern of digits such as `3713*`."""
    if "*" in text or "?" in text:
        return _fits(
            re.compile(r"[0-9*?]{1,20}"), text, "a 20-digit code or digits with '*' and '?'"
        )
    return _device_id(text, "a platform's 20-digit code or digits with '*'")


def gateway_code(text: str) -> str:
    """Code of a signalling gateway (type 211) or platform (200)."""
    code = _device_id(text, "a gateway's 20-digit code")
    if code[10:13] not in {"200", "211"}:
        raise ValueError(
            f"expected a gateway's code (type 211 or 200 in digits 11-13), got {text!r}"
        )
    return code


def channel_code(text: str) -> str:
    """A channel's code, alone or behind its device's: `DEVICE/CHANNEL`."""
    device, slash, channel = text.partition("/")
    if slash:
        return f"{_identifier(device)}/{_identifier(channel)}"
    return _identifier(device)


def device_code(text: str) -> str:
    """A device's code."""
    return _identifier(text)


def group_code(text: str) -> str:
    """Code of a business group (type 215) or virtual organisation (216)."""
    code = _device_id(text, "a group's 20-digit code")
    if code[10:13] not in {"215", "216"}:
        raise ValueError(
            f"expected a business group or organisation (type 215 or 216 in digits 11-13), got {text!r}"
        )
    return code


def civil_prefix(text: str) -> str:
    """Beginning of a division code."""
    return _fits(re.compile(r"(?:[0-9]{2}){1,4}"), text, "2, 4, 6 or 8 digits of a division code")


def grassroots_prefix(text: str) -> str:
    """Beginning of a grass-roots code: three digits of township, three of village."""
    return _fits(re.compile(r"[0-9]{1,6}"), text, "1 to 6 digits of a grass-roots code")


def industry(text: str) -> str:
    """Digits 9-10 of a code."""
    return _fits(re.compile("[0-9]{2}"), text, "two digits, 9 and 10 of a code")


def network(text: str) -> str:
    """Digit 14 of a code."""
    return _fits(re.compile("[0-9]"), text, "one digit, the 14th of a code")


def point_type(text: str) -> str:
    """Class of a point."""
    return _one_of(text, ("1", "2", "3", "9"))


def kind(text: str) -> str:
    """Kind of a catalogue item."""
    return _one_of(text, tuple(ChannelKind))


def role(text: str) -> str:
    """Role of our own people."""
    return _one_of(text, tuple(Role))


def action(text: str) -> Action:
    """An action."""
    return Action(_one_of(text, tuple(Action)))


def user_types(text: str) -> tuple[int, int]:
    """A type code of users or a range of them: `300`, `300-343`."""
    parsed = _USER_TYPES.fullmatch(text)
    first, last = (parsed[1], parsed[2] or parsed[1]) if parsed else ("1", "0")
    if int(first) > int(last):
        raise ValueError(f'expected a type code or a rising range such as "300-343", got {text!r}')
    return int(first), int(last)


def _identifier(text: str) -> str:
    digits = sum(character.isdigit() for character in text)
    # Vendors ship codes of any shape, but one that is nearly all digits is a mistyped code.
    mistyped = digits * 4 >= len(text) * 3 and not (
        is_device_id(text) or is_region_code(text) or re.fullmatch("[0-9]{18}", text)
    )
    if mistyped or "*" in text:
        raise ValueError(f"expected a 20-digit code, got {text!r} ({len(text)} characters)")
    try:
        if parse_device_id(text).value != text:
            raise ValueError(f"expected a code without spaces, got {text!r}")
    except RemoteProtocolError as exc:
        raise ValueError(f"expected a code, got {text!r}: {exc}") from exc
    return text


def _device_id(text: str, expected: str) -> str:
    if not is_device_id(text):
        raise ValueError(f"expected {expected}, got {text!r} ({len(text)} characters)")
    return text


def _fits(shape: re.Pattern[str], text: str, expected: str) -> str:
    if shape.fullmatch(text) is None:
        raise ValueError(f"expected {expected}, got {text!r}")
    return text


def _one_of(text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        raise ValueError(f"expected one of {', '.join(allowed)}, got {text!r}")
    return text
