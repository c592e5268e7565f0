"""Hidden tests of the formulas of PPO: T10 (log-probabilities), T11 (rewards), T12 (GAE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autograder.slots.hidden_tests.base import (
    Case,
    CaseAnswer,
    Check,
    HiddenTest,
    check_numbers,
    float64,
    hidden_test,
    lengths_to_mask,
    normal,
)
from autograder.slots.oracles import losses, ppo

if TYPE_CHECKING:
    from collections.abc import Mapping


@hidden_test("T10", oracle=losses.token_logprobs)
class TokenLogprobs(HiddenTest):
    """T10: values, and the gradient of a weighted sum."""

    task = "The log-probability of each given token, logits[:, t] scoring tokens[:, t]."
    tips: ClassVar[Mapping[str, str]] = {
        "logprobs": "At one position, look at logits.log_softmax(-1): which entry is the token's?",
        "gradient": "The log-probabilities must keep their graph: the policy learns through them.",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw ordinary logits, shifted ones, a single row, a single column, huge ones."""
        vocab = int(rng.integers(11, 17))

        def case(about: str, rows: int, width: int, scale: float = 1.0, shift: float = 0.0) -> Case:
            return Case(
                about,
                tensors={
                    "logits": normal(rng, rows, width, vocab, scale=scale) + np.float32(shift),
                    "tokens": rng.integers(0, vocab, size=(rows, width)),
                    "weights": normal(rng, rows, width),
                },
            )

        return [
            case("a batch of three sequences", 3, 7, 1.5),
            case("logits with a constant added", 2, 5, 1.0, float(rng.uniform(4, 6))),
            case("a single sequence", 1, 6),
            case("a single position", 4, 1),
            case("logits of several hundred", 2, 4, 200.0),
        ]

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Compare values and gradient."""
        value, gradient = losses.token_logprobs(
            *(float64(case.tensors["logits"]), case.tensors["tokens"], float64(case.tensors["weights"]))
        )
        return [check_numbers(answer, "logprobs", value), check_numbers(answer, "gradient", gradient, kind="gradient")]


def runs(rng: np.random.Generator, rows: int, width: int, *, full: bool = False) -> np.ndarray:
    """A response mask (rows, width) with one run per row: one ends at the right edge, one is a single token, others are
    random. full: every run fills its row."""
    if full:
        return lengths_to_mask([0] * rows, [width] * rows, width)
    starts = rng.integers(0, width - 4, size=rows)
    lengths = rng.integers(2, width - starts)
    starts[0] = 2
    lengths[0] = width - 2
    if rows > 2:
        lengths[1] = 1
        starts[2], lengths[2] = 0, width - 3
    return lengths_to_mask(starts, lengths, width)


@hidden_test("T11", oracle=ppo.shape_rewards)
class ShapeRewards(HiddenTest):
    """T11: every entry is compared, also outside the mask."""

    task = "Per-token rewards: minus beta times the log-ratio on response tokens, the score at the last of them."
    tips: ClassVar[Mapping[str, str]] = {
        "rewards": "Draw one row with a prompt, a reply and padding: which column gets the score, which the "
        "penalty, with which sign, and which stay zero?"
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw replies at several offsets with noise outside them, full rows, penalties of several sizes, one row."""

        def case(about: str, rows: int, width: int, beta: float, full: bool = False) -> Case:
            tensors = {
                "scores": normal(rng, rows, scale=1.5),
                "logprobs": -np.abs(normal(rng, rows, width)),
                "ref_logprobs": -np.abs(normal(rng, rows, width)),
                "mask": runs(rng, rows, width, full=full),
            }
            return Case(about, {"beta": beta}, tensors)

        return [
            case("replies of different lengths at different offsets", 5, 9, float(rng.uniform(0.2, 0.4))),
            case("replies that fill their rows", 3, 6, float(rng.uniform(0.5, 0.9)), full=True),
            case("beta = 0", 4, 8, 0.0),
            case("a large beta", 4, 7, float(rng.uniform(2, 3))),
            case("a single reply", 1, 7, float(rng.uniform(0.2, 0.4))),
        ]

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Compare the rewards."""
        given = {name: float64(x) for name, x in case.tensors.items()}
        return [check_numbers(answer, "rewards", ppo.shape_rewards(**given, beta=case.args["beta"]))]


@hidden_test("T12", oracle=ppo.gae)
class GAE(HiddenTest):
    """T12: advantages and returns are compared, also outside the mask."""

    task = "Generalised advantage estimation: raw advantages, and returns = advantages + values."
    tips: ClassVar[Mapping[str, str]] = {
        "advantages": "Work one row of three tokens out backwards by hand; then lambda = 0 must give the "
        "TD error and lambda = 1 the reward to go minus the value.",
        "returns": "A return is what the value should have predicted: the advantage plus the old value.",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw replies at several offsets with values outside the mask, full rows, lambda 0 and 1, no discount."""

        def case(about: str, rows: int, width: int, gamma: float, lam: float, full: bool = False) -> Case:
            mask = runs(rng, rows, width, full=full)
            tensors = {"rewards": normal(rng, rows, width) * mask, "values": normal(rng, rows, width), "mask": mask}
            return Case(about, {"gamma": gamma, "lam": lam}, tensors)

        gamma, lam = float(rng.uniform(0.85, 0.9)), float(rng.uniform(0.6, 0.75))
        return [
            case("replies of different lengths at different offsets", 5, 9, gamma, lam),
            case("replies that fill their rows", 3, 6, gamma, lam, full=True),
            case("lambda = 0", 4, 8, gamma, 0.0),
            case("lambda = 1", 4, 7, gamma, 1.0),
            case("gamma = 1", 4, 8, 1.0, lam),
            case("a single reply", 1, 7, gamma, lam),
        ]

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Compare both arrays."""
        given = {name: float64(x) for name, x in case.tensors.items()}
        advantages, returns = ppo.gae(**given, gamma=case.args["gamma"], lam=case.args["lam"])
        return [check_numbers(answer, "advantages", advantages), check_numbers(answer, "returns", returns)]


def ppo_settings(rng: np.random.Generator, **changes: Any) -> dict[str, Any]:
    """A PPOConfig as JSON whose numbers all differ."""
    return {
        "steps": 1,
        "rollouts": 4,
        "ppo_epochs": 1,
        "minibatch_size": 4,
        "learning_rate": 0.05,
        "warmup_steps": 3,
        "beta": float(rng.uniform(0.1, 0.3)),
        "max_new_tokens": 7,
        "betas": [0.75, 0.93],
        "eps": 0.01,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "gamma": float(rng.uniform(0.85, 0.9)),
        "lam": float(rng.uniform(0.6, 0.75)),
        "clip_range": float(rng.uniform(0.15, 0.25)),
        "value_clip": float(rng.uniform(0.3, 0.4)),
        "value_coef": float(rng.uniform(0.5, 0.7)),
        "seed": 3,
        **changes,
    }
