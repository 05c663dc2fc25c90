"""Digest authentication: both algorithms, with and without qop, and nonces that serve once."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtsp.digest import REALM, DigestOutcome, RtspDigest
from gateway.rtsp.limits import NONCE_LIFE
from gb28181.sip.digest import authorize

URL = "rtsp://h:8554/live/d/c"
SECRETS = {"key1": "the secret", "二号": "pass:word"}
HASHES: dict[str, Any] = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def server() -> RtspDigest:
    return RtspDigest(b"k" * 32, SECRETS.get)


def nonce_of(digest: RtspDigest, now: float = 0.0, source: str = "10.0.0.1") -> str:
    _, value = digest.challenge(source, now)[0]
    return value.partition('nonce="')[2].partition('"')[0]


def answer(
    nonce: str,
    *,
    name: str = "key1",
    secret: str = "the secret",
    algorithm: str = "MD5",
    method: str = "DESCRIBE",
    uri: str = URL,
    qop: bool = False,
    realm: str = REALM,
    told: str | None = None,
) -> str:
    """Write an Authorization by hand, as RFC 2617 says."""

    def h(text: str) -> str:
        return str(HASHES[algorithm](text.encode()).hexdigest())

    middle = f"{nonce}:00000001:abc:auth" if qop else nonce
    response = h(f"{h(f'{name}:{realm}:{secret}')}:{middle}:{h(f'{method}:{uri}')}")
    text = f'Digest username="{name}", realm="{realm}", nonce="{nonce}", uri="{uri}"'
    text += f', response="{response}"'
    told = algorithm if told is None else told
    text += f", algorithm={told}" if told else ""
    return text + (', qop=auth, nc=00000001, cnonce="abc"' if qop else "")


def check(
    digest: RtspDigest,
    authorization: str,
    *,
    method: str = "DESCRIBE",
    url: str = URL,
    source: str = "10.0.0.1",
    connection: int = 1,
    now: float = 1.0,
) -> DigestOutcome:
    found = digest.check(authorization, method, url, source=source, connection=connection, now=now)
    return found.outcome


def test_the_challenge_offers_sha_256_first_and_md5_last() -> None:
    challenge = server().challenge("10.0.0.1", 5.0, stale=True)
    assert [name for name, _ in challenge] == ["WWW-Authenticate"] * 2
    assert [value.rpartition("algorithm=")[2] for _, value in challenge] == ["SHA-256", "MD5"]
    assert all("stale=true" in value and "qop" not in value for _, value in challenge)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("qop", [False, True])
@pytest.mark.parametrize("name", list(SECRETS))
def test_a_right_answer_is_accepted(algorithm: str, qop: bool, name: str) -> None:
    digest = server()
    text = answer(nonce_of(digest), name=name, secret=SECRETS[name], algorithm=algorithm, qop=qop)
    found = digest.check(text, "DESCRIBE", URL, source="10.0.0.1", connection=1, now=1.0)
    assert (found.outcome, found.name) == (DigestOutcome.OK, name)


def test_an_answer_without_algorithm_is_md5() -> None:
    digest = server()
    assert check(digest, answer(nonce_of(digest), told="")) is DigestOutcome.OK


def test_the_answer_of_our_own_client_is_accepted() -> None:
    digest = server()
    values = [value for _, value in digest.challenge("10.0.0.1", 0.0)]
    text = authorize(
        values,
        method="DESCRIBE",
        uri=URL,
        username="key1",
        password="the secret",
        cnonce="x",
    )
    assert "algorithm=SHA-256" in text
    assert check(digest, text) is DigestOutcome.OK


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "another"}, {"secret": ""}, {"name": "nobody"}, {"name": "nobody", "secret": ""},
        {"method": "OPTIONS"}, {"uri": "rtsp://h:8554/live/d/other"}, {"uri": "*"},
        {"realm": "elsewhere"}, {"told": "SHA-256"}, {"told": "SHA-512"},
    ],
)  # fmt: skip
def test_a_wrong_answer_is_wrong_and_tells_who_claimed_it(change: dict[str, str]) -> None:
    digest = server()
    text = answer(nonce_of(digest), **change)  # type: ignore[arg-type]
    found = digest.check(text, "DESCRIBE", URL, source="10.0.0.1", connection=1, now=1.0)
    assert found.outcome is DigestOutcome.WRONG
    assert found.name == change.get("name", "key1")


def test_the_uri_may_be_written_differently_for_the_same_stream() -> None:
    digest = server()
    uri = "rtsp://other-name/live/d/c/"
    assert check(digest, answer(nonce_of(digest), uri=uri)) is DigestOutcome.OK


def test_a_nonce_that_proved_a_secret_serves_its_own_connection_only() -> None:
    digest = server()
    text = answer(nonce_of(digest))
    assert check(digest, text, connection=1) is DigestOutcome.OK
    assert check(digest, text, connection=1) is DigestOutcome.OK
    assert check(digest, text, connection=2) is DigestOutcome.STALE


def test_a_nonce_serves_for_a_minute_and_where_it_was_issued() -> None:
    digest = server()
    text = answer(nonce_of(digest, now=100.0))
    assert check(digest, text, now=100.0, source="10.0.0.2") is DigestOutcome.STALE
    assert check(digest, text, now=100.1 + NONCE_LIFE) is DigestOutcome.STALE
    assert check(digest, text, now=99.9 + NONCE_LIFE) is DigestOutcome.OK


def test_a_nonce_of_another_server_or_of_nobody_is_stale() -> None:
    digest = server()
    foreign = nonce_of(RtspDigest(b"other" * 8, SECRETS.get))
    for nonce in (foreign, "f" * 48, "x", "zz" + nonce_of(digest)[2:], "\u00e9" * 48):
        assert check(digest, answer(nonce)) is DigestOutcome.STALE


def test_used_nonces_are_forgotten_once_they_would_have_expired() -> None:
    digest = server()
    for number in range(100):
        now = number * 10.0
        assert check(digest, answer(nonce_of(digest, now)), now=now) is DigestOutcome.OK
    assert len(digest._used) <= NONCE_LIFE / 10 + 1


@pytest.mark.parametrize(
    "text",
    ["", "Digest", "Basic a2V5MTp0aGUgc2VjcmV0", "Digest username=", 'Digest username="key1"',
     'Digest username="key1", realm="gb28181-gateway", nonce="", uri="*", response=""'],
)  # fmt: skip
def test_what_is_no_digest_is_malformed(text: str) -> None:
    assert check(server(), text) is DigestOutcome.MALFORMED


@given(st.text(max_size=200))
def test_any_text_is_judged(text: str) -> None:
    digest = server()
    assert check(digest, text) is not DigestOutcome.OK
    assert check(digest, f'Digest username="key1", {text}') is not DigestOutcome.OK
