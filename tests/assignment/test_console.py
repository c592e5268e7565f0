"""The terminal shows text as it is: brackets are not read as styles, nor `:100:` as an emoji."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest
import typer
from rich.text import Text
from typer.testing import CliRunner

from assignment import cli
from assignment.console import PIPED_WIDTH, labelled, make_console, spinner
from assignment.verify import gate
from assignment.verify.gate import GateResult
from autograder import cli as grader_cli
from tests.support.sources import name_of, python_files, tree_of

MESSAGES = ["[red]", "[/]", "[[slot]] T07: points must be positive", ":100:", ":smile:", "[link=x]y[/link]", "\\[x]"]


@pytest.fixture
def terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm-256color")
    return bool(request.param)


BOTH = pytest.mark.parametrize("terminal", [False, True], ids=["piped", "terminal"], indirect=True)


@BOTH
@pytest.mark.parametrize("stderr", [False, True])
@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_printed_as_it_is(
    capsys: pytest.CaptureFixture[str], terminal: bool, stderr: bool, message: str
) -> None:
    console = make_console(stderr)
    assert console.is_terminal == terminal
    console.print(message)
    shown = capsys.readouterr()
    assert (shown.err if stderr else shown.out) == f"{message}\n"


@BOTH
def test_a_label_has_its_colour_and_the_message_has_none(capsys: pytest.CaptureFixture[str], terminal: bool) -> None:
    make_console().print(labelled("stale", "red", ": [green]x[/green]"))
    assert capsys.readouterr().out == ("\x1b[31mstale\x1b[0m" if terminal else "stale") + ": [green]x[/green]\n"


@BOTH
@pytest.mark.parametrize("message", MESSAGES)
def test_a_spinner_shows_its_text_as_it_is(capsys: pytest.CaptureFixture[str], terminal: bool, message: str) -> None:
    with spinner(make_console(), "begins") as say:
        say(message)
    assert not terminal or message in Text.from_ansi(capsys.readouterr().out).plain


def test_piped_output_is_wrapped_unless_soft_wrap_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    words = "word " * PIPED_WIDTH
    make_console().print(words)
    make_console(soft_wrap=True).print(words)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= PIPED_WIDTH
    assert lines[-1] == words


@BOTH
@pytest.mark.parametrize("message", MESSAGES)
def test_verify_shows_details_and_problems_as_they_are(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, message: str
) -> None:
    def run_gate(
        *, on_result: Callable[[GateResult], None], progress: Callable[[str], None], **_: object
    ) -> list[GateResult]:
        progress(message)
        results = [GateResult("leaks", f"a {message}", (), 0.5), GateResult("zip", "", (f"b {message}",), 0.5)]
        for result in results:
            on_result(result)
        return results

    monkeypatch.setattr(gate, "run_gate", run_gate)
    result = CliRunner().invoke(cli.create_app(), ["verify", "--static"])
    shown = Text.from_ansi(result.output).plain
    assert result.exit_code == 1
    assert f"a {message}" in shown
    assert f"- b {message}" in shown


@pytest.mark.parametrize("message", MESSAGES)
def test_a_wrong_command_line_is_quoted_as_it_is(message: str) -> None:
    result = CliRunner().invoke(grader_cli.app, ["grade", "x.ipynb", message])
    assert result.exit_code == 2
    assert f"({message})" in result.output


def test_help_is_read_as_plain_text_in_both_command_lines() -> None:
    assert isinstance(grader_cli.app, typer.Typer)
    assert [app.rich_markup_mode for app in (grader_cli.app, cli.create_app())] == [None, None]


def test_only_the_console_module_makes_consoles_and_spinners() -> None:
    """`Console(…)` and `console.status(…)` read markup unless every call says no."""
    found = {
        name_of(path)
        for path in python_files("assignment", "autograder") for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("Console", "status", "from_markup")
    }  # fmt: skip
    assert found == {"assignment/console.py"}
