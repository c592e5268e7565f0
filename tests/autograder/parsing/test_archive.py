"""The one notebook in a zip is found; a hostile or ambiguous zip is refused with advice."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from assignment.registry import load_spec
from autograder.core.records import Submission
from autograder.submission.intake import IntakeError, read_submission
from tests.support.intake_notebooks import ACCURACY, BLANK, BLANK_ACCURACY, IMPORTS, LOSS, notebook, zip_bytes

SPEC = load_spec()

SOLVED = notebook([IMPORTS, LOSS, ACCURACY])
ONE = notebook([IMPORTS, LOSS])
TEMPLATE = notebook([IMPORTS, BLANK, BLANK_ACCURACY])


def read(tmp_path: Path, raw: bytes) -> Submission:
    path = tmp_path / "handed_in.zip"
    path.write_bytes(raw)
    return read_submission(path, SPEC)


def refusal(tmp_path: Path, raw: bytes) -> str:
    with pytest.raises(IntakeError) as caught:
        read(tmp_path, raw)
    return str(caught.value)


def test_the_notebook_in_a_zip_is_read_and_other_files_are_ignored(tmp_path: Path) -> None:
    raw = zip_bytes(
        {
            "work/rlhf.ipynb": SOLVED,
            "work/model.pt": b"\x80\x04evil",
            "__MACOSX/work/._rlhf.ipynb": "junk",
            "work/.ipynb_checkpoints/rlhf-checkpoint.ipynb": TEMPLATE,
            "work/._rlhf.ipynb": "junk",
        }
    )
    assert len(read(tmp_path, raw).cells) == 3


def test_a_zip_without_its_extension_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rlhf.ipynb"
    path.write_bytes(zip_bytes({"rlhf.ipynb": SOLVED}))
    assert len(read_submission(path, SPEC).cells) == 3


def test_a_zip_without_a_notebook_is_refused(tmp_path: Path) -> None:
    assert "zip without a notebook" in refusal(tmp_path, zip_bytes({"solution.py": "x = 1"}))
    assert "zip without a notebook" in refusal(tmp_path, zip_bytes({}))


def test_of_two_notebooks_the_one_with_most_slots_is_graded(tmp_path: Path) -> None:
    read_in = read(tmp_path, zip_bytes({"draft.ipynb": ONE, "final.ipynb": SOLVED}))
    assert len(read_in.cells) == 3
    assert "final.ipynb was graded" in read_in.notes[0]


def test_an_answered_notebook_wins_over_the_blank_template_beside_it(tmp_path: Path) -> None:
    read_in = read(tmp_path, zip_bytes({"rlhf.ipynb": TEMPLATE, "mine.ipynb": ONE}))
    assert "mine.ipynb was graded" in read_in.notes[0]


def test_a_tie_is_refused_with_both_names(tmp_path: Path) -> None:
    other = notebook([IMPORTS, "# changed\n", LOSS, ACCURACY])
    message = refusal(tmp_path, zip_bytes({"a.ipynb": SOLVED, "b.ipynb": other}))
    assert "a.ipynb" in message
    assert "b.ipynb" in message
    assert "Put only" in message


def test_the_same_notebook_twice_is_no_tie(tmp_path: Path) -> None:
    assert len(read(tmp_path, zip_bytes({"a.ipynb": SOLVED, "copy/a.ipynb": SOLVED})).cells) == 3


def test_a_broken_notebook_beside_a_good_one_does_no_harm(tmp_path: Path) -> None:
    assert len(read(tmp_path, zip_bytes({"bad.ipynb": "{", "good.ipynb": SOLVED})).cells) == 3


def test_a_broken_notebook_alone_is_named(tmp_path: Path) -> None:
    assert "rlhf.ipynb, which is cut off" in refusal(tmp_path, zip_bytes({"rlhf.ipynb": '{"cells": ['}))


@pytest.mark.parametrize(
    "name", ["../rlhf.ipynb", "/etc/rlhf.ipynb", "a/../../rlhf.ipynb", "..\\rlhf.ipynb", "C:\\rlhf.ipynb"]
)
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    assert "outside the zip" in refusal(tmp_path, zip_bytes({name: SOLVED}))


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    raw = zip_bytes({"rlhf.ipynb": "/etc/passwd"}, links=["rlhf.ipynb"])
    assert "link" in refusal(tmp_path, raw)


def test_a_folder_zipped_on_windows_is_read(tmp_path: Path) -> None:
    assert len(read(tmp_path, zip_bytes({"work\\rlhf.ipynb": SOLVED})).cells) == 3


def test_a_zip_bomb_is_refused_in_bounded_time(tmp_path: Path) -> None:
    assert "unpacks to too much" in refusal(tmp_path, zip_bytes({"rlhf.ipynb": b" " * (120 << 20)}))


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    raw = bytearray(zip_bytes({"rlhf.ipynb": b" " * (60 << 20)}))
    size = (60 << 20).to_bytes(4, "little")
    while (at := raw.find(size)) >= 0:
        raw[at : at + 4] = (1000).to_bytes(4, "little")
    assert refusal(tmp_path, bytes(raw))


def test_a_zip_of_thousands_of_files_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(2500):
            archive.writestr(f"{number}.txt", "")
    assert "more than 2,000 files" in refusal(tmp_path, buffer.getvalue())


def test_a_password_is_named(tmp_path: Path) -> None:
    raw = bytearray(zip_bytes({"rlhf.ipynb": SOLVED}))
    raw[6] |= 1
    raw[raw.rfind(b"PK\x01\x02") + 8] |= 1
    assert "password" in refusal(tmp_path, bytes(raw))


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.95])
def test_a_truncated_zip_is_refused(tmp_path: Path, keep: float) -> None:
    raw = zip_bytes({"rlhf.ipynb": SOLVED})
    assert "damaged zip" in refusal(tmp_path, raw[: int(len(raw) * keep)])
