"""Check whether this machine can run the notebook, and say how to repair what is missing.

Packages are imported only after they were found, and `python rlhf_kit/environment.py` runs the file on
its own, so that the check works even where `import rlhf_kit` fails.
"""

from __future__ import annotations

import hashlib
import html
import importlib.metadata
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KIT = Path(__file__).resolve().parent
_BESIDE = KIT.parent / "requirements.new.txt"  # written if there was another requirements.txt
# The list of packages that the notebook needs.
REQUIREMENTS = _BESIDE if _BESIDE.is_file() else KIT.parent / "requirements.txt"
PYTHON_NEEDED = (3, 11)
SHIPPED = ("base_model", "lab_data", "recorded_run")  # folders of the kit, each with a manifest
MEMORY_NEEDED = 3.0  # GB, enough for the solved notebook


@dataclass(frozen=True)
class Finding:
    """What was checked, what was found, and, if it is not ok, a sentence that says what to do."""

    what: str
    found: str
    ok: bool
    advice: str = ""


@dataclass(frozen=True)
class EnvironmentReport:
    """All findings, shown as a table in a notebook and printed as text elsewhere."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Return whether the notebook can run."""
        return all(finding.ok for finding in self.findings)

    @property
    def problems(self) -> list[str]:
        """Return the advice of every finding that is not ok."""
        return [f"{finding.what}: {finding.advice}" for finding in self.findings if not finding.ok]

    def __str__(self) -> str:
        width = max(len(finding.what) for finding in self.findings)
        lines = [
            f"{'ok ' if f.ok else 'FIX'} {f.what.ljust(width)}  {f.found}" for f in self.findings
        ]
        return "\n".join([*lines, "", *(self.problems or ["Everything is in place."])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td>{html.escape(cell)}</td>"
                for cell in ("✓" if f.ok else "✗", f.what, f.found, "" if f.ok else f.advice)
            )
            + "</tr>"
            for f in self.findings
        )
        verdict = (
            "Everything is in place."
            if self.ok
            else "Put the ✗ lines right, then run this cell again."
        )
        head = "<tr><th></th><th>what</th><th>found</th><th>what to do</th></tr>"
        return f"<table>{head}{rows}</table><p>{verdict}</p>"


def check_environment(requirements: Path = REQUIREMENTS, kit: Path = KIT) -> EnvironmentReport:
    """Check Python, packages, device, memory and files, without installing anything."""
    findings = [_python(), *_packages(requirements), _device(), _memory(), *_shipped(kit)]
    return EnvironmentReport(tuple(findings))


def best_device() -> str:
    """Return "cuda" if torch finds a GPU that works, else "cpu", where the tiny profile is quick too."""
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    try:
        torch.zeros(1, device="cuda")
    except RuntimeError:
        return "cpu"
    return "cuda"


def seed_everything(seed: int) -> None:
    """Seed the random generators of Python, NumPy and torch (CPU and GPU)."""
    import random

    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _python() -> Finding:
    needed = ".".join(map(str, PYTHON_NEEDED))
    return Finding(
        "Python",
        ".".join(map(str, sys.version_info[:3])),
        sys.version_info[:2] >= PYTHON_NEEDED,
        f"install Python {needed} or newer and choose it as the notebook's kernel.",
    )


def _packages(requirements: Path) -> Iterator[Finding]:
    try:
        lines = requirements.read_text(encoding="utf-8").splitlines()
    except OSError:
        yield Finding(
            "requirements.txt",
            f"not in {requirements.parent}",
            False,
            "unpack the whole release zip and start the notebook in its folder.",
        )
        return
    for line in lines:
        match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:>=\s*([0-9.]+))?", line.split("#")[0])
        if match:
            yield _package(match[1], match[2] or "")


def _package(name: str, needed: str) -> Finding:
    fix = f'run `%pip install "{name}{">=" + needed if needed else ""}"` and restart the kernel.'
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", False, f"not installed; {fix}")
    if _numbers(version) < _numbers(needed):
        return Finding(name, version, False, f"too old, {needed} or newer is needed; {fix}")
    return Finding(name, version, True)


def _numbers(version: str) -> tuple[int, ...]:
    """Read the leading numbers of a version, without trailing zeros: "2.13.0+cpu" -> (2, 13)."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _device() -> Finding:
    try:
        import torch

        device = best_device()
    except Exception as error:  # noqa: BLE001 (a broken installation fails in many ways)
        return Finding(
            "device",
            "torch does not import",
            False,
            f"install torch again ({type(error).__name__}: {str(error)[:120]}).",
        )
    if device == "cuda":
        return Finding("device", f"cuda ({torch.cuda.get_device_name(0)})", True)
    return Finding("device", f"cpu ({torch.get_num_threads()} threads)", True)


def _memory() -> Finding:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return Finding("memory", "unknown on this system", True)
    return Finding(
        "memory",
        f"{total:.1f} GB",
        total >= MEMORY_NEEDED,
        f"the notebook wants {MEMORY_NEEDED:.0f} GB: close other programs or use another machine.",
    )


def _shipped(kit: Path) -> Iterator[Finding]:
    """Check the files of each folder that the release ships against its manifest."""
    again = "unpack the release zip again; files are missing or damaged."
    for folder in SHIPPED:
        name = folder.replace("_", " ")
        try:
            manifest = (kit / folder / "manifest.json").read_text(encoding="utf-8")
            sums = dict(json.loads(manifest).get("sha256", {}))
        except FileNotFoundError:
            yield Finding(name, "no manifest", False, again)
            continue
        except (OSError, ValueError, AttributeError, TypeError):
            yield Finding(name, "manifest cannot be read", False, again)
            continue
        bad = [file for file, digest in sums.items() if _sha256(kit / folder / file) != digest]
        files = "1 file" if len(sums) == 1 else f"{len(sums)} files"
        found = f"wrong or missing: {', '.join(bad)}" if bad else f"{files}, as in the manifest"
        yield Finding(name, found, not bad, again)


def _sha256(path: Path) -> str | None:
    """Return the digest of a file, or None if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


if __name__ == "__main__":
    report = check_environment()
    print(report)
    sys.exit(0 if report.ok else 1)
