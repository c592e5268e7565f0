# %% [markdown]
# # Part 3 · Supervised fine-tuning
#
# SFT is imitation. Given a prompt $x$ and the completion $y$ that a person wrote, make $y$ likely:
#
# $$
# \mathcal{L}_{\text{SFT}}(\theta) \;=\; -\,\frac{1}{N}\sum_{(x,y)}\ \sum_{t=1}^{|y|} \log \pi_\theta\!\left(y_t \mid x,\, y_{<t}\right)
# $$
#
# where $N$ counts the completion tokens (EOS included) of the batch. It is the language-model loss again, restricted
# to the answer (Ouyang et al. 2022, section 3). The base model has the knowledge; little more than a hundred updates
# teach it the manners: answer what was asked, then stop.

# %%
from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import rlhf_kit as kit

# %% [markdown]
# ## T04 · The loss
#
# **Task.** From logits `(B, T, V)` and labels `(B, T)`, the mean cross-entropy over supervised tokens. *The shift
# happens in here:* position $t$ predicts token $t+1$, so `logits[:, t]` meets `labels[:, t + 1]`. Labels of −100 do
# not count. A batch with nothing to learn gives 0 that still carries a graph, so that `backward()` works.
#
# **Hint.** `F.cross_entropy` knows `ignore_index` and `reduction="sum"`; then divide by the right number.
#
# **Common mistakes.** No shift (the model learns to copy, loss near 0 at once) · shifting twice, by hand and through
# the model's own `labels=` · dividing by $B\cdot T$ (padding makes the loss look small: not language quality) ·
# a mean of row means, in which a short answer weighs as much as a long one · NaN when no token is supervised.
#
# **Debug.** Uniform logits must give $\ln V$, whatever the lengths. Append padding: nothing may change.
# **Right** looks like: rows with 1 token at probability ½ and 3 tokens at ⅛ give
# $(\ln 2 + 3\ln 8)/4 = 1.733$; the mean of row means would be 1.386.

