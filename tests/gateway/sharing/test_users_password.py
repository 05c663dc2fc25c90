"""What may be a password, and how hashes are computed."""

import asyncio

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import Invalid, Unavailable
from gateway.sharing.users_password import (
    MAX_PASSWORD,
    MAX_WAITING,
    PasswordHasher,
    check_password,
    plain_password,
)

GOOD = "seven-lamps-on-the-quay"


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "elevenchars",
        "a" * 12,
        "abababababab",
        "123456789012",
        "210987654321",
        "abcdefghijkl",
        "QWERTYUIOPas",
        "password1234",
        "Password2026!",
        "p@ssw0rd!!!!!",
        "!!!administrator",
        "administrator",
        "adminadmin12",
        "qwertyqwerty",
        "qwerty123456",
        "1q2w3e4r5t6y",
        "1qaz2wsx3edc",
        "gb28181!2026",
        "zhangsan2026",
        "ZHANGSANzhangsan",
        "\uff50assword12\uff134",
        GOOD * 20,
    ],
)
def test_what_everybody_tries_first_is_no_password(password: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_password(password, "zhangsan")
    assert caught.value.code == "password_weak"
    assert len(caught.value.detail) > 20
    assert not password or password not in caught.value.detail


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "Tr0ub4dor&3xyz",
        "平邑县城关镇值班室七号岗位",
        "x9 K2 m4 P7 q1",
        "\u00e9t\u00e9 en Provence",
    ],
)
def test_other_passwords_may_be_chosen(password: str) -> None:
    assert check_password(password, "zhangsan") == plain_password(password)


@given(st.text(max_size=MAX_PASSWORD + 20), st.text(max_size=64))
def test_any_text_is_a_password_or_refused_with_a_reason(password: str, name: str) -> None:
    try:
        check_password(password, name)
    except Invalid as exc:
        assert exc.code == "password_weak"  # noqa: PT017


async def test_a_hash_is_an_argon2id_string_that_others_can_check() -> None:
    hasher = PasswordHasher()
    encoded = await hasher.hash(GOOD)
    assert encoded.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    Argon2id.verify_phc_encoded(GOOD.encode(), encoded)
    assert await hasher.hash(GOOD) != encoded
    assert await hasher.verify(GOOD, encoded)
    assert not await hasher.verify(GOOD + " ", encoded)
    assert not hasher.is_outdated(encoded)


async def test_a_hash_with_other_parameters_is_checked_and_known_to_be_outdated() -> None:
    old = Argon2id(salt=bytes(16), length=32, iterations=2, lanes=1, memory_cost=8192)
    encoded = old.derive_phc_encoded(GOOD.encode())
    hasher = PasswordHasher()
    assert await hasher.verify(GOOD, encoded)
    assert hasher.is_outdated(encoded)


async def test_without_a_hash_nothing_fits() -> None:
    hasher = PasswordHasher()
    assert not await hasher.verify(GOOD, None)
    assert not await hasher.verify("", None)


@settings(max_examples=5, deadline=None)
@given(password=st.text(st.characters(codec=None), max_size=20))
def test_any_characters_can_be_hashed(password: str) -> None:
    hasher = PasswordHasher(memory_kib=64)
    plain = plain_password(password)

    async def both() -> bool:
        return await hasher.verify(plain, await hasher.hash(plain))

    assert asyncio.run(both())


async def test_too_many_at_once_are_refused_and_the_rest_is_done() -> None:
    hasher = PasswordHasher(memory_kib=1024)
    refused = 0

    async def one() -> None:
        nonlocal refused
        try:
            await hasher.verify(GOOD, None)
        except Unavailable as exc:
            assert exc.code == "logins_busy"  # noqa: PT017
            refused += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(MAX_WAITING + 7):
            group.create_task(one())
    assert refused == 7
    assert await hasher.verify(GOOD, await hasher.hash(GOOD))
