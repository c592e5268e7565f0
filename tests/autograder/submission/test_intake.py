"""Notebooks of all editors are read alike, and anything else is refused with advice."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest

import rlhf_kit.results
from assignment.registry import load_spec
from autograder.core.records import Submission
from autograder.parsing.answers.notebook import RESULTS_MIME
from autograder.submission.intake import IntakeError, read_submission
from tests.support.intake_notebooks import ACCURACY, IMPORTS, LOSS, code, markdown, notebook, write

SPEC = load_spec()

CELLS = [markdown("# Part 4"), IMPORTS, LOSS, ACCURACY]


def sources(submission: Submission) -> list[str]:
    return [cell.source for cell in submission.cells if cell.kind == "code"]


def refusal(path: Path) -> str:
    with pytest.raises(IntakeError) as caught:
        read_submission(path, SPEC)
    message = str(caught.value)
    assert message.startswith(path.name)
    assert message.endswith(".")
    assert "Traceback" not in message
    return message


def test_kinds_sources_and_positions_of_all_cells_are_kept(tmp_path: Path) -> None:
    read = read_submission(write(tmp_path / "a.ipynb", notebook(CELLS)), SPEC)
    assert [(c.index, c.kind) for c in read.cells] == [(0, "markdown"), (1, "code"), (2, "code"), (3, "code")]
    assert sources(read) == [IMPORTS, LOSS, ACCURACY]


def test_file_name_and_metadata_change_nothing_but_the_display_name(tmp_path: Path) -> None:
    plain = read_submission(write(tmp_path / "a.ipynb", notebook(CELLS)), SPEC)
    other = notebook(CELLS, metadata={"kernelspec": {"name": "ir", "language": "R"}, "colab": {"name": "x"}})
    renamed = read_submission(write(tmp_path / "Kopie von rlhf (3).txt", other), SPEC)
    assert renamed.cells == plain.cells
    assert renamed.name == "Kopie von rlhf (3).txt"


@pytest.mark.parametrize("flavour", ["colab", "vscode", "kaggle", "jupytext"])
def test_files_of_all_editors_are_read_alike(tmp_path: Path, flavour: str) -> None:
    plain = read_submission(write(tmp_path / "plain.ipynb", notebook(CELLS)), SPEC)
    document = notebook(CELLS)
    for number, cell in enumerate(document["cells"]):
        cell["source"] = cell["source"].splitlines(keepends=True)
        if flavour == "colab":
            cell["metadata"] = {"id": f"aB{number}", "colab": {"base_uri": "https://localhost:8080/"}}
        elif flavour == "vscode":
            cell |= {"id": "not valid!", "metadata": {"vscode": {"languageId": "python"}}}
        elif flavour == "kaggle":
            cell["metadata"] = {"_uuid": "1", "_cell_guid": "2", "trusted": True}
            cell["execution_count"] = None
        else:
            cell.pop("metadata")
            cell.pop("outputs", None)
    assert read_submission(write(tmp_path / "other.ipynb", document), SPEC).cells == plain.cells


def test_saved_outputs_with_warnings_on_stderr_are_ignored(tmp_path: Path) -> None:
    noisy = notebook(CELLS)
    noisy["cells"][1]["outputs"] = [
        {"output_type": "stream", "name": "stderr", "text": ["UserWarning: 100/100 points\n"]},
        {"output_type": "error", "ename": "E", "evalue": "", "traceback": []},
        {"output_type": "display_data", "data": {"text/html": "<b>T07: passed</b>"}, "metadata": {}},
        "not even an output",
    ]
    plain = read_submission(write(tmp_path / "a.ipynb", notebook(CELLS)), SPEC)
    assert read_submission(write(tmp_path / "b.ipynb", noisy), SPEC).cells == plain.cells


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_unicode_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    read = read_submission(write(tmp_path / "a.ipynb", notebook(["größe = 'Größe – 尺寸'"]), encoding), SPEC)
    assert sources(read) == ["größe = 'Größe – 尺寸'"]


def test_invalid_bytes_do_not_lose_the_notebook(tmp_path: Path) -> None:
    raw = json.dumps(notebook([LOSS, "x = 'caf\u00e9'"]), ensure_ascii=False).encode("latin-1", "replace")
    (tmp_path / "a.ipynb").write_bytes(raw)
    read = read_submission(tmp_path / "a.ipynb", SPEC)
    assert len(read.cells) == 2
    assert "replaced" in read.notes[0]


def test_windows_and_old_mac_line_ends_become_newlines(tmp_path: Path) -> None:
    read = read_submission(write(tmp_path / "a.ipynb", notebook(["a = 1\r\nb = 2\rc = 3"])), SPEC)
    assert sources(read) == ["a = 1\nb = 2\nc = 3"]


def test_a_notebook_in_format_3_is_read(tmp_path: Path) -> None:
    cells = [nbformat.v3.new_text_cell("markdown", "# Part 4"), nbformat.v3.new_code_cell(LOSS)]
    old = nbformat.v3.new_notebook(worksheets=[nbformat.v3.new_worksheet(cells=cells)])
    (tmp_path / "old.ipynb").write_text(nbformat.v3.writes_json(old))
    read = read_submission(tmp_path / "old.ipynb", SPEC)
    assert [c.kind for c in read.cells] == ["markdown", "code"]
    assert sources(read) == [LOSS.rstrip("\n")] or sources(read) == [LOSS]


def test_results_of_the_kit_are_kept_as_claims(tmp_path: Path) -> None:
    table = {"schema_version": 1, "kind": "ppo", "rows": [{"kl": 2.5}]}
    data = {RESULTS_MIME: table, "text/plain": "…"}
    outputs = [{"output_type": "display_data", "data": data, "metadata": {}}]
    read = read_submission(write(tmp_path / "a.ipynb", notebook([code("kit.record()", outputs=outputs)])), SPEC)
    assert read.cells[0].results == (table,)
    assert RESULTS_MIME == rlhf_kit.results.MIME_TYPE


@pytest.mark.parametrize(
    "bad", ["not json", 3, [1, 2], None, {"a": "x" * 300_000}, {"a": [[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}]
)
def test_results_other_than_small_tables_are_dropped(tmp_path: Path, bad: object) -> None:
    outputs = [{"output_type": "display_data", "data": {RESULTS_MIME: bad}}]
    path = write(tmp_path / "a.ipynb", notebook([code("x", outputs=outputs)]))
    assert read_submission(path, SPEC).cells[0].results == ()


def test_numbers_that_json_cannot_hold_become_null_in_results(tmp_path: Path) -> None:
    data = {RESULTS_MIME: {"rows": [{"a": float("nan"), "b": float("inf"), "c": 10**30}]}}
    path = write(tmp_path / "a.ipynb", notebook([code("x", outputs=[{"data": data}])]))
    assert read_submission(path, SPEC).cells[0].results == ({"rows": [{"a": None, "b": None, "c": None}]},)


@pytest.mark.parametrize(
    ("raw", "advice"),
    [
        (b"", "Save the notebook again"),
        (b"   \n", "Save the notebook again"),
        (b"hello", "Hand in the .ipynb file"),
        (b"%PDF-1.7 ...", "is a PDF"),
        (b"<!DOCTYPE html><html>", "Download .ipynb"),
        (b"[]", "not a notebook"),
        (b"{}", "no notebook cells"),
        (b'{"cells": {}}', "no notebook cells"),
        (b'{"nbformat": 4, "cells": []}', "without cells"),
        (b'{"cells": [1,], "nbformat": 4}', "line 1"),
        (b"<<<<<<< HEAD\n{}\n>>>>>>> main\n", "git merge"),
        (b"[" * 100_000, "nested too deeply"),
        (bytes(range(256)) * 10, "not a notebook"),
    ],
)
def test_files_other_than_notebooks_are_refused_with_advice(tmp_path: Path, raw: bytes, advice: str) -> None:
    path = tmp_path / "bad.ipynb"
    path.write_bytes(raw)
    assert advice in refusal(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_notebook_is_named_as_such(tmp_path: Path, share: float) -> None:
    raw = json.dumps(notebook(CELLS)).encode()
    path = tmp_path / "half.ipynb"
    path.write_bytes(raw[: int(len(raw) * share)])
    assert "cut off" in refusal(path)


def test_folder_missing_file_and_pipe_are_refused(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "nowhere.ipynb")
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")
    with pytest.raises(IntakeError):
        read_submission("a\0b.ipynb", SPEC)


def test_a_file_above_the_cap_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.ipynb"
    with path.open("wb") as file:
        file.truncate(200 << 20)
    assert "Clear all outputs" in refusal(path)


def test_too_many_cells_are_refused(tmp_path: Path) -> None:
    assert "at most 2,000" in refusal(write(tmp_path / "a.ipynb", notebook(["x"] * 2001)))


def test_a_giant_cell_is_left_out_and_the_rest_is_kept(tmp_path: Path) -> None:
    giant = f"x = [{'1,' * 600_000}]"
    read = read_submission(write(tmp_path / "a.ipynb", notebook([LOSS, giant, ACCURACY])), SPEC)
    assert sources(read) == [LOSS, ACCURACY]
    assert "Cell 2 is too long" in read.notes[0]


def test_pasted_pictures_do_not_displace_a_written_answer(tmp_path: Path) -> None:
    picture = f"![](data:image/png;base64,{'A' * 2_000_000}) The policy drifts."
    read = read_submission(write(tmp_path / "a.ipynb", notebook([markdown(picture), LOSS])), SPEC)
    assert "The policy drifts." in read.cells[0].source
    assert len(read.cells) == 2


def test_cells_without_readable_text_are_left_out_with_a_note(tmp_path: Path) -> None:
    document = notebook([LOSS])
    document["cells"] += [None, 3, {"cell_type": "code", "source": 5}, {"cell_type": [], "source": ["a", 1]}]
    read = read_submission(write(tmp_path / "a.ipynb", document), SPEC)
    assert sources(read) == [LOSS]
    assert len(read.notes) == 4


def test_a_file_name_is_shown_without_control_characters(tmp_path: Path) -> None:
    read = read_submission(write(tmp_path / "a\x1b[31m\u202eb.ipynb", notebook(CELLS)), SPEC)
    assert read.name.isprintable()


def test_lone_surrogates_in_source_can_be_written_as_text(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(notebook(["x = '\ud800'"])))
    assert sources(read_submission(path, SPEC))[0].encode() == "x = '\ufffd'".encode()
