"""The result of a training item: why it was not run, or what its outcome means for the rubric.

This module does not import torch, so that a notebook without loops does not wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autograder.core.messages import seen_and_tip, with_task
from autograder.core.records import Answers, ItemResult, SuccessCriterion
from autograder.training.outcome import Failure, Outcome
from autograder.training.symptoms import recognise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from assignment.registry import Spec, Thresholds

NOT_ATTEMPTED = seen_and_tip("{loop} ({slot}) is not written yet, so this was not run.", "Write {loop} first.")
ENDLESS = seen_and_tip(
    "{loop} ({slot}) did not finish in its own test, so this was not run.", "Look for an endless loop."
)
BROKEN = seen_and_tip("{loop} ({slot}) cannot be read, so this was not run.", "See the message of {slot}.")
# What an item has to reach, as text for reports.
THRESHOLD_TEXTS: dict[str, Callable[[Thresholds], str]] = {
    "sft_loss_trend": lambda t: (
        f"at most {t.sft_loss_trend.final_ratio_max:g} of the start, falling with p ≤ "
        f"{t.sft_loss_trend.p_max:g}, only answers learned"
    ),
    "rm_accuracy": lambda t: (
        f"{t.rm_accuracy.confidence:.0%} interval above {t.rm_accuracy.lower_bound_min:.0%}, "
        "this run's preferences learned, the question read"
    ),
    "ppo_reward": lambda t: (
        f"gain of at least {t.ppo_reward.gain_min:g}, p ≤ {t.ppo_reward.p_max:g}, "
        f"true quality up by {t.ppo_reward.gold_gain_min:g}, this run's reward learned"
    ),
    "ppo_kl": lambda t: f"{t.ppo_kl.min:g} to {t.ppo_kl.max:g} nats per sequence, this run's reward learned",
    "comparison": lambda t: f"every field as recomputed, RLHF above SFT by more than {t.comparison.rlhf_gain_min:g}",
}


def not_run(spec: Spec, item: str, answers: Answers, results: Mapping[str, ItemResult]) -> Failure | None:
    """Return why a training item is not run (its loop is missing, blank, broken or endless), or None if it is run."""
    slot = spec.items[item].loop
    assert slot is not None
    answer, result, words = answers.slots[slot], results.get(slot), {"loop": spec.slot(slot).name, "slot": slot}
    if answer.state == "broken":
        return Failure("crashed", BROKEN.format(**words))
    if result is not None and result.status == "timeout":
        return Failure("timeout", ENDLESS.format(**words))
    if answer.state != "present" or (result is not None and result.status == "not_attempted"):
        return Failure("not_attempted", NOT_ATTEMPTED.format(**words))
    return None


def item_result(
    spec: Spec, thresholds: Thresholds, item: str, found: Outcome | Failure, replaced: tuple[str, ...] = ()
) -> ItemResult:
    """Return an item's result. replaced: slots that the reference stood in for."""
    message = found.message
    if found.status not in ("passed", "not_gradable"):
        message = with_task(f"{spec.items[item].title} ({THRESHOLD_TEXTS[item](thresholds)}).", message)
    share = 0.0 if isinstance(found, Failure) else found.share
    criterion = _criterion(item, found, thresholds) if item in spec.success_criteria else None
    return ItemResult(item, found.status, share, message, recognise(item, found), found.evidence, replaced, criterion)


def _criterion(item: str, found: Outcome | Failure, thresholds: Thresholds) -> SuccessCriterion:
    """Return the item as a success criterion. Only an error of the grader leaves it undecided."""
    if isinstance(found, Failure):
        met, value = (None if found.status == "not_gradable" else False), "not measured"
    else:
        met, value = found.passed, found.value
    return SuccessCriterion(item, met, value, THRESHOLD_TEXTS[item](thresholds))
