"""The lab's GPT-2 skips padding, and computes what the library's model computes."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

import rlhf_kit as kit
from rlhf_kit.packed import CACHE, PackedGPT2LMHeadModel
from rlhf_kit.packing import GROUP, GROWTH, KeyValues

VOCAB, WIDTH, COLUMNS = 37, 24, 19
ROWS = GROUP + 5  # more than one group
LENGTHS = torch.tensor([(7 * i) % COLUMNS + 1 for i in range(ROWS)])
RIGHT = (torch.arange(COLUMNS) < LENGTHS[:, None]).long()
HOLES = RIGHT * (torch.arange(COLUMNS) != 4).long()
MASKS = {"none": None, "right": RIGHT, "left": RIGHT.flip(1), "holes": HOLES}
# float64 rounding of sums over at most 100 products, times three layers' worth of steps
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def models(dropout: float = 0.0) -> tuple[PackedGPT2LMHeadModel, GPT2LMHeadModel]:
    """The lab's model and the library's, in float64, with the same weights."""
    torch.manual_seed(3)
    config = GPT2Config(
        vocab_size=VOCAB,
        n_positions=COLUMNS + 3 * GROWTH,
        n_embd=WIDTH,
        n_layer=3,
        n_head=3,
        initializer_range=0.4,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        eos_token_id=kit.EOS_ID,
        pad_token_id=kit.PAD_ID,
    )
    library = GPT2LMHeadModel(config).double().eval()
    packed = PackedGPT2LMHeadModel(copy.deepcopy(config)).double().eval()
    packed.load_state_dict(library.state_dict())
    return packed, library


def token_ids(rows: int = ROWS, columns: int = COLUMNS) -> Tensor:
    return torch.randint(2, VOCAB, (rows, columns), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("numbered", [False, True])
def test_logits_and_gradients_are_those_of_the_library(name: str, numbered: bool) -> None:
    packed, library = models()
    ids, mask = token_ids(), MASKS[name]
    inside = torch.ones_like(ids).bool() if mask is None else mask.bool()
    positions = kit.position_ids(mask) if numbered and mask is not None else None
    for model in (packed, library):
        logits = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits
        logits[inside].square().sum().backward()
    out = [m(input_ids=ids, attention_mask=mask, position_ids=positions).logits[inside] for m in (packed, library)]
    torch.testing.assert_close(out[0], out[1], **EXACT)
    for (parameter, mine), theirs in zip(packed.named_parameters(), library.parameters(), strict=True):
        assert mine.grad is not None, parameter
        assert theirs.grad is not None, parameter
        assert theirs.grad.abs().max() > 0, parameter
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-8, atol=1e-8 * float(theirs.grad.abs().max()))


def test_logits_of_padding_are_zero() -> None:
    packed, _ = models()
    logits = packed(input_ids=token_ids(), attention_mask=RIGHT).logits
    assert (logits[RIGHT == 0] == 0).all()
    assert (logits[RIGHT == 1].abs().sum(-1) > 0).all()


def test_state_dict_and_config_are_those_of_the_library() -> None:
    packed, library = models()
    assert list(packed.state_dict()) == list(library.state_dict())
    assert packed.lm_head.weight is packed.transformer.wte.weight
    assert packed.config.to_dict() == library.config.to_dict()


@pytest.mark.parametrize("greedy", [True, False])
def test_replies_are_those_of_the_library(greedy: bool) -> None:
    packed, library = models()
    prompts = [row[: int(n)].tolist() for row, n in zip(token_ids(), LENGTHS, strict=True)] * 4
    replies = [
        kit.sample(m, prompts, GROWTH + 9, greedy=greedy, generator=torch.Generator().manual_seed(5))
        for m in (packed, library)
    ]
    assert replies[0] == replies[1]
    assert max(map(len, replies[0])) > GROWTH, "no reply makes the cache grow"
    assert greedy or len(set(map(len, replies[0]))) > 1, "no row leaves the batch early"


def test_library_generation_works_on_it() -> None:
    packed, library = models()
    ids = token_ids(2, 5)
    out = [m.generate(ids, max_new_tokens=8, do_sample=False) for m in (packed, library)]
    assert torch.equal(out[0], out[1])


def test_policy_values_and_logits_are_those_of_its_parts() -> None:
    packed, library = models()
    policy = kit.Policy(packed)
    torch.nn.init.normal_(policy.value_head.weight, generator=torch.Generator().manual_seed(6))
    policy.double()
    logits, values = policy(token_ids(), RIGHT)
    hidden = library.transformer(input_ids=token_ids(), attention_mask=RIGHT).last_hidden_state
    inside = RIGHT.bool()
    torch.testing.assert_close(logits[inside], library.lm_head(hidden)[inside], **EXACT)
    torch.testing.assert_close(values[inside], policy.value_head(hidden).squeeze(-1)[inside], **EXACT)


def test_training_with_dropout_is_left_to_the_library() -> None:
    packed, library = models(dropout=0.3)
    outs = []
    for model in (packed.train(), library.train()):
        torch.manual_seed(8)
        outs.append(model(input_ids=token_ids(), attention_mask=RIGHT).logits)
    torch.testing.assert_close(outs[0], outs[1], **EXACT)
    assert not torch.equal(outs[0], packed.eval()(input_ids=token_ids(), attention_mask=RIGHT).logits)


def test_a_cache_is_continued_by_one_token_a_row() -> None:
    packed, _ = models()
    cache = getattr(packed(input_ids=token_ids(3, 5), use_cache=True), CACHE)
    assert isinstance(cache, KeyValues)
    assert cache.get_seq_length() == 5
    with pytest.raises(ValueError, match="one token a row, not by 2"):
        packed(input_ids=token_ids(3, 2), use_cache=True, **{CACHE: cache})


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_a_cache_is_read_under_the_new_and_the_old_name(name: str) -> None:
    packed, _ = models()
    ids = token_ids(3, 6)
    whole = packed(input_ids=ids).logits[:, -1]
    cache = getattr(packed(input_ids=ids[:, :-1], use_cache=True), CACHE)
    last = packed(input_ids=ids[:, -1:], use_cache=True, **{name: cache}).logits[:, -1]
    torch.testing.assert_close(last, whole, **EXACT)


def test_the_cache_is_passed_under_the_librarys_own_name() -> None:
    for model in (GPT2LMHeadModel, GPT2Model):
        assert CACHE in inspect.signature(model.forward).parameters
