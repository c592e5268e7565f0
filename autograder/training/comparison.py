"""comparison: the student's T15 on four policies, every field recomputed from the replies it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.inside.replies import MAX_TOKENS, NUMBERS
from autograder.reference.models import State
from autograder.sandbox.protocol import AnyTensors
from autograder.training import measure, messages, statistics
from autograder.training.data import Prompts, draw_prompts
from autograder.training.encoding import Ids
from autograder.training.outcome import Outcome, Unusable
from autograder.training.stage import Lab, Request, Stage, base_payload, derived, seeded
from autograder.training.weights import flat

SFT, BEST = "SFT", "Good-RM policy"
POLICIES = {"Base": "base", SFT: "sft", "Poor-RM policy": "policy_poor", BEST: "policy_good"}
GROUPS = {  # fields that stand or fall together
    "n": ("n",),
    "mean_reward": ("mean_reward",),
    "kl_to_sft": ("kl_to_sft",),
    "win_rate": ("win_rate",),
    "win interval": ("win_low", "win_high"),
    "mean_tokens": ("mean_tokens",),
    "repetition": ("repetition",),
}


@dataclass(frozen=True)
class Row:
    """One returned row: its numbers by field, and its replies."""

    numbers: Mapping[str, float]
    replies: list[Ids]


class ComparisonStage(Stage):
    """Four policies in, T15's table out."""

    op, items, limits = "stage_compare", ("comparison",), "comparison"

    def draw(self, lab: Lab, seed: int) -> Prompts:
        return draw_prompts(lab.reference, derived(seed, "comparison"), lab.bars.comparison.prompts, train=0)

    def request(self, lab: Lab, seed: int, data: Prompts) -> Request:
        config = seeded(lab.profile.evaluation, "comparison", seed)
        payload = {
            **base_payload(lab, config),
            "prompts": data.hidden,
            "reward": lab.given(data.style),
            "policies": POLICIES,
        }
        tensors = flat("rm/", lab.reference.rm_good)
        for prefix in POLICIES.values():
            tensors |= flat(f"{prefix}/", self._state(lab, prefix))
        return Request(payload, tensors, AnyTensors(4))

    def measure(
        self, lab: Lab, seed: int, data: Prompts, answer: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
    ) -> dict[str, Outcome]:
        rows = read_rows(
            answer,
            tensors,
            len(data.hidden),
            lab.reference.config.vocab_size,
            lab.profile.evaluation.max_new_tokens,
        )
        expected, z = self._recompute(lab, seed, data, rows)
        wrong = self._wrong(lab, rows, expected)
        foreign = [name for name in POLICIES if not abs(z[name]) <= lab.bars.comparison.typical_max]
        gain = expected[BEST]["mean_reward"] - expected[SFT]["mean_reward"]
        return {"comparison": self._outcome(lab, rows, expected, wrong, foreign, gain, z)}

    @staticmethod
    def _state(lab: Lab, prefix: str) -> State:
        state: State = getattr(lab.reference, prefix)
        return state

    def _recompute(
        self, lab: Lab, seed: int, data: Prompts, rows: Mapping[str, Row]
    ) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
        """Each row's fields from its replies; how typical of the policy these are, in standard errors."""
        config = lab.profile.evaluation
        rewards = {name: lab.reward(data.style, data.hidden, rows[name].replies) for name in POLICIES}
        expected, z = {}, {}
        for name, prefix in POLICIES.items():
            policy, replies = lab.language_model(self._state(lab, prefix)), rows[name].replies
            own = measure.likelihood(policy, data.hidden, replies)
            z[name] = own.typicality()
            wins = (rewards[name] > rewards[SFT]) + 0.5 * (rewards[name] == rewards[SFT])
            low, high = statistics.bootstrap_interval(wins, config.confidence, config.bootstrap, derived(seed, "wins"))
            expected[name] = {
                "n": float(len(replies)),
                "mean_reward": float(rewards[name].mean()),
                "kl_to_sft": float(lab.kl_to_sft(policy, data.hidden, replies, own).mean()),
                "win_rate": float(wins.mean()),
                "win_low": low,
                "win_high": high,
                "mean_tokens": float(own.tokens.mean()),
                "repetition": float(np.mean([measure.repetition(reply) for reply in replies])),
            }
        return expected, z

    @staticmethod
    def _wrong(lab: Lab, rows: Mapping[str, Row], expected: Mapping[str, Mapping[str, float]]) -> list[str]:
        """Groups of fields that differ in some row."""
        bar = lab.bars.comparison
        n = expected[SFT]["n"]
        absolute = {
            "n": 0.0,
            "win_rate": bar.win_prompts / n,
            "win_low": bar.interval_atol + bar.win_prompts / n,
            "win_high": bar.interval_atol + bar.win_prompts / n,
            "mean_tokens": bar.tokens_atol,
            "repetition": bar.repetition_atol,
        }
        relative = {"mean_reward": bar.reward_rtol, "kl_to_sft": bar.kl_rtol}

        def agrees(name: str, field: str) -> bool:
            want, got = expected[name][field], rows[name].numbers[field]
            allowed = absolute[field] if field in absolute else relative[field] * max(1.0, abs(want))
            return abs(got - want) <= allowed + 1e-12  # False for NaN

        return [
            group
            for group, fields in GROUPS.items()
            if not all(agrees(name, field) for name in POLICIES for field in fields)
        ]

    def _outcome(
        self,
        lab: Lab,
        rows: Mapping[str, Row],
        expected: Mapping[str, Mapping[str, float]],
        wrong: list[str],
        foreign: list[str],
        gain: float,
        z: Mapping[str, float],
    ) -> Outcome:
        bar = lab.bars.comparison
        above = gain > bar.rlhf_gain_min
        passed = not wrong and not foreign and above
        which = "passed" if passed else "foreign" if foreign else "fields" if wrong else "order"
        share = 0.0 if foreign or not above else 1 - len(wrong) / lab.spec.partial.field_kinds
        return Outcome(
            passed=passed,
            near=not wrong and not foreign and not above and gain > bar.rlhf_gain_min - bar.near,
            share=share,
            message=messages.COMPARISON[which].format(fields=", ".join(wrong), names=", ".join(foreign)),
            value=f"{len(GROUPS) - len(wrong)} of {len(GROUPS)} kinds of fields, gain {gain:.2f}",
            evidence={
                "rows": [{"name": name, **expected[name]} for name in POLICIES],
                "returned": [{"name": name, **rows[name].numbers} for name in POLICIES],
                "typicality_z": dict(z),
                "rlhf_gain": gain,
                "differing": wrong,
            },
        )


