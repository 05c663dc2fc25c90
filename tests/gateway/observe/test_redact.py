"""Secrets never reach a log line."""

import pytest

from gateway.observe.redact import REDACTED, redact, redact_text

DIGEST = (
    'Digest username="34020000001320000001",realm="3402000000",nonce="a1b2c3d4e5",uri="sip:x@y",'
    'response="0123456789abcdef0123456789abcdef",algorithm=MD5'
)


@pytest.mark.parametrize(
    "key",
    ["password", "token", "secret", "authorization", "nonce", "cnonce", "ha1", "admin_token", "Authorization",
     "www-authenticate", "device_secret", "sip_password", "cookie", "snapshot_url"],
)  # fmt: skip
def test_values_of_secret_keys_are_replaced(key: str) -> None:
    assert redact(None, "info", {key: "value-42"}) == {key: REDACTED}


def test_a_digest_response_is_replaced_and_a_sip_response_is_not() -> None:
    event = redact(None, "info", {"response": "0123456789abcdef0123456789abcdef"})
    assert event == {"response": REDACTED}
    assert redact(None, "info", {"response": "200 OK"}) == {"response": "200 OK"}


def test_ordinary_facts_stay_as_they_are() -> None:
    event = {
        "event": "device_registered",
        "device_id": "3402",
        "expires_s": 3600,
        "ok": True,
        "detail": "a=b; c",
    }
    assert redact(None, "info", dict(event)) == event


def test_digest_parameters_inside_a_text_are_replaced() -> None:
    text = redact_text(f"refused {DIGEST}")
    assert "a1b2c3d4e5" not in text
    assert "0123456789abcdef" not in text
    assert "34020000001320000001" in text


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"REGISTER sip:a SIP/2.0\r\nAuthorization: {DIGEST}\r\nExpires: 5\r\n", "a1b2c3d4e5"),
        ("http://h/live/a.flv?token=eyJ0&x=1", "eyJ0"),
        ("Bearer abcdef.ghi", "abcdef"),
        ('{"password": "opensesame", "a": 1}', "opensesame"),
        ("password=opensesame", "opensesame"),
        ("<Password>opensesame</Password>", "opensesame"),
        ("rtsp://admin:opensesame@10.0.0.1/1", "opensesame"),
        ("admin_token = 'opensesame'", "opensesame"),
    ],
)
def test_secrets_inside_texts_are_replaced(text: str, hidden: str) -> None:
    assert hidden in text
    assert hidden not in redact_text(text)


def test_secrets_in_nested_values_and_bytes_and_exceptions_are_replaced() -> None:
    event = redact(
        None,
        "info",
        {
            "headers": {"Authorization": "Basic x42", "Via": "SIP/2.0/UDP h"},
            "items": [{"token": "x42"}, "token=x42"],
            "data": b'nonce="x42"',
            "error": ValueError("password=x42"),
        },
    )
    assert "x42" not in repr(event)
    assert "SIP/2.0/UDP h" in repr(event)


def test_too_deep_a_value_is_cut_off() -> None:
    value: dict[str, object] = {"token": "x42"}
    for _ in range(10):
        value = {"a": value}
    assert "x42" not in repr(redact(None, "info", {"a": value}))
