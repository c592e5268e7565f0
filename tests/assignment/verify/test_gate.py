"""The gate: each check refuses the fault that it looks for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import nbformat
import pytest

from assignment.release.archive import NOTEBOOK
from assignment.release.release import Layout, Release, build, write
from assignment.verify.execution import ExecutionError, execute, tidy
from assignment.verify.gate import CHECKS, run_gate, static
from assignment.verify.leaks import find_leaks, fingerprint
from assignment.verify.public_checks import problems_of
from tests.support.course import edit_file
from tests.support.registries import change, edited


@pytest.fixture
def layout(layout: Layout) -> Layout:
    """Make a course whose generated files are up to date."""
    write(build(layout), layout)
    return layout


def shipping(release: Release, **files: bytes) -> Release:
    """Return the release with other files; in their names `/` is written as `__` and `.` as `_dot_`."""
    named = {name.replace("_dot_", ".").replace("__", "/"): data for name, data in files.items()}
    return dataclasses.replace(release, shipped={**release.shipped, **named})


def with_cell(release: Release, source: str, kind: str = "code") -> Release:
    """Return the release with one more cell in the student notebook."""
    notebook = json.loads(release.shipped[NOTEBOOK])
    extra = {"cell_type": kind, "id": "extra", "metadata": {}, "source": source}
    extra |= {"outputs": [], "execution_count": None} if kind == "code" else {}
    notebook["cells"].append(extra)
    return shipping(release, rlhf_dot_ipynb=json.dumps(notebook).encode())


def test_a_source_error_ends_the_gate_with_file_and_line(layout: Layout) -> None:
    edit_file(layout.solutions / "p3_sft.py", "# END SOLUTION", "# end solution")
    results = run_gate(layout, static_only=True)
    assert [result.name for result in results] == ["registry", "places", "build"]
    assert results[-1].problems[0].startswith("p3_sft.py:")


def test_a_wrong_registry_ends_the_gate_with_a_line_for_each_entry(layout: Layout, tmp_path: Path) -> None:
    registry = tmp_path / "assignment.toml"
    zero = [change("slot", id_, "points = 2", "points = 0") for id_ in ("T01", "T08")]
    registry.write_text(edited(*zero), encoding="utf-8")
    (result,) = run_gate(dataclasses.replace(layout, registry=registry), static_only=True)
    assert result.problems == tuple(f"[[slot]] {id_}: points must be positive, not 0" for id_ in ("T01", "T08"))


def test_an_incomplete_slot_ends_the_gate_before_the_build(layout: Layout) -> None:
    lacking = [lambda spec: [f"{spec.slots[0].id} has no driver"], lambda spec: ["nor has it a test"]]
    results = run_gate(layout, static_only=True, slot_checks=lacking)
    assert [result.name for result in results] == ["registry", "places"]
    assert results[-1].problems == ("T01 has no driver", "nor has it a test")


def test_a_stale_template_is_refused(layout: Layout) -> None:
    edit_file(layout.solutions / "p3_sft.py", "Prose with", "New prose with")
    with pytest.raises(static.FailedCheckError, match=r"rlhf\.ipynb is stale; run `rlhf-lab build`"):
        static.check_golden(build(layout), layout)


def test_a_solved_slot_in_the_student_notebook_is_refused(layout: Layout) -> None:
    release = build(layout)
    with pytest.raises(static.FailedCheckError, match="slot T07 does not raise its own"):
        static.check_slots(shipping(release, rlhf_dot_ipynb=release.solved))


def test_a_slot_twice_in_the_student_notebook_is_refused(layout: Layout) -> None:
    release = with_cell(build(layout), "# TODO T07 · again\n")
    with pytest.raises(static.FailedCheckError, match="slot T07 occurs 2 times"):
        static.check_slots(release)


def test_a_notebook_with_outputs_is_refused(layout: Layout) -> None:
    release = build(layout)
    notebook = json.loads(release.solved)
    code = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    code["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    with pytest.raises(static.FailedCheckError, match="has outputs"):
        static.check_notebook(dataclasses.replace(release, solved=json.dumps(notebook).encode()))


def test_a_name_that_nothing_defines_is_refused(layout: Layout, tmp_path: Path) -> None:
    edit_file(layout.solutions / "p3_sft.py", "start = 10 * 4", "start = 10 * four")
    with pytest.raises(static.FailedCheckError, match="F821 Undefined name `four`"):
        static.check_names(build(layout), tmp_path)


def test_the_leak_check_finds_every_solution_in_the_solved_notebook(layout: Layout) -> None:
    release = build(layout)
    leaks = "\n".join(find_leaks(shipping(release, rlhf_dot_ipynb=release.solved)))
    assert [slot.id for slot in release.spec.slots if f"of {slot.id}'s solution" not in leaks] == []


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("doubled_7   =  start+sum( [x, x] )", "code"),
        ("def other(x):\n    if x:\n        doubled_7 = start + sum([x, x])", "code"),
        ("# doubled_7 = start + sum([x, x])", "code"),
        ("hint = '''\ndoubled_7 = start + sum([x, x])\n'''", "code"),
        ("Try this:\n\n    doubled_7 = start + sum([x, x])", "markdown"),
    ],
)
def test_a_statement_of_a_solution_is_found_wherever_it_is(layout: Layout, source: str, kind: str) -> None:
    leaks = find_leaks(with_cell(build(layout), source, kind))
    assert leaks
    assert all("cell extra" in leak and "T07" in leak for leak in leaks)


@pytest.mark.parametrize("source", ["return_value = len(x)", "optimizer.step()", "x = 3", "start = 10 * 7"])
def test_common_code_is_not_a_leak(layout: Layout, source: str) -> None:
    assert find_leaks(with_cell(build(layout), source)) == []


def test_a_whole_solution_in_the_kit_is_found(layout: Layout) -> None:
    kit = b"def helper(x, start):\n    doubled_7 = start + sum([x, x])\n    return doubled_7\n"
    assert any("T07" in leak for leak in find_leaks(shipping(build(layout), rlhf_kit__x_dot_py=kit)))


def test_the_leak_check_has_a_fingerprint_of_every_slot() -> None:
    from assignment.release.source import SOLUTIONS, read_part

    cells = [cell for path in SOLUTIONS.glob("p[0-9]_*.py") for cell in read_part(path) if cell.slot]
    assert cells
    assert all(fingerprint(cell).statements for cell in cells)


def test_a_manifest_that_does_not_describe_the_zip_is_refused(layout: Layout) -> None:
    release = shipping(build(layout), README_dot_md=b"# Other\n")
    with pytest.raises(static.FailedCheckError, match=r"README\.md differs from the manifest"):
        static.check_zip(release)


def test_a_file_that_the_manifest_does_not_know_is_refused(layout: Layout) -> None:
    with pytest.raises(static.FailedCheckError, match=r"rlhf_kit/new\.py is in only one of zip and manifest"):
        static.check_zip(shipping(build(layout), rlhf_kit__new_dot_py=b""))


GOOD = {"solved": [None], "blank": ["x"], "one_blank": ["NotImplementedError: T07: task"]}


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ({"solved": ["AssertionError: no"]}, "fails on the solution: AssertionError: no"),
        ({"solved": []}, "has no test case"),
        ({"blank": [None]}, "passes on the blank notebook"),
        ({"one_blank": ["NotImplementedError: T08: task"]}, "does not raise its NotImplementedError"),
        ({"one_blank": [None]}, "no error"),
    ],
)
def test_a_public_check_that_cannot_tell_solved_from_blank_is_refused(
    reply: dict[str, list[str | None]], says: str
) -> None:
    assert problems_of("T07", GOOD) == []
    assert says in "".join(problems_of("T07", {**GOOD, **reply}))


def test_a_public_check_that_fails_on_the_solution_stops_the_gate(layout: Layout) -> None:
    edit_file(layout.solutions / "checks" / "T07.py", "10 * 7", "11 * 7")
    write(build(layout), layout)
    results = run_gate(layout)
    assert [one.name for one in results if not one.ok] == ["public checks"]
    assert "T07: its public check fails on the solution" in results[-1].problems[0]
    assert not layout.samples.exists(), "nothing may be executed or refreshed after a failure"


def test_the_whole_gate_executes_the_notebook_and_refreshes_the_sample(layout: Layout) -> None:
    seen: list[str] = []
    results = run_gate(layout, progress=seen.append)
    assert [(one.name, one.problems) for one in results] == [(name, ()) for name, _ in CHECKS]
    sample = nbformat.read(layout.samples / "reference.ipynb", as_version=4)
    assert "usage" not in [cell.id for cell in sample.cells]
    assert any("T07 passed" in out.get("text", "") for c in sample.cells for out in c.get("outputs", []))
    assert any(text.startswith("cell 1 of ") for text in seen)


def test_a_cell_that_fails_is_named(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0", id="p3-004")])
    with pytest.raises(ExecutionError, match=r"cell p3-004 failed(.|\n)*ZeroDivisionError"):
        execute(tmp_path, nbformat.writes(notebook).encode(), 60)


def test_executed_outputs_show_the_last_state_of_a_progress_bar_and_no_path(tmp_path: Path) -> None:
    texts = ("\r 0%", "\r50%", f"\r100% {tmp_path}\n")
    stream = [nbformat.v4.new_output("stream", name="stderr", text=text) for text in texts]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=stream)])
    (output,) = tidy(notebook, tmp_path).cells[0].outputs
    assert output.text == "100% .\n"
