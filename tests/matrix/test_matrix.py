"""The matrix's own parts: what it grades, what it remembers, what it counts."""

from __future__ import annotations

import re

import pytest

from assignment.spec import load_spec
from autograder.training.comparison import GROUPS
from tests.autograder.slot_variants import VARIANTS
from tests.matrix import entries, nulls, outcomes
from tests.matrix.alone import alone
from tests.matrix.entries import Entry
from tests.matrix.grading import Grader, key_of
from tests.matrix.page import page
from tests.matrix.store import Store
from tests.matrix.summary import Matrix
from tests.matrix.variants import NOT_APPLICABLE, variants

SPEC = load_spec()


def verdict(share: float, status: str = "wrong", names: str = "") -> dict:
    return {"status": status, "share": share, "names": names, "message": "", "about": {}}


MINE = Entry("misconception", "T12 P16", {"T12": ""}, costs={"T12": 0.0}, names={"T12": "P16"})


def test_there_are_enough_entries_and_no_two_of_one_name():
    every = [*entries.misconceptions(), *entries.pairs(), *variants(), *nulls.nulls()]
    assert len({entry.id for entry in every}) == len(every)
    assert len(entries.misconceptions()) >= 75
    assert len(variants()) >= 40
    assert len(entries.pairs()) == entries.PAIRS
    assert len(VARIANTS) <= len(variants())


def test_every_alternative_of_the_catalogue_is_written_or_excused():
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
def test_a_misconception_has_to_lose_its_items_and_no_other(verdicts, right, named, misnamed):
    found = outcomes.judge(MINE, [(1, verdicts)], SPEC)
    assert (found.right, found.named, found.misnamed) == (right, named, misnamed)


def test_a_mistake_that_is_named_on_one_seed_only_is_not_named():
    runs = [(1, {"T12": verdict(0, names="P16")}), (2, {"T12": verdict(0)})]
    assert not outcomes.judge(MINE, runs, SPEC).named


def test_the_last_line_has_the_agreed_form():
    full = {item.id: verdict(1, "passed") for item in SPEC.item_list if item.kind != "written"}
    right = outcomes.judge(MINE, [(1, {"T12": verdict(0, names="P16")})], SPEC)
    matrix = Matrix([right], [], [right], {("T12", "Z01"): ""}, [alone("T12")], full, 0.0, True)
    assert matrix.line(SPEC) == (
        "misconceptions 1/1 lose only their items, 1 named · variants 1/1 full · null answers 1/1 rejected · "
        "blank 0 · reference 95+5"
    )
    assert matrix.faults(SPEC) == []
    assert matrix.line(SPEC) in page(matrix, SPEC)


def test_results_are_kept_under_a_name_that_follows_the_entrys_code(tmp_path):
    store, other = Store(tmp_path), Entry("misconception", "T12 P16", {"T12": "pass"})
    keys = {key_of("slots", MINE, 1), key_of("slots", MINE, 2), key_of("slots", other, 1), key_of("quality", MINE, 1)}
    assert len(keys) == 4
    assert store.get("absent") is None
    store.put("there", {"T12": verdict(1)})
    assert store.get("there") == {"T12": verdict(1)}
    assert [path.name for path in tmp_path.iterdir()] == ["there.json"]


def test_the_kinds_of_fields_that_the_registry_counts_are_those_of_the_comparison():
    assert SPEC.partial.field_kinds == len(GROUPS)


@pytest.mark.slow
def test_a_call_in_a_session_that_served_others_equals_a_call_in_a_fresh_one(tmp_path):
    wrong = {entry.id: entry for entry in entries.misconceptions()}
    mine, before = wrong["T12 P16"], [wrong["T10 K03"], wrong["T07 R02"], wrong["T04 S20"]]

    def graded(*first: Entry) -> dict[str, dict]:
        grader = Grader(Store(tmp_path / str(len(first))))
        try:
            for entry in first:
                grader.graded("slots", entry, 1)
            return grader.graded("slots", mine, 1)
        finally:
            grader.close()

    old, fresh = graded(*before), graded()
    assert old == fresh
