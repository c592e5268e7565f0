"""Whatever the grader lacks for a slot of the registry, or has left over from a removed one, is named by file."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from assignment.registry import load_spec, parse_spec
from autograder.inside import driver_table
from autograder.slots import completeness, hidden_tests, misconceptions
from autograder.slots.completeness import problems
from tests.support.copies import change_file, copy_of_the_repository, python
from tests.support.registries import WITHOUT_T08, edited

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPEC = load_spec()
REWARD = "autograder/slots/hidden_tests/reward_model.py"
LIBRARY = "autograder/slots/misconceptions/library"
ASK = """
import json
from assignment.registry import load_spec
from autograder.slots.completeness import problems
print(json.dumps(list(problems(load_spec()))))
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the library that replaces the real one."""
    shutil.copytree(misconceptions.LIBRARY, tmp_path / "library")
    monkeypatch.setattr(misconceptions, "LIBRARY", tmp_path / "library")
    return tmp_path / "library"


def test_the_grader_has_everything_for_every_slot() -> None:
    assert list(problems(SPEC)) == []


def test_a_slot_without_a_hidden_test_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(hidden_tests.HIDDEN_TESTS, "T08")
    assert list(problems(SPEC)) == [
        'autograder/slots/hidden_tests/: slot T08 has no hidden test: a class under @hidden_test("T08", oracle=…)'
    ]


def test_a_slot_without_a_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    completeness._import_error("autograder.inside.drive_values")
    monkeypatch.delitem(driver_table.DRIVERS, "T08")
    assert list(problems(SPEC)) == [
        'autograder/inside/drive_*.py: slot T08 has no driver: a function under @driver("T08")'
    ]


def test_an_oracle_in_the_module_of_its_test_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(hidden_tests.HIDDEN_TESTS["T08"]), "oracle", staticmethod(hidden_tests.reward_forward.pad))
    assert list(problems(SPEC)) == [
        "autograder/slots/hidden_tests/reward_forward.py: pad, the oracle of T08, has to stand in "
        "autograder/slots/oracles/, apart from the test"
    ]


def test_a_hidden_test_without_its_task_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(hidden_tests.HIDDEN_TESTS["T08"]), "task", "")
    says = f"{REWARD}: the hidden test of T08 does not say what the slot has to do: set `task`"
    assert list(problems(SPEC)) == [says]


def test_two_tests_or_two_drivers_of_one_slot_are_refused() -> None:
    with pytest.raises(ValueError, match="two hidden tests of T08: PreferenceAccuracy and Other"):
        hidden_tests.base.hidden_test("T08", oracle=None)(type("Other", (hidden_tests.HiddenTest,), {}))
    with pytest.raises(ValueError, match="two drivers of T08: preference_accuracy and "):
        driver_table.driver("T08")(lambda *_: None)


def test_modules_that_cannot_be_imported_are_named_with_their_lines(tmp_path: Path) -> None:
    root = copy_of_the_repository(tmp_path)
    change_file(root, "autograder/slots/oracles/losses.py", "IGNORE = -100", "IGNORE = undefined_name")
    change_file(root, "autograder/inside/drive_values.py", "def gae(", "def g ae(")
    done = python(root, ASK)
    assert done.returncode == 0, done.stderr
    tests, drivers = json.loads(done.stdout.splitlines()[-1])
    assert tests.startswith("autograder/slots/oracles/losses.py:10: cannot be imported: NameError: ")
    assert drivers.startswith("autograder/inside/drive_values.py:")
    assert "cannot be imported: SyntaxError: " in drivers


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("edit = [['no such text', '']]", "X1: 'no such text' occurs 0 times in the base, not once"),
        ('code = "1"\nitems = ["T99"]', "X1: items names T99, which is no item of the registry"),
        ('code = "1"\nkeeps = { T09 = "1/2" }', "X1: keeps names T09, which is not among its items"),
        ('code = "1"\nkeeps = { T08 = "half" }',
         "X1: keeps has an entry that is neither a fraction such as 6/7 nor one of gradient, field_kinds"),
        ('code = "1"\nsymptoms = { T09 = "W1" }', "X1: symptoms names T09, which is not among its items"),
    ],
)  # fmt: skip
def test_an_unusable_known_mistake_is_named_by_file_and_id(library: Path, entry: str, says: str) -> None:
    head = '[[mistake]]\nid = "X1"\nslot = "T08"\nname = "n"\nsentence = "s."\n'
    (library / "zz.toml").write_text(head + entry + "\n")
    (line,) = problems(SPEC)
    assert line.startswith(f"{LIBRARY}/zz.toml: {says}")


def renamed(library: Path) -> list[str]:
    path = library / "reward_model.toml"
    text = path.read_text()
    path.write_text(text.replace("[base.T08]", "[base.T88]"))
    ids = [block.split('"')[1] for block in text.split("[[mistake]]") if 'slot = "T08"' in block]
    return [
        *(f"{LIBRARY}/reward_model.toml: {id_} needs a usable [base.T08]" for id_ in ids),
        f"{LIBRARY}/: slot T08 has no right answer to make mistakes of: [base.T08]",
        f"{LIBRARY}/reward_model.toml: [base.T88] is of no slot; remove it and its mistakes",
    ]


def undefined(library: Path) -> list[str]:
    path = library / "gae.toml"
    path.write_text(path.read_text().replace("def gae(", "undefined_name\ndef gae(", 1))
    return [f"{LIBRARY}/gae.toml: [base.T12] cannot be defined: NameError: name 'undefined_name' is not defined"]


@pytest.mark.parametrize("damage", [renamed, undefined])
def test_a_right_answer_that_is_missing_or_cannot_be_defined_is_named(
    library: Path, damage: Callable[[Path], list[str]]
) -> None:
    expected = damage(library)
    assert list(problems(SPEC)) == expected


def test_a_slot_without_a_known_mistake_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    library, _ = misconceptions.read_library()
    bare = SimpleNamespace(bases=library.bases, files=library.files, mistakes={**library.mistakes, "T08": ()})
    monkeypatch.setattr(completeness, "read_library", lambda: (bare, []))
    assert list(problems(SPEC)) == [
        f'{LIBRARY}/reward_model.toml: slot T08 has no known mistake: [[mistake]] with slot = "T08"'
    ]


def test_what_is_left_of_a_removed_slot_is_named() -> None:
    assert list(problems(parse_spec(edited(*WITHOUT_T08)))) == [
        f"{REWARD}: PreferenceAccuracy tests T08, which is no slot; remove it",
        "autograder/inside/drive_values.py: preference_accuracy drives T08, which is no slot; remove it",
        f"{LIBRARY}/reward_model.toml: [base.T08] is of no slot; remove it and its mistakes",
    ]
