"""What `make refresh` renews on a small course, with a stand-in for the release gate."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from assignment.lab import world_page
from assignment.lab.__main__ import WORLD_SEED
from assignment.release import reference_sample
from assignment.release.notebook import to_bytes
from assignment.release.release import Layout, Release, build
from assignment.verify.gate import GateResult
from tests.refresh import renew, rows
from tests.refresh.rows import Row, checked, table, verdict
from tests.submissions import make
from tests.support.course import edit_file, write_course
from tests.support.small_study import made_up_row

WELL = [GateResult("leaks", "none", (), 0.1), GateResult("execution", "", (), 7.0)]


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(rows, "PASSED", tmp_path / "kept")
    made = write_course(tmp_path)
    made.samples.mkdir()
    return made


class Gate:
    """Replaces `run_gate` and remembers its calls. A run with the execution writes the sample, as the real one does."""

    def __init__(self, *problems: str) -> None:
        self.problems, self.calls = problems, list[bool]()

    def __call__(self, layout: Layout, *, static_only: bool = False, progress=None) -> list[GateResult]:
        self.calls.append(static_only)
        if self.problems:
            return [GateResult("leaks", "", self.problems, 0.1)]
        if not static_only:
            executed(build(layout), layout)
        return WELL


def executed(release: Release, layout: Layout) -> None:
    notebook = nbformat.reads(release.solved.decode(), as_version=4)
    notebook.metadata["language_info"] = {"name": "python"}
    (layout.samples / reference_sample.SAMPLE).write_bytes(reference_sample.sample_file(release, notebook))


def rebuilt(layout: Layout, old: str, new: str) -> Release:
    edit_file(layout.solutions / "p3_sft.py", old, new)
    return build(layout)


def states(found: list[Row]) -> list[str]:
    return [row.state for row in found]


def reference(release: Release, layout: Layout, gate: Gate, static: bool = False) -> list[Row]:
    return renew.reference(release, layout, lambda text: None, static=static, gate=gate)


def test_template_and_zip_are_renewed_once(layout: Layout) -> None:
    assert states(renew.template(build(layout), layout)) == ["renewed", "renewed"]
    assert states(renew.template(build(layout), layout)) == ["current", "current"]


def test_the_files_made_stale_by_new_prose_are_named(layout: Layout) -> None:
    renew.template(build(layout), layout)
    template, archive = renew.template(rebuilt(layout, "Prose with", "New prose with"), layout)
    assert (template.state, archive.state) == ("renewed", "renewed")
    assert template.detail == "manifest.json is stale; rlhf.ipynb is stale"


def test_a_notebook_solved_in_the_template_is_kept(layout: Layout) -> None:
    renew.template(build(layout), layout)
    (layout.template / "rlhf.ipynb").write_text("solved")
    (row,) = renew.template(build(layout), layout)
    assert row.state == "by hand"
    assert "rlhf.ipynb" in row.detail
    assert (layout.template / "rlhf.ipynb").read_text() == "solved"


def test_samples_are_written_if_they_differ_and_named_if_they_cannot_be(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, lost = build(layout), {"blank": make.blank, "typical": make.typical}
    monkeypatch.setattr(make, "SAMPLES", lost)
    blank, typical = renew.samples(release, layout)
    assert blank.state == "renewed"
    assert (layout.samples / "blank.ipynb").read_bytes() == make.blank(release)
    assert typical.state == "by hand"
    assert "EXTRA names p" in typical.detail
    assert "no such cell" in typical.detail
    assert renew.samples(release, layout)[0].state == "current"


def test_a_missing_sample_is_executed_and_then_current(layout: Layout) -> None:
    gate = Gate()
    assert states(reference(build(layout), layout, gate)) == ["current", "renewed"]
    assert states(reference(build(layout), layout, gate)) == ["current", "current"]
    assert gate.calls == [False, True]


@pytest.mark.slow
def test_the_release_gate_itself_executes_other_code_and_then_nothing(layout: Layout) -> None:
    renew.template(build(layout), layout)
    for change in (("[x, x]", "[x, x, 0]"), ("doubled_4 = ", "# twice\n    doubled_4 = ")):
        release = rebuilt(layout, *change)
        renew.template(release, layout)
        checks, row = renew.reference(release, layout, lambda text: None, static=False)
        assert (checks.state, row.state) == ("current", "renewed"), checks
        assert ("executed again" in row.detail) == (change[0] == "[x, x]")
    assert states(renew.reference(release, layout, lambda text: None, static=False)) == ["current", "current"]


def test_a_new_comment_is_put_into_the_sample_without_an_execution(layout: Layout) -> None:
    executed(build(layout), layout)
    gate, release = Gate(), rebuilt(layout, "doubled_4 = ", "# twice\n    doubled_4 = ")
    assert states(reference(release, layout, gate)) == ["current", "renewed"]
    assert gate.calls == [True]
    assert reference_sample.state(release, layout) == "current"
    assert "# twice" in (layout.samples / reference_sample.SAMPLE).read_text(encoding="utf-8")


def test_changed_code_is_executed_unless_static_is_set(layout: Layout) -> None:
    executed(build(layout), layout)
    gate, release = Gate(), rebuilt(layout, "[x, x]", "[x, x, 0]")
    checks, row = reference(release, layout, gate, static=True)
    assert (checks.state, row.state) == ("current", "by hand")
    assert "`rlhf-lab verify`" in row.detail
    checks, row = reference(release, layout, gate)
    assert row.state == "renewed"
    assert "executed again, in 7 s" in row.detail
    assert gate.calls == [True, False]


def test_a_release_that_the_gate_refuses_does_not_become_a_sample(layout: Layout) -> None:
    checks, row = reference(build(layout), layout, Gate("a line of T07's solution"))
    assert checks == Row(renew.GATE, "by hand", "leaks: a line of T07's solution")
    assert row.state == "by hand"
    assert not (layout.samples / reference_sample.SAMPLE).exists()


def test_the_gate_is_repeated_only_if_it_did_not_pass(layout: Layout) -> None:
    executed(build(layout), layout)
    well, refused = Gate(), Gate("a problem")
    for _ in range(2):
        assert states(reference(build(layout), layout, refused)) == ["by hand", "current"]
    for _ in range(2):
        assert states(reference(build(layout), layout, well)) == ["current", "current"]
    assert (refused.calls, well.calls) == ([True, True], [True])


def test_pages_are_renewed_only_if_they_were_made_before(layout: Layout) -> None:
    assert renew.pages(build(layout), layout) == []
    assert not (layout.dist / "html").exists()
    (layout.dist / "html").mkdir(parents=True)
    assert states(renew.pages(build(layout), layout)) == ["renewed"]
    assert states(renew.pages(build(layout), layout)) == ["current"]
    assert states(renew.pages(rebuilt(layout, "Prose with", "New prose with"), layout)) == ["renewed"]
    (layout.dist / "html" / "handout.html").write_text("mine")
    assert states(renew.pages(build(layout), layout)) == ["by hand"]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Copy the page of the world, and make a folder for outcomes."""
    (tmp_path / "results").mkdir()
    copy = tmp_path / "world.md"
    copy.write_text(world_page.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    return copy


def outcomes(folder: Path, **figures: float) -> None:
    lines = [json.dumps(made_up_row(seed, **figures)) for seed in (41, 42, 43)]
    (folder / f"lab-world-{WORLD_SEED}.jsonl").write_text("\n".join(lines))


def test_the_worlds_page_is_left_alone_where_no_seed_was_measured(page: Path) -> None:
    before = page.read_text(encoding="utf-8")
    (row,) = renew.world(page, page.parent / "results")
    assert row.state == "current"
    assert "python -m assignment.lab outcomes" in row.detail
    assert page.read_text(encoding="utf-8") == before


def test_the_worlds_page_is_renewed_once_from_the_seeds_that_are_there(page: Path) -> None:
    outcomes(page.parent / "results")
    assert renew.world(page, page.parent / "results")[0].state == "renewed"
    assert "n = 3 of 40 seeds" in page.read_text(encoding="utf-8")
    assert renew.world(page, page.parent / "results")[0].state == "current"


def test_a_claim_that_fails_is_left_to_a_person(page: Path) -> None:
    outcomes(page.parent / "results", sft_gold_sampled=1.0, good_gold_sampled=0.0)
    found = renew.world(page, page.parent / "results")
    assert any(row.state == "by hand" and row.detail.startswith("good_beats_sft") for row in found)


def test_a_page_that_lost_the_place_of_a_table_is_left_to_a_person(page: Path) -> None:
    outcomes(page.parent / "results")
    page.write_text("mine", encoding="utf-8")
    (row,) = renew.world(page, page.parent / "results")
    assert row.state == "by hand"
    assert page.read_text(encoding="utf-8") == "mine"


def test_a_check_that_found_a_problem_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "PASSED", tmp_path)
    answers = iter([["a problem"], []])
    found = [checked("x", "key", lambda: next(answers), "well") for _ in range(3)]
    assert [row.state for some in found for row in some] == ["by hand", "current", "current"]


