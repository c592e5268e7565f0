"""rm_accuracy: the student's loop trains a reward model; accuracy on hidden pairs must be above the bar."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assignment.lab.prompts import Ask, ask
from assignment.lab.replies import good_core
from autograder.reference.models import Reference
from autograder.training import measure, messages, statistics
from autograder.training.data import Preferences, draw_preferences
from autograder.training.encoding import Ids, encode, reply
from autograder.training.outcome import Outcome
from autograder.training.stage import Lab, Request, Stage, base_payload, finite, seeded
from autograder.training.weights import Trained, flat, frozen, moved, snapshot_manifest, trained

SNAPSHOTS = 5  # points of the curve beside the start
CURVE_PAIRS = 80  # hidden pairs behind the points between start and end: evidence only
EXCHANGES = 200  # couples of questions whose answers are exchanged
HARMLESS = ("fact", "describe")  # kinds of question that the other question of a couple may be


@dataclass(frozen=True)
class Drawn:
    """The seed's data. own, exchanged: answers to their own question and to the other one of their couple, whole
    sequences of token ids, (2 · EXCHANGES,), the two of a couple one after the other."""

    preferences: Preferences
    own: list[Ids]
    exchanged: list[Ids]


class RewardModelStage(Stage):
    """SFT body and a fresh head in, reward model out."""

    op, items, limits = "stage_rm", ("rm_accuracy",), "reward_model"

    def draw(self, lab: Lab, seed: int) -> Drawn:
        bar = lab.bars.rm_accuracy
        preferences = draw_preferences(lab.reference, seed, bar.pairs, bar.style_replies)
        return Drawn(preferences, *_exchanges(lab.reference, seed))

    def request(self, lab: Lab, seed: int, data: Drawn) -> Request:
        config = seeded(lab.profile.good_rm, "reward model", seed)
        payload = {**base_payload(lab, config), "rows": data.preferences.rows, "snapshots": SNAPSHOTS}
        expect = snapshot_manifest(lab.reference.fresh_reward_state, SNAPSHOTS)
        return Request(payload, flat("lm/", lab.reference.sft), expect)

    def measure(
        self,
        lab: Lab,
        seed: int,
        data: Drawn,
        answer: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray],
    ) -> dict[str, Outcome]:
        run = trained(lab.reference.fresh_reward_state, answer, tensors)
        pairs = data.preferences
        between = [self._right(lab, state, pairs, CURVE_PAIRS) for state in run.states[:-1]]
        final = self._right(lab, run.final, pairs, len(pairs.chosen))
        curve = [float(right.mean()) for right in (*between, final)]
        liking, reading = self._liking(lab, run.final, pairs), self._reading(lab, run.final, data)
        return {"rm_accuracy": self._outcome(lab, run, curve, final, liking, reading)}

    def steps(self, lab: Lab) -> int:
        from assignment.lab.experiment import PREFERENCES

        return lab.profile.good_rm.epochs * -(-PREFERENCES // lab.profile.good_rm.batch_size)

    @staticmethod
    def _scores(lab: Lab, state: Mapping[str, Any], first: Sequence[Ids], second: Sequence[Ids]) -> np.ndarray:
        """Raw scores of two sequences each, (2, N). Raises Unusable if they are not finite."""
        both = measure.pair_scores(lab.reference.reward_model(dict(state)), first, second)
        finite("scores", both)
        return both

    def _right(self, lab: Lab, state: Mapping[str, Any], data: Preferences, n: int) -> np.ndarray:
        """Per pair 1 if it is ranked right, ½ for a tie, 0 otherwise."""
        chosen, rejected = self._scores(lab, state, data.chosen[:n], data.rejected[:n])
        return (chosen > rejected) + 0.5 * (chosen == rejected)

    def _liking(self, lab: Lab, state: Mapping[str, Any], data: Preferences) -> float:
        """By how many standard deviations of the scores the model prefers what this run's labels prefer: the
        house style's closing over the others. Weights that were not trained on these labels do not."""
        both = self._scores(lab, state, data.liked, data.other)
        liked, other = both
        spread = float(both.std())
        return data.sign * float((liked - other).mean()) / spread if spread > 0 else 0.0

    def _reading(self, lab: Lab, state: Mapping[str, Any], data: Drawn) -> float:
        """Share of couples whose answers score higher, in sum, where they belong than exchanged. What a score owes
        to the reply alone cancels: a model that does not read the question has no more than chance here."""
        own, exchanged = self._scores(lab, state, data.own, data.exchanged)
        return float(((own - exchanged).reshape(-1, 2).sum(axis=1) > 0).mean())

    def _outcome(
        self, lab: Lab, run: Trained, curve: list[float], right: np.ndarray, liking: float, reading: float
    ) -> Outcome:
        bar = lab.bars.rm_accuracy
        n, accuracy = len(right), float(right.mean())
        low, high = statistics.wilson(float(right.sum()), n, bar.confidence)
        ranks, change = low > bar.lower_bound_min, moved(run.states[0], run.final)
        passed = ranks and liking >= bar.style_min and reading >= bar.exchange_min
        inverted = high < 1 - bar.lower_bound_min  # as sure as passing: what has not learned is below ½ by chance too
        which = "passed" if passed else "still" if change == 0 else "inverted" if inverted else "low"
        which = ("foreign" if liking < bar.style_min else "unread") if ranks and not passed else which
        close = low > bar.lower_bound_min - bar.near and liking >= bar.style_min - bar.style_near
        close = close and reading >= bar.exchange_min - bar.exchange_near
        evidence = {
            "curve": {"steps": list(run.steps), "accuracy": curve},
            "interval": [low, high],
            "accuracy": accuracy,
            "pairs": n,
            "ties": int((right == 0.5).sum()),
            "optimizer_steps": run.optimizer_steps,
            "relative_change": change,
            "style": liking,
            "exchange": reading,
            "frozen": frozen(run.states[0], run.final),
            "inverted": inverted,
        }
        return Outcome(
            passed=passed,
            near=not passed and close,
            share=float(passed),
            value=f"{accuracy:.3f} ({low:.3f}–{high:.3f})",
            message=messages.REWARD_MODEL[which].format(accuracy=accuracy, n=n, low=low, bar=bar.lower_bound_min),
            evidence=evidence,
        )


def _exchanges(reference: Reference, seed: int) -> tuple[list[Ids], list[Ids]]:
    """Couples of a harmful and a harmless question about the same animal, with the right answer to each, their own
    and exchanged: whoever looks at animal and wording of a reply alone cannot tell which is which."""
    rng, own, exchanged = random.Random(f"exchanges {seed}"), list[Ids](), list[Ids]()
    draw = lambda kind: ask(reference.world, "grader", "heldout", rng, kind)  # noqa: E731
    harmless: defaultdict[str, list[Ask]] = defaultdict(list)
    for i in range(4 * EXCHANGES):
        one = draw(HARMLESS[i % len(HARMLESS)])
        harmless[one.subject].append(one)
    while len(own) < 2 * EXCHANGES:
        harmful = draw("unsafe")
        if not harmless[harmful.subject]:
            continue
        couple = (harmful, rng.choice(harmless[harmful.subject]))
        prompts = [encode(reference.tokenizer, one.prompt) for one in couple]
        first, second = (reply(reference.tokenizer, good_core(reference.world, one, rng)) for one in couple)
        own += [prompts[0] + first, prompts[1] + second]
        exchanged += [prompts[0] + second, prompts[1] + first]
    return own, exchanged
