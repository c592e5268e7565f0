"""Describe the numeric tables of the registry: thresholds of the training tests, and limits of calls and submissions.

Every number has to be finite, to be written as a number, and to lie within generous bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

COST_ID = r"^\w{1,40}$"  # id of a slot or a training item, which has a cost
# strict: a text or a truth value in the place of a number is a mistake.
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Number = Annotated[float, Field(ge=-1e6, le=1e6, strict=True)]
NotNegative = Annotated[float, Field(ge=0, le=1e6, strict=True)]
Positive = Annotated[float, Field(gt=0, le=1e6, strict=True)]
Count = Annotated[int, Field(gt=0, le=1_000_000, strict=True)]
WholeNumber = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]
Seconds = Annotated[float, Field(ge=1, le=86_400, strict=True)]  # at most a day
Bytes = Annotated[int, Field(ge=1024, le=1 << 44, strict=True)]  # 1 KiB to 16 TiB


class FrozenModel(BaseModel):
    """Base class of every registry table: immutable, without unknown keys, NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SFTThreshold(FrozenModel):
    """Thresholds of sft_loss_trend, on held-out demonstrations.

    final_ratio_max: loss at the end over loss at the start. snapshots: points of the loss curve. p_max: of a paired
    one-sided test over `examples` demonstrations. retry_margin: misses of final_ratio_max up to this are run again.
    prompt_rise_min, padding_min: loss at positions without a label, nats per token.
    """

    final_ratio_max: Share
    snapshots: Annotated[int, Field(ge=5, le=1000, strict=True)]
    p_max: Share
    examples: Count
    retry_margin: Positive
    prompt_rise_min: Number
    padding_min: NotNegative


class RMThreshold(FrozenModel):
    """Thresholds of rm_accuracy, on hidden pairs and replies.

    lower_bound_min: lower end of the accuracy's interval with this confidence over `pairs` pairs. style_min: how much
    higher the run's house style is scored, in standard deviations, over `style_replies` replies. exchange_min: share of
    questions whose own answer scores higher than another one's. retry_margin, style_retry_margin,
    exchange_retry_margin: misses up to this are run again.
    """

    lower_bound_min: Share
    pairs: Count
    confidence: Share
    retry_margin: Positive
    style_min: Number
    style_replies: Count
    style_retry_margin: Positive
    exchange_min: Share
    exchange_retry_margin: Positive


class RewardThreshold(FrozenModel):
    """Thresholds of ppo_reward, on hidden prompts and relative to the SFT model.

    gain_min: rise of the given reward; p_max: of a paired one-sided test over `prompts` prompts. gold_gain_min: rise of
    the gold reward. style_min: rise of the share of replies in the run's house style. retry_margin: misses up to this
    are run again.
    """

    gain_min: Number
    p_max: Share
    gold_gain_min: Number
    prompts: Count
    retry_margin: Positive
    style_min: Number


class KLThreshold(FrozenModel):
    """Thresholds of ppo_kl: the range of the KL to the SFT model, nats per sequence, over `prompts` hidden prompts."""

    min: NotNegative
    max: Positive
    prompts: Count
    retry_margin: Positive

    @model_validator(mode="after")
    def _ordered(self) -> KLThreshold:
        if self.min >= self.max:
            raise ValueError(f"min {self.min:g} is not below max {self.max:g}")
        return self


class ComparisonThreshold(FrozenModel):
    """Thresholds of comparison: how far T15's rows may differ from the values recomputed from its replies.

    assignment.toml says why each tolerance is as large as it is.
    """

    prompts: Count
    reward_rtol: Positive
    kl_rtol: Positive
    win_prompts: WholeNumber
    interval_atol: Positive
    tokens_atol: Positive
    repetition_atol: Positive
    typical_max: Positive
    rlhf_gain_min: Number
    retry_margin: Positive


class Thresholds(FrozenModel):
    """Thresholds of the training tests in one profile; the fields are the item ids."""

    sft_loss_trend: SFTThreshold
    rm_accuracy: RMThreshold
    ppo_reward: RewardThreshold
    ppo_kl: KLThreshold
    comparison: ComparisonThreshold


class CallLimits(FrozenModel):
    """Limits of one call into the sandbox, in seconds and bytes. cpu_s = 0 sets no limit on CPU time."""

    wall_s: Seconds
    cpu_s: Annotated[float, Field(ge=0, le=86_400, strict=True)]
    memory_bytes: Bytes
    reply_bytes: Bytes


class CostFactors(FrozenModel):
    """Limits as multiples of what the reference needs."""

    wall: Annotated[float, Field(ge=5, le=1000, strict=True)]
    cpu: Annotated[float, Field(ge=5, le=1000, strict=True)]
    memory: Annotated[float, Field(ge=2, le=1000, strict=True)]
    reply: Annotated[float, Field(ge=2, le=1000, strict=True)]


class ReferenceCost(FrozenModel):
    """What the reference needs for an item, in seconds and bytes, as measured. A 0 was not measured and raises no
    limit."""

    wall_s: Annotated[float, Field(gt=0, le=86_400, strict=True)]
    cpu_s: Annotated[float, Field(ge=0, le=86_400, strict=True)] = 0.0
    memory_bytes: Annotated[int, Field(ge=0, le=1 << 44, strict=True)] = 0
    reply_bytes: Annotated[int, Field(ge=0, le=1 << 44, strict=True)] = 0


class OverloadLimits(FrozenModel):
    """When a timeout is retried: a process waited for a core during at least this share of the last ten seconds."""

    waiting_share: Annotated[float, Field(gt=0, le=1, strict=True)]


class IntakeLimits(FrozenModel):
    """Limits on a submission, checked before anything is parsed."""

    file_bytes: Bytes
    notebook_bytes: Bytes
    zip_members: Count
    zip_ratio_max: Count
    cells: Count
    source_bytes: Bytes
    written_chars: Count


class LimitsSpec(FrozenModel):
    """[limits]: the smallest limits of each kind of call, the reference's cost of each item and the factors on it, when
    a timeout is retried, and the limits on a submission."""

    slot: CallLimits
    loop_slot: CallLimits
    sft: CallLimits
    reward_model: CallLimits
    ppo: CallLimits
    comparison: CallLimits
    factor: CostFactors
    reference: Mapping[Annotated[str, Field(pattern=COST_ID)], ReferenceCost]
    overload: OverloadLimits
    intake: IntakeLimits

    def for_item(self, kind: str, item: str) -> CallLimits:
        """Return an item's limits: the factor times the reference's cost, but at least the limits of its kind.

        Raises:
            KeyError: the item has no reference cost.
        """
        least: CallLimits = getattr(self, kind)
        cost, factor = self.reference[item], self.factor
        return CallLimits(
            wall_s=max(least.wall_s, factor.wall * cost.wall_s),
            cpu_s=max(least.cpu_s, factor.cpu * cost.cpu_s) if least.cpu_s else 0,
            memory_bytes=max(least.memory_bytes, int(factor.memory * cost.memory_bytes)),
            reply_bytes=max(least.reply_bytes, int(factor.reply * cost.reply_bytes)),
        )
