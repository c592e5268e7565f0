"""Public check of T09: the reward model's loop, on a model with one score per token."""

import math

import torch
from otter.test_files import test_case

import rlhf_kit as kit
from rlhf_kit.advice import Watch, check_reports, explain, near, not_default
from rlhf_kit.optimiser_advice import WITHIN, Rules, after_updates, explain_updates
from rlhf_kit.table_models import LastTokenReward

name = "T09"
points = None

V = 13


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
PAIRS = ([[2, GOOD], [2, 6, GOOD], [2, 6, 8, GOOD]], [[2, 7, 4, BAD], [2, BAD], [2, 4, 7, BAD]])


def watch(train_reward_model, model, batches, config, on_step=None, head=False):
    """Train, and return what happened to the model's table (or head), with the losses."""
    with Watch(model.score.weight if head else model.transformer.weight) as seen:
        losses = train_reward_model(model, batches, config, on_step and (lambda *step: on_step(seen.steps, *step)))
    assert hasattr(losses, "__len__"), f"Return the list of losses, not {losses!r}."
    compare = "compare what your optimiser holds with all that has to learn."
    assert seen.learned, seen.why_not(
        "the model's head" if head else "the model's body",
        "Losses come back, but the model is the same as before: which line changes it?",
        f"The head keeps its first, random direction: {compare}" if head else f"Part of your model never moves: {compare}",
    )
    return seen, losses


@test_case(name="the model learns")
def check_learns(train_reward_model):
    model = LastTokenReward(torch.zeros(V))
    _, losses = watch(train_reward_model, model, [batch(*PAIRS)] * 20, config())
    assert near(losses[0], math.log(2)), explain(
        losses[0], math.log(2), "The first loss, of a model that scores all replies alike (ln 2)"
    )
    weight = model.weight.detach()
    assert weight[GOOD] >= 0 >= weight[BAD], (
        "Your model learns to prefer the rejected reply: check which scores go where."
    )
    assert losses[-1] < 0.5 * losses[0], (
        f"After 20 steps the loss should be far lower; it went {losses[0]:.2f} -> {losses[-1]:.2f}."
    )


@test_case(name="body and head")
def check_head(train_reward_model):
    for head in (False, True):
        model = LastTokenReward(torch.linspace(-1, 1, V), head=0.5)
        watch(train_reward_model, model, [batch(*PAIRS)] * 2, config(), head=head)


@test_case(name="each side has its own mask")
def check_masks(train_reward_model):
    model = LastTokenReward(torch.zeros(V))
    watch(train_reward_model, model, [batch(*PAIRS)], config())
    moved = [i for i, x in enumerate(model.weight.tolist()) if x]
    known = {  # what each mistake makes the last token of a reply, tokens in order
        (GOOD,): "Half of the gradient is missing: both scores of a pair must learn.",
        (BAD,): "Half of the gradient is missing: both scores of a pair must learn.",
        (kit.PAD_ID, GOOD, BAD): "Your mask says padding is text: shorter replies are scored at a padding token.",
        (kit.PAD_ID, GOOD, BAD, 7): "The rejected replies were read with the mask of the chosen ones.",
        (kit.PAD_ID, GOOD, BAD, 6): "The chosen replies were read with the mask of the rejected ones.",
        (GOOD, BAD, 6, 7): "Each side was read with the mask of the other.",
    }
    assert moved == [GOOD, BAD], known.get(tuple(moved), "") + (
        f" Chosen replies end in {GOOD}, rejected ones in {BAD}; your update changed the scores of {moved} (ids and masks "
        "of shape (3, 4))."
    )


@test_case(name="epochs, losses, on_step")
def check_bookkeeping(train_reward_model):
    calls, batches = [], [batch(*PAIRS), batch([[2, 4]], [[2, 6]])]
    seen, losses = watch(train_reward_model, LastTokenReward(torch.zeros(V)), batches, config(epochs=3),
                         lambda *call: calls.append(call))
    check_reports(seen.steps, losses, calls)


@test_case(name="AdamW as the config says, warm-up, clipping")
def check_updates(train_reward_model):
    # Each batch has tokens of its own, all with one score, so its gradient is known: -1/2 for the last token of a chosen
    # reply, +1/2 for that of a rejected one, over the number of pairs. Norms 0.71 and 0.5 (two pairs) are clipped.
    settings = config(warmup_steps=3, betas=(0.5, 0.75), eps=0.5, weight_decay=0.25, max_grad_norm=0.4)
    ends = [[(3, 4)], [(5, 6), (7, 8)], [(9, 10)], [(11, 12)]]
    model, order = LastTokenReward(torch.ones(V)), []
    number = {token: k for k, pairs in enumerate(ends) for pair in pairs for token in pair}
    handle = model.register_forward_pre_hook(
        lambda _, args, kwargs: order.append(number[int((args[0] if args else kwargs["input_ids"])[0, -1])]),
        with_kwargs=True,
    )
    batches = [batch([[2, good] for good, _ in pairs], [[2, bad] for _, bad in pairs]) for pairs in ends]
    seen, _ = watch(train_reward_model, model, batches, settings)
    handle.remove()
    gradients = []
    for k in dict.fromkeys(order):  # an epoch may take its batches in any order
        gradients.append(torch.zeros(V, 1))
        for good, bad in ends[k]:
            gradients[-1][[good, bad], 0] = torch.tensor([-0.5, 0.5]) / len(ends[k])
    rules, weights = Rules.of(settings), model.transformer.weight.detach()
    assert near(weights, after_updates(seen.start, gradients, rules), WITHIN), explain_updates(
        weights, seen.start, gradients, rules,
        f"The scores of {V} tokens after 4 updates, on batches of 1 and 2 pairs of 2 tokens, with {not_default(settings)}",
    )
