"""Results on disk, keyed by a hash of the code and data that they depend on, so that a run can stop at any time."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from autograder.calibration.code import module_name, tree_text
from autograder.training.run import STAGES as TRAINING
from tests.support.sources import ROOT, existing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from autograder.training.stage import Stage

FOLDER = ROOT / "dist" / "matrix"
LIBRARY = "autograder/slots/misconceptions/library"
# The files on which the verdict on a slot depends, or the outcome of a stage, and those of them on which it does not.
SLOTS = ("autograder", "assignment", "solutions", "student_template/rlhf_kit",
         "tests/matrix/grading.py", "tests/matrix/entries.py", "tests/matrix/spoilt_outputs.py")  # fmt: skip
SLOTS_NOT = ("autograder/report", "autograder/training", "autograder/reference", "autograder/calibration",
             "autograder/doctor", "autograder/cli.py", "autograder/grading/run.py", "solutions/checks",
             "assignment/lab", "assignment/verify", "assignment/cli.py", "assignment/console.py",
             "assignment/release/html.py", "assignment/release/pages",
             "assignment/release/reference_sample.py")  # fmt: skip
STAGES = ("autograder/training", "autograder/inside", "student_template/rlhf_kit", "assignment/lab",
          "autograder/programs/replacement.py", "solutions")  # fmt: skip
STAGES_NOT = (
    "autograder/training/symptoms.py",  # it only names mistakes
    "autograder/programs/assemble.py",  # it selects code, and the selected code is in the key
    "autograder/inside/diagnostics.py", "autograder/inside/drivers.py", "autograder/inside/drive_loops.py",
    "autograder/inside/drive_models.py", "autograder/inside/drive_values.py",
)  # fmt: skip


def digest(*parts: Any) -> str:
    """The sha256 of JSON data."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=8)
def code_hash(kind: str) -> str:
    """The hash of the code on which results of this kind depend. kind: "slots", or the operation of a stage, which does
    not depend on the modules of the other stages."""
    roots, without = (SLOTS, SLOTS_NOT) if kind == "slots" else (STAGES, STAGES_NOT)
    others = {module_file(stage) for stage in TRAINING if kind != "slots" and stage.op != kind}
    total = hashlib.sha256()
    for path in sorted(files_of(roots) - files_of(without) - others):
        if path.suffix in (".py", ".toml", ".json"):
            total.update(str(path.relative_to(ROOT)).encode() + _content(path))
    return total.hexdigest()


def page_state() -> str:
    """A hash of all on which the page depends: the code of its results, the entries, and what they declare."""
    results = [code_hash("slots"), *(code_hash(stage.op) for stage in TRAINING)]
    declared = [path.read_text(encoding="utf-8") for path in sorted(files_of((LIBRARY,))) if path.suffix == ".toml"]
    return digest(results, hashes_of("tests/matrix"), declared)[:16]


def hashes_of(*places: str) -> dict[str, str]:
    """By file: a hash of what it does, for programs, tables and settings at these places except tests."""
    paths = [path for path in files_of(places) if path.suffix in (".py", ".toml", ".json")]
    kept = {path.relative_to(ROOT).as_posix(): path for path in paths if not path.name.startswith("test_")}
    return {name: hashlib.sha256(_content(path)).hexdigest() for name, path in sorted(kept.items())}


def module_file(stage: Stage) -> Path:
    """The file that defines a stage."""
    return ROOT / "autograder" / "training" / f"{module_name(stage)}.py"


def _content(path: Path) -> bytes:
    """The part of a file that can change a result: of a program the code without comments, of the library of known
    mistakes the fields that grading reads."""
    if path.suffix == ".py":
        return tree_text(path.read_text(encoding="utf-8"), imports=False).encode()
    if path.parent.name != "library":
        return path.read_bytes()
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    for mistake in raw.get("mistake", []):
        mistake.pop("items", None), mistake.pop("keeps", None), mistake.pop("symptoms", None)
    return json.dumps(raw, sort_keys=True).encode()


def files_of(places: Sequence[str]) -> set[Path]:
    """The files at these paths of the repository; a folder stands for all files below it. Raises FileNotFoundError."""
    found: set[Path] = set()
    for start in (ROOT / place for place in existing(*places)):
        found |= {start} if start.is_file() else {path for path in start.rglob("*") if path.is_file()}
    return found


class Store:
    """JSON data by key. A file is written completely or not at all."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> Any:
        """The value of this key, or None."""
        try:
            return json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def put(self, key: str, value: Any) -> None:
        """Store JSON data."""
        scratch = self.folder / f".{key}.{os.getpid()}"
        scratch.write_text(json.dumps(value), encoding="utf-8")
        scratch.replace(self.folder / f"{key}.json")
