"""The document that is written from the tables, its figures, and the exit code of the command."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from typer.testing import CliRunner

import rlhf_kit as kit
from assignment.registry import load_spec
from autograder import sandbox
from autograder.calibration import command, document, study
from autograder.calibration.figure import draw
from autograder.calibration.findings import Finding, findings, wrong_verdicts_by_item
from autograder.calibration.statistics import STATISTICS, Statistic
from autograder.calibration.subjects import subjects
from autograder.cli import app
from autograder.reference.models import load_reference
from autograder.sandbox import SandboxError
from autograder.training.run import STAGES
from autograder.training.stage import Lab
from tests.support import made_up_study

if TYPE_CHECKING:
    from pathlib import Path

SPEC = load_spec()
THRESHOLDS = SPEC.thresholds("tiny")


@dataclass(frozen=True)
class MadeUp:
    """A made-up study on disk, and its findings."""

    folder: Path
    found: list[Finding]

    @property
    def text(self) -> str:
        """Return the document."""
        return (self.folder / "calibration.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(load_reference(), SPEC, kit.get_profile())


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> MadeUp:
    """A made-up study without a wrong verdict, with its document and its figures, which are drawn once."""
    folder = tmp_path_factory.mktemp("made_up")
    made_up_study.write(folder / "runs", THRESHOLDS)
    runs = list(study.measured(SPEC, folder / "runs"))
    found = findings(runs, THRESHOLDS)
    document.write(found, document.Study(runs, len(runs), SPEC), folder / "calibration.md")
    return MadeUp(folder, found)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replace the drawing of figures, which takes long. Returns the folders that they would be drawn into."""
    folders: list[Path] = []
    monkeypatch.setattr(document, "draw_all", lambda _, folder: folders.append(folder))
    return folders


def test_made_up_study_without_wrong_verdicts_holds_everywhere(made_up: MadeUp) -> None:
    assert wrong_verdicts_by_item(made_up.found) == {}
    assert [one for one in made_up.found if not one.holds] == []


def test_every_figure_of_the_document_is_one_svg(made_up: MadeUp) -> None:
    figures = re.findall(r"!\[.*\]\((.*)\)", made_up.text)
    assert len(figures) == len(STATISTICS)
    for figure in figures:
        assert (made_up.folder / figure).read_text(encoding="utf-8").count("<svg") == 1


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda one: f"{one.item}-{one.name}")
def test_section_states_the_threshold_and_every_subject(made_up: MadeUp, statistic: Statistic) -> None:
    section = made_up.text.split(f"## `{statistic.item}`: {statistic.name}\n")[1].split("\n## ")[0]
    assert f"Threshold: **{document.range_text(statistic.allowed(THRESHOLDS))}**" in section
    mine = [s.title for s in subjects(SPEC) if statistic.item in s.stage.items]
    assert [title for title in mine if f"| {title} |" not in section] == []


@pytest.mark.parametrize("item", sorted({one.item for one in STATISTICS}))
def test_error_rates_of_a_study_without_wrong_verdicts_are_below_the_smallest_shown(made_up: MadeUp, item: str) -> None:
    rates = made_up.text.split("## Error rates")[1].split(f"| `{item}` |")[1].split("\n")[0].split("|")
    assert rates[0].startswith(" 0 of "), rates
    assert rates[2] == rates[5] == f" < {document.RATE_LEAST:g} ", rates


def test_document_states_the_seconds_of_the_reference_and_holds_no_nan(made_up: MadeUp) -> None:
    assert made_up.text.count("| 40 | 30 |") == len(STAGES)
    assert "nan" not in made_up.text


def test_figure_leaves_out_a_run_without_weights(tmp_path: Path) -> None:
    made_up_study.write(tmp_path / "runs", THRESHOLDS, {"stage_rm rm_swapped": "crashed"})
    found = findings(list(study.measured(SPEC, tmp_path / "runs")), THRESHOLDS)
    statistic = next(one for one in STATISTICS if one.item == "rm_accuracy")
    draw(found, statistic, tmp_path / "figure.svg")
    dots = sum(study.SEEDS[s.kind] for s in subjects(SPEC) if "rm_accuracy" in s.stage.items) - 1
    svg = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    inside_the_axes = re.findall(r"<g clip-path.*?</g>", svg, re.DOTALL)  # ticks stand outside
    assert sum(group.count("<use ") for group in inside_the_axes) == dots


@pytest.mark.parametrize(
    "wrong",  # whose run, how it ends, which item gets the wrong verdict
    [
        ("stage_sft reference", "turned", "sft_loss_trend"),
        ("stage_ppo ppo_other_maths", "turned", "ppo_kl"),
        ("stage_ppo ppo_hacked", "turned", "ppo_reward"),
        ("stage_rm rm_swapped", "crashed", "rm_accuracy"),
    ],
)
def test_wrong_verdict_is_reported_by_item_and_subject_and_exits_with_1(lab, undrawn, tmp_path, capsys, wrong) -> None:
    whose, how, item = wrong
    made_up_study.write(tmp_path / "runs", THRESHOLDS, {whose: how})
    assert command.report(lab, tmp_path / "runs", tmp_path / "calibration.md") == 1
    printed = capsys.readouterr().out
    assert f"{item}: {whose.split()[1]} got the wrong verdict in 1 of " in printed
    assert "**wrong verdicts: 1**" in (tmp_path / "calibration.md").read_text(encoding="utf-8")
    assert undrawn == [tmp_path / document.FIGURES]


@pytest.mark.usefixtures("undrawn")
def test_study_without_wrong_verdicts_exits_with_0_and_counts_outdated_runs(lab, made_up, tmp_path, capsys) -> None:
    assert command.report(lab, made_up.folder / "runs", tmp_path / "calibration.md") == 0
    n = sum(study.SEEDS[subject.kind] for subject in subjects(SPEC))
    assert f"calibration 0/{n} runs · {n} of older code, data or configs · 0 wrong verdicts" in capsys.readouterr().out


def test_study_without_runs_writes_a_document(lab, tmp_path) -> None:
    assert command.report(lab, tmp_path / "runs", tmp_path / "calibration.md") == 0
    assert (tmp_path / "calibration.md").exists()


@pytest.mark.parametrize(
    ("end", "wrong", "code"),
    [(KeyboardInterrupt(), 1, 130), (SandboxError("none here"), 0, 1), (None, 1, 1), (None, 0, 0)],
    ids=["Ctrl-C", "no sandbox", "wrong verdict", "no wrong verdict"],
)
def test_exit_code_says_how_the_command_ended(monkeypatch, end: BaseException | None, wrong: int, code: int) -> None:
    """One run is missing if the command is interrupted, and none otherwise."""

    def opened(**_: Any) -> None:
        assert end is not None
        raise end

    for name in ("set_num_threads", "set_flush_denormal"):  # the process is shared by other tests
        monkeypatch.setattr(torch, name, lambda _: None)
    monkeypatch.setattr(study, "missing", lambda wanted: wanted[:1] if end else [])
    monkeypatch.setattr(sandbox, "WorkerSession", opened)
    monkeypatch.setattr(command, "report", lambda _: wrong)
    result = CliRunner().invoke(app, ["calibrate", "--device", "cpu"])
    assert result.exit_code == code
    assert f"{int(end is not None)} of " in result.output


def test_unknown_subject_is_refused_with_a_message() -> None:
    result = CliRunner().invoke(app, ["calibrate", "--only", "nobody"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)  # no traceback
    assert "nobody" in result.output
