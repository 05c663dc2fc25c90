import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError, RemoteProtocolError
from gb28181.sip.digest import Credential, DigestResult, DigestServer, authorize
from gb28181.sip.header.auth import parse_auth

DEVICE = "37132600001180000001"
OTHER = "37132600001180000002"
REALM = "3713260000"
URI = "sip:37132600002000000001@3713260000"
PASSWORD = "example-pass"
SECRET = b"0123456789abcdef"
CREDENTIAL = Credential.from_password(DEVICE, REALM, PASSWORD)


def server(**options: object) -> DigestServer:
    return DigestServer(**({"realm": REALM, "secret": SECRET} | options))  # type: ignore[arg-type]


def challenges(digest: DigestServer, now: float = 100.0, device: str = DEVICE) -> list[str]:
    return [value for _, value in digest.challenge(device, now)]


def answer(
    challenge: list[str], *, password: str = PASSWORD, device: str = DEVICE, nc: int = 1
) -> str:
    return authorize(
        challenge,
        method="REGISTER",
        uri=URI,
        username=device,
        password=password,
        cnonce="0a4f113b",
        nc=nc,
    )


def verify(
    digest: DigestServer, authorization: str, now: float = 100.0, device: str = DEVICE
) -> DigestResult:
    credential = Credential.from_password(device, REALM, PASSWORD)
    return digest.verify(authorization, "REGISTER", device, credential, now)


# The test vector of protocol.md G.1


def test_secret_of_the_test_vector() -> None:
    assert CREDENTIAL.ha1["MD5"] == "9c6e5c6c7eb96452e17fe0eae1cda2bf"
    assert PASSWORD not in repr(CREDENTIAL)
    assert CREDENTIAL.ha1["MD5"] not in repr(CREDENTIAL)


def test_client_answers_the_test_vector_as_printed() -> None:
    challenge = f'Digest realm="{REALM}", nonce="6b1f0c2d9a7e4f35"'
    assert answer([challenge]) == (
        f'Digest username="{DEVICE}", realm="{REALM}", nonce="6b1f0c2d9a7e4f35", uri="{URI}", '
        'response="8ab87110e2f98e81d60f754e36e81355", algorithm=MD5'
    )


def test_client_answers_the_test_vector_with_qop() -> None:
    value = parse_auth(
        answer(
            [f'Digest realm="{REALM}", nonce="6b1f0c2d9a7e4f35", qop="auth,auth-int", opaque="x"']
        ),
        field="Authorization",
    )
    assert value.params["response"] == "9f244312e71f708961fbc99512d51e0a"
    assert (value.params["nc"], value.params["qop"], value.params["opaque"]) == (
        "00000001",
        "auth",
        "x",
    )


