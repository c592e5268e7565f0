"""Right training loops and a right comparison that are written differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.slot_variants import Variant

LOOPS: list[Variant] = [
    (
        "T05",
        "C31 HF labels, tensors, C36 set_to_none, C37 own clip",
        """
def train_sft(model, batches, config, on_step=None):
    params = [p for p in model.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(params, config.learning_rate, config.betas, config.eps, config.weight_decay)
    history, k = [], 0
    model.train()
    for _ in range(config.epochs):
        for batch in batches:
            opt.param_groups[0]["lr"] = config.learning_rate * min(1, (k + 1) / config.warmup_steps)
            opt.zero_grad(set_to_none=False)
            loss = model(**batch).loss
            loss.backward()
            norm = sum((p.grad ** 2).sum() for p in params) ** 0.5
            for p in params:
                p.grad *= min(1.0, config.max_grad_norm / norm.item())
            opt.step()
            k += 1
            history.append(loss.detach())
            if on_step:
                on_step(k - 1, loss.detach())
    return torch.stack(history)
""",
    ),
    (
        "T05",
        "C36 zero_grad at the end, scheduler",
        """
def train_sft(model, batches, config, on_step=None):
    opt = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=config.betas, eps=config.eps,
                            weight_decay=config.weight_decay, foreach=False)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda k: min(1.0, (k + 1) / config.warmup_steps))
    losses = []
    for step in range(config.epochs * len(batches)):
        batch = batches[step % len(batches)]
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        loss = sft_loss(logits, batch["labels"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        opt.step(); sched.step(); model.zero_grad()
        losses.append(float(loss))
        if on_step is not None:
            on_step(step, float(loss))
    return losses
""",
    ),
    (
        "T05",
        "batches of an epoch in another order",
        """
def train_sft(model, batches, config, on_step=None):
    opt = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=config.betas, eps=config.eps,
                            weight_decay=config.weight_decay)
    losses = []
    for _ in range(config.epochs):
        for i in torch.randperm(len(batches)).tolist():
            for g in opt.param_groups:
                g["lr"] = config.learning_rate * kit.warmup_factor(len(losses), config.warmup_steps)
            inputs = {k: v for k, v in batches[i].items() if k != "labels"}
            loss = sft_loss(model(**inputs).logits, batches[i]["labels"])
            opt.zero_grad(); loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            opt.step()
            losses.append(loss.item())
            on_step and on_step(len(losses) - 1, losses[-1])
    return losses
""",
    ),
    (
        "T09",
        "both replies in one forward pass",
        """
def train_reward_model(model, batches, config, on_step=None):
    opt = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=config.betas, eps=config.eps,
                            weight_decay=config.weight_decay)
    losses = []
    for epoch in range(config.epochs):
        for b in batches:
            width = max(b["chosen_input_ids"].shape[1], b["rejected_input_ids"].shape[1])
            def wide(x, value):
                return torch.nn.functional.pad(x, (0, width - x.shape[1]), value=value)
            ids = torch.cat([wide(b["chosen_input_ids"], 1), wide(b["rejected_input_ids"], 1)])
            mask = torch.cat([wide(b["chosen_attention_mask"], 0), wide(b["rejected_attention_mask"], 0)])
            chosen, rejected = model(ids, mask).chunk(2)
            loss = -torch.nn.functional.logsigmoid(chosen - rejected).mean()
            for g in opt.param_groups:
                g["lr"] = config.learning_rate * min(1.0, (len(losses) + 1) / config.warmup_steps)
            opt.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            opt.step()
            losses.append(loss.item())
            if on_step:
                on_step(len(losses) - 1, losses[-1])
    return losses
""",
    ),
    (
        "T14",
        "everything inlined, whole sequences, C38 inference mode",
        """