@pytest.mark.parametrize(
    ("found", "says"),
    [([Row("a", "current")], "nothing is stale (3 s)"),
     ([Row("a", "renewed"), Row("b", "current")], "1 renewed, nothing left to do by hand: look at `git diff`"),
     ([Row("a", "renewed"), Row("b", "by hand", "do it")], "1 renewed, 1 left for you to do by hand (3 s)")],
)  # fmt: skip
def test_the_last_line_says_what_is_left_to_do(found: list[Row], says: str) -> None:
    assert says in verdict(found, 3.2)


def test_the_table_ends_with_what_a_person_has_to_do() -> None:
    shown = table([Row("a", "by hand", "[red] do it"), Row("b", "renewed"), Row("c", "current")])
    assert [str(cell) for cell in shown.columns[0].cells] == ["current", "renewed", "by hand"]


def test_a_sample_that_does_not_fit_the_notebook_is_refused(layout: Layout) -> None:
    with pytest.raises(make.SampleError, match="EXTRA names"):
        make.typical(build(layout))
    with pytest.raises(make.SampleError, match="T04 has no placeholder"):
        make.answered("T04", "def sft_loss(): ...", "    return 0")
    with pytest.raises(make.SampleError, match="no answer to W9"):
        make.written("<!-- WRITTEN W9 · why? -->\n*Your answer.*")


def test_a_sample_keeps_its_bytes_when_it_is_renewed_twice(layout: Layout) -> None:
    release = build(layout)
    executed(release, layout)
    before = (layout.samples / reference_sample.SAMPLE).read_bytes()
    assert to_bytes(reference_sample.with_outputs(release, layout)) == before
