"""The committed study: complete, of today's thresholds, without a wrong verdict, and open about the age of its code."""

from __future__ import annotations

import re

import pytest

import rlhf_kit as kit
from assignment.registry import REGISTRY, load_spec
from autograder.calibration import DOCUMENT, document, study, tables
from autograder.calibration.figure import figure_name
from autograder.calibration.findings import FALSE_ALARM, Finding, findings, passes, wrong_verdicts_by_item
from autograder.calibration.statistics import STATISTICS, of_items
from autograder.calibration.subjects import Subject, subjects
from autograder.reference.models import load_reference
from autograder.training.run import STAGES
from autograder.training.stage import Lab

SPEC = load_spec()
THRESHOLDS = SPEC.thresholds("tiny")
OLDER = re.compile(r"^(\d+) of these (\d+) runs belong to older code", re.MULTILINE)
Runs = list[tuple[Subject, list[dict[str, str]]]]


@pytest.fixture(scope="module")
def runs() -> Runs:
    """Every subject with its committed runs."""
    return list(study.measured(SPEC))


@pytest.fixture(scope="module")
def found(runs: Runs) -> list[Finding]:
    """The findings from these runs."""
    return findings(runs, THRESHOLDS)


@pytest.fixture(scope="module")
def written() -> str:
    """The committed document."""
    return DOCUMENT.read_text(encoding="utf-8")


def outdated_and_all(written: str) -> tuple[int, int]:
    """Return (runs of older code, all runs) as the document says."""
    said = OLDER.search(written)
    assert said, "the document does not say how many of its runs are of older code"
    return int(said[1]), int(said[2])


def test_every_subject_has_all_its_runs_and_all_were_measured(runs: Runs) -> None:
    status = {(s.stage.op, s.id): [row["status"] for row in rows] for s, rows in runs}
    assert status == {(s.stage.op, s.id): [tables.MEASURED] * study.SEEDS[s.kind] for s in subjects(SPEC)}


def test_document_is_that_of_the_tables_and_of_todays_thresholds(
    runs: Runs, found: list[Finding], written: str
) -> None:
    old, _ = outdated_and_all(written)
    assert written == document.text(found, document.Study(runs, old, SPEC)), "run `rlhf-lab calibrate --minutes 0`"


def test_figures_of_the_document_are_committed(written: str) -> None:
    figures = re.findall(r"!\[.*\]\((.*)\)", written)
    assert len(figures) == len(STATISTICS)
    assert [figure for figure in figures if not (DOCUMENT.parent / figure).exists()] == []


def test_document_says_how_many_runs_are_of_older_code(runs: Runs, written: str) -> None:
    lab = Lab(load_reference(), SPEC, kit.get_profile())
    counted = study.outdated(lab, runs), sum(len(rows) for _, rows in runs)
    assert outdated_and_all(written) == counted, (
        "code, data or configs of a training stage have changed: `rlhf-lab calibrate` repeats the outdated runs, "
        "`rlhf-lab calibrate --minutes 0` writes in the document how many there are"
    )


def test_todays_thresholds_give_the_committed_verdicts(runs: Runs) -> None:
    for subject, rows in runs:
        for row in rows:
            for item in subject.stage.items if row["status"] == tables.MEASURED else ():
                assert passes(row, item, THRESHOLDS) == (row[f"{item}.passed"] == "1"), (
                    f"{row}: run `rlhf-lab calibrate`"
                )


def test_no_committed_run_has_a_wrong_verdict(found: list[Finding]) -> None:
    assert wrong_verdicts_by_item(found) == {}


def test_reference_holds_at_its_distance_or_with_fresh_seeds(found: list[Finding]) -> None:
    references = [one for one in found if one.subject.kind == "reference"]
    close = [one for one in references if one.margin is None or not one.margin.far(FALSE_ALARM)]
    assert [(one.statistic.item, one.statistic.name) for one in close if not one.holds_with_fresh_seeds] == []


def test_each_threshold_of_the_registry_names_its_figure() -> None:
    named = set(re.findall(r"docs/figures/(\S+\.svg)", REGISTRY.read_text(encoding="utf-8")))
    assert named == {figure_name(one) for one in STATISTICS}
    assert [name for name in named if not (DOCUMENT.parent / "figures" / name).exists()] == []


def test_every_training_item_has_statistics() -> None:
    assert {one.item for one in of_items(tuple(SPEC.items))} == {item for stage in STAGES for item in stage.items}
