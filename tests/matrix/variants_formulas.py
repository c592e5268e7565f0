"""Right formulas written differently: (slot, ids of the catalogue, source of a helper cell, source)."""

from __future__ import annotations

Variant = tuple[str, str, str, str]

DELTAS = '''
import torch


def td_errors(rewards, values, mask, gamma):
    # value after the last response token: none
    inside = mask.bool()
    v = torch.where(inside, values, torch.zeros_like(values))
    nxt = torch.nn.functional.pad(v[:, 1:], (0, 1))
    return torch.where(inside, rewards + gamma * nxt - values, torch.zeros_like(values))
'''

FORMULAS: list[Variant] = [
    ("T01", "C42 helper in another cell, no type hints", '''
HUMAN_TURN, REPLY_TURN = "\\n\\nHuman: ", "\\n\\nAssistant:"


def is_blank(text):
    return text is None or not text.strip()
''', '''
def format_example(example):
    question = example["instruction"]
    if not is_blank(example.get("context")):
        question = question + "\\n\\n" + example["context"]
    return HUMAN_TURN + question + REPLY_TURN, " " + example["response"].strip()
'''),
    ("T02", "C42 positions by rindex", "", '''
def split_preference(chosen: str, rejected: str):
    """Both dialogues are cut behind their last assistant marker."""
    marker = "\\n\\nAssistant:"
    a, b = (text.rindex(marker) + len(marker) for text in (chosen, rejected))
    if chosen[:a] != rejected[:b]:
        raise ValueError(f"prompts differ: {chosen[:a]!r} and {rejected[:b]!r}")
    return chosen[:a], chosen[a:], rejected[b:]
'''),
    ("T03", "C28 one token popped at a time", "", '''
def encode_example(prompt, completion, tokenizer, max_length):
    left = list(tokenizer.encode(prompt, add_special_tokens=False))
    right = list(tokenizer.encode(completion, add_special_tokens=False)) + [tokenizer.eos_token_id]
    while len(right) > max_length:
        right.pop()
    while left and len(left) + len(right) > max_length:
        left.pop(0)
    labels = [-100 for _ in left] + right
    return {"labels": labels, "input_ids": left + right}
'''),
    ("T04", "C09 nll_loss, C21 sum over sum", "", '''
def sft_loss(logits, labels):
    logp = torch.log_softmax(logits[:, :-1], dim=-1).flatten(0, 1)
    target = labels[:, 1:].flatten()
    total = torch.nn.functional.nll_loss(logp, target, ignore_index=-100, reduction="sum")
    return total / max(1, int((target != -100).sum()))
'''),
    ("T04", "C11 take_along_dim, C24 weighted average", "", '''
def sft_loss(logits, labels):
    scores, y = logits[:, :-1], labels[:, 1:]
    weight = (y != -100).to(scores.dtype)
    picked = torch.take_along_dim(scores, y.clamp(min=0)[..., None], dim=-1)[..., 0]
    nll = scores.logsumexp(-1) - picked
    if weight.sum() == 0:
        return 0.0 * nll.sum()
    return (nll * (weight / weight.sum())).sum()
'''),
    ("T06", "C26 boolean mask, C40 gather from the right", "", '''
class RewardModel(kit.RewardModelBase):
    """Reads the mask from its right end."""

    def forward(self, input_ids, attention_mask):
        mask = attention_mask.bool()
        positions = (mask.long().cumsum(-1) - 1).masked_fill(~mask, 0)
        hidden = self.transformer(input_ids=input_ids, attention_mask=mask.long(), position_ids=positions)[0]
        last = mask.shape[1] - 1 - mask.flip(1).long().argmax(1)
        pooled = hidden.gather(1, last.view(-1, 1, 1).expand(-1, 1, hidden.shape[-1]))
        return self.score(pooled).flatten()
'''),
    ("T06", "C25 moved to the right, so that no position is shifted", "", '''
class RewardModel(kit.RewardModelBase):
    def forward(self, input_ids, attention_mask):
        # a stable sort brings the real tokens of each row to the left, in their order
        order = torch.argsort(1 - attention_mask.long(), dim=1, stable=True)
        ids, mask = input_ids.gather(1, order), attention_mask.gather(1, order)
        scores = self.score(self.transformer(input_ids=ids, attention_mask=mask).last_hidden_state)[:, :, 0]
        return scores[torch.arange(len(ids)), mask.sum(1).long() - 1]
'''),
    ("T07", "C01 logsigmoid, one pair at a time", "", '''
def bradley_terry_loss(chosen, rejected, margin=0.0):
    losses = [-torch.nn.functional.logsigmoid(c - r - margin) for c, r in zip(chosen, rejected)]
    return torch.stack(losses).mean()
'''),
    ("T08", "C29 a NumPy mean as a Python float", "", '''
def preference_accuracy(chosen, rejected):
    gap = (chosen - rejected).detach().cpu().numpy()
    return float(np.where(gap > 0, 1.0, np.where(gap < 0, 0.0, 0.5)).mean())
'''),
    ("T10", "C06 gather, row by row", "", '''
def token_logprobs(logits, tokens):
    rows = []
    for row, ids in zip(logits, tokens):
        rows.append(row.gather(1, ids.unsqueeze(1)).squeeze(1) - torch.logsumexp(row, dim=1))
    return torch.stack(rows)
'''),
    ("T10", "C09 nll_loss, C30 float64", "", '''
def token_logprobs(logits, tokens):
    logp = logits.double().log_softmax(dim=-1)
    return -torch.nn.functional.nll_loss(logp.movedim(-1, 1), tokens, reduction="none")
'''),
    ("T10", "C11 take_along_dim", "", '''
def token_logprobs(logits, tokens):
    """Log-probability of each sampled token."""
    return torch.take_along_dim(logits.log_softmax(-1), tokens.unsqueeze(-1), dim=-1).squeeze(-1)
'''),
    ("T11", "C24 einsum over a one-hot end", "", '''
def shape_rewards(scores, logprobs, ref_logprobs, mask, beta):
    width = mask.shape[1]
    last = width - 1 - torch.argmax(torch.flip(mask, dims=[1]), dim=1)
    end = torch.nn.functional.one_hot(last, width).to(scores.dtype)
    penalty = torch.where(mask > 0, logprobs - ref_logprobs, torch.zeros_like(logprobs))
    return torch.einsum("b,bt->bt", scores, end) - beta * penalty
'''),
    ("T12", "C13 backward loop over lists", "", '''
def gae(rewards, values, mask, gamma, lam):
    advantages, returns = torch.zeros_like(rewards), torch.zeros_like(rewards)
    for i in range(len(rewards)):
        carry, after = 0.0, 0.0
        for t in torch.nonzero(mask[i]).flatten().tolist()[::-1]:
            value = values[i, t].item()
            carry = rewards[i, t].item() + gamma * after - value + gamma * lam * carry
            advantages[i, t], returns[i, t] = carry, carry + value
            after = value
    return advantages, returns
'''),
    ("T12", "C14 scan over the reversed columns", DELTAS, '''
def gae(rewards, values, mask, gamma, lam):
    carry, columns = torch.zeros_like(rewards[:, 0]), []
    for delta in td_errors(rewards, values, mask, gamma).flip(1).unbind(1):
        carry = delta + gamma * lam * carry
        columns.append(carry)
    advantages = torch.stack(columns, dim=1).flip(1) * mask
    return advantages, torch.where(mask > 0, advantages + values, torch.zeros_like(values))
'''),
    ("T12", "C16 discounted cumulative sum, rescaled, C30 float64", DELTAS, '''
def gae(rewards, values, mask, gamma, lam):
    deltas, decay = td_errors(rewards, values, mask, gamma).double(), gamma * lam
    advantages = deltas
    if decay > 0:
        power = decay ** torch.arange(deltas.shape[1], dtype=torch.float64)
        advantages = (deltas * power).flip(1).cumsum(1).flip(1) / power * mask
    return advantages, torch.where(mask > 0, advantages + values, torch.zeros_like(advantages))
'''),
    ("T12", "C17 convolution", DELTAS, '''
def gae(rewards, values, mask, gamma, lam):
    deltas = td_errors(rewards, values, mask, gamma)
    width = deltas.shape[1]
    kernel = torch.tensor([(gamma * lam) ** k for k in range(width)], dtype=deltas.dtype)
    padded = torch.nn.functional.pad(deltas, (0, width - 1)).unsqueeze(1)
    advantages = torch.nn.functional.conv1d(padded, kernel.view(1, 1, -1)).squeeze(1) * mask
    return advantages, (advantages + torch.where(mask > 0, values, torch.zeros_like(values))) * mask
'''),
    ("T13", "C18 minus the minimum, C23 nanmean, C31 detached statistics", "", '''
def ppo_loss(logprobs, old_logprobs, advantages, values, old_values, returns, mask, config):
    inside = mask.bool()

    def mean(x):
        return torch.where(inside, x, torch.nan).nanmean()

    old_logprobs, advantages, old_values, returns = (
        x.detach() for x in (old_logprobs, advantages, old_values, returns)
    )
    log_ratio = torch.where(inside, logprobs - old_logprobs, torch.zeros_like(logprobs))
    ratio = log_ratio.exp()
    low, high = 1 - config.clip_range, 1 + config.clip_range
    policy_loss = -mean(torch.min(ratio * advantages, torch.clip(ratio, low, high) * advantages))
    near = torch.maximum(torch.minimum(values, old_values + config.value_clip), old_values - config.value_clip)
    value_loss = 0.5 * mean(torch.max((values - returns).pow(2), (near - returns).pow(2)))
    stats = {
        "policy_loss": policy_loss.detach(), "value_loss": value_loss.detach(),
        "approx_kl": mean(-log_ratio).detach(),
        "clip_fraction": mean(((ratio < low) | (ratio > high)).float()),
    }
    return policy_loss + config.value_coef * value_loss, stats
'''),
]
