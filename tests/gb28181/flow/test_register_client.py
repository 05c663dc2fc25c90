"""Registration and keepalive from the device's side (GB/T 28181 9.1, 9.6)."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.flow.register_client import (
    Event,
    Offline,
    Online,
    RegisterClient,
    RegisterClientConfig,
    RegisterClientState,
    RegistrationFailed,
    SendKeepalive,
    SendRegister,
    Stopped,
)
from gb28181.sip.message import Headers, Response

DEVICE = "34020000001180000001"
CONTACT = f"sip:{DEVICE}@192.0.2.9:5060"
CHALLENGE = 'Digest realm="3402000000", nonce="abc"'


def config(**changes: object) -> RegisterClientConfig:
    values: dict[str, object] = {
        "device_id": DEVICE,
        "server_id": "34020000002000000001",
        "domain": "3402000000",
        "password": "12345678",
    }
    return RegisterClientConfig(**(values | changes))  # type: ignore[arg-type]


def client(*, fraction: float = 0.0, **changes: object) -> RegisterClient:
    tokens = itertools.count()
    return RegisterClient(
        config(**changes),
        new_token=lambda: f"token{next(tokens)}",
        new_fraction=lambda: fraction,
    )


def events(register_client: RegisterClient) -> list[Event]:
    return list(iter(register_client.next_event, None))


def answer(status: int, *headers: tuple[str, str]) -> Response:
    return Response(status, "Reason", Headers(headers), b"")


def challenge(*extra: str) -> Response:
    return answer(401, ("WWW-Authenticate", CHALLENGE + "".join(f", {part}" for part in extra)))


def register(register_client: RegisterClient, now: float = 0.0, expires: str = "86400") -> None:
    register_client.start(now, contact=CONTACT)
    register_client.receive_register_response(challenge(), now)
    register_client.receive_register_response(answer(200, ("Expires", expires)), now)
    events(register_client)


def header(event: Event, name: str) -> str | None:
    assert isinstance(event, SendRegister)
    return dict(event.headers).get(name)


def test_the_first_register_carries_no_credentials() -> None:
    device = client()
    device.start(0.0, contact=CONTACT)

    (first,) = events(device)
    assert isinstance(first, SendRegister)
    assert (first.cseq, first.uri) == (1, "sip:34020000002000000001@3402000000")
    assert first.address == f"<sip:{DEVICE}@3402000000>"
    assert dict(first.headers) == {
        "Contact": f"<{CONTACT}>",
        "Expires": "86400",
        "X-GB-Ver": "2.0",
    }


def test_a_challenge_is_answered_in_the_same_call_with_the_next_cseq() -> None:
    device = client()
    device.start(0.0, contact=CONTACT)
    (first,) = events(device)
    device.receive_register_response(challenge(), 0.1)

    (second,) = events(device)
    assert isinstance(first, SendRegister)
    assert isinstance(second, SendRegister)
    assert (second.call_id, second.from_tag) == (first.call_id, first.from_tag)
    assert second.cseq == 2
    authorization = header(second, "Authorization")
    assert authorization is not None
    assert f'username="{DEVICE}"' in authorization
    assert 'uri="sip:34020000002000000001@3402000000"' in authorization
    assert "12345678" not in authorization


def test_registered_once_the_server_grants_it_and_refreshed_before_it_expires() -> None:
    device = client(keepalive_interval=None)
    device.start(0.0, contact=CONTACT)
    device.receive_register_response(challenge(), 0.1)
    events(device)
    device.receive_register_response(answer(200, ("Expires", "3600")), 0.2)

    assert events(device) == [Online(3600.0)]
    assert device.is_online
    assert device.next_timer() == pytest.approx(0.2 + 0.8 * 3600)
    device.handle_timer(3000.0)
    (refresh,) = events(device)
    assert isinstance(refresh, SendRegister)
    assert refresh.cseq == 3
    assert header(refresh, "Authorization") is None


def test_a_refresh_keeps_the_registration_on_line_and_the_call_id() -> None:
    device = client(keepalive_interval=None)
    device.start(0.0, contact=CONTACT)
    (first,) = events(device)
    register(device)
    device.refresh(10.0)
    (refresh,) = events(device)
    device.receive_register_response(challenge(), 10.1)
    (authorized,) = events(device)
    device.receive_register_response(answer(200, ("Expires", "86400")), 10.2)

    assert isinstance(first, SendRegister)
    assert isinstance(refresh, SendRegister)
    assert isinstance(authorized, SendRegister)
    assert refresh.call_id == authorized.call_id
    assert events(device) == []
    assert device.is_online


def test_firmware_that_never_answers_a_refresh_challenge_believes_to_be_registered() -> None:
    device = client(answer_refresh_challenge=False)
    register(device)
    device.refresh(10.0)
    events(device)
    device.receive_register_response(challenge(), 10.1)

    assert events(device) == []
    assert device.state is RegisterClientState.REGISTERED


def test_a_wrong_password_ends_the_try_after_one_answer_and_waits() -> None:
    device = client(fraction=0.5)
    device.start(0.0, contact=CONTACT)
    device.receive_register_response(challenge(), 0.0)
    events(device)
    device.receive_register_response(challenge(), 1.0)

    (failed,) = events(device)
    assert failed == RegistrationFailed(401, "REGISTER answered 401 Reason", 90.0, authorized=True)
    assert device.next_timer() == 91.0
    device.handle_timer(91.0)
    (again,) = events(device)
    assert header(again, "Authorization") is None


@pytest.mark.parametrize(
    ("answered", "granted"),
    [
        (("Expires", "0"), 86_400.0),
        (("Expires", "1"), 60.0),
        (("Expires", "3600"), 3600.0),
        (("Expires", "1000000000"), 86_400.0),
        (("Expires", "soon"), 86_400.0),
        (("Contact", f"<{CONTACT}>;expires=1800"), 1800.0),
        (("Contact", f"<{CONTACT}>;expires=99999999999999999999"), 86_400.0),
        (("Contact", f'<{CONTACT}>;expires="18'), 86_400.0),
    ],
)
def test_absurd_grants_are_taken_at_the_limits(answered: tuple[str, str], granted: float) -> None:
    device = client(min_granted=60.0, max_granted=86_400.0, keepalive_interval=None)
    device.start(0.0, contact=CONTACT)
    events(device)
    device.receive_register_response(answer(200, answered), 0.0)

    assert device.granted == granted
    assert events(device) == [Online(granted)]
    assert device.next_timer() == pytest.approx(0.8 * granted)


def test_the_digest_user_may_differ_from_the_identity() -> None:
    device = client(username="shared")
    device.start(0.0, contact=CONTACT)
    device.receive_register_response(challenge(), 0.0)

    _, second = events(device)
    assert 'username="shared"' in (header(second, "Authorization") or "")
    assert isinstance(second, SendRegister)
    assert second.address == f"<sip:{DEVICE}@3402000000>"


def test_an_owner_that_retries_by_itself_is_told_all_it_needs_and_no_timer_runs() -> None:
    device = client(retries=False, keepalive_interval=None)
    device.start(0.0, contact=CONTACT)
    device.receive_register_response(
        answer(302, ("Contact", "<sip:34020000002000000009@192.0.2.9:5060>")), 0.0
    )
    events_ = events(device)
    assert events_[-1] == RegistrationFailed(
        302,
        "REGISTER answered 302 Reason",
        0.0,
        contacts=("<sip:34020000002000000009@192.0.2.9:5060>",),
    )
    assert device.next_timer() is None

    device.start(1.0, contact=CONTACT)
    device.receive_register_response(answer(503, ("Retry-After", "300")), 1.0)
    assert events(device)[-1] == RegistrationFailed(503, "REGISTER answered 503 Reason", 300.0)
    assert device.next_timer() is None


def test_a_server_that_always_wants_a_longer_expiry_is_given_up() -> None:
    device = client()
    device.start(0.0, contact=CONTACT)
    sent = 0
    for number in range(10):
        sent += sum(isinstance(event, SendRegister) for event in events(device))
        device.receive_register_response(answer(423, ("Min-Expires", str(90_000 + number))), 0.0)

    assert sent == 4
    assert device.state is RegisterClientState.WAITING


def test_late_timers_do_not_make_keepalives_drift_and_a_standstill_makes_no_burst() -> None:
    device = client(expires=10**6)
    register(device, 0.0, "1000000")
    for number in range(1, 51):
        device.handle_timer(number * 60.0 + 0.5)
        assert len(events(device)) == 1
    assert device.next_timer() == 51 * 60.0

    device.handle_timer(10_000.0)
    assert events(device) == [SendKeepalive(51)]
    assert device.next_timer() == 10_020.0


@pytest.mark.parametrize("stale", ["stale=true", 'stale="TRUE"', "stale = true"])
def test_an_expired_nonce_is_replaced_once(stale: str) -> None:
    device = client()
    device.start(0.0, contact=CONTACT)
    device.receive_register_response(challenge(), 0.0)
    device.receive_register_response(challenge(stale), 0.1)

    assert [header(event, "Authorization") is not None for event in events(device)] == [
        False,
        True,
        True,
    ]
    device.receive_register_response(challenge("stale=true"), 0.2)
    (failed,) = events(device)
    assert isinstance(failed, RegistrationFailed)


@pytest.mark.parametrize("text", ["stale=false", 'opaque="stale=true"', "stale"])
def test_a_second_challenge_that_is_not_stale_is_a_refusal(text: str) -> None:
    device = client()
    device.start(0.0, contact=CONTACT)
    device.receive_register_response(challenge(), 0.0)
    events(device)
    device.receive_register_response(challenge(text), 0.1)
    (failed,) = events(device)
    assert isinstance(failed, RegistrationFailed)
    assert (failed.status, failed.authorized) == (401, True)


@pytest.mark.parametrize(
    "bad",
    [answer(401), answer(401, ("WWW-Authenticate", 'Digest realm="x", nonce="y", algorithm=SM9'))],
)
def test_a_challenge_that_cannot_be_answered_fails_the_try(bad: Response) -> None:
    device = client()
    device.start(0.0, contact=CONTACT)
    events(device)
    device.receive_register_response(bad, 0.0)

    (failed,) = events(device)
    assert isinstance(failed, RegistrationFailed)
    assert failed.status == 401


def test_the_least_retry_delay_is_sixty_seconds_and_the_spread_doubles_it_at_most() -> None:
    delays = []
    for fraction in (0.0, 0.999):
        device = client(fraction=fraction)
        device.start(0.0, contact=CONTACT)
        device.register_failed(0.0, "no answer for 32 s")
        delays.append(device.next_timer())

    assert delays[0] == 60.0
    assert delays[1] == pytest.approx(119.94)


def test_a_busy_server_names_the_wait() -> None:
    device = client()
    device.start(0.0, contact=CONTACT)
    device.receive_register_response(answer(503, ("Retry-After", "7 (busy)")), 0.0)

    assert device.next_timer() == 7.0


def test_a_too_short_expiry_is_raised_to_the_servers_minimum() -> None:
    device = client(expires=600)
    device.start(0.0, contact=CONTACT)
    events(device)
    device.receive_register_response(answer(423, ("Min-Expires", "3600")), 0.0)

    (again,) = events(device)
    assert header(again, "Expires") == "3600"
    device.receive_register_response(answer(423, ("Min-Expires", "3600")), 0.0)
    (failed,) = events(device)
    assert isinstance(failed, RegistrationFailed)


def test_keepalives_follow_at_their_interval_and_answered_ones_count_no_miss() -> None:
    device = client()
    register(device)
    for number in range(1, 10):
        device.handle_timer(60.0 * number)
        assert events(device) == [SendKeepalive(number)]
        if number % 3:
            device.keepalive_failed(60.0 * number + 32, "no answer for 32 s")
        else:
            device.keepalive_answered(200, 60.0 * number + 1)

    assert device.is_online


def test_three_unanswered_keepalives_mean_that_the_server_is_off_line() -> None:
    device = client()
    register(device)
    for number in range(1, 4):
        device.handle_timer(60.0 * number)
        device.keepalive_failed(60.0 * number + 5, "no answer for 5 s")

    offline, failed = events(device)[-2:]
    assert offline == Offline("no answer for 5 s, 3 in a row")
    assert isinstance(failed, RegistrationFailed)
    assert not device.is_online
    assert device.next_timer() == 185.0 + 60.0
    device.handle_timer(245.0)
    assert [type(event) for event in events(device)] == [SendRegister]


def test_a_keepalive_refused_as_unknown_starts_over_without_waiting_for_misses() -> None:
    device = client()
    register(device)
    device.send_keepalive(1.0)
    device.keepalive_answered(403, 1.1)

    assert Offline("keepalive answered 403") in events(device)


def test_a_keepalive_refused_for_another_reason_is_a_miss() -> None:
    device = client(keepalive_misses=2)
    register(device)
    device.keepalive_answered(500, 1.0)
    assert device.is_online
    device.keepalive_answered(500, 2.0)
    assert not device.is_online


def test_logout_is_challenged_like_a_registration_and_carries_expires_0_twice() -> None:
    device = client()
    register(device)
    device.stop(5.0)
    (first,) = events(device)
    device.receive_register_response(challenge(), 5.1)
    (second,) = events(device)

    assert [header(event, "Expires") for event in (first, second)] == ["0", "0"]
    assert header(second, "Authorization") is not None
    device.receive_register_response(answer(200), 5.2)
    assert events(device) == [Stopped(confirmed=True)]
    assert device.next_timer() is None
    assert device.state is RegisterClientState.STOPPED


@pytest.mark.parametrize("how", ["refused", "unanswered", "connection lost", "wrong password"])
def test_a_logout_ends_even_when_the_server_does_not_agree(how: str) -> None:
    device = client()
    register(device)
    device.stop(5.0)
    if how == "refused":
        device.receive_register_response(answer(500), 6.0)
    elif how == "unanswered":
        device.register_failed(37.0, "no answer for 32 s")
    elif how == "connection lost":
        device.connection_lost(6.0, "connection closed")
    else:
        device.receive_register_response(challenge(), 6.0)
        device.receive_register_response(challenge(), 6.0)

    assert events(device)[-1] == Stopped(confirmed=False)


def test_without_a_registration_stop_sends_nothing() -> None:
    device = client()
    device.stop(0.0)

    assert events(device) == [Stopped(confirmed=False)]
    device.stop(1.0)
    assert events(device) == []


def test_a_lost_connection_is_an_offline_server_and_a_new_registration_later() -> None:
    device = client()
    register(device)
    device.connection_lost(9.0, "connection closed by peer")

    offline, failed = events(device)
    assert offline == Offline("connection closed by peer")
    assert failed == RegistrationFailed(None, "connection closed by peer", 60.0)
    device.connection_lost(9.5, "connection closed by peer")
    assert events(device) == []


def test_starting_again_is_a_reboot_with_a_new_call_id() -> None:
    device = client()
    device.start(0.0, contact=CONTACT)
    (first,) = events(device)
    device.start(1.0, contact=CONTACT)
    (second,) = events(device)

    assert isinstance(first, SendRegister)
    assert isinstance(second, SendRegister)
    assert first.call_id != second.call_id
    assert second.cseq == 1


def test_without_expires_the_header_is_absent_and_an_hour_is_assumed() -> None:
    device = client(expires=None, keepalive_interval=None)
    device.start(0.0, contact=CONTACT)
    (first,) = events(device)
    device.receive_register_response(answer(200), 0.0)

    assert header(first, "Expires") is None
    assert device.next_timer() == pytest.approx(0.8 * 3600)


def test_late_answers_are_absorbed() -> None:
    device = client()
    register(device)
    device.receive_register_response(answer(500), 1.0)
    device.register_failed(1.0, "late")

    assert events(device) == []
    assert device.is_online


STEPS = ("start", "401", "200", "403", "503", "fail", "keepalive ok", "keepalive 403",
         "keepalive lost", "lost", "timer", "refresh", "stop")  # fmt: skip


@given(st.lists(st.sampled_from(STEPS), max_size=40))
def test_any_history_leaves_a_client_that_acts_again_or_has_stopped(steps: list[str]) -> None:
    device, now = client(), 0.0
    device.start(now, contact=CONTACT)
    online = False
    for step in steps:
        now += 1.0
        apply(device, step, now)
        for event in events(device):
            assert not (isinstance(event, Online) and online), "told on-line twice"
            online = {Online: True, Offline: False, Stopped: False}.get(type(event), online)
        assert device.is_online == online

    waits_for_answer = device.state.name.endswith("ING") and device.state.name != "WAITING"
    stopped = device.state is RegisterClientState.STOPPED
    assert stopped or waits_for_answer or (device.next_timer() or math.inf) < math.inf


def apply(device: RegisterClient, step: str, now: float) -> None:
    actions = {
        "start": lambda: device.start(now, contact=CONTACT),
        "401": lambda: device.receive_register_response(challenge(), now),
        "200": lambda: device.receive_register_response(answer(200), now),
        "403": lambda: device.receive_register_response(answer(403), now),
        "503": lambda: device.receive_register_response(answer(503), now),
        "fail": lambda: device.register_failed(now, "no answer"),
        "keepalive ok": lambda: device.keepalive_answered(200, now),
        "keepalive 403": lambda: device.keepalive_answered(403, now),
        "keepalive lost": lambda: device.keepalive_failed(now, "no answer"),
        "lost": lambda: device.connection_lost(now, "closed"),
        "timer": lambda: device.handle_timer(now + 100_000),
        "refresh": lambda: device.refresh(now),
        "stop": lambda: device.stop(now),
    }
    actions[step]()
