"""Run the three phases of RLHF with the slots. The notebook and the grader use the same code.

`RLHFPipeline(globals(), profile, tokenizer)` looks up each slot by name when it needs it, so that a
cell that was run again takes effect at once. The pipeline itself only prepares data and models.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from .batching import preference_batches, sft_batches
from .config import EvalConfig, PPOConfig, Profile, RMConfig, SFTConfig, StageConfig
from .models import Policy, freeze, trainable_copy
from .needs import SlotSource, check_needs
from .progress import ProgressBar
from .returned import expect, is_example, is_list, is_texts
from .sampling import listening, sample
from .scoring import RewardFunction

Rows = Sequence[Mapping[str, Any]]  # a list of dicts or a datasets.Dataset
Encoded = list[dict[str, list[int]]]  # token ids, one dict per example or pair
OnStep = Callable[[int, Any], None]


class MissingSlotError(LookupError):
    """A slot that the pipeline needs is not defined, or is not a function or class."""


class RLHFPipeline:
    """SFT, reward model, PPO and generation with the slots of a notebook.

    slots: name -> function or class, usually the notebook's `globals()`, looked up at each call.
    profile: the default configs. tokenizer: has `eos_token_id`, `pad_token_id`, `encode` and `decode`.
    device: where models are trained, such as "cpu" or "cuda".
    """

    def __init__(
        self, slots: SlotSource, profile: Profile, tokenizer: Any, device: str | torch.device = "cpu"
    ) -> None:
        self.slots, self.profile, self.tokenizer = slots, profile, tokenizer
        self.device = torch.device(device)

    def slot(self, name: str) -> Any:
        """Return the slot's current function or class. MissingSlotError if it cannot be called."""
        found = self.slots.get(name)
        if found is None:
            raise MissingSlotError(f"`{name}` is not defined: run the cell of its slot first")
        if not callable(found):
            raise MissingSlotError(
                f"`{name}` is a {type(found).__name__}, not a function: another cell has overwritten it; "
                "run the cell of its slot again"
            )
        return found

    def needs(self, *names: str) -> None:
        """Raise a NotReadyError, which says what to run first, if an earlier part has not yet made these names."""
        check_needs(self.slots, names)

    # -- data ------------------------------------------------------------------------------------

    def encode_demonstrations(self, rows: Rows, config: StageConfig | None = None) -> Encoded:
        """Encode Dolly rows as `input_ids` and `labels` (T01, T03). Encoded rows stay as they are."""
        config = config or self.profile.sft
        if _has(rows, "input_ids"):
            return [dict(row) for row in rows]
        format_example, encode_example = self.slot("format_example"), self.slot("encode_example")
        encoded = []
        for row in rows:
            prompt, completion = expect(
                format_example(dict(row)), "format_example", "(prompt, completion)", is_texts(2)
            )
            example = encode_example(prompt, completion, self.tokenizer, config.max_length)
            what = "a dict with input_ids and labels"
            encoded.append(expect(example, "encode_example", what, is_example))
        return encoded

    def encode_pairs(self, rows: Rows, config: StageConfig | None = None) -> Encoded:
        """Encode HH rows, with T02, as token ids of prompt + reply + EOS under "chosen" and "rejected".

        If a pair is too long, the shared prompt is cut from the left, by the same amount for both replies.
        A reply that alone is too long is cut at its end. Pairs for which T02 raises a ValueError (no shared
        prompt) are left out, and a warning says how many.
        """
        config = config or self.profile.good_rm
        if len(rows) and isinstance(rows[0]["chosen"], list):
            return [dict(row) for row in rows]
        split_preference = self.slot("split_preference")
        pairs = []
        for row in rows:
            try:
                parts = split_preference(row["chosen"], row["rejected"])
            except ValueError:
                continue
            what = "(prompt, chosen, rejected)"
            prompt, chosen, rejected = expect(parts, "split_preference", what, is_texts(3))
            pairs.append(self._encode_pair(prompt, chosen, rejected, config.max_length))
        if left_out := len(rows) - len(pairs):
            warnings.warn(f"{left_out} of {len(rows)} pairs left out: no shared prompt", stacklevel=2)
        return pairs

    def _encode_pair(self, prompt: str, chosen: str, rejected: str, max_length: int) -> dict[str, list[int]]:
        replies = {
            "chosen": [*self._ids(chosen), self.tokenizer.eos_token_id][:max_length],
            "rejected": [*self._ids(rejected), self.tokenizer.eos_token_id][:max_length],
        }
        room = max_length - max(len(reply) for reply in replies.values())
        prompt_ids = self._ids(prompt)
        prompt_ids = prompt_ids[max(0, len(prompt_ids) - room):]
        return {name: prompt_ids + reply for name, reply in replies.items()}

    def encode_prompts(self, prompts: Sequence[Any]) -> list[list[int]]:
        """Encode texts, or rows with a "prompt" column. Token ids are returned unchanged."""
        texts = [p["prompt"] if isinstance(p, Mapping) else p for p in prompts]
        return [self._ids(p) if isinstance(p, str) else list(p) for p in texts]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    # -- the three phases ------------------------------------------------------------------------

    def run_sft(
        self, base_lm: nn.Module, rows: Rows, config: SFTConfig | None = None, on_step: OnStep | None = None
    ) -> tuple[nn.Module, list[float]]:
        """Run phase 1 (T01, T03, T05): return a fine-tuned copy of `base_lm` and the loss per step."""
        config = config or self.profile.sft
        encoded = self.encode_demonstrations(rows, config)
        batches = self._to_device(sft_batches(encoded, config, self.tokenizer.pad_token_id))
        lm = trainable_copy(base_lm).to(self.device).train()
        torch.manual_seed(config.seed)
        losses = self._train("train_sft", lm, batches, config, on_step=on_step)
        return lm.eval(), expect(losses, "train_sft", "a list with one loss per step", is_list)

    def run_reward_model(
        self, sft_lm: nn.Module, pairs: Rows, config: RMConfig | None = None, on_step: OnStep | None = None
    ) -> tuple[nn.Module, list[float]]:
        """Run phase 2 (T02, T06, T09): return a reward model made from `sft_lm` and the loss per step."""
        config = config or self.profile.good_rm
        encoded = self.encode_pairs(pairs, config)
        batches = self._to_device(preference_batches(encoded, config, self.tokenizer.pad_token_id))
        model = self.slot("RewardModel").from_lm(sft_lm).to(self.device).train()
        torch.manual_seed(config.seed)
        losses = self._train("train_reward_model", model, batches, config, on_step=on_step)
        return model.eval(), expect(losses, "train_reward_model", "a list with one loss per step", is_list)

    def reward_function(
        self, reward_model: nn.Module, sft_lm: nn.Module, prompts: Sequence[Any],
        config: PPOConfig | None = None,
    ) -> RewardFunction:
        """Make PPO's reward of a reward model: frozen, mean 0 and spread 1 on replies of `sft_lm` to the first prompts
        (`config.calibration_prompts`)."""
        config = config or self.profile.ppo
        ids = self.encode_prompts(prompts)[: config.calibration_prompts]
        device = next(sft_lm.parameters()).device
        generator = torch.Generator(device=device).manual_seed(config.seed)
        replies = sample(sft_lm, ids, config.max_new_tokens, generator=generator)
        return RewardFunction.calibrated(reward_model, ids, replies, config.missing_eos_penalty)

    def run_ppo(
        self, sft_lm: nn.Module, reward_fn: Callable[..., Tensor], prompts: Sequence[Any],
        config: PPOConfig | None = None, on_step: OnStep | None = None,
    ) -> tuple[Policy, list[dict[str, float]]]:
        """Run phase 3 (T14, with T10–T13): return a policy made from `sft_lm` and a dict per step."""
        config = config or self.profile.ppo
        policy = Policy(sft_lm).to(self.device)
        reference = freeze(trainable_copy(sft_lm)).to(self.device)
        torch.manual_seed(config.seed)
        ids = self.encode_prompts(prompts)
        stats = self._train("train_ppo", policy, reference, reward_fn, ids, config, on_step=on_step)
        return policy.eval(), expect(stats, "train_ppo", "a list with one dict per step", is_list)

    def _train(self, name: str, *arguments: Any, on_step: OnStep | None) -> Any:
        """Call a training slot. With a ProgressBar an interrupt ends the training, not the program: the model stays as
        it is, and what the loop would have returned are the values of its steps so far."""
        try:
            return self.slot(name)(*arguments, on_step)
        except KeyboardInterrupt as interrupt:
            if not isinstance(on_step, ProgressBar):
                raise
            return on_step.keep(interrupt)

    # -- use -------------------------------------------------------------------------------------

    def compare(
        self, policies: Mapping[str, nn.Module], prompts: Sequence[Any], score_fn: Callable[..., Tensor],
        config: EvalConfig | None = None, on_replies: Callable[[int], None] | None = None,
    ) -> list[dict[str, Any]]:
        """Run T15 on `policies`, one of which has to be called "SFT". Returns its rows.

        on_replies: called with the number of new replies whenever some were sampled (`kit.sample`).
        """
        config = config or self.profile.evaluation
        compare, ids = self.slot("compare_policies"), self.encode_prompts(prompts)
        with listening(on_replies) if on_replies else nullcontext():
            found = compare(dict(policies), ids, score_fn, config)
        rows: list[dict[str, Any]] = expect(found, "compare_policies", "a list with one row per policy", is_list)
        return rows

    def generate(
        self, model: nn.Module, texts: Sequence[Any], *, max_new_tokens: int | None = None,
        greedy: bool | None = None, seed: int | None = None,
    ) -> list[str]:
        """Return a model's or Policy's replies to prompt texts, without EOS and outer blanks.

        ValueError if a text is empty, or longer than the model's context, alone or with its reply.
        """
        config = self.profile.evaluation
        lm = model.lm if isinstance(model, Policy) else model
        device = next(lm.parameters()).device
        generator = torch.Generator(device=device).manual_seed(config.seed if seed is None else seed)
        replies = sample(
            lm, self.encode_prompts(texts), max_new_tokens or config.max_new_tokens,
            greedy=config.greedy if greedy is None else greedy, generator=generator,
        )
        return [self.tokenizer.decode(reply, skip_special_tokens=True).strip() for reply in replies]

    def _to_device(self, batches: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
        return [{name: x.to(self.device) for name, x in batch.items()} for batch in batches]


def _has(rows: Rows, column: str) -> bool:
    return len(rows) > 0 and column in rows[0]
