"""Public check of T06: the reward model's forward, on a small random GPT-2."""

import torch
from otter.test_files import test_case
from transformers import GPT2Config, GPT2LMHeadModel

import rlhf_kit as kit

name = "T06"
points = None


def make(RewardModel):
    torch.manual_seed(5)
    lm = GPT2LMHeadModel(GPT2Config(vocab_size=30, n_positions=32, n_embd=16, n_layer=2, n_head=2,
                                    resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
                                    bos_token_id=0, eos_token_id=0)).eval()
    model = RewardModel.from_lm(lm)
    with torch.no_grad():
        model.transformer.wpe.weight.mul_(20)  # make positions matter
        model.score.weight.normal_(std=1.0)
    return model.eval()


ROWS = [[5, 9, 3, 0], [7, 8, 4, 12, 6, 0], [11, 0]]


def score(model, rows, side="right", extra=0):
    ids, mask = kit.pad_sequences(rows, kit.PAD_ID, side)
    if extra:
        pads = torch.full((len(rows), extra), kit.PAD_ID)
        both = ((ids, pads), (mask, torch.zeros_like(pads)))
        ids, mask = (torch.cat(x if side == "right" else x[::-1], dim=1) for x in both)
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask)


def close(a, b):
    return torch.allclose(a, b, atol=1e-4, rtol=1e-4)


@test_case(name="one number per sequence")
def check_shape(RewardModel):
    result = score(make(RewardModel), ROWS)
    assert result.shape == (3,), (
        "Your scores have one dimension too many: differences of such shapes broadcast to a table. "
        f"Return shape (3,), not {tuple(result.shape)}."
    )
    assert torch.isfinite(result).all() and len(set(result.tolist())) == 3, "Different sequences get different scores."


@test_case(name="right padding does not matter")
def check_right(RewardModel):
    model = make(RewardModel)
    alone = torch.cat([score(model, [row]) for row in ROWS])
    assert torch.isfinite(alone).all() and close(score(model, ROWS[:1] * 2)[:1], alone[:1]), (
        "A text's score must not depend on the batch it stands in."
    )
    assert close(score(model, ROWS), alone), "You score a padding token; take the last real token."
    assert close(score(model, ROWS, extra=3), alone), "More padding on the right moved the scores."


@test_case(name="left padding does not matter")
def check_left(RewardModel):
    model = make(RewardModel)
    alone = torch.cat([score(model, [row]) for row in ROWS])
    assert close(score(model, ROWS, "left", extra=2), alone), (
        "Padding on the left moved the scores: find the last attended token through the mask, and pass positions "
        "that start at 0 on the first real token."
    )


@test_case(name="padding is what the mask says")
def check_mask(RewardModel):
    model = make(RewardModel)
    ids, mask = kit.pad_sequences(ROWS, kit.PAD_ID)
    with torch.no_grad():
        first = model(input_ids=ids, attention_mask=mask)
        second = model(input_ids=torch.where(mask == 1, ids, 17), attention_mask=mask)
        real_pad = model(input_ids=torch.tensor([[5, kit.PAD_ID]]), attention_mask=torch.tensor([[1, 1]]))
        without = model(input_ids=torch.tensor([[5]]), attention_mask=torch.tensor([[1]]))
    assert close(first, second), (
        "What is padding is said by the attention mask; the ids under the mask may be anything."
    )
    assert not close(real_pad, without), (
        "An attended last token was skipped. What is padding is said by the attention mask, not by an id."
    )


@test_case(name="the last token, and all before it")
def check_last(RewardModel):
    model = make(RewardModel)
    base = score(model, [[5, 9, 3, 8]])
    assert not close(score(model, [[5, 9, 3, 2]]), base), (
        "Index of the last token is length minus one: check which token you really pick."
    )
    assert not close(score(model, [[6, 9, 3, 8]]), base), "The first token has no influence: the whole text must be read."
    hidden = []
    hook = model.transformer.register_forward_hook(lambda *args: hidden.append(args[2].last_hidden_state))
    value = score(model, [[5, 9, 3, 8]])
    hook.remove()
    assert hidden, "Use self.transformer for the hidden states."
    assert close(value, model.score(hidden[0][0, 3]).detach()), (
        "You average over the sequence; the task asks for the score at one position."
        if close(value, model.score(hidden[0][0].mean(0)).detach())
        else "The score is the head on the last token's hidden state alone."
    )


@test_case(name="one unbounded number from the given head")
def check_head(RewardModel):
    model = make(RewardModel)
    assert {n for n, _ in model.named_parameters()} == {n for n, _ in kit.RewardModelBase.named_parameters(model)}, (
        "Add no parameters: the head exists already, self.score."
    )
    before = score(model, ROWS)
    with torch.no_grad():
        model.score.bias.add_(50.0)
    assert close(score(model, ROWS), before + 50), (
        "The score is one unbounded number; your values stay between 0 and 1."
        if bool(((before >= 0) & (before <= 1)).all())
        else "Return the head's number as it is: no sigmoid, no normalisation."
    )


@test_case(name="gradient")
def check_gradient(RewardModel):
    model = make(RewardModel)
    ids, mask = kit.pad_sequences(ROWS, kit.PAD_ID)
    model(input_ids=ids, attention_mask=mask).sum().backward()
    assert model.score.weight.grad is not None, "No gradient reaches the head."
    assert model.transformer.wte.weight.grad is not None, (
        "The scores are right, but only the head can learn: gradients do not reach the body."
    )
