"""The set-up cell where `rlhf_kit` is not installed: what it unpacks, and that it overwrites nothing."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import nbclient
import nbformat
import pytest

from assignment.release.archive import NOTEBOOK
from assignment.release.release import ZIP_NAME, Release, build
from assignment.verify.execution import kernel_environment
from solutions.p1_setup import find_release, unpack

SHOW_KIT = "import rlhf_kit\nprint(rlhf_kit.__file__)"


@pytest.fixture(scope="module")
def release() -> Release:
    return build()


@pytest.fixture
def small(tmp_path: Path) -> zipfile.ZipFile:
    """Make a small zip with the kinds of files of the release."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("README.md", NOTEBOOK, "rlhf_kit/__init__.py", "rlhf_kit/models.py", "tests/T01.py"):
            archive.writestr(name, f"the release's {name}")
    return zipfile.ZipFile(buffer)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_unpacking_the_kit_leaves_a_solved_notebook_as_it_is(release, tmp_path):
    (tmp_path / ZIP_NAME).write_bytes(release.archive)
    (tmp_path / NOTEBOOK).write_bytes(release.solved)
    (tmp_path / "README.md").write_text("my notes")
    notebook = nbformat.reads(release.solved.decode("utf-8"), as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    notebook.cells = [first, nbformat.v4.new_code_cell(SHOW_KIT)]
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute(env=kernel_environment(tmp_path))
    said, kit = ("".join(output.text for output in cell.outputs) for cell in notebook.cells)
    assert (tmp_path / NOTEBOOK).read_bytes() == release.solved
    assert [path.name for path in tmp_path.rglob("*.ipynb")] == [NOTEBOOK]
    assert (tmp_path / "README.md").read_text() == "my notes"
    assert (tmp_path / "README.new.md").read_bytes() == release.shipped["README.md"]
    assert said == "Kept as they were: README.md (the release's: README.new.md)\n"
    assert Path(kit.strip()) == tmp_path / "rlhf_kit" / "__init__.py"


def test_into_an_empty_folder_everything_but_the_notebook_is_unpacked(release, tmp_path, capsys):
    (tmp_path / ZIP_NAME).write_bytes(release.archive)
    assert find_release(tmp_path) == tmp_path
    assert files(tmp_path) == {*release.shipped, ZIP_NAME} - {NOTEBOOK}
    assert all((tmp_path / name).read_bytes() == release.shipped[name] for name in files(tmp_path) - {ZIP_NAME})
    assert capsys.readouterr().out == ""


def test_a_new_file_gets_a_free_name(small, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "README.new.md").write_text("mine too")
    unpack(small, tmp_path)
    unpack(small, tmp_path)  # a second time nothing is added
    found = {path.name: path.read_text() for path in tmp_path.glob("README*")}
    assert found == {"README.md": "mine", "README.new.md": "mine too",
                     "README.new.new.md": "the release's README.md"}  # fmt: skip


def test_an_unchanged_file_of_an_earlier_unpacking_is_not_mentioned(small, tmp_path, capsys):
    unpack(small, tmp_path)
    before = files(tmp_path)
    unpack(small, tmp_path)
    assert files(tmp_path) == before
    assert capsys.readouterr().out == ""


def test_running_the_cell_again_completes_an_interrupted_unpacking(small, tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(small.fp.getvalue())
    real, left = Path.rename, iter([None, None])

    def interrupted(self: Path, target: Path) -> Path:
        if next(left, "none") == "none":
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            find_release(tmp_path)
    assert files(tmp_path) == {"a.zip", "README.md", "rlhf_kit/models.py"}
    find_release(tmp_path)
    assert files(tmp_path) == {"a.zip", "README.md", "rlhf_kit/__init__.py", "rlhf_kit/models.py", "tests/T01.py"}
