"""Commands against a real HTTP server: what people see, what programs get, exit codes."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from gateway.domain.session import EndReason
from gateway.domain.store import StoreHealth
from tests.support.http import (
    ADMIN,
    CHANNEL,
    DEVICE,
    OTHER_DEVICE,
    SHARED_CHANNEL,
    HttpBench,
    failed_session,
    http_bench,
    session_failed,
)

pytestmark = pytest.mark.net


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATEWAY_URL", "GATEWAY_TOKEN", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(autouse=True)
def silent_log() -> Iterator[None]:
    """Keep the server's log out of what the command prints: both share this process's stdout."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


async def gateway(bench: HttpBench, *words: str, lang: str = "en") -> Result:
    """Run a command as a local user would: it finds URL and token in the data directory."""
    options = ["--lang", lang, "--data-dir", str(bench.data_dir)]
    return await invoke([*options, *words])


async def invoke(words: list[str]) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, words))


async def test_status_shows_counts_and_that_nothing_is_wrong(bench: HttpBench) -> None:
    result = await gateway(bench, "status")
    assert result.exit_code == 0, result.output
    assert "2 online of 2" in result.stdout
    assert "UDP 127.0.0.1:5060" in result.stdout
    assert "Nothing is wrong" in result.stdout


async def test_status_speaks_chinese_when_asked_or_when_the_locale_does(
    bench: HttpBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = await gateway(bench, "status", lang="zh")
    assert "2 在线 / 共 2" in result.stdout
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    result = await invoke(["--data-dir", str(bench.data_dir), "status"])
    assert "没有发现问题" in result.stdout


async def test_status_names_troubles_and_fails_only_for_the_gateways_own(bench: HttpBench) -> None:
    bench.registry.unregistered(OTHER_DEVICE)
    bench.sessions.records.append(failed_session(at=bench.clock.utc_now()))
    result = await gateway(bench, "status")
    assert result.exit_code == 0
    assert "needs attention" in result.stdout
    assert "logged_out" in result.stdout
    assert "no_packet" in result.stdout
    bench.health.append(StoreHealth(ok=False, detail="disk full [vda1]"))
    result = await gateway(bench, "status")
    assert result.exit_code == 1
    assert "disk full [vda1]" in result.stdout


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("status",), "state"),
        (("devices",), "items"),
        (("devices", DEVICE), "timeline"),
        (("channels",), "items"),
        (("streams",), "items"),
        (("sessions",), "items"),
        (("sessions", "failed1"), "stages"),
        (("play", DEVICE, CHANNEL), "urls"),
        (("doctor",), "checks"),
    ],
)
async def test_every_reading_command_gives_json(
    bench: HttpBench, words: tuple[str, ...], key: str
) -> None:
    bench.sessions.records.append(failed_session())
    result = await gateway(bench, *words, "--json")
    assert key in json.loads(result.stdout)


async def test_lists_show_rows_and_say_when_there_are_more(bench: HttpBench) -> None:
    result = await gateway(bench, "devices")
    assert DEVICE in result.stdout
    assert "UDP 10.0.0.7:5060" in result.stdout
    result = await gateway(bench, "channels", "--limit", "3")
    assert "3 of 4 shown" in result.stdout
    result = await gateway(bench, "channels", OTHER_DEVICE)
    assert result.stdout.count(OTHER_DEVICE) == 1
    result = await gateway(bench, "streams")
    assert "h264 1920x1080" in result.stdout
    assert "2 flv" in result.stdout


async def test_a_device_is_shown_with_its_timeline(bench: HttpBench) -> None:
    result = await gateway(bench, "devices", DEVICE)
    assert "registered" in result.stdout
    assert "catalog_synced" in result.stdout


@pytest.mark.parametrize(
    ("words", "explanation"),
    [
        (("devices", "-q", "nothing"), "Nothing matches"),
        (("devices", "--offline"), "Nothing matches"),
        (("sessions",), "No session since the gateway started"),
    ],
)
async def test_an_empty_list_is_explained(
    bench: HttpBench, words: tuple[str, ...], explanation: str
) -> None:
    assert explanation in (await gateway(bench, *words)).stdout


