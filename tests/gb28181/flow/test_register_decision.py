"""What a REGISTER is answered with, whoever sends it (GB/T 28181 9.1, quirks 1, 3, 6, 12; RFC 4475)."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gb28181.flow.flood import FloodControl
from gb28181.flow.registrar import (
    Accept,
    Challenge,
    Refuse,
    RegisterDecision,
    Registrar,
    is_registrable,
    ok_headers,
)
from gb28181.sip.digest import Credential, DigestServer, authorize
from gb28181.sip.message import Request
from gb28181.sip.parser import parse

VECTORS = Path(__file__).parents[2] / "vectors"
TABLE = tomllib.loads((VECTORS / "rfc4475" / "expect.toml").read_text("utf-8"))
BY_REGISTRAR = sorted(name for name, row in TABLE.items() if row.get("by") == "registrar")
DEVICE = "37132600001180000001"
REALM = "3713260000"
SERVER = f"sip:37132600002000000001@{REALM}"
PASSWORD = "example-pass"
SOURCE = ("203.0.113.9", 40_001)
STATUS = {Challenge: 401, Accept: 200}


def load(path: str) -> Request:
    message = parse((VECTORS / path).read_bytes())
    assert isinstance(message, Request)
    return message


def register(**changes: str) -> Request:
    """Build a REGISTER; a changed header that is '' is left out."""
    lines = {
        "Via": "SIP/2.0/UDP 10.9.20.31:5060;rport;branch=z9hG4bK6a2b",
        "From": f"<sip:{DEVICE}@{REALM}>;tag=8e21",
        "To": f"<sip:{DEVICE}@{REALM}>",
        "Call-ID": "5d0c2a9e@10.9.20.31",
        "CSeq": "1 REGISTER",
        "Contact": f"<sip:{DEVICE}@10.9.20.31:5060>",
        "Expires": "3600",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    message = parse(f"REGISTER {SERVER} SIP/2.0\r\n{head}\r\n".encode())
    assert isinstance(message, Request)
    return message


class Desk:
    """A registrar that knows one device."""

    def __init__(self, **options: object) -> None:
        digest = DigestServer(realm=REALM, secret=b"0123456789abcdef", nonce_ttl=60.0)
        arguments = {"digest": digest, "flood": FloodControl()} | options
        self.registrar = Registrar(**arguments)  # type: ignore[arg-type]

    def handle(self, request: Request, now: float = 100.0) -> RegisterDecision:
        return self.registrar.handle(request, SOURCE, self.credential_for, now)

    def credential_for(self, device_id: str) -> Credential | None:
        return Credential.from_password(DEVICE, REALM, PASSWORD) if device_id == DEVICE else None

    def authorization(
        self, username: str = DEVICE, password: str = PASSWORD, now: float = 100.0
    ) -> str:
        challenge = self.handle(register(), now)
        assert isinstance(challenge, Challenge)
        return authorize(
            [value for name, value in challenge.headers if name == "WWW-Authenticate"],
            method="REGISTER",
            uri=SERVER,
            username=username,
            password=password,
            cnonce="c",
        )

    def proved(self, request: Request, now: float = 100.0) -> RegisterDecision:
        """Let the device prove itself with this request."""
        request.headers.set("Authorization", self.authorization(now=now))
        return self.handle(request, now)

    def accepted(self, request: Request) -> Accept:
        decision = self.proved(request)
        assert isinstance(decision, Accept)
        return decision


def test_first_register_is_challenged_and_told_our_version() -> None:
    decision = Desk().handle(register())
    assert isinstance(decision, Challenge)
    assert (decision.device_id, decision.failed) == (DEVICE, None)
    assert [name for name, _ in decision.headers] == ["WWW-Authenticate", "X-GB-Ver"]


def test_proved_register_is_accepted_with_all_that_is_known() -> None:
    accept = Desk().accepted(register(X_GB_Ver="3.0", User_Agent="IP Camera"))
    assert accept == Accept(
        device_id=DEVICE,
        expires=3600,
        contact=f"sip:{DEVICE}@10.9.20.31:5060",
        call_id="5d0c2a9e@10.9.20.31",
        gb_version="3.0",
        user_agent="IP Camera",
        is_logout=False,
    )


@pytest.mark.parametrize(
    ("contact", "header", "granted"),
    [
        (";expires=7200", "3600", 7200),
        (";expires=7200", "", 7200),
        ("", "3600", 3600),
        ("", "", 86_400),
        ("", "soon", 86_400),
        (";expires=soon", "3600", 3600),
        ("", "10", 60),
        (";expires=99999999999999", "", 604_800),
        ("", "4294967295", 604_800),
    ],
)
def test_contact_parameter_goes_before_header_before_default(
    contact: str, header: str, granted: int
) -> None:
    request = register(Contact=f"<sip:{DEVICE}@10.9.20.31>{contact}", Expires=header)
    assert Desk().accepted(request).expires == granted


@pytest.mark.parametrize(
    ("contact", "header"),
    [
        (f"<sip:{DEVICE}@10.9.20.31>", "0"),
        (f"<sip:{DEVICE}@10.9.20.31>;expires=0", "3600"),
        ("*", "0"),
        ("", "0"),
    ],
)
def test_zero_seconds_are_a_logout_that_must_be_proved_too(contact: str, header: str) -> None:
    desk = Desk()
    request = register(Contact=contact, Expires=header)
    assert isinstance(desk.handle(request), Challenge)
    accept = desk.accepted(request)
    assert (accept.is_logout, accept.expires) == (True, 0)


@pytest.mark.parametrize("contact", ["", "sip:x@y?Route=z"])
def test_register_without_a_usable_contact_is_400(contact: str) -> None:
    decision = Desk().proved(register(Contact=contact))
    assert isinstance(decision, Refuse)
    assert (decision.status, decision.device_id) == (400, DEVICE)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"From": f"<sip:camera@{REALM}>;tag=1", "To": f"<sip:camera@{REALM}>"}, 403),
        ({"From": f"<sip:{REALM}>;tag=1", "To": f"<sip:{REALM}>"}, 403),
        ({"From": f"<sip:{DEVICE}9@{REALM}>;tag=1", "To": f"<sip:{DEVICE}9@{REALM}>"}, 403),
        ({"To": f"<sip:37132600001180000002@{REALM}>"}, 400),
        ({"To": f"<sip:{REALM}>"}, 400),
        ({"To": "<tel:+861234>"}, 400),
    ],
)
def test_unusable_identity_is_refused_before_any_challenge(
    changes: dict[str, str], status: int
) -> None:
    decision = Desk().handle(register(**changes))
    assert isinstance(decision, Refuse)
    assert decision.status == status
    assert decision.device_id is None
    assert ("X-GB-Ver", "3.0") in decision.headers


@pytest.mark.parametrize(
    ("device_id", "registrable"),
    [
        (DEVICE, True),
        (DEVICE[:18], True),
        (DEVICE[:19], False),
        ("", False),
        ("\uff13" * 20, False),
        (DEVICE + "\n", False),
    ],
)
def test_ids_of_18_and_20_digits_may_register(device_id: str, *, registrable: bool) -> None:
    assert is_registrable(device_id) is registrable


def test_username_of_another_device_is_refused() -> None:
    desk = Desk()
    decision = desk.handle(register(Authorization=desk.authorization("37132600001180000002")))
    assert isinstance(decision, Refuse)
    assert (decision.status, decision.detail) == (403, "username is not the device id")


def test_wrong_password_and_unknown_device_get_the_same_answer() -> None:
    desk = Desk()
    wrong = desk.handle(register(Authorization=desk.authorization(password="wrong")))
    other = DEVICE[:-1] + "7"
    name = f"<sip:{other}@{REALM}>"
    unknown = desk.handle(
        register(From=f"{name};tag=1", To=name, Authorization=desk.authorization(other))
    )
    assert isinstance(wrong, Refuse)
    assert isinstance(unknown, Refuse)
    assert (wrong.status, wrong.reason, wrong.headers) == (
        unknown.status,
        unknown.reason,
        unknown.headers,
    )
    assert wrong.status == 403
    assert wrong.detail == "wrong password"


@pytest.mark.parametrize(
    "authorization", ["Basic x=y", "Digest", 'Digest username="{id}", realm="other"']
)
def test_odd_credentials_do_not_tell_which_ids_exist(authorization: str) -> None:
    desk = Desk()
    answers = []
    for device_id in (DEVICE, DEVICE[:-1] + "7"):
        name = f"<sip:{device_id}@{REALM}>"
        text = authorization.format(id=device_id)
        decision = desk.handle(register(From=f"{name};tag=1", To=name, Authorization=text))
        assert isinstance(decision, Challenge)
        answers.append((decision.failed, len(decision.headers)))
    assert answers[0] == answers[1]


def test_replayed_authorization_is_challenged_anew() -> None:
    desk = Desk()
    request = register()
    assert isinstance(desk.proved(request), Accept)
    decision = desk.handle(request)
    assert isinstance(decision, Challenge)
    assert decision.failed == "nonce was used before"
    assert "stale=true" in decision.headers[0][1]


def test_expired_nonce_is_challenged_anew_as_stale() -> None:
    desk = Desk()
    request = register(Authorization=desk.authorization(now=100.0))
    decision = desk.handle(request, 161.0)
    assert isinstance(decision, Challenge)
    assert decision.failed == "nonce has expired"
    assert "stale=true" in decision.headers[0][1]


@pytest.mark.parametrize(
    "authorization",
    ["NoOneKnowsThisScheme opaque-data=here", "Digest", 'Capability algorithm="A:SM2"'],
)
def test_authorization_of_another_kind_is_challenged(authorization: str) -> None:
    decision = Desk().handle(register(Authorization=authorization))
    assert isinstance(decision, Challenge)
    assert decision.failed


def test_digest_is_found_among_several_authorizations() -> None:
    desk = Desk()
    request = register(Authorization='Capability algorithm="A:SM2"')
    request.headers.add("authorization", desk.authorization())
    assert isinstance(desk.handle(request), Accept)


def test_refresh_with_a_known_call_id_is_challenged_all_the_same() -> None:
    desk = Desk()
    assert isinstance(desk.proved(load("devices/q003-refresh-without-authorization.sip")), Accept)
    refresh = load("devices/q003-refresh-without-authorization.sip")
    assert isinstance(desk.handle(refresh), Challenge)


@pytest.mark.parametrize(
    ("vector", "expires", "host"),
    [
        ("q001-register-without-expires", 86_400, "10.9.20.31"),
        ("q001-register-with-contact-expires", 7_200, "10.9.20.31"),
        ("q001-register-with-both-expires", 7_200, "10.9.20.31"),
        ("q012-contact-of-private-address", 3_600, "192.168.1.64"),
        ("q012-contact-without-brackets", 7_200, "10.9.20.31"),
        ("q019-no-empty-line", 3_600, "10.9.20.31"),
    ],
)
def test_odd_registers_of_devices_are_accepted(vector: str, expires: int, host: str) -> None:
    accept = Desk().accepted(load(f"devices/{vector}.sip"))
    assert accept.expires == expires
    assert host in accept.contact


def test_malformed_version_counts_as_none() -> None:
    assert Desk().accepted(register(X_GB_Ver="three")).gb_version == ""


@pytest.mark.parametrize("name", BY_REGISTRAR)
def test_torture_register_gets_its_answer(name: str) -> None:
    desk = Desk(accepts_id=bool)
    decision = desk.handle(load(f"rfc4475/{name}.dat"))
    status = decision.status if isinstance(decision, Refuse) else STATUS[type(decision)]
    assert status == TABLE[name]["answer"]


def test_ok_carries_expires_date_and_version_but_no_contact() -> None:
    accept = Desk().accepted(register())
    moment = datetime(2026, 11, 21, 2, 15, tzinfo=UTC)
    assert ok_headers(accept, moment) == [
        ("Expires", "3600"),
        ("Date", "2026-11-21T10:15:00.000"),
        ("X-GB-Ver", "3.0"),
    ]
    assert ok_headers(accept, None) == [("Expires", "3600"), ("X-GB-Ver", "3.0")]
