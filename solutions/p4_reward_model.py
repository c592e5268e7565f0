# %% [markdown]
# # Part 4 · The reward model
#
# People find it hard to give an answer 7.3 points, and easy to say which of two answers is better. The model of
# Bradley and Terry (1952) turns comparisons into points: give each answer a score $r$, and let the probability
# that $y_w$ is preferred to $y_l$ depend on the difference alone,
#
# $$
# P(y_w \succ y_l \mid x) \;=\; \sigma\!\big(r_\phi(x, y_w) - r_\phi(x, y_l)\big), \qquad \sigma(z)=\frac{1}{1+e^{-z}} .
# $$
#
# Maximising the likelihood of the observed preferences gives the loss (Christiano et al. 2017; Stiennon et al. 2020)
#
# $$
# \mathcal{L}_{\text{RM}}(\phi) \;=\; -\,\mathbb{E}_{(x,\,y_w,\,y_l)}\Big[\log \sigma\big(r_\phi(x, y_w) - r_\phi(x, y_l) - m\big)\Big],
# $$
#
# with an optional margin $m$ (here 0 unless given). The score's zero is arbitrary: add 5 to all of them and nothing
# changes. So a score means something only beside another one.
#
# The judge is a copy of the SFT model whose vocabulary head is replaced by one linear map to a number.

# %%
from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import rlhf_kit as kit

# %% [markdown]
# ## T06 · One number per sequence
#
# **Task.** Run the body (`self.transformer`), take the hidden state of the **last attended token**, apply the head
# (`self.score`). `(B, T), (B, T) → (B,)`. The same text must score the same with padding on the right, on the left, or
# without any. Go by the mask, not by token ids. No new parameters.
#
# **Why the last token.** In a causal model only the last position has read everything. The kit ends every reply with
# EOS, so the head always looks at the same kind of token.
#
# **Hint.** `kit.position_ids(attention_mask)` counts positions from the first real token; GPT-2 counts from the left
# edge if you do not pass them. Always pass arguments by keyword: the second positional one is not the mask.
#
# **Common mistakes.** `hidden[:, -1]` (a padding token for all but the longest) · `length` in place of `length - 1` · an
# index that assumes right padding · a result of shape `(B, 1)`, whose difference with `(B,)` is a $B\times B$ table ·
# a sigmoid on the score.
#
# **Debug.** Score three texts of different length alone and in one batch, padded on either side. **Right** looks like
# the same three numbers each time, to 5 digits, small at first and of both signs.

# %%
# TODO T06 · score a sequence at its last attended token
class RewardModel(kit.RewardModelBase):
    """A GPT-2 body (`self.transformer`) and a linear head (`self.score`): a number per sequence."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Score each sequence at its last attended token: (B, T), (B, T) -> (B,).

        The score must not depend on padding: left, right or none give the same number.
        """
        # BEGIN SOLUTION T06
        hidden = self.transformer(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=kit.position_ids(attention_mask),
        ).last_hidden_state
        columns = torch.arange(input_ids.size(1), device=input_ids.device)
        last = (attention_mask.long() * columns).amax(dim=1)
        rows = torch.arange(input_ids.size(0), device=input_ids.device)
        return self.score(hidden[rows, last]).squeeze(-1)
        # END SOLUTION


# %% [markdown]
# ## T07 · The Bradley–Terry loss
#
# **Task.** The mean over pairs of $-\log\sigma(r_w - r_l - m)$, a scalar, finite for gaps of any size.
#
# **Hint.** $-\log\sigma(z) = \log(1+e^{-z}) = \texttt{softplus}(-z)$. There are five right ways to write it, and one wrong one:
# `torch.log(torch.sigmoid(z))` is $-\infty$ at $z=-120$, and its gradient NaN.
#
# **Common mistakes.** The sign · a sum (then the learning rate depends on the batch size) · regression towards 1 and
# 0, which is another model.
#
# **Debug.** Scores of $\pm 600$ must give a finite loss and gradient; the same pairs twice, the same loss.
#
# **Right** looks like: $\ln 2$ at a gap of 0; the gradient with respect to $r_w$ is $-\sigma(-z)/B$: large for
# pairs ranked wrong, near 0 for pairs ranked right.

