"""The passes, one by one, and the two notebooks that come out of them."""

from __future__ import annotations

import ast

import pytest

from assignment.registry import load_spec
from assignment.release import passes
from assignment.release.markers import Location, SourceError
from assignment.release.notebook import definitions, to_notebook
from assignment.release.passes import BuildOptions
from assignment.release.source import Cell

SPEC = load_spec()
STUDENT, SOLVED = BuildOptions(SPEC, solved=False), BuildOptions(SPEC, solved=True)

SLOT = """\
# TODO T07 · the Bradley-Terry loss of a batch of pairs
def bradley_terry_loss(chosen, rejected, margin=0.0):
    \"\"\"Docstring.\"\"\"
    gap = chosen - rejected
    # BEGIN SOLUTION T07
    secret = gap - margin
    return -secret
    # END SOLUTION"""


def code(source: str, slot: str | None = None, line: int = 1, file: str = "p4_reward_model.py") -> Cell:
    return Cell("code", source, Location(file, line), slot=slot)


def after(step: passes.Pass, source: str, options: BuildOptions = STUDENT) -> str:
    """Run one pass on one code cell, and return the cell's source."""
    (cell,) = step((code(source),), options)
    return cell.source


def test_a_function_defined_in_two_cells_is_refused_with_both_places() -> None:
    cells = (code("def f(): pass", line=3), code("x = 1\ndef f(): pass", line=10, file="p5_ppo_math.py"))
    with pytest.raises(SourceError, match=r"p5_ppo_math.py:11: f is already defined in p4_reward_model.py:3"):
        passes.refuse_redefinitions(cells, STUDENT)


def test_only_the_docstring_that_opens_a_part_is_dropped() -> None:
    cells = (code('"""Part."""\nimport torch'), code('"""A string that a cell shows."""'))
    first, second = passes.drop_module_docstrings(cells, STUDENT)
    assert first.source == "import torch"
    assert second.source == '"""A string that a cell shows."""'


@pytest.mark.parametrize(
    ("marked", "plain"),
    [("<!-- CLAIM a_1 --> It rises.", "It rises."),
     ("Look. <!-- CLAIM a b --> It rises.", "Look. It rises."),
     ("Look.\n<!-- CLAIM a -->\nIt rises.", "Look.\nIt rises."),
     ("| <!-- CLAIM a --> it rises |", "| it rises |"),
     ("<!-- CLAIM a --> <!-- CLAIM b --> It rises.", "It rises."),
     ("<!-- WRITTEN W1 · why? -->", "<!-- WRITTEN W1 · why? -->")],
)  # fmt: skip
def test_marks_of_claims_go_with_the_blank_after_them(marked: str, plain: str) -> None:
    for options in (STUDENT, SOLVED):
        (cell,) = passes.drop_claim_marks((Cell("markdown", marked, Location("p8.py", 1)),), options)
        assert cell.source == plain


@pytest.mark.parametrize(
    "wrong",
    ["<!-- Claim a -->", "<!-- CLAIM A -->", "<!-- CLAIM a, b -->", "<!--CLAIM a-->", "<!-- CLAIM -->",
     "<!-- CLAIM a --", "<- CLAIM a -->"],
)  # fmt: skip
def test_a_text_that_almost_is_a_mark_of_a_claim_is_refused_with_its_line(wrong: str) -> None:
    cell = Cell("markdown", f"Text.\n<!-- CLAIM good -->\n{wrong} It rises.", Location("p8.py", 10))
    with pytest.raises(SourceError, match=r"p8\.py:12: looks like the mark of a claim"):
        passes.drop_claim_marks((cell,), STUDENT)


def test_a_mark_of_a_claim_in_code_is_refused() -> None:
    with pytest.raises(SourceError, match=r"p4_reward_model.py:2: a claim is marked in a markdown cell"):
        passes.drop_claim_marks((code("x = 1\n# <!-- CLAIM a -->"),), STUDENT)


def test_a_main_guard_is_dedented() -> None:
    source = 'x = 1\nif __name__ == "__main__":\n    for i in range(2):\n        print(i)\n    # the end'
    dedented = "x = 1\nfor i in range(2):\n    print(i)\n# the end"
    assert after(passes.dedent_main_guards, source) == dedented


def test_dedenting_keeps_the_value_of_a_triple_quoted_string() -> None:
    source = 'if __name__ == "__main__":\n    text = """a\n        b\n    """\n    done = True'
    before: dict[str, object] = {"__name__": "__main__"}
    now: dict[str, object] = {}
    exec(source, before)
    exec(after(passes.dedent_main_guards, source), now)
    assert now["text"] == before["text"] == "a\n        b\n    "


def test_dedenting_keeps_the_value_of_a_triple_quoted_f_string() -> None:
    source = 'if __name__ == "__main__":\n    text = f"""a\n        {1 + 1}\n    b"""\n    done = True'
    now: dict[str, object] = {}
    exec(after(passes.dedent_main_guards, source), now)
    assert now["text"] == "a\n        2\n    b"


