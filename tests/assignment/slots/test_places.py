"""The places of a slot on the instructor's side: what is missing, unfinished or left over is named by file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assignment.registry import load_spec, parse_spec
from assignment.slots.places import MISTAKES, PLACES, ROOT, problems
from tests.support.copies import change_file, copy_of_the_repository
from tests.support.registries import WITHOUT_T08, edited

SPEC = load_spec()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_of_the_repository(tmp_path)


def without_t07_mistakes(root: Path) -> None:
    path = root / MISTAKES
    path.write_text(path.read_text().replace('"T07"', '"T08"'))


def test_every_slot_of_the_registry_is_complete() -> None:
    assert list(problems(SPEC)) == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda root: change_file(root, "solutions/p4_reward_model.py", "# TODO T07 · ", "# Task: "),
         "solutions/p4_reward_model.py: slot T07 has no `# TODO T07 ·`"),
        (lambda root: change_file(root, "solutions/p4_reward_model.py", "# BEGIN SOLUTION T07", "# begin"),
         "solutions/p4_reward_model.py: slot T07 has no `# BEGIN SOLUTION T07`"),
        (lambda root: (root / "solutions/checks/T07.py").unlink(),
         "solutions/checks/T07.py: slot T07 has no public check"),
        (without_t07_mistakes, "tests/solutions/mistakes.py: slot T07 has no mistake that its public check must catch"),
        (lambda root: (root / "autograder/slots/oracles/odd.py").write_text("# TODO(T07): the source\n"),
         "autograder/slots/oracles/odd.py: 1 mark TODO(T07): fill in what each asks"),
        (lambda root: (root / "solutions/checks/T77.py").write_text(""),
         "solutions/checks/T77.py: T77 is not in the registry; remove the file"),
        (lambda root: (root / MISTAKES).write_text('MISTAKES: list = [("T77", "", "", "")]\n'), None),
    ],
)  # fmt: skip
def test_a_missing_or_left_over_place_is_named_by_file(
    root: Path, damage: Callable[[Path], object], says: str | None
) -> None:
    damage(root)
    found = list(problems(SPEC, root))
    if says is None:
        assert f"{MISTAKES}: T77 is not in the registry; remove its mistakes" in found
        assert len(found) == len(SPEC.slots) + 1, "and no slot has mistakes any more"
    else:
        assert found == [says]


def test_what_is_left_of_a_removed_slot_is_named() -> None:
    assert list(problems(parse_spec(edited(*WITHOUT_T08)))) == [
        "solutions/p4_reward_model.py: T08 is not in the registry; remove the cell, or its markers",
        "solutions/checks/T08.py: T08 is not in the registry; remove the file",
        "tests/solutions/mistakes.py: T08 is not in the registry; remove its mistakes",
    ]


def test_contributing_lists_the_eight_places() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [line.replace("`", "") for line in text.splitlines() if line.startswith("|")]
    assert len(PLACES) == 8
    for number, place in enumerate(PLACES, 1):
        expected = f"| {number} | {place.what} | {place.where} | {place.mark} |"
        assert expected.replace("`", "") in rows, expected
