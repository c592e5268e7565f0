"""The parts of the registry that are numbers only: bars of the training tests, limits of a call.

Typed and frozen; ``assignment/registry/spec.py`` puts them together and checks that they agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class Frozen(BaseModel):
    """Base of every registry table: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SFTThreshold(Frozen):
    """Held-out loss: end over start, and a paired test over examples; loss where no label supervises, nats."""

    final_ratio_max: Share
    snapshots: Annotated[int, Field(ge=5)]
    p_max: Share
    examples: Count
    near: Positive
    prompt_rise_min: float
    padding_min: Annotated[float, Field(ge=0)]


class RMThreshold(Frozen):
    """Lower end of the accuracy's interval on hidden pairs, and how far the run's style must be liked."""

    lower_bound_min: Share
    pairs: Count
    confidence: Share
    near: Positive
    style_min: float
    style_replies: Count
    style_near: Positive
    exchange_min: Share
    exchange_near: Positive


class RewardThreshold(Frozen):
    """Gain in the given reward over SFT on hidden prompts; the gold reward and the run's style must rise too."""

    gain_min: float
    p_max: Share
    gold_gain_min: float
    prompts: Count
    near: Positive
    style_min: float

    @property
    def gold_drop_max(self) -> float:
        """The bar of the gold reward as a fall, the largest that passes."""
        return -self.gold_gain_min


class KLThreshold(Frozen):
    """Range of the KL to the reference, nats per sequence."""

    min: Annotated[float, Field(ge=0)]
    max: Positive
    prompts: Count
    near: Positive

    @model_validator(mode="after")
    def _ordered(self) -> KLThreshold:
        if self.min >= self.max:
            raise ValueError(f"ppo_kl: min {self.min} is not below max {self.max}")
        return self


class ComparisonThreshold(Frozen):
    """Tolerances between T15's rows and what the replies give when recomputed."""

    prompts: Count
    reward_rtol: Positive
    kl_rtol: Positive
    win_prompts: Annotated[int, Field(ge=0)]
    interval_atol: Positive
    tokens_atol: Positive
    repetition_atol: Positive
    typical_max: Positive
    rlhf_gain_min: float
    near: Positive


class Thresholds(Frozen):
    """Bars of the training tests in one profile; the fields are the item ids."""

    sft_loss_trend: SFTThreshold
    rm_accuracy: RMThreshold
    ppo_reward: RewardThreshold
    ppo_kl: KLThreshold
    comparison: ComparisonThreshold


class CallLimits(Frozen):
    """Limits of one call into the sandbox: seconds and bytes; cpu_s 0 means no limit."""

    wall_s: Positive
    cpu_s: Annotated[float, Field(ge=0)]
    memory_bytes: Count
    reply_bytes: Count


class Factors(Frozen):
    """What an item may use, in multiples of what the reference needs for it."""

    wall: Annotated[float, Field(ge=5)]
    cpu: Annotated[float, Field(ge=5)]
    memory: Annotated[float, Field(ge=2)]
    reply: Annotated[float, Field(ge=2)]


class Cost(Frozen):
    """What the reference needs for an item, measured: seconds and bytes. What was not measured does not raise the
    limit of the item's kind."""

    wall_s: Positive
    cpu_s: Annotated[float, Field(ge=0)] = 0.0
    memory_bytes: Annotated[int, Field(ge=0)] = 0
    reply_bytes: Annotated[int, Field(ge=0)] = 0


class OverloadLimits(Frozen):
    """From which share of the last ten seconds with a process waiting for a core a timeout is tried again."""

    waiting_share: Annotated[float, Field(gt=0, le=1)]


class IntakeLimits(Frozen):
    """Caps on what a submission may be, checked before anything is parsed."""

    file_bytes: Count
    notebook_bytes: Count
    zip_members: Count
    zip_ratio_max: Count
    cells: Count
    source_bytes: Count
    written_chars: Count


class LimitsSpec(Frozen):
    """Least limits by kind of call (slot tests, the three stages, the comparison), the reference's cost of
    each item and the factor on it, and the caps of intake."""

    slot: CallLimits
    loop_slot: CallLimits
    sft: CallLimits
    reward_model: CallLimits
    ppo: CallLimits
    comparison: CallLimits
    factor: Factors
    reference: Mapping[str, Cost]
    overload: OverloadLimits
    intake: IntakeLimits

    def of(self, kind: str, item: str) -> CallLimits:
        """An item's limits: the reference's cost times the factor, and not less than its kind's. KeyError for
        an item without a cost."""
        least: CallLimits = getattr(self, kind)
        cost, factor = self.reference[item], self.factor
        return CallLimits(
            wall_s=max(least.wall_s, factor.wall * cost.wall_s),
            cpu_s=max(least.cpu_s, factor.cpu * cost.cpu_s) if least.cpu_s else 0,
            memory_bytes=max(least.memory_bytes, int(factor.memory * cost.memory_bytes)),
            reply_bytes=max(least.reply_bytes, int(factor.reply * cost.reply_bytes)),
        )
