"""What a cell says that needs an earlier part: the sentences, and that no cell of the notebook goes without."""

from __future__ import annotations

import ast

import pytest

from assignment.registry import load_spec
from assignment.release.source import load_parts
from rlhf_kit.needs import MADE, NotReadyError, check_needs
from rlhf_kit.pipeline import RLHFPipeline

BOTH = {"Poor-RM policy": "p", "Good-RM policy": "g"}


def test_a_name_that_is_there_is_enough():
    check_needs({"sft_lm": object(), "trained": BOTH}, ["sft_lm", "trained"])


@pytest.mark.parametrize(
    ("found", "name", "sentence"),
    [
        ({}, "sft_lm", r"^This cell needs `sft_lm`, which part 3 makes: run part 3 first\.$"),
        (
            {"trained": {"Poor-RM policy": 1}},
            "trained",
            r"with the Good-RM policy, but part 7 was stopped.*part 7 again",
        ),
        ({"trained": {}}, "trained", r"with the Poor-RM policy and the Good-RM policy, but part 7 was stopped"),
        ({"reward_models": {"Poor RM": 1}}, "reward_models", r"with the Good RM, but part 4 was stopped"),
        ({"comparison": []}, "comparison", r"still empty: the cell that fills it, in part 9, was stopped early"),
    ],
)
def test_what_is_missing_is_named_with_the_part_to_run(found, name, sentence, profile, tokenizer):
    with pytest.raises(NotReadyError, match=sentence) as error:
        RLHFPipeline(found, profile, tokenizer).needs(name)
    assert error.value._render_traceback_() == [str(error.value)]


def cells() -> list[tuple[int, list[ast.stmt]]]:
    """Return the part and the guarded statements of each cell that runs in the notebook alone."""
    found = []
    for cell in load_parts(load_spec()):
        if cell.kind == "code":
            guards = [node for node in ast.parse(cell.source).body if isinstance(node, ast.If)]
            found += [(int(cell.location.file[1 : cell.location.file.index("_")]), guard.body) for guard in guards]
    return found


def names(body: list[ast.stmt], context: type[ast.expr_context]) -> set[str]:
    nodes = (node for statement in body for node in ast.walk(statement))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, context)}


def test_each_name_is_made_where_the_sentence_says():
    made = {(name, part) for part, body in cells() for name in names(body, ast.Store) if name in MADE}
    assert made == {(name, part) for name, (part, _) in MADE.items()}


def test_each_cell_says_first_what_it_needs_of_other_cells():
    for part, body in cells():
        used = {name for name in names(body, ast.Load) - names(body, ast.Store) if name in MADE}
        if part > 2 and used:
            first = ast.unparse(body[0])
            assert first.startswith("pipeline.needs("), f"part {part}: {first}"
            assert used <= {argument.value for argument in body[0].value.args}, f"part {part}: {first}"
