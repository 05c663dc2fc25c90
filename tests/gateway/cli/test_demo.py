"""The demo as a newcomer runs it: a verdict and its exit code, and a clean end at Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

pytestmark = [pytest.mark.net, pytest.mark.slow]

COMMAND = [sys.executable, "-u", "-m", "gateway", "--lang", "en", "demo"]


@pytest.fixture
def demo() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(demo: list[subprocess.Popen[str]], *options: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*COMMAND, *options],
        env={**os.environ, "COLUMNS": "200", "GATEWAY__RTP__PORT_RANGE": "46000-46099"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    demo.append(process)
    return process


def test_the_demo_decodes_pictures_and_says_so(demo: list[subprocess.Popen[str]]) -> None:
    process = start(demo, "--codec", "hevc")
    output, _ = process.communicate(timeout=28)
    assert process.returncode == 0, output
    assert "stage first_output" in output
    assert "FLV: hevc 1280x720" in output
    assert "fMP4: hevc 1280x720" in output
    assert "audio aac" in output
    assert output.rstrip().endswith("Verdict: it works, frames were decoded")


def test_the_demo_shows_statistics_and_ends_at_once_at_repeated_ctrl_c(
    demo: list[subprocess.Popen[str]],
) -> None:
    process = start(demo, "--duration", "60")
    assert process.stdout is not None
    seen: list[str] = []
    while not seen or "kbit/s" not in seen[-1]:
        seen.append(process.stdout.readline())
        assert seen[-1], seen
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=40)
    assert time.monotonic() - began < 30
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
