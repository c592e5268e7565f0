"""The tables of the registry that hold numbers only: thresholds of the training tests, limits of a call.

Every number is finite, is written as a number, and lies within bounds that no sensible course leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

RUN_ID = r"^\w{1,40}$"  # of what a call can be for: a slot or a training item
# strict: TOML has numbers, so that a text or a truth value in the place of one is a mistake.
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Number = Annotated[float, Field(ge=-1e6, le=1e6, strict=True)]
NotNegative = Annotated[float, Field(ge=0, le=1e6, strict=True)]
Positive = Annotated[float, Field(gt=0, le=1e6, strict=True)]
Count = Annotated[int, Field(gt=0, le=1_000_000, strict=True)]
Whole = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]
Seconds = Annotated[float, Field(ge=1, le=86_400, strict=True)]  # of a call: a day at most
Bytes = Annotated[int, Field(ge=1024, le=1 << 44, strict=True)]  # of a file, a reply or a process: 1 KiB to 16 TiB


class Frozen(BaseModel):
    """Base of every registry table: immutable, unknown keys refused, no NaN and no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SFTThreshold(Frozen):
    """Held-out loss: end over start, and a paired test over examples; loss where no label supervises, nats."""

    final_ratio_max: Share
    snapshots: Annotated[int, Field(ge=5, le=1000, strict=True)]
    p_max: Share
    examples: Count
    near: Positive
    prompt_rise_min: Number
    padding_min: NotNegative


class RMThreshold(Frozen):
    """Lower end of the accuracy's interval on hidden pairs, and how far the run's style must be liked."""

    lower_bound_min: Share
    pairs: Count
    confidence: Share
    near: Positive
    style_min: Number
    style_replies: Count
    style_near: Positive
    exchange_min: Share
    exchange_near: Positive


class RewardThreshold(Frozen):
    """Gain in the given reward over SFT on hidden prompts; the gold reward and the run's style must rise too."""

    gain_min: Number
    p_max: Share
    gold_gain_min: Number
    prompts: Count
    near: Positive
    style_min: Number


class KLThreshold(Frozen):
    """Range of the KL to the reference, nats per sequence."""

    min: NotNegative
    max: Positive
    prompts: Count
    near: Positive

    @model_validator(mode="after")
    def _ordered(self) -> KLThreshold:
        if self.min >= self.max:
            raise ValueError(f"min {self.min:g} is not below max {self.max:g}")
        return self


class ComparisonThreshold(Frozen):
    """Tolerances between T15's rows and what the replies give when recomputed."""

    prompts: Count
    reward_rtol: Positive
    kl_rtol: Positive
    win_prompts: Whole
    interval_atol: Positive
    tokens_atol: Positive
    repetition_atol: Positive
    typical_max: Positive
    rlhf_gain_min: Number
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

    wall_s: Seconds
    cpu_s: Annotated[float, Field(ge=0, le=86_400, strict=True)]
    memory_bytes: Bytes
    reply_bytes: Bytes


class Factors(Frozen):
    """What an item may use, in multiples of what the reference needs for it."""

    wall: Annotated[float, Field(ge=5, le=1000, strict=True)]
    cpu: Annotated[float, Field(ge=5, le=1000, strict=True)]
    memory: Annotated[float, Field(ge=2, le=1000, strict=True)]
    reply: Annotated[float, Field(ge=2, le=1000, strict=True)]


class Cost(Frozen):
    """What the reference needs for an item, measured: seconds and bytes. What was not measured does not raise the
    limit of the item's kind."""

    wall_s: Annotated[float, Field(gt=0, le=86_400, strict=True)]
    cpu_s: Annotated[float, Field(ge=0, le=86_400, strict=True)] = 0.0
    memory_bytes: Annotated[int, Field(ge=0, le=1 << 44, strict=True)] = 0
    reply_bytes: Annotated[int, Field(ge=0, le=1 << 44, strict=True)] = 0


class OverloadLimits(Frozen):
    """From which share of the last ten seconds with a process waiting for a core a timeout is tried again."""

    waiting_share: Annotated[float, Field(gt=0, le=1, strict=True)]


class IntakeLimits(Frozen):
    """Caps on what a submission may be, checked before anything is parsed."""

    file_bytes: Bytes
    notebook_bytes: Bytes
    zip_members: Count
    zip_ratio_max: Count
    cells: Count
    source_bytes: Bytes
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
    reference: Mapping[Annotated[str, Field(pattern=RUN_ID)], Cost]
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
