"""What a student reads about a slot that failed its hidden test: fixed templates, never a number or an input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autograder.core.exception_hints import hint_for
from autograder.core.messages import seen_and_tip, with_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autograder.slots.hidden_tests.base import Fault
    from autograder.slots.hidden_tests.checked import CheckedAnswers

LABELS = {  # by name of a check
    "loss": "the loss", "gradient": "the gradient", "gradient_chosen": "the gradient in the chosen scores",
    "gradient_rejected": "the gradient in the rejected scores", "accuracy": "the accuracy",
    "gradient_logprobs": "the gradient in the log-probabilities",
    "gradient_values": "the gradient in the values",
    "logprobs": "the log-probabilities", "rewards": "the rewards", "advantages": "the advantages",
    "returns": "the returns", "prompt": "the prompt", "completion": "the completion",
    "chosen": "the chosen reply", "rejected": "the rejected reply", "scores": "the scores",
    "input_ids": "input_ids", "labels": "the labels", "state": "the set of parameters",
    "losses": "the list of losses", "told": "the losses given to on_step",
    "after:weight": "the weights after an update", "final:weight": "the weights at the end",
    "after:transformer.weight": "the body's weights after an update", "final:transformer.weight": "the body at the end",
    "after:score.weight": "the head's weights after an update", "final:score.weight": "the head at the end",
    "after:lm.weight": "the policy's weights after an update",
    "after:value_head.weight": "the value head's weights after an update",
    "dropout": "the weights after an update", "minibatch": "the weights after a minibatch",
    "final": "the weights at the end",
    "reference": "the reference model", "stat:reward": "the reported reward", "stat:kl": "the reported kl",
    "stats": "the list of statistics", "callbacks": "the calls of on_step", "batches": "the use of the batches",
    "rollouts": "the rollouts", "prompts": "the choice of prompts", "replies": "the replies",
    "sampling": "the distribution of the replies", "updates": "the number of updates",
    "name": "the rows' names", "n": "n", "response_ids": "the replies", "one sample": "the number of samples",
    "greedy decoding": "the decoding", "decoding of all": "the decoding", "decoding of some": "the decoding",
    "answer": "the answer", "win_low": "the lower end of the interval", "win_high": "the upper end of the interval",
    "evaluation mode": "kl_to_sft",
}  # fmt: skip
SEEN: dict[Fault, str] = {
    "missing": "On {about}, nothing was found for {label}.",
    "shape": "On {about}, another shape than was asked for in {label}.",
    "not finite": "On {about}, a value that is not finite in {label}.",
    "differs": "On {about}, a wrong value for {label}.",
}
NO_GRADIENT = "On {about}, right values, but nothing arrives for {label}."
ONLY_GRADIENT = "On {about}, right values, but a wrong value for {label}."
RAISED = "On {about}, it raised {error}."
NO_REFUSAL = "On {about}, it did not raise {error}."
ANY_TIP = "Call the function on the smallest input you can check by hand and compare, shapes first."
RAISED_TIP = "Run the cell on a small example of that kind and read the last line of the traceback."


def label(name: str) -> str:
    """The words for a check's name."""
    if name.startswith("gradient:"):
        return f"the gradient in {name.partition(':')[2]}"
    return LABELS.get(name, name.replace("_", " "))


def failure_message(checked: CheckedAnswers) -> str:
    """The task, what was seen in the plainest case that failed, and what to try."""
    test, failed = checked.test, checked.failed
    first = min(failed, key=lambda r: r.case)  # of one case, the first in the order of the test's checks
    case = checked.cases[first.case]
    tip = test.tips.get(first.name) or test.tips.get("") or ANY_TIP
    if first.name == "error":
        error = checked.answers[first.case].error or {}
        seen = RAISED.format(about=case.about, error=_builtin_name(error))
        tip = hint_for(str(error.get("text", ""))) or RAISED_TIP
    elif first.name == "refusal":
        seen = NO_REFUSAL.format(about=case.about, error=test.expected_error(case))
    elif all(r.kind == "gradient" for r in failed):
        template = NO_GRADIENT if first.fault == "missing" else ONLY_GRADIENT
        seen = template.format(about=case.about, label=label(first.name))
    else:
        seen = SEEN[first.fault].format(about=case.about, label=label(first.name))
    return with_task(test.task, seen_and_tip(seen, tip))


def _builtin_name(error: Mapping[str, str]) -> str:
    """The name of a built-in exception. Any other name may be a student's text and is left out."""
    import builtins

    name = error.get("type", "")
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    return name if isinstance(kind, type) and issubclass(kind, BaseException) else "an exception"
