"""`rlhf-lab new-slot`: it writes eight places that the gate then asks to be filled in, and replaces nothing."""

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
LONGER = {
    "assignment/registry/assignment.toml", "solutions/p9_evaluation.py", "autograder/inside/drive_values.py",
    "tests/solutions/mistakes.py",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_of_the_repository(tmp_path)


def contents(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.suffix in (".py", ".toml"))
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in files}


def test_all_eight_places_are_written_and_nothing_that_was_there_is_lost(root: Path) -> None:
    before = contents(root)
    new_slot("T16", 9, root).write(root)
    after = contents(root)
    assert set(after) - set(before) == NEW and len(NEW | LONGER) == len(PLACES)
    assert {name for name in before if after[name] != before[name]} == LONGER
    for name in LONGER:
        kept = iter(after[name].splitlines())
        assert all(line in kept for line in before[name].splitlines()), f"{name} lost a line, or its order"


@pytest.mark.parametrize("part", range(1, 10))
def test_a_slot_of_any_part_makes_a_registry_that_loads_with_the_slot_in_its_place(root: Path, part: int) -> None:
    new_slot("T16", part, root).write(root)
    spec = load_spec(root / "assignment/registry/assignment.toml")
    slot = spec.slot("T16")
    assert slot.bonus and slot.part == part and spec.max_points == load_spec().max_points
    assert [one.part for one in spec.slots] == sorted(one.part for one in spec.slots)
    assert spec.limits.for_item("slot", "T16").wall_s == spec.limits.slot.wall_s


def test_what_is_still_to_be_filled_in_is_named_in_each_of_the_files(root: Path) -> None:
    new_slot("T16", 9, root).write(root)
    found = list(problems(load_spec(root / "assignment/registry/assignment.toml"), root))
    assert {line.split(": ")[0] for line in found} == NEW | LONGER
    assert all(line.endswith("TODO(T16): fill in what each asks") for line in found)


def test_the_command_says_what_it_wrote_and_the_gate_what_is_left(root: Path) -> None:
    done = command(root, "new-slot", "T16", "--part", "9")
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith(("wrote", "added"))]
    assert {line.split()[-1] for line in said} == NEW | LONGER
    assert "Next: fill in all that is marked TODO(T16)" in done.stdout
    gate = command(root, "verify", "--static")
    assert gate.returncode == 1 and gate.stdout.rstrip().splitlines()[-1].startswith("not ready: places failed")
    marks = {line.split("- ")[1].split(":")[0] for line in gate.stdout.splitlines() if "TODO(T16)" in line}
    assert marks == NEW | LONGER


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["T07", "--part", "4"], "cannot add T07: T07 exists already, in part 4; the next free id is T16"),
        (["T7", "--part", "4"],
         "cannot add T7: T7 is no slot's id: a capital letter other than W and two digits, such as T16"),
        (["W01", "--part", "4"],
         "cannot add W01: W01 is no slot's id: a capital letter other than W and two digits, such as T16"),
        (["T16", "--part", "0"],
         "cannot add T16: there is no part 0 under solutions/; there are parts 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (["T16", "--part", "12"],
         "cannot add T16: there is no part 12 under solutions/; there are parts 1, 2, 3, 4, 5, 6, 7, 8, 9"),
    ],
)  # fmt: skip
def test_a_slot_that_cannot_be_is_refused_in_one_sentence(root: Path, arguments: list[str], says: str) -> None:
    before = contents(root)
    done = command(root, "new-slot", *arguments)
    assert (done.returncode, done.stdout.rstrip("\n"), done.stderr) == (1, says, "")
    assert contents(root) == before


@pytest.mark.parametrize("name", sorted(NEW))
def test_a_file_that_is_there_is_kept_and_nothing_is_written(root: Path, name: str) -> None:
    (root / name).write_text("mine")
    before = contents(root)
    with pytest.raises(NewSlotError, match="is there already: move it away, or choose another id"):
        new_slot("T16", 9, root).write(root)
    assert contents(root) == before


def test_a_registry_that_is_wrong_already_is_said_first(root: Path) -> None:
    change_file(root, "assignment/registry/assignment.toml", "pass_mark = 70", "pass_mark = 700")
    with pytest.raises(SpecError, match="pass_mark 700 is above max_points 100"):
        new_slot("T16", 9, root)


def test_a_list_of_mistakes_that_is_gone_is_named(root: Path) -> None:
    (root / "tests/solutions/mistakes.py").write_text("OTHER = []\n")
    with pytest.raises(NewSlotError, match="mistakes.py has no list called MISTAKES"):
        new_slot("T16", 9, root)
