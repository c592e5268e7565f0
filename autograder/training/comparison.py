"""comparison: the student's T15 compares four policies. Every field is recomputed from the replies that it returns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autograder.inside.replies import MAX_TOKENS, NUMBERS
from autograder.sandbox.protocol import AnyTensors
from autograder.training import measure, messages, statistics
from autograder.training.data import Prompts, draw_prompts
from autograder.training.outcome import Outcome, UnusableError
from autograder.training.stage import Lab, Request, Stage, common_payload, derive_seed, with_seed
from autograder.training.weights import prefixed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autograder.reference.models import State
    from autograder.training.encoding import Ids

SFT, BEST = "SFT", "Good-RM policy"
POLICIES = {"Base": "base", SFT: "sft", "Poor-RM policy": "policy_poor", BEST: "policy_good"}
FIELD_GROUPS = {  # fields of a row; each group is right or wrong as a whole
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


@dataclass(frozen=True)
class Recomputed:
    """What the returned replies give, by policy. fields: the numbers that the row should hold. typicality: distance of
    the replies from samples of the policy, in standard errors (`measure.Likelihood.typicality`)."""

    fields: Mapping[str, Mapping[str, float]]
    typicality: Mapping[str, float]

    @property
    def gain(self) -> float:
        """Return the mean reward of the RLHF policy minus SFT's."""
        return self.fields[BEST]["mean_reward"] - self.fields[SFT]["mean_reward"]


class ComparisonStage(Stage):
    """Run T15 on four policies. Nothing is trained."""

    op, items, limits = "stage_compare", ("comparison",), "comparison"

    def draw(self, lab: Lab, seed: int) -> Prompts:
        n = lab.thresholds.comparison.prompts
        return replace(draw_prompts(lab.reference, derive_seed(seed, "comparison"), n, train=0), seed=seed)

    def request(self, lab: Lab, seed: int, data: Prompts) -> Request:
        config = with_seed(lab.profile.evaluation, "comparison", seed)
        payload = {
            **common_payload(lab, config),
            "prompts": data.hidden,
            "reward": lab.reward_payload(data.style),
            "policies": POLICIES,
        }
        tensors = prefixed("rm/", lab.reference.rm_good)
        for prefix in POLICIES.values():
            tensors |= prefixed(f"{prefix}/", self._state(lab, prefix))
        return Request(payload, tensors, AnyTensors(4))

    def measure(
        self, lab: Lab, data: Prompts, answer: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
    ) -> dict[str, Outcome]:
        vocab_size, longest = lab.reference.config.vocab_size, lab.profile.evaluation.max_new_tokens
        rows = read_rows(answer, tensors, len(data.hidden), vocab_size, longest)
        return {"comparison": self._outcome(lab, rows, self._recompute(lab, data, rows))}

    def steps(self, lab: Lab) -> None:
        """Return None: nothing is trained."""

    @staticmethod
    def _state(lab: Lab, prefix: str) -> State:
        state: State = getattr(lab.reference, prefix)
        return state

    def _recompute(self, lab: Lab, data: Prompts, rows: Mapping[str, Row]) -> Recomputed:
        """Compute every row's fields and typicality from its replies."""
        config = lab.profile.evaluation
        rewards = {name: lab.reward(data.style, data.hidden, rows[name].replies) for name in POLICIES}
        expected, typicality = {}, {}
        for name, prefix in POLICIES.items():
            policy, replies = lab.language_model(self._state(lab, prefix)), rows[name].replies
            likelihood = measure.likelihood(policy, data.hidden, replies)
            typicality[name] = likelihood.typicality()
            wins = (rewards[name] > rewards[SFT]) + 0.5 * (rewards[name] == rewards[SFT])
            seed = derive_seed(data.seed, "wins")
            low, high = statistics.bootstrap_interval(wins, config.confidence, config.bootstrap, seed)
            expected[name] = {
                "n": float(len(replies)),
                "mean_reward": float(rewards[name].mean()),
                "kl_to_sft": float(lab.kl_to_sft(policy, data.hidden, replies, likelihood).mean()),
                "win_rate": float(wins.mean()),
                "win_low": low,
                "win_high": high,
                "mean_tokens": float(likelihood.tokens.mean()),
                "repetition": float(np.mean([measure.repetition(reply) for reply in replies])),
            }
        return Recomputed(expected, typicality)

    @staticmethod
    def _wrong_groups(lab: Lab, rows: Mapping[str, Row], recomputed: Recomputed) -> list[str]:
        """Return the groups of fields in which a row differs from what was recomputed by more than the tolerance."""
        threshold = lab.thresholds.comparison
        n = recomputed.fields[SFT]["n"]
        absolute = {
            "n": 0.0,
            "win_rate": threshold.win_prompts / n,
            "win_low": threshold.interval_atol + threshold.win_prompts / n,
            "win_high": threshold.interval_atol + threshold.win_prompts / n,
            "mean_tokens": threshold.tokens_atol,
            "repetition": threshold.repetition_atol,
        }
        relative = {"mean_reward": threshold.reward_rtol, "kl_to_sft": threshold.kl_rtol}

        def agrees(name: str, field: str) -> bool:
            want, got = recomputed.fields[name][field], rows[name].numbers[field]
            allowed = absolute[field] if field in absolute else relative[field] * max(1.0, abs(want))
            return abs(got - want) <= allowed + 1e-12  # False for NaN

        return [
            group
            for group, fields in FIELD_GROUPS.items()
            if not all(agrees(name, field) for name in POLICIES for field in fields)
        ]

    def _outcome(self, lab: Lab, rows: Mapping[str, Row], recomputed: Recomputed) -> Outcome:
        """Decide the item."""
        threshold, gain = lab.thresholds.comparison, recomputed.gain
        wrong = self._wrong_groups(lab, rows, recomputed)
        atypical = [name for name in POLICIES if not abs(recomputed.typicality[name]) <= threshold.typical_max]
        above = gain > threshold.rlhf_gain_min
        passed = not wrong and not atypical and above
        which = "passed" if passed else "atypical" if atypical else "fields" if wrong else "order"
        share = 0.0 if atypical or not above else 1 - len(wrong) / lab.spec.partial.field_kinds
        return Outcome(
            passed=passed,
            close=not wrong and not atypical and not above and gain > threshold.rlhf_gain_min - threshold.retry_margin,
            share=share,
            message=messages.COMPARISON[which].format(fields=", ".join(wrong), names=", ".join(atypical)),
            value=f"{len(FIELD_GROUPS) - len(wrong)} of {len(FIELD_GROUPS)} kinds of fields, gain {gain:.2f}",
            evidence={
                "rows": [{"name": name, **recomputed.fields[name]} for name in POLICIES],
                "returned": [{"name": name, **rows[name].numbers} for name in POLICIES],
                "typicality_z": dict(recomputed.typicality),
                "rlhf_gain": gain,
                "differing": wrong,
            },
        )


