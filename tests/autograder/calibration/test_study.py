"""From tables to document: error rates, what is said and drawn, how the command ends; and the committed study."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

import rlhf_kit as kit
from assignment.registry import REGISTRY, load_spec
from autograder.calibration import DOCUMENT, RUNS, command, document, study, tables
from autograder.calibration.figure import figure_name
from autograder.calibration.findings import FALSE_ALARM, Finding, findings, judged_wrongly, passes
from autograder.calibration.margins import margin_inside, margin_outside
from autograder.calibration.rates import chance_of_failing, chance_of_passing
from autograder.calibration.statistics import STATISTICS, of_items
from autograder.calibration.subjects import subjects
from autograder.cli import app
from autograder.reference.models import load_reference
from autograder.training.run import STAGES
from autograder.training.stage import Lab
from tests.support import made_up_study

ROOT = DOCUMENT.parents[1]
SPEC = load_spec()
BARS, FRESH = SPEC.thresholds("tiny"), SPEC.rerun.seeds
GRID = np.linspace(0.005, 0.995, 100)
PLAIN = next(one for one in STATISTICS if not one.scale.words)  # its margins are those of its values


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(load_reference(), SPEC, kit.get_profile())


def finding(mean: float, deviation: float, low: float, near: float, must: str = "pass") -> Finding:
    """A made-up finding on a statistic that must be at least `low`."""
    x = tuple(float(v) for v in stats.norm(mean, deviation).ppf(GRID))
    margin = (margin_inside if must == "pass" else margin_outside)(x, (low, None))
    return Finding(subjects(SPEC)[0], PLAIN, must, x, 0, 0, margin, (low, None), near, 1.0)


def simulated_pass_rate(parts: list[Finding], runs: int = 400_000) -> float:
    """Share of submissions that pass an item of these independent statistics, by drawing their runs."""
    rng = np.random.default_rng(5)
    margins = [one.margin for one in parts]
    draws = np.array([rng.normal(m.mean, m.deviation, (runs, 1 + FRESH)) for m in margins if m])  # (parts, runs, 3)
    bar = np.array([one.allowed[0] for one in parts], dtype=float)[:, None]
    slack = np.array([one.near for one in parts])[:, None]
    good = (draws >= bar[:, :, None]).all(0)  # (runs, 3)
    near = ~good[:, 0] & (draws[:, :, 0] >= bar - slack).all(0)
    return float((good[:, 0] | (near & (2 * good.sum(1) > 1 + FRESH))).mean())


def test_the_chance_of_failing_is_what_drawing_the_verdicts_gives() -> None:
    one = finding(1.0, 0.2, low=0.8, near=0.1)
    assert chance_of_failing([one], FRESH) == pytest.approx(1 - simulated_pass_rate([one]), rel=0.03)


def test_an_item_of_several_statistics_fails_at_most_as_often_as_their_bound_says() -> None:
    parts = [finding(1.0, 0.2, low=0.7, near=0.1), finding(3.0, 0.5, low=2.2, near=0.3)]
    true, bound = 1 - simulated_pass_rate(parts), chance_of_failing(parts, FRESH)
    assert max(chance_of_failing([one], FRESH) for one in parts) < true <= bound < 1.5 * true


def test_the_chance_of_passing_is_what_drawing_the_verdicts_gives() -> None:
    wrong = finding(0.5, 0.2, low=0.8, near=0.1, must="fail")
    assert chance_of_passing(wrong, FRESH) == pytest.approx(simulated_pass_rate([wrong]), rel=0.03)
    assert chance_of_passing(wrong, FRESH) > float(stats.norm(0.5, 0.2).sf(0.8))  # fresh seeds help wrong code too


def test_runs_that_are_not_normal_leave_what_their_counts_leave_open() -> None:
    x = (*np.linspace(1.0, 1.1, 39), 2.0)
    odd = Finding(subjects(SPEC)[0], PLAIN, "pass", x, 0, 0, margin_inside(x, (0.8, None)), (0.8, None), 0.0, 1.0)
    assert chance_of_failing([odd], FRESH) == pytest.approx(1 - 0.05 ** (1 / 40))


@pytest.mark.parametrize(
    ("distance", "near", "holds"),
    [(3.2, 0.21, True), (3.2, 0.03, False), (2.6, 0.4, False)],  # of 2.94 SD asked to the bar, 3.87 to where near ends
)
def test_a_near_bar_holds_if_fresh_seeds_are_seldom_asked_and_reach_far(
    distance: float, near: float, holds: bool
) -> None:
    style, deviation = next(one for one in of_items(("rm_accuracy",)) if one.name == "style"), 0.2
    bars = BARS.model_copy(update={"rm_accuracy": BARS.rm_accuracy.model_copy(update={"style_near": near})})
    z = stats.zscore(stats.norm.ppf((np.arange(40) + 0.5) / 40), ddof=1)
    reference = next(one for one in subjects(SPEC) if one.stage.op == "stage_rm" and one.kind == "reference")
    rest = dict.fromkeys(tables.fields(reference.stage), "0.97") | {"status": tables.MEASURED}
    rows = [rest | {"style": str(bars.rm_accuracy.style_min + deviation * (distance + x))} for x in z]
    found = next(one for one in findings([(reference, rows)], bars) if one.statistic == style)
    assert found.margin is not None and found.margin.distance == pytest.approx(distance)
    assert found.final is not None and found.final.distance == pytest.approx(distance + near / deviation)
    assert (found.holds, found.holds_with_fresh_seeds) == (False, holds)
    assert ("holds with fresh seeds:" in document.text([found], [(reference, rows)], SPEC)) == holds


def test_the_document_of_a_whole_study_has_every_figure_subject_and_rate(tmp_path: Path) -> None:
    made_up_study.write(tmp_path / "runs", BARS)
    runs = list(study.measured(SPEC, tmp_path / "runs"))
    found = findings(runs, BARS)
    assert judged_wrongly(found) == {} and [one for one in found if not one.holds] == []
    path = tmp_path / "calibration.md"
    document.write(found, runs, SPEC, path)
    text = path.read_text(encoding="utf-8")
    for figure in re.findall(r"!\[.*\]\((.*)\)", text):
        assert (tmp_path / figure).read_text(encoding="utf-8").count("<svg") == 1
    for statistic in STATISTICS:
        section = text.split(f"## `{statistic.item}`: {statistic.name}\n")[1].split("\n## ")[0]
        assert f"Bar: **{document.bar_text(statistic.allowed(BARS))}**" in section
        mine = [s.title for s in subjects(SPEC) if statistic.item in s.stage.items]
        assert [title for title in mine if f"| {title} |" not in section] == []
    for item in {one.item for one in STATISTICS}:
        rates = text.split("## Error rates")[1].split(f"| `{item}` |")[1].split("\n")[0].split("|")
        assert rates[0].startswith(" 0 of ") and rates[2] == rates[5] == f" < {document.RATE_LEAST:g} ", rates
    assert text.count("| 40 | 30 |") == len(STAGES)  # seconds of the references
    assert "nan" not in text


@pytest.mark.parametrize(
    ("whose", "how", "item"),
    [
        ("stage_sft reference", "turned", "sft_loss_trend"),
        ("stage_ppo ppo_other_maths", "turned", "ppo_kl"),
        ("stage_ppo ppo_hacked", "turned", "ppo_reward"),
        ("stage_rm rm_swapped", "crashed", "rm_accuracy"),
    ],
)
def test_a_run_that_is_judged_wrongly_is_named_and_ends_in_1(lab, tmp_path, capsys, whose, how, item) -> None:
    made_up_study.write(tmp_path / "runs", BARS, {whose: how})
    assert command.report(lab, tmp_path / "runs", tmp_path / "calibration.md") == 1
    printed = capsys.readouterr().out
    assert f"{item}: {whose.split()[1]} was judged wrongly in 1 of " in printed
    assert "**1 judged wrongly**" in (tmp_path / "calibration.md").read_text(encoding="utf-8")


def test_a_study_without_a_wrong_verdict_ends_in_0_and_says_which_runs_are_old(lab, tmp_path, capsys) -> None:
    made_up_study.write(tmp_path / "runs", BARS)
    assert command.report(lab, tmp_path / "runs", tmp_path / "calibration.md") == 0
    n = sum(study.SEEDS[subject.kind] for subject in subjects(SPEC))
    assert f"calibration 0/{n} runs · {n} of older code, data or configs · 0 judged" in capsys.readouterr().out


def test_a_study_without_a_run_writes_a_document_too(lab, tmp_path, capsys) -> None:
    assert command.report(lab, tmp_path / "runs", tmp_path / "calibration.md") == 0
    assert (tmp_path / "calibration.md").exists()


@pytest.mark.parametrize(("stopped", "judged", "code"), [(True, 1, 130), (False, 1, 1), (False, 0, 0)])
def test_the_command_ends_in_what_happened(monkeypatch, stopped: bool, judged: int, code: int) -> None:
    def sitting(*_: Any) -> None:
        if stopped:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "_run", sitting)
    monkeypatch.setattr(command, "report", lambda lab: judged)
    assert CliRunner().invoke(app, ["calibrate", "--device", "cpu"]).exit_code == code


def test_an_unknown_subject_is_refused_in_words() -> None:
    result = CliRunner().invoke(app, ["calibrate", "--only", "nobody"])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)  # no traceback
    assert "nobody" in result.output


# ---------------------------------------------------------------- the committed study
THERE = DOCUMENT.exists()  # tables alone are a study that is under way
studied = pytest.mark.skipif(not THERE, reason="the study is not whole: rlhf-lab calibrate")


def committed() -> list[tuple[Any, list[dict[str, str]]]]:
    return list(study.measured(SPEC, RUNS))


@studied
def test_every_subject_has_all_its_runs_and_each_was_measured() -> None:
    found = {(s.stage.op, s.id): [row["status"] for row in rows] for s, rows in committed()}
    assert found == {(s.stage.op, s.id): [tables.MEASURED] * study.SEEDS[s.kind] for s in subjects(SPEC)}


@studied
def test_the_document_and_its_figures_are_those_of_the_tables_under_todays_bars() -> None:
    runs = committed()
    written = DOCUMENT.read_text(encoding="utf-8")
    assert written == document.text(findings(runs, BARS), runs, SPEC), "run `rlhf-lab calibrate --minutes 0`"
    figures = re.findall(r"!\[.*\]\((.*)\)", written)
    assert [figure for figure in figures if not (DOCUMENT.parent / figure).exists()] == []


@studied
def test_under_todays_bars_the_committed_runs_are_judged_as_they_were() -> None:
    for subject, rows in committed():
        for row in rows:
            for item in subject.stage.items if row["status"] == tables.MEASURED else ():
                assert passes(row, item, BARS) == (row[f"{item}.passed"] == "1"), f"{row}: run `rlhf-lab calibrate`"


@studied
def test_no_committed_run_was_judged_wrongly_and_the_reference_keeps_its_distance() -> None:
    found = findings(committed(), BARS)
    assert judged_wrongly(found) == {}
    references = [one for one in found if one.subject.kind == "reference"]
    near = [one for one in references if one.margin is None or not one.margin.far(FALSE_ALARM)]
    assert [(one.statistic.item, one.statistic.name) for one in near if not one.holds_with_fresh_seeds] == []


@studied
def test_the_study_says_when_it_is_of_older_code(lab) -> None:
    if old := study.outdated(lab, committed()):
        warnings.warn(f"{old} runs of the study are of older code, data or configs: rlhf-lab calibrate", stacklevel=1)


def test_each_bar_of_the_registry_points_to_its_figure() -> None:
    text = REGISTRY.read_text(encoding="utf-8")
    named = set(re.findall(r"docs/figures/(\S+\.svg)", text))
    assert named == {figure_name(one) for one in STATISTICS}
    assert not THERE or [name for name in named if not (DOCUMENT.parent / "figures" / name).exists()] == []


def test_no_statistic_is_left_over() -> None:
    assert {one.item for one in of_items(tuple(SPEC.items))} == {item for stage in STAGES for item in stage.items}
