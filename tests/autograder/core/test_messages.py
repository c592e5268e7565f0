"""What students read about slots: a message from templates for every status, which holds no hidden input."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

import pytest

from autograder.core.failures import GraderFailure, not_gradable
from autograder.core.messages import STATUS, seen_and_tip
from autograder.core.records import Answer, Status
from autograder.slots import verdicts
from autograder.slots.hidden_tests import HIDDEN_TESTS, CaseAnswer, draw
from autograder.slots.hidden_tests.base import Fault, Residual
from autograder.slots.hidden_tests.checked import CheckedAnswers
from autograder.slots.hidden_tests.failure_message import LABELS, failure_message
from autograder.slots.misconceptions import diagnosis, load_library
from autograder.slots.runner import run_hidden_tests
from autograder.training import run, symptoms
from tests.support.intake_notebooks import ACCURACY, IMPORTS, extract_here
from tests.support.intake_notebooks import submission as handed_in
from tests.support.slot_runs import SLOTS, SPEC, LocalSession, reply, submission

if TYPE_CHECKING:
    from collections.abc import Iterator

SEEDS = (5, 6)
STUDENT = "MyOwnSecretText"
FAULTS = [fault for fault in get_args(Fault) if fault]


def of_statuses(slot: str) -> dict[str, str]:
    """The message of each status that does not come from a comparison."""
    answers = [Answer(slot, state) for state in ("blank", "missing", "broken")]
    results = [found for answer in answers if (found := verdicts.from_state(answer))]
    for kind in verdicts.BY_KIND:
        found = reply(kind, {"_output": STUDENT, "_traceback": STUDENT}, f"ValueError: {STUDENT}")
        results.append(verdicts.from_reply(slot, found, 1, ()))
    results.append(not_gradable(slot, GraderFailure(STUDENT)))
    return {f"{result.status} {i}": result.message for i, result in enumerate(results)}


@lru_cache(maxsize=64)  # by slot and seed: three tests read them
def of_comparisons(slot: str, seed: int) -> frozenset[str]:
    """The messages of every fault of every check in every case; most cases share theirs."""
    return frozenset(_of_comparisons(slot, seed))


def _of_comparisons(slot: str, seed: int) -> Iterator[str]:
    test, cases = HIDDEN_TESTS[slot], draw(slot, seed)
    error = {"type": STUDENT, "text": STUDENT, "trace": STUDENT}
    answers = [CaseAnswer(error=error) for _ in cases]
    names = {*test.tips, *LABELS, "error", "gradient:score.weight"} - {""}
    for i in range(len(cases)):
        for name in sorted(names - (set() if test.expected_error(cases[i]) else {"refusal"})):
            for fault in FAULTS:
                for kind in ("value", "gradient"):
                    residuals = [Residual(i, name, kind, fault)]
                    yield failure_message(CheckedAnswers(test, slot, cases, answers, seed, residuals))


def hidden_values(slot: str, seed: int) -> set[str]:
    """Texts and numbers of the hidden inputs that a reader could recognise in a message."""
    found: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, str):
            found.update(word for word in re.findall(r"[A-Za-z]{5,}", value) if not word.istitle())
        elif isinstance(value, float):
            found.add(f"{value:.3g}")
        elif isinstance(value, dict):
            for key, entry in value.items():
                if key not in ("tokenizer", "model"):
                    collect(entry)
        elif isinstance(value, list):
            for entry in value[:20]:
                collect(entry)

    for case in draw(slot, seed):
        collect(dict(case.args))
        for array in case.tensors.values():
            collect([float(x) for x in array.reshape(-1)[:20] if x % 1])
    return {text for text in found if len(text.strip("-0.")) > 2}


def fixed_text(slot: str) -> str:
    """The texts that are written in the hidden test itself and are the same for every seed."""
    test = HIDDEN_TESTS[slot]
    return " ".join([test.task, *test.tips.values(), *LABELS.values(), *(case.about for case in draw(slot, 0))])


@pytest.mark.parametrize("slot", SLOTS)
def test_no_message_of_a_slot_holds_a_hidden_input_or_a_students_text(slot):
    for seed in SEEDS:
        texts = "\n".join([*of_comparisons(slot, seed), *of_statuses(slot).values()])
        assert STUDENT not in texts
        words_of_the_grader = set(re.findall(r"[A-Za-z]{5,}", fixed_text(slot)))
        inside = {value for value in hidden_values(slot, seed) if value in texts}  # few: matching each pattern is slow
        found = {value for value in inside if re.search(rf"(?<![\w.]){re.escape(value)}(?![\w.])", texts)}
        assert found - words_of_the_grader == set()


@pytest.mark.parametrize("slot", SLOTS)
def test_messages_do_not_depend_on_the_seed(slot):
    one, two = (of_comparisons(slot, seed) for seed in SEEDS)
    assert one == two != frozenset()


@pytest.mark.parametrize("slot", SLOTS)
def test_a_wrong_answer_reads_what_was_asked_what_was_seen_and_what_to_try(slot):
    assert all(re.fullmatch(r"Asked: .+ Seen: .+ Try: .+", text) for text in of_comparisons(slot, 5))


@pytest.mark.parametrize("slot", SLOTS)
def test_every_other_status_says_what_was_asked_what_was_seen_and_what_to_try(slot):
    texts = of_statuses(slot)
    assert {key.split()[0] for key in texts} >= {"not_attempted", "crashed", "timeout", "out_of_memory", "not_gradable"}
    assert all(text.endswith((".", "!", "?")) for text in texts.values())
    of_grader = {text for key, text in texts.items() if key.startswith("not_gradable")}
    assert of_grader == {STATUS["not_gradable"].sentence}
    task = re.escape(HIDDEN_TESTS[slot].task)
    assert all(re.fullmatch(rf"Asked: {task} Seen: .+ Try: .+", text) for text in set(texts.values()) - of_grader)


@pytest.mark.parametrize(("cell", "seen", "tip"), [
    ("# TODO T07\ndef my_loss(a, b):\n    return a", "but the grader calls `bradley_terry_loss`.", "Give it that name"),
    ("def bradley_terry_loss(a, b)\n    return a", "is not valid Python", "Run the cell in the notebook"),
    ("x = 1", "No cell defines `bradley_terry_loss` (T07).", "Copy that cell"),
])  # fmt: skip
def test_an_answer_that_cannot_be_used_reads_what_is_wrong_and_what_to_do(cell, seen, tip):
    answer = extract_here(handed_in(IMPORTS, ACCURACY, cell)).slots["T07"]
    found = verdicts.from_state(answer)
    assert found is not None
    before, after = found.message.split(" Try: ")
    assert seen in before
    assert after.startswith(tip)


def test_every_status_has_a_label_and_a_sentence():
    assert set(STATUS) == set(get_args(Status))
    assert all(text.label and text.sentence.endswith(".") for text in STATUS.values())


def test_sentences_of_mistakes_symptoms_and_differences_are_plain_words():
    library = [mistake.sentence for mistakes in load_library().mistakes.values() for mistake in mistakes]
    texts = library + [symptom.sentence for symptom in symptoms.SYMPTOMS.values()] + list(diagnosis.SENTENCES.values())
    assert all(re.search(r"[.?]$", text) and "\n" not in text and "{" not in text for text in texts)


def test_the_ta_sees_residual_tolerance_mistake_and_seed():
    mistake = load_library().mistakes["T12"][0]
    session: Any = LocalSession()
    result = run_hidden_tests(session, submission({"T12": mistake.source}), SPEC, 9, ["T12"])["T12"]
    first = result.evidence["residuals"][0]
    assert first["max_error"] > first["tolerance"] > 0
    assert result.misconception is not None
    assert result.misconception["id"] == mistake.id
    assert result.evidence["seed"] == 9


EVIDENCE = {"optimizer_steps": 40, "expected_steps": 40, "frozen": [], "relative_change": 0.1}


@pytest.mark.parametrize(
    ("item", "evidence", "symptom"),
    [
        ("sft_loss_trend", {"optimizer_steps": 0}, "W1"),
        ("sft_loss_trend", {"frozen": ["body"], "relative_change": 0}, "W2"),
        ("rm_accuracy", {"frozen": ["body"]}, "W3"),
        ("rm_accuracy", {"frozen": ["head"]}, "W4"),
        ("sft_loss_trend", {"optimizer_steps": 20}, "W5"),
        ("rm_accuracy", {"inverted": True}, "W6"),
        ("rm_accuracy", {"accuracy": 0.75, "exchange": 0.2}, "W11"),
        ("rm_accuracy", {"accuracy": 0.47, "exchange": 0.5}, ""),
        ("ppo_kl", {"kl": 20.0, "gain": -0.5, "range": [0.3, 12]}, "W8"),
        ("ppo_reward", {"gain": 0.5, "gold_gain": -0.4}, "W9"),
        ("ppo_kl", {"kl": 0.01, "gain": 0.0, "range": [0.3, 12]}, "W10"),
        ("sft_loss_trend", {"unmasked": True}, "W12"),
        ("sft_loss_trend", {}, ""),
    ],
)
def test_a_training_mistake_is_named_by_its_symptom(item, evidence, symptom):
    found = run.Outcome(False, False, 0.0, "text.", "value", {**EVIDENCE, **evidence})
    assert (symptoms.recognise(item, found) or {}).get("id", "") == symptom


def test_a_diverged_run_is_named_and_a_passed_one_never_is():
    from autograder.training.weights import NOT_FINITE

    assert (symptoms.recognise("sft_loss_trend", run.Failure("wrong", seen_and_tip(*NOT_FINITE))) or {})["id"] == "W7"
    passed = run.Outcome(True, False, 1.0, "text.", "value", {"optimizer_steps": 0})
    assert symptoms.recognise("sft_loss_trend", passed) is None