def test_a_main_guard_with_an_else_is_refused() -> None:
    with pytest.raises(SourceError, match="main guard with an else"):
        after(passes.dedent_main_guards, 'if __name__ == "__main__":\n    x = 1\nelse:\n    x = 2')


def test_internal_imports_go_and_others_stay() -> None:
    source = "import torch\nfrom solutions.p2_data import (\n    f,\n)\nimport solutions.p3_sft\nimport math"
    assert after(passes.drop_internal_imports, source) == "import torch\nimport math"


def test_an_internal_import_inside_a_function_is_refused_with_its_line() -> None:
    with pytest.raises(SourceError, match=r"p4_reward_model\.py:2: an import between parts must stand"):
        after(passes.drop_internal_imports, "def f():\n    from solutions.p2_data import x")


def test_a_guard_that_holds_only_an_internal_import_leaves_no_cell() -> None:
    cells = (code('if __name__ == "__main__":\n    from solutions.p2_data import format_example'),)
    assert passes.run_passes(cells, STUDENT) == ()


def test_comments_for_tools_are_removed_and_others_stay() -> None:
    source = 'import x  # noqa: E402\ny = "# noqa"  # a reason\nz = 1  # type: ignore[assignment]'
    assert after(passes.drop_tool_comments, source) == 'import x\ny = "# noqa"  # a reason\nz = 1'


def test_the_blank_slot_keeps_its_signature_and_docstring_and_raises_its_error() -> None:
    (cell,) = passes.resolve_solutions((code(SLOT, "T07"),), STUDENT)
    assert cell.source.split("\n") == [
        *SLOT.split("\n")[:4], f'    raise NotImplementedError("T07: {SPEC.slot("T07").title}")',
    ]  # fmt: skip


def test_the_solved_slot_differs_from_the_part_by_its_two_marker_lines() -> None:
    (cell,) = passes.resolve_solutions((code(SLOT, "T07"),), SOLVED)
    assert cell.source == "\n".join(line for line in SLOT.split("\n") if "SOLUTION" not in line)


def test_a_region_that_is_half_a_statement_is_refused() -> None:
    broken = SLOT.replace("    return -secret\n    # END SOLUTION", "    # END SOLUTION\n        .real")
    with pytest.raises(SourceError, match="does not parse"):
        passes.resolve_solutions((code(broken, "T07"),), STUDENT)


def test_a_region_that_swallows_the_signature_is_refused() -> None:
    todo, *body = [line for line in SLOT.split("\n") if "SOLUTION" not in line]
    swallowed = "\n".join([todo, "# BEGIN SOLUTION T07", *body, "# END SOLUTION"])
    with pytest.raises(SourceError, match="swallows the slot's own signature"):
        passes.resolve_solutions((code(swallowed, "T07"),), STUDENT)


def test_each_slot_is_followed_by_its_check() -> None:
    cells = passes.insert_checks((code("x = 1"), code(SLOT, "T07"), code("y = 1")), STUDENT)
    assert [cell.source.split("\n")[0] for cell in cells][2] == 'grader.check("T07")'
    assert len(cells) == 4


def test_ids_are_unique_valid_and_the_same_on_every_run() -> None:
    cells = (code("x = 1"), code(SLOT, "T07"), code("x = 1", file="p5_ppo_math.py"))
    first, second = passes.run_passes(cells, STUDENT), passes.run_passes(cells, STUDENT)
    assert [cell.id for cell in first] == ["p4-001", "T07", "check-T07", "p5-001"]
    assert first == second


def test_student_and_solved_notebook_differ_in_slot_cells_only() -> None:
    cells = (code("x = 1"), code(SLOT, "T07"), code("y = 2"))
    pairs = zip(passes.run_passes(cells, STUDENT), passes.run_passes(cells, SOLVED), strict=True)
    assert [a.id for a, b in pairs if a != b] == ["T07"]


def test_the_notebook_has_a_portable_kernelspec_and_no_outputs() -> None:
    notebook = to_notebook((code("x = 1"), code(SLOT, "T07")), STUDENT)
    assert notebook.metadata.kernelspec.name == "python3"
    assert all(not c.outputs and c.execution_count is None for c in notebook.cells if c.cell_type == "code")


def test_definitions_leave_out_main_guards_and_blank_only_the_named_slots() -> None:
    cells = (code('import math\nif __name__ == "__main__":\n    train()'), code(SLOT, "T07"))
    solved, blank = definitions(cells, SPEC), definitions(cells, SPEC, frozenset(["T07"]))
    assert "train" not in solved
    assert "NotImplementedError" not in solved
    assert "secret" in solved
    assert "NotImplementedError('T07: " in blank
    assert "secret" not in blank
    ast.parse(solved)
