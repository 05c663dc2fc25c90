"""Files that only their owner may read."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.domain.errors import Unavailable
from gateway.store.private_file import make_once, write_whole


def test_a_file_is_made_once_and_then_read(tmp_path: Path) -> None:
    path = tmp_path / "data" / "key"
    assert make_once(path, lambda: b"first") == b"first"
    assert make_once(path, lambda: b"second") == b"first"
    assert list(path.parent.iterdir()) == [path]


def test_it_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = tmp_path / "data" / "key"
        make_once(path, lambda: b"x")
        write_whole(path.with_name("other"), b"y", mode=0o600)
    finally:
        os.umask(old)
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"restored")
    path.chmod(0o644)
    assert make_once(path, lambda: b"new") == b"restored"
    assert path.stat().st_mode & 0o777 == 0o600


def test_of_many_who_make_it_at_once_all_get_the_same(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda n: make_once(path, lambda: b"%d" % n), range(64)))
    assert found == {path.read_bytes()}
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(Unavailable, match="taken/key cannot be used"):
        make_once(tmp_path / "taken" / "key", lambda: b"x")


def test_a_replaced_file_is_never_half_written(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json"
    write_whole(path, b"one", mode=0o600)
    write_whole(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_replacement_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "is-a-directory"
    path.mkdir()
    (path / "child").write_text("")
    with pytest.raises(OSError, match="directory"):
        write_whole(path, b"x", mode=0o600)
    assert list(tmp_path.iterdir()) == [path]
