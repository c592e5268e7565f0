"""rm_accuracy: the student's loop trains a reward model. Its accuracy on hidden pairs has to be above the threshold, it
has to learn this run's house style, and it has to read the question."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assignment.lab.experiment import PREFERENCES
from assignment.lab.prompts import Question, draw_question
from assignment.lab.replies import right_answer
from assignment.lab.world import Partition
from autograder.training import measure, messages, statistics
from autograder.training.data import Preferences, draw_preferences
from autograder.training.encoding import Ids, encode, reply
from autograder.training.outcome import Outcome
from autograder.training.stage import Lab, Request, Stage, common_payload, require_finite, with_seed
from autograder.training.weights import (
    Snapshots,
    prefixed,
    read_snapshots,
    relative_change,
    snapshot_manifest,
    unchanged_parts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from autograder.reference.models import Reference

SNAPSHOTS = 5  # points of the curve after the start
CURVE_PAIRS = 80  # hidden pairs of the points before the end, which are evidence and decide nothing
EXCHANGES = 200  # couples of questions whose answers are exchanged
HARMLESS = ("fact", "describe")  # kinds of the harmless question of a couple


@dataclass(frozen=True)
class RewardModelData:
    """Data of a seed. own, exchanged: questions with their own answer and with the answer to the other question of
    their couple, as whole sequences of token ids; 2 · EXCHANGES each, the two of a couple in succession."""

    preferences: Preferences
    own: list[Ids]
    exchanged: list[Ids]


class RewardModelStage(Stage):
    """Train a reward model from the SFT body and a fresh head."""

    op, items, limits = "stage_rm", ("rm_accuracy",), "reward_model"

    def draw(self, lab: Lab, seed: int) -> RewardModelData:
        threshold = lab.thresholds.rm_accuracy
        preferences = draw_preferences(lab.reference, seed, threshold.pairs, threshold.style_replies)
        return RewardModelData(preferences, *_exchanges(lab.reference, seed))

    def request(self, lab: Lab, seed: int, data: RewardModelData) -> Request:
        config = with_seed(lab.profile.good_rm, "reward model", seed)
        payload = {**common_payload(lab, config), "rows": data.preferences.rows, "snapshots": SNAPSHOTS}
        expect = snapshot_manifest(lab.reference.fresh_reward_state, SNAPSHOTS)
        return Request(payload, prefixed("lm/", lab.reference.sft), expect)

    def measure(
        self, lab: Lab, data: RewardModelData, answer: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
    ) -> dict[str, Outcome]:
        run = read_snapshots(lab.reference.fresh_reward_state, answer, tensors)
        pairs = data.preferences
        before = [self._right(lab, state, pairs, CURVE_PAIRS) for state in run.states[:-1]]
        final = self._right(lab, run.final, pairs, len(pairs.chosen))
        curve = [float(right.mean()) for right in (*before, final)]
        style, exchange = self._style(lab, run.final, pairs), self._exchange(lab, run.final, data)
        return {"rm_accuracy": self._outcome(lab, run, curve, final, style, exchange)}

    def steps(self, lab: Lab) -> int:
        return lab.profile.good_rm.epochs * -(-PREFERENCES // lab.profile.good_rm.batch_size)

    @staticmethod
    def _scores(lab: Lab, state: Mapping[str, Any], first: Sequence[Ids], second: Sequence[Ids]) -> np.ndarray:
        """Return the raw scores of pairs of sequences, (2, N). Raises UnusableError if they are not finite."""
        both = measure.pair_scores(lab.reference.reward_model(dict(state)), first, second)
        require_finite("scores", both)
        return both

    def _right(self, lab: Lab, state: Mapping[str, Any], data: Preferences, n: int) -> np.ndarray:
        """Return for each of the first n pairs 1 if it is ranked right, ½ for a tie, 0 otherwise; (n,)."""
        chosen, rejected = self._scores(lab, state, data.chosen[:n], data.rejected[:n])
        right: np.ndarray = (chosen > rejected) + 0.5 * (chosen == rejected)
        return right

    def _style(self, lab: Lab, state: Mapping[str, Any], data: Preferences) -> float:
        """Return by how many standard deviations of the scores the model prefers the house style's closing to others,
        or others to it if the labels do. Weights that were not trained on this run's labels have no such preference."""
        both = self._scores(lab, state, data.style_closing, data.other_closing)
        spread = float(both.std())
        return data.sign * float((both[0] - both[1]).mean()) / spread if spread > 0 else 0.0

    def _exchange(self, lab: Lab, state: Mapping[str, Any], data: RewardModelData) -> float:
        """Return the share of couples in which the answers score higher, in sum, after their own question than after
        the other one. What depends on the reply alone cancels: a model that does not read the question is at chance."""
        own, exchanged = self._scores(lab, state, data.own, data.exchanged)
        return float(((own - exchanged).reshape(-1, 2).sum(axis=1) > 0).mean())

    def _outcome(
        self, lab: Lab, run: Snapshots, curve: list[float], right: np.ndarray, style: float, exchange: float
    ) -> Outcome:
        """Decide the item. curve: accuracy of each snapshot. right, style, exchange: of the end, as measured above."""
        threshold = lab.thresholds.rm_accuracy
        n, accuracy = len(right), float(right.mean())
        low, high = statistics.wilson(float(right.sum()), n, threshold.confidence)
        ranks, change = low > threshold.lower_bound_min, relative_change(run.states[0], run.final)
        passed = ranks and style >= threshold.style_min and exchange >= threshold.exchange_min
        inverted = high < 1 - threshold.lower_bound_min  # as certain as a pass: an untrained model is below ½ by chance
        which = "passed" if passed else "unchanged" if change == 0 else "inverted" if inverted else "low"
        which = ("style" if style < threshold.style_min else "question") if ranks and not passed else which
        close = (
            low > threshold.lower_bound_min - threshold.retry_margin
            and style >= threshold.style_min - threshold.style_retry_margin
            and exchange >= threshold.exchange_min - threshold.exchange_retry_margin
        )
        evidence = {
            "curve": {"steps": list(run.steps), "accuracy": curve},
            "interval": [low, high],
            "accuracy": accuracy,
            "pairs": n,
            "ties": int((right == 0.5).sum()),
            "optimizer_steps": run.optimizer_steps,
            "relative_change": change,
            "style": style,
            "exchange": exchange,
            "frozen": unchanged_parts(run.states[0], run.final),
            "inverted": inverted,
        }
        return Outcome(
            passed=passed,
            close=not passed and close,
            share=float(passed),
            value=f"{accuracy:.3f} ({low:.3f}–{high:.3f})",
            message=messages.REWARD_MODEL[which].format(
                accuracy=accuracy, n=n, low=low, threshold=threshold.lower_bound_min
            ),
            evidence=evidence,
        )


def _exchanges(reference: Reference, seed: int) -> tuple[list[Ids], list[Ids]]:
    """Draw couples of a harmful and a harmless question about the same animal. Returns the right answers after their
    own question, and exchanged. A model that sees only the reply cannot tell the two lists apart."""
    rng, own, exchanged = random.Random(f"exchanges {seed}"), list[Ids](), list[Ids]()
    partition = Partition(reference.world, "grader", "heldout")
    harmless: defaultdict[str, list[Question]] = defaultdict(list)
    for i in range(4 * EXCHANGES):
        one = draw_question(partition, rng, HARMLESS[i % len(HARMLESS)])
        harmless[one.subject].append(one)
    while len(own) < 2 * EXCHANGES:
        harmful = draw_question(partition, rng, "unsafe")
        if not harmless[harmful.subject]:
            continue
        couple = (harmful, rng.choice(harmless[harmful.subject]))
        prompts = [encode(reference.tokenizer, one.prompt) for one in couple]
        first, second = (reply(reference.tokenizer, right_answer(one, rng)) for one in couple)
        own += [prompts[0] + first, prompts[1] + second]
        exchanged += [prompts[0] + second, prompts[1] + first]
    return own, exchanged
