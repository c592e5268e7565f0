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

SMALL = ("README.md", NOTEBOOK, "rlhf_kit/__init__.py", "rlhf_kit/answers/__init__.py", "rlhf_kit/models.py",
         "tests/T01.py")  # fmt: skip
SHOW_KIT = "import rlhf_kit\nprint(rlhf_kit.__file__)"


@pytest.fixture(scope="module")
def release() -> Release:
    return build()


@pytest.fixture
def small(tmp_path: Path) -> zipfile.ZipFile:
    """Make a small zip with the kinds of files of the release."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in SMALL:
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


@pytest.mark.parametrize("done", range(len(SMALL) - 1))
def test_running_the_cell_again_completes_an_interrupted_unpacking(small, tmp_path, monkeypatch, done):
    (tmp_path / "a.zip").write_bytes(small.fp.getvalue())
    real, left = Path.rename, iter([None] * done)

    def interrupted(self: Path, target: Path) -> Path:
        if next(left, "none") == "none":
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            find_release(tmp_path)
    assert len(files(tmp_path)) == 1 + done
    find_release(tmp_path)
    assert files(tmp_path) == {"a.zip", *SMALL} - {NOTEBOOK}


def repacked(archive: bytes, around: str) -> bytes:
    """Return a release zip as a Mac makes it of the unpacked folder: with a folder around, and files of the system."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(around + name, old.read(name))
            new.writestr(f"__MACOSX/{around}{name.replace(Path(name).name, '._' + Path(name).name)}", b"\0\5\x16\7")
    return buffer.getvalue()


def test_a_release_that_was_packed_again_with_a_folder_around_it_is_found(release, tmp_path, capsys):
    (tmp_path / "rlhf-student (1).zip").write_bytes(repacked(release.archive, "rlhf-student/"))
    assert find_release(tmp_path) == tmp_path
    found = files(tmp_path) - {"rlhf-student (1).zip"}
    assert found == set(release.shipped) - {NOTEBOOK}
    assert all((tmp_path / name).read_bytes() == release.shipped[name] for name in found)
    assert capsys.readouterr().out == ""


def test_files_of_the_students_are_kept_when_a_folder_is_around_the_release(small, tmp_path, capsys):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "a.ZIP").write_bytes(repacked(small.fp.getvalue(), "my release/"))
    find_release(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert (tmp_path / "README.new.md").read_text() == "the release's README.md"
    assert not list(tmp_path.rglob("*.ipynb"))
    assert capsys.readouterr().out == "Kept as they were: README.md (the release's: README.new.md)\n"


@pytest.mark.parametrize("place", ["rlhf-student", "rlhf-student/rlhf-student"])
def test_an_unpacked_release_is_found_in_a_folder_and_one_level_deeper(small, tmp_path, place):
    small.extractall(tmp_path / place)
    assert find_release(tmp_path) == tmp_path / place


def test_what_a_killed_unpacking_left_is_no_release(small, tmp_path):
    small.extractall(tmp_path / ".unpacked-1234", ["rlhf_kit/__init__.py"])
    (tmp_path / "a.zip").write_bytes(small.fp.getvalue())
    assert find_release(tmp_path) == tmp_path
    assert set(SMALL) - {NOTEBOOK} <= files(tmp_path)


def encrypted(archive: bytes) -> bytes:
    """Set the flag of a password in every entry of the zip's directory and before every file."""
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = archive.find(mark)
        while at >= 0:
            archive = archive[: at + offset] + b"\x01" + archive[at + offset + 1 :]
            at = archive.find(mark, at + 4)
    return archive


UNREADABLE = {
    "half": (lambda zipped: zipped[: len(zipped) // 2], "the upload is not finished, or it broke off"),
    "all but its last byte": (lambda zipped: zipped[:-1], "the upload is not finished, or it broke off"),
    "its first bytes": (lambda zipped: zipped[:2], "the upload is not finished, or it broke off"),
    "nothing yet": (lambda zipped: b"", "the upload is not finished, or it broke off"),
    "a page of the web": (lambda zipped: b"<!DOCTYPE html><p>Log in", "Take the release zip as it was handed out"),
    "a changed byte": (lambda zipped: zipped.replace(b"the release's README", b"the release's rEADME"), "is damaged"),
    "a password": (encrypted, "password"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_zip_that_cannot_be_read_is_named_with_the_reason(small, tmp_path, kind):
    spoil, says = UNREADABLE[kind]
    (tmp_path / "rlhf-student.zip").write_bytes(spoil(small.fp.getvalue()))
    with pytest.raises(FileNotFoundError, match=rf"rlhf_kit is not in .* rlhf-student\.zip was skipped: .*{says}"):
        find_release(tmp_path)
    assert files(tmp_path) == {"rlhf-student.zip"}


def test_every_beginning_of_the_release_is_an_upload_that_is_not_finished(small, tmp_path):
    zipped = small.fp.getvalue()
    for length in range(0, len(zipped), 7):
        (tmp_path / "a.zip").write_bytes(zipped[:length])
        with pytest.raises(FileNotFoundError, match=r"a\.zip was skipped: the upload is not finished"):
            find_release(tmp_path)


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_zip_that_cannot_be_read_does_not_hide_the_release(small, tmp_path, capsys, kind):
    (tmp_path / "a.zip").write_bytes(UNREADABLE[kind][0](small.fp.getvalue()))
    (tmp_path / "b.zip").write_bytes(small.fp.getvalue())
    assert find_release(tmp_path) == tmp_path
    assert capsys.readouterr().out.startswith("a.zip was skipped: ")


def test_a_folder_and_a_link_named_as_zips_and_other_peoples_zips_do_no_harm(small, tmp_path, capsys):
    (tmp_path / "a.zip").mkdir()
    (tmp_path / "b.zip").symlink_to("nowhere")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("photos/rlhf_kit.png", "a picture")
    (tmp_path / "d.zip").write_bytes(small.fp.getvalue())
    assert find_release(tmp_path) == tmp_path
    said = capsys.readouterr().out
    assert "a.zip was skipped: " in said
    assert "b.zip was skipped: " in said
    assert "c.zip" not in said


def test_in_the_notebook_half_a_zip_ends_in_one_sentence_that_says_so(release, tmp_path):
    (tmp_path / ZIP_NAME).write_bytes(release.archive[: len(release.archive) // 2])
    notebook = nbformat.reads(release.solved.decode("utf-8"), as_version=4)
    notebook.cells = [next(cell for cell in notebook.cells if cell.cell_type == "code")]
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    with pytest.raises(
        nbclient.exceptions.CellExecutionError, match=r"rlhf-student\.zip was skipped: the upload is not"
    ):
        client.execute(env=kernel_environment(tmp_path))
