"""The four code-quality items find defects in the right slot, and nothing in good code."""

from __future__ import annotations

import builtins
import sys
from typing import TYPE_CHECKING, Any

import pytest

from assignment.registry import load_spec, parse_spec
from assignment.release.source import reference_source
from autograder.programs.assemble import code_for_slots
from autograder.quality.checks import RunDefinitions, definitions_runner, quality_results
from tests.support.intake_notebooks import ACCURACY, BLANK, IMPORTS, LOSS, extract_here, submission
from tests.support.registries import BONUS_T08, edited
from tests.support.small_lab import LocalSession

if TYPE_CHECKING:
    from pathlib import Path

    from autograder.core.records import Answers, ItemResult

SPEC = load_spec()


def fine(_code: Any) -> list[dict[str, Any]]:
    """What a fresh process finds if everything can be defined."""
    return []


def results_of(*cells: str, run: RunDefinitions | None = fine) -> dict[str, ItemResult]:
    return quality_results(extract_here(submission(*cells)), SPEC, run)


def with_line(line: str) -> str:
    """Slot T07 with a line of code before its return."""
    return LOSS.replace("    return", f"{line}\n    return")


def rules(result: ItemResult) -> list[tuple[str, str]]:
    return [(finding["where"], finding["rule"]) for finding in result.evidence["findings"]]


def test_every_quality_item_of_the_registry_is_graded() -> None:
    assert list(results_of(LOSS)) == [item.id for item in SPEC.item_list if item.kind == "quality"]


def test_a_blank_notebook_earns_nothing_and_is_not_attempted() -> None:
    results = results_of(IMPORTS, BLANK)
    assert {(r.status, r.share) for r in results.values()} == {("not_attempted", 0.0)}


def test_shares_are_prorated_by_slots_attempted() -> None:
    for result in results_of(IMPORTS, LOSS, ACCURACY).values():
        assert (result.status, result.share) == ("partial", pytest.approx(2 / 15))
        assert "Seen: 2 of 15 slots answered. No findings. Try: Answer more slots" in result.message


@pytest.mark.parametrize("cells", [(LOSS,), (LOSS, ACCURACY)], ids=["left out", "answered"])
def test_a_bonus_slot_does_not_count_to_the_slots_that_are_answered(cells: tuple[str, ...]) -> None:
    bonus = parse_spec(edited(*BONUS_T08))
    for result in quality_results(extract_here(submission(IMPORTS, *cells)), bonus, fine).values():
        assert result.share == pytest.approx(1 / 14)
        assert "1 of 14 slots answered" in result.message


def test_the_reference_earns_everything() -> None:
    head = (
        "from __future__ import annotations\n"
        + IMPORTS
        + (
            "import numpy as np\nfrom collections.abc import Callable, Sequence\nfrom typing import Any\n"
            "from torch import Tensor, nn\nimport rlhf_kit as kit\nRewardFn = Callable\n"
        )
    )
    constants = 'HUMAN = "\\n\\nHuman:"\nASSISTANT = "\\n\\nAssistant:"\n'
    results = results_of(head, constants, *(reference_source(slot.id) for slot in SPEC.slots))
    assert {id_: (r.status, r.message) for id_, r in results.items() if r.status != "passed"} == {}


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("    x = 1", "F841"),
        ("    y = missing_name", "F821"),
        ("    if margin == None:\n        pass", "E711"),
        ("    try: pass\n    except: pass", "E722"),
        ("    chosen == rejected", "B015"),
        ("    margin is 'a'", "F632"),
        ("    y = missing_name  # noqa", "F821"),
    ],
)
def test_a_defect_is_found_in_its_slot(line: str, rule: str) -> None:
    result = results_of(IMPORTS, ACCURACY, with_line(line))["quality_lint"]
    assert ("T07", rule) in rules(result)
    assert result.share == pytest.approx(2 / 15 * 2 / 3)  # of T07, T08 and the helpers one has a finding
    assert "T07 (line " in result.message
    assert " of its code) " in result.message