def read_rows(
    answer: Mapping[str, Any], tensors: Mapping[str, np.ndarray], prompts: int, vocab: int, longest: int
) -> dict[str, Row]:
    """The returned rows by policy; Unusable where a policy has no row, or no usable replies."""
    names = answer.get("names")
    rows: dict[str, Row] = {}
    if not isinstance(names, list) or not _consistent(names, tensors):
        raise Unusable("The returned table cannot be read.", "Return a list of dicts with the docstring's fields.")
    numbers, counts, lengths, tokens = (tensors[name] for name in ("numbers", "counts", "lengths", "tokens"))
    row_ends, reply_ends = np.cumsum(counts), np.concatenate([[0], np.cumsum(lengths)])
    for i, name in enumerate(names):
        where = range(row_ends[i] - counts[i], row_ends[i])
        replies = [tokens[reply_ends[k] : reply_ends[k + 1]].tolist() for k in where]
        rows[str(name)] = Row(dict(zip(NUMBERS, numbers[i].tolist(), strict=True)), replies)
    for name in POLICIES:
        if name not in rows:
            raise Unusable(f"The table has no row named {name!r}.", "Return one row for each policy, under its name.")
        replies = rows[name].replies
        if len(replies) != prompts:
            raise Unusable(
                f"The row {name!r} does not hold one reply for each prompt under response_ids.",
                "Put the token ids of all replies there, in the order of the prompts.",
            )
        if any(not 1 <= len(r) <= longest or min(r) < 0 or max(r) >= vocab for r in replies):
            raise Unusable(
                f"The row {name!r} holds replies that the policy cannot have sampled.",
                f"Return 1 to {longest} token ids below {vocab} for each, as `kit.sample` gives them.",
            )
    return rows


def _consistent(names: list[Any], tensors: Mapping[str, np.ndarray]) -> bool:
    """Do the four tensors fit together? All that comes from the worker is checked before it is used."""
    if set(tensors) != {"numbers", "counts", "lengths", "tokens"}:
        return False
    numbers, counts, lengths, tokens = (tensors[name] for name in ("numbers", "counts", "lengths", "tokens"))
    if numbers.shape != (len(names), len(NUMBERS)) or numbers.dtype != np.float64:
        return False
    if any(x.ndim != 1 or x.dtype != np.int64 for x in (counts, lengths, tokens)) or len(counts) != len(names):
        return False
    bounded = all(x.size == 0 or (x.min() >= 0 and x.max() <= MAX_TOKENS) for x in (counts, lengths))
    return bounded and counts.sum() == len(lengths) and lengths.sum() == len(tokens)