def test_sha_256_vector_of_rfc_7616() -> None:
    challenge = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    value = authorize(
        [challenge],
        method="GET",
        uri="/dir/index.html",
        username="Mufasa",
        password="Circle of Life",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in value


# Challenges


def test_default_challenge_is_md5_without_qop() -> None:
    ((name, value),) = server().challenge(DEVICE, 100.0)
    assert name == "WWW-Authenticate"
    assert re.fullmatch(r'Digest realm="3713260000", nonce="[0-9a-f]{48}", algorithm=MD5', value)


def test_strongest_algorithm_is_offered_first() -> None:
    first, second = challenges(server(algorithms=("MD5", "SHA-256"), qop=True))
    assert first.endswith('algorithm=SHA-256, qop="auth"')
    assert second.endswith('algorithm=MD5, qop="auth"')


def test_stale_is_said() -> None:
    ((_, value),) = server().challenge(DEVICE, 100.0, stale=True)
    assert parse_auth(value, field="WWW-Authenticate").params["stale"] == "true"


def test_no_two_challenges_share_a_nonce() -> None:
    digest = server()
    assert len({challenges(digest)[0] for _ in range(100)}) == 100


def test_unknown_algorithm_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        server(algorithms=("SM3",))
    with pytest.raises(LocalProtocolError):
        server(algorithms=())


# Verification


@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256",), ("SHA-256", "MD5")])
@pytest.mark.parametrize("qop", [False, True])
def test_right_answer_is_accepted_once(algorithms: tuple[str, ...], *, qop: bool) -> None:
    digest = server(algorithms=algorithms, qop=qop)
    authorization = answer(challenges(digest))
    assert verify(digest, authorization) is DigestResult.OK
    assert verify(digest, authorization) is DigestResult.REPLAYED


def test_weaker_of_two_offered_algorithms_is_accepted() -> None:
    digest = server(algorithms=("SHA-256", "MD5"))
    assert verify(digest, answer([challenges(digest)[1]])) is DigestResult.OK


def test_algorithm_that_was_not_offered_is_refused() -> None:
    digest = server(algorithms=("SHA-256",))
    challenge = challenges(digest)[0].replace("SHA-256", "MD5")
    assert verify(digest, answer([challenge])) is DigestResult.WRONG_ALGORITHM


def test_secret_that_lacks_the_algorithm_is_not_enough() -> None:
    digest = server(algorithms=("SHA-256", "MD5"))
    only_md5 = Credential({"MD5": CREDENTIAL.ha1["MD5"]})
    result = digest.verify(answer(challenges(digest)), "REGISTER", DEVICE, only_md5, 100.0)
    assert result is DigestResult.WRONG_ALGORITHM


def test_wrong_password_is_refused_and_does_not_use_up_the_nonce() -> None:
    digest = server()
    challenge = challenges(digest)
    assert verify(digest, answer(challenge, password="wrong")) is DigestResult.WRONG_RESPONSE
    assert verify(digest, answer(challenge)) is DigestResult.OK


def test_nonce_expires() -> None:
    digest = server(nonce_ttl=60.0)
    authorization = answer(challenges(digest, 100.0))
    assert verify(digest, authorization, 160.5) is DigestResult.STALE
    assert verify(digest, authorization, 160.0) is DigestResult.OK


def test_nonce_of_one_device_does_not_serve_another() -> None:
    digest = server()
    foreign = challenges(digest, device=OTHER)
    assert verify(digest, answer(foreign)) is DigestResult.UNKNOWN_NONCE


def test_forged_and_foreign_nonces_are_refused() -> None:
    digest = server()
    for nonce in ("x", "", "é" * 48, "0" * 48, "6b1f0c2d9a7e4f35"):
        challenge = f'Digest realm="{REALM}", nonce="{nonce}"'
        expected = DigestResult.UNKNOWN_NONCE
        if nonce:
            assert verify(digest, answer([challenge])) is expected
    elsewhere = answer(challenges(server(secret=b"another-secret-0")))
    assert verify(digest, elsewhere) is DigestResult.UNKNOWN_NONCE


def test_older_nonce_than_the_accepted_one_counts_as_used() -> None:
    digest = server()
    older, newer = challenges(digest), challenges(digest)
    assert verify(digest, answer(newer)) is DigestResult.OK
    assert verify(digest, answer(older)) is DigestResult.REPLAYED


def test_nonce_with_qop_serves_again_only_with_a_higher_count() -> None:
    digest = server(qop=True)
    challenge = challenges(digest)
    assert verify(digest, answer(challenge, nc=1)) is DigestResult.OK
    assert verify(digest, answer(challenge, nc=2)) is DigestResult.OK
    assert verify(digest, answer(challenge, nc=2)) is DigestResult.REPLAYED
    assert verify(digest, answer(challenge, nc=1)) is DigestResult.REPLAYED
    assert verify(digest, answer(challenge, nc=9)) is DigestResult.OK
    assert verify(digest, answer(challenge, nc=10), 161.0) is DigestResult.STALE


def test_answer_without_count_uses_up_a_nonce_with_qop() -> None:
    digest = server(qop=True)
    challenge = challenges(digest)
    plain = answer([re.sub(", qop=.*", "", challenge[0])])
    assert verify(digest, plain) is DigestResult.OK
    assert verify(digest, answer(challenge, nc=5)) is DigestResult.REPLAYED


@pytest.mark.parametrize("nc", ["00000000", "-0000001", "0000000g", "000000001", "\uff100000001"])
def test_count_that_is_no_positive_hex_number_is_malformed(nc: str) -> None:
    digest = server(qop=True)
    authorization = answer(challenges(digest)).replace("nc=00000001", f"nc={nc}")
    assert verify(digest, authorization) in {DigestResult.MALFORMED, DigestResult.WRONG_RESPONSE}


def test_username_must_be_the_device() -> None:
    digest = server()
    authorization = answer(challenges(digest), device=OTHER)
    assert verify(digest, authorization, device=DEVICE) is DigestResult.WRONG_USER


def test_realm_must_be_ours() -> None:
    digest = server()
    assert verify(digest, answer(challenges(server(realm="other")))) is DigestResult.WRONG_REALM


def test_uri_is_hashed_as_it_was_sent() -> None:
    digest = server()
    authorization = authorize(
        challenges(digest),
        method="REGISTER",
        uri="sip:37132600002000000001@10.9.8.7:5060",
        username=DEVICE,
        password=PASSWORD,
        cnonce="",
    )
    assert verify(digest, authorization) is DigestResult.OK


def test_answer_to_another_method_is_refused() -> None:
    digest = server()
    result = digest.verify(answer(challenges(digest)), "MESSAGE", DEVICE, CREDENTIAL, 100.0)
    assert result is DigestResult.WRONG_RESPONSE


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        ("Digest ", "DIGEST  "),
        ("algorithm=MD5", 'algorithm="md5"'),
        (", algorithm=MD5", ""),
        (", ", ","),
        (", ", " , "),
        ("=", " = "),
        ("username", "UserName"),
        (f'"{REALM}"', REALM),
        (f'"{DEVICE}"', DEVICE),
        (f'"{URI}"', URI),
    ],
)
def test_spelling_of_the_header_does_not_matter(pattern: str, replacement: str) -> None:
    digest = server()
    assert (
        verify(digest, answer(challenges(digest)).replace(pattern, replacement)) is DigestResult.OK
    )


