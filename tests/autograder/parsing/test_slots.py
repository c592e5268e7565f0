"""Each slot's answer is found wherever it is in the notebook, and obstacles are named."""

from __future__ import annotations

import pytest

from assignment.registry import load_spec
from autograder.core.records import Answer
from tests.support.intake_notebooks import ACCURACY, BLANK, IMPORTS, LOSS, extract_here, submission

MODEL = '''# TODO T06 · score a sequence at its last attended token
class RewardModel(kit.RewardModelBase):
    """A body and a head."""

    def forward(self, input_ids, attention_mask):
        """Scores (B,)."""
        {body}
'''


def answer(slot: str, *cells: str) -> Answer:
    return extract_here(submission(*cells)).slots[slot]


def test_an_answered_slot_is_present_and_its_source_is_the_definition_alone() -> None:
    found = answer("T07", IMPORTS, LOSS + "\nloss = bradley_terry_loss(a, b)\nprint(loss)\n")
    assert (found.state, found.cell, found.problem) == ("present", 1, "")
    assert found.source.startswith("def bradley_terry_loss")
    assert found.source.rstrip().endswith(".mean()")


def test_all_other_slots_are_missing_with_advice() -> None:
    answers = extract_here(submission(LOSS)).slots
    assert [slot for slot, found in answers.items() if found.state != "missing"] == ["T07"]
    assert list(answers) == [slot.id for slot in load_spec().slots]
    assert "`gae` (T12)" in answers["T12"].problem


def test_the_template_s_placeholder_is_blank() -> None:
    assert answer("T07", BLANK).state == "blank"
    assert answer("T06", MODEL.format(body='raise NotImplementedError("T06: score")')).state == "blank"


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "...",
        "raise NotImplementedError",
        "x = 1\n    raise NotImplementedError('T07: task')",
        "for b in chosen:\n        raise NotImplementedError('T07: task')\n    return 1",
    ],
)
def test_a_body_that_still_reaches_its_placeholder_or_does_nothing_is_blank(body: str) -> None:
    source = f"def bradley_terry_loss(chosen, rejected):\n    '''Doc.'''\n    {body}\n"
    assert answer("T07", source).state == "blank"


@pytest.mark.parametrize(
    "body",
    [
        "return 1\n    raise NotImplementedError('T07: task')",
        "if chosen is None:\n        raise NotImplementedError\n    return 1",
        "return None",
        "raise ValueError('T07')",
    ],
)
def test_a_body_that_does_not_reach_its_placeholder_is_an_answer(body: str) -> None:
    assert answer("T07", f"def bradley_terry_loss(chosen, rejected):\n    {body}\n").state == "present"


def test_the_order_of_cells_does_not_matter() -> None:
    forward = extract_here(submission(IMPORTS, LOSS, ACCURACY))
    backward = extract_here(submission(ACCURACY, LOSS, IMPORTS))
    assert {k: v.source for k, v in forward.slots.items()} == {k: v.source for k, v in backward.slots.items()}
    assert forward.prelude == backward.prelude != ""


@pytest.mark.parametrize(
    "marker",
    ["# TODO T07 · the loss", "#TODO T07", "# todo: t07", "#  TODO  T07:", "# DONE T07 · the loss", "# T07", ""],
)
def test_the_marker_may_be_changed_or_lost(marker: str) -> None:
    assert answer("T07", marker + "\n" + LOSS.partition("\n")[2]).state == "present"


def test_merged_and_split_cells_are_found() -> None:
    assert answer("T08", IMPORTS + LOSS + ACCURACY).state == "present"
    marker, _, definition = LOSS.partition("\n")
    assert answer("T07", marker, IMPORTS, definition).state == "present"


def test_the_last_answer_counts_and_is_noted() -> None:
    later = LOSS.replace(".mean()", ".sum()")
    answers = extract_here(submission(LOSS, later))
    assert ".sum()" in answers.slots["T07"].source
    assert "T07 is answered in cells 1 and 2; the last one counts." in answers.notes


def test_a_blank_or_broken_copy_below_does_not_replace_an_answer() -> None:
    assert answer("T07", LOSS, BLANK).state == "present"
    assert answer("T07", LOSS, LOSS.replace("return", "retrun x")).state == "present"


def test_a_renamed_function_is_named_with_the_name_it_needs() -> None:
    found = answer("T07", LOSS.replace("bradley_terry_loss", "bt_loss"))
    assert found.state == "missing"
    assert all(part in found.problem for part in ("`bt_loss`", "`bradley_terry_loss`", "cell 1"))