# %%
# TODO T07 · the Bradley-Terry loss of a batch of pairs
def bradley_terry_loss(chosen: Tensor, rejected: Tensor, margin: float | Tensor = 0.0) -> Tensor:
    """Mean negative log-likelihood of the preferences: -log sigmoid(chosen - rejected - margin).

    chosen, rejected: scores (B,). Returns a scalar; finite for score gaps of any size.
    """
    # BEGIN SOLUTION T07
    return F.softplus(rejected - chosen + margin).mean()
    # END SOLUTION


# %% [markdown]
# ## T08 · Accuracy
#
# **Task.** The share of pairs whose chosen reply scores higher: `(B,), (B,) → float`. A tie counts one half.
#
# **Hint.** Comparisons give booleans; their mean is a share. **Common mistakes.** `>=` or `>` alone, so that ties count
# as wins or as losses · averaging the accuracies of batches of different size · a tensor where a float is asked for.
#
# **Debug.** A model that gives everything the same score. **Right** looks like 0.5 for it, not 0 or 1.
#
# Read accuracy beside its uncertainty: with $n$ pairs the standard error is $\sqrt{p(1-p)/n}$, so 160 pairs cannot
# tell .60 from .65. And it has a ceiling: people disagree with themselves. <!-- CLAIM perfect_judge_misses --> Here the labels were drawn from a
# Bradley–Terry model on the true quality, so even the perfect judge misses some. On real HH-RLHF data, models of
# this size reach about 0.55–0.62, and people agree with each other on some 65–70% of such pairs.

# %%
# TODO T08 · the share of pairs ranked right
def preference_accuracy(chosen: Tensor, rejected: Tensor) -> float:
    """Share of pairs whose chosen reply scores higher; a tie counts half. Scores (B,) -> float."""
    # BEGIN SOLUTION T08
    right = (chosen > rejected).double() + 0.5 * (chosen == rejected).double()
    return right.mean().item()
    # END SOLUTION


# %% [markdown]
# ## T09 · The loop
#
# **Task.** T05's loop once more, settings and order included, on pair batches: `chosen_input_ids`,
# `chosen_attention_mask`, `rejected_…`. Body and head both learn. What differs is what needs care: a step scores two sides,
# which are padded separately, so each needs its own mask; a sequence has one score and no labels, so nothing is shifted and
# nothing is averaged over tokens.
#
# **Hint.** Copy your T05 and change what is fed in and which loss is called. Two forward passes are the simplest; one over
# both sides, padded to one width, gives the same.
#
# **Common mistakes.** `torch.no_grad()` around the forward (copied from an evaluation) · one side's mask for both · an
# optimiser that holds the head only.
#
# **Debug.** <!-- CLAIM rm_starts_at_chance --> The first loss is close to $\ln 2 \approx 0.693$, since the head starts small. If it starts at 0.69 and stays
# there, print the score difference of one batch: is it always 0 (both sides equal after truncation?), or does it
# vary without learning (labels swapped at random?). <!-- CLAIM rm_loss_ends_half --> **Right** looks like a noisy slow fall, to about 0.5 and not to 0:
# the labels are noisy, and a loss near 0 means that the pairs were learned by heart.

