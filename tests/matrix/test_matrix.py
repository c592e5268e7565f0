"""The parts of the matrix: its entries, its store, and what it counts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from assignment.registry import load_spec
from autograder.parsing.leftovers import find_leftovers
from autograder.quality.lint import lint
from autograder.slots.misconceptions import load_library
from autograder.training.comparison import FIELD_GROUPS
from tests.matrix import __main__ as command
from tests.matrix import entries, nulls, outcomes
from tests.matrix import store as store_module
from tests.matrix.entries import Entry
from tests.matrix.grading import key_of
from tests.matrix.page import page
from tests.matrix.public import KERNEL
from tests.matrix.spoilt_outputs import spoil_outputs
from tests.matrix.store import Store, code_hash
from tests.matrix.summary import Matrix
from tests.matrix.variants import NOT_APPLICABLE, variants
from tests.support.slot_variants import VARIANTS

SPEC, WRONG = load_spec(), entries.misconceptions()


def verdict(share: float, status: str = "wrong", names: str = "", sentence: str = "Look again.") -> dict:
    return {"status": status, "share": share, "names": names, "sentence": sentence, "message": "", "about": {}}


MINE = Entry("misconception", "T12 P16", {"T12": ""}, costs={"T12": 0.0}, names={"T12": "P16"},
             sentences={"T12": "Look again."})  # fmt: skip
STILL = Entry("misconception", "T09 S26r", {"T09": ""}, costs={"T09": 0.0, "rm_accuracy": 0.0},
              names={"T09": "S26r", "rm_accuracy": "W1"})  # fmt: skip


def test_there_are_enough_entries_and_their_ids_are_unique():
    every = [*entries.misconceptions(), *entries.pairs(), *variants(), *nulls.nulls()]
    assert len({entry.id for entry in every}) == len(every)
    assert len(entries.misconceptions()) >= 75
    assert len(variants()) >= 40
    assert len(entries.pairs()) == entries.PAIRS
    assert len(VARIANTS) <= len(variants())


def test_every_alternative_of_the_catalogue_is_written_or_has_a_reason():
    text = " ".join([v.id for v in variants()] + list(NOT_APPLICABLE))
    numbers = {int(n) for n in re.findall(r"C(\d\d)", text)}
    assert {*range(1, 43)} - numbers == set()


@pytest.mark.parametrize(
    ("verdicts", "right", "named", "misnamed"),
    [
        ({"T12": verdict(0, names="P16"), "T14": verdict(1, "passed")}, True, True, False),
        ({"T12": verdict(0, names="P16, P17")}, True, True, False),
        ({"T12": verdict(0)}, True, False, False),
        ({"T12": verdict(0, names="P17")}, True, False, True),
        ({"T12": verdict(0.5, "partial", "P16")}, False, True, False),
        ({"T12": verdict(1, "passed")}, False, False, False),
        ({"T12": verdict(0, names="P16"), "T14": verdict(0)}, False, True, False),
        ({"T12": verdict(0, "not_gradable", "P16")}, False, True, False),
    ],
)
def test_a_known_mistake_has_to_cost_exactly_its_items(verdicts, right, named, misnamed):
    found = outcomes.outcome_of(MINE, [(1, verdicts)], SPEC)
    assert (found.right, found.named, found.misnamed) == (right, named, misnamed)


def test_a_mistake_that_is_named_on_one_seed_only_is_not_named():
    runs = [(1, {"T12": verdict(0, names="P16")}), (2, {"T12": verdict(0)})]
    assert not outcomes.outcome_of(MINE, runs, SPEC).named


def test_no_known_mistake_costs_code_quality():
    library = load_library()
    units = {"helpers": KERNEL, **library.bases, **{entry.id: next(iter(entry.changes.values())) for entry in WRONG}}
    assert [found for found in lint(units) if found["where"] != "helpers"] == []
    found = find_leftovers({"units": units})
    assert (found["undocumented"], found["leftovers"]) == (["helpers"], [])


def test_the_quick_form_gives_every_null_answer_to_every_slot_it_applies_to():
    quick, full = ({tuple(e.id.split()[:2]) for e in nulls.nulls(all_forms=form)} for form in (False, True))
    assert quick == full
    assert len(nulls.nulls(all_forms=False)) == len(quick)


def test_the_right_name_without_its_sentence_is_a_fault():
    runs = [(1, {"T12": verdict(0, names="P16, P17", sentence="Another. Or: A third.")})]
    assert "sentence" in " ".join(outcomes.outcome_of(MINE, runs, SPEC).faults)


def test_an_invented_mistake_with_any_name_is_misnamed():
    new = Entry("invented", "T12 I1", {"T12": ""}, costs={"T12": 0.0})
    assert outcomes.outcome_of(new, [(1, {"T12": verdict(0, names="P16")})], SPEC).misnamed
    assert not outcomes.outcome_of(new, [(1, {"T12": verdict(0), "T14": verdict(1, "passed")})], SPEC).misnamed


@pytest.mark.parametrize(
    ("trained", "verdicts", "right"),
    [
        (True, {"T09": verdict(0, names="S26r"), "rm_accuracy": verdict(0, names="W1")}, True),
        (True, {"T09": verdict(0, names="S26r")}, False),
        (False, {"T09": verdict(0, names="S26r")}, True),
        (False, {}, False),
    ],
)
def test_an_item_that_is_declared_lost_has_to_be_graded(trained, verdicts, right):
    assert outcomes.outcome_of(STILL, [(1, verdicts)], SPEC, trained=trained).right == right


@pytest.mark.parametrize(("symptom", "named"), [("W1", True), ("W2", False), ("", False)])
def test_a_declared_symptom_of_training_has_to_be_named(symptom, named):
    found = outcomes.outcome_of(
        STILL, [(1, {"T09": verdict(0, names="S26r"), "rm_accuracy": verdict(0, names=symptom)})], SPEC, trained=True
    )
    assert (found.named, found.misnamed) == (named, symptom == "W2")
    assert found.called(["rm_accuracy"]) == symptom


def test_the_last_line_has_the_agreed_form():
    full = {item.id: verdict(1, "passed") for item in SPEC.item_list if item.kind != "written"}
    right = outcomes.outcome_of(MINE, [(1, {"T12": verdict(0, names="P16")})], SPEC)
    matrix = Matrix([right], [], [right], {("T12", "Z01"): ""}, [spoil_outputs("T12")], full, 0.0, True)
    assert matrix.line(SPEC) == (
        "1 of 1 known mistakes cost exactly the expected items, 1 named · 1 of 1 correct variants get full marks · "
        "1 of 1 null answers rejected · blank 0 · reference 95+5"
    )
    assert matrix.faults(SPEC) == []
    assert matrix.line(SPEC) in page(matrix, SPEC)


@pytest.mark.parametrize("slot", [slot.id for slot in SPEC.slots])
def test_a_slot_s_test_notices_each_output_that_is_spoilt_by_itself(slot):
    found = spoil_outputs(slot)
    assert found.right, found
    assert bool(found.outputs) == (slot not in nulls.TEXTS)
    assert set(found.outputs) >= set(OUTPUTS.get(slot, ()))


OUTPUTS = {"T03": ("input_ids", "labels"), "T15": ("n", "win_low", "win_high")}  # outputs other than arrays


def test_a_slot_without_any_spoilt_output_is_not_right():
    spoilt = replace(spoil_outputs("T08"), tried={"0.5×": 0})
    assert not spoilt.right


def test_slots_whose_answer_is_text_are_listed_as_such():
    full = {item.id: verdict(1, "passed") for item in SPEC.item_list if item.kind != "written"}
    matrix = Matrix([], [], [], {}, [spoil_outputs("T01")], full, 0.0, True)
    assert "T01: text, n/a" in matrix.second_line()
    assert "the answer is text" in matrix.second_line()
    assert "text: n/a" in page(matrix, SPEC)


@pytest.fixture
def hashes(tmp_path, monkeypatch):
    """A function of (kind of result, file, texts): the hash of the code with each text in the file."""
    monkeypatch.setattr(store_module, "ROOT", tmp_path)

    def found(kind: str, path: str, *texts: str) -> list[str]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        out = []
        for text in texts:
            (tmp_path / path).write_text(text)
            code_hash.cache_clear()
            out.append(code_hash(kind))
        return out

    yield found
    code_hash.cache_clear()


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("stage_ppo", "solutions/p6.py"),
        ("stage_ppo", "autograder/training/ppo.py"),
        ("slots", "autograder/x.py"),
        ("slots", "tests/matrix/grading.py"),
    ],
)
def test_a_change_in_what_a_result_depends_on_renews_it(hashes, kind, path):
    one, other, again = hashes(kind, path, "x = 1", "x = 2", "x = 1")
    assert one == again != other


@pytest.mark.parametrize(
    ("kind", "path"), [("stage_sft", "autograder/training/ppo.py"), ("slots", "autograder/calibration/document.py")]
)
def test_a_change_in_what_a_result_does_not_depend_on_renews_nothing(hashes, kind, path):
    one, other = hashes(kind, path, "x = 1", "x = 2")
    assert one == other


def test_a_comment_renews_nothing(hashes):
    one, other = hashes("stage_ppo", "solutions/p6.py", "x = 1", "x = 1  # one")
    assert one == other


def test_results_are_kept_under_a_name_that_follows_the_entrys_code(tmp_path):
    store, other = Store(tmp_path), Entry("misconception", "T12 P16", {"T12": "pass"})
    keys = {key_of("slots", MINE, 1), key_of("slots", MINE, 2), key_of("slots", other, 1), key_of("quality", MINE, 1)}
    assert len(keys) == 4
    assert store.get("absent") is None
    store.put("there", {"T12": verdict(1)})
    assert store.get("there") == {"T12": verdict(1)}
    assert [path.name for path in tmp_path.iterdir()] == ["there.json"]


def test_the_registrys_kinds_of_fields_are_those_of_the_comparison():
    assert SPEC.partial.field_kinds == len(FIELD_GROUPS)


def test_a_page_of_another_kind_is_refused_before_anything_is_graded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "graded", lambda *_, **__: pytest.fail("graded"))
    (tmp_path / "notes.md").write_text("mine")
    with pytest.raises(SystemExit) as ended:
        command.main(["--quick", "--out", str(tmp_path / "notes.md")])
    assert ended.value.code == 2
    assert "is not replaced" in capsys.readouterr().err
    assert (tmp_path / "notes.md").read_text() == "mine"
