"""rm_accuracy: the student's loop trains a reward model; accuracy on hidden pairs must be above the bar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from autograder.training import measure, messages, statistics
from autograder.training.data import Preferences, draw_preferences
from autograder.training.outcome import Outcome
from autograder.training.stage import Lab, Request, Stage, base_payload, finite, seeded
from autograder.training.weights import Trained, flat, frozen, moved, snapshot_manifest, trained

SNAPSHOTS = 5  # points of the curve beside the start
CURVE_PAIRS = 80  # hidden pairs behind the points between start and end: evidence only


class RewardModelStage(Stage):
    """SFT body and a fresh head in, reward model out."""

    op, items, limits = "stage_rm", ("rm_accuracy",), "reward_model"

    def draw(self, lab: Lab, seed: int) -> Preferences:
        bar = lab.bars.rm_accuracy
        return draw_preferences(lab.reference, seed, bar.pairs, bar.style_replies)

    def request(self, lab: Lab, seed: int, data: Preferences) -> Request:
        config = seeded(lab.profile.good_rm, "reward model", seed)
        payload = {**base_payload(lab, config), "rows": data.rows, "snapshots": SNAPSHOTS}
        expect = snapshot_manifest(lab.reference.fresh_reward_state, SNAPSHOTS)
        return Request(payload, flat("lm/", lab.reference.sft), expect)

    def measure(
        self,
        lab: Lab,
        seed: int,
        data: Preferences,
        answer: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray],
    ) -> dict[str, Outcome]:
        run = trained(lab.reference.fresh_reward_state, answer, tensors)
        between = [self._right(lab, state, data, CURVE_PAIRS) for state in run.states[:-1]]
        final = self._right(lab, run.final, data, len(data.chosen))
        curve = [float(right.mean()) for right in (*between, final)]
        return {"rm_accuracy": self._outcome(lab, run, curve, final, self._liking(lab, run.final, data))}

    def steps(self, lab: Lab) -> int:
        from assignment.lab.experiment import PREFERENCES

        return lab.profile.good_rm.epochs * -(-PREFERENCES // lab.profile.good_rm.batch_size)

    @staticmethod
    def _right(lab: Lab, state: Mapping[str, Any], data: Preferences, n: int) -> np.ndarray:
        """Per pair 1 if it is ranked right, ½ for a tie, 0 otherwise."""
        model = lab.reference.reward_model(dict(state))
        both = measure.pair_scores(model, data.chosen[:n], data.rejected[:n])
        finite("scores", both)
        chosen, rejected = both
        return (chosen > rejected) + 0.5 * (chosen == rejected)

    @staticmethod
    def _liking(lab: Lab, state: Mapping[str, Any], data: Preferences) -> float:
        """By how many standard deviations of the scores the model prefers what this run's labels prefer: the
        house style's closing over the others. Weights that were not trained on these labels do not."""
        model = lab.reference.reward_model(dict(state))
        both = measure.pair_scores(model, data.liked, data.other)
        finite("scores", both)
        liked, other = both
        spread = float(both.std())
        return data.sign * float((liked - other).mean()) / spread if spread > 0 else 0.0

    def _outcome(self, lab: Lab, run: Trained, curve: list[float], right: np.ndarray, liking: float) -> Outcome:
        bar = lab.bars.rm_accuracy
        n, accuracy = len(right), float(right.mean())
        low, high = statistics.wilson(float(right.sum()), n, bar.confidence)
        ranks, change = low > bar.lower_bound_min, moved(run.states[0], run.final)
        passed = ranks and liking >= bar.style_min
        which = "passed" if passed else "still" if change == 0 else "inverted" if high < 0.5 else "low"
        which = "foreign" if ranks and not passed else which
        close = low > bar.lower_bound_min - bar.near and liking >= bar.style_min - bar.style_near
        evidence = {
            "curve": {"steps": list(run.steps), "accuracy": curve},
            "interval": [low, high],
            "accuracy": accuracy,
            "pairs": n,
            "ties": int((right == 0.5).sum()),
            "optimizer_steps": run.optimizer_steps,
            "relative_change": change,
            "style": liking,
            "frozen": frozen(run.states[0], run.final),
            "inverted": high < 0.5,
        }
        return Outcome(
            passed=passed,
            near=not passed and close,
            share=float(passed),
            value=f"{accuracy:.3f} ({low:.3f}–{high:.3f})",
            message=messages.REWARD_MODEL[which].format(accuracy=accuracy, n=n, low=low, bar=bar.lower_bound_min),
            evidence=evidence,
        )
