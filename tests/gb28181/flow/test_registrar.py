"""Who gets in, who is slowed, and that nobody can be kept out by others (GB/T 28181 9.1)."""

import pytest

from gb28181.flow.flood import FloodControl, FloodLimits
from gb28181.flow.registrar import (
    Accept,
    Challenge,
    Ignore,
    Refuse,
    RegisterDecision,
    Registrar,
)
from gb28181.sip.build import build_request
from gb28181.sip.digest import Credential, DigestServer, authorize

DEVICE = "34020000001320000001"
OTHER = "34020000001320000002"
REALM = "3402000000"
SERVER = f"sip:34020000002000000001@{REALM}"
SOURCE = ("10.0.0.2", 5060)
ELSEWHERE = ("10.0.0.3", 5060)
LIMITS = FloodLimits(
    pair_slow=3,
    pair_ignore=6,
    pair_leak=0.01,
    host_slow=50,
    host_ignore=100,
    host_leak=1,
    ignore_for=60,
)


class Desk:
    """A registrar, and devices that talk to it."""

    def __init__(self, *, qop: bool = False) -> None:
        self.digest = DigestServer(realm=REALM, secret=b"k" * 32, qop=qop)
        self.flood = FloodControl(LIMITS)
        self.registrar = Registrar(digest=self.digest, flood=self.flood)
        self.known = {DEVICE, OTHER}

    def ask(
        self,
        now: float,
        authorization: str | None = None,
        *,
        device: str = DEVICE,
        source: tuple[str, int] = SOURCE,
    ) -> RegisterDecision:
        name = f"<sip:{device}@{REALM}>"
        request = build_request(
            "REGISTER",
            SERVER,
            via="SIP/2.0/UDP 10.0.0.2:5060;rport;branch=z9hG4bK1",
            from_=f"{name};tag=1",
            to=name,
            call_id="1@10.0.0.2",
            cseq=1,
            headers=[("Contact", f"<sip:{device}@10.0.0.2:5060>"), ("Expires", "3600")],
        )
        if authorization is not None:
            request.headers.add("Authorization", authorization)
        return self.registrar.handle(request, source, self._credential, now)

    def answer(self, challenge: RegisterDecision, password: str, device: str = DEVICE) -> str:
        assert isinstance(challenge, Challenge)
        return authorize(
            [value for name, value in challenge.headers if name == "WWW-Authenticate"],
            method="REGISTER",
            uri=SERVER,
            username=device,
            password=password,
            cnonce="c",
        )

    def register(
        self,
        now: float,
        password: str = "right",
        *,
        device: str = DEVICE,
        source: tuple[str, int] = SOURCE,
    ) -> RegisterDecision:
        """Both exchanges; the decision on the second."""
        challenge = self.ask(now, device=device, source=source)
        answer = self.answer(challenge, password, device)
        return self.ask(now, answer, device=device, source=source)

    def _credential(self, device: str) -> Credential | None:
        if device not in self.known:
            return None
        return Credential.from_password(device, REALM, "right")


def test_a_device_with_the_right_password_registers() -> None:
    decision = Desk().register(0.0)
    assert isinstance(decision, Accept)
    assert decision.expires == 3600
    assert decision.device_id == DEVICE


def test_a_wrong_password_is_refused_then_slowed_then_ignored_for_a_while() -> None:
    desk = Desk()
    seen = [desk.register(0.0, "wrong") for _ in range(9)]
    assert [type(each) for each in seen] == [Refuse] * 6 + [Ignore] * 3
    statuses = [each.status for each in seen if isinstance(each, Refuse)]
    assert statuses == [403] * 3 + [503] * 3
    slowed = seen[4]
    assert isinstance(slowed, Refuse)
    assert ("Retry-After", "60") in slowed.headers
    later = desk.register(61.0, "wrong")
    assert isinstance(later, Refuse)
    assert later.status == 503


