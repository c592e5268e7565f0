"""The prelude holds what the answers need from the student's notebook, and nothing that trains."""

from __future__ import annotations

import pytest

from tests.support.intake_notebooks import ACCURACY, IMPORTS, LOSS, extract_here, submission

HEAD = """import math
import torch
import torch.nn.functional as F
import rlhf_kit as kit
from functools import partial
"""
SLOT = """# TODO T07
def bradley_terry_loss(chosen, rejected, margin=0.0):
    return chosen - rejected + {uses}
"""


def prelude_with(statement: str, uses: str = "X") -> str:
    """Build the prelude of a notebook with this statement, whose slot T07 uses the name `uses`."""
    return extract_here(submission(HEAD, statement, SLOT.format(uses=uses))).prelude


@pytest.mark.parametrize(
    "statement",
    [
        "X = 1e-8",
        "X = -100",
        "X: float = 2.0 * math.pi",
        "X = math.log",
        "X = torch.nn.functional",
        'X = torch.device("cuda" if torch.cuda.is_available() else "cpu")',
        "X = lambda a: a + 1",
        "X = partial(F.relu)",
        "X = torch.tensor([1.0])",
        "X = torch.nn.CrossEntropyLoss(reduction='none')",
        "X = {'a': 1}",
        "X = 'a,b'.split(',')",
        "X = [i * 2 for i in range(3)]",
        "X = f'{1 + 1}'",
        "X = kit.get_profile('tiny').ppo",
        "Y = X = 3",
        "X, Y = 1, 2",
        "X = 1\nX += 2",
        "X = kit.PPOConfig",
        "def X():\n    return 1",
        "class X:\n    a = 1",
        "from math import pi as X",
        "X = (1, [2, 3])",
        "try:\n    import trl as X\nexcept ImportError:\n    X = None",
        "if torch.cuda.is_available():\n    X = 1\nelse:\n    X = 2",
        "import torch.nn as X",
    ],
)
def test_definitions_and_constants_survive(statement: str) -> None:
    assert "X" in prelude_with(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "X = kit.load_base_model()",
        "X = train(model)",
        "X = train_sft(model, batches, config)",
        "print(X)",
        "for X in range(10):\n    train()",
        "with open('a') as X:\n    pass",
        "X = open('a').read()",
        "del X",
        "X = torch.load('weights.pt')",
        "if __name__ == '__main__':\n    X = 1",
        "X.y = 3",
        "X[0] = 1",
        "X = !ls",
        "X = [train() for _ in range(3)]",
        "X = (lambda: train())()",
        "X = input('name')",
        "X = f'{train()}'",
        "X = plt.figure()",
        "if train():\n    X = 1",
        "X = yield 3",
    ],
)
def test_training_and_other_calls_are_dropped(statement: str) -> None:
    prelude = prelude_with(statement)
    assert "X" not in prelude
    assert "train" not in prelude


def test_prelude_holds_only_what_the_answers_use() -> None:
    plots = "import matplotlib.pyplot as plt\nX = 1\nUNUSED = 2\ndef plot():\n    plt.plot(UNUSED)\n"
    prelude = prelude_with(plots)
    assert "X = 1" in prelude
    assert "matplotlib" not in prelude
    assert "UNUSED" not in prelude


@pytest.mark.parametrize(
    "junk",
    ["chosen = [1]", "other = [X for X in range(3)]", "log = 'X'", "class A:\n    X = 1", "def f(X):\n    return X"],
)
def test_local_name_does_not_include_global_of_the_same_name(junk: str) -> None:
    prelude = prelude_with(junk, uses="sum(X for X in chosen)")
    assert junk.partition("\n")[0] not in prelude


def test_quoted_annotations_include_their_class() -> None:
    assert "class Batch" in prelude_with("class Batch:\n    size = 1\ndef X(b: 'Batch'):\n    return b")


def test_helpers_are_included_with_what_they_use() -> None:
    prelude = prelude_with("EPS = 1e-8\ndef inner(a):\n    return a + EPS\ndef X(a):\n    return inner(a)\n")
    assert all(part in prelude for part in ("EPS = 1e-8", "def inner", "def X"))


def test_helpers_in_the_cell_of_a_slot_are_included() -> None:
    helper = "def scaled(x):\n    return 2 * x\n"
    cell = LOSS.replace("def bradley", helper + "\n\ndef bradley").replace("F.softplus", "scaled")
    assert "def scaled" in extract_here(submission(IMPORTS, cell)).prelude


def test_the_prelude_never_defines_a_slot() -> None:
    use = "def use():\n    return bradley_terry_loss(1, 2)\n"
    user = ACCURACY.replace("return", "use()\n    return")
    prelude = extract_here(submission(IMPORTS, LOSS, LOSS, use, user)).prelude
    assert "def use" in prelude
    assert "def bradley_terry_loss" not in prelude


def test_star_and_future_imports_are_always_kept_and_future_comes_first() -> None:
    prelude = prelude_with("from math import *\nfrom __future__ import annotations\nX = 1")
    assert prelude.startswith("from __future__ import annotations\n")
    assert "from math import *" in prelude


def test_dynamic_name_lookup_keeps_the_whole_prelude() -> None:
    assert "HIDDEN = 3" in prelude_with("HIDDEN = 3\nX = 1", uses="globals()['HID' + 'DEN']")


def test_dataclasses_of_the_student_may_be_instantiated() -> None:
    config = "from dataclasses import dataclass\n@dataclass\nclass C:\n    a: float = 1.0\nX = C(a=2)"
    assert "X = C(a=2)" in prelude_with(config)
    assert "X = M()" not in prelude_with("class M(torch.nn.Module):\n    pass\nX = M()")


def test_magics_and_shell_lines_are_removed() -> None:
    magics = "%load_ext autoreload\n!pip install -q trl \\\n  --upgrade\nX = 5\ntorch.nn?\nfiles = !ls"
    prelude = prelude_with(magics)
    assert "X = 5" in prelude
    assert "pip" not in prelude
    assert "?" not in prelude


def test_a_name_that_only_unexecuted_code_sets_is_noted() -> None:
    loss = LOSS.replace("margin)", "margin * tokenizer.x)")
    notes = extract_here(submission(HEAD, "tokenizer = make()", loss)).notes
    assert any("T07 uses `tokenizer`, which cell 2 sets" in note for note in notes)


def test_arguments_and_known_names_are_not_noted() -> None:
    assert extract_here(submission(IMPORTS, "chosen = make()\nmargin = sum(make())", LOSS)).notes == ()


def test_several_statements_on_one_line_are_told_apart() -> None:
    prelude = prelude_with("X = 'é'; model = train(); Y = X + 'b'", uses="Y")
    assert "X = 'é'" in prelude
    assert "Y = X + 'b'" in prelude
    assert "train" not in prelude
