"""Right answers that are written differently: (slot, ids of the catalogue, source). None may lose a point."""

from __future__ import annotations

Variant = tuple[str, str, str]

DATA: list[Variant] = [
    ("T01", "C33 list in place of tuple", '''
def format_example(row):
    parts = ["\\n\\nHuman: " + row["instruction"]]
    if (row.get("context") or "").strip() != "":
        parts.append(row["context"])
    return ["\\n\\n".join(parts) + "\\n\\nAssistant:", f" {row['response'].strip()}"]
'''),
    ("T02", "C42 split and rejoin", '''
def split_preference(a, b):
    *head, chosen = a.split("\\n\\nAssistant:")
    *other, rejected = b.split("\\n\\nAssistant:")
    if head != other or not head:
        raise ValueError
    return "\\n\\nAssistant:".join(head) + "\\n\\nAssistant:", chosen, rejected
'''),
    ("T03", "C32 tensors, BatchEncoding style", '''
def encode_example(prompt, completion, tokenizer, max_length):
    p = tokenizer(prompt)["input_ids"]
    c = tokenizer(completion)["input_ids"]
    c.append(tokenizer.eos_token_id)
    ids, cut = p + c, max(len(p) + len(c) - max_length, 0)
    labels = [-100] * len(p) + c
    ids, labels = ids[min(cut, len(p)):][:max_length], labels[min(cut, len(p)):][:max_length]
    return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels), "attention_mask": [1] * len(ids)}
'''),
]

LOSSES: list[Variant] = [
    ("T04", "C08 one-hot, loop over rows", '''
def sft_loss(logits, labels):
    total, count = 0.0 * logits.sum(), 0
    for row, target in zip(logits, labels):
        for t in range(len(target) - 1):
            if target[t + 1] != -100:
                total = total - (row[t] - row[t].logsumexp(-1))[target[t + 1]]
                count += 1
    return total / max(count, 1)
'''),
    ("T04", "C22 boolean index, in float64, shape [1]", '''
def sft_loss(logits, labels):
    keep = labels[:, 1:] != -100
    if not keep.any():
        return 0 * logits.sum().reshape(1)
    picked = logits[:, :-1].double()[keep]
    return torch.nn.functional.cross_entropy(picked, labels[:, 1:][keep]).reshape(1)
'''),
    ("T07", "C02 softplus", '''
def bradley_terry_loss(a, b, margin=0.0):
    return torch.nn.functional.softplus(b - a + margin).mean()
'''),
    ("T07", "C03 BCE with logits", '''
def bradley_terry_loss(chosen, rejected, margin=0.0):
    gap = chosen - rejected - margin
    return torch.nn.functional.binary_cross_entropy_with_logits(gap, torch.ones_like(gap))
'''),
    ("T07", "C04 logaddexp", '''
def bradley_terry_loss(chosen, rejected, margin=0.0):
    gap = margin + rejected - chosen
    return torch.logaddexp(torch.zeros_like(gap), gap).sum() / len(gap)
'''),
    ("T07", "C05 cross-entropy over the stacked pair", '''
def bradley_terry_loss(chosen, rejected, margin=0.0):
    both = torch.stack([chosen - margin, rejected], dim=1)
    return torch.nn.functional.cross_entropy(both, torch.zeros(len(chosen), dtype=torch.long))
'''),
    ("T08", "C29 Python loop, C30 numpy scalar", '''
def preference_accuracy(chosen, rejected):
    right = sum(1 if c > r else 0.5 if c == r else 0 for c, r in zip(chosen.tolist(), rejected.tolist()))
    return np.float64(right / len(chosen))
'''),
    ("T08", "C30 0-d tensor", '''
def preference_accuracy(c, r):
    return (torch.sign(c - r).double().mean() + 1) / 2
'''),
    ("T06", "C40 gather, masked sum", '''
class RewardModel(kit.RewardModelBase):
    def forward(self, input_ids, attention_mask):
        steps = attention_mask.cumsum(1)
        out = self.transformer(input_ids, attention_mask=attention_mask, position_ids=(steps - 1).clamp(0))
        last = ((steps == steps[:, -1:]) & (attention_mask == 1)).float()
        scores = self.score(out[0])[..., 0]
        return torch.einsum("bt,bt->b", scores, last)
'''),
    ("T06", "C27 one row at a time, no padding", '''
class RewardModel(kit.RewardModelBase):
    def __init__(self, lm, seed=0):
        super().__init__(lm, seed)

    def forward(self, input_ids, attention_mask):
        scores = []
        for ids, mask in zip(input_ids, attention_mask.bool()):
            hidden = self.transformer(input_ids=ids[mask][None]).last_hidden_state
            scores.append(self.score(hidden[0, -1])[0])
        return torch.stack(scores)
'''),
]

