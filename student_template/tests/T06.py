"""Public check of T06: the reward model's forward, on a small random GPT-2."""

import torch
from otter.test_files import test_case
from transformers import GPT2Config, GPT2LMHeadModel

import rlhf_kit as kit
from rlhf_kit.advice import explain, near

name = "T06"
points = None

ROWS = [[5, 9, 3, 0], [7, 8, 4, 12, 6, 0], [11, 10, 0]]
LENGTHS = [len(row) for row in ROWS]


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


def pad(rows, side="right", extra=0):
    """Make ids and mask of these rows, with `extra` more columns of padding."""
    longer, _ = kit.pad_sequences([*rows, [2] * (max(map(len, rows)) + extra)], kit.PAD_ID, side)
    _, mask = kit.pad_sequences([*rows, [2] * longer.shape[1]], kit.PAD_ID, side)
    return longer[:-1], mask[:-1]


@torch.no_grad()
def score(model, ids, mask):
    """The student's scores, (B,)."""
    result = model(input_ids=ids, attention_mask=mask)
    assert isinstance(result, torch.Tensor), f"Return a tensor of shape (B,), not {type(result).__name__}."
    wanted, found = (len(ids),), tuple(result.shape)
    assert found == wanted, (
        "A batch of one loses its dimension: a squeeze without a dimension removes all of size 1. "
        if found == () and len(ids) == 1
        else "Your scores have one dimension too many: differences of such shapes broadcast to a table. "
        if found == (len(ids), 1) else ""
    ) + f"Ids of shape {tuple(ids.shape)} give scores of shape {wanted}, not {found}."
    return result


@torch.no_grad()
def heads(model, ids, **options):
    """The head's number at every position, (B, T), from the body called with these options."""
    return model.score(model.transformer(input_ids=ids, **options).last_hidden_state)[..., 0]


def texts(model):
    """The head's numbers of each row of ROWS, run by itself without padding: three tensors."""
    return [heads(model, torch.tensor([row]))[0] for row in ROWS]


@test_case(name="one number per sequence")
def check_shape(RewardModel):
    model = make(RewardModel)
    score(model, *pad(ROWS))
    score(model, *pad(ROWS[:1]))


@test_case(name="the score of a text, alone")
def check_alone(RewardModel):
    model = make(RewardModel)
    found = torch.cat([score(model, *pad([row])) for row in ROWS])
    each = texts(model)
    wanted = torch.stack([x[-1] for x in each])
    assert near(found, wanted), explain(found, wanted, "Scores of three texts of 4, 6 and 3 tokens, one by one", {
        "Index of the last token is length minus one: check which token you really pick.": [x[-2] for x in each],
        "You score the first token; only the last one has read everything.": [x[0] for x in each],
        "You average over the sequence; the task asks for the score at one position.": [x.mean() for x in each],
        "You add up the sequence; the task asks for the score at one position.": [x.sum() for x in each],
        "The score is one unbounded number; your values stay between 0 and 1.": wanted.sigmoid(),
        "The score is one unbounded number; your values stay between -1 and 1.": wanted.tanh(),
        "A text's score must not depend on the batch it stands in.": wanted * 0,
    })


@test_case(name="right padding does not matter")
def check_right(RewardModel):
    model = make(RewardModel)
    alone = torch.cat([score(model, *pad([row])) for row in ROWS])
    pairs = torch.cat([score(model, *pad([row, row]))[:1] for row in ROWS])
    assert near(pairs, alone), "A text's score must not depend on the batch it stands in. " + explain(
        pairs, alone, "Scores of three texts in batches that hold each of them twice, against those one by one"
    )
    for extra in (0, 3):
        ids, mask = pad(ROWS, extra=extra)
        columns = heads(model, ids, attention_mask=mask, position_ids=kit.position_ids(mask))
        found = score(model, ids, mask)
        assert near(found, alone), explain(found, alone, f"Scores of ids {tuple(ids.shape)}, padded on the right", [
            ("You score a padding token; take the last real token.", columns[:, -1]),
            ("You score a padding token; take the last real token.",
             columns[[0, 1, 2], [min(n, ids.shape[1] - 1) for n in LENGTHS]]),
            ("You average over padding too.", columns.mean(1)),
            ("A text's score must not depend on the batch it stands in.", alone - alone.mean()),
        ])


@test_case(name="left padding does not matter")
def check_left(RewardModel):
    model = make(RewardModel)
    alone, (ids, mask) = torch.cat([score(model, *pad([row])) for row in ROWS]), pad(ROWS, "left", extra=2)
    columns = heads(model, ids, attention_mask=mask, position_ids=kit.position_ids(mask))
    ends = ([0, 1, 2], [n - 1 for n in LENGTHS])
    found = score(model, ids, mask)
    assert near(found, alone), explain(found, alone, f"Scores of ids {tuple(ids.shape)}, padded on the left", {
        "Padding on the left shifts positions: the same text gets another score there.":
            heads(model, ids, attention_mask=mask)[:, -1],
        "The number of real tokens minus one is the last one's index only if they start at column 0.": columns[ends],
        "The number of real tokens minus one is not the last one's index here, and padding shifts positions.":
            heads(model, ids, attention_mask=mask)[ends],
        "Your body reads padding as if it were text: pass the mask, by keyword.":
            heads(model, ids, position_ids=kit.position_ids(mask))[:, -1],
        "Your body gets neither the mask nor positions that begin at the first real token.": heads(model, ids)[:, -1],
    })


@test_case(name="padding is what the mask says")
def check_mask(RewardModel):
    model = make(RewardModel)
    ids, mask = pad(ROWS)
    by_id = "What is padding is said by the attention mask; the ids under the mask may be anything. "
    first, second = score(model, ids, mask), score(model, torch.where(mask == 1, ids, 17), mask)
    right = near(first, [x[-1] for x in texts(model)])  # then the ids are all that can tell these two batches apart
    assert near(second, first), (by_id if right else "") + explain(
        second, first, f"Scores of ids {tuple(ids.shape)}, with token 17 in place of the padding"
    )
    row = torch.tensor([[5, 6, kit.PAD_ID]])
    found, each = score(model, row, torch.ones_like(row)), heads(model, row)[0]
    alone = score(model, row[:, :2], torch.ones(1, 2, dtype=torch.long))
    assert not near(found, alone), (by_id if near(alone, each[1:2]) else "") + (
        f"The ids [5, 6, {kit.PAD_ID}] are all attended, and score {float(found):.4g}, the score of [5, 6]; the head's numbers "
        f"are {[round(x, 4) for x in each.tolist()]}."
    )


@test_case(name="no parameters of your own")
def check_parameters(RewardModel):
    model = make(RewardModel)
    own = sorted({n.split(".")[0] for n, _ in model.named_parameters()} - {"transformer", "score"})
    assert not own, f"The head exists already, self.score; add no parameters. Yours are in {', '.join(own)}."


@test_case(name="gradient")
def check_gradient(RewardModel):
    model = make(RewardModel)
    ids, mask = pad(ROWS)
    total = model(input_ids=ids, attention_mask=mask).sum()
    assert total.requires_grad, "Your scores have no graph: neither head nor body can learn."
    total.backward()
    assert model.score.weight.grad is not None, "No gradient reaches the head."
    assert model.transformer.wte.weight.grad is not None, (
        "The scores are right, but only the head can learn: gradients do not reach the body."
        if near(torch.cat([score(model, *pad([row])) for row in ROWS]), [x[-1] for x in texts(model)])
        else "Gradients reach the head, but not the body."
    )
