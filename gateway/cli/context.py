"""What all commands share: language, output, and the way to the running gateway."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console

from gateway.cli.api import Api, ApiRefused, ApiUnreachable
from gateway.cli.console import PlainConsole, json_text
from gateway.cli.text import Language, Say
from gateway.config.model import ConfigError, Settings, load_settings
from gateway.http.tokens import CLI_TOKEN_FILE, CLI_URL_FILE

__all__ = ["UNHEALTHY", "USAGE", "Cli"]

UNHEALTHY = 1
USAGE = 2

_Value = TypeVar("_Value")


@dataclass(slots=True)
class Cli:
    """The global options and where output goes."""

    language: Language
    url: str | None = None
    token: str | None = field(default=None, repr=False)
    data_dir: Path | None = None
    config: Path | None = None
    out: Console = field(default_factory=PlainConsole)
    err: Console = field(default_factory=lambda: PlainConsole(stderr=True))

    @property
    def say(self) -> Say:
        """Words in the chosen language."""
        return Say(self.language)

    def settings(self) -> Settings:
        """Load the configuration; a bad one ends the command with a sentence per problem."""
        try:
            settings = load_settings(self.config)
        except ConfigError as exc:
            self.err.print(self.say("bad_config"), style="red")
            for problem in exc.problems:
                self.err.print(f"  {self.say.problem(problem)}", soft_wrap=True)
            raise typer.Exit(USAGE) from None
        if self.data_dir is not None:
            settings = settings.model_copy(update={"data_dir": self.data_dir})
        return settings

    def ask(self, work: Callable[[Api], Awaitable[_Value]]) -> _Value:
        """Run one piece of work against the running gateway; its failures end the command."""
        url, token = self.address()
        return self.run(_with_api(url, token, self.language, work))

    def run(self, work: Awaitable[_Value]) -> _Value:
        """Run a coroutine; known failures and Ctrl-C end the command."""

        async def main() -> _Value:
            return await work

        try:
            return asyncio.run(main())
        except ApiUnreachable as exc:
            self.fail(self.say("no_gateway", url=exc.url, why=exc.why))
        except ApiRefused as exc:
            if exc.code == "not_api":
                self.fail(self.say("not_api", url=exc.detail, status=exc.status))
            self.refused(exc)
        except KeyboardInterrupt:
            self.err.print(self.say("interrupted"))
            raise typer.Exit(130) from None

    def refused(self, exc: ApiRefused) -> NoReturn:
        """Say what the gateway refused, line by line where it names lines, and end the command."""
        for error in exc.problem.get("errors", [])[:20]:
            if "line" in error:
                self.err.print(f"  {error['message']}", soft_wrap=True)
        if rule := exc.problem.get("rule"):
            self.err.print(self.say("denied_by", rule=rule))
        self.fail(self.say("refused", detail=exc.detail, code=exc.code))

    def fail(self, sentence: str, code: int = UNHEALTHY) -> NoReturn:
        """Say why and end the command."""
        self.err.print(sentence, style="red")
        raise typer.Exit(code)

    def print_json(self, value: Any) -> None:  # noqa: ANN401 - whatever the API said
        """Write JSON for programs: stable, uncoloured, UTF-8."""
        sys.stdout.write(json_text(value) + "\n")

    def address(self) -> tuple[str, str]:
        """Return URL and token of the gateway to talk to."""
        url = self.url or os.environ.get("GATEWAY_URL")
        token = self.token or os.environ.get("GATEWAY_TOKEN")
        if url and token:
            return url, token
        settings = self.settings()
        url = url or _local_url(settings)
        if token is None:
            path = settings.data_dir / CLI_TOKEN_FILE
            try:
                token = path.read_text().strip()
            except OSError as exc:
                self.fail(self.say("no_token", path=path, why=exc.strerror))
        return url, token


async def _with_api(
    url: str, token: str, language: Language, work: Callable[[Api], Awaitable[_Value]]
) -> _Value:
    async with Api(url, token, language=language) as api:
        return await work(api)


def _local_url(settings: Settings) -> str:
    try:
        return (settings.data_dir / CLI_URL_FILE).read_text().strip()
    except OSError:
        host = settings.http.host
        local = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - a comparison
        return f"http://{local}:{settings.http.port}"
