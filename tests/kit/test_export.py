"""The zip to submit: what is in it, that it is the same each time, and what is said when something is off."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from assignment.registry import load_spec
from autograder.submission.intake import read_submission
from rlhf_kit.export import ExportError, export_submission, find_notebook
from rlhf_kit.results import MIME_TYPE

SPEC = load_spec()
ANSWERED = "# TODO T01 · format\ndef format_example(example):\n    return '', ''"
BLANK = '# TODO T02 · split\ndef split_preference(c, r):\n    raise NotImplementedError("T02: split")'


def notebook(*sources: str, results: bool = True) -> dict[str, Any]:
    cells = [
        {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for source in sources
    ]
    if results:
        data = {MIME_TYPE: {"kind": "sft", "rows": []}, "text/plain": "table"}
        cells[0]["outputs"] = [{"output_type": "display_data", "data": data, "metadata": {}}]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def save(folder: Path, name: str = "rlhf.ipynb", *sources: str, **kwargs: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(notebook(*(sources or (ANSWERED, BLANK)), **kwargs)))
    return path


def test_the_zip_holds_the_notebook_as_saved_its_results_and_a_manifest(tmp_path):
    path = save(tmp_path)
    exported = export_submission(path)
    with zipfile.ZipFile(exported.path) as archive:
        assert archive.namelist() == ["manifest.json", "results.json", "rlhf.ipynb"]
        assert archive.read("rlhf.ipynb") == path.read_bytes()
        assert json.loads(archive.read("results.json"))["results"] == [{"kind": "sft", "rows": []}]
        listed = json.loads(archive.read("manifest.json"))
    assert list(listed["slots"]) == [slot.id for slot in SPEC.slots]
    assert [slot for slot, answered in listed["slots"].items() if answered] == ["T01"]
    assert listed["written"] == dict.fromkeys(SPEC.written, False)


def test_exporting_twice_gives_the_same_bytes(tmp_path):
    path = save(tmp_path)
    first = export_submission(path).path.read_bytes()
    assert export_submission(path).path.read_bytes() == first


def test_the_message_says_what_to_upload_and_what_is_missing(tmp_path):
    text = str(export_submission(save(tmp_path)))
    assert "Upload this file:" in text
    assert f"1 of {len(SPEC.slots)} slots and 0 of {len(SPEC.written)} written questions answered" in text
    assert "Not answered yet: T02." in text


def test_how_cells_are_counted_is_said_where_one_is_named(tmp_path):
    counted = "Cells are counted from the top"
    assert counted in str(export_submission(save(tmp_path, "a.ipynb", ANSWERED, BLANK, BLANK, ANSWERED)))
    assert counted not in str(export_submission(save(tmp_path, "b.ipynb")))


def test_a_notebook_under_another_name_is_found(tmp_path, monkeypatch):
    save(tmp_path, "my work (2).ipynb")
    save(tmp_path, "scratch.ipynb", "print(1)", results=False)
    monkeypatch.chdir(tmp_path)
    assert find_notebook().name == "my work (2).ipynb"


def test_export_asks_which_of_two_notebooks_is_meant(tmp_path):
    save(tmp_path, "a.ipynb"), save(tmp_path, "b.ipynb")
    advice = r'several notebooks here \(a.ipynb, b.ipynb\): say which one, grader\.export\("a\.ipynb"\)'
    with pytest.raises(ExportError, match=advice):
        find_notebook(tmp_path)


def test_a_notebook_that_tries_one_function_is_not_taken_for_the_assignments(tmp_path):
    save(tmp_path, "a.ipynb")
    save(tmp_path, "scratch.ipynb", "def format_example(example):\n    return '', ''", results=False)
    assert find_notebook(tmp_path).name == "a.ipynb"


def test_a_notebook_whose_first_lines_of_slots_are_gone_is_found(tmp_path):
    save(tmp_path, "a.ipynb", *(f"def {slot.name}(x):\n    return x" for slot in SPEC.slots))
    assert find_notebook(tmp_path).name == "a.ipynb"


def test_the_editor_names_which_of_two_notebooks_is_running(tmp_path, monkeypatch):
    a, b = save(tmp_path, "a.ipynb"), save(tmp_path, "b.ipynb")
    assert find_notebook(tmp_path, {"__vsc_ipynb_file__": str(b)}) == b
    monkeypatch.setenv("JPY_SESSION_NAME", str(a))
    assert find_notebook(tmp_path) == a


def test_the_error_without_a_notebook_names_the_searched_folder(tmp_path):
    with pytest.raises(ExportError, match=r'no notebook with slots in .* grader\.export\("my_notebook\.ipynb"\)'):
        find_notebook(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b'{"cells": 3}', b"null"])
def test_a_file_that_is_no_notebook_is_refused_with_advice(tmp_path, content):
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=r"x\.ipynb (is .*(hand in|Hand in)|holds no `# TODO)"):
        export_submission(path)


def test_a_notebook_without_slots_is_refused(tmp_path):
    with pytest.raises(ExportError, match="is it the assignment's notebook"):
        export_submission(save(tmp_path, "x.ipynb", "print(1)"))


def test_a_notebook_never_run_is_noticed(tmp_path):
    exported = export_submission(save(tmp_path, results=False))
    assert any("No result tables" in warning for warning in exported.warnings)


def test_sources_saved_as_lists_of_lines_are_read(tmp_path):
    content = notebook(ANSWERED)
    content["cells"][0]["source"] = ANSWERED.splitlines(keepends=True)
    (tmp_path / "x.ipynb").write_text(json.dumps(content))
    assert export_submission(tmp_path / "x.ipynb").slots["T01"]


def test_a_failed_export_keeps_the_older_zip(tmp_path):
    path = save(tmp_path)
    old = export_submission(path).path
    before = old.read_bytes()
    path.write_bytes(b"{")
    with pytest.raises(ExportError):
        export_submission(path)
    assert old.read_bytes() == before


@pytest.mark.parametrize("damage", [
    lambda path: path.write_text("my own file"),
    lambda path: zipfile.ZipFile(path, "a").writestr("essay.pdf", "mine"),
    lambda path: (path.unlink(), path.mkdir()),
], ids=["another file", "a file added to the export", "a folder"])  # fmt: skip
def test_a_file_that_is_no_export_is_kept_and_the_zip_is_written_beside_it(tmp_path, damage):
    path = save(tmp_path)
    taken = export_submission(path).path
    damage(taken)
    before = taken.read_bytes() if taken.is_file() else None
    exported = export_submission(path)
    assert exported.path.name == "rlhf-submission.new.zip"
    assert "rlhf-submission.zip is not an export as it was written, so it was kept" in str(exported)
    assert (taken.read_bytes() if taken.is_file() else None) == before
    assert export_submission(path).path == exported.path


def test_an_interrupt_while_writing_keeps_the_older_zip_whole(tmp_path, monkeypatch):
    path = save(tmp_path)
    old = export_submission(path).path
    before = old.read_bytes()
    path.write_text(json.dumps(notebook(ANSWERED)))
    real = zipfile.ZipFile.writestr

    def interrupted(self: zipfile.ZipFile, entry: zipfile.ZipInfo, data: bytes) -> None:
        real(self, entry, data)
        if entry.filename == "results.json":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "writestr", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export_submission(path)
    assert old.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rlhf-submission.zip", "rlhf.ipynb"]


def test_a_folder_that_cannot_be_written_is_explained(tmp_path):
    with pytest.raises(ExportError, match="cannot write"):
        export_submission(save(tmp_path), out=tmp_path / "no such folder" / "x.zip")


def test_on_colab_the_current_notebook_is_exported_and_older_files_are_kept(tmp_path, monkeypatch):
    colab = ModuleType("google.colab")
    colab._message = SimpleNamespace(blocking_request=lambda *_, **__: {"ipynb": notebook(ANSWERED)})
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rlhf.ipynb").write_text("an older copy that was uploaded")
    exported = export_submission()
    assert exported.slots["T01"]
    assert json.loads(zipfile.ZipFile(exported.path).read("rlhf.ipynb")) == notebook(ANSWERED)
    assert (tmp_path / "rlhf.ipynb").read_text() == "an older copy that was uploaded"


def test_on_colab_a_failure_names_the_download_menu(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match=r"Download \.ipynb"):
        export_submission()


def test_a_notebook_with_much_repeated_output_gives_a_zip_that_the_grader_reads(tmp_path):
    path = save(tmp_path)
    content = notebook(ANSWERED)
    steps = ["step 1 of 10\n"] * 200_000
    content["cells"][0]["outputs"].append({"output_type": "stream", "name": "stdout", "text": steps})
    path.write_text(json.dumps(content))
    submission = read_submission(export_submission(path).path, SPEC)
    assert submission.cells[0].source == ANSWERED


def test_a_notebook_that_the_grader_would_refuse_is_refused_with_its_advice(tmp_path):
    path = tmp_path / "x.ipynb"
    path.write_bytes(json.dumps(notebook(ANSWERED)).encode() + b" " * SPEC.limits.intake.notebook_bytes)
    with pytest.raises(ExportError, match=r"larger than 50 MB\. Clear all outputs"):
        export_submission(path)
