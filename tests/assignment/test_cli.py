"""The commands: what they print and their exit codes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from assignment import cli
from assignment.registry import load_spec
from assignment.release.release import Layout
from assignment.verify import gate as verify
from assignment.verify.gate import GateResult

RUNNER = CliRunner()


def test_build_writes_the_release_and_exits_0(layout: Layout) -> None:
    result = RUNNER.invoke(cli.create_app(), ["build"])
    assert result.exit_code == 0
    assert (layout.template / "rlhf.ipynb").is_file()
    assert (layout.dist / "rlhf-student.zip").is_file()
    answers = len(list(layout.answers.glob("*.py"))) + 1  # with what they are told of the handout
    assert f"{len(load_spec().slots) + answers + 2} generated files" in result.output


def test_build_check_writes_nothing_and_exits_with_1_if_a_build_is_needed(layout: Layout) -> None:
    app = cli.create_app()
    first = RUNNER.invoke(app, ["build", "--check"])
    assert first.exit_code == 1
    assert "rlhf.ipynb is missing" in first.output
    assert not (layout.template / "rlhf.ipynb").exists()
    RUNNER.invoke(app, ["build"])
    assert RUNNER.invoke(app, ["build", "--check"]).exit_code == 0


def test_build_replaces_a_solved_notebook_only_with_overwrite(layout: Layout) -> None:
    app, path = cli.create_app(), layout.template / "rlhf.ipynb"
    RUNNER.invoke(app, ["build"])
    built = path.read_bytes()
    path.write_text("solved")
    refused = RUNNER.invoke(app, ["build"])
    assert refused.exit_code == 1
    assert "rlhf.ipynb" in refused.output
    assert path.read_text() == "solved"
    assert RUNNER.invoke(app, ["build", "--overwrite"]).exit_code == 0
    assert path.read_bytes() == built


def test_a_wrong_source_exits_1_with_file_and_line_and_no_traceback(layout: Layout) -> None:
    path = layout.solutions / "p3_sft.py"
    path.write_text(path.read_text(encoding="utf-8").replace("# END SOLUTION", "# END", 1), encoding="utf-8")
    result = RUNNER.invoke(cli.create_app(), ["build"])
    assert result.exit_code == 1
    assert "p3_sft.py:" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("problems", "code"), [((), 0), (("a [b] problem",), 1)])
def test_verify_prints_a_line_per_check_and_exits_by_the_result(
    monkeypatch: pytest.MonkeyPatch, problems: tuple[str, ...], code: int
) -> None:
    def gate(*, on_result: Callable[[GateResult], None], **_: object) -> list[GateResult]:
        result = GateResult("leaks", "" if problems else "none", problems, 0.5)
        on_result(result)
        return [result]

    monkeypatch.setattr(verify, "run_gate", gate)
    result = RUNNER.invoke(cli.create_app(), ["verify", "--static"])
    assert result.exit_code == code
    assert "leaks" in result.output
    assert all(problem in result.output for problem in problems)


@pytest.mark.parametrize("command", ["build", "verify", "new-slot"])
def test_help_explains_the_command(command: str) -> None:
    result = RUNNER.invoke(cli.create_app(), [command, "--help"])
    assert result.exit_code == 0
    assert "solution" in result.output
