"""The environment check: what it finds, and that each problem comes with a way out."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from rlhf_kit import environment
from rlhf_kit.environment import check_environment


@pytest.fixture
def kit_folder(tmp_path: Path) -> Path:
    """Make a kit whose folders hold one file each, as in their manifests."""
    files = {"base_model": "model.safetensors", "lab_data": "prompts.jsonl.gz", "recorded_run": "run.json"}
    for folder, name in files.items():
        path = tmp_path / "kit" / folder / name
        path.parent.mkdir(parents=True)
        path.write_bytes(folder.encode())
        sums = {name: hashlib.sha256(folder.encode()).hexdigest()}
        (path.parent / "manifest.json").write_text(json.dumps({"sha256": sums}))
    return tmp_path / "kit"


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("# needed\ntorch>=2.6\nnumpy\n")
    return path


def problems(requirements: Path, kit: Path) -> str:
    return "\n".join(check_environment(requirements, kit).problems)


def test_a_complete_environment_is_ok(requirements, kit_folder):
    report = check_environment(requirements, kit_folder)
    assert report.ok
    assert "Everything is in place" in str(report)
    names = [finding.what for finding in report.findings]
    assert names[-3:] == ["base model", "lab data", "recorded run"]
    assert len(set(names)) == len(names)


def test_a_missing_package_comes_with_the_command_that_installs_it(requirements, kit_folder):
    requirements.write_text("no-such-package-at-all>=1.2\n")
    assert '%pip install "no-such-package-at-all>=1.2"' in problems(requirements, kit_folder)


def test_a_package_that_is_too_old_says_which_version_is_needed(requirements, kit_folder):
    requirements.write_text("torch>=99.1\n")
    assert "torch: too old, 99.1 or newer is needed" in problems(requirements, kit_folder)


@pytest.mark.parametrize(
    ("older", "newer"), [("2.9.1", "2.10"), ("2.6.0+cpu", "2.6.1"), ("4.56.0.dev0", "4.56.1"), ("1", "1.0.1")]
)
def test_versions_are_compared_by_number(requirements, kit_folder, monkeypatch, older, newer):
    for found, needed, too_old in ((older, newer, True), (newer, older, False)):
        requirements.write_text(f"some-package>={needed}\n")
        monkeypatch.setattr(importlib.metadata, "version", lambda name, found=found: found)
        assert ("some-package: too old" in problems(requirements, kit_folder)) == too_old


@pytest.mark.parametrize(("found", "needed"), [("2.6.0", "2.6"), ("2.6.0+cu124", "2.6"), ("8", "8.0")])
def test_a_version_written_longer_is_the_same_version(requirements, kit_folder, monkeypatch, found, needed):
    for one, other in ((found, needed), (needed, found)):
        requirements.write_text(f"some-package>={other}\n")
        monkeypatch.setattr(importlib.metadata, "version", lambda name, one=one: one)
        assert "some-package" not in problems(requirements, kit_folder)


def test_an_old_python_is_named(requirements, kit_folder, monkeypatch):
    monkeypatch.setattr(environment, "PYTHON_NEEDED", (9, 0))
    assert "install Python 9.0 or newer" in problems(requirements, kit_folder)


def test_a_damaged_model_file_is_named(requirements, kit_folder):
    (kit_folder / "base_model" / "model.safetensors").write_bytes(b"half of it")
    report = check_environment(requirements, kit_folder)
    assert [f.found for f in report.findings if not f.ok] == ["wrong or missing: model.safetensors"]


@pytest.mark.parametrize(
    "lost",
    ["base_model/model.safetensors", "base_model/manifest.json", "lab_data/prompts.jsonl.gz", "recorded_run/run.json"],
)
def test_a_missing_file_leads_to_the_advice_to_unpack_the_zip_again(requirements, kit_folder, lost):
    (kit_folder / lost).unlink()
    assert "unpack the release zip again" in problems(requirements, kit_folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"sha256": 3}', "null"])
def test_an_unreadable_manifest_is_a_finding_and_not_a_traceback(requirements, kit_folder, text):
    (kit_folder / "base_model" / "manifest.json").write_text(text)
    assert not check_environment(requirements, kit_folder).ok


def test_without_its_requirements_the_folder_is_incomplete(tmp_path, kit_folder):
    assert "unpack the whole release zip" in problems(tmp_path / "nowhere.txt", kit_folder)


def test_a_torch_that_does_not_import_is_reported(requirements, kit_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "install torch again" in problems(requirements, kit_folder)


def test_findings_are_escaped_in_the_notebook(requirements, kit_folder):
    (kit_folder / "base_model" / "manifest.json").write_text(json.dumps({"sha256": {"<b>x</b>": "0"}}))
    assert "<b>x" not in check_environment(requirements, kit_folder)._repr_html_()


def test_the_file_runs_by_itself_where_the_package_cannot_be_imported(root, tmp_path):
    script = tmp_path / "rlhf_kit" / "environment.py"
    script.parent.mkdir()
    script.write_text(Path(environment.__file__).read_text())
    run = subprocess.run(  # -S: no installed packages at all
        [sys.executable, "-S", str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert run.returncode == 1
    assert "torch does not import" in run.stdout
    assert run.stderr == ""


def test_every_requirement_of_students_is_in_the_lock_file(root):
    lines = (root / "requirements.lock").read_text().split()
    locked = dict(line.split("==") for line in lines if "==" in line)
    for line in (root / "student_template" / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, least = line.split(">=")
            assert Version(locked[name]) >= Version(least), name
