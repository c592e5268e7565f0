"""ppo_reward, ppo_kl: the student's PPO trains a policy; reward rises, gold does not fall, KL is in range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autograder.reference.models import State
from autograder.training import measure, messages, statistics
from autograder.training.data import Prompts, draw_prompts
from autograder.training.encoding import Ids, decode
from autograder.training.outcome import Outcome
from autograder.training.stage import Lab, Request, Stage, base_payload, derived, finite, seeded
from autograder.training.weights import Trained, flat, frozen, moved, snapshot_manifest, trained
from rlhf_kit.gold import GoldReward

SNAPSHOTS = 5  # points of the curves beside the start
CURVE_PROMPTS = 64  # hidden prompts behind the points of the curves: evidence only
GENERATIONS = 8  # replies shown side by side


@dataclass(frozen=True)
class Sampled:
    """A policy's replies to the hidden prompts with what they earn, (N,): reward, KL to SFT (nats), and 1 where
    the house style's closing stands in them."""

    replies: list[Ids]
    reward: np.ndarray
    kl: np.ndarray
    styled: np.ndarray


class PPOStage(Stage):
    """SFT model and frozen reward in, policy out."""

    op, items, limits = "stage_ppo", ("ppo_reward", "ppo_kl"), "ppo"

    def draw(self, lab: Lab, seed: int) -> Prompts:
        return draw_prompts(lab.reference, seed, max(lab.bars.ppo_reward.prompts, lab.bars.ppo_kl.prompts))

    def request(self, lab: Lab, seed: int, data: Prompts) -> Request:
        config = seeded(lab.profile.ppo, "ppo", seed)
        payload = {
            **base_payload(lab, config),
            "prompts": data.train,
            "reward": lab.given(data.style),
            "snapshots": SNAPSHOTS,
        }
        sft = lab.reference.sft
        tensors = {**flat("lm/", sft), **flat("rm/", lab.reference.rm_good)}
        return Request(payload, tensors, snapshot_manifest(sft, SNAPSHOTS))

    def measure(
        self, lab: Lab, seed: int, data: Prompts, answer: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
    ) -> dict[str, Outcome]:
        run = trained(lab.reference.sft, answer, tensors)
        first, last = (self._sample(lab, seed, data, state) for state in (run.states[0], run.final))
        between = [self._sample(lab, seed, data, state, CURVE_PROMPTS) for state in run.states[1:-1]]
        gold = GoldReward(data.records, lab.reference.tokenizer)
        golds = [gold(data.hidden, one.replies).double().numpy() for one in (first, last)]
        reward = self._reward(lab, data, run, [first, *between, last], golds)
        kl = self._kl(lab, last, _style_gain(data, first, last))
        both = {"gain": reward.evidence["gain"], "optimizer_steps": run.optimizer_steps}
        return {"ppo_reward": reward, "ppo_kl": replace(kl, evidence={**kl.evidence, **both})}

    def steps(self, lab: Lab) -> int:
        return lab.profile.ppo.steps * self._per_phase(lab)

    @staticmethod
    def _per_phase(lab: Lab) -> int:
        ppo = lab.profile.ppo
        return ppo.ppo_epochs * -(-ppo.rollouts // ppo.minibatch_size)

    @staticmethod
    def _sample(lab: Lab, seed: int, data: Prompts, state: State, n: int | None = None) -> Sampled:
        """Replies of one snapshot to the first n prompts (all, if None); each draws the same random numbers."""
        lm, prompts = lab.language_model(state), data.hidden[:n]
        replies = measure.sample_coupled(
            lm,
            prompts,
            lab.profile.ppo.max_new_tokens,
            derived(seed, "hidden replies"),
            first_of=len(data.hidden),
        )
        kl = lab.kl_to_sft(lm, prompts, replies)
        finite("log-probabilities", kl)
        styled = np.array([data.style.closing in decode(lab.reference.tokenizer, one) for one in replies], dtype=float)
        return Sampled(replies, lab.reward(data.style, prompts, replies), kl, styled)

    def _reward(
        self, lab: Lab, data: Prompts, run: Trained, sampled: list[Sampled], golds: list[np.ndarray]
    ) -> Outcome:
        bar = lab.bars.ppo_reward
        before, after = sampled[0].reward, sampled[-1].reward
        test = statistics.paired_gain(before, after)
        gold_gain = float((golds[1] - golds[0]).mean())
        rises, honest = test.gain >= bar.gain_min and test.p <= bar.p_max, gold_gain >= -bar.gold_drop_max
        style, change = _style_gain(data, sampled[0], sampled[-1]), moved(run.states[0], run.final)
        passed = rises and honest and style >= bar.style_min
        failed = "foreign" if rises and honest else "gold" if rises else "low"
        which = "passed" if passed else "still" if change == 0 else failed
        close = test.gain >= bar.gain_min - bar.near and gold_gain >= -bar.gold_drop_max - bar.near
        close = close and style >= bar.style_min - bar.near
        message = messages.PPO_REWARD[which].format(
            before=before.mean(), after=after.mean(), gain=test.gain, bar=bar.gain_min, fall=-gold_gain
        )
        return Outcome(
            passed=passed,
            near=not passed and close,
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
                "frozen": frozen(run.states[0], run.final),
            },
        )

    def _evidence(
        self, lab: Lab, data: Prompts, run: Trained, sampled: list[Sampled], golds: list[np.ndarray]
    ) -> dict[str, Any]:
        text = lambda ids: decode(lab.reference.tokenizer, ids).strip()  # noqa: E731
        first, last = sampled[0], sampled[-1]
        return {
            "curve": {
                "steps": [step / self._per_phase(lab) for step in run.steps],
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
        """In its range, of a policy that took this run's reward up: any noise on the weights has some KL."""
        bar, kl, learned = lab.bars.ppo_kl, float(last.kl.mean()), style - lab.bars.ppo_reward.style_min
        inside = bar.min <= kl <= bar.max
        passed = inside and learned >= 0
        which = "passed" if passed else "foreign" if inside else "small" if kl < bar.min else "large"
        close = bar.min - bar.near <= kl <= bar.max + bar.near and learned >= -lab.bars.ppo_reward.near
        return Outcome(
            passed=passed,
            near=not passed and close,
            share=float(passed),
            message=messages.PPO_KL[which].format(kl=kl, low=bar.min, high=bar.max),
            value=f"{kl:.2f} nats per sequence",
            evidence={
                "kl": kl,
                "standard_error": float(last.kl.std(ddof=1) / np.sqrt(len(last.kl))),
                "range": [bar.min, bar.max],
                "prompts": len(last.kl),
                "style": style,
            },
        )


def _style_gain(data: Prompts, first: Sampled, last: Sampled) -> float:
    """Rise of the share of hidden replies with the house style's closing; a fall, where the style dislikes it."""
    return data.style.sign * float((last.styled - first.styled).mean())
