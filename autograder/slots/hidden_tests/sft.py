"""Hidden tests of SFT: T04 (the loss) and T05 (the training loop)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from autograder.slots.hidden_tests.base import (
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
from autograder.slots.oracles import losses, replay

if TYPE_CHECKING:
    from collections.abc import Mapping

IGNORE = losses.IGNORE


@hidden_test("T04", oracle=losses.sft_loss)
class SFTLoss(HiddenTest):
    """T04: the loss and its gradient."""

    task = "Cross-entropy of the next token, as a mean over the supervised tokens."
    tips: ClassVar[Mapping[str, str]] = {
        "loss": "Work out two rows of different lengths by hand: what is divided by what, and which logits "
        "score which label?",
        "gradient": "The loss must keep its graph: no detach, no .item(), no torch.no_grad() on the way.",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw rows of different lengths, padding on either side, one row, huge logits, no supervised token."""
        vocab = int(rng.integers(11, 17))

        def case(about: str, rows: list[tuple[int, int]], width: int, scale: float = 1.0) -> Case:
            """rows: for each, the first supervised position and one after the last."""
            labels = np.full((len(rows), width), IGNORE, dtype=np.int64)
            for i, (start, end) in enumerate(rows):
                labels[i, start:end] = rng.integers(0, vocab, size=end - start)
            return Case(about, tensors={"logits": normal(rng, len(rows), width, vocab, scale=scale), "labels": labels})

        cut = int(rng.integers(2, 5))
        return [
            case("a batch of three sequences of different lengths", [(2, 9), (4, 7), (1, 3)], 9, 1.5),
            case("a batch whose first token is supervised", [(0, 5), (0, 7)], 8),
            case("a batch padded on the left", [(6, 10), (cut, 10)], 10),
            case("a single sequence", [(cut, 7)], 7),
            case("logits of several hundred", [(1, 6), (2, 4)], 6, 200.0),
            case("a batch without a supervised token", [(0, 0), (0, 0)], 5),
        ]

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Compare loss and gradient. Without a supervised token, a loss that has no gradient is right too."""
        logits, labels = float64(case.tensors["logits"]), case.tensors["labels"]
        loss, gradient = losses.sft_loss(logits, labels)
        found = [check_numbers(answer, "loss", loss)]
        if (labels[:, 1:] != IGNORE).any() or "gradient" in answer.tensors:
            found.append(check_numbers(answer, "gradient", gradient, kind="gradient"))
        return found


@hidden_test("T05", oracle=replay.train_sft)
class TrainSFT(SupervisedLoop):
    """T05, on a bigram model."""

    task = "The SFT loop: AdamW with warm-up, clipping after backward, one update per batch and epoch."

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw random batches, with a clip norm between the gradients' norms."""
        return [self._case(rng, "two epochs over three batches", 3, 2), self._case(rng, "one epoch over five", 5, 1)]

    def _case(self, rng: np.random.Generator, about: str, count: int, epochs: int) -> Case:
        vocab = int(rng.integers(9, 13))
        batches = [self._batch(rng, vocab, int(rng.integers(2, 5)), int(rng.integers(6, 10))) for _ in range(count)]
        start = {"weight": normal(rng, vocab, vocab)}
        return self.assemble(about, start, batches, loop_config(rng, epochs=epochs))

    @staticmethod
    def _batch(rng: np.random.Generator, vocab: int, rows: int, width: int) -> dict[str, np.ndarray]:
        """Draw a batch padded on the right whose supervised part begins at a random position."""
        ids = rng.integers(2, vocab, size=(rows, width))
        mask = np.ones((rows, width), dtype=np.int64)
        labels = ids.copy()
        for row in range(rows):
            start, end = int(rng.integers(1, width - 3)), int(rng.integers(width - 2, width + 1))
            labels[row, :start] = labels[row, end:] = IGNORE
            ids[row, end:], mask[row, end:] = 1, 0
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}
