"""The part files as a whole: what an import does, what a notebook finds defined, what the prose states."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.solutions.conftest import FILES, SOLUTIONS

PARTS = sorted(SOLUTIONS.glob("p*.py"))
QUIET = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def is_guard(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.stem)
def test_importing_a_part_only_defines_things(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        constant = isinstance(node, ast.Assign) and not any(isinstance(x, ast.Call) for x in ast.walk(node.value))
        assert isinstance(node, QUIET) or is_guard(node) or constant, f"{path.name}:{node.lineno} runs on import"


def test_the_parts_in_order_use_no_name_that_is_not_defined():
    """Parts use names of earlier parts, so ruff has to see them as one module (display is IPython's)."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in PARTS)
    code = re.sub(r"^from (__future__|solutions).*$", "", code, flags=re.MULTILINE)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,F811", "--target-version"]
    found = subprocess.run(
        [*command, "py311", "--stdin-filename", "all.py", "-"], input=code, text=True, capture_output=True
    )
    redefined = [line for line in found.stdout.splitlines() if line.startswith("F")]
    assert [line for line in redefined if "F821" in line] == [], found.stdout


@pytest.mark.parametrize("slot", FILES)
def test_the_prose_above_a_slot_has_all_its_parts(slot):
    text = FILES[slot].read_text(encoding="utf-8")
    above = text[: text.index(f"# TODO {slot} ·")]
    prose = above[above.rindex("# %% [markdown]") :]
    assert f"## {slot} · " in prose
    wanted = ("**Task.**", "**Hint.**", "**Common mistakes", "**Debug.**", "**Right**")
    assert [word for word in wanted if word not in prose] == []


def test_every_fixed_choice_is_stated_in_the_notebook():
    prose = " ".join(re.sub(r"^# ?", "", p.read_text(encoding="utf-8"), flags=re.MULTILINE) for p in PARTS)
    prose = " ".join(prose.split())
    for choice in (
        "Token means",
        "gives 0, not NaN",
        "explicit `position_ids`",
        "different tokens",
        "dropout 0",
        "prompt + reply + EOS",
        "nats per sequence",
        "temperature 1, no top-k, no top-p",
        "Architecture is fixed",
    ):
        assert choice in prose.replace("*", ""), choice
