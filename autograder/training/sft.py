"""sft_loss_trend: the student's SFT loop trains the base model; held-out loss must fall, and far enough, on answers
alone: prompts and padding are masked, and the weights show whether they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import rlhf_kit as kit
from autograder.reference.models import State
from autograder.training import measure, messages, statistics
from autograder.training.data import Demonstrations, draw_demonstrations
from autograder.training.measure import Likelihood
from autograder.training.outcome import Outcome
from autograder.training.stage import Lab, Request, Stage, base_payload, finite, seeded
from autograder.training.weights import Trained, flat, frozen, moved, snapshot_manifest, trained

CURVE_EXAMPLES = 100  # held-out examples behind the curve: evidence only


@dataclass(frozen=True)
class Masked:
    """What the weights show of positions that no label supervises, on held-out demonstrations, nats per token.
    prompt_rise: loss on the prompts, end minus start. Who learns answers alone forgets how prompts go on; who learns
    prompts too does not. padding: loss at the end of the padding token behind an answer's EOS."""

    prompt_rise: float
    padding: float


class SFTStage(Stage):
    """Base model in, fine-tuned model out."""

    op, items, limits = "stage_sft", ("sft_loss_trend",), "sft"

    def draw(self, lab: Lab, seed: int) -> Demonstrations:
        return draw_demonstrations(lab.reference, seed, lab.bars.sft_loss_trend.examples)

    def request(self, lab: Lab, seed: int, data: Demonstrations) -> Request:
        config, count = seeded(lab.profile.sft, "sft", seed), self._count(lab)
        payload = {**base_payload(lab, config), "rows": data.rows, "snapshots": count}
        base = lab.reference.base
        return Request(payload, flat("lm/", base), snapshot_manifest(base, count))

    def measure(
        self,
        lab: Lab,
        seed: int,
        data: Demonstrations,
        answer: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray],
    ) -> dict[str, Outcome]:
        run = trained(lab.reference.base, answer, tensors)
        first, last = (self._likelihood(lab, state, data) for state in (run.states[0], run.final))
        between = [self._likelihood(lab, state, data, CURVE_EXAMPLES) for state in run.states[1:-1]]
        curve = [one.per_token(CURVE_EXAMPLES) for one in (first, *between, last)]
        masked = self._masked(lab, run, data)
        finite("losses", np.array([*curve, first.per_token(), last.per_token(), masked.prompt_rise, masked.padding]))
        test = statistics.paired_gain(-first.nll, -last.nll)
        return {"sft_loss_trend": self._outcome(lab, run, curve, (first.per_token(), last.per_token()), test.p, masked)}

    def steps(self, lab: Lab) -> int:
        from assignment.lab.experiment import DEMONSTRATIONS

        return lab.profile.sft.epochs * -(-DEMONSTRATIONS // lab.profile.sft.batch_size)

    def _count(self, lab: Lab) -> int:
        return lab.bars.sft_loss_trend.snapshots - 1  # the start is known here

    @staticmethod
    def _likelihood(lab: Lab, state: State, data: Demonstrations, n: int | None = None) -> Likelihood:
        """Of the first n held-out answers (all, if None)."""
        return measure.likelihood(lab.reference.language_model(state), data.prompts[:n], data.completions[:n])

    @staticmethod
    def _masked(lab: Lab, run: Trained, data: Demonstrations) -> Masked:
        start, end = (lab.reference.language_model(state) for state in (run.states[0], run.final))
        first, rest = [one[:1] for one in data.prompts], [one[1:] for one in data.prompts]
        before, after = (measure.likelihood(lm, first, rest).per_token() for lm in (start, end))
        whole = [p + c for p, c in zip(data.prompts, data.completions, strict=True)]
        return Masked(after - before, measure.likelihood(end, whole, [[kit.PAD_ID]] * len(whole)).per_token())

    def _outcome(
        self, lab: Lab, run: Trained, curve: list[float], ends: tuple[float, float], p: float, masked: Masked
    ) -> Outcome:
        bar, (start, end) = lab.bars.sft_loss_trend, ends
        ratio, change = end / start, moved(run.states[0], run.final)
        falls, low = p <= bar.p_max, ratio <= bar.final_ratio_max
        alone = masked.prompt_rise >= bar.prompt_rise_min and masked.padding >= bar.padding_min
        passed = falls and low and alone
        failed = "unmasked" if falls and low else "high" if falls else "rose"
        which = "passed" if passed else "still" if change == 0 else failed
        evidence = {
            "curve": {"steps": list(run.steps), "heldout_loss": curve},
            "bar": bar.final_ratio_max * start,
            "ratio": ratio,
            "p": p,
            "prompt_rise": masked.prompt_rise,
            "padding": masked.padding,
            "unmasked": falls and low and not alone,
            "spearman": statistics.trend(curve),
            "examples": bar.examples,
            "curve_examples": min(CURVE_EXAMPLES, bar.examples),
            "optimizer_steps": run.optimizer_steps,
            "relative_change": change,
            "frozen": frozen(run.states[0], run.final),
        }
        return Outcome(
            passed=passed,
            near=falls and alone and not low and ratio <= bar.final_ratio_max + bar.near,
            share=float(passed),
            value=f"{ratio:.3f} of the start",
            message=messages.SFT[which].format(start=start, end=end, ratio=ratio, bar=bar.final_ratio_max),
            evidence=evidence,
        )
