"""ppo_reward, ppo_kl: the student's PPO loop trains a policy. Reward and gold reward have to rise, with a KL in
range."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autograder.training import measure, messages, statistics
from autograder.training.data import Prompts, draw_prompts
from autograder.training.encoding import Ids, decode
from autograder.training.outcome import Outcome
from autograder.training.stage import Lab, Request, Stage, common_payload, derive_seed, require_finite, with_seed
from autograder.training.weights import (
    Snapshots,
    prefixed,
    read_snapshots,
    relative_change,
    snapshot_manifest,
    unchanged_parts,
)
from rlhf_kit.gold import GoldReward

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autograder.reference.models import State

SNAPSHOTS = 5  # points of the curves after the start
CURVE_PROMPTS = 64  # hidden prompts of the curves, which are evidence and decide nothing
GENERATIONS = 8  # prompts whose replies are shown side by side


@dataclass(frozen=True)
class Sampled:
    """A policy's replies to hidden prompts. reward: of each, (N,). kl: to SFT, nats, (N,). styled: 1 where the reply
    holds the house style's closing, else 0, (N,)."""

    replies: list[Ids]
    reward: np.ndarray
    kl: np.ndarray
    styled: np.ndarray


class PPOStage(Stage):
    """Train a policy from the SFT model on a frozen reward."""

    op, items, limits = "stage_ppo", ("ppo_reward", "ppo_kl"), "ppo"

    def draw(self, lab: Lab, seed: int) -> Prompts:
        return draw_prompts(lab.reference, seed, max(lab.thresholds.ppo_reward.prompts, lab.thresholds.ppo_kl.prompts))

    def request(self, lab: Lab, seed: int, data: Prompts) -> Request:
        config = with_seed(lab.profile.ppo, "ppo", seed)
        payload = {
            **common_payload(lab, config),
            "prompts": data.train,
            "reward": lab.reward_payload(data.style),
            "snapshots": SNAPSHOTS,
        }
        sft = lab.reference.sft
        tensors = {**prefixed("lm/", sft), **prefixed("rm/", lab.reference.rm_good)}
        return Request(payload, tensors, snapshot_manifest(sft, SNAPSHOTS))

    def measure(
        self, lab: Lab, data: Prompts, answer: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
    ) -> dict[str, Outcome]:
        run = read_snapshots(lab.reference.sft, answer, tensors)
        first, last = (self._sample(lab, data, state) for state in (run.states[0], run.final))
        between = [self._sample(lab, data, state, CURVE_PROMPTS) for state in run.states[1:-1]]
        gold = GoldReward(data.records, lab.reference.tokenizer)
        golds = [gold(data.hidden, one.replies).double().numpy() for one in (first, last)]
        reward = self._reward(lab, data, run, [first, *between, last], golds)
        kl = self._kl(lab, last, _style_gain(data, first, last))
        both = {"gain": reward.evidence["gain"], "optimizer_steps": run.optimizer_steps}
        return {"ppo_reward": reward, "ppo_kl": replace(kl, evidence={**kl.evidence, **both})}

    def steps(self, lab: Lab) -> int:
        return lab.profile.ppo.steps * self._updates_per_step(lab)

    @staticmethod
    def _updates_per_step(lab: Lab) -> int:
        """Return how many optimiser steps follow each phase of rollouts."""
        ppo = lab.profile.ppo
        return ppo.ppo_epochs * -(-ppo.rollouts // ppo.minibatch_size)

    @staticmethod
    def _sample(lab: Lab, data: Prompts, state: State, n: int | None = None) -> Sampled:
        """Sample a snapshot's replies to the first n prompts (all, if None), with random numbers that all snapshots
        share."""
        lm, prompts = lab.language_model(state), data.hidden[:n]
        replies = measure.sample_coupled(
            lm,
            prompts,
            lab.profile.ppo.max_new_tokens,
            derive_seed(data.seed, "hidden replies"),
            first_of=len(data.hidden),
        )
        kl = lab.kl_to_sft(lm, prompts, replies)
        require_finite("log-probabilities", kl)
        styled = np.array([data.style.closing in decode(lab.reference.tokenizer, one) for one in replies], dtype=float)
        return Sampled(replies, lab.reward(data.style, prompts, replies), kl, styled)

    def _reward(
        self, lab: Lab, data: Prompts, run: Snapshots, sampled: list[Sampled], golds: list[np.ndarray]
    ) -> Outcome:
        """Decide ppo_reward. sampled: of each snapshot. golds: gold rewards of the first and of the last."""
        threshold = lab.thresholds.ppo_reward
        before, after = sampled[0].reward, sampled[-1].reward
        test = statistics.paired_gain(before, after)
        gold_gain = float((golds[1] - golds[0]).mean())
        rises = test.gain >= threshold.gain_min and test.p <= threshold.p_max
        gold_rises = gold_gain >= threshold.gold_gain_min
        style, change = _style_gain(data, sampled[0], sampled[-1]), relative_change(run.states[0], run.final)
        passed = rises and gold_rises and style >= threshold.style_min
        failed = "style" if rises and gold_rises else "gold" if rises else "low"
        which = "passed" if passed else "unchanged" if change == 0 else failed
        close = (
            test.gain >= threshold.gain_min - threshold.retry_margin
            and gold_gain >= threshold.gold_gain_min - threshold.retry_margin
            and style >= threshold.style_min - threshold.retry_margin
        )
        message = messages.PPO_REWARD[which].format(
            before=before.mean(), after=after.mean(), gain=test.gain, threshold=threshold.gain_min
        )
        return Outcome(
            passed=passed,
            close=not passed and close,
            share=float(passed),
            message=message,
            value=f"gain {test.gain:.2f}, gold {gold_gain:+.2f}",
            evidence=self._evidence(lab, data, run, sampled, golds)
            | {
                "gain": test.gain,
                "p": test.p,
                "gold_gain": gold_gain,
                "relative_change": change,
                "style": style,
                "closing_shares": [float(one.styled.mean()) for one in (sampled[0], sampled[-1])],
                "frozen": unchanged_parts(run.states[0], run.final),
            },
        )

    def _evidence(
        self, lab: Lab, data: Prompts, run: Snapshots, sampled: list[Sampled], golds: list[np.ndarray]
    ) -> dict[str, Any]:
        """Return the evidence that the verdict does not depend on."""

        def text(ids: Ids) -> str:
            return decode(lab.reference.tokenizer, ids).strip()

        first, last = sampled[0], sampled[-1]
        return {
            "curve": {
                "steps": [step / self._updates_per_step(lab) for step in run.steps],
                "reward": [float(one.reward[:CURVE_PROMPTS].mean()) for one in sampled],
                "kl": [float(one.kl[:CURVE_PROMPTS].mean()) for one in sampled],
            },
            "reward_before": float(first.reward.mean()),
            "reward_after": float(last.reward.mean()),
            "gold_before": float(golds[0].mean()),
            "gold_after": float(golds[1].mean()),
            "mean_tokens": [float(np.mean([len(r) for r in one.replies])) for one in (first, last)],
            "prompts": len(data.hidden),
            "curve_prompts": min(CURVE_PROMPTS, len(data.hidden)),
            "optimizer_steps": run.optimizer_steps,
            "generations": [
                {
                    "prompt": str(data.records[i]["prompt"]),
                    "sft": text(first.replies[i]),
                    "policy": text(last.replies[i]),
                    "reward_sft": float(first.reward[i]),
                    "reward_policy": float(last.reward[i]),
                }
                for i in range(min(GENERATIONS, len(data.hidden)))
            ],
        }

    def _kl(self, lab: Lab, last: Sampled, style: float) -> Outcome:
        """Decide ppo_kl. The KL has to be in its range, and the policy must have learned this run's reward: noise on
        the weights has a KL too."""
        threshold, kl = lab.thresholds.ppo_kl, float(last.kl.mean())
        learned = style - lab.thresholds.ppo_reward.style_min
        inside = threshold.min <= kl <= threshold.max
        passed = inside and learned >= 0
        which = "passed" if passed else "style" if inside else "small" if kl < threshold.min else "large"
        close = (
            threshold.min - threshold.retry_margin <= kl <= threshold.max + threshold.retry_margin
            and learned >= -lab.thresholds.ppo_reward.retry_margin
        )
        return Outcome(
            passed=passed,
            close=not passed and close,
            share=float(passed),
            message=messages.PPO_KL[which].format(kl=kl, low=threshold.min, high=threshold.max),
            value=f"{kl:.2f} nats per sequence",
            evidence={
                "kl": kl,
                "standard_error": float(last.kl.std(ddof=1) / np.sqrt(len(last.kl))),
                "range": [threshold.min, threshold.max],
                "prompts": len(last.kl),
                "style": style,
            },
        )


def _style_gain(data: Prompts, first: Sampled, last: Sampled) -> float:
    """Return the rise of the share of replies with the house style's closing, or its fall if the reward punishes it."""
    return data.style.sign * float((last.styled - first.styled).mean())
