"""What tests of commands against a real HTTP server share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from tests.support.http import HttpBench, http_bench

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment without a gateway in it, and no log in what commands print: both share this process's stdout."""
    for name in ("GATEWAY_URL", "GATEWAY_TOKEN", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("COLUMNS", "220")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


@pytest.fixture
async def office(tmp_path: Path, plain: None) -> AsyncIterator[HttpBench]:
    """A gateway with sharing and a real audit."""
    async with http_bench(tmp_path, audit_files=True) as running:
        yield running


@pytest.fixture
def run(office: HttpBench) -> Run:
    """Run a command as a local user would: it finds URL and token in the data directory."""

    async def command(*words: str, lang: str = "en", stdin: str | None = None) -> Result:
        options = ["--lang", lang, "--data-dir", str(office.data_dir), *words]
        return await asyncio.to_thread(lambda: CliRunner().invoke(app, options, input=stdin))

    return command
