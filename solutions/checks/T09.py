"""Public check of T09: the reward model's loop, on a model with one score per token."""

import math

import torch
from otter.test_files import test_case
from torch.optim.optimizer import register_optimizer_step_post_hook

import rlhf_kit as kit
from rlhf_kit.table_models import LastTokenReward

name = "T09"
points = None

V = 8


def config(**changes):
    base = {"learning_rate": 0.1, "warmup_steps": 1, "epochs": 1, "batch_size": 2, "weight_decay": 0.0}
    return kit.RMConfig(**(base | changes))


def batch(chosen, rejected):
    result = {}
    for key, rows in (("chosen", chosen), ("rejected", rejected)):
        ids, mask = kit.pad_sequences(rows, kit.PAD_ID)
        result |= {f"{key}_input_ids": ids, f"{key}_attention_mask": mask}
    return result


GOOD, BAD = 3, 5  # the model reads the last token alone: chosen replies end in 3, rejected ones in 5
PAIRS = ([[2, GOOD], [2, 6, 7, GOOD]], [[2, 6, BAD], [2, 4, BAD]])


@test_case(name="the model learns")
def check_learns(train_reward_model):
    model = LastTokenReward(torch.zeros(V))
    steps = []
    handle = register_optimizer_step_post_hook(lambda *_: steps.append(1))
    try:
        losses = train_reward_model(model, [batch(*PAIRS)] * 20, config())
    finally:
        handle.remove()
    weight = model.weight.detach()
    assert weight.any(), (
        "You erase the gradient before using it."
        if steps
        else "Losses come back, but the model is the same as before: which line changes it?"
    )
    assert weight[GOOD] >= 0 >= weight[BAD], (
        "Your model learns to prefer the rejected reply: check which scores go where."
    )
    assert weight[GOOD] and weight[BAD], "Half of the gradient is missing: both scores of a pair must learn."
    assert abs(losses[0] - math.log(2)) < 1e-4, "A model that knows nothing starts at ln 2."
    assert losses[-1] < 0.5 * losses[0], "After 20 steps the loss should be far lower."
    assert not weight[kit.PAD_ID], (
        "Your mask says padding is text: shorter replies are scored at a padding token."
    )


@test_case(name="each side has its own mask")
def check_masks(train_reward_model):
    model = LastTokenReward(torch.zeros(V))
    train_reward_model(model, [batch(*PAIRS)], config(betas=(0.0, 0.0)))
    moved = {i for i, x in enumerate(model.weight.tolist()) if x}
    assert moved == {GOOD, BAD}, "Tokens other than the last ones were trained: do you mix up the two masks?"


@test_case(name="epochs, losses, on_step")
def check_bookkeeping(train_reward_model):
    model, seen, weights = LastTokenReward(torch.zeros(V)), [], [torch.zeros(V)]

    def on_step(step, loss):
        seen.append((step, loss))
        weights.append(model.weight.detach().clone())

    losses = train_reward_model(model, [batch(*PAIRS), batch([[2, 4]], [[2, 6]])], config(epochs=3), on_step)
    assert len(losses) == 6, (
        "config.epochs asks for more passes over the batches than you make."
        if len(losses) < 6
        else f"Two batches and three epochs make six updates; you return {len(losses)} losses."
    )
    assert not any(getattr(x, "requires_grad", False) for x in losses), (
        "Store plain numbers (.item()), else every graph stays in memory."
    )
    assert [step for step, _ in seen] == list(range(6)), "Call on_step(step, loss) after each update, step = 0, 1, …"
    assert [float(loss) for _, loss in seen] == [float(loss) for loss in losses], "on_step gets the same loss that you return."
    assert all(not torch.equal(a, b) for a, b in zip(weights, weights[1:])), "Call on_step after the update, not before."


@test_case(name="AdamW, warm-up, weight decay")
def check_optimiser(train_reward_model):
    model = LastTokenReward(torch.full((V,), 4.0))
    train_reward_model(model, [batch(*PAIRS)], config(warmup_steps=5, weight_decay=0.5))
    weight = model.weight.tolist()
    decayed = 4.0 * (1 - 0.02 * 0.5)
    assert weight[7] != 4.0, "config.weight_decay has no effect."
    assert abs(weight[7] - 4.0 * (1 - 0.1 * 0.5)) > 1e-4, "The first updates are as large as all others: where does config.warmup_steps come in?"
    assert abs(weight[7] - decayed) < 1e-4, "AdamW shrinks by learning rate * weight_decay: check optimiser and warm-up."
    assert abs(weight[GOOD] - decayed - 0.02) < 1e-4, "The first of five warm-up steps has a fifth of the learning rate."
    model = LastTokenReward(torch.zeros(V))
    train_reward_model(model, [batch(*PAIRS)] * 2, config(warmup_steps=5, betas=(0.0, 0.0)))
    moved = float(model.weight.detach()[GOOD])
    assert abs(moved - 0.06) < 1e-3, "The second warm-up step has two fifths of the learning rate (and check betas)."


@test_case(name="gradients are cleared, then clipped")
def check_gradients(train_reward_model):
    model, after = LastTokenReward(torch.zeros(V)), []
    plain = config(betas=(0.0, 0.0), eps=1.0)  # without momentum, with a large eps: updates show the gradient
    train_reward_model(model, [batch([[2, GOOD]], [[2, BAD]]), batch([[2, 4]], [[2, 6]])], plain,
                       lambda *_: after.append(model.weight.detach().clone()))
    first = GOOD if after[0][GOOD] else 4  # an epoch may take its batches in any order
    assert after[1][first] == after[0][first], (
        "Gradients pile up from step to step. What only the first batch teaches moved again in the second update."
    )
    model = LastTokenReward(torch.zeros(V))
    train_reward_model(model, [batch(*PAIRS)], config(max_grad_norm=1e-3, eps=1.0, betas=(0.0, 0.0)))
    assert float(model.weight.detach().abs().max()) < 2e-4, (
        "config.max_grad_norm has no effect: at the moment you clip, if you do, there is no gradient to clip yet."
    )