def test_response_in_upper_case_is_the_same_number() -> None:
    digest = server()
    authorization = re.sub(
        'response="([0-9a-f]+)"',
        lambda match: f'response="{match[1].upper()}"',
        answer(challenges(digest)),
    )
    assert verify(digest, authorization) is DigestResult.OK


@pytest.mark.parametrize("name", ["nonce", "uri", "response"])
def test_missing_parameter_is_malformed(name: str) -> None:
    digest = server()
    authorization = answer(challenges(digest)).replace(f" {name}=", " x=")
    assert verify(digest, authorization) is DigestResult.MALFORMED


@pytest.mark.parametrize(
    ("authorization", "result"),
    [
        ("", DigestResult.MALFORMED),
        ("Digest", DigestResult.MALFORMED),
        ("NoOneKnowsThisScheme opaque-data=here", DigestResult.OTHER_SCHEME),
        ('Capability algorithm="A:SM2"', DigestResult.OTHER_SCHEME),
        ("Digest x=y", DigestResult.WRONG_USER),
    ],
)
def test_other_authorization_is_told_apart(authorization: str, result: DigestResult) -> None:
    assert verify(server(), authorization) is result


def test_only_a_wrong_nonce_is_worth_a_retry() -> None:
    retried = {result for result in DigestResult if result.retry}
    assert retried == {DigestResult.STALE, DigestResult.UNKNOWN_NONCE, DigestResult.REPLAYED}


def test_memory_of_used_nonces_is_bounded_and_forgets_expired_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gb28181.sip.digest.MAX_DIGEST_MEMORY", 3)
    digest = server(nonce_ttl=60.0)
    for number in range(3):
        device = f"{number:020}"
        assert verify(
            digest, answer(challenges(digest, device=device), device=device), device=device
        ) is (DigestResult.OK)
    late = f"{9:020}"
    fresh = answer(challenges(digest, device=late), device=late)
    assert verify(digest, fresh, device=late) is DigestResult.STALE
    assert digest.remembered() == 3
    fresh = answer(challenges(digest, 161.0, device=late), device=late)
    assert verify(digest, fresh, 161.0, device=late) is DigestResult.OK
    assert digest.remembered() <= 3


@given(st.text(max_size=80))
def test_any_text_is_refused_without_an_exception(text: str) -> None:
    digest = server()
    assert verify(digest, text) is not DigestResult.OK
    assert (
        verify(digest, f'Digest username="{DEVICE}", realm="{REALM}", {text}')
        is not DigestResult.OK
    )


# Client


def test_client_takes_the_strongest_challenge_it_can() -> None:
    digest = server(algorithms=("SHA-256", "MD5"))
    offers = [
        'Digest realm="x", nonce="n", algorithm=SM3',
        "Basic x=y",
        "???",
        *reversed(challenges(digest)),
    ]
    assert "algorithm=SHA-256" in answer(offers)


@pytest.mark.parametrize(
    "offers",
    [
        [],
        ["Basic realm=x"],
        ['Digest realm="x", nonce="n", algorithm=MD5-sess'],
        ['Digest realm="x", nonce="n", qop="auth-int"'],
        ['Digest realm="x"'],
    ],
)
def test_client_says_when_it_cannot_answer(offers: list[str]) -> None:
    with pytest.raises(RemoteProtocolError, match="challenges is Digest"):
        answer(offers)
