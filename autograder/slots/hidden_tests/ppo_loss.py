"""Hidden test of T13, the clipped PPO loss: values, statistics and gradients, on all sides of both clips."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

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
from autograder.slots.hidden_tests.ppo import ppo_settings, runs
from autograder.slots.oracles import ppo

if TYPE_CHECKING:
    from collections.abc import Mapping


@hidden_test("T13", oracle=ppo.ppo_loss)
class PPOLoss(HiddenTest):
    """T13, on ratios and values on every side of the clips."""

    reported_only = frozenset({"policy_loss", "value_loss", "approx_kl", "clip_fraction"})
    task = "The clipped PPO loss with its clipped value loss, as token means, and its statistics."
    tips: ClassVar[Mapping[str, str]] = {
        "loss": "Check the policy loss at ratios .5 and 1.5 with advantages of both signs, then the "
        "value loss, then the mean over response tokens.",
        "policy_loss": "Check ratios .5 and 1.5 with advantages of both signs: which of the two terms counts?",
        "value_loss": "Half of the larger of two squared errors, as a mean over response tokens, not yet "
        "times value_coef.",
        "approx_kl": "The mean over response tokens of old minus new log-probability.",
        "clip_fraction": "The share of response tokens whose ratio is further than clip_range from 1.",
        "gradient_logprobs": "The new log-probabilities carry the gradient; where a token is clipped it is 0.",
        "gradient_values": "The new values carry the gradient, times value_coef.",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw ratios on both sides of the clip with advantages of both signs; full rows; ratios near 1; one row."""

        def case(about: str, rows: int, width: int, spread: float, full: bool = False) -> Case:
            config = ppo_settings(rng)
            while True:
                old, old_values = -np.abs(normal(rng, rows, width)), normal(rng, rows, width)
                tensors = {
                    "logprobs": old + normal(rng, rows, width, scale=spread),
                    "old_logprobs": old,
                    "advantages": normal(rng, rows, width),
                    "old_values": old_values,
                    "values": old_values + normal(rng, rows, width, scale=2 * spread),
                    "returns": normal(rng, rows, width, scale=1.3),
                    "mask": runs(rng, rows, width, full=full),
                }
                # No ratio or value is within float32's rounding of a clip border. Where tokens have moved far, all
                # sides of both clips occur, so that a mistake about any of them shows.
                wide = rows > 1 and spread > 0.3
                if self._expected(config, tensors)["margin"] > 1e-4 and (not wide or _all_sides(config, tensors)):
                    return Case(about, {"config": config}, tensors)

        return [
            case("replies of different lengths at different offsets", 5, 9, 0.4),
            case("replies that fill their rows", 4, 6, 0.4, full=True),
            case("ratios near 1", 4, 8, 0.04),
            case("a single reply", 1, 9, 0.5),
        ]

    @staticmethod
    def _expected(config: dict[str, Any], tensors: dict[str, np.ndarray]) -> dict[str, Any]:
        return ppo.ppo_loss(**{name: float64(x) for name, x in tensors.items()}, config=SimpleNamespace(**config))

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Compare loss, statistics and both gradients. The floor is for means whose terms may cancel."""
        expected = self._expected(dict(case.args["config"]), dict(case.tensors))
        found = [
            check_numbers(answer, name, expected[name], floor=RTOL)
            for name in ("loss", "policy_loss", "value_loss", "approx_kl", "clip_fraction")
        ]
        return found + [
            check_numbers(answer, name, expected[name], kind="gradient")
            for name in ("gradient_logprobs", "gradient_values")
        ]


def _all_sides(config: dict[str, Any], tensors: dict[str, np.ndarray]) -> bool:
    """Whether ratios beyond both ends occur with advantages of both signs, and either value error is ever larger."""
    on = tensors["mask"] > 0
    ratio = np.exp(tensors["logprobs"] - tensors["old_logprobs"])
    step = tensors["values"] - tensors["old_values"]
    near = tensors["old_values"] + np.clip(step, -config["value_clip"], config["value_clip"])
    gap = (near - tensors["returns"]) ** 2 - (tensors["values"] - tensors["returns"]) ** 2
    beyond = (ratio > 1 + config["clip_range"], ratio < 1 - config["clip_range"])
    up = tensors["advantages"] > 0
    corners = [side & sign for side in beyond for sign in (up, ~up)]
    return all((on & corner).any() for corner in [*corners, gap > 0.05, gap < -0.05])
