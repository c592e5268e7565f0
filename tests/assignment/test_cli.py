"""The commands: what they print and their exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from assignment import cli
from assignment.registry import load_spec
from assignment.release import release
from assignment.release.release import Layout
from assignment.verify import gate as verify
from assignment.verify.gate import Outcome
from tests.support.course import write_course

RUNNER = CliRunner()


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    made = write_course(tmp_path)
    monkeypatch.setattr(release, "Layout", lambda: made)
    return made


def test_build_writes_the_release_and_exits_0(layout: Layout) -> None:
    result = RUNNER.invoke(cli.create_app(), ["build"])
    assert result.exit_code == 0
    assert (layout.template / "rlhf.ipynb").is_file() and (layout.dist / "rlhf-student.zip").is_file()
    assert f"{len(load_spec().slots) + 2} generated files" in result.output


def test_build_check_exits_1_before_a_build_and_0_after_it_and_writes_nothing(layout: Layout) -> None:
    app = cli.create_app()
    first = RUNNER.invoke(app, ["build", "--check"])
    assert first.exit_code == 1 and "rlhf.ipynb is missing" in first.output
    assert not (layout.template / "rlhf.ipynb").exists()
    RUNNER.invoke(app, ["build"])
    assert RUNNER.invoke(app, ["build", "--check"]).exit_code == 0


def test_build_ends_with_1_where_the_notebook_was_solved_in_place_and_overwrites_it_if_told_to(layout: Layout) -> None:
    app, path = cli.create_app(), layout.template / "rlhf.ipynb"
    RUNNER.invoke(app, ["build"])
    built = path.read_bytes()
    path.write_text("solved")
    refused = RUNNER.invoke(app, ["build"])
    assert refused.exit_code == 1 and "rlhf.ipynb" in refused.output and path.read_text() == "solved"
    assert RUNNER.invoke(app, ["build", "--overwrite"]).exit_code == 0
    assert path.read_bytes() == built


def test_a_wrong_source_exits_1_with_file_and_line_and_no_traceback(layout: Layout) -> None:
    path = layout.solutions / "p3_sft.py"
    path.write_text(path.read_text(encoding="utf-8").replace("# END SOLUTION", "# END", 1), encoding="utf-8")
    result = RUNNER.invoke(cli.create_app(), ["build"])
    assert result.exit_code == 1
    assert "p3_sft.py:" in result.output and "Traceback" not in result.output


@pytest.mark.parametrize(("problems", "code"), [((), 0), (("a [b] problem",), 1)])
def test_verify_prints_a_line_per_check_and_exits_by_the_result(
    monkeypatch: pytest.MonkeyPatch, problems: tuple[str, ...], code: int
) -> None:
    def gate(*, static_only: bool, slot_checks, on_outcome, progress) -> list[Outcome]:  # noqa: ANN001
        outcome = Outcome("leaks", "" if problems else "none", problems, 0.5)
        on_outcome(outcome)
        return [outcome]

    monkeypatch.setattr(verify, "run_gate", gate)
    result = RUNNER.invoke(cli.create_app(), ["verify", "--static"])
    assert result.exit_code == code
    assert "leaks" in result.output and all(problem in result.output for problem in problems)


@pytest.mark.parametrize("command", ["build", "verify", "new-slot"])
def test_help_teaches(command: str) -> None:
    result = RUNNER.invoke(cli.create_app(), [command, "--help"])
    assert result.exit_code == 0 and "solution" in result.output
