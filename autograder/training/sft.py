"""sft_loss_trend: the student's SFT loop trains the base model.

The loss on held-out answers has to fall far enough. Prompts and padding have to be masked: the weights show whether
they were supervised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import rlhf_kit as kit
from assignment.lab.experiment import DEMONSTRATIONS
from autograder.training import measure, messages, statistics
from autograder.training.data import Demonstrations, draw_demonstrations
from autograder.training.outcome import Outcome
from autograder.training.stage import Lab, Request, Stage, common_payload, require_finite, with_seed
from autograder.training.weights import (
    Snapshots,
    prefixed,
    read_snapshots,
    relative_change,
    snapshot_manifest,
    unchanged_parts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autograder.reference.models import State
    from autograder.training.measure import Likelihood

CURVE_EXAMPLES = 100  # held-out examples of the curve, which is evidence and decides nothing


@dataclass(frozen=True)
class MaskedLosses:
    """Losses at positions that no label supervises, on held-out demonstrations, nats per token. prompt_rise: rise of
    the loss on prompts. It rises in training on answers only, and does not if prompts are supervised too. padding: loss
    of the padding token after EOS at the end of training."""

    prompt_rise: float
    padding: float


class SFTStage(Stage):
    """Fine-tune the base model."""

    op, items, limits = "stage_sft", ("sft_loss_trend",), "sft"

    def draw(self, lab: Lab, seed: int) -> Demonstrations:
        return draw_demonstrations(lab.reference, seed, lab.thresholds.sft_loss_trend.examples)

    def request(self, lab: Lab, seed: int, data: Demonstrations) -> Request:
        config, count = with_seed(lab.profile.sft, "sft", seed), self._count(lab)
        payload = {**common_payload(lab, config), "rows": data.rows, "snapshots": count}
        base = lab.reference.base
        return Request(payload, prefixed("lm/", base), snapshot_manifest(base, count))

    def measure(
        self, lab: Lab, data: Demonstrations, answer: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
    ) -> dict[str, Outcome]:
        run = read_snapshots(lab.reference.base, answer, tensors)
        first, last = (self._likelihood(lab, state, data) for state in (run.states[0], run.final))
        between = [self._likelihood(lab, state, data, CURVE_EXAMPLES) for state in run.states[1:-1]]
        curve = [one.per_token(CURVE_EXAMPLES) for one in (first, *between, last)]
        masked = self._masked_losses(lab, run, data)
        require_finite(
            "losses", np.array([*curve, first.per_token(), last.per_token(), masked.prompt_rise, masked.padding])
        )
        test = statistics.paired_gain(-first.nll, -last.nll)
        return {"sft_loss_trend": self._outcome(lab, run, curve, (first.per_token(), last.per_token()), test.p, masked)}

    def steps(self, lab: Lab) -> int:
        return lab.profile.sft.epochs * -(-DEMONSTRATIONS // lab.profile.sft.batch_size)

    def _count(self, lab: Lab) -> int:
        return lab.thresholds.sft_loss_trend.snapshots - 1  # the start is one of them, and is not sent back

    @staticmethod
    def _likelihood(lab: Lab, state: State, data: Demonstrations, n: int | None = None) -> Likelihood:
        """Compute the likelihood of the first n held-out answers (all, if None)."""
        return measure.likelihood(lab.reference.language_model(state), data.prompts[:n], data.completions[:n])

    @staticmethod
    def _masked_losses(lab: Lab, run: Snapshots, data: Demonstrations) -> MaskedLosses:
        """Compute the losses at masked positions before and after training."""
        start, end = (lab.reference.language_model(state) for state in (run.states[0], run.final))
        first, rest = [one[:1] for one in data.prompts], [one[1:] for one in data.prompts]
        before, after = (measure.likelihood(lm, first, rest).per_token() for lm in (start, end))
        whole = [p + c for p, c in zip(data.prompts, data.completions, strict=True)]
        padding = measure.likelihood(end, whole, [[kit.PAD_ID]] * len(whole)).per_token()
        return MaskedLosses(after - before, padding)

    def _outcome(
        self, lab: Lab, run: Snapshots, curve: list[float], ends: tuple[float, float], p: float, masked: MaskedLosses
    ) -> Outcome:
        """Decide the item. curve: held-out loss of each snapshot. ends: (start, end) of it on all examples."""
        threshold, (start, end) = lab.thresholds.sft_loss_trend, ends
        ratio, change = end / start, relative_change(run.states[0], run.final)
        falls, low = p <= threshold.p_max, ratio <= threshold.final_ratio_max
        answers_only = masked.prompt_rise >= threshold.prompt_rise_min and masked.padding >= threshold.padding_min
        passed = falls and low and answers_only
        failed = "unmasked" if falls and low else "high" if falls else "rose"
        which = "passed" if passed else "unchanged" if change == 0 else failed
        evidence = {
            "curve": {"steps": list(run.steps), "heldout_loss": curve},
            "bar": threshold.final_ratio_max * start,
            "ratio": ratio,
            "p": p,
            "prompt_rise": masked.prompt_rise,
            "padding": masked.padding,
            "unmasked": falls and low and not answers_only,
            "spearman": statistics.trend(curve),
            "examples": threshold.examples,
            "curve_examples": min(CURVE_EXAMPLES, threshold.examples),
            "optimizer_steps": run.optimizer_steps,
            "relative_change": change,
            "frozen": unchanged_parts(run.states[0], run.final),
        }
        return Outcome(
            passed=passed,
            close=falls and answers_only and not low and ratio <= threshold.final_ratio_max + threshold.retry_margin,
            share=float(passed),
            value=f"{ratio:.3f} of the start",
            message=messages.SFT[which].format(start=start, end=end, ratio=ratio, threshold=threshold.final_ratio_max),
            evidence=evidence,
        )
