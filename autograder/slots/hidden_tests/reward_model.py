"""Hidden tests of the reward model's loss (T07), accuracy (T08) and loop (T09)."""

from __future__ import annotations

import numpy as np

from autograder.slots.hidden_tests.base import (
    RTOL,
    Case,
    CaseAnswer,
    Check,
    HiddenTest,
    exact,
    hidden_test,
    normal,
    numbers,
)
from autograder.slots.hidden_tests.loops import Supervised, loop_config
from autograder.slots.hidden_tests.reward_forward import pad
from autograder.slots.oracles import losses, replay


@hidden_test("T07", oracle=losses.bradley_terry)
class BradleyTerry(HiddenTest):
    """T07."""

    asks = "The Bradley-Terry loss: the mean of -log sigmoid(chosen - rejected - margin)."
    tips = {
        "loss": "Put two scores into the formula by hand, once with a margin, once with a gap of a hundred.",
        "gradient_chosen": "Which way should training move the score of the chosen reply?",
        "gradient_rejected": "Which way should training move the score of the rejected reply?",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Good and bad pairs, one pair, a margin, gaps of hundreds, a shift common to both scores."""

        def case(about: str, count: int, scale: float = 1.0, shift: float = 0.0, **args: float) -> Case:
            scores = {name: normal(rng, count, scale=scale) + np.float32(shift) for name in ("chosen", "rejected")}
            return Case(about, args, scores)

        large = normal(rng, 6)
        gaps = large + np.array([150, -150, 400, -90, 30, -30], dtype=np.float32)
        return [
            case("a batch of seven pairs", 7, 1.4),
            case("a single pair", 1),
            case("a batch with a margin", 5, 1.0, margin=float(rng.uniform(0.4, 0.9))),
            case("scores far from zero", 9, 1.0, shift=float(rng.uniform(3, 5))),
            Case("pairs with gaps of hundreds", {}, {"chosen": gaps, "rejected": large}),
        ]

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """The loss and both gradients."""
        chosen, rejected = exact(case.tensors["chosen"]), exact(case.tensors["rejected"])
        loss, first, second = losses.bradley_terry(chosen, rejected, case.args.get("margin", 0.0))
        return [
            numbers(answer, "loss", loss),
            numbers(answer, "gradient_chosen", first, kind="gradient"),
            numbers(answer, "gradient_rejected", second, kind="gradient"),
        ]


@hidden_test("T08", oracle=losses.preference_accuracy)
class PreferenceAccuracy(HiddenTest):
    """T08."""

    asks = "The share of pairs whose chosen reply has the higher score; a tie is one half."
    tips = {"accuracy": "Count by hand on four pairs: one right, one wrong, two ties."}

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """No ties, few, many, only; scores of either sign."""

        def case(about: str, gaps: np.ndarray) -> Case:
            rejected = np.round(normal(rng, len(gaps)), 1)
            return Case(about, {}, {"chosen": (rejected + gaps).astype(np.float32), "rejected": rejected})

        def gaps(right: int, wrong: int, tied: int) -> np.ndarray:
            size = rng.uniform(0.5, 2.0, right + wrong + tied)
            sign = np.repeat([1.0, -1.0, 0.0], [right, wrong, tied])
            return rng.permutation(size * sign)

        return [
            case("pairs without ties", gaps(int(rng.integers(5, 9)), 4, 0)),
            case("pairs with a few ties", gaps(3, int(rng.integers(4, 7)), 2)),
            case("pairs with many ties", gaps(2, 1, int(rng.integers(5, 9)))),
            case("a single pair, ranked wrong", gaps(0, 1, 0)),
            case("pairs that are all right", gaps(5, 0, 0)),
        ]

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """One number."""
        share = losses.preference_accuracy(exact(case.tensors["chosen"]), exact(case.tensors["rejected"]))
        return [numbers(answer, "accuracy", share, rtol=RTOL, floor=1e-6)]


@hidden_test("T09", oracle=replay.train_reward_model)
class TrainRewardModel(Supervised):
    """T09."""

    asks = "The reward model's loop: AdamW, warm-up, clipping after backward, one update per batch and epoch."

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """A table of scores and a head on random pairs; chosen and rejected are of different width."""
        return [
            self._case(rng, "two epochs over three batches", 3, 2),
            self._case(rng, "one epoch over four", 4, 1),
        ]

    def _case(self, rng: np.random.Generator, about: str, count: int, epochs: int) -> Case:
        vocab = int(rng.integers(7, 10))
        batches = [self._batch(rng, vocab, int(rng.integers(3, 7))) for _ in range(count)]
        head = rng.uniform(0.6, 0.9) * rng.choice([-1.0, 1.0])  # of either sign: no step has to be small
        start = {"transformer.weight": normal(rng, vocab, 1), "score.weight": np.full((1, 1), head, np.float32)}
        return self.assemble(about, start, batches, loop_config(rng, epochs=epochs))

    @staticmethod
    def _batch(rng: np.random.Generator, vocab: int, rows: int) -> dict[str, np.ndarray]:
        batch = {}
        for name in ("chosen", "rejected"):
            seqs = [rng.integers(2, vocab, size=int(rng.integers(3, 9))).tolist() for _ in range(rows)]
            batch[f"{name}_input_ids"], batch[f"{name}_attention_mask"] = pad(seqs)
        return batch
