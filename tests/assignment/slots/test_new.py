"""`rlhf-lab new-slot`: it writes eight places, replaces nothing, and the gate names what is left to fill in."""

from __future__ import annotations

from pathlib import Path

import pytest

from assignment.registry import SpecError, load_spec
from assignment.slots.new import NewSlotError, new_slot
from assignment.slots.places import PLACES, problems
from tests.support.copies import change_file, command, copy_of_the_repository

NEW = {
    "solutions/checks/T16.py", "autograder/slots/hidden_tests/slot_t16.py", "autograder/slots/oracles/slot_t16.py",
    "autograder/slots/misconceptions/library/slot_t16.toml",
}  # fmt: skip
EXTENDED = {
    "assignment/registry/assignment.toml", "solutions/p9_evaluation.py", "autograder/inside/drive_values.py",
    "tests/solutions/mistakes.py",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_of_the_repository(tmp_path)


def contents(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.suffix in (".py", ".toml"))
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in files}


def test_new_slot_writes_eight_places_and_keeps_all_existing_text(root: Path) -> None:
    before = contents(root)
    new_slot("T16", 9, root).write(root)
    after = contents(root)
    assert set(after) - set(before) == NEW
    assert len(NEW | EXTENDED) == len(PLACES)
    assert {name for name in before if after[name] != before[name]} == EXTENDED
    for name in EXTENDED:
        kept = iter(after[name].splitlines())
        assert all(line in kept for line in before[name].splitlines()), f"{name} lost a line, or its order"


@pytest.mark.parametrize("part", range(1, 10))
def test_a_new_slot_of_any_part_stands_in_notebook_order_in_the_registry(root: Path, part: int) -> None:
    new_slot("T16", part, root).write(root)
    spec = load_spec(root / "assignment/registry/assignment.toml")
    slot = spec.slot("T16")
    assert slot.bonus
    assert slot.part == part
    assert spec.max_points == load_spec().max_points
    assert [one.part for one in spec.slots] == sorted(one.part for one in spec.slots)
    assert spec.limits.for_item("slot", "T16").wall_s == spec.limits.slot.wall_s


def test_what_is_still_to_be_filled_in_is_named_in_each_of_the_files(root: Path) -> None:
    new_slot("T16", 9, root).write(root)
    found = list(problems(load_spec(root / "assignment/registry/assignment.toml"), root))
    assert {line.split(": ")[0] for line in found} == NEW | EXTENDED
    assert all(line.endswith("TODO(T16): fill in what each asks") for line in found)


def test_the_command_lists_what_it_wrote_and_the_gate_what_is_left_to_fill_in(root: Path) -> None:
    done = command(root, "new-slot", "T16", "--part", "9")
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith(("wrote", "added"))]
    assert {line.split()[-1] for line in said} == NEW | EXTENDED
    assert "Next: fill in everything marked TODO(T16)" in done.stdout
    gate = command(root, "verify", "--static")
    assert gate.returncode == 1
    assert gate.stdout.rstrip().splitlines()[-1].startswith("not ready: places failed")
    marks = {line.split("- ")[1].split(":")[0] for line in gate.stdout.splitlines() if "TODO(T16)" in line}
    assert marks == NEW | EXTENDED


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["T07", "--part", "4"], "cannot add T07: T07 exists already, in part 4; the next free id is T16"),
        (["T7", "--part", "4"],
         "cannot add T7: T7 is not a slot id: a capital letter other than W and two digits, such as T16"),
        (["W01", "--part", "4"],
         "cannot add W01: W01 is not a slot id: a capital letter other than W and two digits, such as T16"),
        (["T16", "--part", "0"],
         "cannot add T16: there is no part 0 under solutions/; there are parts 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (["T16", "--part", "12"],
         "cannot add T16: there is no part 12 under solutions/; there are parts 1, 2, 3, 4, 5, 6, 7, 8, 9"),
    ],
)  # fmt: skip
def test_an_invalid_slot_is_refused_in_one_sentence(root: Path, arguments: list[str], says: str) -> None:
    before = contents(root)
    done = command(root, "new-slot", *arguments)
    assert (done.returncode, done.stdout.rstrip("\n"), done.stderr) == (1, says, "")
    assert contents(root) == before


@pytest.mark.parametrize("name", sorted(NEW))
def test_new_slot_writes_nothing_if_one_of_its_files_exists(root: Path, name: str) -> None:
    (root / name).write_text("mine")
    before = contents(root)
    with pytest.raises(NewSlotError, match="is there already: move it away, or choose another id"):
        new_slot("T16", 9, root).write(root)
    assert contents(root) == before


def test_an_invalid_registry_is_reported_first(root: Path) -> None:
    change_file(root, "assignment/registry/assignment.toml", "pass_mark = 70", "pass_mark = 700")
    with pytest.raises(SpecError, match="pass_mark 700 is above max_points 100"):
        new_slot("T16", 9, root)


def test_a_missing_list_of_mistakes_is_named(root: Path) -> None:
    (root / "tests/solutions/mistakes.py").write_text("OTHER = []\n")
    with pytest.raises(NewSlotError, match=r"mistakes\.py has no list called MISTAKES"):
        new_slot("T16", 9, root)
