"""Type codes, digits 11-13 of the 20-digit code (GB/T 28181-2022 E.1; 2011-2016 D.1)."""

import enum

__all__ = ["IdKind", "kind_of"]


class IdKind(enum.Enum):
    """What an identifier names, as far as its digits tell."""

    MAIN_DEVICE = "main_device"
    """111-130: recorders, encoders, checkpoints; they register by SIP."""
    CAMERA = "camera"
    """131 camera, 132 network camera."""
    DISPLAY = "display"
    ALARM_INPUT = "alarm_input"
    ALARM_OUTPUT = "alarm_output"
    VOICE_INPUT = "voice_input"
    VOICE_OUTPUT = "voice_output"
    MOBILE = "mobile"
    """138 mobile transmission device."""
    ACCESS_CONTROL = "access_control"
    """141 barrier gate, 142 smart door, 143 credential reader (2022)."""
    PERIPHERAL = "peripheral"
    """139 and the extended peripheral types 144-199."""
    PLATFORM = "platform"
    """200-299 but 215 and 216; 200 is a SIP platform itself."""
    BUSINESS_GROUP = "business_group"
    ORGANISATION = "organisation"
    USER = "user"
    """300-499: centre and terminal users."""
    EXTERNAL_SERVER = "external_server"
    """500-599."""
    REGION = "region"
    """An administrative division: 2, 4, 6 or 8 digits instead of 20."""
    UNKNOWN = "unknown"
    """Types nobody assigned (000-110, 600-999), and identifiers of another shape."""


_SINGLE = {
    131: IdKind.CAMERA,
    132: IdKind.CAMERA,
    133: IdKind.DISPLAY,
    134: IdKind.ALARM_INPUT,
    135: IdKind.ALARM_OUTPUT,
    136: IdKind.VOICE_INPUT,
    137: IdKind.VOICE_OUTPUT,
    138: IdKind.MOBILE,
    140: IdKind.ALARM_OUTPUT,
    141: IdKind.ACCESS_CONTROL,
    142: IdKind.ACCESS_CONTROL,
    143: IdKind.ACCESS_CONTROL,
    215: IdKind.BUSINESS_GROUP,
    216: IdKind.ORGANISATION,
}
_RANGES = (
    (range(111, 131), IdKind.MAIN_DEVICE),
    (range(131, 200), IdKind.PERIPHERAL),
    (range(200, 300), IdKind.PLATFORM),
    (range(300, 500), IdKind.USER),
    (range(500, 600), IdKind.EXTERNAL_SERVER),
)


def kind_of(type_code: int | None) -> IdKind:
    """Return what a type code names; `UNKNOWN` for None and for unassigned codes."""
    if type_code is None:
        return IdKind.UNKNOWN
    single = _SINGLE.get(type_code)
    if single is not None:
        return single
    for codes, kind in _RANGES:
        if type_code in codes:
            return kind
    return IdKind.UNKNOWN
