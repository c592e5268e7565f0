"""Null answers, such as zeros, echoes, factors, permutations or no gradient, are rejected by every hidden test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from autograder.inside.namespace import SlotMissingError
from autograder.slots.hidden_tests import HIDDEN_TESTS, CaseAnswer
from autograder.slots.hidden_tests.checked import CheckedAnswers, check
from autograder.slots.misconceptions import in_process
from tests.support.slot_runs import SLOTS, SPEC, base_sources, draw, run_base

RNG = np.random.default_rng(8)
NUMERIC = [slot for slot in SLOTS if slot not in ("T01", "T02", "T03")]
# The outputs of the loops that are changed here; of all other slots, every output but the gradients is.
MAIN = {"T05": ("after:weight", "final:weight"), "T09": ("after:transformer.weight", "final:transformer.weight"),
        "T14": ("after:lm.weight", "final:lm.weight")}  # fmt: skip

Null = Callable[[np.ndarray], np.ndarray]
NULLS: dict[str, Null] = {
    "Z01 zeros": np.zeros_like,
    "Z02 ones": np.ones_like,
    "Z03 NaN": lambda x: np.full_like(x, np.nan),
    "Z03 infinity": lambda x: np.full_like(x, np.inf),
    "Z05 its own mean": lambda x: np.full_like(x, x.mean() + 1e-3 * (x.size == 1)),
    "Z06 half": lambda x: 0.5 * x,
    "Z07 double": lambda x: 2 * x,
    "Z08 negated": lambda x: -x,
    "Z09 one more": lambda x: x + 1,
    "Z11 rows permuted": lambda x: x[::-1].copy(),
    "Z11 first row right": lambda x: np.concatenate([x[:1], np.zeros_like(x[1:])]),
    "Z12 noise": lambda x: x.std() * RNG.standard_normal(x.shape) + x.mean() + 1e-3,
    "Z13 empty": lambda _: np.zeros((0,)),
    "Z13 a broadcastable shape": lambda x: x[None],
}
NEEDS_ROWS = ("Z05", "Z11")


def is_value(name: str) -> bool:
    return not name.startswith("gradient")


def with_answers(run: CheckedAnswers, answers: list[CaseAnswer]) -> CheckedAnswers:
    return check(run.test, run.function, run.cases, answers, run.seed)


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("slot", NUMERIC)
def test_null_answers_are_rejected(slot, null):
    right, changed, applied = run_base(slot, 1), [], False
    for answer in right.answers:
        names = [n for n in answer.tensors if is_value(n) and (slot not in MAIN or n in MAIN[slot])]
        tensors = dict(answer.tensors)
        for name in names:
            if tensors[name].ndim or not null.startswith(NEEDS_ROWS):
                tensors[name] = np.asarray(NULLS[null](tensors[name]))
                applied = True
        changed.append(replace(answer, tensors=tensors))
    if not applied:
        pytest.skip("the answer is one number: it has no rows")
    assert with_answers(right, changed).failed


@pytest.mark.parametrize("slot", ["T04", "T06", "T07", "T10", "T13"])
@pytest.mark.parametrize("scale", [None, 0.0, 0.5, 2.0, -1.0])
def test_right_values_with_a_wrong_gradient_are_rejected_by_the_gradient_alone(slot, scale):
    right = run_base(slot, 1)
    changed = [
        CaseAnswer(a.values, {n: x if is_value(n) else scale * x for n, x in a.tensors.items()
                              if is_value(n) or scale is not None})
        for a in right.answers
    ]  # fmt: skip
    assert {r.kind for r in with_answers(right, changed).failed} == {"gradient"}


@pytest.mark.parametrize("slot", ["T04", "T06", "T07", "T10", "T13"])
def test_a_right_gradient_with_value_zero_is_rejected(slot):
    right = run_base(slot, 1)
    changed = [
        CaseAnswer(a.values, {n: 0 * x if is_value(n) else x for n, x in a.tensors.items()}) for a in right.answers
    ]
    assert "value" in {r.kind for r in with_answers(right, changed).failed}


@pytest.mark.parametrize("slot", ["T01", "T02", "T03"])
@pytest.mark.parametrize("text", ["", "echo", "the first case's answer"])
def test_empty_echoed_and_constant_texts_are_rejected(slot, text):
    right = run_base(slot, 1)
    value = {"": "", "echo": str(right.cases[0].args), "the first case's answer": None}[text]
    constant = CaseAnswer({n: v if value is None else value for n, v in right.answers[0].values.items()})
    assert with_answers(right, [constant] * len(right.cases)).failed


@pytest.mark.parametrize("slot", SLOTS)
def test_none_counts_as_not_attempted(slot):
    name = SPEC.slot(slot).name
    source = f"def {name}(*args, **kwargs):\n    return None\n"
    if slot == "T06":
        source = f"class {name}(kit.RewardModelBase):\n    def forward(self, input_ids, attention_mask): return None\n"
    with pytest.raises(SlotMissingError):
        in_process.run_sources(slot, name, base_sources(slot, source), draw(slot, 0), 0)


@pytest.mark.parametrize("slot", SLOTS)
def test_an_answer_without_any_content_is_rejected_and_no_grader_error(slot):
    cases = draw(slot, 0)
    assert check(HIDDEN_TESTS[slot], SPEC.slot(slot).name, cases, [CaseAnswer() for _ in cases], 0).failed
