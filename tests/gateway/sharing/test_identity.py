"""Which identities of users are believed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.platform import PlatformConfig
from gateway.domain.policy import Subject
from gateway.sharing.identity import IdentityGate, IdentityRefused, subject_of
from gateway.sharing.policy.model import IdentityRules, Policy
from gb28181.flow.identity import MonitorIdentity, parse_monitor_identity

OWN = "37132600002000000001"
UPPER = "37130000002000000001"
GATE = "37130000002110000001"
FAR = "37000000002110000001"
USER = "37000000003010000007-市局-科长"
CONFIG = PlatformConfig(platform_id=UPPER)


def _gate(**rules: object) -> IdentityGate:
    policy = Policy(identity=IdentityRules(**rules))  # type: ignore[arg-type]
    return IdentityGate(OWN, lambda: policy)


def _refusal(
    gate: IdentityGate, value: str | None, config: PlatformConfig = CONFIG
) -> tuple[str, int]:
    with pytest.raises(IdentityRefused) as caught:
        gate.check(config, value)
    assert caught.value.detail
    return caught.value.code, caught.value.status


def test_a_request_without_identity_is_the_platform_s_own_unless_one_is_demanded() -> None:
    assert _gate().check(CONFIG, None) is None
    assert subject_of(CONFIG, None) == Subject(platform=UPPER)
    demanding = replace(CONFIG, require_identity=True)
    assert _refusal(_gate(), None, demanding) == ("identity_required", 403)
    assert _refusal(_gate(required=True), None) == ("identity_required", 403)
    assert _gate(required=True).check(CONFIG, f"{UPPER}-{USER}") is not None


def test_an_identity_becomes_part_of_the_subject() -> None:
    identity = _gate().check(CONFIG, f"{UPPER}-{FAR}-{USER}")
    assert identity == MonitorIdentity((UPPER, FAR), USER)
    assert subject_of(CONFIG, identity) == Subject(
        platform=UPPER, identity=USER, gateways=(UPPER, FAR)
    )


def test_a_name_in_another_charset_becomes_text_that_can_be_recorded() -> None:
    raw = USER.encode("gb18030").decode("utf-8", "surrogateescape")
    identity = _gate().check(CONFIG, f"{UPPER}-{raw}")
    assert subject_of(CONFIG, identity).identity == USER


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-",
        USER,
        UPPER,
        f"{UPPER}-",
        f"-{UPPER}-{USER}",
        f"3713000000200000000-{USER}",
        f"37130000001320000001-{USER}",
        f"{UPPER}-user\r\nVia: x",
        f"{UPPER}-user\x00",
        f"{UPPER}-" + "x" * 2000,
        "-".join(f"3713000000200{n:07}" for n in range(40)) + "-u",
    ],
)
def test_a_malformed_identity_is_refused(value: str) -> None:
    assert _refusal(_gate(), value) == ("identity_malformed", 400)


def test_an_identity_that_came_through_us_or_twice_through_anybody_is_a_loop() -> None:
    assert _refusal(_gate(), f"{UPPER}-{OWN}-{USER}") == ("identity_loop", 482)
    assert _refusal(_gate(), f"{UPPER}-{FAR}-{FAR}-{USER}") == ("identity_loop", 482)
    other_name = replace(CONFIG, local_id="37132600002000000099")
    assert _refusal(_gate(), f"{UPPER}-37132600002000000099-{USER}", other_name) == (
        "identity_loop",
        482,
    )


def test_an_identity_may_come_through_a_limited_number_of_gateways() -> None:
    gate = _gate(max_hops=2)
    assert gate.check(CONFIG, f"{UPPER}-{FAR}-{USER}") is not None
    assert _refusal(gate, f"{UPPER}-{GATE}-{FAR}-{USER}") == ("identity_hops", 483)


def test_without_a_list_the_platform_answers_for_what_it_passes_on() -> None:
    assert _gate().check(CONFIG, f"{UPPER}-{FAR}-{USER}") is not None
    assert _refusal(_gate(), f"{GATE}-{USER}") == ("identity_untrusted", 403)
    assert _refusal(_gate(), f"{GATE}-{UPPER}-{USER}") == ("identity_untrusted", 403)
    assert _gate(trusted_gateways=frozenset({GATE})).check(CONFIG, f"{GATE}-{USER}") is not None


def test_with_a_list_every_gateway_on_the_way_must_be_on_it() -> None:
    listed = replace(CONFIG, trusted_gateways=(GATE,))
    assert _gate().check(listed, f"{UPPER}-{GATE}-{USER}") is not None
    assert _refusal(_gate(), f"{UPPER}-{FAR}-{USER}", listed) == ("identity_untrusted", 403)
    gate = _gate(trusted_gateways=frozenset({FAR}))
    assert gate.check(listed, f"{UPPER}-{GATE}-{FAR}-{USER}") is not None


def test_users_are_opaque_unless_types_are_demanded() -> None:
    assert _gate().check(CONFIG, f"{UPPER}-wang") is not None
    gate = _gate(user_types=((300, 343), (400, 443)))
    assert gate.check(CONFIG, f"{UPPER}-{USER}") is not None
    for user in ("wang", "37000000001320000007", "37000000003990000007"):
        assert _refusal(gate, f"{UPPER}-{user}") == ("identity_user", 403)


def test_our_code_is_put_in_front_of_what_goes_on() -> None:
    gate = _gate()
    identity = gate.check(CONFIG, f"{UPPER}-{USER}")
    assert gate.onward(identity, UPPER) == MonitorIdentity((OWN, UPPER), USER)
    assert gate.onward(None, UPPER) == MonitorIdentity((OWN,), UPPER)
    assert parse_monitor_identity(f"{OWN}-{UPPER}") == MonitorIdentity((OWN,), UPPER)
    with pytest.raises(IdentityRefused) as caught:
        gate.onward(MonitorIdentity((UPPER, OWN), USER), UPPER)
    assert (caught.value.code, caught.value.status) == ("identity_loop", 482)
    far = tuple(f"3713000000200{n:07}" for n in range(16))
    with pytest.raises(IdentityRefused) as caught:
        gate.onward(MonitorIdentity(far, USER), UPPER)
    assert (caught.value.code, caught.value.status) == ("identity_hops", 483)


@given(st.text(max_size=80) | st.text("0123456789-", max_size=120).map(lambda t: f"{UPPER}-{t}"))
def test_whatever_is_written_is_either_believed_from_the_platform_itself_or_refused(
    value: str,
) -> None:
    try:
        identity = _gate().check(CONFIG, value)
    except IdentityRefused as refused:
        assert refused.status in {400, 403, 482, 483}  # noqa: PT017 - either is right
    else:
        assert identity is not None
        assert identity.latest == UPPER
        assert OWN not in identity.gateways


def test_whoever_is_no_gateway_by_its_code_writes_no_identity() -> None:
    access_gateway = "37132600002090000001"
    gate = IdentityGate(access_gateway, Policy)
    assert gate.onward(None, UPPER) is None
    assert gate.onward(MonitorIdentity((UPPER,), USER), UPPER) is None
