"""What strangers wrote reaches the terminal as text, never as commands."""

import io
import json

import pytest
from rich.table import Table
from rich.text import Text

from gateway.cli.console import PlainConsole, json_text

HOSTILE = "\x1b]0;pwned\x07\x1b[2Ja\x9b31mb\x7f\u202ec"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return io.StringIO()


def test_commands_to_the_terminal_are_shown_and_not_obeyed(said: io.StringIO) -> None:
    table = Table("name", HOSTILE)
    table.add_row(HOSTILE, Text(HOSTILE, style="red"))
    out = PlainConsole(file=said)
    out.print(table)
    out.print(HOSTILE, style="bold")
    text = said.getvalue()
    assert text.count("pwned") == 4
    # The colours are rich's own.
    assert "\x1b[31m" in text
    for command in ("\x1b]", "\x07", "\x1b[2J", "\x9b", "\x7f", "\u202e"):
        assert command not in text


def test_colours_tabs_and_lines_stay_as_they_are(said: io.StringIO) -> None:
    PlainConsole(file=said).print(Text("one\ntwo 张三", style="green"))
    assert said.getvalue() == "\x1b[32mone\x1b[0m\n\x1b[32mtwo 张三\x1b[0m\n"


def test_json_means_the_same_and_holds_no_commands() -> None:
    value = {"name": HOSTILE, "list": ["张三", "a\nb\tc"]}
    text = json_text(value)
    assert json.loads(text) == value
    assert "张三" in text
    assert not any(character in text for character in "\x1b\x07\x9b\x7f\u202e")