# %%
# TODO T04 · next-token cross-entropy over the supervised tokens
def sft_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean next-token cross-entropy over the supervised tokens of a batch.

    logits: (B, T, V), position t predicts token t + 1: the shift happens in here.
    labels: (B, T), token ids, -100 where nothing is to be learned.
    Returns a scalar in nats per token; 0, with a graph, if no token is supervised.
    """
    # BEGIN SOLUTION T04
    predictions, targets = logits[:, :-1], labels[:, 1:]
    total = F.cross_entropy(
        predictions.reshape(-1, logits.size(-1)),
        targets.reshape(-1),
        ignore_index=kit.IGNORE_INDEX,
        reduction="sum",
    )
    return total / (targets != kit.IGNORE_INDEX).sum().clamp(min=1)
    # END SOLUTION


# %% [markdown]
# ## T05 · The loop
#
# **Task.** Train `model` in place, one pass over `batches` per epoch, one update per batch. Everything comes from
# `config`: AdamW (`learning_rate`, `betas`, `eps`, `weight_decay`), the learning rate times the warm-up factor
# $\min(1, (k+1)/\texttt{warmup\_steps})$ at update $k = 0, 1, \dots$ (`kit.warmup_factor`), gradients clipped to L2 norm
# `max_grad_norm`. Collect each step's loss as a plain float, call `on_step(step, loss)` after each update.
#
# **Order within a step.** forward → loss → `zero_grad` → `backward` → clip → `step` → schedule. **Common mistakes**
# are swaps, and most of them fail silently:
#
# | swap | what happens |
# | --- | --- |
# | `zero_grad` missing | gradients pile up; every step is partly the last one |
# | `zero_grad` between `backward` and `step` | nothing is learned at all |
# | clip before `backward` | nothing is clipped: the gradients are not there yet |
# | `loss` stored instead of `loss.item()` | every graph stays in memory until it is full |
#
# **Hint.** `torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: …)` multiplies the rate for you. Batches may lie on
# another device than the model.
#
# **Debug.** Train on one batch, repeated: the loss must go towards 0. If it does not, the loop is wrong; if it does
# and the real training fails, look at the data. <!-- CLAIM sft_starts_at_base sft_loss_falls --> **Right** looks like a first loss near the base model's own loss on
# these answers, and then a falling trend. Batches differ, so single steps go up and down: read the trend from the
# moving average, the strong line of the figure below.

# %%
# TODO T05 · the SFT training loop
def train_sft(
    model: nn.Module,
    batches: Sequence[dict[str, Tensor]],
    config: kit.SFTConfig,
    on_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Fine-tune `model` in place; one pass over `batches` per epoch, one update per batch.

    model: causal language model, `model(input_ids=..., attention_mask=...).logits` is (B, T, V).
    batches: dicts with input_ids, attention_mask, labels, each (B, T).
    config: AdamW (learning_rate, betas, eps, weight_decay), warmup_steps, max_grad_norm, epochs.
    on_step: called as on_step(step, loss) after each update, step = 0, 1, ...
    Returns the loss of every step, as plain floats.
    """
    # BEGIN SOLUTION T05
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=config.betas, eps=config.eps,
        weight_decay=config.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: kit.warmup_factor(k, config.warmup_steps))
    losses: list[float] = []
    model.train()
    for _ in range(config.epochs):
        for batch in batches:
            ids, mask, labels = (batch[k].to(device) for k in ("input_ids", "attention_mask", "labels"))
            loss = sft_loss(model(input_ids=ids, attention_mask=mask).logits, labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if on_step is not None:
                on_step(len(losses) - 1, losses[-1])
    model.eval()
    return losses
    # END SOLUTION


# %% [markdown]
# ## Train it
#
# A tenth of the demonstrations is held out. The loss on these is the figure to quote, since the training loss
# is measured on examples that the model is being fitted to.
#
# You may stop a training at any time (■ in the toolbar). It ends when its step is done, says at which one, and keeps the
# model as it is, so that you can go on with it. The cell itself ends there. Where a later cell needs what is missing
# then, it says which part to run first.
#
# What is trained to its end is saved in the folder `saved_models`, beside the notebook: a new kernel can go on from there
# (part 8). Nothing of it is handed in.

# %%
@torch.no_grad()
def heldout_loss(
    lm: nn.Module, encoded: list[dict[str, list[int]]], config: kit.SFTConfig
) -> float:
    """Nats per supervised token of all of `encoded`: totals divided once, no mean of means."""
    total, tokens = 0.0, 0
    for batch in kit.sft_batches(encoded, config, kit.PAD_ID):
        ids, mask, labels = (
            batch[k].to(lm.device) for k in ("input_ids", "attention_mask", "labels")
        )
        count = int((labels[:, 1:] != kit.IGNORE_INDEX).sum())
        total += sft_loss(lm(input_ids=ids, attention_mask=mask).logits, labels).item() * count
        tokens += count
    return total / tokens


if __name__ == "__main__":
    pipeline.needs("demonstrations")
    parts = demonstrations.train_test_split(test_size=0.1, seed=profile.sft.seed)
    heldout_encoded = pipeline.encode_demonstrations(parts["test"])
    updates = profile.sft.epochs * math.ceil(len(parts["train"]) / profile.sft.batch_size)
    with kit.ProgressBar(updates, "SFT") as bar:
        sft_lm, sft_losses = pipeline.run_sft(base_lm, parts["train"], on_step=bar)
    kit.save(sft_lm, "SFT", losses=sft_losses)
    kit.record("sft", {
        name: {"heldout_loss": heldout_loss(lm, heldout_encoded, profile.sft)}
        for name, lm in (("base", base_lm), ("SFT", sft_lm))
    })

# %%
if __name__ == "__main__":
    pipeline.needs("sft_losses")
    kit.plot_loss({"SFT": sft_losses}, title="Supervised fine-tuning")

# %%
if __name__ == "__main__":
    pipeline.needs("sft_lm", "heldout_prompts")
    shown = kit.one_of_each_kind(heldout_prompts)
    both = {"base": base_lm, "SFT": sft_lm}
    answers = {name: pipeline.generate(lm, shown, greedy=True) for name, lm in both.items()}
    kit.show_conversations(shown, answers)

# %% [markdown]
# Read the answers, not only the loss. <!-- CLAIM sft_form_right --> The form should be right nearly always: a sentence or two, then an end.
# What is left to improve is the content. <!-- CLAIM sft_makes_up_facts sft_serves_cruelty sft_pads --> The demonstrations were written by people of differing care, and
# imitation copies the careless ones too: a made-up fact about an animal nobody knows, a friendly answer to an
# unfriendly request, padding words. SFT cannot tell them from the good ones, for it only ever asks "how would
# *they* have gone on?". To ask "which of these is better?" we need comparisons.
