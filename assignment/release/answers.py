"""Make rlhf_kit/answers, the part of the kit that reads a notebook as the grader does.

Its modules are the grader's, byte for byte: the export counts as answered what the grader counts. They are read as
text, because nothing on the instructor's side imports the grader.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from assignment.release.markers import SourceError, without_claims
from assignment.release.reading import check_python, names_in, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from assignment.registry import Spec
    from assignment.release.source import Cell

FOLDER = "rlhf_kit/answers/"
HANDOUT = FOLDER + "handout.json"


def make_answers(spec: Spec, cells: Iterable[Cell], directory: Path) -> dict[str, bytes]:
    """Return the files by their path in the release. directory: the grader's modules that find answers.

    Raises:
        SourceError: a module cannot be read or does not parse.
    """
    modules = {name: read_bytes(directory / name) for name in names_in(directory) if name.endswith(".py")}
    if not modules:
        raise SourceError(f"{directory} holds no modules; restore the folder")
    for name, data in modules.items():
        check_python(f"{directory.name}/{name}", data)
    return {FOLDER + name: data for name, data in modules.items()} | {HANDOUT: _handout(spec, cells)}


def _handout(spec: Spec, cells: Iterable[Cell]) -> bytes:
    """Return what the modules are told of the handout: slots, written questions and their lines, limits on size."""
    sources = [without_claims(cell.source) for cell in cells if cell.written]
    content = {
        "slots": spec.slot_names,
        "written": list(spec.written),
        "written_lines": sorted({line.strip() for source in sources for line in source.split("\n") if line.strip()}),
        "limits": spec.limits.intake.model_dump(),
    }
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")
