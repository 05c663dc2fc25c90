"""Identifiers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import RemoteProtocolError
from gb28181.ids import (
    DeviceId,
    IdKind,
    IdShape,
    is_device_id,
    is_region_code,
    kind_of,
    parse_device_id,
)
from gb28181.limits import MAX_ID_LENGTH

PLATFORM = DeviceId("37132600002000000001")


def test_segments_of_a_20_digit_code_are_read_by_position() -> None:
    device = DeviceId("37132601071325000042")
    assert device.shape is IdShape.CODE
    assert device.civil == "37132601"
    assert device.industry == 7
    assert device.type_code == 132
    assert device.network == 5
    assert device.serial == "000042"
    assert device.domain == "3713260107"


@pytest.mark.parametrize(
    ("value", "digits"),
    [("13010000002000000001", "10000"), ("37132600002000000001", "32600")],
)
def test_the_standards_two_examples_of_ssrc_domain_digits(value: str, digits: str) -> None:
    assert DeviceId(value).ssrc_digits == digits


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (111, IdKind.MAIN_DEVICE),
        (118, IdKind.MAIN_DEVICE),
        (130, IdKind.MAIN_DEVICE),
        (131, IdKind.CAMERA),
        (132, IdKind.CAMERA),
        (133, IdKind.DISPLAY),
        (134, IdKind.ALARM_INPUT),
        (135, IdKind.ALARM_OUTPUT),
        (136, IdKind.VOICE_INPUT),
        (137, IdKind.VOICE_OUTPUT),
        (138, IdKind.MOBILE),
        (139, IdKind.PERIPHERAL),
        (140, IdKind.ALARM_OUTPUT),
        (142, IdKind.ACCESS_CONTROL),
        (199, IdKind.PERIPHERAL),
        (200, IdKind.PLATFORM),
        (214, IdKind.PLATFORM),
        (215, IdKind.BUSINESS_GROUP),
        (216, IdKind.ORGANISATION),
        (217, IdKind.PLATFORM),
        (300, IdKind.USER),
        (499, IdKind.USER),
        (502, IdKind.EXTERNAL_SERVER),
        (0, IdKind.UNKNOWN),
        (600, IdKind.UNKNOWN),
        (None, IdKind.UNKNOWN),
    ],
)
def test_type_codes_name_kinds(code: int | None, kind: IdKind) -> None:
    assert kind_of(code) is kind


@pytest.mark.parametrize(
    ("value", "parent"),
    [("37132601", "371326"), ("371326", "3713"), ("3713", "37"), ("37", None)],
)
def test_division_codes_form_a_tree_by_prefix(value: str, parent: str | None) -> None:
    region = DeviceId(value)
    assert region.shape is IdShape.REGION
    assert region.kind is IdKind.REGION
    assert region.civil == value
    assert region.type_code is None
    assert region.parent_region == parent


def test_rule_b_codes_have_a_centre_and_an_industry_but_no_type() -> None:
    old = DeviceId("371326000200000160")
    assert old.shape is IdShape.RULE_B
    assert (old.civil, old.industry, old.type_code) == ("37132600", 2, None)
    assert old.kind is IdKind.UNKNOWN


@pytest.mark.parametrize("value", ["camera-1", "123", "3713260000200000000", "1" * 21])
def test_other_user_names_are_opaque(value: str) -> None:
    device = parse_device_id(value)
    assert device.shape is IdShape.OPAQUE
    assert (device.civil, device.industry, device.network, device.serial) == (None,) * 4
    assert (device.domain, device.ssrc_digits, device.parent_region) == (None,) * 3


def test_digits_of_other_scripts_are_not_digits() -> None:
    assert not is_device_id("\u0663" * 20)
    assert not is_region_code("\uff13\uff17")


def test_white_space_around_an_identifier_is_dropped() -> None:
    assert parse_device_id(f" {PLATFORM}\r\n") == PLATFORM


@pytest.mark.parametrize(
    "text", ["", "  ", "a b", "a@b", "<x>", "a\x00b", "1" * (MAX_ID_LENGTH + 1)]
)
def test_what_cannot_be_a_sip_user_name_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_device_id(text)


@given(st.text())
def test_any_text_is_an_identifier_or_the_documented_error(text: str) -> None:
    try:
        device = parse_device_id(text)
    except RemoteProtocolError:
        return
    assert device.value == text.strip()
    assert parse_device_id(str(device)) == device
    assert isinstance(device.kind, IdKind)