def test_requests_without_credentials_keep_nobody_from_its_challenge() -> None:
    desk = Desk()
    for _ in range(40):
        assert isinstance(desk.ask(0.0), Challenge)
    assert isinstance(desk.register(0.0), Accept)


def test_wrong_answers_in_a_devices_name_do_not_keep_it_out() -> None:
    desk = Desk()
    forged = desk.answer(desk.ask(0.0, source=ELSEWHERE), "guess")
    for _ in range(20):
        desk.ask(0.0, forged)
    assert isinstance(desk.ask(0.0, forged), Ignore)
    assert isinstance(desk.register(0.0), Accept)


def test_an_ignored_devices_answer_to_a_nonce_of_somebody_else_is_not_even_checked() -> None:
    desk = Desk()
    foreign = DigestServer(realm=REALM, secret=b"x" * 32)
    challenge = Challenge(foreign.challenge(DEVICE, 0.0), DEVICE, None)
    right = desk.answer(challenge, "right")
    assert isinstance(desk.ask(0.0, right), Challenge)
    for _ in range(8):
        desk.register(0.0, "wrong")
    assert isinstance(desk.ask(0.0, right), Ignore)


def test_stale_nonces_are_no_wrong_answers() -> None:
    desk = Desk()
    used = desk.answer(desk.ask(0.0), "right")
    assert isinstance(desk.ask(0.0, used), Accept)
    for _ in range(10):
        decision = desk.ask(1.0, used)
        assert isinstance(decision, Challenge)
        assert any("stale=true" in value for _, value in decision.headers)


def test_a_flood_from_one_address_spares_devices_that_have_registered_from_it() -> None:
    desk = Desk()
    assert isinstance(desk.register(0.0), Accept)
    for number in range(110):
        desk.ask(1.0, device=f"3402000000132000{number:04}")
    assert isinstance(desk.ask(1.0, device=OTHER), Ignore)
    assert isinstance(desk.register(1.0), Accept)


def test_a_right_answer_to_an_earlier_challenge_counts_even_from_an_ignored_address() -> None:
    desk = Desk()
    challenge = desk.ask(0.0, device=OTHER)
    for number in range(110):
        desk.ask(0.0, device=f"3402000000132000{number:04}")
    decision = desk.ask(0.5, desk.answer(challenge, "right", OTHER), device=OTHER)
    assert isinstance(decision, Accept)


def test_from_a_slowed_address_challenges_go_on_and_wrong_answers_get_503() -> None:
    desk = Desk()
    for number in range(60):
        desk.ask(0.0, device=f"3402000000132000{number:04}")
    decision = desk.register(0.0, "wrong", device=OTHER)
    assert isinstance(decision, Refuse)
    assert decision.status == 503


def test_many_devices_behind_one_address_do_not_ban_each_other() -> None:
    desk = Desk()
    devices = [f"3402000000132000{number:04}" for number in range(400)]
    desk.known.update(devices)
    for device in devices:
        assert isinstance(desk.register(0.0, device=device), Accept)
    for _ in range(20):
        desk.register(0.0, "wrong")
    assert all(isinstance(desk.register(0.0, device=device), Accept) for device in devices)


@pytest.mark.parametrize("password", ["", "right", "0"])
def test_an_unknown_device_is_challenged_and_refused_whatever_it_answers(password: str) -> None:
    desk = Desk()
    decision = desk.register(0.0, password, device="34020000001320009999")
    assert isinstance(decision, Refuse)
    assert decision.status == 403
    assert desk.digest.remembered() == 0


def test_nobody_can_compute_the_answer_of_a_device_that_does_not_exist() -> None:
    one, other = (DigestServer(realm=REALM, secret=secret * 32).decoy() for secret in (b"a", b"b"))
    for algorithm in ("MD5", "SHA-256"):
        assert one.ha1[algorithm] != other.ha1[algorithm]
        assert set(one.ha1[algorithm]) != {"0"}