async def test_the_first_list_of_devices_says_what_to_enter_in_the_camera(
    bench: HttpBench,
) -> None:
    for device in (DEVICE, OTHER_DEVICE):
        await bench.registry.forget(device)
    result = await gateway(bench, "devices")
    assert "[sip] port" in result.stdout
    assert "SIP server ID" in result.stdout


async def test_play_prints_stages_and_whole_urls(bench: HttpBench) -> None:
    result = await gateway(bench, "play", DEVICE, CHANNEL)
    assert result.exit_code == 0, result.output
    assert "answered" in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("ws_mp4")]
    assert line.partition("?token=")[2].count(".") == 1


async def test_play_takes_the_only_channel_of_a_device(bench: HttpBench) -> None:
    result = await gateway(bench, "play", OTHER_DEVICE)
    assert f"Playing {OTHER_DEVICE}/{SHARED_CHANNEL}" in result.stdout


async def test_play_lists_the_channels_when_there_are_several(bench: HttpBench) -> None:
    result = await gateway(bench, "play", DEVICE)
    assert result.exit_code == 2
    assert "has 3 channels; name one" in result.stderr
    assert CHANNEL in result.stderr


async def test_a_failed_play_is_explained(bench: HttpBench) -> None:
    record = failed_session(EndReason.INVITE_REFUSED)
    record.session_id = "s1"
    bench.sessions.records.append(record)
    bench.sessions.refuse = session_failed(EndReason.INVITE_REFUSED, "486 Busy Here", 486)
    result = await gateway(bench, "play", DEVICE, CHANNEL, lang="zh")
    assert result.exit_code == 1
    assert "486 Busy Here" in result.stderr
    assert "未到达的阶段: answered" in result.stderr
    assert "可能的原因" in result.stderr


async def test_doctor_checks_the_machine_and_explains_the_last_failure(bench: HttpBench) -> None:
    bench.sessions.records.append(failed_session())
    result = await gateway(bench, "doctor")
    for check in ("config", "ports", "advertise", "clock", "files", "disk", "store", "gateway"):
        assert check in result.stdout, check
    assert "The stage not reached: first_packet" in result.stdout
    assert "Likely causes" in result.stdout


async def test_doctor_explains_the_named_session(bench: HttpBench) -> None:
    now = bench.clock.utc_now()
    bench.sessions.records += [
        failed_session(EndReason.INVITE_TIMEOUT, number=1),
        failed_session(number=2, at=now + timedelta(hours=1)),
    ]
    result = await gateway(bench, "doctor", "--session", "failed1", "--json")
    assert json.loads(result.stdout)["diagnosis"]["session"]["session_id"] == "failed1"


async def test_an_unknown_thing_is_refused_with_the_gateways_words(bench: HttpBench) -> None:
    result = await gateway(bench, "devices", "34020000001110009999")
    assert result.exit_code == 1
    assert "device_unknown" in result.stderr


async def test_url_and_token_may_be_given(
    bench: HttpBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--url", bench.url, "--token", ADMIN, "devices"]
    assert (await invoke(given)).exit_code == 0
    monkeypatch.setenv("GATEWAY_URL", bench.url)
    monkeypatch.setenv("GATEWAY_TOKEN", "wrong-token-wrong-token")
    result = await invoke(["--lang", "en", "devices"])
    assert result.exit_code == 1
    assert "credential_wrong" in result.stderr


def test_without_a_gateway_the_commands_say_so(tmp_path: Path) -> None:
    lang = ["--lang", "en"]
    result = CliRunner().invoke(app, [*lang, "--data-dir", str(tmp_path), "status"])
    assert result.exit_code == 1
    assert "cli.token cannot be read" in result.stderr
    address = ["--url", "http://127.0.0.1:9", "--token", "x"]
    result = CliRunner().invoke(app, [*lang, *address, "status"])
    assert result.exit_code == 1
    assert "No gateway answers at http://127.0.0.1:9" in result.stderr


@pytest.mark.parametrize(
    "words", [["nonsense"], ["--lang", "fr", "status"], ["devices", "--limit", "0"], ["play"]]
)
def test_wrong_usage_is_exit_code_2(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2
