"""Pre-train the base model: tokenizer, batches of documents, one run with a cosine schedule, manifest.

A world's base model is a function of the world's seed: `python -m assignment.lab base --seed SEED`.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import tqdm
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from rlhf_kit.batching import pad_sequences
from rlhf_kit.packed import PackedGPT2LMHeadModel
from rlhf_kit.sampling import EOS_ID, PAD_ID

from .abilities import abilities, refuse_weak
from .corpus import documents
from .folders import replaced, write_manifest
from .muon import blocks_and_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .world import World

EOS, PAD = "<|end|>", "<|pad|>"


@dataclass(frozen=True)
class PretrainConfig:
    """Recipe of the base model, which reads about steps × batch_tokens tokens, the first full_steps × batch_tokens of
    them in full rows. Both learning rates warm up, then follow a cosine. matrix_rate is Muon's, learning_rate AdamW's.
    """

    seed: int = 5
    vocab: int = 1024
    width: int = 128
    layers: int = 4
    heads: int = 4
    positions: int = 160
    batch_tokens: int = 2048
    steps: int = 4400
    full_steps: int = 1600
    matrix_rate: float = 5e-3
    learning_rate: float = 3e-3
    warmup_steps: int = 60
    weight_decay: float = 0.05
    tokenizer_documents: int = 20_000


def train_tokenizer(world: World, config: PretrainConfig) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on the corpus. EOS and PAD are two tokens, with the ids 0 and 1."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab,
        special_tokens=[EOS, PAD],
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(islice(documents(world, config.seed), config.tokenizer_documents), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=config.positions,
        clean_up_tokenization_spaces=False,
    )
    assert (fast.eos_token_id, fast.pad_token_id) == (EOS_ID, PAD_ID)
    return fast


def new_model(tokenizer: PreTrainedTokenizerFast, config: PretrainConfig) -> GPT2LMHeadModel:
    """Return an untrained GPT-2 of this size, with dropout 0 and the tanh GELU in its fused form (a third faster)."""
    torch.manual_seed(config.seed)
    return PackedGPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=config.positions,
            n_embd=config.width,
            n_layer=config.layers,
            n_head=config.heads,
            activation_function="gelu_pytorch_tanh",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=EOS_ID,
            eos_token_id=EOS_ID,
            pad_token_id=PAD_ID,
        )
    )


def _told(world: World, tokenizer: PreTrainedTokenizerFast, config: PretrainConfig) -> Iterator[list[int]]:
    """Yield documents without end, as token ids that end with EOS."""
    source = documents(world, config.seed + 1)
    while True:
        for ids in tokenizer(list(islice(source, 200)))["input_ids"]:
            yield [*ids, EOS_ID]


def _full_row(told: Iterator[list[int]], positions: int) -> list[int]:
    """Return a row of `positions` tokens, with as many documents as fit; the last one is cut."""
    row: list[int] = []
    while len(row) < positions:
        row += next(told)
    return row[:positions]


def batches(world: World, tokenizer: PreTrainedTokenizerFast, config: PretrainConfig) -> Iterator[list[list[int]]]:
    """Yield batches of rows without end, with `batch_tokens` tokens or a few more: full rows in the first `full_steps`
    batches, afterwards rows of one document each.

    In a full row a value belongs to one of many animals: that is how a model learns to look for the name, and not just
    for any value that fits. Alone, a document has the positions that a prompt has later, and a word that occurs twice
    means something: that is how a model learns to compare what was asked with what it says (docs/decisions.md).
    """
    told = _told(world, tokenizer, config)
    for step in count():
        batch: list[list[int]] = []
        while sum(map(len, batch)) < config.batch_tokens:
            full = step < config.full_steps
            batch.append(_full_row(told, config.positions) if full else next(told)[: config.positions])
        yield batch


def mean_loss(model: GPT2LMHeadModel, rows: list[list[int]]) -> torch.Tensor:
    """Compute the mean next-token loss over all rows of a batch, nats per token."""
    ids, mask = pad_sequences(rows, PAD_ID)
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    inside = mask[:, 1:].bool()
    return torch.nn.functional.cross_entropy(logits[inside], ids[:, 1:][inside])


def pretrain(
    world: World, config: PretrainConfig, on_step: Callable[[int, float], None] | None = None
) -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast, list[float]]:
    """Train a base model. Returns it in eval mode, its tokenizer, and the loss of every step (nats per token)."""
    tokenizer = train_tokenizer(world, config)
    model = new_model(tokenizer, config).train()
    optimizers = blocks_and_rest(model, config.matrix_rate, config.learning_rate, config.weight_decay)
    schedules = [LambdaLR(optimizer, lambda k: _rate(k, config)) for optimizer in optimizers]
    losses: list[float] = []
    for step, batch in enumerate(
        tqdm(
            islice(batches(world, tokenizer, config), config.steps),
            total=config.steps,
            desc="pre-training",
            mininterval=5,
        )
    ):
        loss = mean_loss(model, batch)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        losses.append(loss.item())
        if on_step:
            on_step(step, losses[-1])
    return model.eval(), tokenizer, losses


def _rate(step: int, config: PretrainConfig) -> float:
    warm = min(1.0, (step + 1) / config.warmup_steps)
    return warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps))))


def write_base(folder: Path, world: World, config: PretrainConfig) -> dict[str, Any]:
    """Pre-train, and write model, tokenizer and `manifest.json`, whose content is returned. The manifest is written
    last, so that a folder with a manifest is complete.

    Raises:
        WeakBaseError: the model has not learned what training builds on. Nothing was written.
    """
    start = time.time()
    model, tokenizer, losses = pretrain(world, config)
    shares = abilities(model, tokenizer, world)
    refuse_weak(shares)
    library = GPT2LMHeadModel(model.config)  # whose name stands in the config then, so that anything can load it
    library.load_state_dict(model.state_dict())
    with replaced(folder) as fresh:
        library.save_pretrained(fresh)
        tokenizer.save_pretrained(fresh)
        return write_manifest(
            fresh,
            world=world.seed,
            recipe=asdict(config),
            parameters=model.num_parameters(),
            tokens_read=config.steps * config.batch_tokens,
            loss={"first": round(losses[0], 4), "last_50": round(sum(losses[-50:]) / len(losses[-50:]), 4)},
            abilities={name: round(share, 3) for name, share in shares.items()},
            minutes=round((time.time() - start) / 60, 1),
            threads=torch.get_num_threads(),
            torch=torch.__version__.split("+")[0],
        )
