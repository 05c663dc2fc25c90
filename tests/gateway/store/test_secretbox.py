"""Encrypted secrets."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import Invalid, Unavailable
from gateway.store.secretbox import KEY_FILE, SecretBox

BOX = SecretBox(bytes(range(32)))


@given(st.text(max_size=100), st.integers(0xD800, 0xDFFF))
def test_a_sealed_text_comes_back(text: str, surrogate: int) -> None:
    text += chr(surrogate)
    assert BOX.unseal(BOX.seal(text)) == text


def test_a_sealed_text_shows_nothing_and_differs_each_time() -> None:
    sealed = {BOX.seal("hunter2") for _ in range(100)}
    assert len(sealed) == 100
    assert not any("hunter2" in each for each in sealed)
    assert all(each.isascii() and each.startswith("v1.") for each in sealed)


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    sealed = SecretBox.open(tmp_path / "data").seal("密码")
    path = tmp_path / "data" / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert SecretBox.open(tmp_path / "data").unseal(sealed) == "密码"


def test_another_key_is_told_from_damage(tmp_path: Path) -> None:
    sealed = SecretBox.open(tmp_path / "one").seal("x")
    with pytest.raises(Unavailable, match=r"sealed with another key.*restore secret.key") as caught:
        SecretBox.open(tmp_path / "two").unseal(sealed)
    assert caught.value.code == "secret_unreadable"


def test_every_changed_character_is_noticed() -> None:
    sealed = BOX.seal("hunter2")
    for position in range(len(sealed)):
        for other in "Az0._=é":
            changed = sealed[:position] + other + sealed[position + 1 :]
            if changed != sealed:
                with pytest.raises(Unavailable):
                    BOX.unseal(changed)


@given(st.text(max_size=80) | st.text("v1.0af-_=", max_size=40))
def test_any_text_gives_the_documented_error_only(text: str) -> None:
    with pytest.raises(Unavailable):
        BOX.unseal(text)
    with pytest.raises(Unavailable):
        BOX.unseal(BOX.seal("x")[:12] + text)


def test_a_secret_that_is_too_long_is_refused() -> None:
    assert BOX.unseal(BOX.seal("x" * 4096)) == "x" * 4096
    with pytest.raises(Invalid, match="at most 4096"):
        BOX.seal("x" * 4097)


@pytest.mark.parametrize("content", [b"", b"short", b"zz" * 32, b"ab" * 33, b"\xff" * 64])
def test_a_damaged_key_is_never_replaced_silently(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / KEY_FILE
    path.write_bytes(content)
    with pytest.raises(Unavailable, match=r"secret\.key holds no key: expected 64"):
        SecretBox.open(tmp_path)
    assert path.read_bytes() == content
