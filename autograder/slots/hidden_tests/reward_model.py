"""Hidden tests of the reward model's loss (T07), accuracy (T08) and loop (T09)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from autograder.slots.hidden_tests.base import (
    RTOL,
    Case,
    CaseAnswer,
    Check,
    HiddenTest,
    check_numbers,
    float64,
    hidden_test,
    normal,
)
from autograder.slots.hidden_tests.loops import SupervisedLoop, loop_config
from autograder.slots.hidden_tests.reward_forward import pad
from autograder.slots.oracles import losses, replay

if TYPE_CHECKING:
    from collections.abc import Mapping


@hidden_test("T07", oracle=losses.bradley_terry)
class BradleyTerry(HiddenTest):
    """T07: the loss and both gradients."""

    task = "The Bradley-Terry loss: the mean of -log sigmoid(chosen - rejected - margin)."
    tips: ClassVar[Mapping[str, str]] = {
        "loss": "Put two scores into the formula by hand, once with a margin, once with a gap of a hundred.",
        "gradient_chosen": "Which way should training move the score of the chosen reply?",
        "gradient_rejected": "Which way should training move the score of the rejected reply?",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw ordinary pairs, one pair, a margin, scores far from zero, gaps of hundreds."""

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
        """Compare the loss and both gradients."""
        chosen, rejected = float64(case.tensors["chosen"]), float64(case.tensors["rejected"])
        loss, first, second = losses.bradley_terry(chosen, rejected, case.args.get("margin", 0.0))
        return [
            check_numbers(answer, "loss", loss),
            check_numbers(answer, "gradient_chosen", first, kind="gradient"),
            check_numbers(answer, "gradient_rejected", second, kind="gradient"),
        ]


@hidden_test("T08", oracle=losses.preference_accuracy)
class PreferenceAccuracy(HiddenTest):
    """T08: one number."""

    task = "The share of pairs whose chosen reply has the higher score; a tie is one half."
    tips: ClassVar[Mapping[str, str]] = {"accuracy": "Count by hand on four pairs: one right, one wrong, two ties."}

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw pairs without ties, with few and with many; scores of either sign."""

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
        """Compare the accuracy."""
        share = losses.preference_accuracy(float64(case.tensors["chosen"]), float64(case.tensors["rejected"]))
        return [check_numbers(answer, "accuracy", share, rtol=RTOL, floor=1e-6)]


@hidden_test("T09", oracle=replay.train_reward_model)
class TrainRewardModel(SupervisedLoop):
    """T09, on a table of scores with a head."""

    task = "The reward model's loop: AdamW, warm-up, clipping after backward, one update per batch and epoch."

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw random pairs; chosen and rejected replies are padded to different widths."""
        return [self._case(rng, "two epochs over three batches", 3, 2), self._case(rng, "one epoch over four", 4, 1)]

    def _case(self, rng: np.random.Generator, about: str, count: int, epochs: int) -> Case:
        vocab = int(rng.integers(7, 10))
        batches = [self._batch(rng, vocab, int(rng.integers(3, 7))) for _ in range(count)]
        head = rng.uniform(0.6, 0.9) * rng.choice([-1.0, 1.0])  # of either sign
        start = {"transformer.weight": normal(rng, vocab, 1), "score.weight": np.full((1, 1), head, np.float32)}
        return self.assemble(about, start, batches, loop_config(rng, epochs=epochs))

    @staticmethod
    def _batch(rng: np.random.Generator, vocab: int, rows: int) -> dict[str, np.ndarray]:
        batch = {}
        for name in ("chosen", "rejected"):
            seqs = [rng.integers(2, vocab, size=int(rng.integers(3, 9))).tolist() for _ in range(rows)]
            batch[f"{name}_input_ids"], batch[f"{name}_attention_mask"] = pad(seqs)
        return batch
