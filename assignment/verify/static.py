"""The checks of the release gate that do not run any code of the notebook."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import nbformat

from assignment.files import sha256
from assignment.registry import SLOT_ID
from assignment.release.archive import MANIFEST, NOTEBOOK, REQUIRED, allowed
from assignment.release.release import Layout, Release, stale
from assignment.verify.leaks import find_leaks


class FailedCheckError(Exception):
    """A check of the gate failed; `problems` holds one sentence for each problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _fail_if_any(problems: list[str]) -> None:
    if problems:
        raise FailedCheckError(problems)


_REBUILD = """
import json, sys
from pathlib import Path
from assignment.release.release import Layout, build
from assignment.verify.static import digests
print(json.dumps(digests(build(Layout(*map(Path, json.loads(sys.argv[1])))))))
"""


def digests(release: Release) -> list[str]:
    """Return the sha256 of the student zip and of the solved notebook."""
    return [sha256(data) for data in (release.archive, release.solved)]


def check_rebuild(release: Release, layout: Layout) -> str:
    """Check that a second build, in another process with another hash seed, gives the same bytes."""
    paths = [str(p) for p in (layout.solutions, layout.template, layout.dist, layout.samples, layout.registry)]
    environment = {"PYTHONHASHSEED": "4711", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", _REBUILD, json.dumps(paths)], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise FailedCheckError([f"the second build failed: {done.stderr.strip()[-500:]}"])
    if json.loads(done.stdout) != digests(release):
        raise FailedCheckError(["a second build gives other bytes: something depends on time, order or chance"])
    return f"byte-identical, zip {digests(release)[0][:12]}"


def check_golden(release: Release, layout: Layout) -> str:
    """Check that the generated files in student_template/ are those of this build."""
    _fail_if_any([f"{problem}; run `rlhf-lab build` and commit the result" for problem in stale(release, layout)])
    return f"{len(release.generated)} generated files are current"


def check_slots(release: Release) -> str:
    """Check that each slot occurs once in the student notebook, blank, with its own error and with its check cell."""
    notebook = json.loads(release.shipped[NOTEBOOK])
    sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    todo = Counter(found for source in sources for found in re.findall(rf"(?m)^# TODO ({SLOT_ID}) · ", source))
    errors = Counter(_raised(source) for source in sources)
    problems = [f"slot {slot} is not in the registry" for slot in todo if slot not in _ids(release)]
    for slot in release.spec.slots:
        if todo[slot.id] != 1:
            problems.append(f"slot {slot.id} occurs {todo[slot.id]} times in the student notebook")
        if errors[f"{slot.id}: {slot.title}"] != 1:
            problems.append(f"slot {slot.id} does not raise its own NotImplementedError exactly once")
        if f'grader.check("{slot.id}")' not in sources:
            problems.append(f"slot {slot.id} has no check cell")
    _fail_if_any(problems)
    return f"{len(release.spec.slots)} slots, each once, each with its own error and check"


def _ids(release: Release) -> set[str]:
    return {slot.id for slot in release.spec.slots}


def _raised(source: str) -> str:
    """Return the text of the only `raise NotImplementedError("…")` in a cell, or an empty str."""
    texts = [
        node.exc.args[0].value for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
        and ast.unparse(node.exc.func) == "NotImplementedError"
        and node.exc.args and isinstance(node.exc.args[0], ast.Constant)
    ]  # fmt: skip
    return str(texts[0]) if len(texts) == 1 else ""


def check_notebook(release: Release) -> str:
    """Check that both notebooks are valid, without outputs and with unique ids, and that all their code parses."""
    problems, cells = [], 0
    for name, data in (("student", release.shipped[NOTEBOOK]), ("solved", release.solved)):
        notebook = nbformat.reads(data.decode("utf-8"), as_version=nbformat.NO_CONVERT)
        try:
            nbformat.validate(notebook)
        except nbformat.ValidationError as error:
            problems.append(f"{name} notebook: {str(error).splitlines()[0]}")
        repeated = [key for key, count in Counter(cell.id for cell in notebook.cells).items() if count > 1]
        problems += [f"{name} notebook: cell id {key} occurs twice" for key in repeated]
        for cell in notebook.cells:
            if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None):
                problems.append(f"{name} notebook: cell {cell.id} has outputs")
            problems += _syntax_errors(name, cell)
        cells = len(notebook.cells)
    _fail_if_any(problems)
    return f"nbformat 4.5, {cells} cells"


def _syntax_errors(name: str, cell: nbformat.NotebookNode) -> list[str]:
    try:
        ast.parse(cell.source if cell.cell_type == "code" else "")
    except SyntaxError as error:
        return [f"{name} notebook: cell {cell.id} does not parse: {error.msg}"]
    return []


def check_names(release: Release, folder: Path) -> str:
    """Check with ruff (F821, F823) that the solved notebook uses no name that no cell defines."""
    path = folder / "names-check.ipynb"
    path.write_bytes(release.solved)
    command = [
        sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F821,F823",
        "--output-format", "concise", str(path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    path.unlink()
    if done.returncode not in (0, 1):
        raise FailedCheckError([f"ruff did not run: {done.stderr.strip()[-300:]}"])
    lines = [line for line in done.stdout.splitlines() if path.name in line]
    _fail_if_any([line.split(f"{path.name}:")[-1] for line in lines])
    return "none undefined"


def check_leaks(release: Release) -> str:
    """Check that no statement, larger expression or line of a solution is left in the release."""
    _fail_if_any(find_leaks(release))
    return "no line of a solution survives"


def check_zip(release: Release) -> str:
    """Check that the zip holds allowed files only, all required ones, and a manifest that describes them."""
    with zipfile.ZipFile(io.BytesIO(release.archive)) as archive:
        contents = {info.filename: archive.read(info) for info in archive.infolist()}
        dates = {info.date_time for info in archive.infolist()}
    problems = [f"{name} may not be in the release" for name in contents if not allowed(name)]
    problems += [f"{name} is missing" for name in REQUIRED if name not in contents]
    if list(contents) != sorted(contents) or len(dates) != 1:
        problems.append("the zip's names are not sorted, or its times differ")
    listed = json.loads(contents.get(MANIFEST, b'{"files": {}}'))["files"]
    for name in sorted(contents.keys() | listed.keys()):
        data = contents.get(name)
        if name != MANIFEST and (data is None or name not in listed):
            problems.append(f"{name} is in only one of zip and manifest")
        elif name != MANIFEST and listed[name]["sha256"] != sha256(data or b""):
            problems.append(f"{name} differs from the manifest")
    _fail_if_any(problems)
    return f"{len(contents)} files, all allowed"
