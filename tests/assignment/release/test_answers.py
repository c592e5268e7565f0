"""The kit reads notebooks with the grader's own modules: a build copies them, and says when a copy is not the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from assignment.files import ForeignFileError
from assignment.registry import load_spec
from assignment.release.answers import FOLDER, HANDOUT, make_answers
from assignment.release.markers import SourceError
from assignment.release.release import Layout, build, stale, write
from assignment.release.source import load_parts
from tests.support.sources import ROOT
from tests.test_arrows import imports

GRADERS = ROOT / "autograder" / "parsing" / "answers"


def modules(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.py")}


def test_the_kits_modules_are_the_graders_byte_for_byte() -> None:
    kit = modules(Layout().template / FOLDER)
    assert kit == modules(GRADERS)
    assert "slots.py" in kit


def test_the_kits_modules_import_the_standard_library_and_each_other_alone() -> None:
    found = {module for path in GRADERS.glob("*.py") for _, module in imports(path)}
    foreign = {module for module in found if module.split(".")[0] not in sys.stdlib_module_names}
    assert {module for module in foreign if not module.startswith("autograder.parsing.answers.")} == set()


def test_the_handouts_facts_are_those_of_registry_and_notebook() -> None:
    spec = load_spec()
    facts = json.loads(build().shipped[HANDOUT])
    assert facts["slots"] == [{"id": slot.id, "name": slot.name} for slot in spec.slots]
    assert facts["written"] == list(spec.written)
    assert facts["limits"] == spec.limits.intake.model_dump()
    assert f"### W1 · {spec.written['W1']}" in facts["written_lines"]


def test_a_copy_that_is_not_the_same_is_stale(layout: Layout) -> None:
    write(build(layout), layout)
    (layout.template / FOLDER / "slots.py").write_text("# edited\n")
    (layout.template / FOLDER / "old.py").write_text("")
    problems = stale(build(layout), layout)
    assert problems == [f"{FOLDER}slots.py is stale", f"{FOLDER}old.py is no longer generated"]


def test_an_edited_copy_is_not_replaced(layout: Layout) -> None:
    write(build(layout), layout)
    (layout.template / FOLDER / "slots.py").write_text("# edited\n")
    with pytest.raises(ForeignFileError, match=r"rlhf_kit/answers/slots\.py"):
        write(build(layout), layout)


def test_a_folder_without_modules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no modules"):
        make_answers(load_spec(), load_parts(load_spec()), tmp_path)