@pytest.mark.parametrize(
    "source",
    [
        "def bradley_terry_loss(chosen, rejected, margin = 0.0) :\n  return (chosen-rejected)  # no hints\n",
        "from math import *\nimport os, sys\ndef bradley_terry_loss(a, b):\n    display(a); return sqrt(b)\n",
    ],
)
def test_style_type_hints_and_unused_imports_are_no_findings(source: str) -> None:
    assert rules(results_of(source)["quality_lint"]) == []


def test_an_answer_without_docstring_and_comment_is_undocumented() -> None:
    bare = "def bradley_terry_loss(chosen, rejected):\n    return chosen - rejected\n"
    assert rules(results_of(bare)["quality_docs"]) == [("T07", "undocumented")]
    commented = bare.replace("    return", "    # the gap of the scores\n    return")
    assert rules(results_of(commented)["quality_docs"]) == []


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("    # TODO: stable version", "reminder"),
        ("    # FIXME", "reminder"),
        ("    breakpoint()", "debugger"),
        ("    import pdb; pdb.set_trace()", "debugger"),
        ("    print(1)\n" * 3 + "    print(2)", "prints"),
        ("    # loss = -F.logsigmoid(chosen)\n    # loss = loss.mean()\n    # return loss", "commented_code"),
    ],
)
def test_a_leftover_is_found_in_its_slot(line: str, rule: str) -> None:
    assert ("T07", rule) in rules(results_of(IMPORTS, with_line(line))["quality_leftovers"])


def test_a_placeholder_behind_the_answer_is_a_leftover() -> None:
    source = LOSS + '    raise NotImplementedError("T07: the loss")\n'
    assert rules(results_of(IMPORTS, source)["quality_leftovers"]) == [("T07", "placeholder")]


@pytest.mark.parametrize(
    "line",
    [
        "    # The gap of the scores, as in the paper:\n    # chosen minus rejected,\n    # and then a mean.",
        "    print(chosen)",
        "    # TODO T07 · moved here",
        "    # a\n    # b\n    # c",
        "    # x = 1",
    ],
)
def test_prose_and_a_single_print_are_no_leftovers(line: str) -> None:
    assert rules(results_of(IMPORTS, with_line(line))["quality_leftovers"]) == []


def test_a_definition_that_fails_costs_its_unit_and_its_text_stays_with_the_ta() -> None:
    def failing(_code: Any) -> list[dict[str, Any]]:
        return [{"where": "T07", "rule": "import", "line": 1, "error": "NameError: private words"}]

    result = results_of(IMPORTS, LOSS, ACCURACY, run=failing)["quality_imports"]
    assert result.share == pytest.approx(2 / 15 * 2 / 3)
    assert "private" not in result.message
    assert "T07" in result.message
    assert result.evidence["findings"][0]["error"] == "NameError: private words"


def test_a_grader_error_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert results_of(LOSS, run=None)["quality_imports"].status == "not_gradable"
    (tmp_path / "python").symlink_to(sys.executable)  # ruff is looked for beside the interpreter
    (tmp_path / "ruff").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (tmp_path / "ruff").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    results = results_of(LOSS)
    assert results["quality_lint"].status == "not_gradable"
    assert results["quality_docs"].status == "partial"


def test_messages_stay_short_however_many_findings_there_are() -> None:
    body = "\n".join(f"    x{n} = missing{n}" for n in range(300))
    message = results_of(with_line(body))["quality_lint"].message
    assert len(message) < 1000
    assert "missing1" not in message


def run_here(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Run the operation `definitions` in this process; the answers are written here."""
    monkeypatch.setattr(builtins, "input", builtins.input)  # the namespace replaces it
    found = definitions_runner(LocalSession(), SPEC)(code_for_slots(SPEC, answers))
    assert found is not None
    return list(found)


def test_definitions_that_execute_in_order_have_no_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    helper = "SCALE = 2.0\ndef helper(x):\n    return SCALE * x\n"
    answers = extract_here(submission(helper, LOSS.replace("F.softplus", "helper")))
    assert "SCALE" in answers.prelude
    assert run_here(answers, monkeypatch) == []


def test_a_definition_that_needs_a_missing_module_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    needy = LOSS.replace("margin=0.0", "margin=no_such_module.x")
    found = run_here(extract_here(submission("import no_such_module\n", needy)), monkeypatch)
    assert [finding["where"] for finding in found] == ["helpers", "T07"]
