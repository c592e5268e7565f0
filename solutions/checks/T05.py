"""Public check of T05: the SFT loop, on a bigram model whose updates can be worked out by hand."""

import math

import torch
from otter.test_files import test_case

import rlhf_kit as kit
from rlhf_kit.advice import Watch, check_reports, explain, near, not_default
from rlhf_kit.optimiser_advice import WITHIN, Rules, after_updates, explain_updates
from rlhf_kit.table_models import BigramLM

name = "T05"
points = None

V = 7


def config(**changes):
    base = {"learning_rate": 0.1, "warmup_steps": 1, "epochs": 1, "batch_size": 2, "weight_decay": 0.0}
    return kit.SFTConfig(**(base | changes))


def batch(*rows, prompt=1):
    """Make a batch of rows of token ids, whose first `prompt` tokens are not to be learned."""
    ids, mask = kit.pad_sequences(rows, kit.PAD_ID)
    labels = torch.where(mask == 1, ids, -100)
    labels[:, :prompt] = -100
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def watch(train_sft, model, batches, config, on_step=None):
    """Train, and return what happened to the table, with the losses."""
    with Watch(model.weight) as seen:
        losses = train_sft(model, batches, config, on_step and (lambda *step: on_step(seen.steps, *step)))
    assert hasattr(losses, "__len__"), f"Return the list of losses, not {losses!r}."
    assert seen.learned, seen.why_not(
        "the model",
        "Losses come back, but the model is the same as before: which line changes it?",
        "Your optimiser does not hold the model's weights: compare what it holds with all that has to learn.",
    )
    return seen, losses


@test_case(name="the model learns")
def check_learns(train_sft):
    model = BigramLM(torch.zeros(V, V))
    _, losses = watch(train_sft, model, [batch([2, 3, 4, 0], [2, 3, 0])] * 30, config())
    assert near(losses[0], math.log(V)), explain(
        losses[0], math.log(V), f"The first loss, of a model that gives all {V} tokens the same probability (ln {V})"
    )
    assert losses[-1] < 0.5 * losses[0], (
        f"After 30 steps the loss should be far lower; it went {losses[0]:.2f} -> {losses[-1]:.2f}."
    )
    assert model.weight[2, 3] > 0 > model.weight[2, 4], (
        "After 2 comes 3 in the data; the model has learned something else."
    )


@test_case(name="epochs, losses, on_step")
def check_bookkeeping(train_sft):
    calls, batches = [], [batch([2, 3, 0]), batch([3, 4, 0])]
    model = BigramLM(torch.zeros(V, V))
    seen, losses = watch(train_sft, model, batches, config(epochs=3), lambda *call: calls.append(call))
    check_reports(seen.steps, losses, calls)


@test_case(name="AdamW as the config says, warm-up, clipping")
def check_updates(train_sft):
    # Each batch teaches one row of the table, whose gradient is known: 1/V for each token, less the share of labels.
    # One label gives a gradient of norm 0.93, which is clipped, and two labels one of 0.60, which is not.
    settings = config(warmup_steps=3, betas=(0.5, 0.75), eps=0.5, weight_decay=0.25, max_grad_norm=0.7)
    model, order, labels = BigramLM(torch.ones(V, V)), [], {2: [3], 4: [3, 5], 5: [4], 6: [3, 2]}
    handle = model.register_forward_pre_hook(
        lambda _, args, kwargs: order.append(int((args[0] if args else kwargs["input_ids"])[0, 0])), with_kwargs=True
    )
    seen, _ = watch(train_sft, model, [batch(*([row, x] for x in labels[row])) for row in labels], settings)
    handle.remove()
    gradients = []
    for row in dict.fromkeys(order):  # an epoch may take its batches in any order
        gradients.append(torch.zeros(V, V))
        gradients[-1][row] = 1 / V
        gradients[-1][row, labels[row]] -= 1 / len(labels[row])
    rules, weights = Rules.of(settings), model.weight.detach()
    assert near(weights, after_updates(seen.start, gradients, rules), WITHIN), explain_updates(
        weights, seen.start, gradients, rules,
        f"The table ({V}, {V}) after 4 updates, on batches of shape (1, 2) and (2, 2), with {not_default(settings)}",
    )


@test_case(name="only supervised tokens, from the masked loss")
def check_supervised(train_sft):
    model = BigramLM(torch.zeros(V, V))
    watch(train_sft, model, [batch([2, 5, 3, 0], [2, 5, 3, 4, 3, 0], prompt=2)], config())
    moved = {i for i in range(V) if model.weight[i].any()}  # row i: what comes after token i
    prompt, padding = 2 in moved, bool(moved & {kit.PAD_ID, kit.EOS_ID})
    assert not (prompt and padding), (
        "The model learns to write prompts and padding too: which labels does a batch bring along?"
    )
    assert not padding, "The model learns to write padding behind its answers: which positions should not count?"
    assert moved == {3, 4, 5}, (
        f"The labels teach what follows tokens 3, 4 and 5; your update changes what follows {sorted(moved)}. Batch (2, 6), "
        "prompt 2 5."
    )
