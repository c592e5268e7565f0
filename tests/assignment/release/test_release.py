"""The release: equal on every build, limited to allowed files, described by its manifest, renewed by `write`."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from assignment.files import ForeignFileError
from assignment.registry import load_spec
from assignment.release.archive import MANIFEST, NOTEBOOK, allowed, make_zip
from assignment.release.markers import SourceError
from assignment.release.release import ZIP_NAME, Layout, build, stale, write
from tests.support.course import write_course


def test_two_builds_are_byte_identical(layout: Layout) -> None:
    first, second = build(layout), build(layout)
    assert first.archive == second.archive
    assert first.solved == second.solved


def test_a_build_does_not_depend_on_file_times_or_place(layout: Layout, tmp_path: Path) -> None:
    other = write_course(tmp_path / "elsewhere")
    assert build(layout).archive == build(other).archive


@pytest.mark.parametrize(
    "name",
    ["rlhf.ipynb", "README.md", "requirements.txt", "manifest.json", "tests/T01.py", "rlhf_kit/__init__.py",
     "rlhf_kit/data/train.jsonl.gz", "rlhf_kit/base_model/model.safetensors", "rlhf_kit/a/b/c.json"],
)  # fmt: skip
def test_what_students_need_is_allowed(name: str) -> None:
    assert allowed(name)


@pytest.mark.parametrize(
    "name",
    ["solutions/p2_data.py", "rlhf-solved.ipynb", "tests/hidden/T01.py", "tests/T01.json",
     "rlhf_kit/weights.pt", "rlhf_kit/notes.md", "rlhf_kit/.secret.json", "rlhf_kit/__pycache__/x.py",
     "../rlhf_kit/x.py", "README.md/x.py", "rlhf_kit/../x.py", "/README.md", "",
     "rlhf_kit_old/x.py", ".ipynb_checkpoints/rlhf.ipynb", "setup.py"],
)  # fmt: skip
def test_anything_else_is_not_allowed(name: str) -> None:
    assert not allowed(name)


def test_files_that_are_not_allowed_stay_out_of_the_zip(layout: Layout) -> None:
    (layout.template / "rlhf_kit" / "answers.ipynb").write_text("{}", encoding="utf-8")
    (layout.template / "tests").mkdir()
    (layout.template / "tests" / "T99.py").write_text("", encoding="utf-8")
    names = zipfile.ZipFile(io.BytesIO(build(layout).archive)).namelist()
    assert "rlhf_kit/data/numbers.json" in names
    assert not {"rlhf_kit/answers.ipynb", "rlhf_kit/notes.md", "tests/T99.py"} & set(names)


def test_the_zip_refuses_a_name_that_is_not_allowed() -> None:
    with pytest.raises(SourceError, match=r"solutions/p2_data\.py may not be in the release"):
        make_zip({"solutions/p2_data.py": b""})


def test_the_manifest_has_the_digest_of_every_shipped_file(layout: Layout) -> None:
    release = build(layout)
    listed = json.loads(release.shipped[MANIFEST])["files"]
    assert list(listed) == sorted(set(release.shipped) - {MANIFEST})
    for name, entry in listed.items():
        assert entry["sha256"] == hashlib.sha256(release.shipped[name]).hexdigest()
        assert entry["bytes"] == len(release.shipped[name])


@pytest.mark.parametrize("name", ["README.md", "requirements.txt", "rlhf_kit/__init__.py"])
def test_a_release_without_a_required_file_is_refused(layout: Layout, name: str) -> None:
    (layout.template / name).unlink()
    with pytest.raises(SourceError, match=f"missing {name}"):
        build(layout)


def test_a_missing_public_check_is_named(layout: Layout) -> None:
    (layout.solutions / "checks" / "T07.py").unlink()
    with pytest.raises(SourceError, match=r"missing public check T07\.py"):
        build(layout)


def test_a_public_check_of_no_slot_is_named(layout: Layout) -> None:
    (layout.solutions / "checks" / "T16.py").write_text("", encoding="utf-8")
    with pytest.raises(SourceError, match=r"T16\.py belongs to no slot"):
        build(layout)


def test_what_was_written_is_current_and_complete(layout: Layout) -> None:
    release = build(layout)
    target = write(release, layout)
    assert stale(release, layout) == []
    assert target.read_bytes() == release.archive
    assert build(layout).archive == release.archive  # its own output does not change the next build


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (NOTEBOOK, b"{}", "rlhf.ipynb is stale"),
        ("tests/T07.py", None, "tests/T07.py is missing"),
        ("tests/T16.py", b"", "tests/T16.py is no longer generated"),
    ],
)
def test_stale_generated_files_are_reported_and_renewed_by_a_build(
    layout: Layout, name: str, content: bytes | None, says: str
) -> None:
    release = build(layout)
    write(release, layout)
    path = layout.template / name
    path.unlink() if content is None else path.write_bytes(content)
    assert stale(release, layout) == [says]
    write(release, layout, overwrite=True)
    assert stale(release, layout) == []


@pytest.mark.parametrize("place", [f"student_template/{NOTEBOOK}", "student_template/tests/T07.py",
                                   "student_template/tests/helpers.py", f"student_template/{MANIFEST}",
                                   f"dist/{ZIP_NAME}"])  # fmt: skip
def test_a_build_neither_replaces_nor_removes_what_a_person_wrote(layout: Layout, tmp_path: Path, place: str) -> None:
    write(build(layout), layout)
    (tmp_path / place).write_text("mine")
    spec = load_spec().model_copy(update={"version": "9.9.9"})
    with pytest.raises(ForeignFileError, match=f"did not write: .*{place}"):
        write(build(layout, spec), layout)
    assert (tmp_path / place).read_text() == "mine"


def test_a_build_replaces_and_removes_what_an_earlier_build_wrote(layout: Layout) -> None:
    release = build(layout)
    write(release, layout)
    kept = {name: data for name, data in release.generated.items() if name != "tests/T15.py"}
    later = dataclasses.replace(release, generated=kept | {"tests/T14.py": b"# another check"})
    write(later, layout)
    assert stale(later, layout) == []
    assert not (layout.template / "tests" / "T15.py").exists()


def test_no_code_of_the_notebook_is_wider_than_a_laptop_shows() -> None:
    """JupyterLab with the file panel at 1280 px shows 100 columns without scrolling."""
    notebook = json.loads(build().generated[NOTEBOOK])
    wide = [
        (cell["id"], line)
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        for line in "".join(cell["source"]).split("\n")
        if len(line) > 100
    ]
    assert wide == []


def test_the_committed_student_template_is_current() -> None:
    layout = Layout()
    assert stale(build(layout), layout) == [], "run `rlhf-lab build` and commit student_template/"
