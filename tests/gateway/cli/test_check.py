"""Doctor's checks, each against a machine that has the fault."""

import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import check
from gateway.cli.check import Finding, Level, check_machine
from gateway.cli.machine import clock_synchronised, interfaces
from gateway.config.model import Settings


def settings(data_dir: Path, **sections: dict[str, Any]) -> Settings:
    values = {
        "data_dir": data_dir,
        "sip": {"host": "127.0.0.1", "port": 0},
        "http": {"port": 0},
        "rtp": {"port_range": "45000-45009"},
    }
    return Settings.model_validate({**values, **sections})


def findings(chosen: Settings, name: str, *, running: bool = False) -> list[Finding]:
    return [item for item in check_machine(chosen, running=running) if item.check == name]


def test_every_finding_is_said_in_both_languages(tmp_path: Path) -> None:
    for item in check_machine(settings(tmp_path / "new"), running=False):
        assert item.zh
        assert item.en
        assert bool(item.do_zh) == bool(item.do_en)
        assert set(item.as_json()) == {"check", "level", "detail", "remedy"}


@pytest.mark.net
def test_a_port_held_by_a_stranger_fails_and_by_our_gateway_does_not(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        chosen = settings(tmp_path, sip={"host": "127.0.0.1", "port": port})
        (found,) = findings(chosen, "ports")
        assert found.level is Level.FAIL
        assert f"UDP 127.0.0.1:{port}" in found.en
        (found,) = findings(chosen, "ports", running=True)
        assert found.level is Level.OK


def test_an_address_that_is_not_ours_is_a_warning(tmp_path: Path) -> None:
    chosen = settings(tmp_path, rtp={"advertise": "192.0.2.250", "port_range": "45000-45009"})
    (found,) = findings(chosen, "advertise")
    assert found.level is Level.WARN
    assert "NAT" in found.do_en


def test_an_own_address_is_fine(tmp_path: Path) -> None:
    own = interfaces()
    for address in own:
        chosen = settings(tmp_path, sip={"advertise": address, "port": 0})
        assert [item.level for item in findings(chosen, "advertise")] == [Level.OK]
    assert "127.0.0.1" not in own


def test_listening_on_loopback_only_is_pointed_out(tmp_path: Path) -> None:
    (found,) = findings(settings(tmp_path), "advertise")
    assert found.level is Level.WARN
    assert "this machine" in found.en


def test_several_addresses_with_an_open_host_are_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "interfaces", lambda: ["192.0.2.1", "198.51.100.1"])
    (found,) = findings(settings(tmp_path, sip={"port": 0}), "advertise")
    assert found.level is Level.WARN
    assert "198.51.100.1" in found.en


def test_a_data_directory_open_to_others_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert [item.level for item in findings(settings(tmp_path), "data_dir")] == [Level.WARN]
    tmp_path.chmod(0o700)
    assert findings(settings(tmp_path), "data_dir") == []


def test_a_data_directory_that_is_a_file_fails(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("")
    assert [item.level for item in findings(settings(path), "data_dir")] == [Level.FAIL]


def test_a_little_disk_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MIN_DISK", 1 << 60)
    (found,) = findings(settings(tmp_path), "disk")
    assert found.level is Level.FAIL


def test_a_low_limit_of_files_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 4096))
    (found,) = findings(settings(tmp_path), "files")
    assert (found.level, "LimitNOFILE" in found.do_en) == (Level.WARN, True)


def test_a_database_not_yet_made_is_fine(tmp_path: Path) -> None:
    (found,) = findings(settings(tmp_path), "store")
    assert found.level is Level.OK


def test_a_damaged_database_fails(tmp_path: Path) -> None:
    (tmp_path / "gateway.db").write_bytes(b"not a database" * 100)
    (found,) = findings(settings(tmp_path), "store")
    assert found.level is Level.FAIL


@pytest.mark.parametrize(
    ("revision", "level"), [("9999", Level.FAIL), ("0001", Level.INFO), (None, Level.OK)]
)
def test_the_revision_of_the_database_is_compared(
    tmp_path: Path, revision: str | None, level: Level
) -> None:
    head = check.migrations().get_current_head()
    with sqlite3.connect(tmp_path / "gateway.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES (?)", (revision or head,))
    database.close()
    (found,) = findings(settings(tmp_path), "store")
    assert found.level is level


def test_the_kernel_says_something_about_the_clock() -> None:
    assert clock_synchronised() in {True, False, None}