def test_a_renamed_function_under_its_right_name_elsewhere_is_found() -> None:
    assert answer("T07", LOSS.replace("bradley_terry_loss", "bt_loss"), LOSS).state == "present"
    renamed = LOSS.replace("bradley_terry_loss", "bt_loss")
    alias = extract_here(submission(renamed, "bradley_terry_loss = bt_loss"))
    assert alias.slots["T07"].state == "present"
    assert "def bt_loss" in alias.prelude


def test_a_variable_with_a_slot_s_name_is_no_answer() -> None:
    assert answer("T07", LOSS, "bradley_terry_loss = losses[0].item()").source.startswith("def")
    assert answer("T07", "bradley_terry_loss = loss.item()").state == "missing"


def test_syntax_error_breaks_only_its_slot_in_a_merged_cell() -> None:
    answers = extract_here(submission(IMPORTS, LOSS.replace("return", "return return") + ACCURACY)).slots
    assert (answers["T07"].state, answers["T08"].state) == ("broken", "present")
    assert "line 4" in answers["T07"].problem
    assert "T07 (cell 2)" in answers["T07"].problem


@pytest.mark.parametrize(
    "damage", ["print('never closed'", "x = '''never closed", "if True:", "1 +", "for x in", "else:"]
)
@pytest.mark.parametrize("place", ["before", "between", "after"])
def test_broken_code_around_two_slots_loses_neither(damage: str, place: str) -> None:
    parts = [LOSS, ACCURACY]
    parts.insert(["before", "between", "after"].index(place), damage)
    answers = extract_here(submission("\n".join(parts))).slots
    assert (answers["T07"].state, answers["T08"].state) == ("present", "present")


def test_open_bracket_in_one_slot_keeps_the_next_slot() -> None:
    answers = extract_here(submission(LOSS.replace(".mean()", ".mean(") + ACCURACY)).slots
    assert (answers["T07"].state, answers["T08"].state) == ("broken", "present")


def test_code_that_parses_but_does_not_compile_is_broken() -> None:
    found = answer("T07", "# TODO T07\ndef bradley_terry_loss(a, b):\n    break\n")
    assert found.state == "broken"
    assert "line 3" in found.problem


def test_mixed_tabs_and_spaces_are_named() -> None:
    found = answer("T07", "def bradley_terry_loss(a, b):\n\tx = a\n        return x - b\n")
    assert found.state == "broken"
    assert "tabs and spaces" in found.problem


@pytest.mark.parametrize("source", ["def bradley_terry_loss[T](a: T, b: T) -> T:\n    return a - b\n"])
def test_syntax_of_a_newer_python_is_named(source: str) -> None:
    found = answer("T07", "# TODO T07\n" + source)
    assert found.state == "present" or "need Python 3.12" in found.problem


def test_tabs_decorators_and_foreign_identifiers_are_kept() -> None:
    head = "@torch.no_grad()\ndef bradley_terry_loss(größe, 尺寸, margin=0.0):\n"
    source = head + "\t# Größe\n\treturn größe - 尺寸\n"
    assert answer("T07", source).source == source


def test_a_reward_model_without_forward_is_missing_with_the_reason() -> None:
    found = answer("T06", "# TODO T06\nclass RewardModel(kit.RewardModelBase):\n    pass\n")
    assert found.state == "missing"
    assert "no method `forward`" in found.problem


def test_a_forward_inherited_from_a_class_of_the_student_s_counts() -> None:
    source = "class RewardModel(MyBase):\n    '''Doc.'''\n    size = 1\n"
    assert answer("T06", source).state == "present"


def test_no_message_quotes_what_a_student_wrote() -> None:
    source = "# TODO T07\ndef bradley_terry_loss(a):\n    nonlocal secret_text_in_code\n    return a\n"
    found = answer("T07", source)
    assert found.state == "broken"
    assert "secret_text_in_code" not in found.problem


@pytest.mark.parametrize(
    ("cell", "called", "said"),
    [("old = {}", "old", True), ("old = {}", "chosen", False), ("old = print", "old", False)],
)
def test_note_explains_call_of_an_earlier_answer_by_another_name(cell: str, called: str, said: bool) -> None:
    last = f"def bradley_terry_loss(chosen, rejected):\n    return {called}(chosen, rejected)\n"
    found = extract_here(submission(IMPORTS, LOSS, cell.format("bradley_terry_loss"), last))
    assert found.slots["T07"].source == last
    assert ("as `old`" in " ".join(found.notes)) == said
