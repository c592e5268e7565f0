"""A cell is read as IPython reads it, and every line keeps its number."""

from __future__ import annotations

import ast

import pytest

from autograder.parsing.answers.ipython import as_python
from autograder.parsing.answers.statements import split

F = "def f(x):\n    return x\n"


@pytest.mark.parametrize(
    "source", ["x = a % b", 's = """\n%time\n!ls\nwhat?\n"""', "x = (a\n% b\n)", "y = 3  # !ls", "x != y", "'%s' % 3"]
)
def test_python_is_not_touched(source: str) -> None:
    assert as_python(source) == source


@pytest.mark.parametrize(
    "line",
    [
        "%matplotlib inline",
        "!pip install 'torch",
        "?f",
        "f?",
        "torch.nn.Module??",
        "files = !ls *.py",
        "x = %time f(3)",
        "%%time",
        "%env A=(1",
        "!echo \"it's",
        "%timeit f(')')",
    ],
)
def test_ipython_line_is_blanked_without_moving_others(line: str) -> None:
    text = as_python(f"a = 1\n{line}\n{F}s = '''\n%not a magic\n'''\n")
    tree = ast.parse(text)
    lines = [(type(node).__name__, node.lineno) for node in tree.body if not isinstance(node, ast.Pass)]
    assert lines == [("Assign", 1), ("FunctionDef", 3), ("Assign", 5)]
    assert "%not a magic" in text


def test_a_shell_line_inside_a_block_leaves_the_block_valid() -> None:
    tree = ast.parse(as_python("if colab:\n    !pip install x\nelse:\n    %cd work\ndef f():\n    !ls\n"))
    assert [type(node).__name__ for node in tree.body] == ["If", "FunctionDef"]


def test_a_continued_shell_line_is_blanked_to_its_end() -> None:
    text = as_python("!pip install \\\n   torch \\\n   trl\nx = 1\n")
    assert text.split("\n")[3] == "x = 1"
    assert "torch" not in text


@pytest.mark.parametrize("magic", ["%%time", "%%capture out", "%%timeit -n 1", "\n%%prun"])
def test_a_cell_magic_with_a_python_body_keeps_the_body(magic: str) -> None:
    assert [piece.name for piece in split(0, f"{magic}\n{F}", [])] == ["f"]


@pytest.mark.parametrize("magic", ["%%bash", "%%html", "%%writefile a.py", "%%javascript", "%%"])
def test_other_cell_magics_blank_the_whole_cell(magic: str) -> None:
    assert split(0, f"{magic}\n{F}", []) == []


def test_a_cell_that_is_indented_as_a_whole_is_read() -> None:
    source = "    def f(x):\n        return x\n    y = 1\n"
    assert [piece.name for piece in split(0, source, [])] == ["f", "y"]


def test_comments_behind_a_body_stay_with_it() -> None:
    (piece,) = split(0, "def f(x):\n    return x\n\n    # the end\n# not mine\n", [])
    assert piece.text.endswith("# the end")


def test_nul_byte_loses_only_its_statement() -> None:
    assert "f" in [piece.name for piece in split(0, f"x = '\0'\n{F}", []) if piece.node is not None]
