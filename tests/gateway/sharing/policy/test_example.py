"""The example that people begin with says what it claims to say."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from gateway.domain.device import ChannelKind
from gateway.domain.policy import Action, Subject
from gateway.domain.selector import ChannelFacts
from gateway.sharing.policy.engine import Engine
from gateway.sharing.policy.load import load_policy
from gateway.sharing.policy.window import CHINA
from tests.support.policy import ADMIN, CITY, MONDAY, context

EXAMPLE = Path(__file__).parents[4] / "conf/policy.example.toml"
STREET = ChannelFacts(
    device_id="37132600001110000001",
    channel_id="37132600001320000001",
    kind=ChannelKind.CAMERA,
    civil_code="371326",
    industry="00",
    network="0",
    point_type="1",
)
SCHOOL = replace(STREET, channel_id="37132600111320000002", industry="11", point_type="2")
CHECKPOINT = replace(STREET, groups=frozenset({"37132600002150000003"}))
GOVERNMENT = {"zone": "government"}
URBAN = Subject(department="urban", key="k1")
WANG = replace(CITY, identity="37130000003000000001-wang", gateways=("37130000002110000001",))


@pytest.fixture(scope="module")
def example() -> Engine:
    return Engine.of(load_policy(EXAMPLE.read_bytes(), source=str(EXAMPLE)))


def test_the_example_is_valid_without_remarks_and_shows_every_key(example: Engine) -> None:
    assert example.policy.policy.remarks == ()
    text = EXAMPLE.read_text()
    for key in (
        *("channels", "devices", "civil_codes", "grassroots", "groups", "point_types"),
        *("industries", "networks", "tags", "kinds", "platforms", "departments", "keys", "users"),
        *("roles", "identities", "user_types", "gateways", "any", "outside", "valid_from"),
        *("valid_to", "windows", "zones", "max_streams", "purpose_required", "ticket_required"),
        *("identity_required", "sub_stream", "mask_name", "mask_position", "notify_owner"),
        *("max_hops", "trusted_gateways", "required", "unknown", *Action, *ChannelKind),
    ):
        assert key in text


@pytest.mark.parametrize(
    ("subject", "action", "channel", "circumstances", "expected"),
    [
        (CITY, Action.LIVE, STREET, GOVERNMENT, ("city-live", "allowed")),
        (CITY, Action.LIVE, STREET, {"zone": "internet"}, ("builtin:boundary", "zone")),
        (CITY, Action.LIVE, replace(STREET, network=""), {}, ("builtin:boundary", "zone")),
        (
            CITY,
            Action.LIVE,
            STREET,
            {**GOVERNMENT, "streams": 50},
            ("city-live", "too_many_streams"),
        ),
        (CITY, Action.LIVE, replace(STREET, secrecy=1), GOVERNMENT, ("builtin:secrecy", "secrecy")),
        (CITY, Action.PLAYBACK, STREET, GOVERNMENT, ("", "no_rule")),
        (CITY, Action.PTZ, STREET, GOVERNMENT, ("", "no_rule")),
        (WANG, Action.PTZ, STREET, GOVERNMENT, ("city-ptz", "allowed")),
        (CITY, Action.CATALOG, SCHOOL, GOVERNMENT, ("schools-closed", "denied")),
        (CITY, Action.CONFIG, STREET, GOVERNMENT, ("no-config-outside", "denied")),
        (URBAN, Action.LIVE, STREET, GOVERNMENT, ("urban-live", "purpose_required")),
        (URBAN, Action.LIVE, STREET, {**GOVERNMENT, "purpose": "巡查"}, ("urban-live", "allowed")),
        (URBAN, Action.CATALOG, STREET, GOVERNMENT, ("urban-live", "allowed")),
        (URBAN, Action.CATALOG, STREET, {"zone": "video-private"}, ("urban-live", "zone")),
        (URBAN, Action.LIVE, SCHOOL, {**GOVERNMENT, "purpose": "x"}, ("schools-closed", "denied")),
        (
            Subject(department="police"),
            Action.LIVE,
            SCHOOL,
            GOVERNMENT,
            ("schools-own", "ticket_required"),
        ),
        (
            Subject(department="education"),
            Action.LIVE,
            SCHOOL,
            {**GOVERNMENT, "ticket": "T1"},
            ("schools-own", "allowed"),
        ),
        (ADMIN, Action.CONFIG, STREET, {}, ("builtin:local-admin", "allowed")),
        (ADMIN, Action.DOWNLOAD, CHECKPOINT, {}, ("checkpoints-stay", "denied")),
    ],
)
def test_the_example_decides_as_its_comments_say(
    example: Engine,
    subject: Subject,
    action: Action,
    channel: ChannelFacts,
    circumstances: dict[str, object],
    expected: tuple[str, str],
) -> None:
    asked = context(**circumstances)  # type: ignore[arg-type]
    decision = example.decide(subject, action, example.profile(channel), asked)
    assert (decision.rule, decision.reason) == expected


def test_the_urban_department_gets_masked_sub_streams_until_its_window_closes(
    example: Engine,
) -> None:
    asked = context(MONDAY, zone="government", purpose="x")
    decision = example.decide(URBAN, Action.LIVE, example.profile(STREET), asked)
    assert decision.obligations.sub_stream
    assert decision.obligations.mask_name == "街面监控"
    assert decision.until == datetime(2026, 11, 23, 18, 30, tzinfo=CHINA)


def test_the_example_names_owners_and_demands_of_identities(example: Engine) -> None:
    assert example.policy.owners(example.profile(SCHOOL).facts) == ("education",)
    assert example.policy.owners(example.profile(STREET).facts) == ("police",)
    assert example.policy.policy.identity.user_types == ((200, 200), (300, 343), (400, 443))
