"""Right loops and comparisons written differently, with classes and helpers of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.matrix.variants_formulas import Variant

UPDATER = '''
import torch
import rlhf_kit as kit


class Updater:
    """AdamW with warm-up and clipping: one call is one update."""

    def __init__(self, model, config):
        self.parameters, self.config, self.count = list(model.parameters()), config, 0
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, betas=config.betas, eps=config.eps,
            weight_decay=config.weight_decay,
        )

    def __call__(self, loss):
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * kit.warmup_factor(self.count, self.config.warmup_steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.config.max_grad_norm)
        self.optimizer.step()
        self.count += 1
        return float(loss.detach())
'''

WHITEN = UPDATER + '''

def whitened(advantages, mask):
    # mean and variance by hand, over response tokens
    n = mask.sum()
    mean = (advantages * mask).sum() / n
    variance = (((advantages - mean) * mask) ** 2).sum() / (n - 1)
    return (advantages - mean) / torch.sqrt(variance + 1e-8) * mask
'''

TRAINER = '''
import tempfile
from transformers import Trainer, TrainerCallback, TrainingArguments

class BatchTrainer(Trainer):
    seen = ()

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        output = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        loss = sft_loss(output.logits, inputs["labels"])
        self.seen = [*self.seen, loss.item()]
        return (loss, output) if return_outputs else loss

    def get_train_dataloader(self):
        return torch.utils.data.DataLoader(self.train_dataset, batch_size=None, shuffle=False)

class Report(TrainerCallback):
    def __init__(self, tell):
        self.tell, self.trainer = tell, None

    def on_step_end(self, args, state, control, **kwargs):
        self.tell(state.global_step - 1, self.trainer.seen[-1])
'''

PROGRAMS: list[Variant] = [
    ("T05", "C34 the transformers library's Trainer", TRAINER, '''
def train_sft(model, batches, config, on_step=None):
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=config.betas, eps=config.eps,
                                  weight_decay=config.weight_decay)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: kit.warmup_factor(k, config.warmup_steps))
    report = Report(on_step or (lambda step, loss: None))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=config.epochs, max_grad_norm=config.max_grad_norm, report_to=[],
            save_strategy="no", logging_strategy="no", disable_tqdm=True, remove_unused_columns=False,
            use_cpu=next(model.parameters()).device.type == "cpu",
        )
        trainer = BatchTrainer(model, arguments, train_dataset=list(batches), optimizers=(optimizer, warmup),
                               callbacks=[report])
        report.trainer = trainer
        trainer.train()
    model.eval()
    return list(trainer.seen)
'''),
    ("T05", "C34 hand loop around a class, C36 set_to_none", UPDATER, '''
def train_sft(model, batches, config, on_step=None):
    update = Updater(model, config)
    model.train()
    losses = []
    for step in range(config.epochs * len(batches)):
        batch = batches[step % len(batches)]
        output = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        losses.append(update(sft_loss(output.logits, batch["labels"])))
        if on_step is not None:
            on_step(step, losses[-1])
    return losses
'''),
    ("T09", "C42 class from another cell, scores by side", UPDATER, '''
def train_reward_model(model, batches, config, on_step=None):
    """One update per batch, every epoch."""
    update, losses = Updater(model, config), []
    for _ in range(config.epochs):
        for batch in batches:
            score = {s: model(batch[f"{s}_input_ids"], batch[f"{s}_attention_mask"]) for s in ("chosen", "rejected")}
            losses.append(update(bradley_terry_loss(score["chosen"], score["rejected"])))
            if on_step is not None:
                on_step(len(losses) - 1, losses[-1])
    return losses
'''),
    ("T09", "body and head as two groups of parameters", "", '''
def train_reward_model(model, batches, config, on_step=None):
    groups = [{"params": list(part.parameters())} for part in (model.transformer, model.score)]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, eps=config.eps,
                                  weight_decay=config.weight_decay)
    losses = []
    for epoch in range(config.epochs):
        for batch in batches:
            factor = min(1.0, (len(losses) + 1) / max(1, config.warmup_steps))
            for group in optimizer.param_groups:
                group["lr"] = factor * config.learning_rate
            good = model(batch["chosen_input_ids"], batch["chosen_attention_mask"])
            bad = model(batch["rejected_input_ids"], batch["rejected_attention_mask"])
            loss = bradley_terry_loss(good, bad)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([p for g in groups for p in g["params"]], config.max_grad_norm)
            optimizer.step()
            losses.append(loss.item())
            if on_step is not None:
                on_step(len(losses) - 1, losses[-1])
    return losses
'''),
    ("T09", "C27 one pair at a time, gradients summed over the batch", "", '''
def train_reward_model(model, batches, config, on_step=None):
    opt = torch.optim.AdamW(model.parameters(), config.learning_rate, betas=config.betas, eps=config.eps,
                            weight_decay=config.weight_decay)
    plan = torch.optim.lr_scheduler.LambdaLR(opt, lambda k: kit.warmup_factor(k, config.warmup_steps))
    history = []
    for _ in range(config.epochs):
        for b in batches:
            opt.zero_grad()
            rows, total = len(b["chosen_input_ids"]), 0.0
            for i in range(rows):
                one = [model(b[f"{s}_input_ids"][i:i + 1], b[f"{s}_attention_mask"][i:i + 1])
                       for s in ("chosen", "rejected")]
                loss = bradley_terry_loss(*one) / rows
                loss.backward()
                total += loss.item()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            opt.step()
            plan.step()
            history.append(total)
            if on_step:
                on_step(len(history) - 1, total)
    return history
'''),
    ("T14", "C38 no_grad, C39 reference copied and frozen, C41 variance by formula", WHITEN, '''
def train_ppo(policy, reference, reward_fn, prompts, config, on_step=None):
    import copy

    frozen = copy.deepcopy(reference).eval()
    for parameter in frozen.parameters():
        parameter.requires_grad_(False)
    update, queue, history = Updater(policy, config), [], []
    generator = torch.Generator().manual_seed(config.seed)

    def look(model, ids, attention):
        logits = model(input_ids=ids, attention_mask=attention).logits
        return token_logprobs(logits[:, :-1], ids[:, 1:])

    for step in range(config.steps):
        while len(queue) < config.rollouts:
            queue += torch.randperm(len(prompts), generator=generator).tolist()
        turn, queue = queue[:config.rollouts], queue[config.rollouts:]
        roll = kit.rollout(policy.lm, [prompts[i] for i in turn], config.max_new_tokens, generator)
        ids, attention, mask = roll.input_ids, roll.attention_mask, roll.response_mask[:, 1:].float()
        with torch.no_grad():
            logits, values = policy(ids, attention)
            old, old_values = token_logprobs(logits[:, :-1], ids[:, 1:]), values[:, :-1]
            ref = look(frozen, ids, attention)
            scores = reward_fn(roll.prompt_ids, roll.response_ids)
            advantages, returns = gae(shape_rewards(scores, old, ref, mask, config.beta), old_values, mask,
                                      config.gamma, config.lam)
            advantages = whitened(advantages, mask)
        rows = []
        for _ in range(config.ppo_epochs):
            for pick in torch.randperm(len(ids), generator=generator).split(config.minibatch_size):
                logits, values = policy(ids[pick], attention[pick])
                loss, stats = ppo_loss(
                    token_logprobs(logits[:, :-1], ids[pick, 1:]), old[pick], advantages[pick], values[:, :-1],
                    old_values[pick], returns[pick], mask[pick], config,
                )
                update(loss)
                rows.append(stats)
        row = {"reward": scores.mean(), "kl": ((old - ref) * mask).sum() / len(ids)}
        row.update({name: sum(float(r[name]) for r in rows) / len(rows) for name in ("policy_loss", "value_loss")})
        history.append(row)
        if on_step is not None:
            on_step(step, row)
    return history
'''),
    ("T15", "C42 small functions, C29 NumPy scalars", '''
import numpy as np


def share_repeated(reply):
    pairs = set()
    count = 0
    for pair in zip(reply, reply[1:]):
        pairs.add(pair)
        count += 1
    return 0.0 if count == 0 else (count - len(pairs)) / count
''', '''
def compare_policies(policies, prompts, score_fn, config):
    drawn = {}
    for name, policy in policies.items():
        drawn[name] = kit.sample(policy.lm, prompts, config.max_new_tokens, greedy=config.greedy,
                                 generator=torch.Generator().manual_seed(config.seed), batch_size=config.batch_size)
    points = {name: np.asarray(score_fn(prompts, r).tolist(), dtype=np.float64) for name, r in drawn.items()}
    table = []
    for name, replies in drawn.items():
        gap = points[name] - points["SFT"]
        wins = (np.sign(gap) + 1) / 2
        picks = np.random.default_rng(config.seed + 1).choice(wins, size=(config.bootstrap, wins.size))
        edge = 50 * (1 - config.confidence)
        low, high = np.percentile(picks.mean(axis=1), [edge, 100 - edge])
        batch = kit.lay_out(prompts, replies)
        ids, inside = batch.input_ids, batch.response_mask[:, 1:].bool()
        with torch.inference_mode():
            two = [token_logprobs(policies[p].lm(input_ids=ids, attention_mask=batch.attention_mask).logits[:, :-1],
                                  ids[:, 1:]) for p in (name, "SFT")]
        kl = torch.where(inside, two[0] - two[1], 0.0).double().sum() / len(prompts)
        table.append(dict(
            name=name, n=len(prompts), mean_reward=points[name].mean(), kl_to_sft=kl, win_rate=wins.mean(),
            win_low=low, win_high=high, mean_tokens=np.mean([len(r) for r in replies]),
            repetition=np.mean([share_repeated(r) for r in replies]), response_ids=replies,
        ))
    return table
'''),
]