# %%
# TODO T09 · the reward model's training loop
def train_reward_model(
    model: nn.Module,
    batches: Sequence[dict[str, Tensor]],
    config: kit.RMConfig,
    on_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train a reward model in place on preference pairs; one pass over `batches` per epoch.

    model: `model(input_ids=..., attention_mask=...)` is (B,); body and head both learn.
    batches: dicts with chosen_input_ids, chosen_attention_mask, rejected_input_ids,
    rejected_attention_mask, each (B, T), prompt included; the two widths may differ.
    config, on_step and the returned losses: as in `train_sft`.
    """
    # BEGIN SOLUTION T09
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
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            chosen, rejected = (
                model(input_ids=batch[f"{name}_input_ids"], attention_mask=batch[f"{name}_attention_mask"])
                for name in ("chosen", "rejected")
            )
            loss = bradley_terry_loss(chosen, rejected)
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
# ## Two judges
#
# We train two, with the same code. The **Good RM** gets all of the pairs, half of them sampled from an SFT model (what
# the policy will say matters more than what people wrote). The **Poor RM** gets little data from a careless annotator,
# who liked long answers and compliments and hardly checked the facts. Both are measured on the same held-out pairs,
# and on two halves of them: pairs whose chosen reply is longer, and pairs whose chosen reply is not.

# %%
@torch.no_grad()
def score_pairs(model: nn.Module, pairs: list[dict[str, list[int]]]) -> tuple[Tensor, Tensor]:
    """Scores of the chosen and the rejected side, each (N,), on the CPU."""
    return tuple(kit.score_sequences(model, [p[s][:-1] for p in pairs], [p[s][-1:] for p in pairs])
                 for s in ("chosen", "rejected"))


def judge_report(model: nn.Module, pairs: list[dict[str, list[int]]]) -> dict[str, float]:
    """Held-out accuracy, and the same where the chosen reply is longer, and where it is not."""
    chosen, rejected = score_pairs(model, pairs)
    longer = torch.tensor([len(p["chosen"]) > len(p["rejected"]) for p in pairs])
    return {
        "accuracy": preference_accuracy(chosen, rejected),
        "chosen_longer": preference_accuracy(chosen[longer], rejected[longer]),
        "chosen_not_longer": preference_accuracy(chosen[~longer], rejected[~longer]),
        "pairs": len(pairs),
    }


if __name__ == "__main__":
    pipeline.needs("sft_lm", "preferences", "heldout_pairs")
    heldout_encoded_pairs = pipeline.encode_pairs(heldout_pairs)
    sources = {
        "Poor RM": (kit.load_preferences("poor"), profile.poor_rm),
        "Good RM": (preferences, profile.good_rm),
    }
    reward_models, rm_losses, rm_table = {}, {}, {}
    for name, (pairs, config) in sources.items():
        updates = config.epochs * math.ceil(len(pairs) / config.batch_size)
        with kit.ProgressBar(updates, name) as bar:
            reward_models[name], rm_losses[name] = pipeline.run_reward_model(
                sft_lm, pairs, config, on_step=bar
            )
        kit.save(reward_models[name], name, losses=rm_losses[name])
        rm_table[name] = judge_report(reward_models[name], heldout_encoded_pairs)
    kit.record("reward_model", rm_table)

# %%
if __name__ == "__main__":
    pipeline.needs("rm_losses")
    kit.plot_loss(rm_losses, title="Reward models", ylabel="loss (nats per pair)", baseline=math.log(2))

# %% [markdown]
# What does each of them see? First four held-out pairs with both scores; only differences within a pair mean something.
# Then, among all chosen replies, the two that each judge likes best, and the two that it likes least.

# %%
if __name__ == "__main__":
    pipeline.needs("reward_models", "heldout_pairs")
    sides = {
        name: dict(zip(("chosen", "rejected"), score_pairs(model, heldout_encoded_pairs)))
        for name, model in reward_models.items()
    }
    parts = [split_preference(pair["chosen"], pair["rejected"]) for pair in heldout_pairs]
    first = [dict(zip(("prompt", "chosen", "rejected"), part)) for part in parts[:4]]
    said = {side: [one[side].strip() for one in first] for side in ("chosen", "rejected")}
    scores = {
        side: [", ".join(f"{n} {s[side][i]:+.2f}" for n, s in sides.items()) for i in range(4)]
        for side in said
    }
    kit.show_conversations(first, said, notes=scores)

# %%
if __name__ == "__main__":
    pipeline.needs("sides")
    for name, scored in sides.items():
        order = scored["chosen"].argsort(descending=True).tolist()
        print(f"--- {name}, highest and lowest scores among the chosen replies")
        for i in (*order[:2], *order[-2:]):
            print(f"{scored['chosen'][i]:+.2f}  {parts[i][1].strip() or '(empty)'}")

# %% [markdown]
# Compare the columns. No judge does equally well in both halves, for their pairs differ in more than length. <!-- CLAIM good_judge_long good_judge_not_long good_judge_closer --> But the Good
# RM, which reads the content, is better than a coin in both, and its two accuracies lie far closer together than the Poor
# RM's. <!-- CLAIM poor_judge_long poor_judge_below_half --> That one does well where the better reply happens to be the longer one, and falls *below* one half, worse than a
# coin, where it is not: it counts words. <!-- CLAIM poor_loss_lower --> Its training loss looks fine, even better than the other's, for it has learned
# its few pairs by heart. Nothing in a training curve tells you *what* a judge has learned.
#
# We will now let policies loose on both.