def train_ppo(policy, reference, reward_fn, prompts, config, on_step=None):
    opt = torch.optim.AdamW(policy.parameters(), lr=config.learning_rate, betas=config.betas, eps=config.eps,
                            weight_decay=config.weight_decay)
    rng, done, history = torch.Generator().manual_seed(config.seed), 0, []

    def evaluate(ids, mask):
        logits, values = policy(ids, mask)
        logp = torch.log_softmax(logits[:, :-1], -1)
        return torch.gather(logp, 2, ids[:, 1:, None])[..., 0], values[:, :-1]

    for step in range(config.steps):
        pick = torch.randperm(len(prompts), generator=rng)[: config.rollouts].tolist()
        chosen = [prompts[i] for i in pick]
        replies = kit.sample(policy.lm, chosen, config.max_new_tokens, generator=rng, batch_size=7)
        batch = kit.lay_out(chosen, replies)
        ids, att, m = batch.input_ids, batch.attention_mask, batch.response_mask[:, 1:]
        with torch.inference_mode():
            old, v = evaluate(ids, att)
            ref = torch.gather(torch.log_softmax(reference(ids).logits[:, :-1], -1), 2, ids[:, 1:, None])[..., 0]
            scores = torch.cat([reward_fn(chosen[i:i + 3], replies[i:i + 3]) for i in range(0, len(chosen), 3)])
            r = -config.beta * (old - ref) * m
            for i in range(len(r)):
                r[i, m[i].nonzero()[-1, 0]] += scores[i]
            adv = torch.zeros_like(r)
            for i in range(len(r)):
                gain = 0.0
                cols = m[i].nonzero()[:, 0].tolist()
                for j, t in reversed(list(enumerate(cols))):
                    nxt = v[i, cols[j + 1]] if j + 1 < len(cols) else 0.0
                    gain = r[i, t] + config.gamma * nxt - v[i, t] + config.gamma * config.lam * gain
                    adv[i, t] = gain
            ret = adv + v
            flat = adv[m.bool()]
            adv = (adv - flat.mean()) / (flat.std() + 1e-8)
        old, v, ret, adv = old.clone(), v.clone(), ret.clone(), adv.clone()
        for _ in range(config.ppo_epochs):
            order = torch.randperm(len(ids), generator=rng)
            for start in range(0, len(ids), config.minibatch_size):
                i = order[start:start + config.minibatch_size]
                new, value = evaluate(ids[i], att[i])
                n = m[i].sum()
                ratio = (new - old[i]).exp()
                pg = torch.max(-adv[i] * ratio, -adv[i] * ratio.clamp(1 - config.clip_range, 1 + config.clip_range))
                clipped = v[i] + (value - v[i]).clamp(-config.value_clip, config.value_clip)
                vf = 0.5 * torch.max((value - ret[i]) ** 2, (clipped - ret[i]) ** 2)
                loss = ((pg + config.value_coef * vf) * m[i]).sum() / n
                for group in opt.param_groups:
                    group["lr"] = config.learning_rate * min(1.0, (done + 1) / config.warmup_steps)
                opt.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(list(policy.parameters()), config.max_grad_norm)
                opt.step()
                done += 1
        history.append({"reward": scores.mean(), "kl": ((old - ref) * m).sum() / len(ids), "step": step,
                        "policy_loss": (pg * m[i]).sum() / n, "value_loss": (vf * m[i]).sum().item() / n.item()})
        if on_step:
            on_step(step, history[-1])
    return history
""",
    ),
    (
        "T15",
        "C27 one prompt at a time, own log-probabilities",
        """
def compare_policies(policies, prompts, score_fn, config):
    gen = torch.Generator()
    answers, points = {}, {}
    for name in policies:
        gen.manual_seed(config.seed)
        answers[name] = kit.sample(policies[name].lm, prompts, config.max_new_tokens, greedy=config.greedy,
                                   generator=gen, batch_size=config.batch_size)
        points[name] = [float(score_fn([p], [a])[0]) for p, a in zip(prompts, answers[name])]

    @torch.no_grad()
    def logp(lm, prompt, reply):
        ids = torch.tensor([[*prompt, *reply]])
        table = lm(input_ids=ids).logits.log_softmax(-1)[0]
        return sum(table[len(prompt) + i - 1, token].item() for i, token in enumerate(reply))

    rows = []
    for name in policies:
        wins = np.array([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in zip(points[name], points["SFT"])])
        rng = np.random.RandomState(0)
        means = [rng.choice(wins, len(wins)).mean() for _ in range(config.bootstrap)]
        low, high = np.percentile(means, [50 * (1 - config.confidence), 50 * (1 + config.confidence)])
        rep = []
        for a in answers[name]:
            pairs = {}
            for x, y in zip(a[:-1], a[1:]):
                pairs[x, y] = pairs.get((x, y), 0) + 1
            rep.append(1 - len(pairs) / sum(pairs.values()) if pairs else 0)
        own, base = policies[name].lm, policies["SFT"].lm
        kl = np.mean([logp(own, p, a) - logp(base, p, a) for p, a in zip(prompts, answers[name])])
        rows.append(dict(
            name=name, n=np.int64(len(prompts)), mean_reward=np.mean(points[name]), kl_to_sft=torch.tensor(kl),
            win_rate=wins.mean(), win_low=low, win_high=high, mean_tokens=np.mean([len(a) for a in answers[name]]),
            repetition=np.mean(rep), response_ids=[tuple(a) for a in answers[name]],
        ))
    return rows
""",
    ),
]
