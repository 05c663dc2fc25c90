"""The narrator of the county demo, and its steps."""

import io

import pytest
from rich.console import Console

from gateway.cli.api import ApiRefused, ApiUnreachable
from gateway.cli.context import Cli
from gateway.cli.county_show import Narrator, StepFailed, Steps


def narrator(width: int = 80, *, terminal: bool = False) -> tuple[Narrator, io.StringIO]:
    said = io.StringIO()
    out = Console(file=said, width=width, force_terminal=terminal, highlight=False, markup=False)
    return Narrator(Cli(language="en", out=out)), said


async def fine() -> None:
    return None


async def test_a_step_that_fails_is_said_and_the_next_one_taken() -> None:
    show, said = narrator()
    steps = Steps(show)

    async def fails() -> None:
        raise StepFailed("no camera moved")

    assert not await steps.take(fails)
    assert await steps.take(fine)
    assert steps.failures == ["no camera moved"]
    assert said.getvalue() == "   Failed: no camera moved\n"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            ApiRefused(403, {"code": "denied", "detail": "A rule says no"}),
            "A rule says no [denied]",
        ),
        (ApiUnreachable("http://h:1", "no answer"), "http://h:1: no answer"),
        (TimeoutError(), "nothing came in time"),
    ],
)
async def test_what_the_gateways_refuse_or_leave_unanswered_is_a_failure_in_words(
    error: Exception, sentence: str
) -> None:
    show, _ = narrator()
    steps = Steps(show)

    async def fails() -> None:
        raise error

    assert not await steps.take(fails)
    assert steps.failures == [sentence]


async def test_a_bug_is_no_failed_step() -> None:
    show, _ = narrator()

    async def broken() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await Steps(show).take(broken)


def test_steps_are_numbered_and_long_lines_folded_under_their_beginning() -> None:
    show, said = narrator(width=40)
    show.step("county_refuse")
    show.line("county_bad", why="a reason that is far too long for one line of forty")
    show.step("county_findings")
    lines = said.getvalue().splitlines()
    assert lines[1].startswith(" 1 ")
    folded = [line for line in lines if "forty" in line or "Verdict" in line]
    assert len(folded) == 2
    assert all(line.startswith("   ") and len(line) <= 40 for line in folded)
    assert any(line.startswith(" 2 ") for line in lines)


def test_what_is_to_be_copied_is_never_folded() -> None:
    show, said = narrator(width=40)
    show.raw("k" * 100)
    assert said.getvalue() == f"   {'k' * 100}\n"


def test_waiting_is_shown_where_somebody_sees_it_move() -> None:
    values = {"level": "Township", "wanted": 9}
    for terminal, shown in ((False, False), (True, True)):
        show, said = narrator(terminal=terminal)
        with show.waiting("county_wait_catalog", count=0, **values) as update:
            update(count=5)
        assert ("5 of 9 cameras" in said.getvalue()) is shown
