"""Commands that start something: checks before, masks, clean ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.cli.text import LANGUAGES, TEXT, Say
from gateway.cli.text_start import START_HINTS, START_TEXT


def test_check_config_shows_values_and_hides_secrets(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        '[sip]\npassword = "s3cret-password"\nport = 5066\n'
        '[store]\nurl = "postgresql+asyncpg://user:hunter2@db/gateway"\n'
    )
    result = CliRunner().invoke(app, ["check-config", str(file), "--json"])
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)["settings"]
    assert values["sip"]["port"] == 5066
    assert "s3cret" not in result.stdout
    assert "hunter2" not in result.stdout
    shown = CliRunner().invoke(app, ["--lang", "en", "--config", str(file), "check-config"])
    assert "5066" in shown.stdout
    assert "s3cret" not in shown.stdout


def test_check_config_lists_every_problem(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[sip]\nid = "123"\nprot = 5060\n')
    result = CliRunner().invoke(app, ["--lang", "en", "check-config", str(file)])
    assert result.exit_code == 1
    assert "[sip] id" in result.stderr
    assert "did you mean port" in result.stderr
    as_json = CliRunner().invoke(app, ["check-config", str(file), "--json"])
    assert len(json.loads(as_json.stdout)["problems"]) == 2


def test_serve_refuses_a_bad_configuration_as_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("[http]\nport = 99999\n")
    result = CliRunner().invoke(app, ["--lang", "en", "serve", "--config", str(file)])
    assert result.exit_code == 2
    assert "[http] port" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["simulate", "--size", "big"],
        ["simulate", "--base-id", "12"],
        ["simulate", "--video", "mpeg4"],
        ["simulate", "--quirk", "polite"],
        ["demo", "--codec", "av1"],
    ],
)
def test_unusable_options_are_exit_code_2(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2


def test_quirks_are_listed() -> None:
    result = CliRunner().invoke(app, ["simulate", "--quirk", "help"])
    assert "never_answer_invite" in result.stdout.split()


@pytest.mark.parametrize("key", sorted(TEXT))
def test_every_sentence_exists_in_both_languages_with_the_same_values(key: str) -> None:
    def names(text: str) -> list[str]:
        return sorted({part.partition("}")[0].partition(":")[0] for part in text.split("{")[1:]})

    chinese, english = TEXT[key]
    assert chinese
    assert english
    assert names(chinese) == names(english)


def test_a_say_picks_its_language() -> None:
    words = {"zh": "好", "en": "good"}
    assert [Say(language).pick(words) for language in LANGUAGES] == ["好", "good"]


@pytest.mark.net
@pytest.mark.slow
def test_serve_prints_the_first_token_once_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "GATEWAY__SIP__HOST": "127.0.0.1",
        "GATEWAY__SIP__PORT": "0",
        "GATEWAY__HTTP__PORT": "0",
        "GATEWAY__RTSP__PORT": "0",
    }
    outputs = []
    for _ in range(2):
        command = [sys.executable, "-m", "gateway", "--lang", "en", "--data-dir", str(tmp_path)]
        process = subprocess.Popen(
            [*command, "serve"], env=environment, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 15
        while not (tmp_path / "cli.url").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        status = subprocess.run(
            [*command, "status", "--json"],
            env=environment,
            capture_output=True,
            timeout=15,
            check=True,
        )
        assert json.loads(status.stdout)["devices"]["total"] == 0
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=15)
        assert process.returncode == 0
        outputs.append(errors)
    assert "First start" in outputs[0]
    assert "First start" not in outputs[1]
    assert not (tmp_path / "cli.token").exists()


@pytest.mark.net
@pytest.mark.slow
def test_serve_names_the_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "-m", "gateway", "--lang", "en", "--data-dir", str(tmp_path), "serve"],
            env={**os.environ, "GATEWAY__SIP__PORT": "0", "GATEWAY__HTTP__PORT": str(port)},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert result.returncode == 1
    assert f"127.0.0.1:{port}" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.net
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_taken_port_is_named_with_what_to_do(tmp_path: Path, language: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = tmp_path / "gateway.toml"
        file.write_text(
            f'data_dir = "{tmp_path}"\n[http]\nport = {port}\n[sip]\nhost = "127.0.0.1"\nport = 0\n'
            "[rtsp]\nenabled = false\n"
        )
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "--lang", language, "--config", str(file), "serve"],
            capture_output=True,
            env=os.environ | {"COLUMNS": "500"},
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    said, remedy = done.stderr.decode().splitlines()[-2:]
    assert f"127.0.0.1:{port}: Address already in use [http_not_listening]" in said
    assert "[http] host" in remedy
    assert ("处理" in remedy) == (language == "zh")


def test_every_code_of_a_failed_start_has_a_remedy() -> None:
    assert set(START_HINTS.values()) == set(START_TEXT) - {"cannot_start"}
