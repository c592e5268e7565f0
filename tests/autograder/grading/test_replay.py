"""The command in the evidence that grades one item again: it is complete and gives the same verdict."""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from autograder import cli
from autograder.core.messages import replay
from autograder.core.records import ItemResult
from autograder.core.rubric import apply_rubric
from autograder.report.canonical import report_dict
from autograder.report.ta import ta_page
from tests.kills.__main__ import stable
from tests.support.processes import environment
from tests.support.real_life import dumped, in_slot
from tests.support.report_fixture import SPEC, bundle

ROOT = Path(__file__).parents[3]
SAMPLE = json.loads((ROOT / "tests" / "submissions" / "reference.ipynb").read_text(encoding="utf-8"))
ITEM = "T08"


def item(report: dict[str, Any], id_: str) -> dict[str, Any]:
    """One item of a report."""
    (found,) = [one for criterion in report["criteria"] for one in criterion["items"] if one["id"] == id_]
    return found


@pytest.mark.parametrize("id_", SPEC.items)
@pytest.mark.parametrize("status", ["wrong", "partial", "crashed", "timeout", "out_of_memory", "not_gradable"])
def test_an_item_that_did_not_pass_has_its_command_with_the_run_s_seed(id_: str, status: Any) -> None:
    run = dataclasses.replace(bundle().run, seed=41, device="cuda (NVIDIA T4)")
    result = ItemResult(id_, status, 0.0, "", evidence={"seed": 7})  # a majority shows the seed of one of its runs
    given = bundle(graded=apply_rubric(SPEC, {id_: result}), run=run)
    command = f"rlhf-lab grade PATH --profile tiny --device cuda --seed 41 --only {id_}"
    assert item(report_dict(given), id_)["evidence"]["replay"] == command
    assert command in ta_page(given)


@pytest.mark.parametrize("status", ["passed", "needs_review"])
def test_an_item_that_passed_or_waits_for_a_ta_has_no_command(status: Any) -> None:
    given = bundle(graded=apply_rubric(SPEC, {ITEM: ItemResult(ITEM, status, 1.0, "")}))
    report = report_dict(given)
    assert "replay" not in item(report, ITEM)["evidence"]


def test_every_option_that_changes_a_verdict_is_in_the_command() -> None:
    run = bundle().run
    changed = [dataclasses.replace(run, profile="gpt2"), dataclasses.replace(run, device="cuda (x)"),
               dataclasses.replace(run, seed=run.seed + 1)]  # fmt: skip
    assert len({replay(one, ITEM) for one in (run, *changed)} | {replay(run)}) == 5


def test_the_command_of_a_wrong_slot_gives_the_same_verdict(tmp_path: Path) -> None:
    path = tmp_path / "rlhf.ipynb"
    path.write_bytes(dumped(in_slot("preference_accuracy", "return 0.25")(SAMPLE)))
    first = CliRunner().invoke(cli.app, ["grade", str(path), "--only", f"{ITEM},T07", "--out", str(tmp_path / "one")])
    assert first.exit_code == 0, first.output
    one = json.loads((tmp_path / "one" / "report.json").read_text())
    program, *options = shlex.split(item(one, ITEM)["evidence"]["replay"])
    assert program == "rlhf-lab"
    options = [str(path) if option == "PATH" else option for option in options]
    command = [sys.executable, "-m", "autograder.cli", *options, "--out", str(tmp_path / "two")]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True, capture_output=True)
    two = json.loads((tmp_path / "two" / "report.json").read_text())
    assert item(stable(two), ITEM) == item(stable(one), ITEM)
    assert item(two, ITEM)["status"] == "wrong"
    assert [c["items"] for c in two["criteria"] if c["items"]] == [[item(two, ITEM)]]
    assert two["grader"] == one["grader"]