PPO: list[Variant] = [
    ("T10", "C07 one-hot", '''
def token_logprobs(logits, tokens):
    hot = torch.nn.functional.one_hot(tokens, logits.shape[-1])
    return (torch.log_softmax(logits, -1) * hot).sum(-1)
'''),
    ("T10", "C08 cross-entropy without reduction", '''
def token_logprobs(logits, tokens):
    return -torch.nn.functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
'''),
    ("T10", "C10 advanced indexing", '''
def token_logprobs(logits, tokens):
    b, t = torch.meshgrid(*(torch.arange(n) for n in tokens.shape), indexing="ij")
    return (logits - logits.logsumexp(-1, keepdim=True))[b, t, tokens]
'''),
    ("T10", "C12 Categorical", '''
def token_logprobs(logits, tokens):
    return torch.distributions.Categorical(logits=logits).log_prob(tokens)
'''),
    ("T11", "C27 row loop, in place", '''
def shape_rewards(scores, logprobs, ref_logprobs, mask, beta):
    out = (logprobs - ref_logprobs).mul_(-beta).mul_(mask)
    for i in range(len(mask)):
        end = mask[i].nonzero().max()
        out[i, end] += scores[i]
    return out
'''),
    ("T11", "C26 boolean mask, where", '''
def shape_rewards(scores, logprobs, ref_logprobs, mask, beta):
    on = mask.bool()
    after = torch.cat([on[:, 1:], torch.zeros_like(on[:, :1])], dim=1)
    kl = torch.where(on, logprobs - ref_logprobs, torch.zeros(()))
    return torch.where(on & ~after, scores[:, None], torch.zeros(())) - beta * kl
'''),
    ("T12", "C15 triangular matrix", '''
def gae(rewards, values, mask, gamma, lam):
    T = rewards.shape[1]
    v = values * mask
    following = torch.cat([v[:, 1:], torch.zeros_like(v[:, :1])], 1)
    delta = (rewards + gamma * following - v) * mask
    k = torch.arange(T)[None] - torch.arange(T)[:, None]
    weight = torch.where(k >= 0, torch.tensor(gamma * lam) ** k.clamp(min=0), torch.zeros(()))
    adv = (delta @ weight.T) * mask
    return [adv, adv + v]
'''),
    ("T12", "C17 lambda returns minus values, float64", '''
def gae(rewards, values, mask, gamma, lam):
    r, v, m = rewards.double(), values.double() * mask, mask.double()
    out, later = torch.zeros_like(r), torch.zeros(len(r), dtype=torch.float64)
    for t in reversed(range(r.shape[1])):
        nxt = v[:, t + 1] if t + 1 < r.shape[1] else torch.zeros_like(later)
        later = m[:, t] * (r[:, t] + gamma * ((1 - lam) * nxt + lam * later))
        out[:, t] = later
    return out - v, out
'''),
    ("T13", "C19 max of negatives, C22 boolean index", '''
def ppo_loss(logprobs, old_logprobs, advantages, values, old_values, returns, mask, config):
    on = mask > 0
    ratio = torch.exp(logprobs[on] - old_logprobs[on].detach())
    returns, old_values = returns.detach(), old_values.detach()
    a = advantages[on].detach()
    pg = torch.max(-a * ratio, -a * torch.clip(ratio, 1 - config.clip_range, 1 + config.clip_range)).mean()
    v = values[on]
    vc = torch.clamp(v, old_values[on] - config.value_clip, old_values[on] + config.value_clip)
    vl = torch.maximum(torch.square(v - returns[on]), torch.square(vc - returns[on])).mean() * 0.5
    frac = (torch.abs(ratio - 1) > config.clip_range).float().mean()
    stats = dict(policy_loss=pg.detach(), value_loss=vl.detach(), clip_fraction=frac, extra=1,
                 approx_kl=(old_logprobs - logprobs)[on].mean().detach())
    return pg + config.value_coef * vl, stats
'''),
    ("T13", "C20 piecewise where, C23 einsum", '''
def ppo_loss(logprobs, old_logprobs, advantages, values, old_values, returns, mask, config):
    def mean(x):
        return torch.einsum("bt,bt->", x, mask) / mask.sum()
    advantages, returns = advantages.detach(), returns.detach()
    ratio = (logprobs - old_logprobs.detach()).exp()
    high, low = ratio.clamp(max=1 + config.clip_range), ratio.clamp(min=1 - config.clip_range)
    policy = -mean(torch.where(advantages > 0, high, low) * advantages)
    delta = (values - old_values).clamp(-config.value_clip, config.value_clip)
    value = mean(torch.max((values - returns) ** 2, (old_values + delta - returns) ** 2)) / 2
    stats = {"policy_loss": float(policy), "value_loss": float(value),
             "approx_kl": float(mean(old_logprobs - logprobs)),
             "clip_fraction": np.float32(mean(((ratio - 1).abs() > config.clip_range).float()).item())}
    return policy + config.value_coef * value, stats
'''),
]

VARIANTS = DATA + LOSSES + PPO
