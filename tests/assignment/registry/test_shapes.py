"""Registries unlike the real one: without a slot, with a bonus, with other ids, with any number of written items."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assignment.registry import SpecError, load_spec, parse_spec
from tests.support.registries import BONUS_T08, NO_WRITTEN, TEXT, TWO_WRITTEN, WITHOUT_T08, change, edited


def test_a_slot_can_be_removed() -> None:
    spec = parse_spec(edited(*WITHOUT_T08))
    assert [slot.id for slot in spec.slots] == [f"T{i:02d}" for i in range(1, 16) if i != 8]
    assert "T08" not in spec.items


def test_a_bonus_slot_counts_to_a_group_of_its_own() -> None:
    spec = parse_spec(edited(*BONUS_T08))
    group = spec.criteria[-1]
    assert (group.bonus, group.items, group.points) == (True, ("T08",), 2)
    assert spec.max_points == 100
    assert spec.items["T08"].bonus
    assert list(spec.items)[-1] == "T08"


@pytest.mark.parametrize(
    ("id_", "criterion", "richer"),
    [("quality_docs", "code_quality", change("item", "quality_lint", "points = 3", "points = 5")),
     ("comparison", "evaluation", change("slot", "T15", "points = 6", "points = 10"))],
)  # fmt: skip
def test_an_item_can_be_a_bonus(id_: str, criterion: str, richer: tuple[str, str]) -> None:
    spec = parse_spec(edited(change("item", id_, f'criterion = "{criterion}"', "bonus = true"), richer))
    assert spec.criteria[-1].items == (id_,)
    assert spec.items[id_].bonus


@pytest.mark.parametrize("letter", ["B", "C", "E"])
def test_ids_of_further_notebooks_are_accepted(letter: str) -> None:
    text = re.sub(r"\bT(\d\d)\b", rf"{letter}\1", TEXT).replace('file = "p', f'file = "{letter.lower()}')
    slots = parse_spec(text).slots
    assert slots[0].id == f"{letter}01"
    assert slots[0].file == f"{letter.lower()}2_data.py"


def test_there_may_be_no_written_item() -> None:
    spec = parse_spec(edited(*NO_WRITTEN))
    assert not spec.written
    assert all(item.kind != "written" for item in spec.item_list)


def test_there_may_be_several_written_items() -> None:
    items = [item for item in parse_spec(edited(*TWO_WRITTEN)).item_list if item.kind == "written"]
    assert [(item.id, item.questions) for item in items] == [("written_comparison", ("W1", "W2")), ("essay", ("W3",))]


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("T07"), st.just("rm_accuracy"),
    st.lists(st.one_of(st.integers(), st.text(max_size=5)), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)  # fmt: skip


def as_toml(value: Any) -> str:
    """Write a value as TOML, and None, which TOML does not have, as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
    return repr(value)


LINES = TEXT.splitlines()
ASSIGNMENTS = [number for number, line in enumerate(LINES) if re.match(r"\w+ = ", line)]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Draw a registry with one to three lines changed, removed, doubled or swapped."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 3))):
        where = draw(st.sampled_from(ASSIGNMENTS))
        key, _, value = lines[where].partition(" = ")
        what = draw(st.sampled_from(("value", "key", "remove", "double", "swap", "text")))
        if what == "value":
            lines[where] = f"{key} = {as_toml(draw(VALUES))}"
        elif what == "key":
            lines[where] = f"{as_toml(draw(st.text(max_size=6)))} = {value}"
        elif what == "remove":
            lines[where] = ""
        elif what == "double":
            lines[where] = f"{lines[where]}\n{lines[where]}"
        elif what == "swap":
            other = draw(st.sampled_from(ASSIGNMENTS))
            lines[where], lines[other] = lines[other], lines[where]
        else:
            lines[where] = draw(st.text(max_size=10))
    return "\n".join(lines)


def problems_of(text: str) -> tuple[str, ...] | None:
    """Return the problems of a registry, or None if it loads."""
    try:
        parse_spec(text)
    except SpecError as error:
        return error.problems
    return None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(mutated())
def test_any_mutation_loads_or_is_refused_with_a_line_for_each_problem(text: str) -> None:
    lines = problems_of(text)
    assert lines is None or lines
    assert len(set(lines or ())) == len(lines or ())
    for line in lines or ():
        assert line.startswith(("[", "not valid TOML: "))
        assert line.isprintable()
        assert len(line) < 500
        assert "\n" not in line
        assert "Input should" not in line


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.sampled_from(range(len(TEXT))), st.text(max_size=8), st.integers(0, 40))
def test_a_damaged_text_loads_or_is_refused(place: int, inserted: str, lost: int) -> None:
    assert all(line.isprintable() for line in problems_of(TEXT[:place] + inserted + TEXT[place + lost :]) or ())


def test_the_real_registry_is_not_changed_by_what_tests_do_to_its_text() -> None:
    assert parse_spec(TEXT) == load_spec()
