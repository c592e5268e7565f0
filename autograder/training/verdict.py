"""What a training item gets: why it was not run, or what its outcome means for the rubric. Nothing in here
imports torch, so that a notebook without loops does not wait for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from assignment.registry import Spec, Thresholds
from autograder.core.messages import seen_and_tip, with_task
from autograder.core.records import Answers, ItemResult, SuccessCriterion
from autograder.training.outcome import Failure, Outcome
from autograder.training.symptoms import named

NOT_ATTEMPTED = seen_and_tip("{loop} ({slot}) is not written yet, so this was not run.", "Write {loop} first.")
ENDLESS = seen_and_tip(
    "{loop} ({slot}) did not finish in its own test, so this was not run.", "Look for an endless loop."
)
BROKEN = seen_and_tip("{loop} ({slot}) cannot be read, so this was not run.", "See the message of {slot}.")
# What an item has to reach, as text.
THRESHOLDS: dict[str, Callable[[Thresholds], str]] = {
    "sft_loss_trend": lambda bars: (
        f"at most {bars.sft_loss_trend.final_ratio_max:g} of the start, falling with p ≤ "
        f"{bars.sft_loss_trend.p_max:g}, only answers learned"
    ),
    "rm_accuracy": lambda bars: (
        f"{bars.rm_accuracy.confidence:.0%} interval above {bars.rm_accuracy.lower_bound_min:.0%}, "
        "this run's preferences learned, the question read"
    ),
    "ppo_reward": lambda bars: (
        f"gain of at least {bars.ppo_reward.gain_min:g}, p ≤ {bars.ppo_reward.p_max:g}, "
        f"true quality up by {bars.ppo_reward.gold_gain_min:g}, this run's reward learned"
    ),
    "ppo_kl": lambda bars: (
        f"{bars.ppo_kl.min:g} to {bars.ppo_kl.max:g} nats per sequence, this run's reward learned"
    ),
    "comparison": lambda bars: (
        f"every field as recomputed, RLHF above SFT by more than {bars.comparison.rlhf_gain_min:g}"
    ),
}


def not_run(spec: Spec, item: str, answers: Answers, results: Mapping[str, ItemResult]) -> Failure | None:
    """Why a training item is not run at all: its loop is missing, blank, broken or endless. None if it is due."""
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
    spec: Spec, bars: Thresholds, item: str, found: Outcome | Failure, replaced: tuple[str, ...] = ()
) -> ItemResult:
    """An item's result. bars: what it had to reach; replaced: slots whose reference took part."""
    message = found.message
    if found.status not in ("passed", "not_gradable"):
        message = with_task(f"{spec.items[item].title} ({THRESHOLDS[item](bars)}).", message)
    share = 0.0 if isinstance(found, Failure) else found.share
    criterion = _criterion(item, found, bars) if item in spec.success_criteria else None
    return ItemResult(item, found.status, share, message, named(item, found), found.evidence, replaced, criterion)


def _criterion(item: str, found: Outcome | Failure, bars: Thresholds) -> SuccessCriterion:
    """The item as a success criterion; only a failure of ours leaves it open."""
    if isinstance(found, Failure):
        met, value = (None if found.status == "not_gradable" else False), "not measured"
    else:
        met, value = found.passed, found.value
    return SuccessCriterion(item, met, value, THRESHOLDS[item](bars))
