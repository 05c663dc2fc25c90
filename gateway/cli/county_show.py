"""How the county demo talks: numbered steps, indented lines, tables, and what went wrong."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.cli.api import ApiRefused, ApiUnreachable
from gateway.cli.context import Cli

__all__ = ["Narrator", "StepFailed", "Steps"]

INDENT = 3


class StepFailed(Exception):
    """A step did not come about; the message is for people."""


class Narrator:
    """Says what happens, in the language of the command.

    Args:
        cli: Where to, and in which language.
    """

    def __init__(self, cli: Cli) -> None:
        self.out = cli.out
        self.say = cli.say
        self._steps = 0

    def title(self, key: str, **values: object) -> None:
        """Say what this is."""
        self.out.print(Text(self.say(key, **values), style="bold"))

    def step(self, key: str, **values: object) -> None:
        """Begin a step."""
        self._steps += 1
        self.out.print()
        self.out.print(Text(f"{self._steps:>2} {self.say(key, **values)}", style="bold cyan"))

    def line(self, key: str, *, style: str = "", **values: object) -> None:
        """Say something within a step."""
        self.show(Text(self.say(key, **values), style=style))

    def show(self, what: RenderableType) -> None:
        """Show something within a step."""
        self.out.print(Padding(what, (0, 0, 0, INDENT), expand=False))

    def raw(self, text: str) -> None:
        """Show something to be copied: never folded."""
        self.out.print(" " * INDENT + text, soft_wrap=True)

    def table(
        self,
        *columns: str,
        right: frozenset[int] = frozenset(),
        whole: frozenset[int] = frozenset(),
    ) -> Table:
        """Return an empty table.

        Args:
            columns: Keys of the headings.
            right: Numbers of the columns that hold figures.
            whole: Numbers of the columns that are never folded.
        """
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
        for number, key in enumerate(columns):
            table.add_column(
                self.say(key),
                overflow="fold",
                justify="right" if number in right else "left",
                no_wrap=number in whole,
            )
        return table

    def pick(self, names: Mapping[str, str]) -> str:
        """Return one of `{"zh": ..., "en": ...}`."""
        return self.say.pick(names)

    @contextmanager
    def waiting(self, key: str, **values: object) -> Iterator[Callable[..., None]]:
        """Show that something is waited for, while the block runs; nothing where nobody sees it move.

        Yields:
            Changes the values of the sentence.
        """
        if not self.out.is_terminal:
            yield lambda **_: None
            return
        with self.out.status(self.say(key, **values), spinner="dots") as status:
            yield lambda **changes: status.update(self.say(key, **(values | changes)))


class Steps:
    """Takes steps one by one; one that fails is said and remembered, and the others go on.

    Args:
        show: Says what failed.
    """

    def __init__(self, show: Narrator) -> None:
        self.failures: list[str] = []
        """Why steps failed, for people."""
        self._show = show

    async def take(self, step: Callable[[], Awaitable[object]]) -> bool:
        """Take a step; False if it failed."""
        try:
            await step()
        except StepFailed as exc:
            self.fail(str(exc))
        except ApiRefused as exc:
            self.fail(f"{exc.detail} [{exc.code}]")
        except (ApiUnreachable, TimeoutError) as exc:
            self.fail(str(exc) or self._show.say("county_timeout"))
        else:
            return True
        return False

    def fail(self, why: str) -> None:
        """Say and remember that something failed."""
        self.failures.append(why)
        self._show.line("county_step_failed", style="red", why=why)
