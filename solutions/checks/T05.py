"""Public check of T05: the SFT loop, on a bigram model whose updates can be worked out by hand."""

import math

import torch
from otter.test_files import test_case
from torch.optim.optimizer import register_optimizer_step_post_hook

import rlhf_kit as kit
from rlhf_kit.table_models import BigramLM

name = "T05"
points = None

V = 5


def config(**changes):
    base = {"learning_rate": 0.1, "warmup_steps": 1, "epochs": 1, "batch_size": 2, "weight_decay": 0.0}
    return kit.SFTConfig(**(base | changes))


def batch(*rows):
    """Make a batch of rows of token ids, whose first token is the prompt."""
    ids, mask = kit.pad_sequences(rows, kit.PAD_ID)
    labels = torch.where(mask == 1, ids, -100)
    labels[:, 0] = -100
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@test_case(name="the model learns")
def check_learns(train_sft):
    model = BigramLM(torch.zeros(V, V))
    before = model.weight.detach().clone()
    steps = []
    handle = register_optimizer_step_post_hook(lambda *_: steps.append(1))
    try:
        losses = train_sft(model, [batch([2, 3, 4, 0], [2, 3, 0])] * 30, config())
    finally:
        handle.remove()
    assert not torch.equal(model.weight.detach(), before), (
        "You erase the gradient before using it."
        if steps
        else "Losses come back, but the model is the same as before: which line changes it?"
    )
    assert abs(losses[0] - math.log(V)) < 1e-4, "The first loss of a model that knows nothing is ln V."
    assert losses[-1] < 0.5 * losses[0], f"After 30 steps the loss should be far lower; it went {losses[0]:.2f} -> {losses[-1]:.2f}."
    assert model.weight[2, 3] > 0 > model.weight[2, 4], "After 2 comes 3 in the data; the model has learned something else."


@test_case(name="epochs, losses, on_step")
def check_bookkeeping(train_sft):
    model, seen, batches = BigramLM(torch.zeros(V, V)), [], [batch([2, 3, 0]), batch([3, 4, 0])]
    weights = [model.weight.detach().clone()]

    def on_step(step, loss):
        seen.append((step, loss))
        weights.append(model.weight.detach().clone())

    losses = train_sft(model, batches, config(epochs=3), on_step)
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


@test_case(name="AdamW, learning rate and warm-up")
def check_first_update(train_sft):
    model = BigramLM(torch.zeros(V, V))
    train_sft(model, [batch([2, 3])], config(warmup_steps=4))
    step = float(model.weight[2, 3].detach())
    assert abs(step - 0.1) > 1e-3, "The first updates are as large as all others: where does config.warmup_steps come in?"
    assert step > 1e-4, (
        "Your first update has learning rate 0: the factor of step k is counted from k + 1."
    )
    assert abs(step - 0.025) < 1e-4, "Adam's first step has the size of the learning rate: check optimiser and rate."
    model = BigramLM(torch.zeros(V, V))
    train_sft(model, [batch([2, 3])] * 2, config(warmup_steps=4, betas=(0.0, 0.0)))
    assert abs(float(model.weight[2, 3].detach()) - 0.075) < 1e-3, "The second warm-up step has factor 2 / warmup_steps (and check betas)."


@test_case(name="weight decay")
def check_decay(train_sft):
    model = BigramLM(torch.full((V, V), 4.0))
    train_sft(model, [batch([2, 3])], config(weight_decay=0.5))
    untouched = float(model.weight[4, 4].detach())
    assert untouched != 4.0, "config.weight_decay has no effect."
    assert abs(untouched - 4.0 * (1 - 0.1 * 0.5)) < 1e-4, (
        "Check the class of the optimiser: weight decay is not the same thing in all of them."
    )


@test_case(name="gradients are cleared")
def check_zero_grad(train_sft):
    model = BigramLM(torch.zeros(V, V))
    after = []
    # without momentum and with a large eps, an update shows the gradient itself
    train_sft(model, [batch([2, 3]), batch([4, 3])], config(betas=(0.0, 0.0), eps=1.0),
              lambda *_: after.append(model.weight.detach().clone()))
    first = 2 if after[0][2].any() else 4  # an epoch may take its batches in any order
    assert torch.equal(after[1][first], after[0][first]), (
        "Gradients pile up from step to step. What only the first batch teaches moved again in the second update "
        "(or config.betas was not passed on)."
    )


@test_case(name="clipping")
def check_clipping(train_sft):
    model = BigramLM(torch.zeros(V, V))
    train_sft(model, [batch([2, 3])], config(max_grad_norm=1e-3, eps=1.0, betas=(0.0, 0.0)))
    assert float(model.weight.detach().abs().max()) < 2e-4, (
        "config.max_grad_norm has no effect: at the moment you clip, if you do, there is no gradient to clip yet."
    )


@test_case(name="only supervised tokens, from the masked loss")
def check_supervised(train_sft):
    model = BigramLM(torch.zeros(V, V))
    train_sft(model, [batch([2, 3, 0], [2, 3, 4, 3, 0])], config())
    assert not model.weight[kit.PAD_ID].any() and not model.weight[0].any(), "Padding was learned: use the batch's labels."