def read_rows(
    answer: Mapping[str, Any], tensors: Mapping[str, np.ndarray], prompts: int, vocab_size: int, longest: int
) -> dict[str, Row]:
    """Return the rows by policy. prompts: how many replies each must hold. longest: tokens that a reply may have.

    Raises:
        UnusableError: a policy has no row, or a row has no usable replies.
    """
    names = answer.get("names")
    rows: dict[str, Row] = {}
    if not isinstance(names, list) or not _consistent(names, tensors):
        raise UnusableError("The returned table cannot be read.", "Return a list of dicts with the docstring's fields.")
    numbers, counts, lengths, tokens = (tensors[name] for name in ("numbers", "counts", "lengths", "tokens"))
    row_ends, reply_ends = np.cumsum(counts), np.concatenate([[0], np.cumsum(lengths)])
    for i, name in enumerate(names):
        where = range(row_ends[i] - counts[i], row_ends[i])
        replies = [tokens[reply_ends[k] : reply_ends[k + 1]].tolist() for k in where]
        rows[str(name)] = Row(dict(zip(NUMBERS, numbers[i].tolist(), strict=True)), replies)
    for name in POLICIES:
        if name not in rows:
            raise UnusableError(
                f"The table has no row named {name!r}.", "Return one row for each policy, under its name."
            )
        replies = rows[name].replies
        if len(replies) != prompts:
            raise UnusableError(
                f"The row {name!r} does not hold one reply for each prompt under response_ids.",
                "Put the token ids of all replies there, in the order of the prompts.",
            )
        if any(not 1 <= len(r) <= longest or min(r) < 0 or max(r) >= vocab_size for r in replies):
            raise UnusableError(
                f"The row {name!r} holds replies that the policy cannot have sampled.",
                f"Return 1 to {longest} token ids below {vocab_size} for each, as `kit.sample` gives them.",
            )
    return rows


def _consistent(names: list[Any], tensors: Mapping[str, np.ndarray]) -> bool:
    """Return whether the four tensors of the untrusted answer agree in number, shape and type."""
    if set(tensors) != {"numbers", "counts", "lengths", "tokens"}:
        return False
    numbers, counts, lengths, tokens = (tensors[name] for name in ("numbers", "counts", "lengths", "tokens"))
    if numbers.shape != (len(names), len(NUMBERS)) or numbers.dtype != np.float64:
        return False
    if any(x.ndim != 1 or x.dtype != np.int64 for x in (counts, lengths, tokens)) or len(counts) != len(names):
        return False
    bounded = all(x.size == 0 or (x.min() >= 0 and x.max() <= MAX_TOKENS) for x in (counts, lengths))
    return bounded and counts.sum() == len(lengths) and lengths.sum() == len(tokens)
