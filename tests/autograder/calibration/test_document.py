"""From tables to document: what is said and drawn, and how the command ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import rlhf_kit as kit
from assignment.registry import load_spec
from autograder import sandbox
from autograder.calibration import command, document, study
from autograder.calibration.figure import draw
from autograder.calibration.findings import Finding, findings, judged_wrongly
from autograder.calibration.statistics import STATISTICS, Statistic
from autograder.calibration.subjects import subjects
from autograder.cli import app
from autograder.reference.models import load_reference
from autograder.sandbox import SandboxError
from autograder.training.run import STAGES
from autograder.training.stage import Lab
from tests.support import made_up_study

SPEC = load_spec()
BARS = SPEC.thresholds("tiny")


@dataclass(frozen=True)
class Whole:
    """A study on disk, and what was found in it."""

    folder: Path
    found: list[Finding]

    @property
    def text(self) -> str:
        """The document."""
        return (self.folder / "calibration.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(load_reference(), SPEC, kit.get_profile())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A made-up study without a wrong verdict, its document and its figures: drawn once."""
    folder = tmp_path_factory.mktemp("whole")
    made_up_study.write(folder / "runs", BARS)
    runs = list(study.measured(SPEC, folder / "runs"))
    found = findings(runs, BARS)
    document.write(found, document.Study(runs, len(runs), SPEC), folder / "calibration.md")
    return Whole(folder, found)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Reports draw no figures, which takes long; returns the folders that they would be drawn into."""
    folders: list[Path] = []
    monkeypatch.setattr(document, "draw_all", lambda found, folder: folders.append(folder))
    return folders


def test_a_made_up_study_holds_everywhere(whole: Whole) -> None:
    assert judged_wrongly(whole.found) == {}
    assert [one for one in whole.found if not one.holds] == []


def test_every_figure_of_the_document_is_one_picture(whole: Whole) -> None:
    figures = re.findall(r"!\[.*\]\((.*)\)", whole.text)
    assert len(figures) == len(STATISTICS)
    for figure in figures:
        assert (whole.folder / figure).read_text(encoding="utf-8").count("<svg") == 1


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda one: f"{one.item}-{one.name}")
def test_a_section_has_the_bar_and_every_subject(whole: Whole, statistic: Statistic) -> None:
    section = whole.text.split(f"## `{statistic.item}`: {statistic.name}\n")[1].split("\n## ")[0]
    assert f"Bar: **{document.bar_text(statistic.allowed(BARS))}**" in section
    mine = [s.title for s in subjects(SPEC) if statistic.item in s.stage.items]
    assert [title for title in mine if f"| {title} |" not in section] == []


@pytest.mark.parametrize("item", sorted({one.item for one in STATISTICS}))
def test_the_error_rates_of_a_study_without_a_wrong_verdict_are_below_the_least(whole: Whole, item: str) -> None:
    rates = whole.text.split("## Error rates")[1].split(f"| `{item}` |")[1].split("\n")[0].split("|")
    assert rates[0].startswith(" 0 of "), rates
    assert rates[2] == rates[5] == f" < {document.RATE_LEAST:g} ", rates


def test_the_document_names_the_references_seconds_and_no_missing_number(whole: Whole) -> None:
    assert whole.text.count("| 40 | 30 |") == len(STAGES)
    assert "nan" not in whole.text


def test_a_figure_leaves_out_a_run_without_weights(tmp_path: Path) -> None:
    made_up_study.write(tmp_path / "runs", BARS, {"stage_rm rm_swapped": "crashed"})
    found = findings(list(study.measured(SPEC, tmp_path / "runs")), BARS)
    statistic = next(one for one in STATISTICS if one.item == "rm_accuracy")
    draw(found, statistic, tmp_path / "figure.svg")
    dots = sum(study.SEEDS[s.kind] for s in subjects(SPEC) if "rm_accuracy" in s.stage.items) - 1
    svg = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    inside_the_axes = re.findall(r"<g clip-path.*?</g>", svg, re.DOTALL)  # ticks stand outside
    assert sum(group.count("<use ") for group in inside_the_axes) == dots


@pytest.mark.parametrize(
    ("whose", "how", "item"),
    [
        ("stage_sft reference", "turned", "sft_loss_trend"),
        ("stage_ppo ppo_other_maths", "turned", "ppo_kl"),
        ("stage_ppo ppo_hacked", "turned", "ppo_reward"),
        ("stage_rm rm_swapped", "crashed", "rm_accuracy"),
    ],
)
def test_a_run_that_is_judged_wrongly_is_named_and_ends_in_1(
    lab, undrawn, tmp_path, capsys, whose, how, item
) -> None:
    made_up_study.write(tmp_path / "runs", BARS, {whose: how})
    assert command.report(lab, tmp_path / "runs", tmp_path / "calibration.md") == 1
    printed = capsys.readouterr().out
    assert f"{item}: {whose.split()[1]} was judged wrongly in 1 of " in printed
    assert "**1 judged wrongly**" in (tmp_path / "calibration.md").read_text(encoding="utf-8")
    assert undrawn == [tmp_path / document.FIGURES]


def test_a_study_without_a_wrong_verdict_ends_in_0_and_says_which_runs_are_old(
    lab, undrawn, whole, tmp_path, capsys
) -> None:
    assert command.report(lab, whole.folder / "runs", tmp_path / "calibration.md") == 0
    n = sum(study.SEEDS[subject.kind] for subject in subjects(SPEC))
    assert f"calibration 0/{n} runs · {n} of older code, data or configs · 0 judged" in capsys.readouterr().out


def test_a_study_without_a_run_writes_a_document_too(lab, tmp_path, capsys) -> None:
    assert command.report(lab, tmp_path / "runs", tmp_path / "calibration.md") == 0
    assert (tmp_path / "calibration.md").exists()


@pytest.mark.parametrize(
    ("end", "judged", "code"),
    [(KeyboardInterrupt(), 1, 130), (SandboxError("none here"), 0, 1), (None, 1, 1), (None, 0, 0)],
    ids=["Ctrl-C", "no sandbox", "judged wrongly", "judged rightly"],
)
def test_the_command_ends_in_what_happened(monkeypatch, end: BaseException | None, judged: int, code: int) -> None:
    """One run is missing where the sitting ends early, and none otherwise."""

    def opened(**options: Any) -> None:
        assert end is not None
        raise end

    for name in ("set_num_threads", "set_flush_denormal"):  # of the process that tests share
        monkeypatch.setattr(torch, name, lambda value: None)
    monkeypatch.setattr(study, "missing", lambda wanted: wanted[:1] if end else [])
    monkeypatch.setattr(sandbox, "WorkerSession", opened)
    monkeypatch.setattr(command, "report", lambda lab: judged)
    result = CliRunner().invoke(app, ["calibrate", "--device", "cpu"])
    assert result.exit_code == code
    assert f"{int(end is not None)} of " in result.output


def test_an_unknown_subject_is_refused_in_words() -> None:
    result = CliRunner().invoke(app, ["calibrate", "--only", "nobody"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)  # no traceback
    assert "nobody" in result.output
